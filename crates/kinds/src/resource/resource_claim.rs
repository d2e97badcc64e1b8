//! `ResourceClaim` of `resource.k8s.io/v1`: the entry in the list of kinds.
//!
//! Pure: reads and writes only the tree it is given, and leaves set members alone.

use crate::{
    print,
    spec::{Column, Hooks, KindSpec, ResetFields, Subresource, VERBS},
};
use object::{Gvk, Resource};

/// `ResourceClaim` of `resource.k8s.io/v1`.
pub(crate) const SPEC: KindSpec = KindSpec {
    gvk: Gvk::new("resource.k8s.io", "v1", "ResourceClaim"),
    resource: Resource::new("resource.k8s.io", "resourceclaims"),
    list_kind: "ResourceClaimList",
    plural: "resourceclaims",
    singular: "resourceclaim",
    short_names: &[],
    categories: &[],
    namespaced: true,
    verbs: VERBS,
    subresources: &[Subresource {
        name: "status",
        gvk: Gvk::new("resource.k8s.io", "v1", "ResourceClaim"),
        verbs: &["get", "patch", "update"],
        served: true,
    }],
    storage: Some(Gvk::new("resource.k8s.io", "v1", "ResourceClaim")),
    storage_version_hash: "wgAZaHcZxUg=",
    type_name: "resource/v1.ResourceClaim",
    columns: &[
        Column::new("Name", "string", "name", 0),
        Column::new("State", "string", "", 0),
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
