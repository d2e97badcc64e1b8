//! `SelfSubjectAccessReview` of `authorization.k8s.io/v1`: the entry in the list of kinds.
//!
//! Pure: reads and writes only the tree it is given, and leaves set members alone.

use crate::{
    print,
    spec::{Generation, Hooks, KindSpec, ResetFields},
};
use object::{Gvk, Resource};

/// `SelfSubjectAccessReview` of `authorization.k8s.io/v1`.
pub(crate) const SPEC: KindSpec = KindSpec {
    gvk: Gvk::new("authorization.k8s.io", "v1", "SelfSubjectAccessReview"),
    resource: Resource::new("authorization.k8s.io", "selfsubjectaccessreviews"),
    list_kind: "",
    plural: "selfsubjectaccessreviews",
    singular: "selfsubjectaccessreview",
    short_names: &[],
    categories: &[],
    namespaced: false,
    verbs: &["create"],
    subresources: &[],
    storage: None,
    storage_version_hash: "",
    type_name: "authorization/v1.SelfSubjectAccessReview",
    columns: &[],
    cells: print::nothing,
    field_selectors: &[],
    reset_fields: ResetFields::NONE,
    generation: Generation::Absent,
    status: false,
    keeps_status_on_create: false,
    hooks: Hooks::NONE,
};
