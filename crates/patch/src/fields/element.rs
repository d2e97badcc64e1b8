//! One step of a field path, with its order and its texts.

use std::cmp::Ordering;
use std::fmt;

use serde_json::{Map, Value};
use smol_str::SmolStr;

use super::wire::FieldsError;
use crate::text;

/// One step of a path.
#[derive(Clone, Debug)]
pub enum Element {
    /// A member of an object.
    Field(SmolStr),
    /// An item of a keyed list: names and values of its key fields, by name.
    Key(Box<[(SmolStr, Value)]>),
    /// An item of a set.
    Value(Value),
    /// An item by position. Never made here, but read and kept.
    Index(i64),
}

impl Element {
    /// A member of an object.
    pub fn field(name: &str) -> Self {
        Self::Field(SmolStr::new(name))
    }

    /// An item of a keyed list; sorts the key fields by name.
    pub fn key(mut fields: Vec<(SmolStr, Value)>) -> Self {
        fields.sort_by(|a, b| a.0.cmp(&b.0));
        Self::Key(fields.into_boxed_slice())
    }

    /// The member's name, if it is a member of an object.
    pub fn as_field(&self) -> Option<&str> {
        match self {
            Self::Field(name) => Some(name),
            _ => None,
        }
    }

    /// The step as a member name of `FieldsV1`, such as `k:{"name":"c"}`.
    pub fn to_wire(&self) -> String {
        match self {
            Self::Field(name) => {
                let mut out = String::with_capacity(name.len() + 2);
                out.push_str("f:");
                out.push_str(name);
                out
            }
            Self::Key(fields) => {
                let mut out = String::from("k:{");
                for (index, (name, value)) in fields.iter().enumerate() {
                    if index > 0 {
                        out.push(',');
                    }
                    text::write_json_text(&mut out, name);
                    out.push(':');
                    out.push_str(&text::sorted_json(value));
                }
                out.push('}');
                out
            }
            Self::Value(value) => format!("v:{}", text::sorted_json(value)),
            Self::Index(index) => format!("i:{index}"),
        }
    }

    /// Reads a member name of `FieldsV1`. `None`: a kind of step that a later
    /// version may know; it is skipped.
    ///
    /// # Errors
    /// If the name has no known form or its value is not JSON.
    pub fn from_wire(name: &str) -> Result<Option<Self>, FieldsError> {
        let broken = || FieldsError::Element(name.to_owned());
        let (kind, rest) = match name.as_bytes() {
            [kind, b':', ..] => (*kind, &name[2..]),
            _ => return Err(broken()),
        };
        Ok(Some(match kind {
            b'f' => Self::field(rest),
            b'k' => {
                let fields: Map<String, Value> =
                    serde_json::from_str(rest).map_err(|_| broken())?;
                Self::key(
                    fields
                        .into_iter()
                        .map(|(name, value)| (SmolStr::from(name), value))
                        .collect(),
                )
            }
            b'v' => Self::Value(serde_json::from_str(rest).map_err(|_| broken())?),
            b'i' => Self::Index(rest.parse().map_err(|_| broken())?),
            _ => return Ok(None),
        }))
    }

    fn rank(&self) -> u8 {
        match self {
            Self::Field(_) => 0,
            Self::Key(_) => 1,
            Self::Value(_) => 2,
            Self::Index(_) => 3,
        }
    }
}

impl Ord for Element {
    fn cmp(&self, other: &Self) -> Ordering {
        match (self, other) {
            (Self::Field(a), Self::Field(b)) => a.as_str().cmp(b.as_str()),
            (Self::Key(a), Self::Key(b)) => {
                for (left, right) in a.iter().zip(b.iter()) {
                    let order = left
                        .0
                        .as_str()
                        .cmp(right.0.as_str())
                        .then_with(|| compare_values(&left.1, &right.1));
                    if order.is_ne() {
                        return order;
                    }
                }
                a.len().cmp(&b.len())
            }
            (Self::Value(a), Self::Value(b)) => compare_values(a, b),
            (Self::Index(a), Self::Index(b)) => a.cmp(b),
            _ => self.rank().cmp(&other.rank()),
        }
    }
}

impl PartialOrd for Element {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Element {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Element {}

/// The order of values in field sets: numbers, texts, booleans, lists, objects,
/// null; whole and broken numbers compare by size.
pub fn compare_values(a: &Value, b: &Value) -> Ordering {
    let rank = |value: &Value| match value {
        Value::Number(_) => 0,
        Value::String(_) => 1,
        Value::Bool(_) => 2,
        Value::Array(_) => 3,
        Value::Object(_) => 4,
        Value::Null => 5,
    };
    match (a, b) {
        (Value::Number(a), Value::Number(b)) => match (a.as_i64(), b.as_i64()) {
            (Some(a), Some(b)) => a.cmp(&b),
            _ => a
                .as_f64()
                .unwrap_or(f64::INFINITY)
                .total_cmp(&b.as_f64().unwrap_or(f64::INFINITY)),
        },
        (Value::String(a), Value::String(b)) => a.cmp(b),
        (Value::Bool(a), Value::Bool(b)) => a.cmp(b),
        (Value::Array(a), Value::Array(b)) => {
            for (left, right) in a.iter().zip(b) {
                let order = compare_values(left, right);
                if order.is_ne() {
                    return order;
                }
            }
            a.len().cmp(&b.len())
        }
        (Value::Object(a), Value::Object(b)) => {
            let sorted = |members: &Map<String, Value>| {
                let mut names: Vec<String> = members.keys().cloned().collect();
                names.sort_unstable();
                names
            };
            let (left, right) = (sorted(a), sorted(b));
            for (left_name, right_name) in left.iter().zip(&right) {
                let order = left_name
                    .cmp(right_name)
                    .then_with(|| compare_values(&a[left_name], &b[right_name]));
                if order.is_ne() {
                    return order;
                }
            }
            left.len().cmp(&right.len())
        }
        _ => rank(a).cmp(&rank(b)),
    }
}

impl fmt::Display for Element {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Field(name) => write!(f, ".{name}"),
            Self::Key(fields) => {
                f.write_str("[")?;
                for (index, (name, value)) in fields.iter().enumerate() {
                    if index > 0 {
                        f.write_str(",")?;
                    }
                    write!(f, "{name}={}", value_text(value))?;
                }
                f.write_str("]")
            }
            Self::Value(value) => write!(f, "[={}]", value_text(value)),
            Self::Index(index) => write!(f, "[{index}]"),
        }
    }
}

/// A value inside a path: texts in quotes.
fn value_text(value: &Value) -> String {
    match value {
        Value::Null => "null".to_owned(),
        Value::String(text) => text::quote(text),
        Value::Array(items) => {
            let items: Vec<_> = items.iter().map(value_text).collect();
            format!("[{}]", items.join(","))
        }
        Value::Object(members) => {
            let members: Vec<_> = members
                .iter()
                .map(|(name, member)| format!("{name}={}", value_text(member)))
                .collect();
            format!("{{{}}}", members.join(";"))
        }
        other => text::plain(other),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn steps_survive_the_wire() {
        for wire in [
            "f:spec",
            "f:kubectl.kubernetes.io/last-applied-configuration",
            r#"k:{"containerPort":80,"protocol":"TCP"}"#,
            r#"v:"example.com/x""#,
            "v:1",
            "i:3",
        ] {
            let element = Element::from_wire(wire).unwrap().unwrap();
            assert_eq!(element.to_wire(), wire);
        }
        assert_eq!(
            Element::from_wire(r#"k:{"b":1,"a":2}"#)
                .unwrap()
                .unwrap()
                .to_wire(),
            r#"k:{"a":2,"b":1}"#
        );
    }

    #[test]
    fn garbled_steps_are_errors_and_unknown_ones_are_skipped() {
        for wire in ["spec", "", "k:{", "v:", "i:x", "k:[]"] {
            assert!(Element::from_wire(wire).is_err(), "{wire}");
        }
        assert!(Element::from_wire("z:later").unwrap().is_none());
    }

    #[test]
    fn steps_print_as_in_conflicts() {
        let rows = [
            ("f:spec", ".spec"),
            (
                r#"k:{"containerPort":80,"protocol":"TCP"}"#,
                r#"[containerPort=80,protocol="TCP"]"#,
            ),
            (r#"v:"x""#, r#"[="x"]"#),
            ("i:2", "[2]"),
        ];
        for (wire, want) in rows {
            assert_eq!(Element::from_wire(wire).unwrap().unwrap().to_string(), want);
        }
    }

    #[test]
    fn numbers_stand_before_texts_and_fields_before_keys() {
        assert!(compare_values(&json!(2), &json!(10)).is_lt());
        assert!(compare_values(&json!(1), &json!(1.0)).is_eq());
        assert!(compare_values(&json!(99), &json!("1")).is_lt());
        assert!(Element::field("z") < Element::from_wire(r#"k:{"a":1}"#).unwrap().unwrap());
    }
}
