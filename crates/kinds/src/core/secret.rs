//! `Secret` of `v1`: the entry in the list of kinds, what writes fill in, table cells.
//!
//! Pure: reads and writes only the tree it is given, and leaves set members alone.

use crate::{
    fields, print, select,
    spec::{Column, Generation, Hooks, KindSpec, ResetFields, VERBS},
    validate,
};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;
use object::{Gvk, Resource};
use serde_json::Value;

/// `Secret` of `v1`.
pub(crate) const SPEC: KindSpec = KindSpec {
    gvk: Gvk::new("", "v1", "Secret"),
    resource: Resource::new("", "secrets"),
    list_kind: "SecretList",
    plural: "secrets",
    singular: "secret",
    short_names: &[],
    categories: &[],
    namespaced: true,
    verbs: VERBS,
    subresources: &[],
    storage: Some(Gvk::new("", "v1", "Secret")),
    storage_version_hash: "S6u1pOWzb84=",
    type_name: "core/v1.Secret",
    columns: &[
        Column::new("Name", "string", "name", 0),
        Column::new("Type", "string", "", 0),
        Column::new("Data", "string", "", 0),
        Column::new("Age", "string", "", 0),
    ],
    cells,
    field_selectors: &[select::text_field!("type", "type", "/type")],
    reset_fields: ResetFields::NONE,
    generation: Generation::Absent,
    status: false,
    keeps_status_on_create: false,
    hooks: Hooks {
        default: Some(default),
        validate_create: Some(validate::secret::create),
        validate_update: Some(validate::secret::update),
        ..Hooks::NONE
    },
};

/// Secrets are opaque unless they say otherwise. Texts of `stringData` replace
/// the data of the same name, encoded; the member itself is never kept.
fn default(value: &mut Value) {
    let Some(secret) = value.as_object_mut() else {
        return;
    };
    fields::fill_zero(secret, "type", "Opaque");
    if let Some(texts) = secret.shift_remove("stringData")
        && let Value::Object(texts) = texts
    {
        for (name, text) in texts {
            let encoded = STANDARD.encode(text.as_str().unwrap_or_default());
            fields::member(secret, "data").insert(name, encoded.into());
        }
    }
}

fn cells(value: &Value, now: Timestamp) -> Vec<Value> {
    vec![
        print::name(value),
        print::text(value, "/type"),
        print::count(value, "/data"),
        print::created(value, now),
    ]
}
