//! What is filled in for both sorts of role binding: API groups of the role and
//! of its subjects.
//!
//! Writes only the binding it is given, and leaves set members alone.

use serde_json::Value;

use crate::fields;

const GROUP: &str = "rbac.authorization.k8s.io";

/// Fills in a binding.
pub(crate) fn default(binding: &mut Value) {
    fields::fill_zero(fields::object(binding, "roleRef"), "apiGroup", GROUP);
    let Some(map) = binding.as_object_mut() else {
        return;
    };
    for subject in fields::items_mut(map, "subjects") {
        if matches!(fields::text_in(subject, "kind"), "User" | "Group") {
            fields::fill_zero(subject, "apiGroup", GROUP);
        }
    }
}
