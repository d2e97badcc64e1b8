//! Readers for selectable fields: one line for each field in a kind's entry.
//!
//! Reads the stored version of an object; an absent field reads as Go's zero
//! value prints, so `spec.hostNetwork=false` finds what says nothing.

use serde_json::Value;
use smol_str::{SmolStr, ToSmolStr};

use crate::fields;

/// A text.
macro_rules! text_field {
    ($path:literal, $stored:literal, $pointer:literal) => {
        $crate::spec::FieldSelector {
            path: $path,
            stored: $stored,
            value: |value| $crate::select::text(value, $pointer),
        }
    };
}

/// A flag.
macro_rules! flag_field {
    ($path:literal, $stored:literal, $pointer:literal) => {
        $crate::spec::FieldSelector {
            path: $path,
            stored: $stored,
            value: |value| $crate::select::flag(value, $pointer),
        }
    };
}

/// A whole number.
macro_rules! number_field {
    ($path:literal, $stored:literal, $pointer:literal) => {
        $crate::spec::FieldSelector {
            path: $path,
            stored: $stored,
            value: |value| $crate::select::number(value, $pointer),
        }
    };
}

pub(crate) use {flag_field, number_field, text_field};

/// The text at a pointer.
pub(crate) fn text(value: &Value, pointer: &str) -> SmolStr {
    fields::text(value, pointer).into()
}

/// The flag at a pointer, in Go's words.
pub(crate) fn flag(value: &Value, pointer: &str) -> SmolStr {
    fields::flag(value, pointer).to_smolstr()
}

/// The whole number at a pointer.
pub(crate) fn number(value: &Value, pointer: &str) -> SmolStr {
    fields::integer(value, pointer).to_smolstr()
}
