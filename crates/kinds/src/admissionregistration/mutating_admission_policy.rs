//! `MutatingAdmissionPolicy` of `admissionregistration.k8s.io/v1`: the entry in the list of kinds.
//!
//! Pure: reads and writes only the tree it is given, and leaves set members alone.

use crate::{
    print,
    spec::{Column, Hooks, KindSpec, ResetFields, VERBS},
};
use object::{Gvk, Resource};

/// `MutatingAdmissionPolicy` of `admissionregistration.k8s.io/v1`.
pub(crate) const SPEC: KindSpec = KindSpec {
    gvk: Gvk::new(
        "admissionregistration.k8s.io",
        "v1",
        "MutatingAdmissionPolicy",
    ),
    resource: Resource::new("admissionregistration.k8s.io", "mutatingadmissionpolicies"),
    list_kind: "MutatingAdmissionPolicyList",
    plural: "mutatingadmissionpolicies",
    singular: "mutatingadmissionpolicy",
    short_names: &[],
    categories: &["api-extensions"],
    namespaced: false,
    verbs: VERBS,
    subresources: &[],
    storage: Some(Gvk::new(
        "admissionregistration.k8s.io",
        "v1",
        "MutatingAdmissionPolicy",
    )),
    storage_version_hash: "mHCkTKpUTrE=",
    type_name: "admissionregistration/v1.MutatingAdmissionPolicy",
    columns: &[
        Column::new("Name", "string", "name", 0),
        Column::new("Mutations", "integer", "", 0),
        Column::new("ParamKind", "string", "", 0),
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
