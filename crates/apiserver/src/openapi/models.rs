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

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn write(dialect: Dialect, model: &str) -> Value {
        let mut models = Models::default();
        models.add(model);
        let mut json = Json::default();
        json.open();
        let versions = vec![("apps", "v1")];
        let style = Style { dialect, versions };
        models.write(&mut json, &Docs::of([("", "v1")]), &style);
        json.close();
        serde_json::from_slice(&json.finish()).unwrap()
    }

    /// A member without its description.
    fn bare(document: &Value, model: &str, field: &str) -> Value {
        let mut value = document[model]["properties"][field].clone();
        value.as_object_mut().unwrap().remove("description");
        value
    }

    #[test]
    fn fields_are_written_as_upstream_in_both_generations() {
        let core = "io.k8s.api.core.v1.";
        let container = format!("#/components/schemas/{core}Container");
        let (v3, v2) = (
            write(Dialect::V3, &format!("{core}Pod")),
            write(Dialect::V2, &format!("{core}Pod")),
        );
        let merge = json!({"type": "array", "items": {"$ref": container},
            "x-kubernetes-list-map-keys": ["name"], "x-kubernetes-list-type": "map",
            "x-kubernetes-patch-merge-key": "name", "x-kubernetes-patch-strategy": "merge"});
        // type, field, in v3, in v2 (null: the same)
        let rows = [
            ("PodSpec", "containers", merge, Value::Null),
            (
                "ContainerPort",
                "containerPort",
                json!({"type": "integer", "format": "int32", "default": 0}),
                json!({"type": "integer", "format": "int32"}),
            ),
            (
                "ContainerPort",
                "protocol",
                json!({"type": "string", "default": "TCP", "enum": ["SCTP", "TCP", "UDP"]}),
                json!({"type": "string", "enum": ["SCTP", "TCP", "UDP"]}),
            ),
            (
                "Pod",
                "spec",
                json!({"default": {}, "allOf": [{"$ref": "#/components/schemas/io.k8s.api.core.v1.PodSpec"}]}),
                json!({"$ref": "#/definitions/io.k8s.api.core.v1.PodSpec"}),
            ),
            (
                "PodSpec",
                "nodeSelector",
                json!({"type": "object", "additionalProperties": {"type": "string"},
                    "x-kubernetes-map-type": "atomic"}),
                Value::Null,
            ),
        ];
        for (model, field, in_v3, in_v2) in rows {
            let model = format!("{core}{model}");
            assert_eq!(bare(&v3, &model, field), in_v3, "{model} {field}");
            let in_v2 = match in_v2 {
                Value::Null => serde_json::from_str(
                    &in_v3
                        .to_string()
                        .replace("#/components/schemas/", "#/definitions/"),
                )
                .unwrap(),
                said => said,
            };
            assert_eq!(bare(&v2, &model, field), in_v2, "{model} {field}");
        }
        assert_eq!(
            v3[format!("{core}PodSpec")]["required"],
            json!(["containers"])
        );
    }

    #[test]
    fn types_with_json_of_their_own_say_what_they_take() {
        let quantity = "io.k8s.apimachinery.pkg.api.resource.Quantity";
        let requirements = "io.k8s.api.core.v1.ResourceRequirements";
        let v3 = write(Dialect::V3, requirements);
        assert_eq!(
            v3[quantity]["oneOf"],
            json!([{"type": "string"}, {"type": "number"}])
        );
        assert_eq!(write(Dialect::V2, requirements)[quantity]["type"], "string");
    }

    #[test]
    fn options_are_of_every_version_of_the_document() {
        let name = "io.k8s.apimachinery.pkg.apis.meta.v1.DeleteOptions";
        let gvks = &write(Dialect::V3, name)[name]["x-kubernetes-group-version-kind"];
        let want = json!([
            {"group": "", "kind": "DeleteOptions", "version": "v1"},
            {"group": "apps", "kind": "DeleteOptions", "version": "v1"},
        ]);
        assert_eq!(*gvks, want);
    }

    #[test]
    fn every_model_that_a_path_names_is_written() {
        for dialect in [Dialect::V2, Dialect::V3] {
            for name in [PATCH, VERSION_INFO, "io.k8s.api.core.v1.PodList"] {
                assert!(write(dialect, name).get(name).is_some(), "{name}");
            }
        }
    }
}
