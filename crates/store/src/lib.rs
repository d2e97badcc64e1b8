//! The store: one revisioned map of objects, written in transactions.
//!
//! The API server is its only user. A commit is durable when it is answered;
//! readers see only what is durable.

use std::sync::Arc;

use async_trait::async_trait;
use object::{Draft, Key, Object};
use world::{Commit, World};

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
    Put(Draft),
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

/// A store of objects.
#[async_trait]
pub trait Store: Send + Sync + 'static {
    /// The latest durable snapshot.
    fn world(&self) -> World;

    /// Commits all changes under one new revision, or none. Durable when it
    /// returns.
    async fn commit(&self, changes: Vec<Change>) -> Result<Arc<Commit>, CommitError>;
}
