//! `NetworkPolicy` of `networking.k8s.io/v1`: the entry in the list of kinds.
//!
//! Pure: reads and writes only the tree it is given, and leaves set members alone.

use crate::{
    print,
    spec::{Column, Hooks, KindSpec, ResetFields, VERBS},
};
use object::{Gvk, Resource};

/// `NetworkPolicy` of `networking.k8s.io/v1`.
pub(crate) const SPEC: KindSpec = KindSpec {
    gvk: Gvk::new("networking.k8s.io", "v1", "NetworkPolicy"),
    resource: Resource::new("networking.k8s.io", "networkpolicies"),
    list_kind: "NetworkPolicyList",
    plural: "networkpolicies",
    singular: "networkpolicy",
    short_names: &["netpol"],
    categories: &[],
    namespaced: true,
    verbs: VERBS,
    subresources: &[],
    storage: Some(Gvk::new("networking.k8s.io", "v1", "NetworkPolicy")),
    storage_version_hash: "YpfwF18m1G8=",
    type_name: "networking/v1.NetworkPolicy",
    columns: &[
        Column::new("Name", "string", "name", 0),
        Column::new("Pod-Selector", "string", "", 0),
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
