//! The image store through its public face: layers, archives, the store's life, and a registry on loopback.
//!
//! One binary, so that it links once. What needs root says `skipped: needs root`.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

mod archives;
mod layers;
mod registry;
mod store;
mod support;
