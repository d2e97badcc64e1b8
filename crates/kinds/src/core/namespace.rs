//! `Namespace` of `v1`: the entry in the list of kinds, what writes fill in, table cells.
//!
//! Pure: reads and writes only the tree it is given, and leaves set members alone.

use crate::{
    fields, print, select,
    spec::{Column, Generation, Hooks, KindSpec, ResetFields, Subresource},
};
use jiff::Timestamp;
use object::{Gvk, Resource};
use serde_json::{Value, json};

/// `Namespace` of `v1`.
pub(crate) const SPEC: KindSpec = KindSpec {
    gvk: Gvk::new("", "v1", "Namespace"),
    resource: Resource::new("", "namespaces"),
    list_kind: "NamespaceList",
    plural: "namespaces",
    singular: "namespace",
    short_names: &["ns"],
    categories: &[],
    namespaced: false,
    verbs: &[
        "create", "delete", "get", "list", "patch", "update", "watch",
    ],
    subresources: &[
        Subresource {
            name: "finalize",
            gvk: Gvk::new("", "v1", "Namespace"),
            verbs: &["update"],
            served: true,
        },
        Subresource {
            name: "status",
            gvk: Gvk::new("", "v1", "Namespace"),
            verbs: &["get", "patch", "update"],
            served: true,
        },
    ],
    storage: Some(Gvk::new("", "v1", "Namespace")),
    storage_version_hash: "Q3oi5N2YM8M=",
    type_name: "core/v1.Namespace",
    columns: &[
        Column::new("Name", "string", "name", 0),
        Column::new("Status", "string", "", 0),
        Column::new("Age", "string", "", 0),
    ],
    cells,
    field_selectors: &[select::text_field!(
        "status.phase",
        "status.phase",
        "/status/phase"
    )],
    reset_fields: ResetFields::SPLIT,
    generation: Generation::Absent,
    status: true,
    keeps_status_on_create: false,
    hooks: Hooks {
        default: Some(default),
        prepare_create: Some(prepare_create),
        prepare_update: Some(prepare_update),
        ..Hooks::NONE
    },
};

/// Whose content must be gone before a namespace goes.
const FINALIZER: &str = "kubernetes";

/// The label that selects a namespace by its name.
fn default(value: &mut Value) {
    let name = fields::text(value, "/metadata/name").to_owned();
    if !name.is_empty() {
        let labels = fields::member(fields::object(value, "metadata"), "labels");
        labels.insert("kubernetes.io/metadata.name".into(), name.into());
    }
}

/// A namespace starts active, and waits for its content when it is deleted.
fn prepare_create(value: &mut Value) {
    default(value);
    let mut finalizers = fields::items(value, "/spec/finalizers").to_vec();
    if !finalizers.iter().any(|name| name == FINALIZER) {
        finalizers.push(FINALIZER.into());
    }
    fields::object(value, "spec").insert("finalizers".into(), finalizers.into());
    fields::put(value, "status", Some(json!({"phase": "Active"})));
}

/// Its finalizers change through the `finalize` subresource alone.
fn prepare_update(new: &mut Value, old: &Value) {
    let kept = old.pointer("/spec/finalizers").cloned();
    fields::put_member(fields::object(new, "spec"), "finalizers", kept);
}

fn cells(value: &Value, now: Timestamp) -> Vec<Value> {
    vec![
        print::name(value),
        print::text(value, "/status/phase"),
        print::created(value, now),
    ]
}
