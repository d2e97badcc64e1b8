//! How a schema is written, in either generation of documents.

use std::borrow::Cow;

use object::Gvk;
use schema::{Field, ListKind, ListNode, MapNode, MapType, Node, ScalarKind, Struct};

use super::{Dialect, model_name};
use crate::openapi::docs::Docs;
use crate::openapi::json::Json;

/// How models are written.
pub(in crate::openapi) struct Style<'v> {
    /// The generation of the document.
    pub(in crate::openapi) dialect: Dialect,
    /// Group and version of those whose options and watches the document describes.
    pub(in crate::openapi) versions: Vec<(&'v str, &'v str)>,
}

impl Style<'_> {
    pub(super) fn write_struct(&self, json: &mut Json, docs: &Docs, name: &str, of: &Struct) {
        match docs.model(name) {
            "" if name.ends_with("List") => {
                let item = of.short_name().trim_end_matches("List");
                json.pair("description", &format!("{item}List is a list of {item}"));
            }
            description => json.pair_if("description", description),
        }
        json.pair("type", "object");
        let required = of.fields.iter().filter(|field| field.required);
        if of.fields.iter().any(|field| field.required) {
            json.texts("required", required.map(|field| field.name.as_ref()));
        }
        if !of.fields.is_empty() {
            json.open_pair("properties");
            let mut fields: Vec<&Field> = of.fields.iter().collect();
            fields.sort_by(|a, b| a.name.cmp(&b.name));
            for field in fields {
                json.open_pair(&field.name);
                self.write_field(json, docs.property(name, &field.name), field);
                json.close();
            }
            json.close();
        }
        self.write_gvks(json, of);
        if let Some(map_type) = of.map_type {
            json.pair("x-kubernetes-map-type", map_type_name(map_type));
        }
        if !of.unions.is_empty() {
            json.key("x-kubernetes-unions");
            json.raw(&of.unions);
        }
    }

    fn write_gvks(&self, json: &mut Json, of: &Struct) {
        let mut gvks = of.gvks.clone();
        if gvks.is_empty() && of.root {
            let kind = of.short_name();
            let own = |(group, version): (&str, &str)| {
                let api_version = match group {
                    "" => version.to_owned(),
                    group => format!("{group}/{version}"),
                };
                Gvk::interned(&api_version, kind)
            };
            gvks.push(own(("", "v1")));
            // Registered with every version, since any may be asked to delete or watch.
            if ["DeleteOptions", "WatchEvent"].contains(&kind) {
                gvks.extend(self.versions.iter().map(|version| own(*version)));
            }
            gvks.sort_by_key(|gvk| (gvk.group, gvk.version));
            gvks.dedup();
        }
        if gvks.is_empty() {
            return;
        }
        json.key("x-kubernetes-group-version-kind");
        json.open_list();
        for gvk in gvks {
            json.open();
            json.pair("group", gvk.group);
            json.pair("kind", gvk.kind);
            json.pair("version", gvk.version);
            json.close();
        }
        json.close_list();
    }

    fn write_field(&self, json: &mut Json, description: &str, field: &Field) {
        match &field.node {
            Node::List(list) => {
                json.pair_if("description", description);
                self.write_list(json, list);
            }
            Node::Map(map) => {
                json.pair_if("description", description);
                self.write_map(json, map);
            }
            node => match model_name(node) {
                Some(name) => self.write_reference(json, &name, description, field),
                None => self.write_scalar(json, description, field),
            },
        }
        write_extensions(json, field);
    }

    /// A reference, with what the field says beside it.
    fn write_reference(&self, json: &mut Json, name: &str, description: &str, field: &Field) {
        let reference = format!("{}{name}", self.dialect.prefix());
        json.pair_if("description", description);
        let default = match self.dialect {
            Dialect::V2 => "",
            Dialect::V3 => field.default.as_ref(),
        };
        if !default.is_empty() {
            json.key("default");
            json.raw(default);
        }
        let alone = description.is_empty() && default.is_empty() && !has_extensions(field);
        if self.dialect == Dialect::V2 || alone {
            json.pair("$ref", &reference);
            return;
        }
        json.key("allOf");
        json.open_list();
        json.open();
        json.pair("$ref", &reference);
        json.close();
        json.close_list();
    }

    fn write_scalar(&self, json: &mut Json, description: &str, field: &Field) {
        let described = with_values(description, &field.enumeration);
        json.pair_if("description", &described);
        write_type(json, &field.node, &field.format);
        if self.dialect == Dialect::V3 && !field.default.is_empty() {
            json.key("default");
            json.raw(&field.default);
        }
        write_enum(json, &field.enumeration);
    }

    fn write_list(&self, json: &mut Json, list: &ListNode) {
        json.pair("type", "array");
        json.open_pair("items");
        self.write_item(json, &list.item, &list.item_format, &list.item_enum);
        json.close();
    }

    fn write_map(&self, json: &mut Json, map: &MapNode) {
        json.pair("type", "object");
        json.open_pair("additionalProperties");
        self.write_item(json, &map.value, &map.value_format, &map.value_enum);
        json.close();
    }

    fn write_item(&self, json: &mut Json, node: &Node, format: &str, values: &[Cow<'static, str>]) {
        match node {
            Node::List(list) => self.write_list(json, list),
            Node::Map(map) => self.write_map(json, map),
            node => match model_name(node) {
                Some(name) => json.pair("$ref", &format!("{}{name}", self.dialect.prefix())),
                None => {
                    write_type(json, node, format);
                    write_enum(json, values);
                }
            },
        }
    }

    /// The body of a type with JSON of its own.
    pub(super) fn write_scalar_model(&self, json: &mut Json, kind: ScalarKind, name: &str) {
        let either: &[&str] = match (kind, self.dialect) {
            (ScalarKind::Quantity, Dialect::V3) => &["string", "number"],
            (ScalarKind::IntOrString, Dialect::V3) => &["integer", "string"],
            _ => &[],
        };
        match kind {
            ScalarKind::Time | ScalarKind::MicroTime => {
                json.pair("type", "string");
                json.pair("format", "date-time");
            }
            ScalarKind::Quantity | ScalarKind::IntOrString => {
                if either.is_empty() {
                    json.pair("type", "string");
                }
                if kind == ScalarKind::IntOrString {
                    json.pair("format", "int-or-string");
                }
            }
            ScalarKind::Duration => json.pair("type", "string"),
            // Free JSON: an object, but for the parts of CRD schemas, where anything
            // may stand.
            ScalarKind::Any if !name.ends_with(".JSON") => json.pair("type", "object"),
            _ => {}
        }
        if either.is_empty() {
            return;
        }
        json.key("oneOf");
        json.open_list();
        for kind in either {
            json.open();
            json.pair("type", kind);
            json.close();
        }
        json.close_list();
    }
}

fn write_type(json: &mut Json, node: &Node, format: &str) {
    let kind = match node.as_scalar() {
        Some(ScalarKind::Bool) => "boolean",
        Some(ScalarKind::Int32 | ScalarKind::Int64 | ScalarKind::Uint8) => "integer",
        Some(ScalarKind::Float64) => "number",
        Some(ScalarKind::String | ScalarKind::Bytes) => "string",
        // An object without fields, or free JSON without a name.
        _ => "object",
    };
    json.pair("type", kind);
    json.pair_if("format", format);
}

fn write_enum(json: &mut Json, values: &[Cow<'static, str>]) {
    if !values.is_empty() {
        json.texts("enum", values.iter().map(AsRef::as_ref));
    }
}

/// The values are said in the description as well, since `kubectl explain` shows it.
fn with_values<'t>(description: &'t str, values: &[Cow<'static, str>]) -> Cow<'t, str> {
    if values.is_empty() {
        return description.into();
    }
    let mut text = description.to_owned();
    if !text.is_empty() {
        text.push_str("\n\n");
    }
    text.push_str("Possible enum values:");
    for value in values {
        text.push_str(&format!("\n - `\"{value}\"`"));
    }
    text.into()
}

fn write_extensions(json: &mut Json, field: &Field) {
    if let Node::List(list) = &field.node {
        match &list.kind {
            ListKind::Unsaid => {}
            ListKind::Atomic => json.pair("x-kubernetes-list-type", "atomic"),
            ListKind::Set => json.pair("x-kubernetes-list-type", "set"),
            ListKind::Map(keys) => {
                let names = keys.iter().map(AsRef::as_ref);
                json.texts("x-kubernetes-list-map-keys", names);
                json.pair("x-kubernetes-list-type", "map");
            }
        }
    }
    if let Some(map_type) = field.map_type {
        json.pair("x-kubernetes-map-type", map_type_name(map_type));
    }
    let patch = &field.patch;
    json.pair_if("x-kubernetes-patch-merge-key", &patch.merge_key);
    let strategies = [
        (patch.merge, "merge"),
        (patch.retain_keys, "retainKeys"),
        (patch.replace, "replace"),
    ];
    let said = strategies
        .iter()
        .filter(|(is, _)| *is)
        .map(|(_, name)| *name);
    json.pair_if(
        "x-kubernetes-patch-strategy",
        &said.collect::<Vec<_>>().join(","),
    );
}

fn has_extensions(field: &Field) -> bool {
    field.map_type.is_some() || field.patch != schema::Patch::default()
}

fn map_type_name(map_type: MapType) -> &'static str {
    match map_type {
        MapType::Atomic => "atomic",
        MapType::Granular => "granular",
    }
}
