//! `ServiceAccount` of `v1`: the entry in the list of kinds.
//!
//! Pure: reads and writes only the tree it is given, and leaves set members alone.

use crate::{
    print,
    spec::{Column, Generation, Hooks, KindSpec, ResetFields, Subresource, VERBS},
};
use object::{Gvk, Resource};

/// `ServiceAccount` of `v1`.
pub(crate) const SPEC: KindSpec = KindSpec {
    gvk: Gvk::new("", "v1", "ServiceAccount"),
    resource: Resource::new("", "serviceaccounts"),
    list_kind: "ServiceAccountList",
    plural: "serviceaccounts",
    singular: "serviceaccount",
    short_names: &["sa"],
    categories: &[],
    namespaced: true,
    verbs: VERBS,
    subresources: &[Subresource {
        name: "token",
        gvk: Gvk::new("authentication.k8s.io", "v1", "TokenRequest"),
        verbs: &["create"],
        served: true,
    }],
    storage: Some(Gvk::new("", "v1", "ServiceAccount")),
    storage_version_hash: "pbx9ZvyFpBE=",
    type_name: "core/v1.ServiceAccount",
    columns: &[
        Column::new("Name", "string", "name", 0),
        Column::new("Age", "string", "", 0),
    ],
    cells: print::name_and_age,
    field_selectors: &[],
    reset_fields: ResetFields::NONE,
    generation: Generation::Absent,
    status: false,
    keeps_status_on_create: false,
    hooks: Hooks::NONE,
};
