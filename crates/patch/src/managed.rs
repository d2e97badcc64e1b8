//! Who owns which field: `metadata.managedFields`, server-side apply, and the
//! bookkeeping of all other writes (KEP-555).
//!
//! Two entries: [`apply`] merges an applied object into the live one and may end
//! in conflicts; [`update`] records what any other write did. Both take the
//! objects as the API server has them after decoding and defaulting, and leave
//! `metadata.managedFields` of the result right.
//!
//! Invariants: an entry without fields is not kept; identity and version of an
//! object are owned by nobody; what a manager stops applying goes only if no
//! other manager owns it.

mod apply;
#[cfg(test)]
mod checks;
mod conflict;
mod entries;
mod last_applied;
mod prune;
mod scale;
mod update;
mod versions;

pub use apply::{ApplyError, apply};
pub use conflict::{Conflict, Conflicts};
pub use entries::{Entry, EntryError, MAX_ENTRIES, ManagedFields, Operation, keep_times};
pub use scale::{ScalePath, scale_to_parent, to_scale};
pub use update::{MAX_UPDATE_MANAGERS, UpdateError, update};
pub use versions::{OneShape, Versions};

use jiff::Timestamp;

use crate::fields::FieldSet;

/// A write, as far as field ownership cares.
#[derive(Clone, Copy)]
pub struct Write<'a> {
    /// The kind's types by version.
    pub versions: &'a dyn Versions,
    /// `apiVersion` of the objects passed in.
    pub api_version: &'a str,
    /// `kind` of the objects passed in.
    pub kind: &'a str,
    /// Who writes; empty counts as `unknown`.
    pub manager: &'a str,
    /// The subresource written through, or empty.
    pub subresource: &'a str,
    /// Fields that this endpoint never writes, with all below them, such as
    /// `status` for the main resource of most kinds.
    pub reset: &'a FieldSet,
    /// Now.
    pub now: Timestamp,
}

impl Write<'_> {
    fn manager_name(&self) -> &str {
        if self.manager.is_empty() {
            "unknown"
        } else {
            self.manager
        }
    }
}

/// Bytes of a manager's name.
pub const MAX_MANAGER_BYTES: usize = 128;

/// The manager of a write that names none: the client's User-Agent up to its first
/// slash, without what cannot be printed.
pub fn manager_of_user_agent(user_agent: &str) -> String {
    let mut name = String::new();
    let product = user_agent.split('/').next().unwrap_or_default();
    for c in product.chars().filter(|c| !c.is_control()) {
        if name.len() + c.len_utf8() > MAX_MANAGER_BYTES {
            break;
        }
        name.push(c);
    }
    name
}

/// What nobody ever owns.
fn stripped() -> &'static FieldSet {
    static STRIPPED: std::sync::LazyLock<FieldSet> = std::sync::LazyLock::new(|| {
        FieldSet::of(&[
            &["apiVersion"],
            &["kind"],
            &["metadata"],
            &["metadata", "name"],
            &["metadata", "namespace"],
            &["metadata", "creationTimestamp"],
            &["metadata", "selfLink"],
            &["metadata", "uid"],
            &["metadata", "clusterName"],
            &["metadata", "generation"],
            &["metadata", "managedFields"],
            &["metadata", "resourceVersion"],
        ])
    });
    &STRIPPED
}
