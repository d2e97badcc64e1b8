//! `ResourceClaimTemplate` of `resource.k8s.io/v1`: the entry in the list of kinds, what writes fill in.
//!
//! Pure: reads and writes only the tree it is given, and leaves set members alone.

use super::requests;
use crate::{
    fields, print,
    spec::{Column, Generation, Hooks, KindSpec, ResetFields, VERBS},
};
use object::{Gvk, Resource};
use serde_json::Value;

/// `ResourceClaimTemplate` of `resource.k8s.io/v1`.
pub(crate) const SPEC: KindSpec = KindSpec {
    gvk: Gvk::new("resource.k8s.io", "v1", "ResourceClaimTemplate"),
    resource: Resource::new("resource.k8s.io", "resourceclaimtemplates"),
    list_kind: "ResourceClaimTemplateList",
    plural: "resourceclaimtemplates",
    singular: "resourceclaimtemplate",
    short_names: &[],
    categories: &[],
    namespaced: true,
    verbs: VERBS,
    subresources: &[],
    storage: Some(Gvk::new("resource.k8s.io", "v1", "ResourceClaimTemplate")),
    storage_version_hash: "TuzjC49aUfM=",
    type_name: "resource/v1.ResourceClaimTemplate",
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
    hooks: Hooks {
        default: Some(default),
        ..Hooks::NONE
    },
};

fn default(value: &mut Value) {
    let spec = fields::object(value, "spec");
    requests::default(fields::member(spec, "spec"));
}
