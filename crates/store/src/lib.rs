//! The store: one revisioned map of objects, written in transactions.
//!
//! The API server is its only user. A commit is durable when it is answered;
//! readers see only what is durable.
//!
//! Reading order: this file → `engine` → `log` → `history`.

mod engine;
mod history;
mod log;

use std::sync::Arc;

use async_trait::async_trait;
use object::object::Fields;
use object::{Draft, Key, Object, Resource};
use serde_json::Value;
use world::{Commit, World};

pub use engine::{BATCH, LocalStore, QUEUE, Window};
pub use history::{BYTES_KEPT, COMMITS_KEPT, Commits, Events, Gone};
pub use log::{FORMAT, OpenError};

/// Largest body that is stored, in bytes: what a request may carry, and room for
/// what the server adds.
pub const MAX_OBJECT_BYTES: usize = 4 << 20;

/// Gives the selectable fields of a stored object.
pub type FieldsOf = fn(Resource, &Value) -> Fields;

/// What a change presupposes about the object before it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Expect {
    /// Nothing.
    Any,
    /// It does not exist.
    Absent,
    /// It exists at this revision.
    Revision(u64),
}

/// What a change does.
#[derive(Clone, Debug)]
pub enum Op {
    /// Creates or replaces the object.
    Put(Box<Draft>),
    /// Removes it.
    Delete,
}

/// One change of a transaction.
#[derive(Clone, Debug)]
pub struct Change {
    /// Which object.
    pub key: Key,
    /// Precondition.
    pub expect: Expect,
    /// Effect.
    pub op: Op,
}

/// A transaction that changed nothing.
#[derive(Debug, thiserror::Error)]
pub enum CommitError {
    /// A precondition does not hold.
    #[error("{key} is not as expected")]
    Conflict {
        /// The first object that is not as expected.
        key: Key,
        /// The object as it is, if it exists.
        found: Option<Arc<Object>>,
    },
    /// The disk is full.
    #[error("no space left on the disk of the data directory")]
    Full,
    /// An object is larger than the store takes.
    #[error("{key} has {bytes} bytes; at most {limit} are stored")]
    TooLarge {
        /// The object.
        key: Key,
        /// Its size in bytes.
        bytes: usize,
        /// The limit in bytes.
        limit: usize,
    },
    /// The store is shutting down.
    #[error("the store is closed")]
    Closed,
    /// The disk failed.
    #[error("write to the store: {0}")]
    Io(String),
}

impl CommitError {
    /// The same failure for another transaction of the batch.
    fn again(&self) -> Self {
        match self {
            Self::Full => Self::Full,
            Self::Closed => Self::Closed,
            other => Self::Io(other.to_string()),
        }
    }
}

/// A store of objects.
#[async_trait]
pub trait Store: Send + Sync + 'static {
    /// The latest durable snapshot.
    fn world(&self) -> World;

    /// Commits all changes under one new revision, or none. Durable when it
    /// returns.
    async fn commit(&self, changes: Vec<Change>) -> Result<Arc<Commit>, CommitError>;

    /// Every commit after the revision, in order and without a gap.
    fn commits(&self, after: u64) -> Result<Commits, Gone>;

    /// Every event of one resource after the revision, in order and without a gap.
    fn watch(&self, resource: Resource, after: u64) -> Result<Events, Gone>;

    /// The world as it was at a revision; the latest one for a later revision.
    fn at(&self, revision: u64) -> Result<World, Gone>;
}
