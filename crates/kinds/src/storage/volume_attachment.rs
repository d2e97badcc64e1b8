//! `VolumeAttachment` of `storage.k8s.io/v1`: the entry in the list of kinds, table cells.
//!
//! Pure: reads and writes only the tree it is given, and leaves set members alone.

use crate::{
    print,
    spec::{Column, Generation, Hooks, KindSpec, ResetFields, Subresource, VERBS},
};
use jiff::Timestamp;
use object::{Gvk, Resource};
use serde_json::Value;

/// `VolumeAttachment` of `storage.k8s.io/v1`.
pub(crate) const SPEC: KindSpec = KindSpec {
    gvk: Gvk::new("storage.k8s.io", "v1", "VolumeAttachment"),
    resource: Resource::new("storage.k8s.io", "volumeattachments"),
    list_kind: "VolumeAttachmentList",
    plural: "volumeattachments",
    singular: "volumeattachment",
    short_names: &[],
    categories: &[],
    namespaced: false,
    verbs: VERBS,
    subresources: &[Subresource {
        name: "status",
        gvk: Gvk::new("storage.k8s.io", "v1", "VolumeAttachment"),
        verbs: &["get", "patch", "update"],
        served: true,
    }],
    storage: Some(Gvk::new("storage.k8s.io", "v1", "VolumeAttachment")),
    storage_version_hash: "tJx/ezt6UDU=",
    type_name: "storage/v1.VolumeAttachment",
    columns: &[
        Column::new("Name", "string", "name", 0),
        Column::new("Attacher", "string", "name", 0),
        Column::new("PV", "string", "", 0),
        Column::new("Node", "string", "", 0),
        Column::new("Attached", "boolean", "", 0),
        Column::new("Age", "string", "", 0),
    ],
    cells,
    field_selectors: &[],
    reset_fields: ResetFields::SPLIT,
    generation: Generation::Absent,
    status: true,
    keeps_status_on_create: false,
    hooks: Hooks::NONE,
};

fn cells(value: &Value, now: Timestamp) -> Vec<Value> {
    vec![
        print::name(value),
        print::text(value, "/spec/attacher"),
        print::text(value, "/spec/source/persistentVolumeName"),
        print::text(value, "/spec/nodeName"),
        print::flag(value, "/status/attached"),
        print::created(value, now),
    ]
}
