//! `FlowSchema` of `flowcontrol.apiserver.k8s.io/v1`: the entry in the list of kinds, what writes fill in, table cells.
//!
//! Pure: reads and writes only the tree it is given, and leaves set members alone.

use crate::{
    fields, print,
    spec::{Column, Generation, Hooks, KindSpec, ResetFields, Subresource, VERBS},
};
use jiff::Timestamp;
use object::{Gvk, Resource};
use serde_json::Value;

/// `FlowSchema` of `flowcontrol.apiserver.k8s.io/v1`.
pub(crate) const SPEC: KindSpec = KindSpec {
    gvk: Gvk::new("flowcontrol.apiserver.k8s.io", "v1", "FlowSchema"),
    resource: Resource::new("flowcontrol.apiserver.k8s.io", "flowschemas"),
    list_kind: "FlowSchemaList",
    plural: "flowschemas",
    singular: "flowschema",
    short_names: &[],
    categories: &[],
    namespaced: false,
    verbs: VERBS,
    subresources: &[Subresource {
        name: "status",
        gvk: Gvk::new("flowcontrol.apiserver.k8s.io", "v1", "FlowSchema"),
        verbs: &["get", "patch", "update"],
        served: true,
    }],
    storage: Some(Gvk::new("flowcontrol.apiserver.k8s.io", "v1", "FlowSchema")),
    storage_version_hash: "GJVAJZSZBIw=",
    type_name: "flowcontrol/v1.FlowSchema",
    columns: &[
        Column::new("Name", "string", "name", 0),
        Column::new("PriorityLevel", "string", "", 0),
        Column::new("MatchingPrecedence", "string", "", 0),
        Column::new("DistinguisherMethod", "string", "", 0),
        Column::new("Age", "string", "", 0),
        Column::new("MissingPL", "string", "", 0),
    ],
    cells,
    field_selectors: &[],
    reset_fields: ResetFields::SPLIT,
    generation: Generation::Spec,
    status: true,
    keeps_status_on_create: false,
    hooks: Hooks {
        default: Some(default),
        ..Hooks::NONE
    },
};

/// Where a schema stands that does not say.
const PRECEDENCE: i64 = 1000;

fn default(value: &mut Value) {
    fields::fill_zero(
        fields::object(value, "spec"),
        "matchingPrecedence",
        PRECEDENCE,
    );
}

fn cells(value: &Value, now: Timestamp) -> Vec<Value> {
    let dangling = fields::items(value, "/status/conditions")
        .iter()
        .find(|condition| fields::text(condition, "/type") == "Dangling")
        .map_or("?", |condition| fields::text(condition, "/status"));
    vec![
        print::name(value),
        print::text(value, "/spec/priorityLevelConfiguration/name"),
        print::number(value, "/spec/matchingPrecedence"),
        print::text_or(value, "/spec/distinguisherMethod/type", print::NONE),
        print::created(value, now),
        dangling.into(),
    ]
}
