//! Changing objects: JSON patch, JSON merge patch, strategic merge patch, and
//! server-side apply with its record of who owns which field.
//!
//! Everything is a pure function over `serde_json` trees. Time, the manager's
//! name and the kind's schema are passed in; nothing is read or written.
//!
//! Architecture Invariant: no HTTP, no storage and no knowledge of single kinds
//! lives here. An error says what the client gets (reason and message); the API
//! server builds the `Status`.
//!
//! Reading order: [`json`] → [`merge`] → [`strategic`] → [`fields`] →
//! [`typed`] → [`managed`].

pub mod error;
pub mod fields;
pub mod json;
pub mod managed;
pub mod merge;
pub mod shape;
pub mod strategic;
pub mod text;
pub mod typed;

pub use error::PatchError;
pub use fields::{Element, FieldSet};
pub use json::json_patch;
pub use managed::{ApplyError, ManagedFields};
pub use merge::merge_patch;
pub use shape::Shape;
pub use strategic::strategic;

#[cfg(test)]
mod checks;
