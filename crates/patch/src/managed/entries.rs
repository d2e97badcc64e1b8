//! The entries of `metadata.managedFields`.

use std::sync::OnceLock;

use jiff::Timestamp;
use object::time::rfc3339;
use serde_json::{Map, Value};

use crate::fields::{FieldSet, FieldsError, wire_is_touched_by};
use crate::typed::same;

/// Entries that a record may have. Real ones have a handful; more is taken for
/// garbage.
pub const MAX_ENTRIES: usize = 1_000;

/// How a manager came to own its fields.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Hash)]
pub enum Operation {
    /// By server-side apply.
    Apply,
    /// By any other write.
    Update,
}

impl Operation {
    /// The text on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Apply => "Apply",
            Self::Update => "Update",
        }
    }
}

/// What one manager owns.
#[derive(Clone, Debug)]
pub struct Entry {
    /// Its name.
    pub manager: String,
    /// How it writes.
    pub operation: Operation,
    /// The version in which the fields are named.
    pub api_version: String,
    /// The subresource it writes through, or empty.
    pub subresource: String,
    /// When it last changed the object.
    pub time: Option<Timestamp>,
    /// Read from `wire` when first asked for.
    fields: OnceLock<FieldSet>,
    /// The fields as they were read, while nothing changed them.
    wire: Option<Value>,
}

/// `managedFields` that cannot be read.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum EntryError {
    /// Not a list of objects.
    #[error("managedFields must be a list of objects")]
    Form,
    /// More entries than [`MAX_ENTRIES`].
    #[error("more than {MAX_ENTRIES} managed fields entries")]
    TooMany,
    /// An operation nobody knows.
    #[error("operation must be `Apply` or `Update`")]
    Operation,
    /// No version.
    #[error("apiVersion must not be empty")]
    ApiVersion,
    /// No type of field set.
    #[error("missing fieldsType in managed fields entry {0}")]
    NoFieldsType(usize),
    /// A type of field set other than `FieldsV1`.
    #[error("invalid fieldsType {0:?} in managed fields entry {1}")]
    FieldsType(String, usize),
    /// A time that is none.
    #[error("invalid time {0:?}")]
    Time(String),
    /// A field set that is none.
    #[error("error decoding set: {0}")]
    Fields(#[from] FieldsError),
}

impl Entry {
    /// An entry for a manager that writes now.
    pub fn new(manager: &str, operation: Operation, api_version: &str, subresource: &str) -> Self {
        Self {
            manager: manager.to_owned(),
            operation,
            api_version: api_version.to_owned(),
            subresource: subresource.to_owned(),
            time: None,
            fields: OnceLock::new(),
            wire: None,
        }
    }

    /// What it owns.
    pub fn fields(&self) -> &FieldSet {
        self.fields.get_or_init(|| {
            let wire = self.wire.as_ref();
            // Only what was stored is read late; it was good when it was stored.
            wire.and_then(|wire| FieldSet::from_fields_v1(wire).ok())
                .unwrap_or_default()
        })
    }

    /// Replaces what it owns.
    pub fn set_fields(&mut self, fields: FieldSet) {
        self.fields = OnceLock::from(fields);
        self.wire = None;
    }

    /// Takes fields from it.
    pub(super) fn lose(&mut self, fields: &FieldSet) {
        let mut left = std::mem::take(&mut self.fields)
            .into_inner()
            .unwrap_or_else(|| self.fields().clone());
        left.subtract(fields);
        self.set_fields(left);
    }

    /// What it owns, when nothing else of it is needed.
    pub(super) fn into_fields(self) -> FieldSet {
        match self.fields.get() {
            Some(_) => self.fields.into_inner().unwrap_or_default(),
            None => self.fields().clone(),
        }
    }

    /// Whether a change to `fields` may concern it.
    pub(super) fn is_touched_by(&self, fields: &FieldSet) -> bool {
        match (self.fields.get(), &self.wire) {
            (None, Some(wire)) => wire_is_touched_by(wire, fields),
            _ => self.fields().is_touched_by(fields),
        }
    }

    /// Whether it owns nothing.
    pub(super) fn is_empty(&self) -> bool {
        match (self.fields.get(), &self.wire) {
            (None, Some(Value::Object(wire))) => wire.is_empty(),
            _ => self.fields().is_empty(),
        }
    }

    /// Whether two entries are of one manager: an applier is one over all
    /// versions, an updater is another in each.
    pub fn same_manager(&self, other: &Self) -> bool {
        self.manager == other.manager
            && self.operation == other.operation
            && self.subresource == other.subresource
            && (self.operation == Operation::Apply || self.api_version == other.api_version)
    }

    fn parse(entry: Value, index: usize, stored: bool) -> Result<Self, EntryError> {
        let Value::Object(mut entry) = entry else {
            return Err(EntryError::Form);
        };
        let mut text = |name: &str| match entry.get_mut(name).map(Value::take) {
            Some(Value::String(text)) => Ok(text),
            None | Some(Value::Null) => Ok(String::new()),
            Some(_) => Err(EntryError::Form),
        };
        let operation = match text("operation")?.as_str() {
            "Apply" => Operation::Apply,
            "Update" => Operation::Update,
            _ => return Err(EntryError::Operation),
        };
        let api_version = text("apiVersion")?;
        if api_version.is_empty() {
            return Err(EntryError::ApiVersion);
        }
        match text("fieldsType")?.as_str() {
            "FieldsV1" => {}
            "" => return Err(EntryError::NoFieldsType(index)),
            other => return Err(EntryError::FieldsType(other.to_owned(), index)),
        }
        let (manager, subresource, time) = (text("manager")?, text("subresource")?, text("time")?);
        let time = if time.is_empty() {
            None
        } else {
            Some(time.parse().map_err(|_| EntryError::Time(time))?)
        };
        let wire = entry
            .get_mut("fieldsV1")
            .map(Value::take)
            .filter(|fields| !fields.is_null());
        let fields = match &wire {
            Some(_) if stored => OnceLock::new(),
            Some(wire) => OnceLock::from(FieldSet::from_fields_v1(wire)?),
            None => OnceLock::new(),
        };
        Ok(Self {
            manager,
            operation,
            api_version,
            subresource,
            time,
            fields,
            wire: wire.filter(|_| stored),
        })
    }

    fn into_value(self) -> Value {
        let mut entry = Map::with_capacity(7);
        if !self.manager.is_empty() {
            entry.insert("manager".into(), self.manager.into());
        }
        entry.insert("operation".into(), self.operation.as_str().into());
        entry.insert("apiVersion".into(), self.api_version.into());
        if let Some(time) = self.time {
            entry.insert("time".into(), rfc3339(time).into());
        }
        entry.insert("fieldsType".into(), "FieldsV1".into());
        let fields = match self.wire {
            Some(wire) => wire,
            None => self.fields.into_inner().unwrap_or_default().to_fields_v1(),
        };
        entry.insert("fieldsV1".into(), fields);
        if !self.subresource.is_empty() {
            entry.insert("subresource".into(), self.subresource.into());
        }
        Value::Object(entry)
    }

    /// Seconds of its time, 0 without one: what entries are ordered by.
    pub(super) fn seconds(&self) -> i64 {
        self.time.map_or(0, Timestamp::as_second)
    }
}

/// All entries of an object, one per manager.
#[derive(Clone, Debug, Default)]
pub struct ManagedFields {
    entries: Vec<Entry>,
}

impl ManagedFields {
    /// Reads `metadata.managedFields`. Of two entries of one manager the later counts.
    ///
    /// # Errors
    /// If it is garbled.
    pub fn parse(managed: &Value) -> Result<Self, EntryError> {
        Self::read(managed.clone(), false)
    }

    /// The record of a stored object, whose field sets are written canonically.
    pub(super) fn of_stored(object: &Value) -> Result<Self, EntryError> {
        Self::read(raw(object).cloned().unwrap_or_default(), true)
    }

    /// `stored`: we wrote it ourselves, so it is canonical and is read late.
    pub(super) fn read(managed: Value, stored: bool) -> Result<Self, EntryError> {
        let items = match managed {
            Value::Array(items) => items,
            Value::Null => return Ok(Self::default()),
            _ => return Err(EntryError::Form),
        };
        if items.len() > MAX_ENTRIES {
            return Err(EntryError::TooMany);
        }
        let mut managed = Self {
            entries: Vec::with_capacity(items.len()),
        };
        for (index, item) in items.into_iter().enumerate() {
            managed.put(Entry::parse(item, index, stored)?);
        }
        Ok(managed)
    }

    /// The value of `metadata.managedFields`, in upstream's order.
    pub fn into_value(mut self) -> Value {
        self.entries.sort_by(|a, b| {
            (a.operation, a.seconds())
                .cmp(&(b.operation, b.seconds()))
                .then_with(|| a.manager.cmp(&b.manager))
                .then_with(|| a.api_version.cmp(&b.api_version))
                .then_with(|| a.subresource.cmp(&b.subresource))
        });
        self.entries.into_iter().map(Entry::into_value).collect()
    }

    /// The entries.
    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// Whether nobody owns anything.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    pub(super) fn entries_mut(&mut self) -> &mut Vec<Entry> {
        &mut self.entries
    }

    /// The entry of the same manager as `like`.
    pub(super) fn find(&self, like: &Entry) -> Option<&Entry> {
        self.entries.iter().find(|entry| entry.same_manager(like))
    }

    /// Sets the entry of its manager.
    pub(super) fn put(&mut self, entry: Entry) {
        match self.entries.iter_mut().find(|e| e.same_manager(&entry)) {
            Some(current) => *current = entry,
            None => self.entries.push(entry),
        }
    }

    /// Takes the entry of the same manager as `like` out.
    pub(super) fn take(&mut self, like: &Entry) -> Option<Entry> {
        let at = self.entries.iter().position(|e| e.same_manager(like))?;
        Some(self.entries.remove(at))
    }

    /// Writes the record into an object.
    pub(super) fn store(self, object: &mut Value) {
        if self.is_empty() {
            take_raw(object);
        } else {
            set_raw(object, self.into_value());
        }
    }
}

/// `metadata.managedFields` of an object.
pub(super) fn raw(object: &Value) -> Option<&Value> {
    object.get("metadata")?.get("managedFields")
}

pub(super) fn take_raw(object: &mut Value) -> Option<Value> {
    object
        .get_mut("metadata")?
        .as_object_mut()?
        .shift_remove("managedFields")
}

pub(super) fn set_raw(object: &mut Value, managed: Value) {
    let Value::Object(members) = object else {
        return;
    };
    let metadata = members
        .entry("metadata")
        .or_insert_with(|| Value::Object(Map::new()));
    if let Value::Object(metadata) = metadata {
        metadata.insert("managedFields".into(), managed);
    }
}

/// Whether a client asks to forget all ownership: an empty list, or one empty entry.
pub(super) fn is_reset(managed: &Value) -> bool {
    match managed.as_array().map(Vec::as_slice) {
        Some([]) => true,
        Some([Value::Object(entry)]) => entry
            .values()
            .all(|member| member.is_null() || member.as_str().is_some_and(str::is_empty)),
        _ => false,
    }
}

/// Keeps the old times where a write changed nothing else: then it is no write at
/// all. Tells whether `after` now equals `before`.
pub fn keep_times(before: &Value, after: &mut Value) -> bool {
    if same(before, after) {
        return true;
    }
    let (Some(Value::Array(old)), Some(Value::Array(new))) = (raw(before), raw(after)) else {
        return false;
    };
    let same_entry = |old: &Value, new: &Value| match (old.as_object(), new.as_object()) {
        (Some(old), Some(new)) => {
            let named = |members: &Map<String, Value>, others: &Map<String, Value>| {
                members.iter().all(|(name, member)| {
                    name == "time" || others.get(name).is_some_and(|other| same(other, member))
                })
            };
            named(old, new) && named(new, old)
        }
        _ => false,
    };
    let matched = old.len() == new.len()
        && new
            .iter()
            .all(|entry| old.iter().any(|other| same_entry(other, entry)));
    if !matched {
        return false;
    }
    let Some(new) = take_raw(after) else {
        return false;
    };
    let old = Value::Array(old.clone());
    set_raw(after, old);
    if same(before, after) {
        return true;
    }
    set_raw(after, new);
    false
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn entry(manager: &str, operation: &str, time: Option<&str>) -> Value {
        let mut entry = json!({"manager": manager, "operation": operation, "apiVersion": "v1",
            "fieldsType": "FieldsV1", "fieldsV1": {"f:data": {}}});
        if let Some(time) = time {
            entry["time"] = time.into();
        }
        entry
    }

    #[test]
    fn entries_are_ordered_by_operation_time_and_name() {
        let managed = ManagedFields::parse(&json!([
            entry("b", "Update", Some("2026-01-01T00:00:00Z")),
            entry("c", "Apply", Some("2026-01-02T00:00:00Z")),
            entry("a", "Update", Some("2026-01-01T00:00:00Z")),
            entry("z", "Apply", None),
        ]))
        .unwrap();
        let order: Vec<String> = managed
            .into_value()
            .as_array()
            .unwrap()
            .iter()
            .map(|entry| entry["manager"].as_str().unwrap().to_owned())
            .collect();
        assert_eq!(order, ["z", "c", "a", "b"]);
    }

    #[test]
    fn garbled_entries_are_named() {
        let rows = [
            (
                json!([{"operation": "Steal"}]),
                "operation must be `Apply` or `Update`",
            ),
            (
                json!([{"operation": "Apply"}]),
                "apiVersion must not be empty",
            ),
            (
                json!([{"operation": "Apply", "apiVersion": "v1"}]),
                "missing fieldsType in managed fields entry 0",
            ),
            (
                json!([{"operation": "Apply", "apiVersion": "v1", "fieldsType": "X"}]),
                "invalid fieldsType \"X\" in managed fields entry 0",
            ),
            (
                json!([{"operation": "Apply", "apiVersion": "v1", "fieldsType": "FieldsV1", "fieldsV1": {"x": {}}}]),
                "error decoding set: invalid field path element \"x\"",
            ),
        ];
        for (managed, want) in rows {
            assert_eq!(
                ManagedFields::parse(&managed).unwrap_err().to_string(),
                want
            );
        }
    }

    #[test]
    fn only_an_empty_list_or_entry_resets() {
        assert!(is_reset(&json!([])) && is_reset(&json!([{}])));
        assert!(!is_reset(&json!(null)) && !is_reset(&json!([{"manager": "a"}])));
    }

    #[test]
    fn a_write_that_changes_only_times_is_none() {
        let object = |time: &str, data: &str| json!({"metadata": {"managedFields": [entry("a", "Apply", Some(time))]}, "data": data});
        let before = object("2026-01-01T00:00:00Z", "x");
        let mut after = object("2026-01-02T00:00:00Z", "x");
        assert!(keep_times(&before, &mut after));
        assert_eq!(after, before);
        let mut after = object("2026-01-02T00:00:00Z", "y");
        assert!(!keep_times(&before, &mut after));
        assert_eq!(after, object("2026-01-02T00:00:00Z", "y"));
    }
}
