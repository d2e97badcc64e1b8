//! From a document's tree to JSON: scalars resolved, aliases expanded, merge keys
//! applied, map keys made texts and sorted.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashSet};

use base64::Engine as _;
use schema::quote::quoted;
use serde_json::Value;
use serde_saphyr::granit_parser::Tag;

use super::compose::{Document, Id, Kind, Node};
use super::resolve::{Resolved, resolve};
use super::{MAX_DEPTH, Yaml, YamlError, number};

/// Below so many values, aliases may make up nearly all of a document.
const ALIAS_LOW: u64 = 400_000;
/// From so many on, a tenth.
const ALIAS_HIGH: u64 = 4_000_000;

pub(super) fn build(document: &Document<'_>) -> Result<Yaml, YamlError> {
    let mut builder = Builder {
        document,
        duplicates: Vec::new(),
        values: 0,
        aliased: 0,
        alias_depth: 0,
    };
    let value = builder.value(document.root, 0)?;
    Ok(Yaml {
        value,
        duplicates: builder.duplicates,
    })
}

struct Builder<'d, 't> {
    document: &'d Document<'t>,
    duplicates: Vec<String>,
    /// Values made so far, and how many of them below an alias.
    values: u64,
    aliased: u64,
    alias_depth: usize,
}

/// A map key before it is a text: `1` and `"1"` are not duplicates.
#[derive(PartialEq, Eq, Hash)]
enum Key {
    Text(String),
    Int(i128),
    Float(u64),
    Bool(bool),
}

impl Key {
    fn text(&self) -> String {
        match self {
            Self::Text(text) => text.clone(),
            Self::Int(value) => value.to_string(),
            Self::Bool(value) => value.to_string(),
            Self::Float(bits) => float_key(f64::from_bits(*bits)),
        }
    }

    fn shown(&self) -> String {
        match self {
            Self::Text(text) => quoted(text),
            other => other.text(),
        }
    }
}

#[expect(
    clippy::cast_possible_truncation,
    reason = "upstream prints float keys with 32 bits"
)]
fn float_key(value: f64) -> String {
    if value.is_nan() {
        return ".nan".to_owned();
    }
    match (value as f32, value > 0.0) {
        (narrow, true) if narrow.is_infinite() => ".inf".to_owned(),
        (narrow, false) if narrow.is_infinite() => "-.inf".to_owned(),
        (narrow, _) => number::shortest_f32(narrow),
    }
}

type Entries = BTreeMap<String, Value>;

impl<'d, 't> Builder<'d, 't> {
    fn node(&self, id: Id) -> &'d Node<'t> {
        // Ids come from the composer of this very document.
        &self.document.nodes[id]
    }

    /// Counts a value and refuses documents that aliases blow up.
    fn count(&mut self) -> Result<(), YamlError> {
        self.values += 1;
        if self.alias_depth > 0 {
            self.aliased += 1;
        }
        if self.aliased > 100 && self.values > 1000 {
            let span = ALIAS_HIGH - ALIAS_LOW;
            let over = self.values.clamp(ALIAS_LOW, ALIAS_HIGH) - ALIAS_LOW;
            // From 99 % at the low end to 10 % at the high end, in thousandths.
            let allowed = 990 - 890 * over / span;
            if self.aliased * 1000 > allowed * self.values {
                return Err(YamlError::Aliasing);
            }
        }
        Ok(())
    }

    fn value(&mut self, id: Id, depth: usize) -> Result<Value, YamlError> {
        if depth > MAX_DEPTH {
            return Err(YamlError::Depth);
        }
        self.count()?;
        let node = self.node(id);
        match &node.kind {
            Kind::Alias(target) => self.aliased(*target, depth),
            Kind::Scalar { text, plain } => scalar(node, text, *plain),
            Kind::List(items) => items
                .iter()
                .map(|item| self.value(*item, depth + 1))
                .collect::<Result<Vec<_>, _>>()
                .map(Value::Array),
            Kind::Map(pairs) => {
                let entries = self.map(pairs, depth)?;
                Ok(Value::Object(entries.into_iter().collect()))
            }
        }
    }

    fn aliased(&mut self, target: Id, depth: usize) -> Result<Value, YamlError> {
        self.alias_depth += 1;
        let value = self.value(target, depth);
        self.alias_depth -= 1;
        value
    }

    fn map(&mut self, pairs: &'d [Id], depth: usize) -> Result<Entries, YamlError> {
        let mut entries = Entries::new();
        let mut merged = Entries::new();
        let mut seen = HashSet::new();
        for pair in pairs.chunks_exact(2) {
            let (key_id, value_id) = (pair[0], pair[1]);
            if self.is_merge(key_id) {
                self.merge(value_id, depth, &mut merged)?;
                continue;
            }
            let key = self.key(key_id)?;
            let value = self.value(value_id, depth + 1)?;
            entries.insert(key.text(), value);
            let line = self.node(key_id).line;
            let shown = key.shown();
            if !seen.insert(key) {
                self.duplicates
                    .push(format!("line {line}: key {shown} already set in map"));
            }
        }
        for (key, value) in merged {
            entries.entry(key).or_insert(value);
        }
        Ok(entries)
    }

    fn is_merge(&self, id: Id) -> bool {
        let node = self.node(id);
        match &node.kind {
            Kind::Scalar { text, plain: true } => {
                text == "<<"
                    && node
                        .tag
                        .as_ref()
                        .is_none_or(|tag| core(tag).as_deref() == Some("merge"))
            }
            _ => false,
        }
    }

    /// Adds what a merge key brings; of several sources the first wins.
    fn merge(&mut self, id: Id, depth: usize, into: &mut Entries) -> Result<(), YamlError> {
        if depth > MAX_DEPTH {
            return Err(YamlError::Depth);
        }
        self.count()?;
        match &self.node(id).kind {
            Kind::Alias(target) => {
                self.alias_depth += 1;
                let outcome = self.merge(*target, depth + 1, into);
                self.alias_depth -= 1;
                outcome
            }
            Kind::Map(pairs) => {
                for (key, value) in self.map(pairs, depth)? {
                    into.entry(key).or_insert(value);
                }
                Ok(())
            }
            Kind::List(sources) => sources.iter().try_for_each(|source| {
                let mut target = *source;
                if let Kind::Alias(aliased) = &self.node(target).kind {
                    target = *aliased;
                }
                match &self.node(target).kind {
                    Kind::Map(_) => self.merge(*source, depth + 1, into),
                    _ => Err(not_mergeable()),
                }
            }),
            Kind::Scalar { .. } => Err(not_mergeable()),
        }
    }

    fn key(&mut self, id: Id) -> Result<Key, YamlError> {
        self.count()?;
        let node = self.node(id);
        Ok(match &node.kind {
            Kind::Alias(target) => {
                self.alias_depth += 1;
                let key = self.key(*target);
                self.alias_depth -= 1;
                return key;
            }
            Kind::Scalar { text, plain } => match tagged(node, text, *plain)? {
                Typed::Text(text) => Key::Text(text),
                Typed::Bool(value) => Key::Bool(value),
                Typed::Int(value) => Key::Int(value),
                Typed::Float(value) => Key::Float(value.to_bits()),
                Typed::Null => return Err(YamlError::Key("nil")),
            },
            Kind::List(_) | Kind::Map(_) => {
                return Err(YamlError::Syntax("invalid map key".to_owned()));
            }
        })
    }
}

fn not_mergeable() -> YamlError {
    YamlError::Syntax("map merge requires map or sequence of maps as the value".to_owned())
}

/// The name of a tag of YAML itself (`str` of `!!str`).
fn core(tag: &Tag) -> Option<Cow<'_, str>> {
    tag.suffix_in_namespace("tag:yaml.org,2002:")
}

/// A scalar with its type.
enum Typed {
    Null,
    Bool(bool),
    Int(i128),
    Float(f64),
    Text(String),
}

fn scalar(node: &Node<'_>, text: &str, plain: bool) -> Result<Value, YamlError> {
    Ok(match tagged(node, text, plain)? {
        Typed::Null => Value::Null,
        Typed::Bool(value) => value.into(),
        Typed::Text(text) => text.into(),
        Typed::Int(value) => match (i64::try_from(value), u64::try_from(value)) {
            (Ok(value), _) => value.into(),
            (_, Ok(value)) => value.into(),
            // Resolving gives nothing beyond 64 bits.
            _ => Value::Null,
        },
        Typed::Float(value) => float(value)?,
    })
}

/// Whole floats are whole numbers in JSON.
fn float(value: f64) -> Result<Value, YamlError> {
    const EXACT: f64 = 9_007_199_254_740_992.0;
    if value.is_nan() {
        return Err(YamlError::Number("NaN"));
    }
    if value.is_infinite() {
        return Err(YamlError::Number(if value > 0.0 { "+Inf" } else { "-Inf" }));
    }
    if value.fract() == 0.0 && value.abs() <= EXACT {
        #[expect(
            clippy::cast_possible_truncation,
            reason = "a whole number within 53 bits"
        )]
        return Ok((value as i64).into());
    }
    Ok(value.into())
}

fn tagged(node: &Node<'_>, text: &str, plain: bool) -> Result<Typed, YamlError> {
    let resolved = || match resolve(text) {
        Resolved::Null => Typed::Null,
        Resolved::Bool(value) => Typed::Bool(value),
        Resolved::Int(value) => Typed::Int(value.into()),
        Resolved::Uint(value) => Typed::Int(value.into()),
        Resolved::Float(value) => Typed::Float(value),
        Resolved::Timestamp | Resolved::Merge | Resolved::Text => Typed::Text(text.to_owned()),
    };
    let Some(tag) = &node.tag else {
        return Ok(if plain {
            resolved()
        } else {
            Typed::Text(text.to_owned())
        });
    };
    let Some(wanted) = core(tag) else {
        return Ok(Typed::Text(text.to_owned()));
    };
    let found = match (wanted.as_ref(), resolved()) {
        ("binary", _) => return binary(text),
        ("null", Typed::Null) => return Ok(Typed::Null),
        ("bool", Typed::Bool(value)) => return Ok(Typed::Bool(value)),
        ("int", Typed::Int(value)) => return Ok(Typed::Int(value)),
        ("float", Typed::Float(value)) => return Ok(Typed::Float(value)),
        #[expect(clippy::cast_precision_loss, reason = "a float is asked for")]
        ("float", Typed::Int(value)) => return Ok(Typed::Float(value as f64)),
        ("null" | "bool" | "int" | "float", found) => found,
        _ => return Ok(Typed::Text(text.to_owned())),
    };
    let name = match found {
        Typed::Null => "null",
        Typed::Bool(_) => "bool",
        Typed::Int(_) => "int",
        Typed::Float(_) => "float",
        Typed::Text(_) => "str",
    };
    Err(YamlError::Syntax(format!(
        "cannot decode !!{name} `{text}` as a !!{wanted}"
    )))
}

fn binary(text: &str) -> Result<Typed, YamlError> {
    let packed: String = text.chars().filter(|c| !matches!(c, '\r' | '\n')).collect();
    let bytes = base64::engine::general_purpose::STANDARD
        .decode(packed)
        .map_err(|_| YamlError::Syntax("!!binary value contains invalid base64 data".to_owned()))?;
    Ok(Typed::Text(String::from_utf8_lossy(&bytes).into_owned()))
}
