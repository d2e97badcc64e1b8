//! `ResourceSlice` of `resource.k8s.io/v1`: the entry in the list of kinds, what writes fill in, table cells.
//!
//! Pure: reads and writes only the tree it is given, and leaves set members alone.

use crate::{
    fields, print, select,
    spec::{Column, Generation, Hooks, KindSpec, ResetFields, VERBS},
};
use jiff::Timestamp;
use object::{Gvk, Resource};
use serde_json::Value;

/// `ResourceSlice` of `resource.k8s.io/v1`.
pub(crate) const SPEC: KindSpec = KindSpec {
    gvk: Gvk::new("resource.k8s.io", "v1", "ResourceSlice"),
    resource: Resource::new("resource.k8s.io", "resourceslices"),
    list_kind: "ResourceSliceList",
    plural: "resourceslices",
    singular: "resourceslice",
    short_names: &[],
    categories: &[],
    namespaced: false,
    verbs: VERBS,
    subresources: &[],
    storage: Some(Gvk::new("resource.k8s.io", "v1", "ResourceSlice")),
    storage_version_hash: "KsC072WgaEY=",
    type_name: "resource/v1.ResourceSlice",
    columns: &[
        Column::new("Name", "string", "name", 0),
        Column::new("Node", "string", "", 0),
        Column::new("Driver", "string", "", 0),
        Column::new("Pool", "string", "", 0),
        Column::new("Age", "string", "", 0),
    ],
    cells,
    field_selectors: &[
        select::text_field!("spec.nodeName", "spec.nodeName", "/spec/nodeName"),
        select::text_field!("spec.driver", "spec.driver", "/spec/driver"),
    ],
    reset_fields: ResetFields::NONE,
    generation: Generation::Spec,
    status: false,
    keeps_status_on_create: false,
    hooks: Hooks {
        prepare_create: Some(prepare_create),
        ..Hooks::NONE
    },
};

/// A taint counts from when its slice was made, unless it says since when.
fn prepare_create(value: &mut Value) {
    let since = fields::text(value, "/metadata/creationTimestamp").to_owned();
    for device in fields::items_mut(fields::object(value, "spec"), "devices") {
        for taint in fields::items_mut(device, "taints") {
            fields::fill(taint, "timeAdded", since.as_str());
        }
    }
}

fn cells(value: &Value, now: Timestamp) -> Vec<Value> {
    let node = match fields::text(value, "/spec/nodeName") {
        "" if fields::flag(value, "/spec/allNodes") => "<all>",
        "" => "<unset>",
        name => name,
    };
    vec![
        print::name(value),
        node.into(),
        print::text(value, "/spec/driver"),
        print::text(value, "/spec/pool/name"),
        print::created(value, now),
    ]
}
