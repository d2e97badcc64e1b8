//! The walk over input and schema at once.

use std::borrow::Cow;

use serde_json::{Map, Value};

use super::leaf::{self, Leaf};
use super::slots::Slots;
use super::trail::{self, Step};
use super::zero::zero;
use super::{Decoded, json_schema};
use crate::error::{DecodeError, Issue, IssueKind, MAX_ISSUES};
use crate::input::{Input, Syntax, Token, skip};
use crate::node::{ListNode, MapNode, Node, ScalarKind, Struct};

/// The state of one decoding.
pub(super) struct Walk<'s, 'a, I> {
    input: I,
    steps: Vec<Step<'s, 'a>>,
    issues: Vec<Issue>,
    /// The first mistyped value; decoding goes on to find what comes before it.
    saved: Option<DecodeError>,
    /// The first error at which Go would have stopped; it wins over `saved`.
    fatal: Option<DecodeError>,
    /// Steps to the outermost value whose type decodes itself in Go. Below it
    /// there are no strict checks, names match in any case, and errors name it.
    opaque: Option<usize>,
    /// Empty lists and maps that are always printed become `null`.
    settle: bool,
}

/// A value read for a field: `None` is `null`.
type Read = Result<Option<Value>, Syntax>;

impl<'s, 'a, I: Input<'a>> Walk<'s, 'a, I> {
    pub(super) fn new(input: I, settle: bool) -> Self {
        Self {
            input,
            steps: Vec::with_capacity(16),
            issues: Vec::new(),
            saved: None,
            fatal: None,
            opaque: None,
            settle,
        }
    }

    pub(super) fn root(&mut self, node: &'s Node) -> Read {
        let value = self.value(node, None)?;
        self.input.end()?;
        Ok(value)
    }

    pub(super) fn finish(self, value: Value) -> Result<Decoded, DecodeError> {
        match self.fatal.or(self.saved) {
            Some(error) => Err(error),
            None => Ok(Decoded {
                value,
                issues: self.issues,
            }),
        }
    }

    /// Reads the next value as `node`. `prior` is what an earlier duplicate of
    /// the key left: Go decodes into it.
    fn value(&mut self, node: &'s Node, prior: Option<Value>) -> Read {
        let token = self.input.value()?;
        self.start(node, token, prior)
    }

    fn start(&mut self, node: &'s Node, token: Token<'a>, prior: Option<Value>) -> Read {
        match (node, token) {
            (Node::Scalar(scalar), token) => self.scalar(node, scalar.kind, token, prior),
            (Node::Struct(of), Token::Object) => {
                Ok(Some(Value::Object(self.structure(of.get(), prior)?)))
            }
            (Node::Map(map), Token::Object) => Ok(Some(Value::Object(self.map(map, prior)?))),
            (Node::List(list), Token::Array) => Ok(Some(Value::Array(self.list(list)?))),
            // `null` leaves a struct as it is and unsets a list or map.
            (Node::Struct(_), Token::Null) => Ok(prior),
            (_, Token::Null) => Ok(None),
            (node, token) => self.mistyped(&token, trail::words(&token), &trail::go_type(node)),
        }
    }

    fn scalar(
        &mut self,
        node: &'s Node,
        kind: ScalarKind,
        token: Token<'a>,
        prior: Option<Value>,
    ) -> Read {
        match kind {
            ScalarKind::Any => {
                return Ok(match token {
                    Token::Null => prior,
                    token => Some(self.any(token)?),
                });
            }
            ScalarKind::SchemaOrBool | ScalarKind::SchemaOrArray | ScalarKind::SchemaOrStrings => {
                return self.schema_or(kind, token);
            }
            ScalarKind::Bytes if matches!(token, Token::Array) => return self.byte_list(),
            _ => {}
        }
        let keeps = matches!(token, Token::Null)
            && matches!(
                kind,
                ScalarKind::String
                    | ScalarKind::Bool
                    | ScalarKind::Int32
                    | ScalarKind::Int64
                    | ScalarKind::Float64
            );
        if keeps {
            return Ok(prior);
        }
        skip(&mut self.input, &token)?;
        match leaf::read(kind, token) {
            Leaf::Value(value) => Ok(Some(value)),
            Leaf::Unset => Ok(None),
            Leaf::Mistyped(words, wanted) => {
                let wanted = wanted.map_or_else(|| trail::go_type(node), Cow::from);
                self.save(&words, &wanted);
                Ok(None)
            }
            Leaf::FatalMistyped(words, wanted) => {
                let message = trail::mistyped(self.context(), &words, wanted);
                self.stop(DecodeError::Mistyped(message));
                Ok(None)
            }
            Leaf::Fatal(message) => {
                self.stop(DecodeError::Malformed(message));
                Ok(None)
            }
            Leaf::Malformed(message) => {
                self.saved.get_or_insert(DecodeError::Malformed(message));
                Ok(None)
            }
        }
    }

    /// Reads over a value of the wrong JSON type.
    fn mistyped(&mut self, token: &Token<'a>, words: &str, wanted: &str) -> Read {
        skip(&mut self.input, token)?;
        self.save(words, wanted);
        Ok(None)
    }

    fn save(&mut self, words: &str, wanted: &str) {
        if self.saved.is_none() {
            let message = trail::mistyped(self.context(), words, wanted);
            self.saved = Some(DecodeError::Mistyped(message));
        }
    }

    fn stop(&mut self, error: DecodeError) {
        self.fatal.get_or_insert(error);
    }

    /// The steps that an error names.
    fn context(&self) -> &[Step<'s, 'a>] {
        &self.steps[..self.opaque.unwrap_or(self.steps.len())]
    }

    fn issue(&mut self, kind: IssueKind, last: &str) {
        if self.opaque.is_some() || self.issues.len() >= MAX_ISSUES {
            return;
        }
        let issue = Issue {
            kind,
            path: trail::path(&self.steps, last),
        };
        if !self.issues.contains(&issue) {
            self.issues.push(issue);
        }
    }

    fn position(&self, of: &Struct, name: &str, expected: usize) -> Option<usize> {
        if of.fields.get(expected).is_some_and(|f| f.name == name) {
            return Some(expected);
        }
        of.position(name).or_else(|| {
            self.opaque?;
            of.fields
                .iter()
                .position(|field| field.name.eq_ignore_ascii_case(name))
        })
    }

    fn structure(
        &mut self,
        of: &'s Struct,
        prior: Option<Value>,
    ) -> Result<Map<String, Value>, Syntax> {
        let mut slots = Slots::new(of, prior, self.settle);
        let mut unknown = Map::new();
        let mut expected = 0;
        while let Some(key) = self.input.key()? {
            let Some(at) = self.position(of, &key, expected) else {
                let token = self.input.value()?;
                if of.preserve_unknown {
                    let value = self.any(token)?;
                    unknown.insert(key.into_owned(), value);
                } else {
                    self.issue(IssueKind::Unknown, &key);
                    skip(&mut self.input, &token)?;
                }
                continue;
            };
            expected = at + 1;
            let field = &of.fields[at];
            let stood = slots.mark(at);
            if stood {
                self.issue(IssueKind::Duplicate, &field.name);
            }
            let before = slots.take(at, stood);
            self.steps.push(Step::Field {
                name: &field.name,
                of,
            });
            let value = self.value(&field.node, before)?;
            self.steps.pop();
            if let Some(value) = value {
                slots.put(at, value);
            }
        }
        let mut out = slots.finish();
        out.extend(unknown);
        Ok(out)
    }

    fn map(&mut self, of: &'s MapNode, prior: Option<Value>) -> Result<Map<String, Value>, Syntax> {
        let mut entries: Vec<(String, Value)> = match prior {
            Some(Value::Object(map)) => map.into_iter().collect(),
            _ => Vec::new(),
        };
        let inherited = entries.len();
        let mut sorted = true;
        while let Some(key) = self.input.key()? {
            self.steps.push(Step::Key(key));
            let value = self.value(&of.value, None)?;
            let Some(Step::Key(key)) = self.steps.pop() else {
                continue;
            };
            let value = value.unwrap_or_else(|| zero(&of.value));
            sorted = sorted
                && entries
                    .last()
                    .is_none_or(|(last, _)| last.as_str() < key.as_ref());
            entries.push((key.into_owned(), value));
        }
        if !sorted {
            self.note_duplicates(&entries[inherited..]);
            entries.sort_by(|a, b| a.0.cmp(&b.0));
        }
        // The last of equal keys wins: sorting is stable.
        Ok(entries.into_iter().collect())
    }

    fn note_duplicates(&mut self, entries: &[(String, Value)]) {
        let mut seen = std::collections::HashSet::with_capacity(entries.len());
        for (key, _) in entries {
            if !seen.insert(key.as_str()) {
                self.issue(IssueKind::Duplicate, key);
            }
        }
    }

    fn list(&mut self, of: &'s ListNode) -> Result<Vec<Value>, Syntax> {
        let mut items = Vec::new();
        while self.input.item()? {
            self.steps.push(Step::Index(items.len()));
            let value = self.value(&of.item, None)?;
            self.steps.pop();
            items.push(match value {
                Some(value) => value,
                None if of.item_pointer => Value::Null,
                None => zero(&of.item),
            });
        }
        Ok(items)
    }

    /// Bytes written as a list of numbers.
    fn byte_list(&mut self) -> Read {
        let mut bytes = Vec::new();
        while self.input.item()? {
            let token = self.input.value()?;
            skip(&mut self.input, &token)?;
            match leaf::read(ScalarKind::Uint8, token) {
                Leaf::Value(value) => bytes.push(value.as_u64().unwrap_or(0)),
                Leaf::Mistyped(words, _) => self.save(&words, "uint8"),
                _ => bytes.push(0),
            }
        }
        let bytes: Vec<u8> = bytes
            .into_iter()
            .filter_map(|b| b.try_into().ok())
            .collect();
        Ok(Some(crate::scalar::encode_base64(&bytes).into()))
    }

    /// Any JSON, as it is.
    fn any(&mut self, token: Token<'a>) -> Result<Value, Syntax> {
        Ok(match token {
            Token::Null => Value::Null,
            Token::Bool(yes) => yes.into(),
            Token::Number(text) => leaf::any_number(&text),
            Token::String(text) => text.into_owned().into(),
            Token::Array => {
                let mut items = Vec::new();
                while self.input.item()? {
                    let token = self.input.value()?;
                    items.push(self.any(token)?);
                }
                items.into()
            }
            Token::Object => {
                let mut map = Map::new();
                while let Some(key) = self.input.key()? {
                    let token = self.input.value()?;
                    let value = self.any(token)?;
                    map.insert(key.into_owned(), value);
                }
                map.into()
            }
        })
    }

    /// A JSON schema or something simpler. Go decodes these apart.
    fn schema_or(&mut self, kind: ScalarKind, token: Token<'a>) -> Read {
        // A test walks the whole table: the type is there.
        let Some(schema) = json_schema() else {
            skip(&mut self.input, &token)?;
            return Ok(None);
        };
        let outer = self.opaque;
        self.opaque.get_or_insert(self.steps.len());
        let saved = self.saved.take();
        let value = match (kind, token) {
            (_, Token::Object) => self.start(schema, Token::Object, None),
            (_, Token::Null) => Ok(None),
            (ScalarKind::SchemaOrBool, Token::Bool(yes)) => Ok(Some(yes.into())),
            (ScalarKind::SchemaOrBool, token) => {
                skip(&mut self.input, &token)?;
                self.stop(DecodeError::Malformed(
                    "boolean or JSON schema expected".to_owned(),
                ));
                Ok(None)
            }
            (ScalarKind::SchemaOrArray, Token::Array) => self.items_of(schema),
            (ScalarKind::SchemaOrStrings, Token::Array) => self.items_of(&TEXT),
            (_, token) => {
                skip(&mut self.input, &token)?;
                Ok(Some(Value::Null))
            }
        };
        self.opaque = outer;
        if let Some(inner) = self.saved.take() {
            self.stop(inner);
        }
        self.saved = saved;
        value
    }

    /// A list inside a self-decoding type; an empty one prints as `null`.
    fn items_of(&mut self, item: &'s Node) -> Read {
        let mut items = Vec::new();
        while self.input.item()? {
            let value = self.value(item, None)?;
            items.push(value.unwrap_or_else(|| zero(item)));
        }
        Ok(Some(if items.is_empty() {
            Value::Null
        } else {
            Value::Array(items)
        }))
    }
}

static TEXT: Node = Node::scalar(ScalarKind::String);
