//! Faults in `metadata`, for every kind alike.
//!
//! Pure. Name rules by kind stand in [`name_rule`]; texts are those of v1.37.

use object::selector::{is_label_text, is_subdomain, label_value_errors, name_errors};
use object::{FieldError, FieldErrors, Gvk, Path};
use serde_json::{Map, Value};

use crate::fields;

/// Bytes that keys and values of all annotations of an object may have.
const ANNOTATIONS_LIMIT: usize = 256 << 10;
/// Characters of a name that is a subdomain.
const SUBDOMAIN_LIMIT: usize = 253;
/// Characters of a name that is one DNS label.
const LABEL_LIMIT: usize = 63;
/// Finalizers without a domain that Kubernetes itself uses.
const STANDARD_FINALIZERS: &[&str] = &["kubernetes", "orphan", "foregroundDeletion"];

pub(crate) const SUBDOMAIN: &str = "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end with an alphanumeric character (e.g. 'example.com', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')";
const LABEL: &str = "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end with an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?')";

/// What names of a kind look like.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum NameRule {
    Subdomain,
    Label,
    /// Anything that can stand in a URL path.
    Segment,
}

/// Kinds that are not listed have rules of their own; for these only what would
/// break a path is refused here.
fn name_rule(gvk: &Gvk) -> NameRule {
    match (gvk.group, gvk.kind) {
        ("", "Namespace") => NameRule::Label,
        (
            "",
            "ConfigMap"
            | "Secret"
            | "ServiceAccount"
            | "Pod"
            | "Node"
            | "PodTemplate"
            | "PersistentVolume"
            | "PersistentVolumeClaim"
            | "LimitRange"
            | "ResourceQuota"
            | "ReplicationController"
            | "Endpoints",
        )
        | ("apps", "Deployment" | "ReplicaSet" | "DaemonSet")
        | ("batch", "Job")
        | ("coordination.k8s.io", "Lease") => NameRule::Subdomain,
        _ => NameRule::Segment,
    }
}

/// Faults of the metadata of an object that is to be created.
pub(crate) fn create(gvk: &Gvk, value: &Value) -> FieldErrors {
    let mut errors = FieldErrors::new();
    let path = Path::new("metadata");
    name(gvk, value, &path, &mut errors);
    members(value, &path, &mut errors);
    errors
}

/// Faults of the metadata of an object that is to be replaced.
pub(crate) fn update(new: &Value, old: &Value) -> FieldErrors {
    let mut errors = FieldErrors::new();
    let path = Path::new("metadata");
    if old.pointer("/metadata/deletionTimestamp").is_some() {
        added_finalizers(new, old, &path, &mut errors);
    }
    members(new, &path, &mut errors);
    errors
}

fn text<'a>(value: &'a Value, pointer: &str) -> &'a str {
    value
        .pointer(pointer)
        .and_then(Value::as_str)
        .unwrap_or_default()
}

fn name(gvk: &Gvk, value: &Value, path: &Path, errors: &mut FieldErrors) {
    let name = text(value, "/metadata/name");
    let path = path.child("name");
    if name.is_empty() {
        errors.push(FieldError::required(
            &path,
            "name or generateName is required",
        ));
        return;
    }
    for fault in name_faults(name_rule(gvk), name) {
        errors.push(FieldError::invalid(&path, name, fault));
    }
}

fn name_faults(rule: NameRule, name: &str) -> Vec<String> {
    let mut faults = Vec::new();
    let mut long = |limit: usize| {
        if name.len() > limit {
            faults.push(format!("must be no more than {limit} characters"));
        }
    };
    match rule {
        NameRule::Subdomain => {
            long(SUBDOMAIN_LIMIT);
            if !is_subdomain(name) {
                faults.push(SUBDOMAIN.to_owned());
            }
        }
        NameRule::Label => {
            long(LABEL_LIMIT);
            if name.contains('.') || !is_subdomain(name) {
                faults.push(LABEL.to_owned());
            }
        }
        NameRule::Segment if name == "." || name == ".." => {
            faults.push(format!("may not be '{name}'"));
        }
        NameRule::Segment => {
            for sign in ['/', '%'].into_iter().filter(|sign| name.contains(*sign)) {
                faults.push(format!("may not contain '{sign}'"));
            }
        }
    }
    faults
}

/// Faults of a name that only has to fit into a URL path.
pub(crate) fn segment_faults(name: &str) -> Vec<String> {
    name_faults(NameRule::Segment, name)
}

fn members(value: &Value, path: &Path, errors: &mut FieldErrors) {
    let empty = Map::new();
    let map = |pointer| {
        value
            .pointer(pointer)
            .and_then(Value::as_object)
            .unwrap_or(&empty)
    };
    labels(map("/metadata/labels"), &path.child("labels"), errors);
    annotations(
        map("/metadata/annotations"),
        &path.child("annotations"),
        errors,
    );
    owners(value, &path.child("ownerReferences"), errors);
    finalizers(value, &path.child("finalizers"), errors);
}

/// Faults of a key: each is a cause of its own, at the path of the whole map.
fn key(key: &str, shown: &str, path: &Path, errors: &mut FieldErrors) {
    for fault in name_errors(key).iter().flat_map(|all| all.split("; ")) {
        let fault = fault.replacen("a qualified name must", "a valid label key must", 1);
        errors.push(FieldError::invalid(path, shown, fault));
    }
}

/// Faults of a map of labels.
pub(crate) fn labels(labels: &Map<String, Value>, path: &Path, errors: &mut FieldErrors) {
    for (name, value) in labels {
        key(name, name, path, errors);
        let value = value.as_str().unwrap_or_default();
        for fault in label_value_errors(value)
            .iter()
            .flat_map(|all| all.split("; "))
        {
            errors.push(FieldError::invalid(path, value, fault));
        }
    }
}

/// Faults of a map of annotations, whose keys may have capitals.
fn annotations(annotations: &Map<String, Value>, path: &Path, errors: &mut FieldErrors) {
    let mut size = 0;
    for (name, value) in annotations {
        key(&name.to_lowercase(), name, path, errors);
        size += name.len() + value.as_str().map_or(0, str::len);
    }
    if size > ANNOTATIONS_LIMIT {
        errors.push(FieldError::too_long(path, ANNOTATIONS_LIMIT));
    }
}

fn owners(value: &Value, path: &Path, errors: &mut FieldErrors) {
    let list = fields_list(value, "/metadata/ownerReferences");
    let mut controller: Option<String> = None;
    for (index, owner) in list.iter().enumerate() {
        owner_members(owner, &path.index(index), errors);
        if owner.get("controller") != Some(&Value::Bool(true)) {
            continue;
        }
        let shown = format!("{}/{}", text(owner, "/kind"), text(owner, "/name"));
        match &controller {
            Some(first) => errors.push(FieldError::invalid(
                path,
                list.to_vec(),
                format!("Only one reference can have Controller set to true. Found \"true\" in references for {first} and {shown}"),
            )),
            None => controller = Some(shown),
        }
    }
}

fn owner_members(owner: &Value, path: &Path, errors: &mut FieldErrors) {
    let version = text(owner, "/apiVersion");
    if version.matches('/').count() > 1 {
        errors.push(FieldError::invalid(
            &path.child("apiVersion"),
            version,
            "must be <group>/<version> or <version>",
        ));
    } else if version.is_empty() || version.ends_with('/') {
        errors.push(FieldError::required(
            &path.child("apiVersion"),
            "must not be empty",
        ));
    }
    for member in ["kind", "name", "uid"] {
        let given = owner.get(member).and_then(Value::as_str);
        if given.is_none_or(str::is_empty) {
            errors.push(FieldError::required(
                &path.child(member),
                "must not be empty",
            ));
        }
    }
    if version == "v1" && text(owner, "/kind") == "Event" {
        errors.push(FieldError::invalid(
            path,
            owner.clone(),
            "/v1, Kind=Event is disallowed from being an owner",
        ));
    }
}

fn fields_list<'a>(value: &'a Value, pointer: &str) -> &'a [Value] {
    value
        .pointer(pointer)
        .and_then(Value::as_array)
        .map_or(&[], Vec::as_slice)
}

/// Malformed names come at the path of the list, before those that lack a domain.
fn finalizers(value: &Value, path: &Path, errors: &mut FieldErrors) {
    let list = fields_list(value, "/metadata/finalizers");
    let names = || list.iter().map(|name| name.as_str().unwrap_or_default());
    for name in names() {
        key(name, name, path, errors);
    }
    for (index, name) in names().enumerate() {
        if !name.contains('/') && !STANDARD_FINALIZERS.contains(&name) {
            errors.push(FieldError::invalid(
                &path.index(index),
                name,
                "name is neither a standard finalizer name nor is it fully qualified",
            ));
        }
    }
    if names().any(|name| name == "orphan") && names().any(|name| name == "foregroundDeletion") {
        errors.push(FieldError::invalid(
            path,
            list.to_vec(),
            "finalizer orphan and foregroundDeletion cannot be both set",
        ));
    }
}

fn added_finalizers(new: &Value, old: &Value, path: &Path, errors: &mut FieldErrors) {
    let before = fields_list(old, "/metadata/finalizers");
    let mut added: Vec<String> = fields_list(new, "/metadata/finalizers")
        .iter()
        .filter(|name| !before.contains(name))
        .map(|name| format!("{:?}", name.as_str().unwrap_or_default()))
        .collect();
    added.sort();
    if !added.is_empty() {
        errors.push(FieldError::forbidden(
            &path.child("finalizers"),
            format!("no new finalizers can be added if the object is being deleted, found new finalizers []string{{{}}}", added.join(", ")),
        ));
    }
}

/// Whether a member differs between two versions.
pub(crate) fn changed(new: &Value, old: &Value, member: &str) -> bool {
    !fields::same(new.get(member).unwrap_or(&Value::Null), old.get(member))
}

/// Whether a text could be a key of a ConfigMap or Secret by its characters.
pub(crate) fn is_data_key(text: &str) -> bool {
    !text.is_empty()
        && text
            .split(['.', '-', '_'])
            .all(|part| part.is_empty() || is_label_text(part))
}
