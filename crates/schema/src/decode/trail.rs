//! Where the decoder is, and how Go names places and types in errors.

use std::borrow::Cow;
use std::fmt::Write as _;

use crate::input::Token;
use crate::node::{ListNode, MapNode, Node, Scalar, ScalarKind, Struct, Text};

/// One step from the root.
pub(crate) enum Step<'s, 'a> {
    Field { name: &'s str, of: &'s Struct },
    Key(Cow<'a, str>),
    Index(usize),
}

/// `spec.containers[0]`, with `last` as one more field.
pub(crate) fn path(steps: &[Step<'_, '_>], last: &str) -> String {
    let mut out = String::new();
    let member = |out: &mut String, name: &str| {
        if !out.is_empty() {
            out.push('.');
        }
        out.push_str(name);
    };
    for step in steps {
        match step {
            Step::Field { name, .. } => member(&mut out, name),
            Step::Key(key) => member(&mut out, key),
            Step::Index(index) => {
                let _infallible = write!(out, "[{index}]");
            }
        }
    }
    member(&mut out, last);
    out
}

/// `json: cannot unmarshal number into Go struct field Container.spec.containers.image of type string`.
pub(crate) fn mistyped(steps: &[Step<'_, '_>], words: &str, wanted: &str) -> String {
    let mut fields = String::new();
    let mut innermost = "";
    for step in steps {
        if let Step::Field { name, of } = step {
            fields.push('.');
            fields.push_str(name);
            innermost = of.short_name();
        }
    }
    if fields.is_empty() {
        return format!("json: cannot unmarshal {words} into Go value of type {wanted}");
    }
    format!(
        "json: cannot unmarshal {words} into Go struct field {innermost}{fields} of type {wanted}"
    )
}

/// What Go calls a JSON value.
pub(crate) fn words(token: &Token<'_>) -> &'static str {
    match token {
        Token::Null => "null",
        Token::Bool(_) => "bool",
        Token::Number(_) => "number",
        Token::String(_) => "string",
        Token::Object => "object",
        Token::Array => "array",
    }
}

/// The last part of `core/v1.Protocol`: `v1.Protocol`.
fn short(named: &str) -> &str {
    named.rsplit('/').next().unwrap_or(named)
}

/// The Go type of a node.
pub(crate) fn go_type(node: &Node) -> Cow<'_, str> {
    match node {
        Node::Scalar(Scalar { kind, named }) if named.is_empty() => kind_name(*kind).into(),
        Node::Scalar(Scalar { named, .. }) => short(named).into(),
        Node::Struct(of) => short(&of.get().name).into(),
        Node::List(list) => list_type(list),
        Node::Map(map) => map_type(map),
    }
}

fn list_type(list: &ListNode) -> Cow<'_, str> {
    if !list.named.is_empty() {
        return short(&list.named).into();
    }
    let star = if list.item_pointer { "*" } else { "" };
    format!("[]{star}{}", go_type(&list.item)).into()
}

fn map_type(map: &MapNode) -> Cow<'_, str> {
    let named: &Text = &map.named;
    match named.split_once(':') {
        None if !named.is_empty() => short(named).into(),
        Some((key, _)) if !key.is_empty() => {
            format!("map[{}]{}", short(key), go_type(&map.value)).into()
        }
        _ => format!("map[string]{}", go_type(&map.value)).into(),
    }
}

fn kind_name(kind: ScalarKind) -> &'static str {
    match kind {
        ScalarKind::String => "string",
        ScalarKind::Bool => "bool",
        ScalarKind::Int32 => "int32",
        ScalarKind::Int64 => "int64",
        ScalarKind::Uint8 => "uint8",
        ScalarKind::Float64 => "float64",
        ScalarKind::Bytes => "[]uint8",
        ScalarKind::Time => "v1.Time",
        ScalarKind::MicroTime => "v1.MicroTime",
        ScalarKind::Duration => "v1.Duration",
        ScalarKind::Quantity => "resource.Quantity",
        ScalarKind::IntOrString => "intstr.IntOrString",
        ScalarKind::Any => "interface {}",
        ScalarKind::SchemaOrBool => "v1.JSONSchemaPropsOrBool",
        ScalarKind::SchemaOrArray => "v1.JSONSchemaPropsOrArray",
        ScalarKind::SchemaOrStrings => "v1.JSONSchemaPropsOrStringArray",
    }
}
