//! The fields that an object has: what its applier will own.

use std::collections::BTreeMap;

use serde_json::Value;

use super::items::item_element;
use crate::fields::{Element, FieldSet};
use crate::shape::{Atom, ListShape, MapShape, Relation, Shape};

/// All fields of `value`. Items that have no identity are left out; [`check`]
/// refuses them beforehand.
///
/// [`check`]: super::check
pub fn field_set(shape: Shape<'_>, value: &Value) -> FieldSet {
    match below(shape, value) {
        Fields::Leaf => FieldSet::new(),
        Fields::Set(set) => set,
    }
}

/// What is found at a path: the path itself, or things below it.
enum Fields {
    Leaf,
    Set(FieldSet),
}

fn below(shape: Shape<'_>, value: &Value) -> Fields {
    match shape.atom(Some(value)) {
        Atom::Scalar(_) => Fields::Leaf,
        Atom::Map(map) if map.atomic => Fields::Leaf,
        Atom::List(list) if matches!(list.relation, Relation::Atomic) => Fields::Leaf,
        Atom::Map(map) => Fields::Set(of_map(map, value)),
        Atom::List(list) => Fields::Set(of_list(list, value)),
    }
}

fn of_map(map: MapShape<'_>, value: &Value) -> FieldSet {
    let mut set = FieldSet::new();
    let Value::Object(members) = value else {
        return set;
    };
    for (name, member) in members {
        let declared = map.field(name);
        let Some(shape) = declared.or_else(|| map.element()) else {
            continue;
        };
        let empty = match member {
            Value::Null => true,
            Value::Object(members) => members.is_empty(),
            _ => false,
        };
        let (leaf, children) = match below(shape, member) {
            Fields::Leaf => (true, FieldSet::new()),
            Fields::Set(children) => (false, children),
        };
        let member = leaf || empty || declared.is_none();
        set.insert_node(Element::field(name), member, children);
    }
    set
}

fn of_list(list: ListShape<'_>, value: &Value) -> FieldSet {
    let mut set = FieldSet::new();
    let Value::Array(items) = value else {
        return set;
    };
    let mut found: BTreeMap<Element, Option<&Value>> = BTreeMap::new();
    for item in items {
        if let Ok(element) = item_element(list, item) {
            // An item that is there twice is owned whole: no field below it.
            found
                .entry(element)
                .and_modify(|first| *first = None)
                .or_insert(Some(item));
        }
    }
    for (element, item) in found {
        let children = match item.map(|item| below(list.element, item)) {
            Some(Fields::Set(children)) => children,
            Some(Fields::Leaf) | None => FieldSet::new(),
        };
        set.insert_node(element, true, children);
    }
    set
}
