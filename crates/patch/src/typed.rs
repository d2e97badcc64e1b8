//! Objects under a schema: which fields they have, how two of them differ, what
//! merging and removing gives.
//!
//! The rules are those of structured-merge-diff: maps are granular or atomic;
//! lists are keyed, sets, or atomic; what no schema describes is deduced from
//! the value (maps granular, lists atomic). An empty map or list counts as a
//! leaf, so that it can be told from one that is absent.

mod check;
mod compare;
mod extract;
mod items;
mod merge;
mod reconcile;
mod remove;

pub use check::check;
pub(crate) use compare::same;
pub use compare::{Comparison, compare};
pub use extract::field_set;
pub use merge::merge;
pub(crate) use reconcile::reconcile;
pub use remove::remove;
pub(crate) use remove::with_named_parents;

use std::fmt;

/// One thing about an object that does not fit its schema.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct TypeFault {
    /// Where, such as `.spec.containers[name="c"]`; empty for the object itself.
    pub path: String,
    /// What.
    pub message: String,
}

/// Everything about an object that does not fit its schema.
#[derive(Clone, PartialEq, Eq, Debug, Default, thiserror::Error)]
pub struct TypeErrors(pub Vec<TypeFault>);

impl TypeErrors {
    fn one(message: impl Into<String>) -> Self {
        Self(vec![TypeFault {
            path: String::new(),
            message: message.into(),
        }])
    }

    fn below(mut self, step: impl fmt::Display) -> Self {
        for fault in &mut self.0 {
            fault.path = format!("{step}{}", fault.path);
        }
        self
    }

    fn into_result(self) -> Result<(), Self> {
        if self.0.is_empty() { Ok(()) } else { Err(self) }
    }
}

impl fmt::Display for TypeFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.path.is_empty() {
            write!(f, "{}: ", self.path)?;
        }
        f.write_str(&self.message)
    }
}

impl fmt::Display for TypeErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let [only] = self.0.as_slice() {
            return only.fmt(f);
        }
        f.write_str("errors:")?;
        for fault in &self.0 {
            write!(f, "\n  {fault}")?;
        }
        Ok(())
    }
}
