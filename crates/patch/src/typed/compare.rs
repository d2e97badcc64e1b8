//! How two objects differ, as field sets.
//!
//! This runs on every write. Subtrees that are equal cost one walk and no
//! allocation: paths are built only for what differs.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::TypeErrors;
use super::check::check_scalar;
use super::items::item_element;
use crate::fields::{Element, FieldSet};
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
    pub fn without(self, fields: &FieldSet) -> Self {
        if fields.is_empty() {
            return self;
        }
        Self {
            removed: self.removed.recursive_difference(fields),
            modified: self.modified.recursive_difference(fields),
            added: self.added.recursive_difference(fields),
        }
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

    fn record(&mut self, trail: &Trail<'_>, change: Change) {
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
        set.insert(&self.path);
    }

    fn at(
        &mut self,
        trail: &Trail<'_>,
        shape: Shape<'_>,
        old: Option<&Value>,
        new: Option<&Value>,
    ) -> Result<(), TypeErrors> {
        let (left, right) = (shape.atom(old), shape.atom(new));
        let leaf = if new.is_none() {
            self.atom(trail, left, old, new)?
        } else if old.is_none() || left.same_kind(&right) {
            self.atom(trail, right, old, new)?
        } else {
            // The type allows both forms: what was there in the old form goes,
            // what is there in the new one comes.
            self.atom(trail, left, old, new)?;
            self.atom(trail, right, old, new)?
        };
        if !leaf {
            if old.is_none() {
                self.record(trail, Change::Added);
            } else if new.is_none() {
                self.record(trail, Change::Removed);
            }
        }
        Ok(())
    }

    /// Compares under one form; tells whether it was a leaf.
    fn atom(
        &mut self,
        trail: &Trail<'_>,
        atom: Atom<'_>,
        old: Option<&Value>,
        new: Option<&Value>,
    ) -> Result<bool, TypeErrors> {
        match atom {
            Atom::Scalar(scalar) => {
                let fault = |value: Option<&Value>, prefix| {
                    value.and_then(|value| check_scalar(scalar, value, prefix).err())
                };
                if let (Some(left), Some(right)) = (fault(old, "lhs: "), fault(new, "rhs: ")) {
                    let mut errors = TypeErrors::one(left);
                    errors.0.extend(TypeErrors::one(right).0);
                    return Err(errors);
                }
                self.leaf(trail, old, new);
                Ok(true)
            }
            Atom::Map(map) => {
                let (left, right) = (members(old), members(new));
                if map.atomic || (left.is_none() && right.is_none()) {
                    self.leaf(trail, old, new);
                    return Ok(true);
                }
                self.map(trail, map, left, right)?;
                Ok(false)
            }
            Atom::List(list) => {
                let (left, right) = (items(old), items(new));
                if matches!(list.relation, Relation::Atomic)
                    || (left.is_empty() && right.is_empty())
                {
                    self.leaf(trail, old, new);
                    return Ok(true);
                }
                if left != right {
                    self.list(trail, list, left, right)?;
                }
                Ok(false)
            }
        }
    }

    fn leaf(&mut self, trail: &Trail<'_>, old: Option<&Value>, new: Option<&Value>) {
        match (old, new) {
            (None, _) => self.record(trail, Change::Added),
            (_, None) => self.record(trail, Change::Removed),
            (Some(old), Some(new)) if old != new => self.record(trail, Change::Modified),
            _ => {}
        }
    }

    fn map(
        &mut self,
        trail: &Trail<'_>,
        map: MapShape<'_>,
        old: Option<&Map<String, Value>>,
        new: Option<&Map<String, Value>>,
    ) -> Result<(), TypeErrors> {
        let pairs = old
            .into_iter()
            .flatten()
            .map(|(name, old)| (name, Some(old), new.and_then(|new| new.get(name))));
        let added = new
            .into_iter()
            .flatten()
            .filter(|(name, _)| old.is_none_or(|old| !old.contains_key(*name)))
            .map(|(name, new)| (name, None, Some(new)));
        for (name, old, new) in pairs.chain(added) {
            let Some(shape) = map.field(name).or_else(|| map.element()) else {
                return Err(
                    TypeErrors::one("field not declared in schema").below(format!(".{name}"))
                );
            };
            let here = Trail {
                parent: Some(trail),
                step: Some(Step::Field(name)),
            };
            self.at(&here, shape, old, new)
                .map_err(|errors| errors.below(format!(".{name}")))?;
        }
        Ok(())
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
                (true, true) if old != new => self.record(&here, Change::Modified),
                (true, true) => {}
                (true, false) => {
                    if let Some(first) = new.first() {
                        at(self, None, Some(first))?;
                    }
                    self.record(&here, Change::Removed);
                }
                (false, true) => {
                    if let Some(first) = old.first() {
                        at(self, Some(first), None)?;
                    }
                    self.record(&here, Change::Added);
                }
            }
        }
        Ok(())
    }
}

/// The members of an object that has some.
fn members(value: Option<&Value>) -> Option<&Map<String, Value>> {
    value
        .and_then(Value::as_object)
        .filter(|members| !members.is_empty())
}

fn items(value: Option<&Value>) -> &[Value] {
    value.and_then(Value::as_array).map_or(&[], Vec::as_slice)
}
