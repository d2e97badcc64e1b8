//! What roles and their bindings refuse.
//!
//! Pure; metadata is checked elsewhere. Whether the writer may grant what a role
//! says is authorization, not validation.

use object::selector::is_subdomain;
use object::{FieldError, FieldErrors, Path};
use serde_json::Value;

use super::metadata::{self, changed};

const GROUP: &str = "rbac.authorization.k8s.io";

fn list<'a>(value: &'a Value, member: &str) -> &'a [Value] {
    value
        .get(member)
        .and_then(Value::as_array)
        .map_or(&[], Vec::as_slice)
}

fn text<'a>(value: &'a Value, member: &str) -> &'a str {
    value
        .get(member)
        .and_then(Value::as_str)
        .unwrap_or_default()
}

/// Faults of a Role.
pub(crate) fn role(value: &Value) -> FieldErrors {
    rules(value, true)
}

/// Faults of a Role that is to be replaced.
pub(crate) fn role_update(new: &Value, _old: &Value) -> FieldErrors {
    role(new)
}

fn rules(value: &Value, namespaced: bool) -> FieldErrors {
    let mut errors = FieldErrors::new();
    for (index, one) in list(value, "rules").iter().enumerate() {
        rule(
            one,
            &Path::new("rules").index(index),
            namespaced,
            &mut errors,
        );
    }
    errors
}

fn rule(rule: &Value, path: &Path, namespaced: bool, errors: &mut FieldErrors) {
    if list(rule, "verbs").is_empty() {
        errors.push(FieldError::required(&path.child("verbs"), ""));
    }
    let urls = list(rule, "nonResourceURLs");
    let has = |member| !list(rule, member).is_empty();
    if !urls.is_empty() {
        let path = path.child("nonResourceURLs");
        if namespaced {
            let fault = "namespaced rules cannot apply to non-resource URLs";
            errors.push(FieldError::invalid(&path, urls.to_vec(), fault));
        }
        if has("apiGroups") || has("resources") || has("resourceNames") {
            let fault = "rules cannot apply to both regular resources and non-resource URLs";
            errors.push(FieldError::invalid(&path, urls.to_vec(), fault));
        }
        return;
    }
    if !has("apiGroups") {
        let fault = "resource rules must supply at least one api group";
        errors.push(FieldError::required(&path.child("apiGroups"), fault));
    }
    if !has("resources") {
        let fault = "resource rules must supply at least one resource";
        errors.push(FieldError::required(&path.child("resources"), fault));
    }
}

/// Faults of a RoleBinding.
pub(crate) fn role_binding(value: &Value) -> FieldErrors {
    binding(value, &["Role", "ClusterRole"], true)
}

/// Faults of a RoleBinding that is to be replaced.
pub(crate) fn role_binding_update(new: &Value, old: &Value) -> FieldErrors {
    let mut errors = role_binding(new);
    same_role(new, old, &mut errors);
    errors
}

/// Faults of a ClusterRoleBinding.
pub(crate) fn cluster_role_binding(value: &Value) -> FieldErrors {
    binding(value, &["ClusterRole"], false)
}

/// Faults of a ClusterRoleBinding that is to be replaced.
pub(crate) fn cluster_role_binding_update(new: &Value, old: &Value) -> FieldErrors {
    let mut errors = cluster_role_binding(new);
    same_role(new, old, &mut errors);
    errors
}

fn same_role(new: &Value, old: &Value, errors: &mut FieldErrors) {
    if changed(new, old, "roleRef") {
        let role = new.get("roleRef").cloned().unwrap_or_default();
        let path = Path::new("roleRef");
        errors.push(FieldError::invalid(&path, role, "field is immutable"));
    }
}

fn binding(value: &Value, roles: &[&str], namespaced: bool) -> FieldErrors {
    let mut errors = FieldErrors::new();
    let path = Path::new("roleRef");
    let role = value.get("roleRef").unwrap_or(&Value::Null);
    group(role, &path, GROUP, &mut errors);
    let kind = text(role, "kind");
    if !roles.contains(&kind) {
        errors.push(FieldError::not_supported(&path.child("kind"), kind, roles));
    }
    let name = text(role, "name");
    if name.is_empty() {
        errors.push(FieldError::required(&path.child("name"), ""));
    }
    for fault in metadata::segment_faults(name) {
        errors.push(FieldError::invalid(&path.child("name"), name, fault));
    }
    for (index, one) in list(value, "subjects").iter().enumerate() {
        let path = Path::new("subjects").index(index);
        subject(one, &path, namespaced, &mut errors);
    }
    errors
}

fn group(of: &Value, path: &Path, want: &str, errors: &mut FieldErrors) {
    let group = text(of, "apiGroup");
    if group != want {
        let path = path.child("apiGroup");
        errors.push(FieldError::not_supported(&path, group, &[want]));
    }
}

fn subject(subject: &Value, path: &Path, namespaced: bool, errors: &mut FieldErrors) {
    let name = text(subject, "name");
    if name.is_empty() {
        errors.push(FieldError::required(&path.child("name"), ""));
    }
    match text(subject, "kind") {
        "ServiceAccount" => {
            if !name.is_empty() && !is_subdomain(name) {
                let path = path.child("name");
                errors.push(FieldError::invalid(&path, name, metadata::SUBDOMAIN));
            }
            group(subject, path, "", errors);
            if !namespaced && text(subject, "namespace").is_empty() {
                errors.push(FieldError::required(&path.child("namespace"), ""));
            }
        }
        "User" | "Group" => group(subject, path, GROUP, errors),
        other => errors.push(FieldError::not_supported(
            &path.child("kind"),
            other,
            &["ServiceAccount", "User", "Group"],
        )),
    }
}

/// Faults of a ClusterRole.
pub(crate) fn cluster_role(value: &Value) -> FieldErrors {
    let mut errors = rules(value, false);
    if let Some(rule) = value.get("aggregationRule").filter(|rule| !rule.is_null())
        && list(rule, "clusterRoleSelectors").is_empty()
    {
        let path = Path::new("aggregationRule").child("clusterRoleSelectors");
        let fault = "at least one clusterRoleSelector required if aggregationRule is non-nil";
        errors.push(FieldError::required(&path, fault));
    }
    errors
}

/// Faults of a ClusterRole that is to be replaced.
pub(crate) fn cluster_role_update(new: &Value, _old: &Value) -> FieldErrors {
    cluster_role(new)
}
