//! `IngressClass` of `networking.k8s.io/v1`: the entry in the list of kinds, what writes fill in, table cells.
//!
//! Pure: reads and writes only the tree it is given, and leaves set members alone.

use crate::{
    fields, print,
    spec::{Column, Generation, Hooks, KindSpec, ResetFields, VERBS},
};
use jiff::Timestamp;
use object::{Gvk, Resource};
use serde_json::Value;

/// `IngressClass` of `networking.k8s.io/v1`.
pub(crate) const SPEC: KindSpec = KindSpec {
    gvk: Gvk::new("networking.k8s.io", "v1", "IngressClass"),
    resource: Resource::new("networking.k8s.io", "ingressclasses"),
    list_kind: "IngressClassList",
    plural: "ingressclasses",
    singular: "ingressclass",
    short_names: &[],
    categories: &[],
    namespaced: false,
    verbs: VERBS,
    subresources: &[],
    storage: Some(Gvk::new("networking.k8s.io", "v1", "IngressClass")),
    storage_version_hash: "l/iqIbDgFyQ=",
    type_name: "networking/v1.IngressClass",
    columns: &[
        Column::new("Name", "string", "name", 0),
        Column::new("Controller", "string", "", 0),
        Column::new("Parameters", "string", "", 0),
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
    if let Some(parameters) = fields::map_at(value, "/spec/parameters") {
        fields::fill(parameters, "scope", "Cluster");
    }
}

fn cells(value: &Value, now: Timestamp) -> Vec<Value> {
    let parameters = match fields::text(value, "/spec/parameters/name") {
        "" => print::NONE.to_owned(),
        name => {
            let kind = fields::text(value, "/spec/parameters/kind");
            match fields::text(value, "/spec/parameters/apiGroup") {
                "" => format!("{kind}/{name}"),
                group => format!("{kind}.{group}/{name}"),
            }
        }
    };
    vec![
        print::name(value),
        print::text(value, "/spec/controller"),
        parameters.into(),
        print::created(value, now),
    ]
}
