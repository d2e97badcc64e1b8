//! `EndpointSlice` of `discovery.k8s.io/v1`: the entry in the list of kinds.
//!
//! Pure: reads and writes only the tree it is given, and leaves set members alone.

use crate::{
    print,
    spec::{Column, Hooks, KindSpec, ResetFields, VERBS},
};
use object::{Gvk, Resource};

/// `EndpointSlice` of `discovery.k8s.io/v1`.
pub(crate) const SPEC: KindSpec = KindSpec {
    gvk: Gvk::new("discovery.k8s.io", "v1", "EndpointSlice"),
    resource: Resource::new("discovery.k8s.io", "endpointslices"),
    list_kind: "EndpointSliceList",
    plural: "endpointslices",
    singular: "endpointslice",
    short_names: &[],
    categories: &[],
    namespaced: true,
    verbs: VERBS,
    subresources: &[],
    storage: Some(Gvk::new("discovery.k8s.io", "v1", "EndpointSlice")),
    storage_version_hash: "qgS0xkrxYAI=",
    type_name: "discovery/v1.EndpointSlice",
    columns: &[
        Column::new("Name", "string", "name", 0),
        Column::new("AddressType", "string", "", 0),
        Column::new("Ports", "string", "", 0),
        Column::new("Endpoints", "string", "", 0),
        Column::new("Age", "string", "", 0),
    ],
    cells: print::name_and_age,
    field_selectors: &[],
    reset_fields: ResetFields::NONE,
    generation: true,
    status: false,
    keeps_status_on_create: false,
    hooks: Hooks::NONE,
};
