//! `VolumeAttachment` of `storage.k8s.io/v1`: the entry in the list of kinds.
//!
//! Pure: reads and writes only the tree it is given, and leaves set members alone.

use crate::{
    print,
    spec::{Column, Hooks, KindSpec, ResetFields, Subresource, VERBS},
};
use object::{Gvk, Resource};

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
    cells: print::name_and_age,
    field_selectors: &[],
    reset_fields: ResetFields::SPLIT,
    generation: false,
    status: true,
    keeps_status_on_create: false,
    hooks: Hooks::NONE,
};
