//! How two objects differ, as field sets.
//!
//! This runs on every write. Subtrees that are equal cost one walk and no
//! allocation: paths are built only for what differs.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::TypeErrors;
use super::check::check_scalar;
use super::items::item_element;
use crate::fields::{Element, FieldSet, compare_values};
use crate::shape::{Atom, ListShape, MapShape, Relation, Shape};

/// What a change did. No path is in two of the sets.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Comparison {
    /// Fields only the old object has.
    pub removed: FieldSet,
    /// Fields both have, with different values.
    pub modified: FieldSet,
    /// Fields only the new object has.
    pub added: FieldSet,
}

impl Comparison {
    /// Whether nothing changed.
    pub fn is_empty(&self) -> bool {
        self.removed.is_empty() && self.modified.is_empty() && self.added.is_empty()
    }

    /// The comparison without the given fields and all below them.
    #[must_use]
    pub fn without(mut self, fields: &FieldSet) -> Self {
        self.removed.subtract_recursively(fields);
        self.modified.subtract_recursively(fields);
        self.added.subtract_recursively(fields);
        self
    }
}

/// Compares two objects of one type.
///
/// # Errors
/// If both hold something at a path that its type does not know.
pub fn compare(shape: Shape<'_>, old: &Value, new: &Value) -> Result<Comparison, TypeErrors> {
    let mut walk = Walk::default();
    walk.visit(shape, Some(old), Some(new))?;
    Ok(walk.comparison)
}

#[derive(Clone, Copy)]
enum Step<'v> {
    Field(&'v str),
    Item(&'v Element),
}

#[derive(Default)]
struct Walk {
    path: Vec<Element>,
    comparison: Comparison,
}

#[derive(Clone, Copy, PartialEq)]
enum Change {
    Removed,
    Modified,
    Added,
}

/// The path from the object to where the walk is, as a chain on the stack.
#[derive(Clone, Copy)]
struct Trail<'t> {
    parent: Option<&'t Trail<'t>>,
    step: Option<Step<'t>>,
}

impl Trail<'_> {
    /// Whether it leads to the object's own metadata.
    fn is_metadata(&self) -> bool {
        matches!(self.step, Some(Step::Field("metadata")))
            && self.parent.is_some_and(|parent| parent.step.is_none())
    }
}

impl Walk {
    fn visit(
        &mut self,
        shape: Shape<'_>,
        old: Option<&Value>,
        new: Option<&Value>,
    ) -> Result<(), TypeErrors> {
        let root = Trail {
            parent: None,
            step: None,
        };
        self.at(&root, shape, old, new)
    }

    fn record(&mut self, trail: &Trail<'_>, change: Change, below: FieldSet) {
        self.path.clear();
        let mut at = Some(trail);
        while let Some(trail) = at {
            match trail.step {
                Some(Step::Field(name)) => self.path.push(Element::field(name)),
                Some(Step::Item(element)) => self.path.push(element.clone()),
                None => {}
            }
            at = trail.parent;
        }
        self.path.reverse();
        let set = match change {
            Change::Removed => &mut self.comparison.removed,
            Change::Modified => &mut self.comparison.modified,
            Change::Added => &mut self.comparison.added,
        };
        if !self.path.is_empty() {
            set.graft(&self.path, below);
        } else {
            // The object itself is owned by nobody, only what is in it.
            *set = set.union(&below);
        }
    }

    fn at(
        &mut self,
        trail: &Trail<'_>,
        shape: Shape<'_>,
        old: Option<&Value>,
        new: Option<&Value>,
    ) -> Result<(), TypeErrors> {
        let (old, new) = match (old, new) {
            (Some(old), Some(new)) => (old, new),
            (Some(old), None) => {
                self.record(trail, Change::Removed, whole(shape, old)?);
                return Ok(());
            }
            (None, Some(new)) => {
                self.record(trail, Change::Added, whole(shape, new)?);
                return Ok(());
            }
            (None, None) => return Ok(()),
        };
        let (left, right) = (shape.atom(Some(old)), shape.atom(Some(new)));
        if !left.same_kind(&right) {
            // The type allows both forms: what was there in the old form goes,
            // what is there in the new one comes.
            self.atom(trail, left, old, new)?;
        }
        self.atom(trail, right, old, new)
    }

    /// Compares under one form.
    fn atom(
        &mut self,
        trail: &Trail<'_>,
        atom: Atom<'_>,
        old: &Value,
        new: &Value,
    ) -> Result<(), TypeErrors> {
        match atom {
            Atom::Scalar(scalar) => {
                let fault = |value, prefix| check_scalar(scalar, value, prefix).err();
                if let (Some(left), Some(right)) = (fault(old, "lhs: "), fault(new, "rhs: ")) {
                    let mut errors = TypeErrors::one(left);
                    errors.0.extend(TypeErrors::one(right).0);
                    return Err(errors);
                }
            }
            Atom::Map(map) => {
                let (left, right) = (members(old), members(new));
                if !map.atomic && (left.is_some() || right.is_some()) {
                    return self.map(trail, map, left, right);
                }
            }
            Atom::List(list) => {
                let (left, right) = (items(old), items(new));
                let atomic = matches!(list.relation, Relation::Atomic);
                let empty = left.is_empty() && right.is_empty();
                if !atomic && !empty {
                    if same_items(left, right) {
                        return Ok(());
                    }
                    return self.list(trail, list, left, right);
                }
            }
        }
        // A leaf.
        if !same(old, new) {
            self.record(trail, Change::Modified, FieldSet::new());
        }
        Ok(())
    }

    fn map(
        &mut self,
        trail: &Trail<'_>,
        map: MapShape<'_>,
        old: Option<&Map<String, Value>>,
        new: Option<&Map<String, Value>>,
    ) -> Result<(), TypeErrors> {
        let (before, after) = (
            old.map(in_order).unwrap_or_default(),
            new.map(in_order).unwrap_or_default(),
        );
        let mut ahead = after.iter().copied().peekable();
        let mut in_step = 0;
        for (name, old) in before {
            // Members mostly stand in the same order on both sides: look at the
            // next one before searching for it.
            let next = ahead.next_if(|(next, _)| *next == name);
            let found = match next {
                Some((_, found)) => {
                    in_step += 1;
                    Some(found)
                }
                None => new.and_then(|new| new.get(name)),
            };
            self.member(trail, map, name, Some(old), found)?;
        }
        if in_step == after.len() {
            return Ok(());
        }
        for (name, new) in after {
            if old.is_none_or(|old| !old.contains_key(name)) {
                self.member(trail, map, name, None, Some(new))?;
            }
        }
        Ok(())
    }

    fn member(
        &mut self,
        trail: &Trail<'_>,
        map: MapShape<'_>,
        name: &str,
        old: Option<&Value>,
        new: Option<&Value>,
    ) -> Result<(), TypeErrors> {
        // The record itself is no field of the object.
        if name == "managedFields" && trail.is_metadata() {
            return Ok(());
        }
        if let (Some(old), Some(new)) = (old, new)
            && same(old, new)
        {
            return Ok(());
        }
        let Some(shape) = map.field(name).or_else(|| map.element()) else {
            return Err(TypeErrors::one("field not declared in schema").below(format!(".{name}")));
        };
        let here = Trail {
            parent: Some(trail),
            step: Some(Step::Field(name)),
        };
        self.at(&here, shape, old, new)
            .map_err(|errors| errors.below(format!(".{name}")))
    }

    fn list(
        &mut self,
        trail: &Trail<'_>,
        list: ListShape<'_>,
        old: &[Value],
        new: &[Value],
    ) -> Result<(), TypeErrors> {
        let mut pairs: BTreeMap<Element, (Vec<&Value>, Vec<&Value>)> = BTreeMap::new();
        for (side, items) in [(0, old), (1, new)] {
            for (index, item) in items.iter().enumerate() {
                let element = item_element(list, item)
                    .map_err(|why| TypeErrors::one(format!("element {index}: {why}")))?;
                let pair = pairs.entry(element).or_default();
                if side == 0 {
                    pair.0.push(item);
                } else {
                    pair.1.push(item);
                }
            }
        }
        for (element, (old, new)) in &pairs {
            let here = Trail {
                parent: Some(trail),
                step: Some(Step::Item(element)),
            };
            let at = |walk: &mut Self, old: Option<&&Value>, new: Option<&&Value>| {
                walk.at(&here, list.element, old.copied(), new.copied())
                    .map_err(|errors| errors.below(element))
            };
            // An item that is there twice is owned whole, by its mark alone.
            match (old.len() > 1, new.len() > 1) {
                (false, false) => at(self, old.first(), new.first())?,
                (true, true) if old != new => self.record(&here, Change::Modified, FieldSet::new()),
                (true, true) => {}
                (true, false) => {
                    if let Some(first) = new.first() {
                        at(self, None, Some(first))?;
                    }
                    self.record(&here, Change::Removed, FieldSet::new());
                }
                (false, true) => {
                    if let Some(first) = old.first() {
                        at(self, Some(first), None)?;
                    }
                    self.record(&here, Change::Added, FieldSet::new());
                }
            }
        }
        Ok(())
    }
}

/// Whether two values are equal; numbers by size. Quick where the members of both
/// stand in the same order.
pub(crate) fn same(a: &Value, b: &Value) -> bool {
    match (a, b) {
        (Value::Object(a), Value::Object(b)) => {
            a.len() == b.len()
                && a.iter().zip(b).all(|((name, member), (other, theirs))| {
                    if name == other {
                        same(member, theirs)
                    } else {
                        b.get(name).is_some_and(|theirs| same(member, theirs))
                    }
                })
        }
        (Value::Array(a), Value::Array(b)) => same_items(a, b),
        (Value::Number(_), Value::Number(_)) => compare_values(a, b).is_eq(),
        _ => a == b,
    }
}

fn same_items(a: &[Value], b: &[Value]) -> bool {
    a.len() == b.len() && a.iter().zip(b).all(|(a, b)| same(a, b))
}

/// Everything below something that only one object has. Other than in
/// [`field_set`], parents are in it.
///
/// [`field_set`]: super::field_set
fn whole(shape: Shape<'_>, value: &Value) -> Result<FieldSet, TypeErrors> {
    let mut steps = Vec::new();
    match shape.atom(Some(value)) {
        Atom::Map(map) if !map.atomic => {
            for (name, member) in members(value).into_iter().flatten() {
                let Some(shape) = map.field(name).or_else(|| map.element()) else {
                    let fault = TypeErrors::one("field not declared in schema");
                    return Err(fault.below(format!(".{name}")));
                };
                let below =
                    whole(shape, member).map_err(|errors| errors.below(format!(".{name}")))?;
                steps.push((Element::field(name), true, below));
            }
        }
        Atom::List(list) if !matches!(list.relation, Relation::Atomic) => {
            let mut found: BTreeMap<Element, Option<&Value>> = BTreeMap::new();
            for (index, item) in items(value).iter().enumerate() {
                let element = item_element(list, item)
                    .map_err(|why| TypeErrors::one(format!("element {index}: {why}")))?;
                found
                    .entry(element)
                    .and_modify(|first| *first = None)
                    .or_insert(Some(item));
            }
            for (element, item) in found {
                let below = match item {
                    Some(item) => {
                        whole(list.element, item).map_err(|errors| errors.below(&element))?
                    }
                    None => FieldSet::new(),
                };
                steps.push((element, true, below));
            }
        }
        _ => {}
    }
    Ok(FieldSet::from_steps(steps.into_iter()))
}

/// From so many members on they are walked in order of their names, so that what
/// is found can be appended to a set instead of being inserted.
const MANY_MEMBERS: usize = 64;

/// The members, in order of their names if there are many.
fn in_order(members: &Map<String, Value>) -> Vec<(&String, &Value)> {
    let mut members: Vec<_> = members.iter().collect();
    if members.len() >= MANY_MEMBERS {
        members.sort_unstable_by_key(|(name, _)| *name);
    }
    members
}

/// The members of an object that has some.
fn members(value: &Value) -> Option<&Map<String, Value>> {
    value.as_object().filter(|members| !members.is_empty())
}

fn items(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}
