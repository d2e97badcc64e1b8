//! `APIService` of `apiregistration.k8s.io/v1`: the entry in the list of kinds, what writes fill in, table cells.
//!
//! Pure: reads and writes only the tree it is given, and leaves set members alone.

use crate::admissionregistration::matching;
use crate::{
    fields, print,
    spec::{Column, Generation, Hooks, KindSpec, ResetFields, Subresource, VERBS},
};
use jiff::Timestamp;
use object::{Gvk, Resource};
use serde_json::Value;

/// `APIService` of `apiregistration.k8s.io/v1`.
pub(crate) const SPEC: KindSpec = KindSpec {
    gvk: Gvk::new("apiregistration.k8s.io", "v1", "APIService"),
    resource: Resource::new("apiregistration.k8s.io", "apiservices"),
    list_kind: "APIServiceList",
    plural: "apiservices",
    singular: "apiservice",
    short_names: &[],
    categories: &["api-extensions"],
    namespaced: false,
    verbs: VERBS,
    subresources: &[Subresource {
        name: "status",
        gvk: Gvk::new("apiregistration.k8s.io", "v1", "APIService"),
        verbs: &["get", "patch", "update"],
        served: true,
    }],
    storage: Some(Gvk::new("apiregistration.k8s.io", "v1", "APIService")),
    storage_version_hash: "InPBPD7+PqM=",
    type_name: "apiregistration/v1.APIService",
    columns: &[
        Column::new("Name", "string", "name", 0),
        Column::new("Service", "string", "", 0),
        Column::new("Available", "string", "", 0),
        Column::new("Age", "string", "", 0),
    ],
    cells,
    field_selectors: &[],
    reset_fields: ResetFields::SPLIT,
    generation: Generation::Absent,
    status: true,
    keeps_status_on_create: false,
    hooks: Hooks {
        default: Some(default),
        ..Hooks::NONE
    },
};

fn default(value: &mut Value) {
    matching::default_service(fields::object(value, "spec"));
}

fn cells(value: &Value, now: Timestamp) -> Vec<Value> {
    let service = match fields::text(value, "/spec/service/name") {
        "" => "Local".to_owned(),
        name => format!("{}/{name}", fields::text(value, "/spec/service/namespace")),
    };
    vec![
        print::name(value),
        service.into(),
        available(value).into(),
        print::created(value, now),
    ]
}

fn available(value: &Value) -> String {
    let condition = fields::items(value, "/status/conditions")
        .iter()
        .find(|condition| fields::text(condition, "/type") == "Available");
    match condition.map(|c| (fields::text(c, "/status"), fields::text(c, "/reason"))) {
        Some(("True", _)) => "True".to_owned(),
        Some((status, reason)) => format!("{status} ({reason})"),
        None => "Unknown".to_owned(),
    }
}
