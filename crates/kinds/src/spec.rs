//! What a kind is, as data: [`KindSpec`], and the pure functions that a kind may
//! hang on to the write path: [`Hooks`].
//!
//! Reads and writes only the JSON trees it is given. Invariants: no hook reads a
//! clock, another object or the machine; what needs those is admission. A hook
//! may be given a tree with or without members that hold Go's zero value, so it
//! treats `""` of a plain string as unset.
//!
//! The order of one write, kept by the caller:
//! decode → [`KindSpec::default`] → mutating admission →
//! [`KindSpec::prepare_create`] or [`KindSpec::prepare_update`] or
//! [`KindSpec::prepare_status_update`] → validate → validating admission → store.

use jiff::Timestamp;
use object::{FieldErrors, Gvk, Resource};
use serde_json::{Map, Value};
use smol_str::SmolStr;

use crate::{fields, validate};

/// The verbs of most kinds.
pub(crate) const VERBS: &[&str] = &[
    "create",
    "delete",
    "deletecollection",
    "get",
    "list",
    "patch",
    "update",
    "watch",
];

/// A built-in kind as one version of it is served.
#[derive(Clone, Copy, Debug)]
pub struct KindSpec {
    /// Group, version and kind that this entry serves.
    pub gvk: Gvk,
    /// What it is stored as: versions and groups that share storage name the
    /// same resource (both Event kinds are core `events`).
    pub resource: Resource,
    /// Kind of its list, empty when it cannot be listed.
    pub list_kind: &'static str,
    /// Lower-case plural, as in the URL.
    pub plural: &'static str,
    /// Lower-case singular.
    pub singular: &'static str,
    /// Short names that `kubectl` accepts.
    pub short_names: &'static [&'static str],
    /// Groups of kinds it belongs to, such as `all`.
    pub categories: &'static [&'static str],
    /// Whether its objects live in a namespace.
    pub namespaced: bool,
    /// Verbs as discovery prints them.
    pub verbs: &'static [&'static str],
    /// Subresources, those without machinery included: see [`Subresource::served`].
    pub subresources: &'static [Subresource],
    /// Group, version and kind of what is stored; `None` when nothing is.
    pub storage: Option<Gvk>,
    /// Hash of the storage version as discovery prints it; empty when not stored.
    /// The value upstream's discovery shows, also where we store another version.
    pub storage_version_hash: &'static str,
    /// Name of its type in the schema table, such as `core/v1.Pod`.
    pub type_name: &'static str,
    /// Columns of its table.
    pub columns: &'static [Column],
    /// The cells of one row, one for each column.
    pub cells: fn(&Value, Timestamp) -> Vec<Value>,
    /// Fields other than name and namespace that a field selector may name.
    pub field_selectors: &'static [FieldSelector],
    /// Fields that a write through an endpoint never changes.
    pub reset_fields: ResetFields,
    /// What `metadata.generation` counts changes of.
    pub generation: Generation,
    /// Whether its status is written apart, through the `status` subresource.
    pub status: bool,
    /// Whether a create may bring a status, as a kubelet's Node does.
    pub keeps_status_on_create: bool,
    /// What the kind does at each step of a write.
    pub hooks: Hooks,
}

/// What `metadata.generation` counts changes of.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Generation {
    /// There is no generation.
    Absent,
    /// All but metadata and status.
    Spec,
    /// Annotations as well, since a Deployment hands them to its ReplicaSets.
    SpecAndAnnotations,
}

/// A path below an object, with types and verbs of its own.
#[derive(Clone, Copy, Debug)]
pub struct Subresource {
    /// Last part of the path, such as `status`.
    pub name: &'static str,
    /// Kind of the bodies it takes and gives.
    pub gvk: Gvk,
    /// Verbs as discovery prints them.
    pub verbs: &'static [&'static str],
    /// Whether its machinery exists; discovery shows no other.
    pub served: bool,
}

/// One column of a table.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Column {
    /// Title, as upstream spells it.
    pub name: &'static str,
    /// OpenAPI type: `string`, `integer`, `boolean`, `number`, `date`.
    pub kind: &'static str,
    /// OpenAPI format; `name` marks the column that names the object.
    pub format: &'static str,
    /// 0 is always shown, higher only in wide output.
    pub priority: i32,
}

impl Column {
    /// A column of these properties.
    pub const fn new(
        name: &'static str,
        kind: &'static str,
        format: &'static str,
        priority: i32,
    ) -> Self {
        Self {
            name,
            kind,
            format,
            priority,
        }
    }
}

/// A field by which lists can be narrowed.
#[derive(Clone, Copy, Debug)]
pub struct FieldSelector {
    /// The path a client writes.
    pub path: &'static str,
    /// The path it is kept under with the stored object.
    pub stored: &'static str,
    /// The value, read from an object of the *stored* version.
    pub value: fn(&Value) -> SmolStr,
}

/// Dotted paths that a write leaves as they are, by endpoint; they are left out
/// of server-side apply's ownership as well.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ResetFields {
    /// On the object itself.
    pub main: &'static [&'static str],
    /// On its `status` subresource.
    pub status: &'static [&'static str],
}

impl ResetFields {
    /// Nothing is reset.
    pub const NONE: Self = Self {
        main: &[],
        status: &[],
    };
    /// Spec and status are written apart.
    pub const SPLIT: Self = Self {
        main: &["status"],
        status: &["spec"],
    };
}

/// Pure steps of a write; each is optional.
#[derive(Clone, Copy, Debug, Default)]
pub struct Hooks {
    /// After decoding, before admission, on every create, update and patch, and
    /// on what is read in an older form. Fills in members that are absent; never
    /// changes one that is set. Idempotent.
    pub default: Option<fn(&mut Value)>,
    /// On create, after mutating admission, when name, uid and creation time are
    /// set and status was reset. May change anything but these.
    pub prepare_create: Option<fn(&mut Value)>,
    /// On update of the object itself, after mutating admission, when status was
    /// taken from `old`. May change anything but name, uid and creation time.
    pub prepare_update: Option<fn(&mut Value, &Value)>,
    /// On update of the `status` subresource, when all but status and metadata
    /// was taken from `old`.
    pub prepare_status_update: Option<fn(&mut Value, &Value)>,
    /// After preparing a create. Changes nothing.
    pub validate_create: Option<fn(&Value) -> FieldErrors>,
    /// After preparing an update: new, then old. Changes nothing.
    pub validate_update: Option<fn(&Value, &Value) -> FieldErrors>,
    /// After validation, on create and update: texts for `Warning` headers.
    pub warnings: Option<fn(&Value) -> Vec<String>>,
    /// Last before storing: rewrites equal forms to one. Idempotent.
    pub canonicalize: Option<fn(&mut Value)>,
    /// From the served to the stored version, after `canonicalize`; only where
    /// [`KindSpec::storage`] is another kind than the served one. Keeps all that
    /// the stored version has members for.
    pub to_stored: Option<fn(&mut Value)>,
    /// From the stored to the served version, before anything is read or
    /// changed through this entry.
    pub from_stored: Option<fn(&mut Value)>,
}

impl Hooks {
    /// No hook at all.
    pub const NONE: Self = Self {
        default: None,
        prepare_create: None,
        prepare_update: None,
        prepare_status_update: None,
        validate_create: None,
        validate_update: None,
        warnings: None,
        canonicalize: None,
        to_stored: None,
        from_stored: None,
    };
}

impl KindSpec {
    /// Whether objects of the kind are stored.
    pub fn is_stored(&self) -> bool {
        self.storage.is_some()
    }

    /// The subresource of this name whose machinery exists.
    pub fn subresource(&self, name: &str) -> Option<&'static Subresource> {
        self.subresources
            .iter()
            .find(|sub| sub.name == name && sub.served)
    }

    /// Fills in defaults; see [`Hooks::default`].
    pub fn default(&self, value: &mut Value) {
        if let Some(default) = self.hooks.default {
            default(value);
        }
    }

    /// Prepares a create: resets status and generation, then asks the kind.
    /// Name, uid and creationTimestamp must be set.
    pub fn prepare_create(&self, value: &mut Value) {
        if self.status && !self.keeps_status_on_create {
            fields::remove(value, "status");
        }
        if let Some(prepare) = self.hooks.prepare_create {
            prepare(value);
        }
        let meta = fields::object(value, "metadata");
        if self.generation != Generation::Absent {
            meta.insert("generation".into(), 1.into());
        } else {
            meta.shift_remove("generation");
        }
    }

    /// Prepares an update of the object itself: keeps the old status, asks the
    /// kind, and counts the generation when the desired state differs.
    pub fn prepare_update(&self, new: &mut Value, old: &Value) {
        if self.status {
            fields::keep(new, old, "status");
        }
        if let Some(prepare) = self.hooks.prepare_update {
            prepare(new, old);
        }
        self.count_generation(new, old);
    }

    /// Prepares an update of the status: takes all but status and metadata from
    /// `old`, then asks the kind. Status writes do not count as generations.
    pub fn prepare_status_update(&self, new: &mut Value, old: &Value) {
        let status = new.get("status").cloned();
        let meta = new.get("metadata").cloned();
        let mut next = old.clone();
        fields::put(&mut next, "status", status);
        fields::put(&mut next, "metadata", meta);
        for path in self.reset_fields.status {
            if let Some(name) = path.strip_prefix("metadata.") {
                let kept = old.get("metadata").and_then(|m| m.get(name)).cloned();
                let meta = fields::object(&mut next, "metadata");
                fields::put_member(meta, name, kept);
            }
        }
        *new = next;
        if let Some(prepare) = self.hooks.prepare_status_update {
            prepare(new, old);
        }
        keep_generation(new, old);
    }

    /// Faults of a prepared object that is to be created: its metadata's, then
    /// the kind's own.
    pub fn validate_create(&self, value: &Value) -> FieldErrors {
        let mut errors = validate::metadata::create(&self.gvk, value);
        if let Some(check) = self.hooks.validate_create {
            errors.extend(check(value));
        }
        errors
    }

    /// Faults of a prepared object that is to replace `old`.
    pub fn validate_update(&self, new: &Value, old: &Value) -> FieldErrors {
        let mut errors = validate::metadata::update(new, old);
        if let Some(check) = self.hooks.validate_update {
            errors.extend(check(new, old));
        }
        errors
    }

    /// Turns a served tree into the stored version of it.
    pub fn to_stored(&self, value: &mut Value) {
        if let Some(convert) = self.hooks.to_stored {
            convert(value);
        }
    }

    /// Turns a stored tree into the version that this entry serves.
    pub fn from_stored(&self, value: &mut Value) {
        if let Some(convert) = self.hooks.from_stored {
            convert(value);
        }
    }

    /// Values of the selectable fields of a stored object, for the store's index.
    pub fn fields(&self, stored: &Value) -> Box<[(&'static str, SmolStr)]> {
        self.field_selectors
            .iter()
            .map(|field| (field.stored, (field.value)(stored)))
            .collect()
    }

    fn count_generation(&self, new: &mut Value, old: &Value) {
        keep_generation(new, old);
        let annotations = "/metadata/annotations";
        let counts = match self.generation {
            Generation::Absent => false,
            Generation::Spec => desired_differs(new, old),
            Generation::SpecAndAnnotations => {
                desired_differs(new, old)
                    || !fields::same(
                        new.pointer(annotations).unwrap_or(&Value::Null),
                        old.pointer(annotations),
                    )
            }
        };
        if !counts {
            return;
        }
        let before = fields::integer(old, "/metadata/generation");
        fields::object(new, "metadata").insert("generation".into(), (before + 1).into());
    }
}

fn keep_generation(new: &mut Value, old: &Value) {
    let kept = old.pointer("/metadata/generation").cloned();
    fields::put_member(fields::object(new, "metadata"), "generation", kept);
}

/// Whether anything but metadata and status differs.
fn desired_differs(new: &Value, old: &Value) -> bool {
    let empty = Map::new();
    let desired = |name: &str| !["metadata", "status", "apiVersion", "kind"].contains(&name);
    let new_map = new.as_object().unwrap_or(&empty);
    let old_map = old.as_object().unwrap_or(&empty);
    let differs = |a: &Map<String, Value>, b: &Map<String, Value>| {
        a.iter()
            .any(|(name, value)| desired(name) && !fields::same(value, b.get(name)))
    };
    differs(new_map, old_map) || differs(old_map, new_map)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn deployments() -> &'static KindSpec {
        crate::find("apps", "v1", "deployments").unwrap()
    }

    #[test]
    fn only_a_change_of_the_desired_state_counts_as_generation() {
        let old = json!({"metadata":{"name":"a","generation":3},"spec":{"replicas":1},"status":{"replicas":1}});
        let rows = [
            (
                json!({"metadata":{"name":"a","labels":{"x":"y"}},"spec":{"replicas":1}}),
                3,
            ),
            (
                json!({"metadata":{"name":"a"},"spec":{"replicas":2},"status":{"replicas":9}}),
                4,
            ),
        ];
        for (mut new, want) in rows {
            deployments().prepare_update(&mut new, &old);
            assert_eq!(new["metadata"]["generation"], want);
            assert_eq!(new["status"], old["status"]);
        }
    }

    #[test]
    fn a_status_write_changes_nothing_but_status() {
        let old = json!({"metadata":{"name":"a","generation":3,"labels":{"k":"v"}},"spec":{"replicas":1}});
        let mut new =
            json!({"metadata":{"name":"a"},"spec":{"replicas":7},"status":{"replicas":1}});
        deployments().prepare_status_update(&mut new, &old);
        assert_eq!(
            new,
            json!({"metadata":{"name":"a","labels":{"k":"v"},"generation":3},"spec":{"replicas":1},"status":{"replicas":1}})
        );
    }

    #[test]
    fn a_create_starts_with_the_first_generation_and_no_status() {
        let mut new =
            json!({"metadata":{"name":"a","generation":8},"spec":{},"status":{"replicas":1}});
        deployments().prepare_create(&mut new);
        assert_eq!(new["metadata"]["generation"], 1);
        assert!(new.get("status").is_none());
    }
}
