//! `CSIDriver` of `storage.k8s.io/v1`: the entry in the list of kinds, what writes fill in, table cells.
//!
//! Pure: reads and writes only the tree it is given, and leaves set members alone.

use crate::{
    fields, print,
    spec::{Column, Generation, Hooks, KindSpec, ResetFields, VERBS},
};
use jiff::Timestamp;
use object::{Gvk, Resource};
use serde_json::{Value, json};

/// `CSIDriver` of `storage.k8s.io/v1`.
pub(crate) const SPEC: KindSpec = KindSpec {
    gvk: Gvk::new("storage.k8s.io", "v1", "CSIDriver"),
    resource: Resource::new("storage.k8s.io", "csidrivers"),
    list_kind: "CSIDriverList",
    plural: "csidrivers",
    singular: "csidriver",
    short_names: &[],
    categories: &[],
    namespaced: false,
    verbs: VERBS,
    subresources: &[],
    storage: Some(Gvk::new("storage.k8s.io", "v1", "CSIDriver")),
    storage_version_hash: "hL6j/rwBV5w=",
    type_name: "storage/v1.CSIDriver",
    columns: &[
        Column::new("Name", "string", "name", 0),
        Column::new("AttachRequired", "boolean", "", 0),
        Column::new("PodInfoOnMount", "boolean", "", 0),
        Column::new("StorageCapacity", "boolean", "", 0),
        Column::new("TokenRequests", "string", "", 0),
        Column::new("RequiresRepublish", "boolean", "", 0),
        Column::new("Modes", "string", "", 0),
        Column::new("Age", "string", "", 0),
    ],
    cells,
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
    fields::fill(spec, "attachRequired", true);
    for name in [
        "podInfoOnMount",
        "storageCapacity",
        "requiresRepublish",
        "seLinuxMount",
        "preventPodSchedulingIfMissing",
    ] {
        fields::fill(spec, name, false);
    }
    if spec
        .get("volumeLifecycleModes")
        .and_then(Value::as_array)
        .is_none_or(Vec::is_empty)
    {
        spec.insert("volumeLifecycleModes".into(), json!(["Persistent"]));
    }
    fields::fill(spec, "fsGroupPolicy", "ReadWriteOnceWithFSType");
}

fn cells(value: &Value, now: Timestamp) -> Vec<Value> {
    let modes: Vec<&str> = fields::items(value, "/spec/volumeLifecycleModes")
        .iter()
        .filter_map(Value::as_str)
        .collect();
    let audiences = print::each(fields::items(value, "/spec/tokenRequests"), "/audience");
    let tokens = if audiences.is_empty() {
        "<unset>".to_owned()
    } else {
        audiences.join(",")
    };
    vec![
        print::name(value),
        value
            .pointer("/spec/attachRequired")
            .and_then(Value::as_bool)
            .unwrap_or(true)
            .into(),
        print::flag(value, "/spec/podInfoOnMount"),
        print::flag(value, "/spec/storageCapacity"),
        tokens.into(),
        print::flag(value, "/spec/requiresRepublish"),
        print::joined(&modes, ",").into(),
        print::created(value, now),
    ]
}
