//! `TokenReview` of `authentication.k8s.io/v1`: the entry in the list of kinds.
//!
//! Pure: reads and writes only the tree it is given, and leaves set members alone.

use crate::{
    print,
    spec::{Generation, Hooks, KindSpec, ResetFields},
};
use object::{Gvk, Resource};

/// `TokenReview` of `authentication.k8s.io/v1`.
pub(crate) const SPEC: KindSpec = KindSpec {
    gvk: Gvk::new("authentication.k8s.io", "v1", "TokenReview"),
    resource: Resource::new("authentication.k8s.io", "tokenreviews"),
    list_kind: "",
    plural: "tokenreviews",
    singular: "tokenreview",
    short_names: &[],
    categories: &[],
    namespaced: false,
    verbs: &["create"],
    subresources: &[],
    storage: None,
    storage_version_hash: "",
    type_name: "authentication/v1.TokenReview",
    columns: &[],
    cells: print::nothing,
    field_selectors: &[],
    reset_fields: ResetFields::NONE,
    generation: Generation::Absent,
    status: false,
    keeps_status_on_create: false,
    hooks: Hooks::NONE,
};
