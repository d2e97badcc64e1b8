//! A kind's type as patches see it: map, list or scalar, with what tells items
//! apart and what is taken whole.
//!
//! This is a view on the schema crate's types; it holds nothing. What no schema
//! describes is deduced from the value: maps granular, lists atomic.

use std::marker::PhantomData;

use schema::node::{ListKind, MapType, Node, Omit, ScalarKind, StructRef, Text};
use serde_json::{Map, Value};

#[cfg(test)]
pub(crate) mod model;

/// A type. Cheap to copy.
#[derive(Clone, Copy)]
pub struct Shape<'s>(Inner<'s>);

#[derive(Clone, Copy)]
enum Inner<'s> {
    /// A type of the schema crate.
    Node {
        node: &'s Node,
        /// Owned as a whole.
        atomic: bool,
    },
    /// Deduced from the value.
    Deduced,
    /// Deduced, below something atomic.
    DeducedAtomic(PhantomData<&'s ()>),
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
    Keys(&'s [Text]),
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
pub(crate) struct MemberPatch<'s> {
    /// Type of the member, or of its items if it is a list.
    pub(crate) shape: Shape<'s>,
    /// A list that is merged, not replaced.
    pub(crate) merge: bool,
    /// A map that is replaced, not merged.
    pub(crate) replace: bool,
    /// The field that tells items apart.
    pub(crate) merge_key: Option<&'s str>,
}

impl Atom<'_> {
    pub(crate) fn same_kind(&self, other: &Self) -> bool {
        std::mem::discriminant(self) == std::mem::discriminant(other)
    }
}

impl<'s> From<&'s Node> for Shape<'s> {
    fn from(node: &'s Node) -> Self {
        Self::new(node)
    }
}

impl<'s> Shape<'s> {
    /// No schema: deduced from the value.
    pub const DEDUCED: Self = Self(Inner::Deduced);

    /// The view on a type.
    pub fn new(node: &'s Node) -> Self {
        let map_type = node.as_struct().and_then(|of| of.map_type);
        Self::with(node, map_type == Some(MapType::Atomic))
    }

    fn with(node: &'s Node, atomic: bool) -> Self {
        match node {
            // JSON as it is: nothing is known below.
            Node::Scalar(scalar) if is_json(scalar.kind) => Self::DEDUCED,
            // Without declared fields it is known that nothing is known.
            Node::Struct(of)
                if !atomic && of.get().preserve_unknown && of.get().fields.is_empty() =>
            {
                Self::DEDUCED
            }
            _ => Self(Inner::Node { node, atomic }),
        }
    }

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
        matches!(self.0, Inner::Deduced | Inner::DeducedAtomic(_))
    }

    pub(crate) fn as_map(self) -> Option<MapShape<'s>> {
        let atomic = match self.0 {
            Inner::Node {
                node: Node::Struct(_) | Node::Map(_),
                atomic,
            } => atomic,
            Inner::Node { .. } => return None,
            Inner::Deduced => false,
            Inner::DeducedAtomic(_) => true,
            #[cfg(test)]
            Inner::Model(_, of) => of.is_map().then_some(of.atomic)?,
        };
        Some(MapShape { atomic, of: self })
    }

    pub(crate) fn as_list(self) -> Option<ListShape<'s>> {
        match self.0 {
            Inner::Node {
                node: Node::List(list),
                ..
            } => Some(ListShape {
                relation: match &list.kind {
                    ListKind::Unsaid | ListKind::Atomic => Relation::Atomic,
                    ListKind::Set => Relation::Set,
                    ListKind::Map(keys) => Relation::Keys(keys),
                },
                element: Self::new(&list.item),
            }),
            Inner::Node { .. } => None,
            Inner::Deduced | Inner::DeducedAtomic(_) => Some(ListShape {
                relation: Relation::Atomic,
                element: Self(Inner::DeducedAtomic(PhantomData)),
            }),
            #[cfg(test)]
            Inner::Model(model, of) => model.list(of),
        }
    }

    pub(crate) fn as_scalar(self) -> Option<Scalar> {
        match self.0 {
            Inner::Node {
                node: Node::Scalar(scalar),
                ..
            } => Some(scalar_of(scalar.kind)),
            Inner::Node { .. } => None,
            Inner::Deduced | Inner::DeducedAtomic(_) => Some(Scalar::Any),
            #[cfg(test)]
            Inner::Model(_, of) => of.scalar,
        }
    }

    /// How strategic merge patch treats the member `name`; `None` if there is no
    /// such member.
    pub(crate) fn member_patch(self, name: &str) -> Option<MemberPatch<'s>> {
        match self.0 {
            Inner::Node {
                node: Node::Struct(of),
                ..
            } => {
                let field = of.get().field(name)?;
                let key = field.patch.merge_key.as_ref();
                Some(MemberPatch {
                    shape: match &field.node {
                        Node::List(list) => Self::new(&list.item),
                        node => Self::new(node),
                    },
                    merge: field.patch.merge,
                    replace: field.patch.replace,
                    merge_key: (!key.is_empty()).then_some(key),
                })
            }
            Inner::Node {
                node: Node::Map(map),
                ..
            } => Some(MemberPatch {
                shape: Self::new(&map.value),
                merge: false,
                replace: false,
                merge_key: None,
            }),
            Inner::Node { .. } | Inner::Deduced | Inner::DeducedAtomic(_) => None,
            #[cfg(test)]
            Inner::Model(..) => None,
        }
    }

    /// The type's name, for messages.
    pub(crate) fn type_name(self) -> &'s str {
        match self.0 {
            Inner::Node {
                node: Node::Struct(of),
                ..
            } => of.get().short_name(),
            _ => "",
        }
    }

    /// An object of this type in which nothing is set, with what encoding always
    /// prints: what a create is compared with. A built-in create therefore does
    /// not come to own `spec` itself, only what is in it.
    pub(crate) fn zero(self) -> Value {
        match self.0 {
            Inner::Node { node, .. } => zero(node),
            _ => Value::Object(Map::new()),
        }
    }
}

fn is_json(kind: ScalarKind) -> bool {
    matches!(
        kind,
        ScalarKind::Any
            | ScalarKind::SchemaOrBool
            | ScalarKind::SchemaOrArray
            | ScalarKind::SchemaOrStrings
    )
}

fn scalar_of(kind: ScalarKind) -> Scalar {
    match kind {
        ScalarKind::String
        | ScalarKind::Bytes
        | ScalarKind::Time
        | ScalarKind::MicroTime
        | ScalarKind::Duration => Scalar::Text,
        ScalarKind::Bool => Scalar::Bool,
        ScalarKind::Int32 | ScalarKind::Int64 | ScalarKind::Uint8 | ScalarKind::Float64 => {
            Scalar::Number
        }
        ScalarKind::Quantity
        | ScalarKind::IntOrString
        | ScalarKind::Any
        | ScalarKind::SchemaOrBool
        | ScalarKind::SchemaOrArray
        | ScalarKind::SchemaOrStrings => Scalar::Any,
    }
}

fn zero(node: &Node) -> Value {
    match node {
        Node::Struct(of @ StructRef::Builtin(_)) => {
            let printed = |omit| matches!(omit, Omit::Never | Omit::Inert);
            of.get()
                .fields
                .iter()
                .filter(|field| printed(field.omit))
                .map(|field| {
                    let value = if field.pointer {
                        Value::Null
                    } else {
                        zero(&field.node)
                    };
                    (field.name.clone().into_owned(), value)
                })
                .collect::<Map<_, _>>()
                .into()
        }
        // Custom resources print what they were given.
        Node::Struct(StructRef::Owned(_)) => Value::Object(Map::new()),
        Node::Map(_) | Node::List(_) => Value::Null,
        Node::Scalar(scalar) => match scalar.kind {
            ScalarKind::String | ScalarKind::Duration => "".into(),
            ScalarKind::Quantity => "0".into(),
            ScalarKind::Bool => false.into(),
            ScalarKind::Int32
            | ScalarKind::Int64
            | ScalarKind::Uint8
            | ScalarKind::Float64
            | ScalarKind::IntOrString => 0.into(),
            _ => Value::Null,
        },
    }
}

impl<'s> MapShape<'s> {
    /// The type of a declared field.
    pub(crate) fn field(self, name: &str) -> Option<Shape<'s>> {
        match self.of.0 {
            Inner::Node {
                node: Node::Struct(of),
                ..
            } => {
                let field = of.get().field(name)?;
                let atomic = field.effective_map_type() == Some(MapType::Atomic);
                Some(Shape::with(&field.node, atomic))
            }
            #[cfg(test)]
            Inner::Model(model, of) => of.fields.get(name).map(|field| model.shape(&field.of)),
            _ => None,
        }
    }

    /// The type of members that are not declared.
    pub(crate) fn element(self) -> Option<Shape<'s>> {
        match self.of.0 {
            Inner::Node { node, .. } => match node {
                Node::Map(map) => Some(Shape::new(&map.value)),
                Node::Struct(of) => of.get().preserve_unknown.then_some(Shape::DEDUCED),
                _ => None,
            },
            Inner::Deduced | Inner::DeducedAtomic(_) => Some(self.of),
            #[cfg(test)]
            Inner::Model(model, of) => match &of.values {
                Some(values) => Some(model.shape(values)),
                None => of.free.then_some(Shape::DEDUCED),
            },
        }
    }
}

impl ListShape<'_> {
    /// The default of a key field that an item leaves out.
    pub(crate) fn key_default(self, key: &str) -> Option<Value> {
        match self.element.0 {
            Inner::Node {
                node: Node::Struct(of),
                ..
            } => {
                let default = &of.get().field(key)?.default;
                // An empty text is no default, and no JSON either.
                serde_json::from_str(default).ok()
            }
            #[cfg(test)]
            Inner::Model(_, of) => of.fields.get(key)?.default.clone(),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::typed::check;

    #[test]
    fn nothing_set_fits_every_built_in_type() {
        for (name, node) in schema::types().iter() {
            let shape = Shape::new(node);
            if shape.as_map().is_some() {
                assert_eq!(check(shape, &shape.zero(), false), Ok(()), "{name}");
            }
        }
    }

    #[test]
    fn an_unset_deployment_has_what_is_always_printed() {
        let node = schema::types()
            .by_api_version("apps/v1", "Deployment")
            .unwrap();
        let zero = Shape::new(node).zero();
        assert_eq!(zero["status"], json!({}));
        assert_eq!(zero["spec"]["strategy"], json!({}));
        assert_eq!(
            zero["spec"]["template"]["spec"],
            json!({"containers": null})
        );
    }
}
