//! The versions of a kind, as far as field ownership needs them.
//!
//! Entries of `managedFields` keep the version in which their fields were
//! written; to compare or prune, the object is brought into that version.

use std::borrow::Cow;

use serde_json::Value;

use crate::shape::Shape;

/// The versions of a kind: their types, and how objects get from one to another.
pub trait Versions {
    /// The type of the kind in `api_version`. `None`: no version of this kind any
    /// more; entries that name it are dropped.
    fn shape(&self, api_version: &str) -> Option<Shape<'_>>;

    /// The object in another version. The default changes nothing, which is right
    /// for kinds whose versions have one shape.
    ///
    /// # Errors
    /// A text for the log, if the conversion failed.
    fn convert<'o>(
        &self,
        object: &'o Value,
        from: &str,
        to: &str,
    ) -> Result<Cow<'o, Value>, String> {
        let _ = (from, to);
        Ok(Cow::Borrowed(object))
    }
}

/// One type for all versions of a group.
#[derive(Clone, Copy)]
pub struct OneShape<'s> {
    /// The type.
    pub shape: Shape<'s>,
    /// The API group; empty for the core group.
    pub group: &'s str,
}

impl Versions for OneShape<'_> {
    fn shape(&self, api_version: &str) -> Option<Shape<'_>> {
        let group = api_version.split_once('/').map_or("", |(group, _)| group);
        (group == self.group && !api_version.is_empty()).then_some(self.shape)
    }
}
