//! `Event` of `events.k8s.io/v1`: the entry in the list of kinds.
//!
//! Pure: reads and writes only the tree it is given, and leaves set members alone.

use crate::{
    print, select,
    spec::{Column, Hooks, KindSpec, ResetFields, VERBS},
};
use object::{Gvk, Resource};

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
    cells: print::name_and_age,
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
    generation: false,
    status: false,
    keeps_status_on_create: false,
    hooks: Hooks::NONE,
};
