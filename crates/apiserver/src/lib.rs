//! The API server: the only door to the state.
//!
//! Reads and writes objects through the store, for every client alike. Reading
//! order: [`request`] → [`identity`] → [`rbac`] → [`read`] → [`mod@write`].

pub mod authn;
pub mod discovery;
pub mod identity;
pub mod openapi;
pub mod pki;
pub mod rbac;
pub mod read;
pub mod request;
pub mod review;
pub mod write;
