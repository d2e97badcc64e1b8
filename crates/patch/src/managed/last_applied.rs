//! The annotation of client-side apply, on the way to server-side apply.
//!
//! When `kubectl` itself applies, conflicts over what its last client-side apply
//! set are no conflicts, and the annotation is kept up to date so that an old
//! kubectl can take over again.

use serde_json::Value;

use super::Write;
use crate::fields::FieldSet;
use crate::text;
use crate::typed;

const ANNOTATION: &str = "kubectl.kubernetes.io/last-applied-configuration";
/// Bytes that all annotations of an object may have together.
const MAX_ANNOTATION_BYTES: usize = 256 * 1024;

fn annotation(object: &Value) -> Option<&str> {
    object
        .get("metadata")?
        .get("annotations")?
        .get(ANNOTATION)?
        .as_str()
        .filter(|text| !text.is_empty())
}

/// The fields of the last client-side apply that the live object still holds as
/// they were applied.
pub(super) fn fields(write: &Write<'_>, live: &Value) -> Option<FieldSet> {
    let shape = write.versions.shape(write.api_version)?;
    let last: Value = serde_json::from_str(annotation(live)?).ok()?;
    if last.get("apiVersion").and_then(Value::as_str) != Some(write.api_version) {
        return None;
    }
    typed::check(shape, &last, false).ok()?;
    let comparison = typed::compare(shape, &last, live).ok()?;
    Some(
        typed::field_set(shape, &last)
            .difference(&comparison.modified)
            .difference(&comparison.added)
            .difference(&comparison.removed),
    )
}

/// Writes what was applied into the annotation, if the object has one. An
/// annotation that would grow too large is dropped.
pub(super) fn refresh(object: &mut Value, applied: &Value) {
    if annotation(object).is_none() {
        return;
    }
    let mut applied = applied.clone();
    if let Some(Value::Object(annotations)) = applied
        .get_mut("metadata")
        .and_then(|metadata| metadata.get_mut("annotations"))
    {
        annotations.shift_remove(ANNOTATION);
    }
    let mut text = text::sorted_json(&applied);
    text.push('\n');
    let Some(Value::Object(annotations)) = object
        .get_mut("metadata")
        .and_then(|metadata| metadata.get_mut("annotations"))
    else {
        return;
    };
    annotations.insert(ANNOTATION.into(), text.into());
    let size: usize = annotations
        .iter()
        .map(|(name, value)| name.len() + value.as_str().map_or(0, str::len))
        .sum();
    if size > MAX_ANNOTATION_BYTES {
        annotations.shift_remove(ANNOTATION);
    }
}
