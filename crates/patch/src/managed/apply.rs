//! Server-side apply.

use std::borrow::Cow;

use object::Reason;
use serde_json::Value;

use super::conflict::Conflicts;
use super::entries::{Entry, EntryError, ManagedFields, Operation, raw, take_raw};
use super::last_applied;
use super::prune::prune;
use super::update::{
    Changed, Comparisons, UpdateError, give_up, reconcile, told, track, write_shape,
};
use super::{Write, stripped};
use crate::typed::{self, TypeErrors};

/// Owns what an object had before anybody applied to it.
const BEFORE_FIRST_APPLY: &str = "before-first-apply";
/// The manager whose applies keep the annotation of client-side apply up to date.
const KUBECTL: &str = "kubectl";

/// An apply that was not carried out. `Display` is the message for the client.
#[derive(Clone, PartialEq, Debug, thiserror::Error)]
pub enum ApplyError {
    /// Others own fields with other values.
    #[error("{0}")]
    Conflicts(Conflicts),
    /// The body is of another kind or version than the URL.
    #[error("invalid object type: {0}")]
    ObjectType(String),
    /// The body brings a record of ownership.
    #[error("metadata.managedFields must be nil")]
    ManagedFieldsSent,
    /// The body does not fit the kind's type.
    #[error("failed to create typed patch object ({object}): {errors}")]
    Applied {
        /// Which object: `namespace/name; group/version, Kind=kind`.
        object: String,
        /// What does not fit.
        errors: TypeErrors,
    },
    /// The stored object does not fit the kind's type.
    #[error("failed to create typed live object ({object}): {errors}")]
    Live {
        /// Which object.
        object: String,
        /// What does not fit.
        errors: TypeErrors,
    },
    /// The two cannot be merged.
    #[error("failed to merge config: {0}")]
    Merge(TypeErrors),
    /// The stored record of ownership is garbled.
    #[error("failed to decode managed fields: {0}")]
    Record(#[from] EntryError),
    /// Old and merged object cannot be compared or converted.
    #[error("{0}")]
    Update(#[from] UpdateError),
}

impl ApplyError {
    /// The HTTP status code.
    pub fn code(&self) -> u16 {
        match self {
            Self::Conflicts(_) => 409,
            Self::ObjectType(_) | Self::ManagedFieldsSent => 400,
            _ => 500,
        }
    }

    /// `reason` of the `Status`; [`Reason::Unknown`] where upstream gives none.
    pub fn reason(&self) -> Reason {
        match self {
            Self::Conflicts(_) => Reason::Conflict,
            Self::ObjectType(_) | Self::ManagedFieldsSent => Reason::BadRequest,
            _ => Reason::Unknown,
        }
    }
}

/// Merges `applied` into `live` (`None`: the object does not exist yet) and gives
/// the result with its record of ownership.
///
/// What the manager applied last time and no longer does is removed unless others
/// own it. A field that another manager owns with another value is a conflict,
/// unless `force` takes it over. The caller checks name, resourceVersion and uid,
/// then decodes, defaults and validates the result.
///
/// # Errors
/// See [`ApplyError`].
pub fn apply(
    write: &Write<'_>,
    live: Option<&Value>,
    applied: &Value,
    force: bool,
) -> Result<Value, ApplyError> {
    let empty = Value::Object(serde_json::Map::new());
    let live = live.unwrap_or(&empty);
    let managed = ManagedFields::of_stored(live)?;
    check_type(write, applied)?;
    let mut bare = live.clone();
    take_raw(&mut bare);
    let (mut object, managed) = if write.manager == KUBECTL {
        apply_as_kubectl(write, &bare, applied, managed, force)?
    } else {
        attempt(write, &bare, applied, managed, force)?
    };
    if write.manager == KUBECTL {
        last_applied::refresh(&mut object, applied);
    }
    managed.store(&mut object);
    Ok(object)
}

/// Conflicts over what the last client-side apply set are kubectl's own.
fn apply_as_kubectl(
    write: &Write<'_>,
    live: &Value,
    applied: &Value,
    managed: ManagedFields,
    force: bool,
) -> Result<(Value, ManagedFields), ApplyError> {
    let conflicts = match attempt(write, live, applied, managed.clone(), force) {
        Err(ApplyError::Conflicts(conflicts)) => conflicts,
        other => return other,
    };
    let Some(allowed) = last_applied::fields(write, live) else {
        return Err(ApplyError::Conflicts(conflicts));
    };
    let left = conflicts.outside(&allowed);
    if !left.is_empty() {
        return Err(ApplyError::Conflicts(left));
    }
    attempt(write, live, applied, managed, true)
}

fn text<'o>(object: &'o Value, name: &str) -> &'o str {
    object.get(name).and_then(Value::as_str).unwrap_or_default()
}

/// `group/version, Kind=kind` as messages show it.
fn type_text(object: &Value) -> String {
    let api_version = text(object, "apiVersion");
    let slash = if api_version.contains('/') { "" } else { "/" };
    format!("{slash}{api_version}, Kind={}", text(object, "kind"))
}

fn object_text(object: &Value) -> String {
    let empty = Value::Null;
    let metadata = object.get("metadata").unwrap_or(&empty);
    format!(
        "{}/{}; {}",
        text(metadata, "namespace"),
        text(metadata, "name"),
        type_text(object)
    )
}

fn check_type(write: &Write<'_>, applied: &Value) -> Result<(), ApplyError> {
    if text(applied, "apiVersion") != write.api_version || text(applied, "kind") != write.kind {
        return Err(ApplyError::ObjectType(type_text(applied)));
    }
    Ok(())
}

/// `live` comes without its record.
fn attempt(
    write: &Write<'_>,
    live: &Value,
    applied: &Value,
    managed: ManagedFields,
    force: bool,
) -> Result<(Value, ManagedFields), ApplyError> {
    let shape = write_shape(write)?;
    let managed = if managed.is_empty() {
        first_record(write, live)?
    } else {
        managed
    };
    if raw(applied).is_some_and(|managed| !managed.is_null()) {
        return Err(ApplyError::ManagedFieldsSent);
    }
    typed::check(shape, applied, false).map_err(|errors| ApplyError::Applied {
        object: object_text(applied),
        errors,
    })?;
    typed::check(shape, live, true).map_err(|errors| ApplyError::Live {
        object: object_text(live),
        errors,
    })?;
    let mut managed = reconcile(write, managed);
    let merged = typed::merge(shape, live.clone(), applied).map_err(ApplyError::Merge)?;
    let mut own = Entry::new(
        write.manager_name(),
        Operation::Apply,
        write.api_version,
        write.subresource,
    );
    own.set_fields(typed::field_set(shape, applied).recursive_difference(write.reset));
    let last = managed.take(&own);
    own.time = last.as_ref().and_then(|last| last.time);
    managed.put(own.clone());
    let merged = match last {
        Some(last) if !last.fields().is_empty() => prune(write, merged, &managed, &last)?,
        _ => merged,
    };
    let comparison = typed::compare(shape, live, &merged)
        .map_err(UpdateError::Compare)?
        .without(write.reset);
    let mut comparisons = Comparisons::new(write, live, &merged, Changed::new(comparison));
    let given_up = comparisons.conflicts(&mut managed, Some(&own))?;
    if !force {
        let conflicts = told(&managed, &given_up);
        if !conflicts.is_empty() {
            return Err(ApplyError::Conflicts(conflicts));
        }
    }
    give_up(&mut managed, given_up);
    let changed = !typed::same(live, &merged);
    if let Some(mut own) = managed.take(&own) {
        let fields = own.fields().difference(stripped());
        if !fields.is_empty() {
            own.set_fields(fields);
            if changed {
                own.time = Some(write.now);
            }
            managed.put(own);
        }
    }
    let object = if changed { merged } else { live.clone() };
    Ok((object, managed))
}

/// The record of an object that has none: all it holds belongs to whoever wrote
/// it before the first apply.
fn first_record(write: &Write<'_>, live: &Value) -> Result<ManagedFields, UpdateError> {
    let shape = write_shape(write)?;
    let zero = Cow::<Value>::Owned(shape.zero());
    let comparison = typed::compare(shape, &zero, live)
        .map_err(UpdateError::Compare)?
        .without(write.reset);
    track(
        write,
        &zero,
        live,
        ManagedFields::default(),
        BEFORE_FIRST_APPLY,
        comparison,
    )
}
