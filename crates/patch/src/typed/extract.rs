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
    let members = value.as_object().into_iter().flatten();
    FieldSet::from_steps(members.filter_map(|(name, member)| {
        let declared = map.field(name);
        let shape = declared.or_else(|| map.element())?;
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
        Some((Element::field(name), member, children))
    }))
}

fn of_list(list: ListShape<'_>, value: &Value) -> FieldSet {
    let Value::Array(items) = value else {
        return FieldSet::new();
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
    FieldSet::from_steps(found.into_iter().map(|(element, item)| {
        let children = match item.map(|item| below(list.element, item)) {
            Some(Fields::Set(children)) => children,
            Some(Fields::Leaf) | None => FieldSet::new(),
        };
        (element, true, children)
    }))
}
