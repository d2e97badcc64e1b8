//! Types for tests, read from OpenAPI v3 documents and from the schema form of
//! structured-merge-diff.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::{Inner, ListMerge, Scalar, Shape};

#[derive(Default, Debug)]
pub(crate) struct Model {
    pub(crate) types: BTreeMap<String, Type>,
}

#[derive(Clone, Default, Debug)]
pub(crate) struct Type {
    pub(crate) name: String,
    /// Another type that this one is.
    pub(crate) is: Option<String>,
    pub(crate) fields: BTreeMap<String, Field>,
    pub(crate) values: Option<Box<Type>>,
    pub(crate) free: bool,
    pub(crate) map: bool,
    pub(crate) atomic: bool,
    pub(crate) items: Option<Box<Type>>,
    pub(crate) list_type: ListType,
    pub(crate) keys: Vec<String>,
    pub(crate) scalar: Option<Scalar>,
}

#[derive(Clone, Default, Debug)]
pub(crate) struct Field {
    pub(crate) of: Type,
    pub(crate) default: Option<Value>,
    pub(crate) required: bool,
    pub(crate) strategy: String,
    pub(crate) merge_key: Option<String>,
}

#[derive(Clone, Copy, Default, Debug, PartialEq)]
pub(crate) enum ListType {
    #[default]
    Atomic,
    Set,
    Map,
}

impl Type {
    pub(crate) fn is_map(&self) -> bool {
        self.map || self.free || self.values.is_some() || !self.fields.is_empty()
    }
}

impl Model {
    /// A view on a type of the model.
    pub(crate) fn shape<'m>(&'m self, of: &'m Type) -> Shape<'m> {
        let mut of = of;
        while let Some(name) = &of.is {
            match name.as_str() {
                "__untyped_deduced_" => return Shape(Inner::Deduced),
                "__untyped_atomic_" => {
                    return Shape(Inner::DeducedAtomic(std::marker::PhantomData));
                }
                _ => {}
            }
            of = self.types.get(name).unwrap_or_else(|| panic!("no type {name}"));
        }
        if of.free && of.fields.is_empty() && of.values.is_none() {
            return Shape(Inner::Deduced);
        }
        Shape(Inner::Model(self, of))
    }

    pub(crate) fn named(&self, name: &str) -> Shape<'_> {
        self.shape(&self.types[name])
    }

    pub(super) fn list_merge<'m>(&'m self, of: &'m Type, name: &str) -> Option<ListMerge<'m>> {
        let Some(field) = of.fields.get(name) else {
            let values = of.values.as_ref()?;
            return Some(ListMerge {
                shape: Some(self.shape(values)),
                merge: false,
                replace: false,
                merge_key: None,
            });
        };
        let shape = self.shape(&field.of);
        let has = |name: &str| field.strategy.split(',').any(|part| part == name);
        Some(ListMerge {
            shape: Some(match (shape.as_map(), shape.as_list()) {
                (None, Some(list)) => list.element,
                _ => shape,
            }),
            merge: has("merge"),
            replace: has("replace"),
            merge_key: field.merge_key.as_deref(),
        })
    }

    pub(super) fn zero(&self, of: &Type) -> Value {
        let mut out = Map::new();
        for (name, field) in &of.fields {
            let shape = self.shape(&field.of);
            match (&field.default, shape.as_map(), shape.as_list()) {
                (Some(Value::Object(_)), Some(_), _) => {
                    out.insert(name.clone(), shape.zero());
                }
                (_, None, Some(_)) if field.required => {
                    out.insert(name.clone(), Value::Null);
                }
                _ => {}
            }
        }
        Value::Object(out)
    }

    pub(crate) fn from_openapi(document: &Value) -> Self {
        let mut model = Self::default();
        model.add_openapi(document);
        model
    }

    pub(crate) fn add_openapi(&mut self, document: &Value) {
        for (name, schema) in document["components"]["schemas"].as_object().unwrap() {
            let mut of = openapi(schema);
            of.name = name.rsplit('.').next().unwrap_or_default().to_owned();
            if name.ends_with(".Quantity") || name.ends_with(".IntOrString") {
                of.scalar = Some(Scalar::Any);
            }
            self.types.insert(name.clone(), of);
        }
    }

    pub(crate) fn from_schema(document: &Value) -> Self {
        let mut model = Self::default();
        for entry in document["types"].as_array().unwrap() {
            let name = entry["name"].as_str().unwrap().to_owned();
            model.types.insert(name, atom(entry));
        }
        model
    }
}

fn strings(value: &Value) -> Vec<String> {
    value
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(|item| item.as_str().map(str::to_owned))
        .collect()
}

/// A type of an OpenAPI v3 schema, or of a structural schema of a custom resource.
pub(crate) fn openapi(schema: &Value) -> Type {
    let reference = |schema: &Value| {
        schema["$ref"]
            .as_str()
            .and_then(|text| text.rsplit('/').next())
            .map(str::to_owned)
    };
    let is = reference(schema).or_else(|| reference(&schema["allOf"][0]));
    let mut of = Type {
        is,
        atomic: schema["x-kubernetes-map-type"] == "atomic",
        keys: strings(&schema["x-kubernetes-list-map-keys"]),
        list_type: match schema["x-kubernetes-list-type"].as_str() {
            Some("map") => ListType::Map,
            Some("set") => ListType::Set,
            _ => ListType::Atomic,
        },
        free: schema["x-kubernetes-preserve-unknown-fields"] == true,
        ..Type::default()
    };
    if schema["x-kubernetes-int-or-string"] == true || schema["format"] == "int-or-string" {
        of.scalar = Some(Scalar::Any);
        return of;
    }
    match schema["type"].as_str() {
        Some("string") => of.scalar = Some(Scalar::Text),
        Some("integer" | "number") => of.scalar = Some(Scalar::Number),
        Some("boolean") => of.scalar = Some(Scalar::Bool),
        Some("array") => of.items = Some(Box::new(openapi(&schema["items"]))),
        Some("object") => {
            of.map = true;
            match &schema["additionalProperties"] {
                Value::Object(values) if !values.is_empty() => {
                    of.values = Some(Box::new(openapi(&schema["additionalProperties"])));
                }
                Value::Object(_) | Value::Bool(true) => of.free = true,
                _ => {}
            }
            of.free |= schema["properties"].is_null() && of.values.is_none();
        }
        _ if of.is.is_none() => of.free = true,
        _ => {}
    }
    let required = strings(&schema["required"]);
    for (name, property) in schema["properties"].as_object().into_iter().flatten() {
        let field = Field {
            of: openapi(property),
            default: property.get("default").cloned(),
            required: required.contains(name),
            strategy: property["x-kubernetes-patch-strategy"]
                .as_str()
                .unwrap_or_default()
                .to_owned(),
            merge_key: property["x-kubernetes-patch-merge-key"]
                .as_str()
                .map(str::to_owned),
        };
        of.fields.insert(name.clone(), field);
    }
    of
}

/// A type of the schema form of structured-merge-diff.
fn atom(entry: &Value) -> Type {
    let mut of = Type {
        is: entry["namedType"].as_str().map(str::to_owned),
        scalar: match entry["scalar"].as_str() {
            Some("string") => Some(Scalar::Text),
            Some("numeric") => Some(Scalar::Number),
            Some("boolean") => Some(Scalar::Bool),
            Some(_) => Some(Scalar::Any),
            None => None,
        },
        ..Type::default()
    };
    if let Some(map) = entry.get("map") {
        of.map = true;
        of.atomic = map["elementRelationship"] == "atomic";
        if map["elementType"].is_object() {
            of.values = Some(Box::new(atom(&map["elementType"])));
        }
        for field in map["fields"].as_array().into_iter().flatten() {
            let name = field["name"].as_str().unwrap().to_owned();
            let of_field = Field {
                of: atom(&field["type"]),
                default: field.get("default").cloned(),
                ..Field::default()
            };
            of.fields.insert(name, of_field);
        }
    }
    if let Some(list) = entry.get("list") {
        of.items = Some(Box::new(atom(&list["elementType"])));
        of.keys = strings(&list["keys"]);
        of.list_type = match (list["elementRelationship"].as_str(), of.keys.is_empty()) {
            (Some("associative"), true) => ListType::Set,
            (Some("associative"), false) => ListType::Map,
            _ => ListType::Atomic,
        };
    }
    of
}
