//! One schema engine for built-in and custom kinds.
//!
//! Pure: reads bytes or values, writes values. The types of all built-in kinds are
//! one embedded table ([`types()`]); decoding, printing, patches, apply, OpenAPI and
//! protobuf are driven by it.
//!
//! Reading order: [`node`] → [`types`](mod@types) → [`decode`](mod@decode) →
//! [`error`].

pub mod decode;
mod encode;
pub mod error;
mod input;
mod json;
pub mod node;
pub mod quote;
mod scalar;
pub mod types;

pub use decode::{Decoded, canonical, decode, decode_value, set_type, type_meta, zero};
pub use encode::to_vec;
pub use error::{
    DecodeError, Issue, IssueKind, MAX_ISSUES, TypeMeta, cannot_handle, strict_error, unrecognized,
};
pub use input::{MAX_DEPTH, Syntax};
pub use node::{
    Field, ListKind, ListNode, MapNode, MapType, Member, Node, Omit, Patch, Scalar, ScalarKind,
    Struct, StructRef, Text,
};
pub use types::types;
