//! Schemas of types: which ones a document needs, and how each is written.
//!
//! Pure: reads the table of types. Source of the shapes: recordings of Kubernetes
//! 1.37. In v2 a reference stands alone and defaults are left out, in v3 what stands
//! beside a reference wraps it in `allOf`.

use std::borrow::Cow;
use std::collections::BTreeMap;

use schema::{Field, Node, ScalarKind, Struct, StructRef};

use super::docs::Docs;
use super::json::Json;

mod style;

pub(super) use style::Style;

/// Body of patches, which has no type of its own.
pub const PATCH: &str = "io.k8s.apimachinery.pkg.apis.meta.v1.Patch";

/// Answer of `/version`.
pub const VERSION_INFO: &str = "io.k8s.apimachinery.pkg.version.Info";

/// The fields of [`VERSION_INFO`] that are always there, in order.
const INFO_REQUIRED: [&str; 9] = [
    "major",
    "minor",
    "gitVersion",
    "gitCommit",
    "gitTreeState",
    "buildDate",
    "goVersion",
    "compiler",
    "platform",
];

/// Those that may be absent.
const INFO_OPTIONAL: [&str; 4] = [
    "emulationMajor",
    "emulationMinor",
    "minCompatibilityMajor",
    "minCompatibilityMinor",
];

/// The two generations of documents.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Dialect {
    /// `swagger: "2.0"`
    V2,
    /// `openapi: "3.0.0"`
    V3,
}

impl Dialect {
    /// What a model's name stands behind in a reference.
    pub(super) fn prefix(self) -> &'static str {
        match self {
            Self::V2 => "#/definitions/",
            Self::V3 => "#/components/schemas/",
        }
    }
}

enum Model {
    Struct(StructRef),
    Scalar(ScalarKind),
    Patch,
}

/// The models of a document, by name.
#[derive(Default)]
pub struct Models {
    by_name: BTreeMap<Cow<'static, str>, Model>,
}

impl Models {
    /// Adds a model by its name, with all it is made of; names that are not known
    /// are left out, which a test excludes.
    pub fn add(&mut self, name: &str) {
        match name {
            PATCH => {
                self.by_name.insert(PATCH.into(), Model::Patch);
            }
            VERSION_INFO => {
                let info = StructRef::Owned(std::sync::Arc::new(version_info()));
                self.by_name
                    .insert(VERSION_INFO.into(), Model::Struct(info));
            }
            _ => {
                if let Some(node) = by_model_name(name) {
                    self.reach(node);
                }
            }
        }
    }

    fn reach(&mut self, node: &Node) {
        match node {
            Node::List(list) => self.reach(&list.item),
            Node::Map(map) => self.reach(&map.value),
            Node::Scalar(scalar) => {
                if let Some(name) = model_name(node) {
                    self.by_name.insert(name, Model::Scalar(scalar.kind));
                }
            }
            Node::Struct(of) => {
                let Some(name) = model_name(node) else {
                    return;
                };
                if self.by_name.contains_key(&name) {
                    return;
                }
                self.by_name.insert(name, Model::Struct(of.clone()));
                for field in &of.get().fields {
                    self.reach(&field.node);
                }
            }
        }
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.by_name.is_empty()
    }

    /// Writes all models as members of an open object.
    pub(super) fn write(&self, json: &mut Json, docs: &Docs, how: &Style<'_>) {
        for (name, model) in &self.by_name {
            json.open_pair(name);
            let description = docs.model(name);
            match model {
                Model::Struct(of) => how.write_struct(json, docs, name, of.get()),
                Model::Scalar(kind) => {
                    json.pair_if("description", description);
                    how.write_scalar_model(json, *kind, name);
                }
                Model::Patch => {
                    json.pair_if("description", description);
                    json.pair("type", "object");
                }
            }
            json.close();
        }
    }
}

/// The model that a reference to this type names; `None` for what is written in place.
pub(super) fn model_name(node: &Node) -> Option<Cow<'static, str>> {
    let scalar = match node {
        Node::Struct(of) => {
            let name = &of.get().openapi;
            return (!name.is_empty()).then(|| name.clone());
        }
        Node::Scalar(scalar) => scalar,
        _ => return None,
    };
    let custom = !matches!(
        scalar.kind,
        ScalarKind::String
            | ScalarKind::Bool
            | ScalarKind::Int32
            | ScalarKind::Int64
            | ScalarKind::Uint8
            | ScalarKind::Float64
            | ScalarKind::Bytes
    );
    if !custom {
        return None;
    }
    let (package, name) = scalar.named.rsplit_once('.')?;
    let package = match package {
        "meta/v1" => "io.k8s.apimachinery.pkg.apis.meta.v1",
        "resource" => "io.k8s.apimachinery.pkg.api.resource",
        "intstr" => "io.k8s.apimachinery.pkg.util.intstr",
        "runtime" => "io.k8s.apimachinery.pkg.runtime",
        "apiextensions/v1" => "io.k8s.apiextensions-apiserver.pkg.apis.apiextensions.v1",
        _ => return None,
    };
    Some(format!("{package}.{name}").into())
}

/// The type whose model has this name.
fn by_model_name(name: &str) -> Option<&'static Node> {
    // `io.k8s.api.apps.v1.Deployment` is `apps/v1.Deployment` in the table.
    let mut parts = name.rsplit('.');
    let (kind, version, group) = (parts.next()?, parts.next()?, parts.next()?);
    schema::types().get(&format!("{group}/{version}.{kind}"))
}

fn version_info() -> Struct {
    let text = |name: &'static str, required: bool| Field {
        name: name.into(),
        go: name.into(),
        node: Node::scalar(ScalarKind::String),
        pointer: false,
        omit: if required {
            schema::Omit::Never
        } else {
            schema::Omit::Empty
        },
        required,
        default: if required { "\"\"".into() } else { "".into() },
        format: "".into(),
        enumeration: Vec::new(),
        patch: schema::Patch::default(),
        map_type: None,
        proto: None,
    };
    let required = INFO_REQUIRED.into_iter().map(|name| text(name, true));
    let optional = INFO_OPTIONAL.into_iter().map(|name| text(name, false));
    let mut info = Struct::new("", required.chain(optional).collect());
    info.openapi = VERSION_INFO.into();
    info
}
