//! Where the world comes from: the local store, or a remote server's watches.

use std::sync::Arc;

use futures::stream::BoxStream;
use world::{Commit, World};

/// A source of consistent snapshots.
pub trait Feed: Send + Sync + 'static {
    /// The latest snapshot.
    fn world(&self) -> World;

    /// Every commit after the snapshot that [`Feed::world`] gave last, in order.
    /// Ends when the source shuts down.
    fn commits(&self) -> BoxStream<'static, Result<Arc<Commit>, Lagged>>;
}

/// The reader was too slow and missed commits: it must look at the whole world
/// again. Later commits follow as usual.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Lagged;
