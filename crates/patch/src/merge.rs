//! JSON merge patch (RFC 7396), with one habit of the API server: where a list
//! replaces something, nulls inside its objects are dropped too.

use serde_json::{Map, Value};

use crate::error::PatchError;

/// Applies a merge patch. A patch that is neither object nor list, or a document
/// that is `null`, is refused.
///
/// # Errors
/// [`PatchError::Malformed`] with upstream's words.
pub fn merge_patch(doc: Value, patch: &Value) -> Result<Value, PatchError> {
    if doc.is_null() {
        return Err(PatchError::Malformed("invalid JSON document".into()));
    }
    match patch {
        Value::Object(members) => Ok(merge_object(doc, members)),
        Value::Array(_) => Ok(without_nulls(patch)),
        _ => Err(PatchError::Malformed("invalid JSON patch".into())),
    }
}

fn merge_object(doc: Value, patch: &Map<String, Value>) -> Value {
    let Value::Object(mut members) = doc else {
        return without_nulls(&Value::Object(patch.clone()));
    };
    for (name, change) in patch {
        if change.is_null() {
            members.shift_remove(name);
            continue;
        }
        match members.get_mut(name) {
            Some(current) => *current = merge_value(current.take(), change),
            None => {
                members.insert(name.clone(), without_nulls(change));
            }
        }
    }
    Value::Object(members)
}

fn merge_value(current: Value, change: &Value) -> Value {
    match change {
        Value::Object(members) => merge_object(current, members),
        // A list over an object is taken as it stands; over anything else the
        // server walks into it.
        Value::Array(_) if !current.is_object() => without_nulls(change),
        _ => change.clone(),
    }
}

/// The value without members that are null. Null items of lists stay.
fn without_nulls(value: &Value) -> Value {
    match value {
        Value::Object(members) => members
            .iter()
            .filter(|(_, member)| !member.is_null())
            .map(|(name, member)| (name.clone(), without_nulls(member)))
            .collect(),
        Value::Array(items) => items.iter().map(without_nulls).collect(),
        other => other.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn members_are_set_merged_and_removed() {
        let rows = [
            (json!({"a": "b"}), json!({"a": "c"}), json!({"a": "c"})),
            (
                json!({"a": "b"}),
                json!({"b": "c"}),
                json!({"a": "b", "b": "c"}),
            ),
            (
                json!({"a": "b", "b": "c"}),
                json!({"a": null}),
                json!({"b": "c"}),
            ),
            (json!({"a": ["b"]}), json!({"a": "c"}), json!({"a": "c"})),
            (
                json!({"a": {"b": "c"}}),
                json!({"a": {"b": "d", "c": null}}),
                json!({"a": {"b": "d"}}),
            ),
            (
                json!({"a": [{"b": "c"}]}),
                json!({"a": [1]}),
                json!({"a": [1]}),
            ),
            (
                json!({"e": null}),
                json!({"a": 1}),
                json!({"e": null, "a": 1}),
            ),
            (
                json!([1, 2]),
                json!({"a": "b", "c": null}),
                json!({"a": "b"}),
            ),
            (
                json!({}),
                json!({"a": {"bb": {"ccc": null}}}),
                json!({"a": {"bb": {}}}),
            ),
            (json!({"a": "b"}), json!(["c"]), json!(["c"])),
        ];
        for (doc, patch, want) in rows {
            assert_eq!(merge_patch(doc, &patch).unwrap(), want);
        }
    }

    #[test]
    fn a_scalar_is_no_patch() {
        for patch in [json!("bar"), json!(null), json!(3)] {
            let error = merge_patch(json!({}), &patch).unwrap_err();
            assert_eq!(
                (error.code(), error.to_string()),
                (400, "invalid JSON patch".into())
            );
        }
    }
}
