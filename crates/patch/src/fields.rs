//! Sets of field paths: what `managedFields` is made of.
//!
//! A path leads from the object to a field, an item of a keyed list, or a member
//! of a set. A set holds paths as a tree; parents are in it only if put there.
//! The wire form is `FieldsV1` (KEP-555, structured-merge-diff).

mod element;
mod set;
mod wire;

pub use element::{Element, compare_values};
pub use set::FieldSet;
pub use wire::FieldsError;
pub(crate) use wire::wire_is_touched_by;

/// A path for people: `.spec.containers[name="c"].image`.
pub fn path_text(path: &[Element]) -> String {
    use std::fmt::Write as _;
    let mut out = String::new();
    for element in path {
        let _ = write!(out, "{element}");
    }
    out
}
