//! `RoleBinding` of `rbac.authorization.k8s.io/v1`: the entry in the list of kinds, what writes fill in.
//!
//! Pure: reads and writes only the tree it is given, and leaves set members alone.

use super::subjects;
use crate::{
    print,
    spec::{Column, Generation, Hooks, KindSpec, ResetFields, VERBS},
    validate,
};
use object::{Gvk, Resource};

/// `RoleBinding` of `rbac.authorization.k8s.io/v1`.
pub(crate) const SPEC: KindSpec = KindSpec {
    gvk: Gvk::new("rbac.authorization.k8s.io", "v1", "RoleBinding"),
    resource: Resource::new("rbac.authorization.k8s.io", "rolebindings"),
    list_kind: "RoleBindingList",
    plural: "rolebindings",
    singular: "rolebinding",
    short_names: &[],
    categories: &[],
    namespaced: true,
    verbs: VERBS,
    subresources: &[],
    storage: Some(Gvk::new("rbac.authorization.k8s.io", "v1", "RoleBinding")),
    storage_version_hash: "eGsCzGH6b1g=",
    type_name: "rbac/v1.RoleBinding",
    columns: &[
        Column::new("Name", "string", "name", 0),
        Column::new("Role", "string", "", 0),
        Column::new("Age", "string", "", 0),
        Column::new("Users", "string", "", 1),
        Column::new("Groups", "string", "", 1),
        Column::new("ServiceAccounts", "string", "", 1),
    ],
    cells: print::binding,
    field_selectors: &[],
    reset_fields: ResetFields::NONE,
    generation: Generation::Absent,
    status: false,
    keeps_status_on_create: false,
    hooks: Hooks {
        default: Some(subjects::default),
        validate_create: Some(validate::rbac::role_binding),
        validate_update: Some(validate::rbac::role_binding_update),
        ..Hooks::NONE
    },
};
