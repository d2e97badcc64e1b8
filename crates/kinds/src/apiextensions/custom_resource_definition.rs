//! `CustomResourceDefinition` of `apiextensions.k8s.io/v1`: the entry in the list of kinds, what writes fill in, table cells.
//!
//! Pure: reads and writes only the tree it is given, and leaves set members alone.

use crate::admissionregistration::matching;
use crate::{
    fields, print,
    spec::{Column, Generation, Hooks, KindSpec, ResetFields, Subresource, VERBS},
};
use jiff::Timestamp;
use object::{Gvk, Resource};
use serde_json::{Value, json};

/// `CustomResourceDefinition` of `apiextensions.k8s.io/v1`.
pub(crate) const SPEC: KindSpec = KindSpec {
    gvk: Gvk::new("apiextensions.k8s.io", "v1", "CustomResourceDefinition"),
    resource: Resource::new("apiextensions.k8s.io", "customresourcedefinitions"),
    list_kind: "CustomResourceDefinitionList",
    plural: "customresourcedefinitions",
    singular: "customresourcedefinition",
    short_names: &["crd", "crds"],
    categories: &["api-extensions"],
    namespaced: false,
    verbs: VERBS,
    subresources: &[Subresource {
        name: "status",
        gvk: Gvk::new("apiextensions.k8s.io", "v1", "CustomResourceDefinition"),
        verbs: &["get", "patch", "update"],
        served: true,
    }],
    storage: Some(Gvk::new(
        "apiextensions.k8s.io",
        "v1",
        "CustomResourceDefinition",
    )),
    storage_version_hash: "jfWCUB31mvA=",
    type_name: "apiextensions/v1.CustomResourceDefinition",
    columns: &[
        Column::new("Name", "string", "name", 0),
        Column::new("Scope", "string", "", 0),
        Column::new("Versions", "string", "", 0),
        Column::new("Created At", "date", "", 0),
        Column::new("Group", "string", "", 1),
        Column::new("Kind", "string", "", 1),
        Column::new("ShortNames", "string", "", 1),
        Column::new("Established", "boolean", "", 1),
    ],
    cells,
    field_selectors: &[],
    reset_fields: ResetFields {
        main: &["status"],
        status: &[
            "spec",
            "metadata.labels",
            "metadata.annotations",
            "metadata.ownerReferences",
        ],
    },
    generation: Generation::Spec,
    status: true,
    keeps_status_on_create: false,
    hooks: Hooks {
        default: Some(default),
        prepare_create: Some(prepare_create),
        prepare_update: Some(prepare_update),
        ..Hooks::NONE
    },
};

fn default(value: &mut Value) {
    let spec = fields::object(value, "spec");
    let names = fields::member(spec, "names");
    let kind = fields::text_in(names, "kind").to_owned();
    if !kind.is_empty() {
        fields::fill_zero(names, "singular", kind.to_lowercase());
        fields::fill_zero(names, "listKind", format!("{kind}List"));
    }
    let conversion = fields::member(spec, "conversion");
    fields::fill_zero(conversion, "strategy", "None");
    if let Some(webhook) = fields::map_in(conversion, "webhook")
        && let Some(config) = fields::map_in(webhook, "clientConfig")
    {
        matching::default_service(config);
    }
}

/// The version that objects are stored in is on record from the start.
fn prepare_create(value: &mut Value) {
    let names = json!({"plural": "", "kind": ""});
    let stored: Vec<String> = storage_version(value).into_iter().collect();
    let status = json!({"conditions": null, "acceptedNames": names, "storedVersions": stored});
    fields::put(value, "status", Some(status));
}

/// A version that becomes the one for storage is added to the record.
fn prepare_update(new: &mut Value, _: &Value) {
    let Some(version) = storage_version(new) else {
        return;
    };
    let mut stored = fields::items(new, "/status/storedVersions").to_vec();
    if !stored.iter().any(|known| *known == version) {
        stored.push(version.into());
        fields::object(new, "status").insert("storedVersions".into(), stored.into());
    }
}

fn storage_version(value: &Value) -> Option<String> {
    fields::items(value, "/spec/versions")
        .iter()
        .find(|version| fields::flag(version, "/storage"))
        .map(|version| fields::text(version, "/name").to_owned())
}

fn cells(value: &Value, _: Timestamp) -> Vec<Value> {
    let versions: Vec<&str> = fields::items(value, "/spec/versions")
        .iter()
        .filter(|version| fields::flag(version, "/served"))
        .map(|version| fields::text(version, "/name"))
        .collect();
    let short: Vec<&str> = fields::items(value, "/spec/names/shortNames")
        .iter()
        .filter_map(Value::as_str)
        .collect();
    let established = fields::items(value, "/status/conditions")
        .iter()
        .any(|condition| {
            fields::text(condition, "/type") == "Established"
                && fields::text(condition, "/status") == "True"
        });
    vec![
        print::name(value),
        print::text(value, "/spec/scope"),
        versions.join(",").into(),
        print::text(value, "/metadata/creationTimestamp"),
        print::text(value, "/spec/group"),
        print::text(value, "/spec/names/kind"),
        print::joined(&short, ",").into(),
        established.into(),
    ]
}
