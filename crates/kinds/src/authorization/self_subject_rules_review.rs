//! `SelfSubjectRulesReview` of `authorization.k8s.io/v1`: the entry in the list of kinds.
//!
//! Pure: reads and writes only the tree it is given, and leaves set members alone.

use crate::{
    print,
    spec::{Generation, Hooks, KindSpec, ResetFields},
};
use object::{Gvk, Resource};

/// `SelfSubjectRulesReview` of `authorization.k8s.io/v1`.
pub(crate) const SPEC: KindSpec = KindSpec {
    gvk: Gvk::new("authorization.k8s.io", "v1", "SelfSubjectRulesReview"),
    resource: Resource::new("authorization.k8s.io", "selfsubjectrulesreviews"),
    list_kind: "",
    plural: "selfsubjectrulesreviews",
    singular: "selfsubjectrulesreview",
    short_names: &[],
    categories: &[],
    namespaced: false,
    verbs: &["create"],
    subresources: &[],
    storage: None,
    storage_version_hash: "",
    type_name: "authorization/v1.SelfSubjectRulesReview",
    columns: &[],
    cells: print::nothing,
    field_selectors: &[],
    reset_fields: ResetFields::NONE,
    generation: Generation::Absent,
    status: false,
    keeps_status_on_create: false,
    hooks: Hooks::NONE,
};
