//! Faults in keys and size of the data that ConfigMaps and Secrets carry.
//!
//! Pure; no value is ever shown in an error.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use object::{FieldError, FieldErrors, Path};
use serde_json::{Map, Value};

use super::metadata::is_data_key;

/// Bytes that all values of one object may have together.
pub(crate) const DATA_LIMIT: usize = 1 << 20;
/// Characters of one key.
const KEY_LIMIT: usize = 253;
const KEY: &str = "a valid config key must consist of alphanumeric characters, '-', '_' or '.' (e.g. 'key.name',  or 'KEY_NAME',  or 'key-name', regex used for validation is '[-._a-zA-Z0-9]+')";

/// The map under a member, if it is there.
pub(crate) fn map<'a>(value: &'a Value, member: &str) -> Option<&'a Map<String, Value>> {
    value.get(member).and_then(Value::as_object)
}

/// The bytes of a value that travels as base64; none if it is not that.
pub(crate) fn bytes(value: &Value) -> Vec<u8> {
    STANDARD
        .decode(value.as_str().unwrap_or_default())
        .unwrap_or_default()
}

/// Faults of one key.
pub(crate) fn key(key: &str, path: &Path, errors: &mut FieldErrors) {
    let path = path.key(key);
    if key.len() > KEY_LIMIT {
        let fault = format!("must be no more than {KEY_LIMIT} characters");
        errors.push(FieldError::invalid(&path, key, fault));
    }
    if !is_data_key(key) {
        errors.push(FieldError::invalid(&path, key, KEY));
    } else if key == "." {
        errors.push(FieldError::invalid(&path, key, "must not be '.'"));
    } else if key == ".." {
        errors.push(FieldError::invalid(&path, key, "must not be '..'"));
    } else if key.starts_with("..") {
        errors.push(FieldError::invalid(&path, key, "must not start with '..'"));
    }
}

/// What an object that was made immutable refuses to have changed.
pub(crate) fn immutable(new: &Value, old: &Value, members: &[&str]) -> FieldErrors {
    const FAULT: &str = "field is immutable when `immutable` is set";
    let set = |value: &Value| value.get("immutable") == Some(&Value::Bool(true));
    let mut errors = FieldErrors::new();
    if !set(old) {
        return errors;
    }
    if !set(new) {
        errors.push(FieldError::forbidden(&Path::new("immutable"), FAULT));
    }
    for member in members {
        if super::metadata::changed(new, old, member) {
            errors.push(FieldError::forbidden(&Path::new(member), FAULT));
        }
    }
    errors
}
