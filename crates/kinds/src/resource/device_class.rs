//! `DeviceClass` of `resource.k8s.io/v1`: the entry in the list of kinds.
//!
//! Pure: reads and writes only the tree it is given, and leaves set members alone.

use crate::{
    print,
    spec::{Column, Generation, Hooks, KindSpec, ResetFields, VERBS},
};
use object::{Gvk, Resource};

/// `DeviceClass` of `resource.k8s.io/v1`.
pub(crate) const SPEC: KindSpec = KindSpec {
    gvk: Gvk::new("resource.k8s.io", "v1", "DeviceClass"),
    resource: Resource::new("resource.k8s.io", "deviceclasses"),
    list_kind: "DeviceClassList",
    plural: "deviceclasses",
    singular: "deviceclass",
    short_names: &[],
    categories: &[],
    namespaced: false,
    verbs: VERBS,
    subresources: &[],
    storage: Some(Gvk::new("resource.k8s.io", "v1", "DeviceClass")),
    storage_version_hash: "Yk2PTc1Ybxk=",
    type_name: "resource/v1.DeviceClass",
    columns: &[
        Column::new("Name", "string", "name", 0),
        Column::new("Age", "string", "", 0),
    ],
    cells: print::name_and_age,
    field_selectors: &[],
    reset_fields: ResetFields::NONE,
    generation: Generation::Spec,
    status: false,
    keeps_status_on_create: false,
    hooks: Hooks::NONE,
};
