//! The v2 document as protobuf: `openapi.v2.Document` of the gnostic models.
//!
//! Pure: from the JSON of the document to bytes, one path or definition at a time,
//! so that no tree of the whole is ever made. Extensions are YAML in there, and JSON
//! is YAML. Source of the numbers: `OpenAPIv2.proto` of gnostic-models 0.7.

use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Map, Value};

mod message;
mod schema;

use message::Message;

/// The document's members, unparsed.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Parts<'d> {
    swagger: String,
    info: Map<String, Value>,
    #[serde(borrow)]
    paths: Members<'d>,
    #[serde(borrow)]
    definitions: Members<'d>,
    parameters: Map<String, Value>,
    security: Vec<Map<String, Value>>,
    security_definitions: Map<String, Value>,
}

/// An object's members in order, unparsed.
struct Members<'d>(Vec<(String, &'d RawValue)>);

impl<'de: 'd, 'd> Deserialize<'de> for Members<'d> {
    fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl<'de> serde::de::Visitor<'de> for Visitor {
            type Value = Members<'de>;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: serde::de::MapAccess<'de>>(
                self,
                mut map: A,
            ) -> Result<Self::Value, A::Error> {
                let mut members = Vec::new();
                while let Some(member) = map.next_entry()? {
                    members.push(member);
                }
                Ok(Members(members))
            }
        }
        from.deserialize_map(Visitor)
    }
}

/// Encodes a document. What is no v2 document becomes an empty one; ours is made by
/// [`super::v2`], and a test encodes it.
pub fn encode(json: &[u8]) -> Vec<u8> {
    let Ok(parts) = serde_json::from_slice::<Parts<'_>>(json) else {
        return Vec::new();
    };
    let mut document = Message::default();
    document.text(1, &parts.swagger);
    let mut info = Message::default();
    info.text(1, text(&parts.info, "title"));
    info.text(2, text(&parts.info, "version"));
    document.message(2, info);
    document.message(8, named(&parts.paths, 2, path));
    document.message(9, named(&parts.definitions, 1, schema::encode));
    let mut parameters = Message::default();
    for (name, value) in &parts.parameters {
        parameters.message(1, pair(name, parameter(value)));
    }
    document.message(10, parameters);
    for requirement in &parts.security {
        document.message(12, security(requirement));
    }
    document.message(13, security_definitions(&parts.security_definitions));
    document.finish()
}

/// Encodes members one after the other, each parsed alone, as entries of `number`.
fn named(members: &Members<'_>, number: u32, encode: fn(&Value) -> Message) -> Message {
    let mut all = Message::default();
    for (name, raw) in &members.0 {
        // A part of a text that was parsed already is JSON.
        let value = serde_json::from_str(raw.get()).unwrap_or(Value::Null);
        all.message(number, pair(name, encode(&value)));
    }
    all
}

/// A named value: name 1, value 2.
fn pair(name: &str, value: Message) -> Message {
    let mut pair = Message::default();
    pair.text(1, name);
    pair.message(2, value);
    pair
}

fn text<'m>(members: &'m Map<String, Value>, name: &str) -> &'m str {
    members.get(name).and_then(Value::as_str).unwrap_or("")
}

fn path(value: &Value) -> Message {
    let mut item = Message::default();
    let methods = ["get", "put", "post", "delete", "options", "head", "patch"];
    for (number, method) in (2..).zip(methods) {
        if let Some(found) = value.get(method) {
            item.message(number, operation(found));
        }
    }
    for found in items(value, "parameters") {
        item.message(9, parameter_item(found));
    }
    item
}

fn operation(value: &Value) -> Message {
    let member = |name: &str| value.get(name).and_then(Value::as_str).unwrap_or("");
    let mut made = Message::default();
    made.texts(1, items(value, "tags"));
    made.text(3, member("description"));
    made.text(5, member("operationId"));
    made.texts(6, items(value, "produces"));
    made.texts(7, items(value, "consumes"));
    for found in items(value, "parameters") {
        made.message(8, parameter_item(found));
    }
    let mut responses = Message::default();
    for (code, answer) in value
        .get("responses")
        .and_then(Value::as_object)
        .into_iter()
        .flatten()
    {
        let mut response = Message::default();
        response.text(
            1,
            answer
                .get("description")
                .and_then(Value::as_str)
                .unwrap_or(""),
        );
        if let Some(found) = answer.get("schema") {
            response.message(2, Message::wrapping(1, schema::encode(found)));
        }
        responses.message(1, pair(code, Message::wrapping(1, response)));
    }
    made.message(9, responses);
    made.texts(10, items(value, "schemes"));
    message::extensions(&mut made, 13, value);
    made
}

/// A parameter in place, or a reference to one.
fn parameter_item(value: &Value) -> Message {
    match value.get("$ref").and_then(Value::as_str) {
        Some(target) => {
            let mut reference = Message::default();
            reference.text(1, target);
            Message::wrapping(2, reference)
        }
        None => Message::wrapping(1, parameter(value)),
    }
}

fn parameter(value: &Value) -> Message {
    let member = |name: &str| value.get(name).and_then(Value::as_str).unwrap_or("");
    let flag = |name: &str| value.get(name).and_then(Value::as_bool).unwrap_or(false);
    let mut made = Message::default();
    if member("in") == "body" {
        made.text(1, member("description"));
        made.text(2, member("name"));
        made.text(3, member("in"));
        made.flag(4, flag("required"));
        if let Some(found) = value.get("schema") {
            made.message(5, schema::encode(found));
        }
        return Message::wrapping(1, made);
    }
    // Query parameters have one member more than path parameters before the type.
    let (form, shift) = match member("in") {
        "query" => (3, 1),
        _ => (4, 0),
    };
    made.flag(1, flag("required"));
    made.text(2, member("in"));
    made.text(3, member("description"));
    made.text(4, member("name"));
    made.text(5 + shift, member("type"));
    made.text(6 + shift, member("format"));
    made.flag(19 + shift, flag("uniqueItems"));
    Message::wrapping(2, Message::wrapping(form, made))
}

fn security(requirement: &Map<String, Value>) -> Message {
    let mut made = Message::default();
    for (name, scopes) in requirement {
        let mut list = Message::default();
        list.texts(1, scopes.as_array().map(Vec::as_slice).unwrap_or_default());
        made.message(1, pair(name, list));
    }
    made
}

/// All of ours are keys in a header.
fn security_definitions(definitions: &Map<String, Value>) -> Message {
    let mut made = Message::default();
    for (name, value) in definitions {
        let mut key = Message::default();
        for (number, member) in [(1, "type"), (2, "name"), (3, "in"), (4, "description")] {
            key.text(
                number,
                value.get(member).and_then(Value::as_str).unwrap_or(""),
            );
        }
        made.message(1, pair(name, Message::wrapping(2, key)));
    }
    made
}

fn items<'v>(value: &'v Value, name: &str) -> &'v [Value] {
    let list = value.get(name).and_then(Value::as_array);
    list.map(Vec::as_slice).unwrap_or_default()
}
