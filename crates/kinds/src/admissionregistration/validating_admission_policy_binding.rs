//! `ValidatingAdmissionPolicyBinding` of `admissionregistration.k8s.io/v1`: the entry in the list of kinds.
//!
//! Pure: reads and writes only the tree it is given, and leaves set members alone.

use crate::{
    print,
    spec::{Column, Hooks, KindSpec, ResetFields, VERBS},
};
use object::{Gvk, Resource};

/// `ValidatingAdmissionPolicyBinding` of `admissionregistration.k8s.io/v1`.
pub(crate) const SPEC: KindSpec = KindSpec {
    gvk: Gvk::new(
        "admissionregistration.k8s.io",
        "v1",
        "ValidatingAdmissionPolicyBinding",
    ),
    resource: Resource::new(
        "admissionregistration.k8s.io",
        "validatingadmissionpolicybindings",
    ),
    list_kind: "ValidatingAdmissionPolicyBindingList",
    plural: "validatingadmissionpolicybindings",
    singular: "validatingadmissionpolicybinding",
    short_names: &[],
    categories: &["api-extensions"],
    namespaced: false,
    verbs: VERBS,
    subresources: &[],
    storage: Some(Gvk::new(
        "admissionregistration.k8s.io",
        "v1",
        "ValidatingAdmissionPolicyBinding",
    )),
    storage_version_hash: "v9715VZqakg=",
    type_name: "admissionregistration/v1.ValidatingAdmissionPolicyBinding",
    columns: &[
        Column::new("Name", "string", "name", 0),
        Column::new("PolicyName", "string", "", 0),
        Column::new("ParamRef", "string", "", 0),
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
