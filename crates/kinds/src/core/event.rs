//! `Event` of `v1`: the entry in the list of kinds, table cells.
//!
//! Pure: reads and writes only the tree it is given, and leaves set members alone.

use crate::{
    fields, print, select,
    spec::{Column, FieldSelector, Generation, Hooks, KindSpec, ResetFields, VERBS},
};
use jiff::Timestamp;
use object::{Gvk, Resource};
use serde_json::Value;
use smol_str::SmolStr;

/// `Event` of `v1`.
pub(crate) const SPEC: KindSpec = KindSpec {
    gvk: Gvk::new("", "v1", "Event"),
    resource: Resource::new("", "events"),
    list_kind: "EventList",
    plural: "events",
    singular: "event",
    short_names: &["ev"],
    categories: &[],
    namespaced: true,
    verbs: VERBS,
    subresources: &[],
    storage: Some(Gvk::new("", "v1", "Event")),
    storage_version_hash: "r2yiGXH7wu8=",
    type_name: "core/v1.Event",
    columns: &[
        Column::new("Last Seen", "string", "", 0),
        Column::new("Type", "string", "", 0),
        Column::new("Reason", "string", "", 0),
        Column::new("Object", "string", "", 0),
        Column::new("Subobject", "string", "", 1),
        Column::new("Source", "string", "", 1),
        Column::new("Message", "string", "", 0),
        Column::new("First Seen", "string", "", 1),
        Column::new("Count", "string", "", 1),
        Column::new("Name", "string", "name", 1),
    ],
    cells,
    field_selectors: &[
        select::text_field!(
            "involvedObject.kind",
            "involvedObject.kind",
            "/involvedObject/kind"
        ),
        select::text_field!(
            "involvedObject.namespace",
            "involvedObject.namespace",
            "/involvedObject/namespace"
        ),
        select::text_field!(
            "involvedObject.name",
            "involvedObject.name",
            "/involvedObject/name"
        ),
        select::text_field!(
            "involvedObject.uid",
            "involvedObject.uid",
            "/involvedObject/uid"
        ),
        select::text_field!(
            "involvedObject.apiVersion",
            "involvedObject.apiVersion",
            "/involvedObject/apiVersion"
        ),
        select::text_field!(
            "involvedObject.resourceVersion",
            "involvedObject.resourceVersion",
            "/involvedObject/resourceVersion"
        ),
        select::text_field!(
            "involvedObject.fieldPath",
            "involvedObject.fieldPath",
            "/involvedObject/fieldPath"
        ),
        select::text_field!("reason", "reason", "/reason"),
        select::text_field!(
            "reportingComponent",
            "reportingComponent",
            "/reportingComponent"
        ),
        FieldSelector {
            path: "source",
            stored: "source",
            value: source,
        },
        select::text_field!("type", "type", "/type"),
    ],
    reset_fields: ResetFields::NONE,
    generation: Generation::Absent,
    status: false,
    keeps_status_on_create: false,
    hooks: Hooks::NONE,
};

/// The row of an event; the other group's kind reads its own members into it.
fn cells(value: &Value, now: Timestamp) -> Vec<Value> {
    let source = match (
        fields::text(value, "/source/component"),
        fields::text(value, "/reportingComponent"),
    ) {
        ("", reporter) => reporter,
        (component, _) => component,
    };
    let host = match fields::text(value, "/source/host") {
        "" => fields::text(value, "/reportingInstance"),
        host => host,
    };
    let source = if host.is_empty() {
        source.to_owned()
    } else {
        format!("{source}, {host}")
    };
    let count = match value.pointer("/series/count").and_then(Value::as_i64) {
        Some(count) => count,
        None => fields::integer(value, "/count").max(1),
    };
    let occurred = |pointer: &str| match fields::text(value, pointer) {
        "" => print::age_at(value, "/eventTime", now),
        _ => print::age_at(value, pointer, now),
    };
    let last = match fields::text(value, "/series/lastObservedTime") {
        "" => occurred("/lastTimestamp"),
        _ => print::age_at(value, "/series/lastObservedTime", now),
    };
    vec![
        last.into(),
        print::text(value, "/type"),
        print::text(value, "/reason"),
        object_reference(value, "/involvedObject").into(),
        print::text(value, "/involvedObject/fieldPath"),
        source.into(),
        fields::text(value, "/message").trim().into(),
        occurred("/firstTimestamp").into(),
        count.into(),
        print::name(value),
    ]
}

/// `kind/name` of what an event is about.
pub(crate) fn object_reference(value: &Value, pointer: &str) -> String {
    let kind = fields::text(value, &format!("{pointer}/kind")).to_lowercase();
    match fields::text(value, &format!("{pointer}/name")) {
        "" => kind,
        name => format!("{kind}/{name}"),
    }
}

/// What reported an event, by its older name or its newer one.
fn source(value: &Value) -> SmolStr {
    match fields::text(value, "/source/component") {
        "" => fields::text(value, "/reportingComponent"),
        component => component,
    }
    .into()
}
