//! Laying an applied object over the live one.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value};

use super::TypeErrors;
use super::check::check_scalar;
use super::items::item_element;
use crate::fields::Element;
use crate::shape::{Atom, ListShape, MapShape, Relation, Shape};

/// `live` with everything that `applied` sets. Keyed lists and sets are merged
/// item by item; items that only the live object has keep their place between
/// those that `applied` puts in order.
///
/// # Errors
/// If an item has no identity, `applied` has one twice, or both hold something
/// that the type does not know.
pub fn merge(shape: Shape<'_>, live: Value, applied: &Value) -> Result<Value, TypeErrors> {
    Ok(at(shape, Some(live), Some(applied))?.unwrap_or(Value::Null))
}

fn at(
    shape: Shape<'_>,
    live: Option<Value>,
    applied: Option<&Value>,
) -> Result<Option<Value>, TypeErrors> {
    // Nothing to lay over: the live value stays as it is.
    let Some(applied) = applied else {
        return Ok(live);
    };
    match shape.atom(Some(applied)) {
        Atom::Scalar(scalar) => {
            let fault = |value: Option<&Value>, prefix| {
                value.and_then(|value| check_scalar(scalar, value, prefix).err())
            };
            let (left, right) = (fault(live.as_ref(), "lhs: "), fault(Some(applied), "rhs: "));
            if let (Some(left), Some(right)) = (left, right) {
                let mut errors = TypeErrors::one(left);
                errors.0.extend(TypeErrors::one(right).0);
                return Err(errors);
            }
        }
        Atom::Map(map) => {
            let members = match live {
                Some(Value::Object(members)) => members,
                _ => Map::new(),
            };
            let change = applied.as_object().filter(|change| !change.is_empty());
            // Two empty maps are a leaf.
            let empty = members.is_empty() && change.is_none();
            if !map.atomic && !empty {
                return merge_map(map, members, change);
            }
        }
        Atom::List(list) => {
            let items = match live {
                Some(Value::Array(items)) => items,
                _ => Vec::new(),
            };
            let change = applied.as_array().map_or(&[][..], Vec::as_slice);
            let atomic = matches!(list.relation, Relation::Atomic);
            let empty = items.is_empty() && change.is_empty();
            if !atomic && !empty {
                return merge_list(list, items, change);
            }
        }
    }
    Ok(Some(applied.clone()))
}

fn merge_map(
    map: MapShape<'_>,
    mut members: Map<String, Value>,
    applied: Option<&Map<String, Value>>,
) -> Result<Option<Value>, TypeErrors> {
    for (name, value) in applied.into_iter().flatten() {
        let Some(shape) = map.field(name).or_else(|| map.element()) else {
            return Err(TypeErrors::one("field not declared in schema").below(format!(".{name}")));
        };
        let live = members.get_mut(name).map(Value::take);
        let merged =
            at(shape, live, Some(value)).map_err(|errors| errors.below(format!(".{name}")))?;
        match merged {
            Some(merged) => {
                members.insert(name.clone(), merged);
            }
            None => {
                members.shift_remove(name);
            }
        }
    }
    Ok((!members.is_empty()).then_some(Value::Object(members)))
}

/// The identities of a list's items, in order, and where the first of each stands.
struct Indexed {
    order: Vec<Element>,
    /// `None`: there twice, and therefore not merged.
    places: BTreeMap<Element, Option<usize>>,
}

fn index(list: ListShape<'_>, items: &[Value], duplicates: bool) -> Result<Indexed, TypeErrors> {
    let mut indexed = Indexed {
        order: Vec::with_capacity(items.len()),
        places: BTreeMap::new(),
    };
    let mut errors = TypeErrors::default();
    for (place, item) in items.iter().enumerate() {
        let element = match item_element(list, item) {
            Ok(element) => element,
            Err(why) => {
                let fault = TypeErrors::one(format!("element {place}: {why}"));
                errors.0.extend(fault.0);
                continue;
            }
        };
        if indexed.places.contains_key(&element) {
            if !duplicates {
                let fault = TypeErrors::one(format!("duplicate entries for key {element}"));
                errors.0.extend(fault.0);
                continue;
            }
            indexed.places.insert(element.clone(), None);
        } else {
            indexed.places.insert(element.clone(), Some(place));
        }
        indexed.order.push(element);
    }
    errors.into_result()?;
    Ok(indexed)
}

fn merge_list(
    list: ListShape<'_>,
    mut live: Vec<Value>,
    applied: &[Value],
) -> Result<Option<Value>, TypeErrors> {
    let right = index(list, applied, false)?;
    let left = index(list, &live, true)?;
    let mut shared = right
        .order
        .iter()
        .filter(|element| left.places.contains_key(element));
    let mut next_shared = shared.next();
    let mut taken: BTreeSet<&Element> = BTreeSet::new();
    let mut out = Vec::with_capacity(live.len().max(applied.len()));
    let (mut l, mut r) = (0, 0);
    let both = |live: &mut [Value], element: &Element| {
        let live = match left.places.get(element) {
            Some(Some(place)) => Some(live[*place].take()),
            // Items that are there twice are not merged with, only replaced.
            Some(None) => Some(Value::Null),
            None => None,
        };
        let place = right.places.get(element).copied().flatten();
        let applied = place.map(|place| &applied[place]);
        at(list.element, live, applied).map_err(|errors| errors.below(element))
    };
    while l < left.order.len() || r < right.order.len() {
        if let (Some(ours), Some(theirs)) = (left.order.get(l), right.order.get(r)) {
            if ours == theirs {
                taken.insert(ours);
                out.extend(both(&mut live, ours)?);
                (l, r) = (l + 1, r + 1);
                next_shared = shared.next();
                continue;
            }
            if right.places.contains_key(ours) && next_shared.is_some_and(|next| next != ours) {
                // Shared, but its turn by the applied order is later.
                l += 1;
                continue;
            }
        }
        if let Some(ours) = left.order.get(l) {
            if !right.places.contains_key(ours) {
                out.push(live[l].take());
                l += 1;
                continue;
            }
            if taken.contains(ours) {
                // Already merged with its counterpart.
                l += 1;
            }
        }
        if let Some(theirs) = right.order.get(r) {
            taken.insert(theirs);
            out.extend(both(&mut live, theirs)?);
            r += 1;
            if next_shared == Some(theirs) {
                next_shared = shared.next();
            }
        }
    }
    Ok((!out.is_empty()).then_some(Value::Array(out)))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn live_items_keep_their_place_between_applied_ones() {
        let node = schema::types().by_api_version("v1", "ConfigMap").unwrap();
        let object = |items: &Value| json!({"metadata": {"finalizers": items}});
        let rows = [
            (json!(["a", "b"]), json!(["b", "a"]), json!(["b", "a"])),
            (
                json!(["a", "x", "b"]),
                json!(["b", "a"]),
                json!(["x", "b", "a"]),
            ),
            (json!(["a", "b"]), json!(["z", "a"]), json!(["z", "a", "b"])),
            (json!(["b", "a"]), json!(["z", "a"]), json!(["b", "z", "a"])),
            (
                json!(["x", "a", "y", "b"]),
                json!(["a", "n", "b"]),
                json!(["x", "a", "y", "n", "b"]),
            ),
            (json!(["a", "a", "b"]), json!(["b", "a"]), json!(["b", "a"])),
            (json!([]), json!(["b", "a"]), json!(["b", "a"])),
            (json!(["a"]), json!([]), json!(["a"])),
            (json!(["a"]), json!(null), json!(["a"])),
        ];
        for (live, applied, want) in rows {
            let got = merge(Shape::new(node), object(&live), &object(&applied));
            assert_eq!(got, Ok(object(&want)), "{applied} over {live}");
        }
    }
}
