//! Strategic merge patch: a merge patch that knows which lists merge, and by what.
//!
//! Which lists merge by which key stands in the kind's schema. Directives in the
//! patch: `$patch: replace|delete` for a map or a list item, `$retainKeys` for
//! the members that may stay, `$deleteFromPrimitiveList/x` and
//! `$setElementOrder/x` beside a list `x`. The order of a merged list is that of
//! `$setElementOrder`, else of the patch, with items that only the live list has
//! at their place between them. Custom resources have no such patch.

mod lists;

use serde_json::{Map, Value};

use crate::error::PatchError;
use crate::shape::{MemberPatch, Shape};
use crate::text;
use lists::{ListPatch, merge_list, order_by};

const PATCH: &str = "$patch";
const RETAIN_KEYS: &str = "$retainKeys";
const DELETE_FROM: &str = "$deleteFromPrimitiveList";
const ELEMENT_ORDER: &str = "$setElementOrder";

/// Applies a strategic merge patch to an object of the kind that `shape` describes.
///
/// # Errors
/// [`PatchError::Malformed`] for directives of a wrong form,
/// [`PatchError::Broken`] with upstream's words for what upstream answers with
/// 500, such as an item without merge key.
pub fn strategic(shape: Shape<'_>, doc: Value, patch: &Value) -> Result<Value, PatchError> {
    let doc = match doc {
        Value::Object(members) => members,
        Value::Null => Map::new(),
        other => return Err(bad_kind("map", &other)),
    };
    let Value::Object(patch) = patch else {
        return Err(PatchError::Malformed(format!(
            "json: cannot unmarshal {} into Go value of type map[string]interface {{}}",
            match patch {
                Value::Array(_) => "array",
                Value::String(_) => "string",
                Value::Bool(_) => "bool",
                Value::Number(_) => "number",
                // `null` is an empty patch.
                Value::Null | Value::Object(_) => return Ok(Value::Object(doc)),
            }
        )));
    };
    merge_map(shape, doc, patch.clone()).map(Value::Object)
}

fn broken(message: impl Into<String>) -> PatchError {
    PatchError::Broken(message.into())
}

fn malformed(what: &str) -> PatchError {
    PatchError::Malformed(format!("invalid patch format of {what}"))
}

fn bad_kind(want: &str, got: &Value) -> PatchError {
    let got = match got {
        Value::Null => "nil",
        Value::Bool(_) => "bool",
        Value::Number(number) if number.is_f64() => "float64",
        Value::Number(_) => "int64",
        Value::String(_) => "string",
        Value::Array(_) => "slice",
        Value::Object(_) => "map",
    };
    broken(format!("expected a {want}, but received a {got}"))
}

fn bad_patch_type(directive: &Value, map: &Map<String, Value>) -> PatchError {
    broken(format!(
        "unknown patch type: {} in map: {}",
        text::as_text(directive),
        text::plain(&Value::Object(map.clone()))
    ))
}

fn no_merge_key(map: &Map<String, Value>, key: &str) -> PatchError {
    broken(format!(
        "map: {} does not contain declared merge key: {key}",
        text::plain(&Value::Object(map.clone()))
    ))
}

/// How the member `name` of an object of type `shape` is patched.
fn lookup<'s>(shape: Shape<'s>, name: &str) -> Result<MemberPatch<'s>, PatchError> {
    shape.member_patch(name).ok_or_else(|| {
        broken(format!(
            "unable to find api field in struct {} for the json field {}",
            shape.type_name(),
            text::quote(name)
        ))
    })
}

fn merge_map(
    shape: Shape<'_>,
    mut original: Map<String, Value>,
    mut patch: Map<String, Value>,
) -> Result<Map<String, Value>, PatchError> {
    match patch.get(PATCH) {
        None => {}
        Some(Value::String(directive)) if directive == "replace" => {
            patch.shift_remove(PATCH);
            return Ok(patch);
        }
        Some(Value::String(directive)) if directive == "delete" => return Ok(Map::new()),
        Some(directive) => return Err(bad_patch_type(directive, &patch)),
    }
    retain_keys(&mut original, &mut patch)?;
    merge_ordered_lists(shape, &mut original, &mut patch)?;
    for (name, change) in patch {
        merge_member(shape, &mut original, &name, change)?;
    }
    Ok(original)
}

/// `$retainKeys`: the members of the result. Whatever the patch sets must be listed.
fn retain_keys(
    original: &mut Map<String, Value>,
    patch: &mut Map<String, Value>,
) -> Result<(), PatchError> {
    let Some(retained) = patch.shift_remove(RETAIN_KEYS) else {
        return Ok(());
    };
    let Value::Array(retained) = retained else {
        return Err(malformed("retainKeys"));
    };
    let retained: std::collections::HashSet<&str> =
        retained.iter().filter_map(Value::as_str).collect();
    let listed = patch.iter().all(|(name, change)| {
        change.is_null()
            || name.starts_with(DELETE_FROM)
            || name.starts_with(ELEMENT_ORDER)
            || retained.contains(name.as_str())
    });
    if !listed {
        return Err(malformed("retainKeys"));
    }
    original.retain(|name, _| retained.contains(name.as_str()));
    Ok(())
}

/// The list that a parallel directive such as `$setElementOrder/x` is about.
fn list_of<'n>(name: &'n str, prefix: &str, what: &str) -> Result<&'n str, PatchError> {
    match name.split_once('/') {
        Some((head, list)) if head == prefix => Ok(list),
        _ => Err(malformed(what)),
    }
}

fn as_list(value: Value) -> Result<Vec<Value>, PatchError> {
    match value {
        Value::Array(items) => Ok(items),
        other => Err(bad_kind("slice", &other)),
    }
}

/// Merges those lists for which the patch gives an order, and takes them out of
/// the patch.
fn merge_ordered_lists(
    shape: Shape<'_>,
    original: &mut Map<String, Value>,
    patch: &mut Map<String, Value>,
) -> Result<(), PatchError> {
    let directives: Vec<String> = patch
        .keys()
        .filter(|name| name.starts_with(ELEMENT_ORDER))
        .cloned()
        .collect();
    for directive in directives {
        let Some(order) = patch.shift_remove(&directive) else {
            continue;
        };
        let order = as_list(order)?;
        let name = list_of(&directive, ELEMENT_ORDER, "setElementOrder list")?;
        let live = original.get(name).cloned().map(as_list).transpose()?;
        let change = patch.get(name).cloned().map(as_list).transpose()?;
        let how = lookup(shape, name)?;
        if let Some(change) = &change {
            lists::check_order(change, &order, how.merge_key)?;
        }
        let merged = match (&live, &change) {
            (None, None) => continue,
            (Some(live), None) => live.clone(),
            (None, Some(change)) => without_directives(Value::Array(change.clone()))
                .map(as_list)
                .transpose()?
                .unwrap_or_default(),
            (Some(live), Some(change)) => merge_list(
                how,
                live.clone(),
                ListPatch {
                    items: change.clone(),
                    deletes: false,
                },
            )?,
        };
        let live = live.unwrap_or_default();
        lists::element_kind(&[&live, change.as_deref().unwrap_or_default()])?;
        let ordered = order_by(merged, &order, &live, how.merge_key)?;
        original.insert(name.to_owned(), Value::Array(ordered));
        patch.shift_remove(name);
    }
    Ok(())
}

fn merge_member(
    shape: Shape<'_>,
    original: &mut Map<String, Value>,
    name: &str,
    mut change: Value,
) -> Result<(), PatchError> {
    let deletes = name.starts_with(DELETE_FROM);
    let name = if deletes {
        list_of(name, DELETE_FROM, "primitive list")?
    } else {
        name
    };
    if change.is_null() {
        original.shift_remove(name);
        return Ok(());
    }
    let merged = match (original.get_mut(name), &mut change) {
        (Some(Value::Object(live)), Value::Object(change)) => {
            let how = lookup(shape, name)?;
            let change = std::mem::take(change);
            if how.replace {
                change
            } else {
                merge_map(how.shape, std::mem::take(live), change)?
            }
            .into()
        }
        (Some(Value::Array(live)), Value::Array(items)) => {
            let how = lookup(shape, name)?;
            let items = std::mem::take(items);
            if how.merge || deletes {
                merge_list(how, std::mem::take(live), ListPatch { items, deletes })?.into()
            } else {
                items.into()
            }
        }
        // A list to delete from that is not there, or is no list.
        _ if deletes => return Ok(()),
        _ => {
            discard_nulls(&mut change);
            match without_directives(change) {
                Some(change) => change,
                None => {
                    original.shift_remove(name);
                    return Ok(());
                }
            }
        }
    };
    original.insert(name.to_owned(), merged);
    Ok(())
}

/// Drops members that are null, at every depth.
fn discard_nulls(value: &mut Value) {
    match value {
        Value::Object(members) => {
            members.retain(|_, member| !member.is_null());
            members.values_mut().for_each(discard_nulls);
        }
        Value::Array(items) => items.iter_mut().for_each(discard_nulls),
        _ => {}
    }
}

/// The value without the parts that hold a `$patch`; `None` if it is one.
fn without_directives(value: Value) -> Option<Value> {
    match value {
        Value::Object(members) => {
            if members.contains_key(PATCH) {
                return None;
            }
            Some(
                members
                    .into_iter()
                    .filter_map(|(name, member)| Some((name, without_directives(member)?)))
                    .collect(),
            )
        }
        Value::Array(items) => Some(items.into_iter().filter_map(without_directives).collect()),
        other => Some(other),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn patch(kind: &str, doc: Value, patch: &Value) -> Result<Value, PatchError> {
        let node = schema::types().by_api_version("v1", kind).unwrap();
        strategic(Shape::new(node), doc, patch)
    }

    fn containers(list: Value) -> Value {
        json!({"spec": {"containers": list}})
    }

    #[test]
    fn keyed_lists_merge_in_the_order_of_patch_and_live_list() {
        let live =
            || containers(json!([{"name": "a", "image": "1"}, {"name": "b"}, {"name": "c"}]));
        let rows = [
            // What is new goes before what only the live list has.
            (json!([{"name": "n"}]), json!(["n", "a", "b", "c"])),
            (
                json!([{"name": "c"}, {"name": "a"}]),
                json!(["b", "c", "a"]),
            ),
            (
                json!([{"name": "b", "$patch": "delete"}]),
                json!(["a", "c"]),
            ),
            (json!([{"$patch": "replace"}, {"name": "z"}]), json!(["z"])),
        ];
        for (change, want) in rows {
            let got = patch("Pod", live(), &containers(change.clone())).unwrap();
            let names: Value = got["spec"]["containers"]
                .as_array()
                .unwrap()
                .iter()
                .map(|item| item["name"].clone())
                .collect();
            assert_eq!(names, want, "{change}");
        }
    }

    #[test]
    fn directives_act_on_their_own_level() {
        let rows = [
            (
                "ConfigMap",
                json!({"data": {"a": "1", "b": "2"}}),
                json!({"data": {"$patch": "replace", "c": "3"}}),
                json!({"data": {"c": "3"}}),
            ),
            (
                "ConfigMap",
                json!({"data": {"a": "1"}}),
                json!({"data": {"$patch": "delete"}}),
                json!({"data": {}}),
            ),
            (
                "ConfigMap",
                json!({"data": {"a": "1"}}),
                json!({"data": {"a": null, "b": null}}),
                json!({"data": {}}),
            ),
            (
                "ConfigMap",
                json!({}),
                json!({"data": {"a": null, "b": "1"}}),
                json!({"data": {"b": "1"}}),
            ),
            (
                "Pod",
                json!({"metadata": {"finalizers": ["a", "b"]}}),
                json!({"metadata": {"$deleteFromPrimitiveList/finalizers": ["a"]}}),
                json!({"metadata": {"finalizers": ["b"]}}),
            ),
            (
                "Pod",
                json!({"metadata": {"finalizers": ["a", "b"]}}),
                json!({"metadata": {"finalizers": ["c"]}}),
                json!({"metadata": {"finalizers": ["c", "a", "b"]}}),
            ),
            (
                "Pod",
                json!({"metadata": {"finalizers": ["a", "b", "c"]}}),
                json!({"metadata": {"$setElementOrder/finalizers": ["c", "b"], "finalizers": []}}),
                json!({"metadata": {"finalizers": ["a", "c", "b"]}}),
            ),
            (
                "Pod",
                json!({"spec": {"volumes": [{"name": "v", "emptyDir": {}}]}}),
                json!({"spec": {"volumes": [{"name": "v", "$retainKeys": ["name", "hostPath"], "hostPath": {"path": "/x"}}]}}),
                json!({"spec": {"volumes": [{"name": "v", "hostPath": {"path": "/x"}}]}}),
            ),
            // A list of which nothing says that it merges is replaced.
            (
                "Pod",
                json!({"spec": {"tolerations": [{"key": "a"}]}}),
                json!({"spec": {"tolerations": [{"key": "b"}]}}),
                json!({"spec": {"tolerations": [{"key": "b"}]}}),
            ),
        ];
        for (kind, doc, change, want) in rows {
            assert_eq!(patch(kind, doc, &change), Ok(want), "{change}");
        }
    }

    #[test]
    fn what_breaks_the_rules_is_told_in_upstreams_words() {
        let rows = [
            (
                containers(json!([{"image": "x"}])),
                500,
                "map: map[image:x] does not contain declared merge key: name",
            ),
            (
                json!({"metadata": {"labels": {"$patch": "melt"}}}),
                500,
                "unknown patch type: melt in map: map[$patch:melt]",
            ),
            (
                json!({"metadata": {"labels": {"$patch": 1}}}),
                500,
                "unknown patch type: %!s(int64=1) in map: map[$patch:1]",
            ),
            (
                containers(json!([{"$patch": "merge"}])),
                500,
                "merging lists cannot yet be specified in the patch",
            ),
            (
                json!({"metadata": {"$retainKeys": ["name"], "labels": {"a": "b"}}}),
                400,
                "invalid patch format of retainKeys",
            ),
            (
                json!({"spec": {"$setElementOrdercontainers": []}}),
                400,
                "invalid patch format of setElementOrder list",
            ),
            (
                json!({"metadata": {"$deleteFromPrimitiveList": []}}),
                400,
                "invalid patch format of primitive list",
            ),
            (
                json!({"metadata": {"finalizers": ["a", 1]}}),
                500,
                "list element types are not identical: [[z] [a 1]]",
            ),
            (
                json!({"metadata": {"finalizers": [["a"]]}}),
                500,
                "list element types are not identical: [[z] [[a]]]",
            ),
            (
                json!({"zebra": {"a": 1}}),
                500,
                "unable to find api field in struct Pod for the json field \"zebra\"",
            ),
            (
                json!([]),
                400,
                "json: cannot unmarshal array into Go value of type map[string]interface {}",
            ),
        ];
        for (change, code, want) in rows {
            let doc = json!({"metadata": {"labels": {"a": "1"}, "finalizers": ["z"]}, "zebra": {},
                "spec": {"containers": [{"name": "a"}]}});
            let error = patch("Pod", doc, &change).unwrap_err();
            assert_eq!((error.code(), error.to_string().as_str()), (code, want));
        }
    }
}
