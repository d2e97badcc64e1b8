//! Lists in strategic merge patches: merging by key, deleting, and order.

use std::cmp::Ordering;
use std::collections::{HashMap, HashSet};

use serde_json::Value;

use super::{ELEMENT_ORDER, PATCH, bad_kind, bad_patch_type, broken, merge_map, no_merge_key};
use crate::error::PatchError;
use crate::shape::MemberPatch;
use crate::text;

/// What a patch does to a list.
pub(super) struct ListPatch {
    pub(super) items: Vec<Value>,
    /// Whether the items are to be deleted (`$deleteFromPrimitiveList`).
    pub(super) deletes: bool,
}

/// What a list's items are.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum ElementKind {
    Maps,
    Scalars,
}

/// The one kind of all items.
pub(super) fn element_kind(lists: &[&[Value]]) -> Result<ElementKind, PatchError> {
    let mut items = lists.iter().flat_map(|list| list.iter());
    let first = items
        .next()
        .ok_or_else(|| broken("no elements in any of the given slices"))?;
    if first.is_array() {
        return Err(PatchError::rejected("lists of lists are not supported"));
    }
    let name = text::type_name(first);
    if first.is_null() || items.any(|item| text::type_name(item) != name) {
        let lists: Vec<_> = lists
            .iter()
            .map(|list| text::plain(&Value::Array(list.to_vec())))
            .collect();
        return Err(broken(format!(
            "list element types are not identical: [{}]",
            lists.join(" ")
        )));
    }
    Ok(if first.is_object() {
        ElementKind::Maps
    } else {
        ElementKind::Scalars
    })
}

pub(super) fn merge_list(
    how: MemberPatch<'_>,
    live: Vec<Value>,
    patch: ListPatch,
) -> Result<Vec<Value>, PatchError> {
    if live.is_empty() && patch.items.is_empty() {
        return Ok(live);
    }
    match element_kind(&[&live, &patch.items])? {
        ElementKind::Scalars if patch.deletes => {
            let gone: HashSet<&Value> = patch.items.iter().collect();
            Ok(live
                .into_iter()
                .filter(|item| !gone.contains(item))
                .collect())
        }
        ElementKind::Scalars => {
            let mut seen = HashSet::new();
            let merged: Vec<Value> = live
                .iter()
                .chain(&patch.items)
                .filter(|item| seen.insert(*item))
                .cloned()
                .collect();
            order_by(merged, &patch.items, &live, None)
        }
        ElementKind::Maps => {
            let Some(key) = how.merge_key else {
                return Err(broken(format!(
                    "cannot merge lists without merge key for {}",
                    how.shape.type_name()
                )));
            };
            merge_maps(how, key, live, patch.items)
        }
    }
}

fn merge_maps(
    how: MemberPatch<'_>,
    key: &str,
    live: Vec<Value>,
    patch: Vec<Value>,
) -> Result<Vec<Value>, PatchError> {
    let (live, patch) = obey_directives(key, live, patch)?;
    let mut merged = live.clone();
    // Where the first item of each key stands.
    let mut places: HashMap<Value, usize> = HashMap::new();
    for (place, item) in merged.iter().enumerate() {
        if let Some(value) = item.get(key) {
            places.entry(value.clone()).or_insert(place);
        }
    }
    for item in &patch {
        let members = item.as_object().ok_or_else(|| bad_kind("map", item))?;
        let value = members.get(key).ok_or_else(|| no_merge_key(members, key))?;
        if let Some(&place) = places.get(value) {
            if let Value::Object(current) = merged[place].take() {
                merged[place] = merge_map(how.shape, current, members.clone())?.into();
            }
        } else {
            places.insert(value.clone(), merged.len());
            merged.push(item.clone());
        }
    }
    order_by(merged, &patch, &live, Some(key))
}

/// Carries out `$patch` items; gives the live list and the patch without them.
fn obey_directives(
    key: &str,
    mut live: Vec<Value>,
    patch: Vec<Value>,
) -> Result<(Vec<Value>, Vec<Value>), PatchError> {
    let mut plain = Vec::with_capacity(patch.len());
    let mut replace = false;
    let mut deleted: HashSet<Value> = HashSet::new();
    for item in patch {
        let Some(members) = item.as_object() else {
            return Err(bad_kind("map", &item));
        };
        match members.get(PATCH) {
            None => plain.push(item),
            Some(Value::String(directive)) if directive == "delete" => {
                let value = members.get(key).ok_or_else(|| no_merge_key(members, key))?;
                deleted.insert(value.clone());
            }
            Some(Value::String(directive)) if directive == "replace" => replace = true,
            Some(Value::String(directive)) if directive == "merge" => {
                return Err(broken("merging lists cannot yet be specified in the patch"));
            }
            Some(directive) => return Err(bad_patch_type(directive, members)),
        }
    }
    if replace {
        return Ok((plain, Vec::new()));
    }
    if !deleted.is_empty() {
        live.retain(|item| !item.get(key).is_some_and(|value| deleted.contains(value)));
    }
    Ok((live, plain))
}

/// What an item is looked up by.
fn identity<'i>(item: &'i Value, key: Option<&str>) -> Result<&'i Value, PatchError> {
    let Some(key) = key else { return Ok(item) };
    let members = item.as_object().ok_or_else(|| bad_kind("map", item))?;
    members.get(key).ok_or_else(|| no_merge_key(members, key))
}

fn ranks<'i>(
    items: &'i [Value],
    key: Option<&str>,
) -> Result<HashMap<&'i Value, usize>, PatchError> {
    let mut ranks = HashMap::with_capacity(items.len());
    for (rank, item) in items.iter().enumerate() {
        ranks.entry(identity(item, key)?).or_insert(rank);
    }
    Ok(ranks)
}

/// Orders a merged list: items named in `order` as there, the others as in the
/// live list, put in between by their place in the live list.
pub(super) fn order_by(
    merged: Vec<Value>,
    order: &[Value],
    live: &[Value],
    key: Option<&str>,
) -> Result<Vec<Value>, PatchError> {
    let (order, live) = (ranks(order, key)?, ranks(live, key)?);
    let mut named = Vec::new();
    let mut others = Vec::new();
    for item in merged {
        let identity = identity(&item, key)?;
        let place = live.get(identity).copied();
        match order.get(identity).copied() {
            Some(rank) => named.push((rank, place, item)),
            None => others.push((place, item)),
        }
    }
    named.sort_by_key(|(rank, ..)| *rank);
    others.sort_by(|(a, _), (b, _)| match (a, b) {
        (Some(a), Some(b)) => a.cmp(b),
        _ => Ordering::Equal,
    });
    let mut out = Vec::with_capacity(named.len() + others.len());
    let (mut named, mut others) = (named.into_iter().peekable(), others.into_iter().peekable());
    loop {
        let other_first = match (others.peek(), named.peek()) {
            (None, None) => return Ok(out),
            (Some(_), None) => true,
            (None, Some(_)) => false,
            (Some((Some(other), _)), Some((_, Some(named), _))) => other < named,
            (Some(_), Some(_)) => false,
        };
        if other_first {
            out.extend(others.next().map(|(_, item)| item));
        } else {
            out.extend(named.next().map(|(_, _, item)| item));
        }
    }
}

/// Whether the items of a patch stand in `order`, in that order. Items that are
/// deleted need not.
pub(super) fn check_order(
    patch: &[Value],
    order: &[Value],
    key: Option<&str>,
) -> Result<(), PatchError> {
    if patch.is_empty() || order.is_empty() {
        return Ok(());
    }
    let has_directive = |item: &Value| item.get(PATCH).is_some();
    let mut wanted = order.iter();
    for item in patch {
        if key.is_some() && !item.is_object() {
            return Err(bad_kind("map", item));
        }
        if has_directive(item) {
            continue;
        }
        let mut found = false;
        for place in wanted.by_ref() {
            if identity(item, key)? == identity(place, key)? {
                found = true;
                break;
            }
        }
        if !found {
            return Err(broken(format!(
                "The order in patch list:\n{}\n doesn't match {ELEMENT_ORDER} list:\n{}\n",
                text::plain(&Value::Array(patch.to_vec())),
                text::plain(&Value::Array(order.to_vec())),
            )));
        }
    }
    Ok(())
}
