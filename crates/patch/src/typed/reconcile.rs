//! Fitting a recorded field set to a schema that has changed since.
//!
//! Where a map or list was granular when it was recorded and is atomic now, its
//! owner owns the whole of it. The other way round nothing is done, as upstream.

use crate::fields::{Element, FieldSet};
use crate::shape::{Relation, Shape};

/// The set under today's schema; `None` if it already fits.
pub(crate) fn reconcile(shape: Shape<'_>, set: &FieldSet) -> Option<FieldSet> {
    if fits(shape, set, false) {
        return None;
    }
    Some(match rebuild(shape, set, false) {
        Rebuilt::Whole => FieldSet::new(),
        Rebuilt::Set(set) => set,
    })
}

enum Rebuilt {
    /// The path itself, and nothing below it.
    Whole,
    Set(FieldSet),
}

/// Whether the type at a path is atomic, and has no deduced form.
fn turned_atomic(shape: Shape<'_>, set: &FieldSet, whole: bool) -> bool {
    if whole || shape.is_deduced() {
        return false;
    }
    match (shape.as_map(), shape.as_list()) {
        (Some(map), _) => map.atomic && !set.is_empty(),
        (None, Some(list)) => matches!(list.relation, Relation::Atomic),
        (None, None) => false,
    }
}

fn inner<'s>(shape: Shape<'s>, element: &Element) -> Option<Shape<'s>> {
    if shape.is_deduced() {
        return None;
    }
    match (shape.as_map(), shape.as_list()) {
        (Some(map), _) => match element {
            Element::Field(name) => map.field(name).or_else(|| map.element()),
            _ => map.element(),
        },
        (None, list) => list.map(|list| list.element),
    }
}

fn fits(shape: Shape<'_>, set: &FieldSet, whole: bool) -> bool {
    !turned_atomic(shape, set, whole)
        && set.steps().all(|(element, member, below)| {
            inner(shape, element).is_none_or(|inner| fits(inner, below, member && below.is_empty()))
        })
}

fn rebuild(shape: Shape<'_>, set: &FieldSet, whole: bool) -> Rebuilt {
    if turned_atomic(shape, set, whole) {
        return Rebuilt::Whole;
    }
    let mut out = FieldSet::new();
    for (element, member, below) in set.steps() {
        let rebuilt = match inner(shape, element) {
            Some(inner) => rebuild(inner, below, member && below.is_empty()),
            None => Rebuilt::Set(below.clone()),
        };
        match rebuilt {
            Rebuilt::Whole => out.insert_node(element.clone(), true, FieldSet::new()),
            Rebuilt::Set(below) => out.insert_node(element.clone(), member, below),
        }
    }
    Rebuilt::Set(out)
}
