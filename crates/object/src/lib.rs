//! The nouns every other crate speaks: objects and their metadata, names,
//! selectors, quantities, time, field errors and the API `Status`.
//!
//! Pure: no I/O, no clock, no async. Reads and writes nothing.
//!
//! Reading order: [`names`] → [`meta`] → [`object`] → [`field`] → [`status`] →
//! [`selector`] → [`quantity`] → [`time`].

pub mod field;
pub mod meta;
pub mod names;
pub mod object;
pub mod quantity;
pub mod selector;
pub mod status;
pub mod time;

pub use field::{FieldError, FieldErrors, Path};
pub use meta::{Meta, OwnerRef};
pub use names::{Gvk, Key, Name, Resource};
pub use object::{Draft, Object};
pub use quantity::Quantity;
pub use selector::{FieldSelector, LabelSelector};
pub use status::{Cause, Reason, Status};
pub use time::Clock;
