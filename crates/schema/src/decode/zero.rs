//! What Go prints for a value that was never set.

use serde_json::{Map, Value};

use crate::node::{Field, Node, Omit, ScalarKind, Struct};

/// The printed form of a node's zero value.
pub fn zero(node: &Node) -> Value {
    match node {
        Node::Struct(of) => Value::Object(zero_struct(of.get())),
        Node::List(_) | Node::Map(_) => Value::Null,
        Node::Scalar(scalar) => match scalar.kind {
            ScalarKind::String => "".into(),
            ScalarKind::Bool => false.into(),
            ScalarKind::Int32
            | ScalarKind::Int64
            | ScalarKind::Uint8
            | ScalarKind::Float64
            | ScalarKind::IntOrString => 0.into(),
            ScalarKind::Quantity => "0".into(),
            ScalarKind::Duration => "0s".into(),
            ScalarKind::SchemaOrBool => false.into(),
            ScalarKind::Bytes
            | ScalarKind::Time
            | ScalarKind::MicroTime
            | ScalarKind::Any
            | ScalarKind::SchemaOrArray
            | ScalarKind::SchemaOrStrings => Value::Null,
        },
    }
}

fn zero_struct(of: &Struct) -> Map<String, Value> {
    of.fields
        .iter()
        .filter_map(|field| Some((field.name.clone().into_owned(), unset(field)?)))
        .collect()
}

/// What is printed for a field that is not set, if anything.
pub(crate) fn unset(field: &Field) -> Option<Value> {
    match field.omit {
        Omit::Empty | Omit::Zero => None,
        _ if field.pointer => Some(Value::Null),
        Omit::Never | Omit::Inert => Some(zero(&field.node)),
    }
}

/// Whether a set value is left out all the same.
pub(crate) fn omitted(field: &Field, value: &Value) -> bool {
    match field.omit {
        Omit::Never | Omit::Inert => false,
        Omit::Zero => value.is_null(),
        Omit::Empty if field.pointer => false,
        Omit::Empty => match value {
            Value::Null => true,
            Value::Bool(yes) => !yes,
            Value::Number(number) => number.as_f64() == Some(0.0),
            Value::String(text) => text.is_empty(),
            Value::Array(items) => items.is_empty(),
            Value::Object(map) => map.is_empty(),
        },
    }
}
