//! Recording what a write other than apply did.

use std::borrow::Cow;

use serde_json::{Map, Value};

use super::conflict::Conflicts;
use super::entries::{Entry, ManagedFields, Operation, is_reset, raw, set_raw, take_raw};
use super::{Versions, Write, stripped};
use crate::fields::FieldSet;
use crate::shape::Shape;
use crate::typed::{self, Comparison, TypeErrors};

/// Entries of updaters that an object keeps. The oldest beyond it are merged.
pub const MAX_UPDATE_MANAGERS: usize = 10;
/// The manager that the oldest entries are merged into.
const ANCIENT: &str = "ancient-changes";

/// Why ownership could not be recorded.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum UpdateError {
    /// The write's own version is none of the kind's.
    #[error("{0} is no version of this kind")]
    Version(String),
    /// Old and new object cannot be compared.
    #[error("failed to compare objects: {0}")]
    Compare(TypeErrors),
    /// An object could not be brought into the version of an entry.
    #[error("failed to convert object: {0}")]
    Convert(String),
}

/// Records in `after` who owns what, given the object `before` the write (`None`
/// for a create). The writer gets what it changed or added; everybody loses what
/// is gone, and the former owners what changed.
///
/// A record that `after` brings along is taken as its own word, except through a
/// subresource; one that is garbled or missing counts for nothing and that of
/// `before` stands; one that is emptied is forgotten. Nothing is recorded for an
/// object that has no record.
///
/// # Errors
/// Tells what to log; `after` then has the record of `before`, and the write goes on.
pub fn update(
    write: &Write<'_>,
    before: Option<&Value>,
    after: &mut Value,
) -> Result<(), UpdateError> {
    let sent = take_raw(after);
    let stored = before.and_then(raw);
    let result = record(write, before, after, sent, stored);
    if result.is_err()
        && let Some(stored) = stored
    {
        set_raw(after, stored.clone());
    }
    result
}

fn record(
    write: &Write<'_>,
    before: Option<&Value>,
    after: &mut Value,
    sent: Option<Value>,
    stored: Option<&Value>,
) -> Result<(), UpdateError> {
    let shape = write_shape(write)?;
    let created = before.is_none_or(|before| uid(before).is_empty());
    let subresource = !write.subresource.is_empty();
    if !subresource && sent.as_ref().is_some_and(is_reset) && !created {
        return Ok(());
    }
    let kept = match (&sent, stored) {
        (Some(sent), Some(stored)) => typed::same(sent, stored),
        (sent, stored) => sent.is_none() && stored.is_none(),
    };
    let unsent = subresource || kept;
    if unsent && !created && stored.is_none_or(|stored| stored.as_array().is_none_or(Vec::is_empty))
    {
        return Ok(());
    }
    let zero;
    let old = match before {
        Some(before) => before,
        None => {
            zero = shape.zero();
            &zero
        }
    };
    let comparison = typed::compare(shape, old, after)
        .map_err(UpdateError::Compare)?
        .without(write.reset);
    if comparison.is_empty() && unsent && all_versions_known(write, stored) {
        let sent = sent.filter(|_| kept);
        if let Some(same) = sent.or_else(|| stored.cloned()) {
            set_raw(after, same);
        }
        return Ok(());
    }
    let managed = decode(sent, stored, kept, subresource);
    if managed.is_empty() && !created {
        return Ok(());
    }
    let managed = track(write, old, after, managed, write.manager_name(), comparison)?;
    managed.store(after);
    Ok(())
}

pub(super) fn write_shape<'a>(write: &Write<'a>) -> Result<Shape<'a>, UpdateError> {
    write
        .versions
        .shape(write.api_version)
        .ok_or_else(|| UpdateError::Version(write.api_version.to_owned()))
}

fn uid(object: &Value) -> &str {
    object
        .get("metadata")
        .and_then(|metadata| metadata.get("uid"))
        .and_then(Value::as_str)
        .unwrap_or_default()
}

fn all_versions_known(write: &Write<'_>, stored: Option<&Value>) -> bool {
    stored.and_then(Value::as_array).is_none_or(|entries| {
        entries.iter().all(|entry| {
            entry
                .get("apiVersion")
                .and_then(Value::as_str)
                .is_some_and(|version| write.versions.shape(version).is_some())
        })
    })
}

/// The record to go on from: the client's if it sent a good one, else the stored.
fn decode(
    sent: Option<Value>,
    stored: Option<&Value>,
    kept: bool,
    subresource: bool,
) -> ManagedFields {
    let of_stored =
        || ManagedFields::read(stored.cloned().unwrap_or_default(), true).unwrap_or_default();
    let Some(sent) = sent.filter(|_| kept || !subresource) else {
        return of_stored();
    };
    if is_reset(&sent) {
        return ManagedFields::default();
    }
    // What we stored is canonical; what a client made up need not be.
    match ManagedFields::read(sent, kept) {
        Ok(managed) if !managed.is_empty() => managed,
        _ => of_stored(),
    }
}

/// The record after a write by `manager` that is not an apply.
pub(super) fn track(
    write: &Write<'_>,
    old: &Value,
    new: &Value,
    managed: ManagedFields,
    manager: &str,
    comparison: Comparison,
) -> Result<ManagedFields, UpdateError> {
    let mut managed = reconcile(write, managed);
    let mut own = Entry::new(
        manager,
        Operation::Update,
        write.api_version,
        write.subresource,
    );
    let changed = Changed::new(comparison);
    let mut fields = changed.taken.clone();
    fields.subtract(stripped());
    let mut comparisons = Comparisons::new(write, old, new, changed);
    let conflicts = comparisons.conflicts(&mut managed, None)?;
    give_up(&mut managed, conflicts);
    if !fields.is_empty() {
        let fields = match managed.find(&own) {
            Some(previous) => previous.fields().clone().into_union(fields),
            None => fields,
        };
        own.set_fields(fields);
        own.time = Some(write.now);
        managed.put(own);
    }
    cap_updaters(&mut managed);
    Ok(managed)
}

/// Fits recorded sets to today's types; drops entries of versions that are gone.
pub(super) fn reconcile(write: &Write<'_>, mut managed: ManagedFields) -> ManagedFields {
    managed
        .entries_mut()
        .retain_mut(|entry| fit(write.versions, entry));
    managed
}

/// Fits an entry to today's type; tells whether its version is still one.
fn fit(versions: &dyn Versions, entry: &mut Entry) -> bool {
    let Some(shape) = versions.shape(&entry.api_version) else {
        return false;
    };
    if let Some(fields) = typed::reconcile(shape, entry.fields()) {
        entry.set_fields(fields);
    }
    true
}

/// What a write did, in each version that an entry names its fields in.
pub(super) struct Comparisons<'w> {
    write: &'w Write<'w>,
    old: &'w Value,
    new: &'w Value,
    known: Vec<(Cow<'w, str>, Changed)>,
}

/// A comparison as entries are checked against it.
pub(super) struct Changed {
    /// Modified or added.
    taken: FieldSet,
    removed: FieldSet,
}

impl Changed {
    pub(super) fn new(comparison: Comparison) -> Self {
        Self {
            taken: comparison.modified.into_union(comparison.added),
            removed: comparison.removed,
        }
    }
}

/// What the manager at a place of the record has to give up.
pub(super) struct GivenUp {
    place: usize,
    taken: FieldSet,
    removed: FieldSet,
}

impl<'w> Comparisons<'w> {
    pub(super) fn new(
        write: &'w Write<'w>,
        old: &'w Value,
        new: &'w Value,
        changed: Changed,
    ) -> Self {
        Self {
            write,
            old,
            new,
            known: vec![(Cow::Borrowed(write.api_version), changed)],
        }
    }

    fn in_version(&mut self, api_version: &str) -> Result<&Changed, UpdateError> {
        let at = match self
            .known
            .iter()
            .position(|(version, _)| version == api_version)
        {
            Some(at) => at,
            None => {
                let changed = self.compare(api_version)?;
                self.known
                    .push((Cow::Owned(api_version.to_owned()), changed));
                self.known.len() - 1
            }
        };
        Ok(&self.known[at].1)
    }

    fn compare(&self, api_version: &str) -> Result<Changed, UpdateError> {
        let write = self.write;
        let convert = |object| {
            write
                .versions
                .convert(object, write.api_version, api_version)
                .map_err(UpdateError::Convert)
        };
        let shape = write
            .versions
            .shape(api_version)
            .ok_or_else(|| UpdateError::Version(api_version.to_owned()))?;
        let (old, new) = (convert(self.old)?, convert(self.new)?);
        let comparison = typed::compare(shape, &old, &new).map_err(UpdateError::Compare)?;
        Ok(Changed::new(comparison.without(write.reset)))
    }

    /// What each manager but `except` loses by the write.
    pub(super) fn conflicts(
        &mut self,
        managed: &mut ManagedFields,
        except: Option<&Entry>,
    ) -> Result<Vec<GivenUp>, UpdateError> {
        let mut given_up = Vec::new();
        let versions = self.write.versions;
        for (place, entry) in managed.entries_mut().iter_mut().enumerate() {
            if except.is_some_and(|except| entry.same_manager(except)) {
                continue;
            }
            let changed = self.in_version(&entry.api_version)?;
            if !entry.is_touched_by(&changed.taken) && !entry.is_touched_by(&changed.removed) {
                continue;
            }
            fit(versions, entry);
            let taken = entry.fields().intersection(&changed.taken);
            let removed = if entry.fields().intersects(&changed.removed) {
                changed.removed.clone()
            } else {
                FieldSet::new()
            };
            if !taken.is_empty() || !removed.is_empty() {
                given_up.push(GivenUp {
                    place,
                    taken,
                    removed,
                });
            }
        }
        Ok(given_up)
    }
}

/// The conflicts that an apply without force would have.
pub(super) fn told(managed: &ManagedFields, given_up: &[GivenUp]) -> Conflicts {
    let mut conflicts = Conflicts::default();
    for lost in given_up {
        conflicts.add(&managed.entries()[lost.place], &lost.taken);
    }
    conflicts.sort();
    conflicts
}

/// Takes the fields from their former owners. An owner of nothing goes.
pub(super) fn give_up(managed: &mut ManagedFields, given_up: Vec<GivenUp>) {
    for lost in given_up {
        let entry = &mut managed.entries_mut()[lost.place];
        entry.lose(&lost.taken);
        entry.lose(&lost.removed);
    }
    managed.entries_mut().retain(|entry| !entry.is_empty());
}

/// Merges the oldest updaters of a version into one, until few enough are left.
fn cap_updaters(managed: &mut ManagedFields) {
    let is_updater = |entry: &&Entry| entry.operation == Operation::Update;
    let mut count = managed.entries().iter().filter(is_updater).count();
    if count <= MAX_UPDATE_MANAGERS {
        return;
    }
    let mut oldest: Vec<Entry> = managed
        .entries()
        .iter()
        .filter(is_updater)
        .cloned()
        .collect();
    oldest.sort_by(|a, b| {
        a.seconds()
            .cmp(&b.seconds())
            .then_with(|| a.manager.cmp(&b.manager))
            .then_with(|| a.api_version.cmp(&b.api_version))
            .then_with(|| a.subresource.cmp(&b.subresource))
    });
    // The first of a version waits for a second; then both become one.
    let mut first_of: Map<String, Value> = Map::new();
    for (place, entry) in oldest.iter().enumerate() {
        if count <= MAX_UPDATE_MANAGERS {
            return;
        }
        let Some(first) = first_of.get(&entry.api_version).and_then(Value::as_u64) else {
            first_of.insert(entry.api_version.clone(), place.into());
            continue;
        };
        let mut bucket = Entry::new(ANCIENT, Operation::Update, &entry.api_version, "");
        let mut merged = managed.take(&bucket).map(Entry::into_fields);
        if merged.is_none() || entry.same_manager(&bucket) {
            let first = usize::try_from(first).ok();
            if let Some(first) = first.and_then(|first| managed.take(&oldest[first])) {
                merged.get_or_insert_default().absorb(first.into_fields());
            }
        }
        managed.take(entry);
        let mut merged = merged.unwrap_or_default();
        merged.absorb(entry.fields().clone());
        bucket.set_fields(merged);
        bucket.time = entry.time;
        managed.put(bucket);
        count -= 1;
    }
}
