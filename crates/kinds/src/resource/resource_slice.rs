//! `ResourceSlice` of `resource.k8s.io/v1`: the entry in the list of kinds.
//!
//! Pure: reads and writes only the tree it is given, and leaves set members alone.

use crate::{
    print, select,
    spec::{Column, Hooks, KindSpec, ResetFields, VERBS},
};
use object::{Gvk, Resource};

/// `ResourceSlice` of `resource.k8s.io/v1`.
pub(crate) const SPEC: KindSpec = KindSpec {
    gvk: Gvk::new("resource.k8s.io", "v1", "ResourceSlice"),
    resource: Resource::new("resource.k8s.io", "resourceslices"),
    list_kind: "ResourceSliceList",
    plural: "resourceslices",
    singular: "resourceslice",
    short_names: &[],
    categories: &[],
    namespaced: false,
    verbs: VERBS,
    subresources: &[],
    storage: Some(Gvk::new("resource.k8s.io", "v1", "ResourceSlice")),
    storage_version_hash: "KsC072WgaEY=",
    type_name: "resource/v1.ResourceSlice",
    columns: &[
        Column::new("Name", "string", "name", 0),
        Column::new("Node", "string", "", 0),
        Column::new("Driver", "string", "", 0),
        Column::new("Pool", "string", "", 0),
        Column::new("Age", "string", "", 0),
    ],
    cells: print::name_and_age,
    field_selectors: &[
        select::text_field!("spec.nodeName", "spec.nodeName", "/spec/nodeName"),
        select::text_field!("spec.driver", "spec.driver", "/spec/driver"),
    ],
    reset_fields: ResetFields::NONE,
    generation: true,
    status: false,
    keeps_status_on_create: false,
    hooks: Hooks::NONE,
};
