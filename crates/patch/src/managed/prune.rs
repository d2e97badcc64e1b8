//! Removing what a manager no longer applies.

use serde_json::Value;

use super::Write;
use super::entries::{Entry, ManagedFields};
use super::update::UpdateError;
use crate::fields::FieldSet;
use crate::shape::Shape;
use crate::typed::{field_set, remove, with_named_parents};

/// `merged` without what `last` (the manager's entry of its previous apply) owned
/// and nobody in `managed` (where the manager stands with its new fields) owns now.
pub(super) fn prune(
    write: &Write<'_>,
    merged: Value,
    managed: &ManagedFields,
    last: &Entry,
) -> Result<Value, UpdateError> {
    let version = last.api_version.as_str();
    // A version that is gone: nothing of it can be named any more.
    let Some(shape) = write.versions.shape(version) else {
        return Ok(merged);
    };
    let merged = convert(write, merged, write.api_version, version)?;
    let owned_last = with_named_parents(Some(shape), last.fields());
    let mut pruned = remove(shape, merged.clone(), &owned_last);
    // The version of the last apply comes first: what conversion needs is back
    // before anything is converted.
    let mut versions = vec![version];
    for entry in managed.entries() {
        if !versions.contains(&entry.api_version.as_str()) {
            versions.push(&entry.api_version);
        }
    }
    for other in versions {
        let owned = managed
            .entries()
            .iter()
            .filter(|entry| entry.api_version == other)
            .fold(FieldSet::new(), |set, entry| set.union(entry.fields()));
        let Some(other_shape) = write.versions.shape(other) else {
            continue;
        };
        let whole = convert(write, merged.clone(), version, other)?;
        let kept = convert(write, pruned, version, other)?;
        let back = add_back_owned(other_shape, whole, &kept, &owned);
        pruned = convert(write, back, other, version)?;
    }
    let pruned = add_back_dangling(shape, merged, &pruned, &owned_last);
    convert(write, pruned, version, write.api_version)
}

fn convert(write: &Write<'_>, object: Value, from: &str, to: &str) -> Result<Value, UpdateError> {
    if from == to {
        return Ok(object);
    }
    Ok(write
        .versions
        .convert(&object, from, to)
        .map_err(UpdateError::Convert)?
        .into_owned())
}

/// Everything that somebody owns comes back.
fn add_back_owned(shape: Shape<'_>, merged: Value, pruned: &Value, owned: &FieldSet) -> Value {
    let named = |set: &FieldSet| with_named_parents(Some(shape), set);
    let keep = named(&field_set(shape, pruned)).union(&named(owned));
    let gone = named(&field_set(shape, &merged)).difference(&keep);
    remove(shape, merged, &gone)
}

/// What the manager never owned comes back: fields of nobody, such as defaults,
/// and of updaters.
fn add_back_dangling(
    shape: Shape<'_>,
    merged: Value,
    pruned: &Value,
    owned_last: &FieldSet,
) -> Value {
    let named = |set: &FieldSet| with_named_parents(Some(shape), set);
    let gone = named(&field_set(shape, &merged))
        .difference(&named(&field_set(shape, pruned)))
        .intersection(owned_last);
    remove(shape, merged, &gone)
}
