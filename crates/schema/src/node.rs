//! What a value may look like: structs, lists, maps and scalars.
//!
//! One description serves decoding, printing, patches, server-side apply, OpenAPI
//! and protobuf, for built-in and for custom kinds. Built-in structs refer to one
//! another by their place in the table of types, so recursive types are no
//! problem; owned structs (custom resources) are trees.

use std::borrow::Cow;
use std::sync::Arc;

use object::Gvk;

use crate::types;

/// A text that is part of the binary for built-in types, owned for others.
pub type Text = Cow<'static, str>;

/// A type. Cheap to clone.
#[derive(Clone, Debug)]
pub enum Node {
    /// A value without fields or items.
    Scalar(Scalar),
    /// An object with declared fields.
    Struct(StructRef),
    /// An object with free keys.
    Map(Arc<MapNode>),
    /// A list.
    List(Arc<ListNode>),
}

/// A scalar type.
#[derive(Clone, Debug)]
pub struct Scalar {
    /// What it holds.
    pub kind: ScalarKind,
    /// The name of the Go type if it has one of its own (`core/v1.Protocol`).
    pub named: Text,
}

/// What a scalar holds.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum ScalarKind {
    /// Text.
    String,
    /// `true` or `false`.
    Bool,
    /// A 32-bit integer.
    Int32,
    /// A 64-bit integer.
    Int64,
    /// A byte of a list of numbers.
    Uint8,
    /// A float.
    Float64,
    /// Bytes, base64 in JSON.
    Bytes,
    /// RFC 3339 in whole seconds; unset prints `null`.
    Time,
    /// RFC 3339 with exactly six digits of fraction; unset prints `null`.
    MicroTime,
    /// A Go duration (`1m30s`).
    Duration,
    /// A resource quantity.
    Quantity,
    /// An integer or a text.
    IntOrString,
    /// Any JSON, kept as it is; unset prints `null`.
    Any,
    /// A boolean or a JSON schema of a custom resource definition.
    SchemaOrBool,
    /// A JSON schema or a list of such.
    SchemaOrArray,
    /// A JSON schema or a list of texts.
    SchemaOrStrings,
}

/// A struct, shared.
#[derive(Clone)]
pub enum StructRef {
    /// A built-in type, by its place in the table.
    Builtin(types::TypeId),
    /// One made at run time.
    Owned(Arc<Struct>),
}

impl StructRef {
    /// The struct. Built-in types are read from the table at their first use.
    pub fn get(&self) -> &Struct {
        match self {
            Self::Builtin(id) => types::types().by_id(*id),
            Self::Owned(owned) => owned,
        }
    }
}

impl std::fmt::Debug for StructRef {
    /// The name only: the types are a cyclic graph.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("StructRef").field(&self.get().name).finish()
    }
}

/// An object with free keys.
#[derive(Clone, Debug)]
pub struct MapNode {
    /// What the values are.
    pub value: Node,
    /// OpenAPI `format` of the values.
    pub value_format: Text,
    /// Values that may stand behind the keys, empty if free.
    pub value_enum: Vec<Text>,
    /// The name of the Go map type (`core/v1.ResourceList`), or `key:value`
    /// names, or empty.
    pub named: Text,
}

/// A list.
#[derive(Clone, Debug)]
pub struct ListNode {
    /// What the items are.
    pub item: Node,
    /// Items are pointers in Go: a `null` among them stays `null`.
    pub item_pointer: bool,
    /// How items are told apart.
    pub kind: ListKind,
    /// OpenAPI `format` of the items.
    pub item_format: Text,
    /// Values the items may have, empty if free.
    pub item_enum: Vec<Text>,
    /// The name of the Go list type, or empty. If `named_message`, protobuf has a
    /// message of its own for it.
    pub named: Text,
    /// In protobuf this list is a message with one repeated field 1.
    pub named_message: bool,
}

/// `x-kubernetes-list-type`, and whether it was said.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub enum ListKind {
    /// Nothing is said: counts as atomic.
    #[default]
    Unsaid,
    /// One value as a whole.
    Atomic,
    /// Items are their own keys.
    Set,
    /// Items are told apart by these fields.
    Map(Vec<Text>),
}

/// `x-kubernetes-map-type`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum MapType {
    /// One value as a whole.
    Atomic,
    /// Fields have owners of their own.
    Granular,
}

/// An object with declared fields.
#[derive(Clone, Debug, Default)]
pub struct Struct {
    /// Key in the table of types (`core/v1.PodSpec`); empty for made-up ones.
    pub name: Text,
    /// Name of the OpenAPI model, empty if there is none.
    pub openapi: Text,
    /// Whether the OpenAPI documents of upstream hold the model.
    pub in_documents: bool,
    /// Fields as JSON has them, Go-inlined ones flattened, in Go order.
    pub fields: Vec<Field>,
    /// Fields as Go and protobuf have them.
    pub members: Vec<Member>,
    /// `x-kubernetes-map-type` of the whole type.
    pub map_type: Option<MapType>,
    /// `x-kubernetes-unions` as JSON, or empty.
    pub unions: Text,
    /// The kinds this type is the root of.
    pub gvks: Vec<Gvk>,
    /// Whether it is registered as a root type (an object, a list, options).
    pub root: bool,
    /// Protobuf cannot carry it.
    pub no_protobuf: bool,
    /// Keep fields that are not declared instead of dropping them.
    pub preserve_unknown: bool,
    /// Places in `fields`, sorted by name.
    pub(crate) by_name: Vec<u16>,
    /// Places in `fields` of those that are printed even when unset.
    pub(crate) printed: Vec<u16>,
}

impl Struct {
    /// A struct made at run time, with these fields.
    pub fn new(name: impl Into<Text>, fields: Vec<Field>) -> Self {
        let mut made = Self {
            name: name.into(),
            fields,
            ..Self::default()
        };
        made.index();
        made
    }

    /// Sorts the names; to be called when `fields` is complete.
    pub(crate) fn index(&mut self) {
        let count = u16::try_from(self.fields.len()).unwrap_or(u16::MAX);
        self.by_name = (0..count).collect();
        let fields = &self.fields;
        self.printed = (0..count)
            .filter(|at| matches!(fields[usize::from(*at)].omit, Omit::Never | Omit::Inert))
            .collect();
        self.by_name.sort_by(|a, b| {
            fields[usize::from(*a)]
                .name
                .cmp(&fields[usize::from(*b)].name)
        });
    }

    /// The field of this JSON name.
    pub fn field(&self, name: &str) -> Option<&Field> {
        self.position(name).map(|at| &self.fields[at])
    }

    /// The place in `fields` of this JSON name.
    pub fn position(&self, name: &str) -> Option<usize> {
        self.by_name
            .binary_search_by(|at| self.fields[usize::from(*at)].name.as_ref().cmp(name))
            .ok()
            .map(|found| usize::from(self.by_name[found]))
    }

    /// The name of the Go type without its package (`PodSpec`).
    pub fn short_name(&self) -> &str {
        self.name.rsplit('.').next().unwrap_or("")
    }
}

/// When Go leaves a field out.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Omit {
    /// Never: unset prints as zero, `null` for lists and maps.
    #[default]
    Never,
    /// When empty (`omitempty`).
    Empty,
    /// `omitempty` on a plain struct, which is never empty: always printed.
    Inert,
    /// When zero (`omitzero`).
    Zero,
}

/// A field of a struct.
#[derive(Clone, Debug)]
pub struct Field {
    /// JSON name.
    pub name: Text,
    /// Go name.
    pub go: Text,
    /// Its type.
    pub node: Node,
    /// A pointer in Go: zero and unset differ.
    pub pointer: bool,
    /// When it is left out.
    pub omit: Omit,
    /// OpenAPI says required: Go always prints it.
    pub required: bool,
    /// OpenAPI default as JSON, or empty. See [`Field::real_default`].
    pub default: Text,
    /// OpenAPI `format`.
    pub format: Text,
    /// Values it may have, empty if free.
    pub enumeration: Vec<Text>,
    /// How a strategic merge patch treats it.
    pub patch: Patch,
    /// `x-kubernetes-map-type` of the property.
    pub map_type: Option<MapType>,
    /// Its place in protobuf.
    pub proto: Option<Proto>,
}

impl Field {
    /// The default that the server fills in because of the schema; `None` for
    /// those that only say how Go prints the zero value.
    pub fn real_default(&self) -> Option<serde_json::Value> {
        let zero = matches!(self.default.as_ref(), "" | "{}" | "\"\"" | "0" | "false");
        if self.default.is_empty() || (zero && !self.pointer) {
            return None;
        }
        serde_json::from_str(&self.default).ok()
    }

    /// What is owned as a whole by server-side apply: the map type of the
    /// property, else of its struct.
    pub fn effective_map_type(&self) -> Option<MapType> {
        self.map_type.or_else(|| match &self.node {
            Node::Struct(of) => of.get().map_type,
            _ => None,
        })
    }
}

/// `patchStrategy` and `patchMergeKey`.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Patch {
    /// Lists are merged.
    pub merge: bool,
    /// Keys not named by `$retainKeys` go.
    pub retain_keys: bool,
    /// The value is replaced.
    pub replace: bool,
    /// The field that tells items apart, or empty.
    pub merge_key: Text,
}

/// A member of a Go struct.
#[derive(Clone, Debug)]
pub enum Member {
    /// The field at this place of [`Struct::fields`].
    Own(usize),
    /// A field that JSON does not have.
    Hidden(Box<Field>),
    /// An embedded struct.
    Inline {
        /// Its type.
        of: StructRef,
        /// Place of its first field in [`Struct::fields`].
        first: usize,
        /// How many fields it brings.
        count: usize,
        /// Its place in protobuf: one nested message, written even when empty.
        /// `None`: not in protobuf (`TypeMeta`).
        proto: Option<Proto>,
    },
}

/// Place and form in protobuf.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Proto {
    /// Field number.
    pub number: u32,
    /// Wire kind.
    pub wire: Wire,
    /// How often it may stand.
    pub card: Card,
}

/// Protobuf wire kinds that occur.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Wire {
    /// Integers and booleans.
    Varint,
    /// Floats.
    Fixed64,
    /// Texts, bytes, messages.
    Len,
}

/// Protobuf cardinalities.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Card {
    /// Once.
    Optional,
    /// One record an item, never packed.
    Repeated,
    /// One record an entry.
    Map,
}

impl Node {
    /// A scalar without a Go name.
    pub const fn scalar(kind: ScalarKind) -> Self {
        Self::Scalar(Scalar {
            kind,
            named: Text::Borrowed(""),
        })
    }

    /// The struct, if it is one.
    pub fn as_struct(&self) -> Option<&Struct> {
        match self {
            Self::Struct(of) => Some(of.get()),
            _ => None,
        }
    }

    /// The list, if it is one.
    pub fn as_list(&self) -> Option<&ListNode> {
        match self {
            Self::List(list) => Some(list),
            _ => None,
        }
    }

    /// The map, if it is one.
    pub fn as_map(&self) -> Option<&MapNode> {
        match self {
            Self::Map(map) => Some(map),
            _ => None,
        }
    }

    /// What the scalar holds, if it is one.
    pub fn as_scalar(&self) -> Option<ScalarKind> {
        match self {
            Self::Scalar(scalar) => Some(scalar.kind),
            _ => None,
        }
    }
}
