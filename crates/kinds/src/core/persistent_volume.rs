//! `PersistentVolume` of `v1`: the entry in the list of kinds, what writes fill in, table cells.
//!
//! Pure: reads and writes only the tree it is given, and leaves set members alone.

use super::volume;
use crate::{
    fields, print,
    spec::{Column, Generation, Hooks, KindSpec, ResetFields, Subresource, VERBS},
};
use jiff::Timestamp;
use object::{Gvk, Resource};
use serde_json::{Value, json};

/// `PersistentVolume` of `v1`.
pub(crate) const SPEC: KindSpec = KindSpec {
    gvk: Gvk::new("", "v1", "PersistentVolume"),
    resource: Resource::new("", "persistentvolumes"),
    list_kind: "PersistentVolumeList",
    plural: "persistentvolumes",
    singular: "persistentvolume",
    short_names: &["pv"],
    categories: &[],
    namespaced: false,
    verbs: VERBS,
    subresources: &[Subresource {
        name: "status",
        gvk: Gvk::new("", "v1", "PersistentVolume"),
        verbs: &["get", "patch", "update"],
        served: true,
    }],
    storage: Some(Gvk::new("", "v1", "PersistentVolume")),
    storage_version_hash: "HN/zwEC+JgM=",
    type_name: "core/v1.PersistentVolume",
    columns: &[
        Column::new("Name", "string", "name", 0),
        Column::new("Capacity", "string", "", 0),
        Column::new("Access Modes", "string", "", 0),
        Column::new("Reclaim Policy", "string", "", 0),
        Column::new("Status", "string", "", 0),
        Column::new("Claim", "string", "", 0),
        Column::new("StorageClass", "string", "", 0),
        Column::new("VolumeAttributesClass", "string", "", 0),
        Column::new("Reason", "string", "", 0),
        Column::new("Age", "string", "", 0),
        Column::new("VolumeMode", "string", "", 1),
    ],
    cells,
    field_selectors: &[],
    reset_fields: ResetFields::SPLIT,
    generation: Generation::Absent,
    status: true,
    keeps_status_on_create: false,
    hooks: Hooks {
        default: Some(default),
        prepare_create: Some(prepare_create),
        ..Hooks::NONE
    },
};

fn default(value: &mut Value) {
    let spec = fields::object(value, "spec");
    fields::fill_zero(spec, "persistentVolumeReclaimPolicy", "Retain");
    fields::fill(spec, "volumeMode", "Filesystem");
    volume::source(spec);
}

/// A volume starts pending, as of its creation.
fn prepare_create(value: &mut Value) {
    let since = fields::text(value, "/metadata/creationTimestamp").to_owned();
    let status = json!({"phase": "Pending", "lastPhaseTransitionTime": since});
    fields::put(value, "status", Some(status));
}

fn cells(value: &Value, now: Timestamp) -> Vec<Value> {
    let deleted = !fields::text(value, "/metadata/deletionTimestamp").is_empty();
    let phase = if deleted {
        "Terminating"
    } else {
        fields::text(value, "/status/phase")
    };
    let claim = match fields::text(value, "/spec/claimRef/name") {
        "" => String::new(),
        name => format!("{}/{name}", fields::text(value, "/spec/claimRef/namespace")),
    };
    vec![
        print::name(value),
        print::plain(value, "/spec/capacity/storage")
            .unwrap_or_default()
            .into(),
        print::access_modes(value, "/spec/accessModes").into(),
        print::text(value, "/spec/persistentVolumeReclaimPolicy"),
        phase.into(),
        claim.into(),
        print::text(value, "/spec/storageClassName"),
        print::text_or(value, "/spec/volumeAttributesClassName", "<unset>"),
        print::text(value, "/status/reason"),
        print::created(value, now),
        print::text_or(value, "/spec/volumeMode", "<unset>"),
    ]
}
