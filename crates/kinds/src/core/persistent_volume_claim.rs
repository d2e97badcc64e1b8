//! `PersistentVolumeClaim` of `v1`: the entry in the list of kinds, what writes fill in, table cells.
//!
//! Pure: reads and writes only the tree it is given, and leaves set members alone.

use super::volume;
use crate::{
    fields, print,
    spec::{Column, Generation, Hooks, KindSpec, ResetFields, Subresource, VERBS},
};
use jiff::Timestamp;
use object::{Gvk, Resource};
use serde_json::{Map, Value, json};

/// `PersistentVolumeClaim` of `v1`.
pub(crate) const SPEC: KindSpec = KindSpec {
    gvk: Gvk::new("", "v1", "PersistentVolumeClaim"),
    resource: Resource::new("", "persistentvolumeclaims"),
    list_kind: "PersistentVolumeClaimList",
    plural: "persistentvolumeclaims",
    singular: "persistentvolumeclaim",
    short_names: &["pvc"],
    categories: &[],
    namespaced: true,
    verbs: VERBS,
    subresources: &[Subresource {
        name: "status",
        gvk: Gvk::new("", "v1", "PersistentVolumeClaim"),
        verbs: &["get", "patch", "update"],
        served: true,
    }],
    storage: Some(Gvk::new("", "v1", "PersistentVolumeClaim")),
    storage_version_hash: "QWTyNDq0dC4=",
    type_name: "core/v1.PersistentVolumeClaim",
    columns: &[
        Column::new("Name", "string", "name", 0),
        Column::new("Status", "string", "", 0),
        Column::new("Volume", "string", "", 0),
        Column::new("Capacity", "string", "", 0),
        Column::new("Access Modes", "string", "", 0),
        Column::new("StorageClass", "string", "", 0),
        Column::new("VolumeAttributesClass", "string", "", 0),
        Column::new("Age", "string", "", 0),
        Column::new("VolumeMode", "string", "", 1),
    ],
    cells,
    field_selectors: &[],
    reset_fields: ResetFields::SPLIT,
    generation: Generation::Absent,
    status: true,
    keeps_status_on_create: false,
    hooks: Hooks {
        default: Some(default),
        prepare_create: Some(prepare_create),
        prepare_update: Some(prepare_update),
        ..Hooks::NONE
    },
};

fn default(value: &mut Value) {
    volume::claim_spec(fields::object(value, "spec"));
}

/// A claim starts pending; both ways of naming its source say the same.
fn prepare_create(value: &mut Value) {
    same_source(fields::object(value, "spec"));
    fields::put(value, "status", Some(json!({"phase": "Pending"})));
}

fn prepare_update(new: &mut Value, _: &Value) {
    same_source(fields::object(new, "spec"));
}

fn same_source(spec: &mut Map<String, Value>) {
    let has = |spec: &Map<String, Value>, name: &str| spec.get(name).is_some_and(Value::is_object);
    if has(spec, "dataSource") && !has(spec, "dataSourceRef") {
        let source = spec.get("dataSource").cloned();
        fields::put_member(spec, "dataSourceRef", source);
        return;
    }
    // A source in another namespace cannot be said the old way.
    if let Some(source) = spec.get("dataSourceRef").filter(|s| s.is_object()).cloned()
        && !has(spec, "dataSource")
        && fields::text(&source, "/namespace").is_empty()
    {
        let mut source = source;
        fields::remove(&mut source, "namespace");
        spec.insert("dataSource".into(), source);
    }
}

fn cells(value: &Value, now: Timestamp) -> Vec<Value> {
    let deleted = !fields::text(value, "/metadata/deletionTimestamp").is_empty();
    let phase = if deleted {
        "Terminating"
    } else {
        fields::text(value, "/status/phase")
    };
    let bound = !fields::text(value, "/spec/volumeName").is_empty();
    let (modes, capacity) = match bound {
        true => (
            print::access_modes(value, "/status/accessModes"),
            print::plain(value, "/status/capacity/storage").unwrap_or_default(),
        ),
        false => Default::default(),
    };
    vec![
        print::name(value),
        phase.into(),
        print::text(value, "/spec/volumeName"),
        capacity.into(),
        modes.into(),
        print::text(value, "/spec/storageClassName"),
        print::text_or(value, "/spec/volumeAttributesClassName", "<unset>"),
        print::created(value, now),
        print::text_or(value, "/spec/volumeMode", "<unset>"),
    ]
}
