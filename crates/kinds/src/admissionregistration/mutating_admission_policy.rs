//! `MutatingAdmissionPolicy` of `admissionregistration.k8s.io/v1`: the entry in the list of kinds, what writes fill in, table cells.
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
    let spec = fields::object(value, "spec");
    fields::fill(spec, "failurePolicy", "Fail");
    matching::default_resources(spec, "matchConstraints");
}

fn cells(value: &Value, now: Timestamp) -> Vec<Value> {
    vec![
        print::name(value),
        print::count(value, "/spec/mutations"),
        matching::param_kind(value).into(),
        print::created(value, now),
    ]
}
