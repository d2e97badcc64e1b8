//! Taking fields out of an object.

use serde_json::{Map, Value};

use super::items::item_element;
use crate::fields::{Element, FieldSet};
use crate::shape::{Atom, ListShape, MapShape, Relation, Shape};

/// `value` without the given fields. What becomes empty by that turns to null,
/// as upstream has it; encoding an object of a built-in kind drops it.
pub fn remove(shape: Shape<'_>, value: Value, fields: &FieldSet) -> Value {
    if fields.is_empty() {
        return value;
    }
    match shape.atom(Some(&value)) {
        Atom::Scalar(_) => value,
        Atom::Map(map) => match value {
            Value::Object(members) => remove_members(map, members, fields),
            _ => Value::Null,
        },
        Atom::List(list) => match value {
            Value::Array(items) => remove_items(list, items, fields),
            _ => Value::Null,
        },
    }
}

fn remove_members(map: MapShape<'_>, members: Map<String, Value>, fields: &FieldSet) -> Value {
    if map.atomic {
        return Value::Null;
    }
    let mut out = Map::with_capacity(members.len());
    for (name, member) in members {
        let element = Element::field(&name);
        if fields.has_member(&element) {
            continue;
        }
        let below = fields.below(&element);
        let shape = map.field(&name).or_else(|| map.element());
        let member = match shape {
            Some(shape) if !below.is_empty() => remove(shape, member, below),
            _ => member,
        };
        out.insert(name, member);
    }
    if out.is_empty() {
        Value::Null
    } else {
        Value::Object(out)
    }
}

fn remove_items(list: ListShape<'_>, items: Vec<Value>, fields: &FieldSet) -> Value {
    if matches!(list.relation, Relation::Atomic) {
        return Value::Null;
    }
    let mut out = Vec::with_capacity(items.len());
    for item in items {
        let Ok(element) = item_element(list, &item) else {
            out.push(item);
            continue;
        };
        if !fields.has_member(&element) {
            out.push(remove(list.element, item, fields.below(&element)));
        }
    }
    if out.is_empty() {
        Value::Null
    } else {
        Value::Array(out)
    }
}

/// The set with those parents in it that are declared fields: an applier that
/// owns `.spec.replicas` brought `.spec` too, and takes it along when it goes.
pub(crate) fn with_named_parents(shape: Option<Shape<'_>>, set: &FieldSet) -> FieldSet {
    let mut out = FieldSet::new();
    for (element, member, below) in set.steps() {
        let (declared, inner) = match (shape, element) {
            (None, _) => (false, None),
            (Some(shape), Element::Field(name)) => match shape.as_map() {
                Some(map) => {
                    let field = map.field(name);
                    (field.is_some(), field.or_else(|| map.element()))
                }
                None => (false, None),
            },
            (Some(shape), _) => (false, shape.as_list().map(|list| list.element)),
        };
        let named = declared && !below.is_empty();
        out.insert_node(
            element.clone(),
            member || named,
            with_named_parents(inner, below),
        );
    }
    out
}
