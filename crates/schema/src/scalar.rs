//! Scalars that have a text form of their own: times, durations, quantities,
//! base64. Each is checked and brought into the form the server prints.

mod base64;
mod duration;
mod time;

use object::Quantity;

pub(crate) use base64::{canonical as base64, encode as encode_base64};
pub(crate) use duration::canonical as duration;
pub(crate) use time::Precision;
pub(crate) use time::canonical as time;

/// The canonical form of a quantity.
pub(crate) fn quantity(text: &str) -> Result<String, String> {
    Quantity::parse(text.trim())
        .map(|quantity| quantity.to_string())
        .map_err(|error| error.to_string())
}
