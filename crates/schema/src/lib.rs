//! One schema engine for built-in and custom kinds.
//!
//! Pure: reads bytes or values, writes values. The types of all built-in kinds are
//! one embedded table ([`types`]); decoding, printing, patches, apply, OpenAPI and
//! protobuf are driven by it.
//!
//! Reading order: [`node`] → [`types`].

pub mod node;
pub mod types;

pub use node::{Field, ListKind, ListNode, MapNode, MapType, Node, Omit, Scalar, ScalarKind, Struct};
pub use types::types;
