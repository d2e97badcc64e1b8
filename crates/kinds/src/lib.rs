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
mod validate;

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

/// The kind whose version is the one stored under this resource.
pub fn stored(resource: object::Resource) -> Option<&'static KindSpec> {
    list::KINDS
        .iter()
        .find(|spec| spec.resource == resource && spec.storage == Some(spec.gvk))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_stored_resource_has_one_stored_version() {
        for spec in all().iter().filter(|spec| spec.is_stored()) {
            let found: Vec<_> = all()
                .iter()
                .filter(|other| other.resource == spec.resource && other.storage == Some(other.gvk))
                .collect();
            assert_eq!(found.len(), 1, "{}", spec.gvk);
            let converts = spec.hooks.to_stored.is_some() && spec.hooks.from_stored.is_some();
            assert_eq!(converts, spec.storage != Some(spec.gvk), "{}", spec.gvk);
        }
    }

    #[test]
    fn kinds_that_share_storage_select_by_the_same_stored_fields() {
        let events = stored(object::Resource::new("", "events")).unwrap();
        let newer = find("events.k8s.io", "v1", "events").unwrap();
        for field in newer.field_selectors {
            let same = |other: &FieldSelector| other.stored == field.stored;
            assert!(events.field_selectors.iter().any(same), "{}", field.path);
        }
    }
}
