//! `FieldsV1`, the JSON form of a field set.
//!
//! A path is a chain of members (`f:` field, `k:` key, `v:` value, `i:` index);
//! a path that has others below it is marked by a member `.`.

use serde_json::{Map, Value};

use super::element::Element;
use super::set::{FieldSet, Node};

/// A field set that cannot be read.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum FieldsError {
    /// A member that is no step of a path.
    #[error("invalid field path element {0:?}")]
    Element(String),
    /// A level that is not an object.
    #[error("a level of a field set must be an object")]
    Level,
    /// Deeper than [`MAX_DEPTH`].
    #[error("field set is nested deeper than {MAX_DEPTH} levels")]
    Depth,
}

/// Levels of a field set, above what any schema reaches.
pub(super) const MAX_DEPTH: usize = 512;

impl FieldSet {
    /// Reads `FieldsV1`.
    ///
    /// # Errors
    /// If it does not have that form.
    pub fn from_fields_v1(fields: &Value) -> Result<Self, FieldsError> {
        Ok(read(fields, 0)?.0)
    }

    /// Writes `FieldsV1` in canonical order.
    pub fn to_fields_v1(&self) -> Value {
        Value::Object(write(self, false))
    }
}

/// As [`FieldSet::is_touched_by`], for a set that is still in its canonical wire
/// form: most entries are not touched by a write and need not be read.
pub(crate) fn wire_is_touched_by(fields: &Value, other: &FieldSet) -> bool {
    let Value::Object(members) = fields else {
        return false;
    };
    other.nodes.iter().any(|theirs| {
        members
            .get(&theirs.element.to_wire())
            .is_some_and(|below| theirs.member || wire_is_touched_by(below, &theirs.children))
    })
}

/// A level, and whether it marks its own path.
fn read(fields: &Value, depth: usize) -> Result<(FieldSet, bool), FieldsError> {
    if depth > MAX_DEPTH {
        return Err(FieldsError::Depth);
    }
    let members = match fields {
        Value::Object(members) => members,
        Value::Null => return Ok((FieldSet::new(), false)),
        _ => return Err(FieldsError::Level),
    };
    let mut steps = Vec::with_capacity(members.len());
    let mut marked = false;
    for (name, below) in members {
        if name == "." {
            marked = true;
            continue;
        }
        let (children, member) = read(below, depth + 1)?;
        let Some(element) = Element::from_wire(name)? else {
            continue;
        };
        let member = member || children.is_empty();
        steps.push((element, member, children));
    }
    Ok((FieldSet::from_steps(steps.into_iter()), marked))
}

fn write(set: &FieldSet, marked: bool) -> Map<String, Value> {
    let mut members = Map::with_capacity(set.nodes.len() + usize::from(marked));
    if marked && !set.is_empty() {
        members.insert(".".to_owned(), Value::Object(Map::new()));
    }
    for Node {
        element,
        member,
        children,
    } in &set.nodes
    {
        members.insert(element.to_wire(), Value::Object(write(children, *member)));
    }
    members
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_set_is_read_and_written_in_canonical_order() {
        let sent = json!({"f:spec": {"f:b": {}, "f:a": {"f:x": {}, ".": {}},
            "f:l": {"k:{\"n\":\"2\"}": {".": {}, "f:n": {}}, "k:{\"n\":\"1\"}": {}}}, "f:data": {"f:k": {".": {}}}});
        let set = FieldSet::from_fields_v1(&sent).unwrap();
        assert_eq!(
            set.to_fields_v1().to_string(),
            r#"{"f:data":{"f:k":{}},"f:spec":{"f:a":{".":{},"f:x":{}},"f:b":{},"f:l":{"k:{\"n\":\"1\"}":{},"k:{\"n\":\"2\"}":{".":{},"f:n":{}}}}}"#
        );
    }

    #[test]
    fn a_set_is_touched_in_either_form() {
        let sent = json!({"f:spec": {"f:a": {}, "f:b": {"f:c": {}}}});
        let set = FieldSet::from_fields_v1(&sent).unwrap();
        for (paths, want) in [
            (FieldSet::of(&[&["spec", "a"]]), true),
            (FieldSet::of(&[&["spec", "b"]]), true),
            (FieldSet::of(&[&["spec", "b", "d"], &["status"]]), false),
            (FieldSet::new(), false),
        ] {
            assert_eq!(set.is_touched_by(&paths), want);
            assert_eq!(wire_is_touched_by(&sent, &paths), want);
        }
    }

    #[test]
    fn the_empty_set_is_an_empty_object() {
        assert_eq!(FieldSet::new().to_fields_v1(), json!({}));
        assert!(FieldSet::from_fields_v1(&json!({})).unwrap().is_empty());
        assert!(FieldSet::from_fields_v1(&json!(3)).is_err());
    }
}
