//! Label and field selectors: the query-string form and the object form.
//!
//! Source of the grammar: the API concepts page "Labels and Selectors" and the
//! answers of the real server to malformed ones.

use std::collections::BTreeMap;
use std::fmt;

use serde_json::Value;
use smol_str::SmolStr;

use crate::meta::StringMap;

/// How one requirement compares.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Match {
    /// The value is one of these.
    In(Vec<SmolStr>),
    /// The value is none of these, or the key is absent.
    NotIn(Vec<SmolStr>),
    /// The key is present.
    Exists,
    /// The key is absent.
    DoesNotExist,
    /// The value is an integer above this.
    GreaterThan(i64),
    /// The value is an integer below this.
    LessThan(i64),
}

/// One requirement of a label selector.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Requirement {
    /// Label key.
    pub key: SmolStr,
    /// Comparison.
    pub matches: Match,
}

impl Requirement {
    /// Whether the labels satisfy it.
    pub fn matches(&self, labels: &StringMap) -> bool {
        let value = labels.get(&self.key);
        let number = || value.and_then(|v| v.parse::<i64>().ok());
        match &self.matches {
            Match::In(values) => value.is_some_and(|v| values.contains(v)),
            Match::NotIn(values) => value.is_none_or(|v| !values.contains(v)),
            Match::Exists => value.is_some(),
            Match::DoesNotExist => value.is_none(),
            Match::GreaterThan(bound) => number().is_some_and(|v| v > *bound),
            Match::LessThan(bound) => number().is_some_and(|v| v < *bound),
        }
    }
}

/// A conjunction of requirements; the empty one matches everything.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct LabelSelector {
    /// All of these must hold.
    pub requirements: Vec<Requirement>,
    /// Matches nothing at all: what a missing selector means in most places.
    pub nothing: bool,
}

impl LabelSelector {
    /// Matches everything.
    pub fn everything() -> Self {
        Self::default()
    }

    /// Matches nothing.
    pub fn nothing() -> Self {
        Self {
            nothing: true,
            ..Self::default()
        }
    }

    /// From `matchLabels` alone, as in a Service's `spec.selector`.
    pub fn from_labels<K: AsRef<str>, V: AsRef<str>>(
        labels: impl IntoIterator<Item = (K, V)>,
    ) -> Self {
        let requirements = labels
            .into_iter()
            .map(|(key, value)| Requirement {
                key: key.as_ref().into(),
                matches: Match::In(vec![value.as_ref().into()]),
            })
            .collect();
        Self {
            requirements,
            nothing: false,
        }
    }

    /// From a `LabelSelector` object. `None` matches nothing, `{}` everything.
    pub fn from_spec(
        spec: Option<&k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector>,
    ) -> Self {
        let Some(spec) = spec else {
            return Self::nothing();
        };
        let empty = BTreeMap::new();
        let mut selector = Self::from_labels(spec.match_labels.as_ref().unwrap_or(&empty));
        for expression in spec.match_expressions.iter().flatten() {
            let values: Vec<SmolStr> = expression
                .values
                .iter()
                .flatten()
                .map(SmolStr::from)
                .collect();
            let matches = match expression.operator.as_str() {
                "In" => Match::In(values),
                "NotIn" => Match::NotIn(values),
                "Exists" => Match::Exists,
                "DoesNotExist" => Match::DoesNotExist,
                // Validation refuses other operators; a stored one matches nothing.
                _ => return Self::nothing(),
            };
            selector.requirements.push(Requirement {
                key: expression.key.as_str().into(),
                matches,
            });
        }
        selector
    }

    /// From a `LabelSelector` inside a JSON tree.
    pub fn from_json(spec: Option<&Value>) -> Self {
        let parsed = spec.and_then(|spec| serde_json::from_value(spec.clone()).ok());
        Self::from_spec(parsed.as_ref())
    }

    /// Whether it matches everything.
    pub fn is_empty(&self) -> bool {
        !self.nothing && self.requirements.is_empty()
    }

    /// Whether the labels satisfy every requirement.
    pub fn matches(&self, labels: &StringMap) -> bool {
        !self.nothing && self.requirements.iter().all(|r| r.matches(labels))
    }

    /// Parses `labelSelector=`: `a=b,c!=d,e in (f,g),h notin (i),j,!k,l>1,m<2`.
    pub fn parse(text: &str) -> Result<Self, SelectorError> {
        Parser { text, at: 0 }.selector()
    }
}

/// A selector text that cannot be read.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("{0}")]
pub struct SelectorError(pub String);

/// A recursive-descent reader over the selector text.
struct Parser<'a> {
    text: &'a str,
    at: usize,
}

#[derive(PartialEq, Eq, Clone, Copy, Debug)]
enum Token<'a> {
    Word(&'a str),
    Sign(&'a str),
    End,
}

impl fmt::Display for Token<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Token::Word(text) | Token::Sign(text) => f.write_str(text),
            Token::End => Ok(()),
        }
    }
}

impl<'a> Parser<'a> {
    fn next(&mut self) -> Token<'a> {
        let rest = &self.text[self.at..];
        let rest_trimmed = rest.trim_start_matches([' ', '\t', '\r', '\n']);
        let start = self.at + rest.len() - rest_trimmed.len();
        if rest_trimmed.is_empty() {
            self.at = self.text.len();
            return Token::End;
        }
        const SIGNS: [&str; 9] = ["!=", "==", "=", "!", "(", ")", ",", ">", "<"];
        if let Some(sign) = SIGNS.iter().find(|sign| rest_trimmed.starts_with(**sign)) {
            self.at = start + sign.len();
            return Token::Sign(sign);
        }
        let length = rest_trimmed
            .find(|c: char| " \t\r\n!=(),><".contains(c))
            .unwrap_or(rest_trimmed.len());
        self.at = start + length;
        Token::Word(&rest_trimmed[..length])
    }

    fn peek(&mut self) -> Token<'a> {
        let at = self.at;
        let token = self.next();
        self.at = at;
        token
    }

    fn selector(mut self) -> Result<LabelSelector, SelectorError> {
        let mut selector = LabelSelector::everything();
        if self.peek() == Token::End {
            return Ok(selector);
        }
        loop {
            selector.requirements.push(self.requirement()?);
            match self.next() {
                Token::End => return Ok(selector),
                Token::Sign(",") => match self.peek() {
                    Token::Word(_) | Token::Sign("!") => {}
                    found => {
                        return Err(SelectorError(format!(
                            "found '{found}', expected: identifier after ','"
                        )));
                    }
                },
                found => {
                    return Err(SelectorError(format!(
                        "found '{found}', expected: ',' or 'end of string'"
                    )));
                }
            }
        }
    }

    fn requirement(&mut self) -> Result<Requirement, SelectorError> {
        let negated = self.peek() == Token::Sign("!");
        if negated {
            self.next();
        }
        let key = match self.next() {
            Token::Word(key) => key,
            found => {
                return Err(SelectorError(format!(
                    "found '{found}', expected: !, identifier, or 'end of string'"
                )));
            }
        };
        check_key(key)?;
        let key = SmolStr::from(key);
        if negated {
            return Ok(Requirement {
                key,
                matches: Match::DoesNotExist,
            });
        }
        let matches = match self.peek() {
            Token::End | Token::Sign(",") => Match::Exists,
            Token::Sign("=" | "==") => {
                self.next();
                Match::In(vec![self.value()?])
            }
            Token::Sign("!=") => {
                self.next();
                Match::NotIn(vec![self.value()?])
            }
            Token::Sign(sign @ (">" | "<")) => {
                self.next();
                self.bound(&key, sign)?
            }
            Token::Word("in") => {
                self.next();
                Match::In(self.values()?)
            }
            Token::Word("notin") => {
                self.next();
                Match::NotIn(self.values()?)
            }
            found => {
                return Err(SelectorError(format!(
                    "found '{found}', expected: in, notin, =, ==, !=, gt, lt"
                )));
            }
        };
        Ok(Requirement { key, matches })
    }

    fn bound(&mut self, key: &str, sign: &str) -> Result<Match, SelectorError> {
        let value = self.value()?;
        let number = value.parse::<i64>().map_err(|_| {
            SelectorError(format!(
                "values[0][{key}]: Invalid value: {value:?}: for 'Gt', 'Lt' operators, the value must be an integer"
            ))
        })?;
        Ok(if sign == ">" {
            Match::GreaterThan(number)
        } else {
            Match::LessThan(number)
        })
    }

    fn value(&mut self) -> Result<SmolStr, SelectorError> {
        match self.peek() {
            Token::Word(value) => {
                self.next();
                check_value(value)?;
                Ok(value.into())
            }
            Token::End | Token::Sign(",") => Ok(SmolStr::default()),
            found => Err(SelectorError(format!(
                "found '{found}', expected: identifier"
            ))),
        }
    }

    fn values(&mut self) -> Result<Vec<SmolStr>, SelectorError> {
        let open = self.next();
        if open != Token::Sign("(") {
            return Err(SelectorError(format!("found '{open}', expected: '('")));
        }
        let mut values = Vec::new();
        loop {
            match self.next() {
                Token::Word(value) => {
                    check_value(value)?;
                    values.push(value.into());
                    match self.next() {
                        Token::Sign(",") if self.peek() == Token::Sign(")") => {
                            values.push("".into())
                        }
                        Token::Sign(",") => {}
                        Token::Sign(")") => break,
                        found => {
                            return Err(SelectorError(format!(
                                "found '{found}', expected: ',' or ')'"
                            )));
                        }
                    }
                }
                Token::Sign(",") => values.push("".into()),
                Token::Sign(")") => {
                    if values.is_empty() {
                        values.push("".into());
                    }
                    break;
                }
                found => {
                    return Err(SelectorError(format!(
                        "found '{found}', expected: ',', ')' or identifier"
                    )));
                }
            }
        }
        values.sort();
        values.dedup();
        Ok(values)
    }
}

fn check_key(key: &str) -> Result<(), SelectorError> {
    match name_errors(key) {
        None => Ok(()),
        Some(why) => Err(SelectorError(format!("key: Invalid value: {key:?}: {why}"))),
    }
}

fn check_value(value: &str) -> Result<(), SelectorError> {
    match label_value_errors(value) {
        None => Ok(()),
        Some(why) => Err(SelectorError(format!(
            "values[0]: Invalid value: {value:?}: {why}"
        ))),
    }
}

const NAME_PART: &str = "name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')";
const LABEL_VALUE: &str = "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyValue',  or 'my_value',  or '12345', regex used for validation is '(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')";
const SUBDOMAIN: &str = "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end with an alphanumeric character (e.g. 'example.com', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')";
const QUALIFIED: &str = "a qualified name must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]') with an optional DNS subdomain prefix and '/' (e.g. 'example.com/MyName')";

/// Whether a text is made of label characters and begins and ends with an
/// alphanumeric one; the empty text is not.
pub fn is_label_text(text: &str) -> bool {
    let bytes = text.as_bytes();
    let edge = |b: Option<&u8>| b.is_some_and(u8::is_ascii_alphanumeric);
    edge(bytes.first())
        && edge(bytes.last())
        && bytes
            .iter()
            .all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(b))
}

/// Whether a text is a lower-case RFC 1123 subdomain, its length aside.
pub fn is_subdomain(text: &str) -> bool {
    text.split('.').all(|label| {
        let bytes = label.as_bytes();
        let alnum = |b: &u8| b.is_ascii_lowercase() || b.is_ascii_digit();
        bytes.first().is_some_and(alnum)
            && bytes.last().is_some_and(alnum)
            && bytes.iter().all(|b| alnum(b) || *b == b'-')
    })
}

/// What is wrong with a qualified name (label key, annotation key, finalizer), if
/// anything; several faults are joined by `; `.
pub fn name_errors(key: &str) -> Option<String> {
    let mut faults = Vec::new();
    let parts: Vec<&str> = key.split('/').collect();
    let name = match parts.as_slice() {
        [name] => *name,
        [prefix, name] => {
            if prefix.is_empty() {
                faults.push("prefix part must be non-empty".to_owned());
            } else {
                if prefix.len() > 253 {
                    faults.push("prefix part must be no more than 253 bytes".to_owned());
                }
                if !is_subdomain(prefix) {
                    faults.push(format!("prefix part {SUBDOMAIN}"));
                }
            }
            *name
        }
        _ => return Some(QUALIFIED.to_owned()),
    };
    if name.is_empty() {
        faults.push("name part must be non-empty".to_owned());
    } else if name.len() > 63 {
        faults.push("name part must be no more than 63 bytes".to_owned());
    }
    if !is_label_text(name) {
        faults.push(NAME_PART.to_owned());
    }
    if faults.is_empty() {
        None
    } else {
        Some(faults.join("; "))
    }
}

/// What is wrong with a label value, if anything.
pub fn label_value_errors(value: &str) -> Option<String> {
    if value.is_empty() {
        return None;
    }
    let mut faults = Vec::new();
    if value.len() > 63 {
        faults.push("must be no more than 63 bytes");
    }
    if !is_label_text(value) {
        faults.push(LABEL_VALUE);
    }
    if faults.is_empty() {
        None
    } else {
        Some(faults.join("; "))
    }
}

/// `fieldSelector=`: terms of `path=value` or `path!=value`.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct FieldSelector {
    /// All of these must hold: path, value, whether it must be equal.
    pub terms: Vec<FieldTerm>,
}

/// One term of a [`FieldSelector`].
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct FieldTerm {
    /// Field path, such as `spec.nodeName`.
    pub path: SmolStr,
    /// Value to compare with.
    pub value: SmolStr,
    /// Equal or unequal.
    pub equal: bool,
}

impl FieldSelector {
    /// Parses the query-string form; `\\`, `\,` and `\=` are escapes in values.
    pub fn parse(text: &str) -> Result<Self, SelectorError> {
        let mut terms = Vec::new();
        for term in split_unescaped(text) {
            if term.is_empty() {
                continue;
            }
            let bad = || {
                SelectorError(format!(
                    "invalid selector: '{text}'; can't understand '{term}'"
                ))
            };
            let operator = term.find(['=', '!']).ok_or_else(bad)?;
            let (path, rest) = term.split_at(operator);
            let (equal, value) = if let Some(value) = rest.strip_prefix("!=") {
                (false, value)
            } else if let Some(value) = rest.strip_prefix("==") {
                (true, value)
            } else if let Some(value) = rest.strip_prefix('=') {
                (true, value)
            } else {
                return Err(bad());
            };
            terms.push(FieldTerm {
                path: path.into(),
                value: unescape(value)?,
                equal,
            });
        }
        Ok(Self { terms })
    }

    /// Whether it matches everything.
    pub fn is_empty(&self) -> bool {
        self.terms.is_empty()
    }

    /// Whether every term holds; `field` gives the value of a path.
    pub fn matches<'a>(&self, field: impl Fn(&str) -> Option<&'a str>) -> bool {
        self.terms
            .iter()
            .all(|term| (field(&term.path).unwrap_or("") == term.value) == term.equal)
    }

    /// The value that `path` must equal, if the selector says so.
    pub fn required(&self, path: &str) -> Option<&str> {
        self.terms
            .iter()
            .find(|t| t.equal && t.path == path)
            .map(|t| t.value.as_str())
    }
}

fn split_unescaped(text: &str) -> Vec<&str> {
    let mut parts = Vec::new();
    let (mut start, mut escaped) = (0, false);
    for (at, c) in text.char_indices() {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            ',' => {
                parts.push(&text[start..at]);
                start = at + 1;
            }
            _ => {}
        }
    }
    parts.push(&text[start..]);
    parts
}

fn unescape(value: &str) -> Result<SmolStr, SelectorError> {
    if !value.contains(['\\', '=']) {
        return Ok(value.into());
    }
    let mut out = String::with_capacity(value.len());
    let mut chars = value.chars();
    while let Some(c) = chars.next() {
        match c {
            '\\' => match chars.next() {
                Some(c @ ('\\' | ',' | '=')) => out.push(c),
                Some(c) => {
                    return Err(SelectorError(format!(
                        "invalid field selector: invalid escape sequence: \\{c}"
                    )));
                }
                None => {
                    return Err(SelectorError(
                        "invalid field selector: invalid escape sequence: \\".into(),
                    ));
                }
            },
            '=' | ',' => {
                return Err(SelectorError(format!(
                    "invalid field selector: unescaped rune in: {value}: {c}"
                )));
            }
            c => out.push(c),
        }
    }
    Ok(out.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(pairs: &[(&str, &str)]) -> StringMap {
        pairs
            .iter()
            .map(|(k, v)| ((*k).into(), (*v).into()))
            .collect()
    }

    #[test]
    fn label_selectors_match_as_documented() {
        let set = labels(&[("app", "web"), ("tier", "front"), ("n", "5")]);
        let rows = [
            ("", true),
            ("app=web", true),
            ("app==web,tier=front", true),
            ("app!=web", false),
            ("other!=web", true),
            ("app in (web, db)", true),
            ("app notin (web)", false),
            ("other notin (web)", true),
            ("app", true),
            ("!app", false),
            ("!other", true),
            ("n>4", true),
            ("n<5", false),
            ("tier in ()", false),
        ];
        for (text, want) in rows {
            assert_eq!(
                LabelSelector::parse(text).unwrap().matches(&set),
                want,
                "{text}"
            );
        }
    }

    #[test]
    fn malformed_label_selectors_are_refused() {
        for text in [
            "a=b,", "=b", "a in b", "a in (b", "a b", ",", "a=b c", "-a", "a=-b", "a>x",
        ] {
            assert!(LabelSelector::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn field_selectors_know_their_escapes() {
        let selector = FieldSelector::parse(r"a=x\,y,b!=z,c==").unwrap();
        let field = |path: &str| match path {
            "a" => Some("x,y"),
            "b" => Some("q"),
            _ => None,
        };
        assert!(selector.matches(field));
        assert!(FieldSelector::parse("a").is_err());
        assert!(FieldSelector::parse("a=b=c").is_err());
    }
}
