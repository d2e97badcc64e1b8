//! A kind's type as patches see it: map, list or scalar, with what tells items
//! apart and what is taken whole.
//!
//! This is a view on the schema crate's types; it holds nothing. What no schema
//! describes is deduced from the value: maps granular, lists and scalars atomic.

use serde_json::{Map, Value};

#[cfg(test)]
pub(crate) mod model;

/// A type. Cheap to copy.
#[derive(Clone, Copy)]
pub struct Shape<'s>(Inner<'s>);

#[derive(Clone, Copy)]
enum Inner<'s> {
    /// Deduced from the value.
    Deduced,
    /// Deduced, below something atomic.
    DeducedAtomic(std::marker::PhantomData<&'s ()>),
    #[cfg(test)]
    Model(&'s model::Model, &'s model::Type),
}

/// What a value of a type is.
#[derive(Clone, Copy)]
pub(crate) enum Atom<'s> {
    Map(MapShape<'s>),
    List(ListShape<'s>),
    Scalar(Scalar),
}

/// What a scalar must be.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Scalar {
    Number,
    Text,
    Bool,
    Any,
}

/// How the items of a list relate.
#[derive(Clone, Copy)]
pub(crate) enum Relation<'s> {
    /// The list is one value.
    Atomic,
    /// Items are told apart by their value.
    Set,
    /// Items are told apart by these fields.
    Keys(Keys<'s>),
}

/// Names of key fields.
#[derive(Clone, Copy)]
pub(crate) struct Keys<'s>(&'s [String]);

impl<'s> Keys<'s> {
    pub(crate) fn iter(self) -> impl Iterator<Item = &'s str> {
        self.0.iter().map(String::as_str)
    }

    pub(crate) fn is_empty(self) -> bool {
        self.0.is_empty()
    }

    pub(crate) fn len(self) -> usize {
        self.0.len()
    }
}

/// An object with declared fields, or a map, or both.
#[derive(Clone, Copy)]
pub(crate) struct MapShape<'s> {
    /// Whether it is one value.
    pub(crate) atomic: bool,
    of: Shape<'s>,
}

/// A list.
#[derive(Clone, Copy)]
pub(crate) struct ListShape<'s> {
    pub(crate) relation: Relation<'s>,
    pub(crate) element: Shape<'s>,
}

/// How strategic merge patch treats a member.
#[derive(Clone, Copy)]
pub(crate) struct ListMerge<'s> {
    /// Type of the member, or of its items if it is a list.
    pub(crate) shape: Option<Shape<'s>>,
    /// A list that is merged, not replaced.
    pub(crate) merge: bool,
    /// A map that is replaced, not merged.
    pub(crate) replace: bool,
    /// The field that tells items apart.
    pub(crate) merge_key: Option<&'s str>,
}

impl<'s> Atom<'s> {
    pub(crate) fn same_kind(&self, other: &Self) -> bool {
        std::mem::discriminant(self) == std::mem::discriminant(other)
    }
}

impl<'s> Shape<'s> {
    /// No schema: deduced from the value.
    pub const DEDUCED: Self = Self(Inner::Deduced);

    /// What `value` is under this type. A value that the type does not allow
    /// counts as what the type wants; checks then refuse it.
    pub(crate) fn atom(self, value: Option<&Value>) -> Atom<'s> {
        let fits = match value {
            Some(Value::Object(_)) => self.as_map().map(Atom::Map),
            Some(Value::Array(_)) => self.as_list().map(Atom::List),
            Some(Value::Null) | None => None,
            Some(_) => self.as_scalar().map(Atom::Scalar),
        };
        fits.or_else(|| self.as_map().map(Atom::Map))
            .or_else(|| self.as_scalar().map(Atom::Scalar))
            .or_else(|| self.as_list().map(Atom::List))
            .unwrap_or(Atom::Scalar(Scalar::Any))
    }

    /// Whether it is deduced from the value.
    pub(crate) fn is_deduced(self) -> bool {
        match self.0 {
            Inner::Deduced | Inner::DeducedAtomic(_) => true,
            #[cfg(test)]
            Inner::Model(_, of) => of.fields.is_empty() && of.free,
        }
    }

    pub(crate) fn as_map(self) -> Option<MapShape<'s>> {
        let atomic = match self.0 {
            Inner::Deduced => false,
            Inner::DeducedAtomic(_) => true,
            #[cfg(test)]
            Inner::Model(_, of) => of.is_map().then_some(of.atomic)?,
        };
        Some(MapShape { atomic, of: self })
    }

    pub(crate) fn as_list(self) -> Option<ListShape<'s>> {
        match self.0 {
            Inner::Deduced | Inner::DeducedAtomic(_) => Some(ListShape {
                relation: Relation::Atomic,
                element: Self(Inner::DeducedAtomic(std::marker::PhantomData)),
            }),
            #[cfg(test)]
            Inner::Model(model, of) => {
                let element = of.items.as_ref()?;
                Some(ListShape {
                    relation: match of.list_type {
                        model::ListType::Atomic => Relation::Atomic,
                        model::ListType::Set => Relation::Set,
                        model::ListType::Map => Relation::Keys(Keys(&of.keys)),
                    },
                    element: model.shape(element),
                })
            }
        }
    }

    pub(crate) fn as_scalar(self) -> Option<Scalar> {
        match self.0 {
            Inner::Deduced | Inner::DeducedAtomic(_) => Some(Scalar::Any),
            #[cfg(test)]
            Inner::Model(_, of) => of.scalar,
        }
    }

    /// How strategic merge patch treats the member `name`; `None` if there is no
    /// such member.
    pub(crate) fn list_merge(self, name: &str) -> Option<ListMerge<'s>> {
        match self.0 {
            Inner::Deduced | Inner::DeducedAtomic(_) => {
                let _ = name;
                None
            }
            #[cfg(test)]
            Inner::Model(model, of) => model.list_merge(of, name),
        }
    }

    /// The type's name, for messages.
    pub(crate) fn type_name(self) -> String {
        match self.0 {
            Inner::Deduced | Inner::DeducedAtomic(_) => String::new(),
            #[cfg(test)]
            Inner::Model(_, of) => of.name.clone(),
        }
    }

    /// An object of this type in which nothing is set, with what encoding always
    /// prints: what a create is compared with.
    pub(crate) fn zero(self) -> Value {
        match self.0 {
            Inner::Deduced | Inner::DeducedAtomic(_) => Value::Object(Map::new()),
            #[cfg(test)]
            Inner::Model(model, of) => model.zero(of),
        }
    }
}

impl<'s> MapShape<'s> {
    /// The type of a declared field.
    pub(crate) fn field(self, name: &str) -> Option<Shape<'s>> {
        match self.of.0 {
            Inner::Deduced | Inner::DeducedAtomic(_) => {
                let _ = name;
                None
            }
            #[cfg(test)]
            Inner::Model(model, of) => of.fields.get(name).map(|field| model.shape(&field.of)),
        }
    }

    /// The type of members that are not declared.
    pub(crate) fn element(self) -> Option<Shape<'s>> {
        match self.of.0 {
            Inner::Deduced | Inner::DeducedAtomic(_) => Some(self.of),
            #[cfg(test)]
            Inner::Model(model, of) => match &of.values {
                Some(values) => Some(model.shape(values)),
                None => of.free.then_some(Shape::DEDUCED),
            },
        }
    }
}

impl<'s> ListShape<'s> {
    /// The default of a key field that an item leaves out.
    pub(crate) fn key_default(self, key: &str) -> Option<&'s Value> {
        match self.element.0 {
            Inner::Deduced | Inner::DeducedAtomic(_) => {
                let _ = key;
                None
            }
            #[cfg(test)]
            Inner::Model(_, of) => of.fields.get(key)?.default.as_ref(),
        }
    }
}
