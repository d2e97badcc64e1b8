//! `Event` of `events.k8s.io/v1`: the entry in the list of kinds, table cells.
//!
//! Pure: reads and writes only the tree it is given, and leaves set members alone.

use crate::core::event::object_reference;
use crate::{
    fields, print, select,
    spec::{Column, Generation, Hooks, KindSpec, ResetFields, VERBS},
};
use jiff::Timestamp;
use object::{Gvk, Resource};
use serde_json::Value;

/// `Event` of `events.k8s.io/v1`.
pub(crate) const SPEC: KindSpec = KindSpec {
    gvk: Gvk::new("events.k8s.io", "v1", "Event"),
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
    type_name: "events/v1.Event",
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
            "regarding.kind",
            "involvedObject.kind",
            "/involvedObject/kind"
        ),
        select::text_field!(
            "regarding.namespace",
            "involvedObject.namespace",
            "/involvedObject/namespace"
        ),
        select::text_field!(
            "regarding.name",
            "involvedObject.name",
            "/involvedObject/name"
        ),
        select::text_field!("regarding.uid", "involvedObject.uid", "/involvedObject/uid"),
        select::text_field!(
            "regarding.apiVersion",
            "involvedObject.apiVersion",
            "/involvedObject/apiVersion"
        ),
        select::text_field!(
            "regarding.resourceVersion",
            "involvedObject.resourceVersion",
            "/involvedObject/resourceVersion"
        ),
        select::text_field!(
            "regarding.fieldPath",
            "involvedObject.fieldPath",
            "/involvedObject/fieldPath"
        ),
        select::text_field!("reason", "reason", "/reason"),
        select::text_field!(
            "reportingController",
            "reportingComponent",
            "/reportingComponent"
        ),
        select::text_field!("type", "type", "/type"),
    ],
    reset_fields: ResetFields::NONE,
    generation: Generation::Absent,
    status: false,
    keeps_status_on_create: false,
    hooks: Hooks {
        to_stored: Some(to_stored),
        from_stored: Some(from_stored),
        ..Hooks::NONE
    },
};

fn cells(value: &Value, now: Timestamp) -> Vec<Value> {
    let source = match fields::text(value, "/deprecatedSource/component") {
        "" => fields::text(value, "/reportingController"),
        component => component,
    };
    let host = match fields::text(value, "/deprecatedSource/host") {
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
        None => fields::integer(value, "/deprecatedCount").max(1),
    };
    let occurred = |pointer: &str| match fields::text(value, pointer) {
        "" => print::age_at(value, "/eventTime", now),
        _ => print::age_at(value, pointer, now),
    };
    let last = match fields::text(value, "/series/lastObservedTime") {
        "" => occurred("/deprecatedLastTimestamp"),
        _ => print::age_at(value, "/series/lastObservedTime", now),
    };
    vec![
        last.into(),
        print::text(value, "/type"),
        print::text(value, "/reason"),
        object_reference(value, "/regarding").into(),
        print::text(value, "/regarding/fieldPath"),
        source.into(),
        fields::text(value, "/note").trim().into(),
        occurred("/deprecatedFirstTimestamp").into(),
        count.into(),
        print::name(value),
    ]
}

/// Members that the stored kind calls otherwise: here, there.
const RENAMED: [(&str, &str); 7] = [
    ("regarding", "involvedObject"),
    ("note", "message"),
    ("reportingController", "reportingComponent"),
    ("deprecatedSource", "source"),
    ("deprecatedFirstTimestamp", "firstTimestamp"),
    ("deprecatedLastTimestamp", "lastTimestamp"),
    ("deprecatedCount", "count"),
];

fn to_stored(value: &mut Value) {
    for (here, there) in RENAMED {
        rename(value, here, there);
    }
    fields::put(value, "apiVersion", Some("v1".into()));
}

fn from_stored(value: &mut Value) {
    for (here, there) in RENAMED {
        rename(value, there, here);
    }
    fields::put(value, "apiVersion", Some("events.k8s.io/v1".into()));
}

fn rename(value: &mut Value, from: &str, to: &str) {
    if let Some(map) = value.as_object_mut()
        && let Some(member) = map.shift_remove(from)
    {
        map.insert(to.into(), member);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn an_event_is_stored_as_the_core_kind_and_comes_back_whole() {
        let served = json!({"apiVersion": "events.k8s.io/v1", "kind": "Event", "reason": "R",
            "regarding": {"kind": "Pod"}, "note": "n", "reportingController": "c", "deprecatedCount": 2});
        let mut value = served.clone();
        to_stored(&mut value);
        assert_eq!(
            value,
            json!({"apiVersion": "v1", "kind": "Event", "reason": "R", "involvedObject": {"kind": "Pod"},
                "message": "n", "reportingComponent": "c", "count": 2})
        );
        from_stored(&mut value);
        assert_eq!(value, served);
    }
}
