//! `openapi.v2.Schema`.

use serde_json::Value;

use super::message::{Message, any, extensions};

/// Encodes a schema and those within it.
pub(super) fn encode(value: &Value) -> Message {
    let member = |name: &str| value.get(name).and_then(Value::as_str).unwrap_or("");
    let list = |name: &str| match value.get(name).and_then(Value::as_array) {
        Some(list) => list.as_slice(),
        None => &[],
    };
    let mut made = Message::default();
    made.text(1, member("$ref"));
    made.text(2, member("format"));
    made.text(4, member("description"));
    if let Some(default) = value.get("default") {
        made.message(5, any(default));
    }
    made.texts(19, list("required"));
    for allowed in list("enum") {
        made.message(20, any(allowed));
    }
    if let Some(values) = value.get("additionalProperties") {
        made.message(21, Message::wrapping(1, encode(values)));
    }
    if let Some(kind) = value.get("type") {
        let mut types = Message::default();
        types.texts(1, std::slice::from_ref(kind));
        made.message(22, types);
    }
    if let Some(items) = value.get("items") {
        made.message(23, Message::wrapping(1, encode(items)));
    }
    for part in list("allOf") {
        made.message(24, encode(part));
    }
    if let Some(properties) = value.get("properties").and_then(Value::as_object) {
        let mut all = Message::default();
        for (name, property) in properties {
            all.message(1, super::pair(name, encode(property)));
        }
        made.message(25, all);
    }
    extensions(&mut made, 31, value);
    made
}
