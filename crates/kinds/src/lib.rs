//! All built-in kinds, as data and pure functions.
//!
//! Pure: no I/O, no clock. Reads and writes JSON trees. Discovery, OpenAPI, table
//! printing, RBAC coverage and documentation derive from the one list that
//! [`all`] returns; adding a kind is one file and one line in `list.rs`.
//!
//! Reading order: [`spec`] → `list` → `core/pod.rs` → `core/pod_spec.rs`.

mod admissionregistration;
mod apiextensions;
mod apiregistration;
mod apps;
mod authentication;
mod authorization;
mod autoscaling;
mod batch;
mod certificates;
mod coordination;
mod core;
mod discovery;
mod events;
mod fields;
mod flowcontrol;
mod list;
mod networking;
mod node;
mod policy;
mod print;
mod rbac;
mod resource;
mod scheduling;
mod select;
pub mod spec;
mod storage;
mod storagemigration;

pub use print::age;
pub use spec::{Column, FieldSelector, Generation, Hooks, KindSpec, ResetFields, Subresource};

/// Every kind that is served by default.
pub fn all() -> &'static [KindSpec] {
    &list::KINDS
}

/// The kind of this group (empty for core), version and plural.
pub fn find(group: &str, version: &str, plural: &str) -> Option<&'static KindSpec> {
    list::KINDS.iter().find(|spec| {
        spec.gvk.group == group && spec.gvk.version == version && spec.plural == plural
    })
}

/// The kind of this `apiVersion` and `kind`.
pub fn by_api_version(api_version: &str, kind: &str) -> Option<&'static KindSpec> {
    list::KINDS
        .iter()
        .find(|spec| spec.gvk.kind == kind && spec.gvk.api_version() == api_version)
}
