//! `LimitRange` of `v1`: the entry in the list of kinds, what writes fill in.
//!
//! Pure: reads and writes only the tree it is given, and leaves set members alone.

use crate::{
    fields, print,
    spec::{Column, Generation, Hooks, KindSpec, ResetFields, VERBS},
};
use object::{Gvk, Resource};
use serde_json::Value;

/// `LimitRange` of `v1`.
pub(crate) const SPEC: KindSpec = KindSpec {
    gvk: Gvk::new("", "v1", "LimitRange"),
    resource: Resource::new("", "limitranges"),
    list_kind: "LimitRangeList",
    plural: "limitranges",
    singular: "limitrange",
    short_names: &["limits"],
    categories: &[],
    namespaced: true,
    verbs: VERBS,
    subresources: &[],
    storage: Some(Gvk::new("", "v1", "LimitRange")),
    storage_version_hash: "EBKMFVe6cwo=",
    type_name: "core/v1.LimitRange",
    columns: &[
        Column::new("Name", "string", "name", 0),
        Column::new("Created At", "date", "", 0),
    ],
    cells: print::name_and_creation,
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

/// For containers, a missing default is the maximum, and a missing request is
/// the default or else the minimum.
fn default(value: &mut Value) {
    for limit in fields::items_mut(fields::object(value, "spec"), "limits") {
        if fields::text_in(limit, "type") != "Container" {
            continue;
        }
        for (to, from) in [
            ("default", "max"),
            ("defaultRequest", "default"),
            ("defaultRequest", "min"),
        ] {
            let amounts = limit.get(from).and_then(Value::as_object).cloned();
            for (name, amount) in amounts.into_iter().flatten() {
                fields::fill(fields::member(limit, to), &name, amount);
            }
        }
    }
}
