//! Types for tests, read from structural schemas of custom resources and from the
//! schema form of structured-merge-diff.

use std::collections::BTreeMap;

use schema::node::Text;
use serde_json::Value;

use super::{Inner, ListShape, PhantomData, Relation, Scalar, Shape};

#[derive(Default, Debug)]
pub(crate) struct Model {
    pub(crate) types: BTreeMap<String, Type>,
}

#[derive(Clone, Default, Debug)]
pub(crate) struct Type {
    /// Another type that this one is.
    pub(crate) is: Option<String>,
    pub(crate) fields: BTreeMap<String, Field>,
    pub(crate) values: Option<Box<Type>>,
    pub(crate) free: bool,
    pub(crate) map: bool,
    pub(crate) atomic: bool,
    pub(crate) items: Option<Box<Type>>,
    pub(crate) list_type: ListType,
    pub(crate) keys: Vec<Text>,
    pub(crate) scalar: Option<Scalar>,
}

#[derive(Clone, Default, Debug)]
pub(crate) struct Field {
    pub(crate) of: Type,
    pub(crate) default: Option<Value>,
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
                "__untyped_atomic_" => return Shape(Inner::DeducedAtomic(PhantomData)),
                "ObjectMeta" => {
                    return Shape::new(schema::types().get("meta/v1.ObjectMeta").unwrap());
                }
                _ => {}
            }
            of = self
                .types
                .get(name)
                .unwrap_or_else(|| panic!("no type {name}"));
        }
        if of.free && of.fields.is_empty() && of.values.is_none() {
            return Shape(Inner::Deduced);
        }
        Shape(Inner::Model(self, of))
    }

    pub(crate) fn named(&self, name: &str) -> Shape<'_> {
        self.shape(&self.types[name])
    }

    pub(super) fn list<'m>(&'m self, of: &'m Type) -> Option<ListShape<'m>> {
        let element = of.items.as_ref()?;
        Some(ListShape {
            relation: match of.list_type {
                ListType::Atomic => Relation::Atomic,
                ListType::Set => Relation::Set,
                ListType::Map => Relation::Keys(&of.keys),
            },
            element: self.shape(element),
        })
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

fn strings(value: &Value) -> Vec<Text> {
    value
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(|item| Some(item.as_str()?.to_owned().into()))
        .collect()
}

/// A type of a structural schema.
pub(crate) fn structural(schema: &Value) -> Type {
    let mut of = Type {
        is: schema["is"].as_str().map(str::to_owned),
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
        Some("array") => of.items = Some(Box::new(structural(&schema["items"]))),
        Some("object") => {
            of.map = true;
            match &schema["additionalProperties"] {
                Value::Object(values) if !values.is_empty() => {
                    of.values = Some(Box::new(structural(&schema["additionalProperties"])));
                }
                Value::Object(_) | Value::Bool(true) => of.free = true,
                _ => {}
            }
            of.free |= schema["properties"].is_null() && of.values.is_none();
        }
        _ if of.is.is_none() => of.free = true,
        _ => {}
    }
    for (name, property) in schema["properties"].as_object().into_iter().flatten() {
        let field = Field {
            of: structural(property),
            default: property.get("default").cloned(),
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
