//! What a Secret refuses.
//!
//! Pure; metadata is checked elsewhere. No value of a Secret reaches an error.

use object::{FieldError, FieldErrors, Path};
use serde_json::{Map, Value};

use super::{data, metadata::changed};

/// Faults of a Secret that is to be created.
pub(crate) fn create(value: &Value) -> FieldErrors {
    let mut errors = FieldErrors::new();
    let path = Path::new("data");
    let empty = Map::new();
    let entries = data::map(value, "data").unwrap_or(&empty);
    let mut size = 0;
    for (name, bytes) in entries {
        data::key(name, &path, &mut errors);
        size += data::bytes(bytes).len();
    }
    if size > data::DATA_LIMIT {
        errors.push(FieldError::too_long(&path, data::DATA_LIMIT));
    }
    by_type(value, entries, &mut errors);
    errors
}

fn by_type(value: &Value, entries: &Map<String, Value>, errors: &mut FieldErrors) {
    let path = Path::new("data");
    let missing = |name: &str| FieldError::required(&path.key(name), "");
    match value.get("type").and_then(Value::as_str) {
        Some("kubernetes.io/service-account-token") => {
            let name = "/metadata/annotations/kubernetes.io~1service-account.name";
            let account = value.pointer(name).and_then(Value::as_str);
            if account.is_none_or(str::is_empty) {
                let path =
                    Path::new("metadata.annotations").key("kubernetes.io/service-account.name");
                errors.push(FieldError::required(&path, ""));
            }
        }
        Some("kubernetes.io/dockercfg") => json(".dockercfg", entries, errors),
        Some("kubernetes.io/dockerconfigjson") => json(".dockerconfigjson", entries, errors),
        Some("kubernetes.io/basic-auth") => {
            let names = ["username", "password"];
            if names.iter().all(|name| !entries.contains_key(*name)) {
                errors.extend(names.map(missing));
            }
        }
        Some("kubernetes.io/ssh-auth")
            if entries.get("ssh-privatekey").is_none_or(|key| key == "") =>
        {
            errors.push(missing("ssh-privatekey"));
        }
        Some("kubernetes.io/tls") => {
            let names = ["tls.crt", "tls.key"].into_iter();
            errors.extend(
                names
                    .filter(|name| !entries.contains_key(*name))
                    .map(missing),
            );
        }
        _ => {}
    }
}

fn json(name: &str, entries: &Map<String, Value>, errors: &mut FieldErrors) {
    let path = Path::new("data").key(name);
    let Some(value) = entries.get(name) else {
        errors.push(FieldError::required(&path, ""));
        return;
    };
    if let Err(error) = serde_json::from_slice::<Value>(&data::bytes(value)) {
        let fault = if error.is_eof() {
            "unexpected end of JSON input".to_owned()
        } else {
            error.to_string()
        };
        let hidden = "<secret contents redacted>";
        errors.push(FieldError::invalid(&path, hidden, fault));
    }
}

/// Faults of a Secret that is to be replaced.
pub(crate) fn update(new: &Value, old: &Value) -> FieldErrors {
    let mut errors = FieldErrors::new();
    if changed(new, old, "type") {
        let kind = new.get("type").cloned().unwrap_or_default();
        let path = Path::new("type");
        errors.push(FieldError::invalid(&path, kind, "field is immutable"));
    }
    errors.extend(data::immutable(new, old, &["data"]));
    errors.extend(create(new));
    errors
}
