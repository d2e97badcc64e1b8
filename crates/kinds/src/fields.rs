//! Reading and filling members of JSON trees, in Go's sense of "unset".
//!
//! Reads and writes the tree it is given. Invariants: nothing here panics on a
//! tree of another shape; a member of the wrong type is left for validation.

use serde_json::{Map, Value};

/// Whether a member is absent or null.
pub(crate) fn unset(map: &Map<String, Value>, name: &str) -> bool {
    map.get(name).is_none_or(Value::is_null)
}

/// Sets a member unless it is there: a pointer, map or list in Go.
pub(crate) fn fill(map: &mut Map<String, Value>, name: &str, value: impl Into<Value>) {
    if unset(map, name) {
        map.insert(name.into(), value.into());
    }
}

/// Sets a member unless it holds more than the zero value: a plain Go field.
pub(crate) fn fill_zero(map: &mut Map<String, Value>, name: &str, value: impl Into<Value>) {
    if map.get(name).is_none_or(is_zero) {
        map.insert(name.into(), value.into());
    }
}

/// Whether this is null, `""`, `0` or `false`.
pub(crate) fn is_zero(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::String(text) => text.is_empty(),
        Value::Number(number) => number.as_f64() == Some(0.0),
        Value::Bool(flag) => !flag,
        Value::Array(_) | Value::Object(_) => false,
    }
}

/// The member as an object, made when it is absent. A member of another type
/// is replaced; decoding has refused those before.
pub(crate) fn object<'a>(value: &'a mut Value, name: &str) -> &'a mut Map<String, Value> {
    if !value.is_object() {
        *value = Value::Object(Map::new());
    }
    let Value::Object(map) = value else {
        unreachable!("made an object above")
    };
    member(map, name)
}

/// The member of a map as an object, made when it is absent.
pub(crate) fn member<'a>(
    map: &'a mut Map<String, Value>,
    name: &str,
) -> &'a mut Map<String, Value> {
    let entry = map.entry(name).or_insert_with(|| Value::Object(Map::new()));
    if !entry.is_object() {
        *entry = Value::Object(Map::new());
    }
    let Value::Object(inner) = entry else {
        unreachable!("made an object above")
    };
    inner
}

/// The object at a pointer, if it is one.
pub(crate) fn map_at<'a>(
    value: &'a mut Value,
    pointer: &str,
) -> Option<&'a mut Map<String, Value>> {
    value.pointer_mut(pointer).and_then(Value::as_object_mut)
}

/// The member as an object, if it is one.
pub(crate) fn map_in<'a>(
    map: &'a mut Map<String, Value>,
    name: &str,
) -> Option<&'a mut Map<String, Value>> {
    map.get_mut(name).and_then(Value::as_object_mut)
}

/// The objects in a list member; none when it is absent.
pub(crate) fn items_mut<'a>(
    map: &'a mut Map<String, Value>,
    name: &str,
) -> impl Iterator<Item = &'a mut Map<String, Value>> {
    map.get_mut(name)
        .and_then(Value::as_array_mut)
        .into_iter()
        .flatten()
        .filter_map(Value::as_object_mut)
}

/// The elements of the list at a pointer; none when it is absent.
pub(crate) fn items<'a>(value: &'a Value, pointer: &str) -> &'a [Value] {
    value
        .pointer(pointer)
        .and_then(Value::as_array)
        .map_or(&[], Vec::as_slice)
}

/// The text at a pointer, empty when there is none.
pub(crate) fn text<'a>(value: &'a Value, pointer: &str) -> &'a str {
    value
        .pointer(pointer)
        .and_then(Value::as_str)
        .unwrap_or_default()
}

/// The text of a member, empty when there is none.
pub(crate) fn text_in<'a>(map: &'a Map<String, Value>, name: &str) -> &'a str {
    map.get(name).and_then(Value::as_str).unwrap_or_default()
}

/// The whole number at a pointer, 0 when there is none.
pub(crate) fn integer(value: &Value, pointer: &str) -> i64 {
    value
        .pointer(pointer)
        .and_then(Value::as_i64)
        .unwrap_or_default()
}

/// The flag at a pointer, false when there is none.
pub(crate) fn flag(value: &Value, pointer: &str) -> bool {
    value
        .pointer(pointer)
        .and_then(Value::as_bool)
        .unwrap_or_default()
}

/// Removes a member, keeping the order of the others.
pub(crate) fn remove(value: &mut Value, name: &str) {
    if let Some(map) = value.as_object_mut() {
        map.shift_remove(name);
    }
}

/// Sets a member, or removes it for `None`.
pub(crate) fn put(value: &mut Value, name: &str, member: Option<Value>) {
    if let Some(map) = value.as_object_mut() {
        put_member(map, name, member);
    }
}

/// Sets a member of a map, or removes it for `None`.
pub(crate) fn put_member(map: &mut Map<String, Value>, name: &str, member: Option<Value>) {
    match member {
        Some(member) => {
            map.insert(name.into(), member);
        }
        None => {
            map.shift_remove(name);
        }
    }
}

/// Gives `new` the member that `old` has, or has not.
pub(crate) fn keep(new: &mut Value, old: &Value, name: &str) {
    put(new, name, old.get(name).cloned());
}

/// Whether two members are equal where an absent one, null and an empty object
/// or list are the same.
pub(crate) fn same(a: &Value, b: Option<&Value>) -> bool {
    let empty = |value: &Value| match value {
        Value::Array(list) => list.is_empty(),
        Value::Object(map) => map.is_empty(),
        other => is_zero(other),
    };
    match b {
        Some(b) => a == b || (empty(a) && empty(b)),
        None => empty(a),
    }
}
