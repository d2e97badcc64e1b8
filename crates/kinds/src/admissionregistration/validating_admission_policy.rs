//! `ValidatingAdmissionPolicy` of `admissionregistration.k8s.io/v1`: the entry in the list of kinds.
//!
//! Pure: reads and writes only the tree it is given, and leaves set members alone.

use crate::{
    print,
    spec::{Column, Hooks, KindSpec, ResetFields, Subresource, VERBS},
};
use object::{Gvk, Resource};

/// `ValidatingAdmissionPolicy` of `admissionregistration.k8s.io/v1`.
pub(crate) const SPEC: KindSpec = KindSpec {
    gvk: Gvk::new(
        "admissionregistration.k8s.io",
        "v1",
        "ValidatingAdmissionPolicy",
    ),
    resource: Resource::new(
        "admissionregistration.k8s.io",
        "validatingadmissionpolicies",
    ),
    list_kind: "ValidatingAdmissionPolicyList",
    plural: "validatingadmissionpolicies",
    singular: "validatingadmissionpolicy",
    short_names: &[],
    categories: &["api-extensions"],
    namespaced: false,
    verbs: VERBS,
    subresources: &[Subresource {
        name: "status",
        gvk: Gvk::new(
            "admissionregistration.k8s.io",
            "v1",
            "ValidatingAdmissionPolicy",
        ),
        verbs: &["get", "patch", "update"],
        served: true,
    }],
    storage: Some(Gvk::new(
        "admissionregistration.k8s.io",
        "v1",
        "ValidatingAdmissionPolicy",
    )),
    storage_version_hash: "6OxvlMmQ6is=",
    type_name: "admissionregistration/v1.ValidatingAdmissionPolicy",
    columns: &[
        Column::new("Name", "string", "name", 0),
        Column::new("Validations", "integer", "", 0),
        Column::new("ParamKind", "string", "", 0),
        Column::new("Age", "string", "", 0),
    ],
    cells: print::name_and_age,
    field_selectors: &[],
    reset_fields: ResetFields::SPLIT,
    generation: true,
    status: true,
    keeps_status_on_create: false,
    hooks: Hooks::NONE,
};
