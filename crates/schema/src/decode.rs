//! Decoding: JSON in, a value in canonical order out, and what is wrong with it.
//!
//! One pass over the input. Unknown fields are dropped and noted, values that do
//! not fit are told as Go tells them, and the result is what Go would print after
//! decoding: fields in Go's order, empty ones left out or printed as the type
//! says, maps sorted, quantities and times in canonical form.
//!
//! Invariant: never panics and never nests deeper than [`MAX_DEPTH`].
//!
//! [`MAX_DEPTH`]: crate::MAX_DEPTH

use serde_json::{Map, Value};

use crate::error::{DecodeError, Issue, TypeMeta};
use crate::input::{Input, Syntax, Token, Tree};
use crate::json::Json;
use crate::node::Node;

mod leaf;
mod slots;
mod trail;
mod walk;
mod zero;

pub use zero::zero;

/// A decoded value.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Decoded {
    /// In canonical form.
    pub value: Value,
    /// What strict decoding objects to, in the order of the input; at most
    /// [`MAX_ISSUES`](crate::MAX_ISSUES).
    pub issues: Vec<Issue>,
}

/// Decodes a JSON body.
///
/// A syntax error wins over a mistyped value, a value of bad form over a mistyped
/// one, and the first of its class is told.
pub fn decode(node: &Node, body: &[u8]) -> Result<Decoded, DecodeError> {
    run(node, Json::new(body), false)
}

/// Decodes a tree: the result of a patch, or YAML.
pub fn decode_value(node: &Node, value: Value) -> Result<Decoded, DecodeError> {
    run(node, Tree::new(value), false)
}

/// Brings `value` into the form that the server prints after storing it: as
/// [`decode_value`], and empty lists and maps that are always printed become
/// `null`, since the stored form cannot tell them from unset ones. Returns the
/// fields that were dropped.
///
/// On an error `value` is `null`.
pub fn canonical(node: &Node, value: &mut Value) -> Result<Vec<Issue>, DecodeError> {
    let decoded = run(node, Tree::new(value.take()), true)?;
    *value = decoded.value;
    Ok(decoded.issues)
}

fn run<'a>(node: &Node, input: impl Input<'a>, settle: bool) -> Result<Decoded, DecodeError> {
    let mut walk = walk::Walk::new(input, settle);
    let value = walk.root(node)?;
    walk.finish(value.unwrap_or_else(|| zero(node)))
}

/// Reads `apiVersion` and `kind` of a body without decoding it. Stops as soon as
/// both are known, so later syntax errors are left to [`decode`]. Names are
/// matched without regard to case, as upstream does here.
pub fn type_meta(body: &[u8]) -> Result<TypeMeta, DecodeError> {
    let mut input = Json::new(body);
    let token = input.value()?;
    let mut seen = TypeMeta::default();
    match token {
        Token::Object => {}
        Token::Null => return Ok(seen),
        other => {
            let words = format!(
                "json: cannot unmarshal {} into Go value of type struct {{ APIVersion string \"json:\\\"apiVersion,omitempty\\\"\"; Kind string \"json:\\\"kind,omitempty\\\"\" }}",
                trail::words(&other)
            );
            crate::input::skip(&mut input, &other)?;
            return Err(Syntax(words).into());
        }
    }
    let (mut has_version, mut has_kind) = (false, false);
    while let Some(key) = input.key()? {
        let token = input.value()?;
        let (slot, has, name) = if key.eq_ignore_ascii_case("kind") {
            (&mut seen.kind, &mut has_kind, "kind")
        } else if key.eq_ignore_ascii_case("apiVersion") {
            (&mut seen.api_version, &mut has_version, "apiVersion")
        } else {
            crate::input::skip(&mut input, &token)?;
            continue;
        };
        match token {
            Token::String(text) => {
                *slot = text.into_owned();
                *has = true;
            }
            Token::Null => {}
            other => {
                return Err(Syntax(format!(
                    "json: cannot unmarshal {} into Go struct field .{name} of type string",
                    trail::words(&other)
                ))
                .into());
            }
        }
        if has_version && has_kind {
            break;
        }
    }
    if seen.api_version.matches('/').count() > 1 {
        return Err(DecodeError::GroupVersion(seen.api_version));
    }
    Ok(seen)
}

/// Puts `kind` and `apiVersion` in front, as Go prints them for a root type.
pub fn set_type(value: &mut Value, api_version: &str, kind: &str) {
    if let Value::Object(map) = value {
        let old = std::mem::take(map);
        let mut new = Map::with_capacity(old.len() + 2);
        new.insert("kind".to_owned(), kind.into());
        new.insert("apiVersion".to_owned(), api_version.into());
        new.extend(
            old.into_iter()
                .filter(|(key, _)| key != "kind" && key != "apiVersion"),
        );
        *map = new;
    }
}

/// The struct a JSON schema inside a definition is.
fn json_schema() -> Option<&'static Node> {
    crate::types().get("apiextensions/v1.JSONSchemaProps")
}
