//! The image store through its public face: layers, archives, the store's life, and a registry on loopback.
//!
//! One binary, so that it links once. What needs root says `skipped: needs root`.

#![expect(
    clippy::unwrap_used,
    clippy::cast_possible_truncation,
    reason = "a test may panic, and its numbers are small"
)]

mod archives;
mod layers;
mod registry;
mod store;
mod support;
