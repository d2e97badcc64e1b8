//! JSON patch (RFC 6902) as the API server applies it.
//!
//! The server is laxer than the RFC in some places, and clients have come to rely
//! on it: `replace` adds a member that is missing, `copy` of a missing member
//! makes a null, `test` against null holds for a missing member, a pointer's
//! first segment is ignored (so `data/x` means `/x`), and negative indices count
//! from the end. It is stricter in one: nothing but `replace` and `test` takes
//! the whole document. All operations or none are applied.

use serde_json::{Map, Value};

use crate::error::PatchError;

/// Operations in one patch.
pub const MAX_OPERATIONS: usize = 10_000;
/// Bytes that the `copy` operations of one patch may add, as encoded JSON.
pub const MAX_COPIED_BYTES: usize = 3 * 1024 * 1024;

/// Depth to which a patch may nest the document: operations can build what no
/// parser would have let in, and everything after walks it recursively.
pub const MAX_DEPTH: usize = 256;

/// Applies a JSON patch.
///
/// # Errors
/// [`PatchError::Malformed`] if `patch` is not a list of operations,
/// [`PatchError::TooManyOperations`], and [`PatchError::Rejected`] if an
/// operation is unknown, points nowhere, copies too much, or a test fails.
pub fn json_patch(mut doc: Value, patch: &Value) -> Result<Value, PatchError> {
    let operations = operations(patch)?;
    let mut copied = 0;
    for operation in operations {
        perform(&mut doc, operation, &mut copied)?;
    }
    Ok(doc)
}

fn operations(patch: &Value) -> Result<Vec<&Map<String, Value>>, PatchError> {
    let mismatch = |value: &Value, field: &str, want: &str| {
        PatchError::Malformed(format!(
            "error decoding patch: json: cannot unmarshal {} into Go {field} of type {want}",
            json_kind(value)
        ))
    };
    let items = match patch {
        Value::Null => return Ok(Vec::new()),
        Value::Array(items) => items,
        other => return Err(mismatch(other, "value", "[]handlers.jsonPatchOp")),
    };
    let mut operations = Vec::with_capacity(items.len());
    for item in items {
        let Value::Object(operation) = item else {
            return Err(mismatch(item, "value", "handlers.jsonPatchOp"));
        };
        for name in ["op", "path", "from"] {
            match operation.get(name) {
                None | Some(Value::String(_) | Value::Null) => {}
                Some(other) => {
                    let field = format!("struct field jsonPatchOp.{name}");
                    return Err(mismatch(other, &field, "string"));
                }
            }
        }
        operations.push(operation);
    }
    if operations.len() > MAX_OPERATIONS {
        return Err(PatchError::TooManyOperations {
            count: operations.len(),
            limit: MAX_OPERATIONS,
        });
    }
    Ok(operations)
}

fn json_kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "bool",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}

fn perform(
    doc: &mut Value,
    operation: &Map<String, Value>,
    copied: &mut usize,
) -> Result<(), PatchError> {
    let pointer = |name: &str| {
        operation
            .get(name)
            .and_then(Value::as_str)
            .ok_or_else(|| PatchError::rejected(format!("operation has no {name}")))
    };
    let value = operation.get("value");
    match operation
        .get("op")
        .and_then(Value::as_str)
        .unwrap_or("unknown")
    {
        "add" => add(doc, pointer("path")?, value.cloned().unwrap_or_default()),
        "remove" => remove(doc, pointer("path")?).map(drop),
        "replace" => replace(doc, pointer("path")?, value.cloned().unwrap_or_default()),
        "move" => {
            let from = pointer("from")?;
            let moved = remove(doc, from)?;
            add(doc, pointer("path")?, moved)
        }
        "copy" => {
            let copy = get(doc, pointer("from")?)?.cloned();
            let to = pointer("path")?;
            if let Some(copy) = &copy {
                *copied += encoded_len(copy);
                if *copied > MAX_COPIED_BYTES {
                    return Err(PatchError::rejected(format!(
                        "copies add more than {MAX_COPIED_BYTES} bytes"
                    )));
                }
            }
            add(doc, to, copy.unwrap_or_default())
        }
        "test" => test(doc, pointer("path")?, value.unwrap_or(&Value::Null)),
        other => Err(PatchError::rejected(format!("unknown operation {other:?}"))),
    }
}

/// The last segment of a pointer and the container it is looked up in.
fn parent<'d>(doc: &'d mut Value, pointer: &str) -> Result<(&'d mut Value, String), PatchError> {
    let missing = || PatchError::rejected(format!("nothing at {pointer:?}"));
    let (_, segments) = pointer.split_once('/').ok_or_else(missing)?;
    let mut at = doc;
    let mut segments = segments.split('/').peekable();
    while let Some(segment) = segments.next() {
        let name = unescape(segment);
        if segments.peek().is_none() {
            return Ok((at, name));
        }
        at = match at {
            Value::Object(members) => members.get_mut(&name).ok_or_else(missing)?,
            Value::Array(items) => {
                let index = position(&name, items.len()).ok_or_else(missing)?;
                items.get_mut(index).ok_or_else(missing)?
            }
            _ => return Err(missing()),
        };
    }
    Err(missing())
}

fn unescape(segment: &str) -> String {
    segment.replace("~1", "/").replace("~0", "~")
}

/// An index as the server reads it: signed decimal; below zero from `len`.
fn position(text: &str, len: usize) -> Option<usize> {
    let index: i64 = text.parse().ok()?;
    if index < 0 {
        len.checked_sub(usize::try_from(index.unsigned_abs()).ok()?)
    } else {
        usize::try_from(index).ok()
    }
}

fn no_index(name: &str) -> PatchError {
    PatchError::rejected(format!("no such index: {name:?}"))
}

fn no_container() -> PatchError {
    PatchError::rejected("a scalar has no members")
}

fn get<'d>(doc: &'d mut Value, pointer: &str) -> Result<Option<&'d Value>, PatchError> {
    let (container, name) = parent(doc, pointer)?;
    match container {
        Value::Object(members) => Ok(members.get(&name)),
        Value::Array(items) => position(&name, items.len())
            .and_then(|index| items.get(index))
            .map(Some)
            .ok_or_else(|| no_index(&name)),
        _ => Err(no_container()),
    }
}

/// Refuses to put `value` where `pointer` leads if that is too deep.
fn check_depth(pointer: &str, value: &Value) -> Result<(), PatchError> {
    if pointer.matches('/').count() + depth(value) > MAX_DEPTH {
        return Err(PatchError::rejected(format!(
            "deeper than {MAX_DEPTH} levels"
        )));
    }
    Ok(())
}

fn depth(value: &Value) -> usize {
    match value {
        Value::Object(members) => 1 + members.values().map(depth).max().unwrap_or(0),
        Value::Array(items) => 1 + items.iter().map(depth).max().unwrap_or(0),
        _ => 0,
    }
}

fn add(doc: &mut Value, pointer: &str, value: Value) -> Result<(), PatchError> {
    check_depth(pointer, &value)?;
    let (container, name) = parent(doc, pointer)?;
    match container {
        Value::Object(members) => {
            members.insert(name, value);
        }
        Value::Array(items) if name == "-" => items.push(value),
        Value::Array(items) => {
            let index = position(&name, items.len() + 1)
                .filter(|index| *index <= items.len())
                .ok_or_else(|| no_index(&name))?;
            items.insert(index, value);
        }
        _ => return Err(no_container()),
    }
    Ok(())
}

fn remove(doc: &mut Value, pointer: &str) -> Result<Value, PatchError> {
    let (container, name) = parent(doc, pointer)?;
    match container {
        Value::Object(members) => members
            .shift_remove(&name)
            .ok_or_else(|| PatchError::rejected(format!("nothing to remove at {pointer:?}"))),
        Value::Array(items) => {
            let index = position(&name, items.len())
                .filter(|index| *index < items.len())
                .ok_or_else(|| no_index(&name))?;
            Ok(items.remove(index))
        }
        _ => Err(no_container()),
    }
}

fn replace(doc: &mut Value, pointer: &str, value: Value) -> Result<(), PatchError> {
    if pointer.is_empty() {
        if !value.is_object() && !value.is_array() {
            return Err(PatchError::rejected(
                "the document must be an object or a list",
            ));
        }
        *doc = value;
        return Ok(());
    }
    check_depth(pointer, &value)?;
    let (container, name) = parent(doc, pointer)?;
    match container {
        Value::Object(members) => {
            members.insert(name, value);
        }
        Value::Array(items) => {
            let slot = position(&name, items.len())
                .and_then(|index| items.get_mut(index))
                .ok_or_else(|| no_index(&name))?;
            *slot = value;
        }
        _ => return Err(no_container()),
    }
    Ok(())
}

fn test(doc: &mut Value, pointer: &str, want: &Value) -> Result<(), PatchError> {
    let found = if pointer.is_empty() {
        Some(&*doc)
    } else {
        get(doc, pointer)?
    };
    if found.unwrap_or(&Value::Null) == want {
        Ok(())
    } else {
        Err(PatchError::rejected(format!("test failed at {pointer:?}")))
    }
}

/// Length of the value as compact JSON, without building it.
fn encoded_len(value: &Value) -> usize {
    struct Count(usize);
    impl std::io::Write for Count {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0 += bytes.len();
            Ok(bytes.len())
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }
    let mut count = Count(0);
    // Encoding a tree into a writer that never fails does not fail.
    let _ = serde_json::to_writer(&mut count, value);
    count.0
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn message(doc: Value, patch: &Value) -> (u16, String) {
        let error = json_patch(doc, patch).unwrap_err();
        (error.code(), error.to_string())
    }

    #[test]
    fn the_servers_own_ways_are_kept() {
        let doc = || json!({"data": {"a": "1"}, "l": [1, 2]});
        let rows = [
            (
                json!([{"op": "replace", "path": "/data/nope", "value": "x"}]),
                json!({"data": {"a": "1", "nope": "x"}, "l": [1, 2]}),
            ),
            (
                json!([{"op": "copy", "from": "/data/zz", "path": "/data/b"}]),
                json!({"data": {"a": "1", "b": null}, "l": [1, 2]}),
            ),
            (
                json!([{"op": "add", "path": "data/x", "value": "y"}]),
                json!({"data": {"a": "1"}, "l": [1, 2], "x": "y"}),
            ),
            (
                json!([{"op": "add", "path": "/l/-1", "value": 3}]),
                json!({"data": {"a": "1"}, "l": [1, 2, 3]}),
            ),
            (
                json!([{"op": "remove", "path": "/l/-1"}]),
                json!({"data": {"a": "1"}, "l": [1]}),
            ),
            (
                json!([{"op": "test", "path": "/data/none", "value": null}]),
                doc(),
            ),
            (
                json!([{"op": "add", "path": "/data/b"}]),
                json!({"data": {"a": "1", "b": null}, "l": [1, 2]}),
            ),
            (
                json!([{"op": "replace", "path": "", "value": {}}]),
                json!({}),
            ),
            (json!([]), doc()),
        ];
        for (patch, want) in rows {
            assert_eq!(json_patch(doc(), &patch).unwrap(), want, "{patch}");
        }
    }

    #[test]
    fn what_does_not_fit_is_rejected_in_one_sentence() {
        let rejected = "the server rejected our request due to an error in our request";
        for operation in [
            json!({"op": "remove", "path": "/data/nope"}),
            json!({"op": "add", "path": "/metadata/labels/a", "value": "b"}),
            json!({"op": "test", "path": "/data/a", "value": "other"}),
            json!({"op": "shuffle", "path": "/data/a"}),
            json!({"op": "add", "value": "x"}),
            json!({"op": "add", "path": "", "value": {}}),
            json!({"op": "add", "path": "/l/9", "value": 1}),
            json!({"op": "remove", "path": "/l/-3"}),
            json!({"op": "replace", "path": "/l/x", "value": 1}),
        ] {
            assert_eq!(
                message(
                    json!({"data": {"a": "1"}, "l": [1, 2]}),
                    &json!([operation])
                ),
                (422, rejected.to_owned()),
                "{operation}"
            );
        }
    }

    #[test]
    fn what_is_no_patch_is_a_bad_request() {
        assert_eq!(
            message(json!({}), &json!({"op": "add"})),
            (400, "error decoding patch: json: cannot unmarshal object into Go value of type []handlers.jsonPatchOp".into())
        );
        assert_eq!(
            message(json!({}), &json!([{"op": 1}])).1,
            "error decoding patch: json: cannot unmarshal number into Go struct field jsonPatchOp.op of type string"
        );
    }

    #[test]
    fn operations_are_limited() {
        let patch: Value =
            vec![json!({"op": "test", "path": "/a", "value": 1}); MAX_OPERATIONS + 1].into();
        assert_eq!(
            message(json!({"a": 1}), &patch),
            (413, "Request entity too large: The allowed maximum operations in a JSON patch is 10000, got 10001".into())
        );
    }

    #[test]
    fn copies_are_limited() {
        let doc = json!({"data": {"a": "x".repeat(200_000)}});
        let patch: Value = (0..20)
            .map(|n| json!({"op": "copy", "from": "/data", "path": format!("/data/b{n}")}))
            .collect();
        assert_eq!(message(doc, &patch).0, 422);
    }

    #[test]
    fn no_patch_nests_a_document_without_end() {
        // Each copy doubles the depth.
        let mut patch = Vec::new();
        let mut path = String::from("/a");
        for _ in 0..12 {
            patch.push(json!({"op": "copy", "from": "/a", "path": format!("{path}/a")}));
            path = path.repeat(2);
        }
        assert_eq!(message(json!({"a": {}}), &patch.into()).0, 422);
    }
}
