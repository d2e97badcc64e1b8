//! `IPAddress` of `networking.k8s.io/v1`: the entry in the list of kinds.
//!
//! Pure: reads and writes only the tree it is given, and leaves set members alone.

use crate::{
    print,
    spec::{Column, Hooks, KindSpec, ResetFields, VERBS},
};
use object::{Gvk, Resource};

/// `IPAddress` of `networking.k8s.io/v1`.
pub(crate) const SPEC: KindSpec = KindSpec {
    gvk: Gvk::new("networking.k8s.io", "v1", "IPAddress"),
    resource: Resource::new("networking.k8s.io", "ipaddresses"),
    list_kind: "IPAddressList",
    plural: "ipaddresses",
    singular: "ipaddress",
    short_names: &["ip"],
    categories: &[],
    namespaced: false,
    verbs: VERBS,
    subresources: &[],
    storage: Some(Gvk::new("networking.k8s.io", "v1", "IPAddress")),
    storage_version_hash: "3f/plJFChNE=",
    type_name: "networking/v1.IPAddress",
    columns: &[
        Column::new("Name", "string", "name", 0),
        Column::new("ParentRef", "string", "", 0),
    ],
    cells: print::name_and_age,
    field_selectors: &[],
    reset_fields: ResetFields::NONE,
    generation: false,
    status: false,
    keeps_status_on_create: false,
    hooks: Hooks::NONE,
};
