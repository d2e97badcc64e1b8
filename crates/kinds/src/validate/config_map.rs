//! What a ConfigMap refuses.
//!
//! Pure; metadata is checked elsewhere.

use object::{FieldError, FieldErrors, Path};
use serde_json::Value;

use super::data;

/// Faults of a ConfigMap that is to be created.
pub(crate) fn create(value: &Value) -> FieldErrors {
    let mut errors = FieldErrors::new();
    let mut size = 0;
    let binary = data::map(value, "binaryData");
    for (name, text) in data::map(value, "data").into_iter().flatten() {
        data::key(name, &Path::new("data"), &mut errors);
        if binary.is_some_and(|binary| binary.contains_key(name)) {
            errors.push(FieldError::invalid(
                &Path::new("data").key(name),
                name.as_str(),
                "duplicate of key present in binaryData",
            ));
        }
        size += text.as_str().map_or(0, str::len);
    }
    for (name, bytes) in binary.into_iter().flatten() {
        data::key(name, &Path::new("binaryData"), &mut errors);
        size += data::bytes(bytes).len();
    }
    if size > data::DATA_LIMIT {
        // Upstream gives an empty path here, which it prints as brackets.
        errors.push(FieldError::too_long(
            &Path::root().key(""),
            data::DATA_LIMIT,
        ));
    }
    errors
}

/// Faults of a ConfigMap that is to be replaced.
pub(crate) fn update(new: &Value, old: &Value) -> FieldErrors {
    let mut errors = data::immutable(new, old, &["data", "binaryData"]);
    errors.extend(create(new));
    errors
}
