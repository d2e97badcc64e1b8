//! Reads the lines of one type of the table.
//!
//! A type's line: `=` name, expression (empty: struct; `[]string`: a named list),
//! map type, note. A field's line: json, expr, omit, inline, pb, named, go,
//! patchStrategy, patchMergeKey, listType, listMapKeys, mapType, required,
//! default, format, enum, itemFormat, itemEnum, note. Cells are separated by tabs,
//! empty ones at the end are cut off. `pb` is number, wire (`v`, `f`, `l`) and
//! cardinality (`o`, `r`, `m`); an empty `go` is the JSON name capitalised.

use std::sync::Arc;

use object::Gvk;

use super::{TypeId, Types};
use crate::node::{
    Card, Field, ListKind, ListNode, MapNode, MapType, Member, Node, Omit, Patch, Proto, Scalar,
    ScalarKind, Struct, StructRef, Text, Wire,
};

/// The line of a type.
pub(super) struct Head {
    pub(super) name: &'static str,
    expr: &'static str,
    map_type: &'static str,
    note: &'static str,
}

impl Head {
    pub(super) fn read(lines: &'static str) -> Self {
        let line = lines.lines().next().unwrap_or("");
        let mut cells = line.split('\t');
        let mut next = || cells.next().unwrap_or("");
        Self {
            name: next(),
            expr: next(),
            map_type: next(),
            note: next(),
        }
    }

    /// `group/version/Kind` of each kind this is the root of.
    pub(super) fn gvks(&self) -> impl Iterator<Item = &'static str> {
        self.value("gvk=").split(',').filter(|gvk| !gvk.is_empty())
    }

    fn value(&self, key: &str) -> &'static str {
        self.note
            .split(' ')
            .find_map(|word| word.strip_prefix(key))
            .unwrap_or("")
    }

    fn says(&self, word: &str) -> bool {
        self.note.split(' ').any(|w| w == word)
    }
}

/// The scalar that a type with JSON of its own is.
fn custom(name: &str) -> Option<ScalarKind> {
    Some(match name {
        "meta/v1.Time" => ScalarKind::Time,
        "meta/v1.MicroTime" => ScalarKind::MicroTime,
        "meta/v1.Duration" => ScalarKind::Duration,
        "resource.Quantity" => ScalarKind::Quantity,
        "intstr.IntOrString" => ScalarKind::IntOrString,
        "meta/v1.FieldsV1"
        | "runtime.RawExtension"
        | "runtime.Unknown"
        | "apiextensions/v1.JSON" => ScalarKind::Any,
        "apiextensions/v1.JSONSchemaPropsOrBool" => ScalarKind::SchemaOrBool,
        "apiextensions/v1.JSONSchemaPropsOrArray" => ScalarKind::SchemaOrArray,
        "apiextensions/v1.JSONSchemaPropsOrStringArray" => ScalarKind::SchemaOrStrings,
        _ => return None,
    })
}

pub(super) fn node_of(head: &Head, id: TypeId) -> Node {
    if let Some(kind) = custom(head.name) {
        return Node::Scalar(Scalar {
            kind,
            named: head.name.into(),
        });
    }
    if head.expr == "[]string" {
        return Node::List(Arc::new(ListNode {
            item: Node::scalar(ScalarKind::String),
            item_pointer: false,
            kind: ListKind::Unsaid,
            item_format: "".into(),
            item_enum: Vec::new(),
            named: head.name.into(),
            named_message: true,
        }));
    }
    Node::Struct(StructRef::Builtin(id))
}

/// A field's line, cell by cell.
struct Cells(Vec<&'static str>);

impl Cells {
    fn at(&self, place: usize) -> &'static str {
        self.0.get(place).copied().unwrap_or("")
    }
}

pub(super) fn parse(types: &Types, lines: &'static str) -> Struct {
    let head = Head::read(lines);
    let openapi = head.value("openapi=");
    let mut made = Struct {
        name: head.name.into(),
        openapi: openapi.trim_end_matches("(not").into(),
        in_documents: !openapi.is_empty() && !head.note.contains("(not in documents)"),
        map_type: map_type(head.map_type),
        unions: head.value("unions=").into(),
        gvks: head.gvks().map(gvk).collect(),
        root: head.says("root"),
        no_protobuf: head.says("noProtobuf"),
        ..Struct::default()
    };
    for line in lines.lines().skip(1) {
        let cells = Cells(line.split('\t').collect());
        if cells.at(3).is_empty() {
            let field = field(types, &cells);
            if field.name == "-" {
                made.members.push(Member::Hidden(Box::new(field)));
            } else {
                made.members.push(Member::Own(made.fields.len()));
                made.fields.push(field);
            }
            continue;
        }
        let name = cells.at(1).trim_start_matches(['*', '&']);
        let Node::Struct(of) = types.reference(name) else {
            continue;
        };
        let embedded = of.get().fields.clone();
        made.members.push(Member::Inline {
            first: made.fields.len(),
            count: embedded.len(),
            proto: proto(cells.at(4)),
            of,
        });
        made.fields.extend(embedded);
    }
    made.index();
    made
}

fn gvk(text: &'static str) -> Gvk {
    let mut parts = text.split('/');
    let mut next = || parts.next().unwrap_or("");
    Gvk::new(next(), next(), next())
}

fn field(types: &Types, cells: &Cells) -> Field {
    let name = cells.at(0);
    let (pointer, expr) = match cells.at(1).strip_prefix('*') {
        Some(rest) => (true, rest),
        None => (false, cells.at(1)),
    };
    Field {
        name: name.into(),
        go: match cells.at(6) {
            "" => capitalised(name),
            go => go.into(),
        },
        node: node(types, expr, cells),
        pointer,
        omit: match cells.at(2) {
            "e" => Omit::Empty,
            "E" => Omit::Inert,
            "z" => Omit::Zero,
            _ => Omit::Never,
        },
        required: cells.at(12) == "1",
        default: cells.at(13).into(),
        format: cells.at(14).into(),
        enumeration: alternatives(cells.at(15)),
        patch: Patch {
            merge: cells.at(7).split(',').any(|s| s == "merge"),
            retain_keys: cells.at(7).split(',').any(|s| s == "retainKeys"),
            replace: cells.at(7) == "replace",
            merge_key: cells.at(8).into(),
        },
        map_type: map_type(cells.at(11)),
        proto: proto(cells.at(4)),
    }
}

fn node(types: &Types, expr: &'static str, cells: &Cells) -> Node {
    let named = cells.at(5);
    if let Some(item) = expr.strip_prefix("[]") {
        let (item_pointer, item) = match item.strip_prefix('*') {
            Some(rest) => (true, rest),
            None => (false, item),
        };
        // The name is the list's if the items are structs, else the items'.
        let (list_named, item_named) = match item.starts_with('&') {
            true => (named, ""),
            false => ("", named),
        };
        return Node::List(Arc::new(ListNode {
            item: leaf(types, item, item_named),
            item_pointer,
            kind: match cells.at(9) {
                "atomic" => ListKind::Atomic,
                "set" => ListKind::Set,
                "map" => ListKind::Map(cells.at(10).split(',').map(Text::from).collect()),
                _ => ListKind::Unsaid,
            },
            item_format: cells.at(16).into(),
            item_enum: alternatives(cells.at(17)),
            named: list_named.into(),
            named_message: false,
        }));
    }
    if let Some(value) = expr.strip_prefix("map[string]") {
        return Node::Map(Arc::new(MapNode {
            value: leaf(types, value, ""),
            value_format: cells.at(16).into(),
            value_enum: alternatives(cells.at(17)),
            named: named.into(),
        }));
    }
    leaf(types, expr, named)
}

fn leaf(types: &Types, expr: &'static str, named: &'static str) -> Node {
    if let Some(name) = expr.strip_prefix('&') {
        return types.reference(name);
    }
    let kind = match expr {
        "bool" => ScalarKind::Bool,
        "int32" => ScalarKind::Int32,
        "int64" => ScalarKind::Int64,
        "uint8" => ScalarKind::Uint8,
        "float64" => ScalarKind::Float64,
        "bytes" => ScalarKind::Bytes,
        "interface" => ScalarKind::Any,
        // A test walks the whole table: nothing else than `string` is left.
        _ => ScalarKind::String,
    };
    Node::Scalar(Scalar {
        kind,
        named: named.into(),
    })
}

fn alternatives(cell: &'static str) -> Vec<Text> {
    match cell {
        "" => Vec::new(),
        cell => cell.split('|').map(Text::from).collect(),
    }
}

fn map_type(cell: &str) -> Option<MapType> {
    match cell {
        "atomic" => Some(MapType::Atomic),
        "granular" => Some(MapType::Granular),
        _ => None,
    }
}

fn proto(cell: &str) -> Option<Proto> {
    let split = cell.find(|c: char| !c.is_ascii_digit())?;
    let (number, form) = cell.split_at(split);
    Some(Proto {
        number: number.parse().ok()?,
        wire: match form.as_bytes().first()? {
            b'v' => Wire::Varint,
            b'f' => Wire::Fixed64,
            _ => Wire::Len,
        },
        card: match form.as_bytes().get(1)? {
            b'r' => Card::Repeated,
            b'm' => Card::Map,
            _ => Card::Optional,
        },
    })
}

fn capitalised(name: &'static str) -> Text {
    let mut chars = name.chars();
    match chars.next() {
        Some(first) => first.to_uppercase().chain(chars).collect::<String>().into(),
        None => "".into(),
    }
}
