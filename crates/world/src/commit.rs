//! What happened at one revision.

use std::sync::Arc;

use object::{Key, Object, Resource};

/// One object created, changed or deleted.
#[derive(Clone, Debug)]
pub struct Event {
    /// Revision of the commit.
    pub revision: u64,
    /// The new state; for a deletion the last state, stamped with `revision`.
    pub object: Arc<Object>,
    /// The state before, absent for a creation.
    pub old: Option<Arc<Object>>,
    /// Whether the object is gone.
    pub deleted: bool,
}

impl Event {
    /// A creation or a change.
    pub fn put(object: Arc<Object>, old: Option<Arc<Object>>) -> Self {
        Self {
            revision: object.revision(),
            object,
            old,
            deleted: false,
        }
    }

    /// A deletion at `revision`.
    pub fn delete(old: Arc<Object>, revision: u64) -> Self {
        let last = Arc::new(old.at_revision(revision));
        Self {
            revision,
            object: last,
            old: Some(old),
            deleted: true,
        }
    }

    /// The object's resource.
    pub fn resource(&self) -> Resource {
        self.object.resource()
    }

    /// Where the object lives or lived.
    pub fn key(&self) -> Key {
        self.object.key()
    }

    /// The state after the event, absent for a deletion.
    pub fn new_state(&self) -> Option<&Arc<Object>> {
        (!self.deleted).then_some(&self.object)
    }
}

/// All events of one revision: one transaction.
#[derive(Clone, Debug, Default)]
pub struct Commit {
    /// The revision it made.
    pub revision: u64,
    /// What changed, at most one event per object.
    pub events: Vec<Arc<Event>>,
}
