//! The world: a consistent, immutable snapshot of every stored object at one
//! revision, with the indexes that answer what is asked often.
//!
//! Pure. A [`World`] is cloned for the price of a counter; a commit makes the
//! next one, sharing all that did not change. The API server serves reads from
//! it and controllers plan on it, so there is one copy of each object.
//!
//! Invariant: an object, its table and every index entry change in one step;
//! nobody sees a world between two revisions.

mod commit;
mod snapshot;
mod table;

pub use commit::{Commit, Event};
pub use snapshot::World;
pub use table::Table;
