//! `MutatingAdmissionPolicyBinding` of `admissionregistration.k8s.io/v1`: the entry in the list of kinds, what writes fill in, table cells.
//!
//! Pure: reads and writes only the tree it is given, and leaves set members alone.

use super::matching;
use crate::{
    fields, print,
    spec::{Column, Generation, Hooks, KindSpec, ResetFields, VERBS},
};
use jiff::Timestamp;
use object::{Gvk, Resource};
use serde_json::Value;

/// `MutatingAdmissionPolicyBinding` of `admissionregistration.k8s.io/v1`.
pub(crate) const SPEC: KindSpec = KindSpec {
    gvk: Gvk::new(
        "admissionregistration.k8s.io",
        "v1",
        "MutatingAdmissionPolicyBinding",
    ),
    resource: Resource::new(
        "admissionregistration.k8s.io",
        "mutatingadmissionpolicybindings",
    ),
    list_kind: "MutatingAdmissionPolicyBindingList",
    plural: "mutatingadmissionpolicybindings",
    singular: "mutatingadmissionpolicybinding",
    short_names: &[],
    categories: &["api-extensions"],
    namespaced: false,
    verbs: VERBS,
    subresources: &[],
    storage: Some(Gvk::new(
        "admissionregistration.k8s.io",
        "v1",
        "MutatingAdmissionPolicyBinding",
    )),
    storage_version_hash: "ZKgZT1uTmZ0=",
    type_name: "admissionregistration/v1.MutatingAdmissionPolicyBinding",
    columns: &[
        Column::new("Name", "string", "name", 0),
        Column::new("PolicyName", "string", "", 0),
        Column::new("ParamRef", "string", "", 0),
        Column::new("Age", "string", "", 0),
    ],
    cells,
    field_selectors: &[],
    reset_fields: ResetFields::NONE,
    generation: Generation::Spec,
    status: false,
    keeps_status_on_create: false,
    hooks: Hooks {
        default: Some(default),
        ..Hooks::NONE
    },
};

fn default(value: &mut Value) {
    matching::default_resources(fields::object(value, "spec"), "matchResources");
}

fn cells(value: &Value, now: Timestamp) -> Vec<Value> {
    vec![
        print::name(value),
        print::text(value, "/spec/policyName"),
        matching::param_ref(value).into(),
        print::created(value, now),
    ]
}
