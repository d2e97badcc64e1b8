//! `ClusterRole` of `rbac.authorization.k8s.io/v1`: the entry in the list of kinds.
//!
//! Pure: reads and writes only the tree it is given, and leaves set members alone.

use crate::{
    print,
    spec::{Column, Generation, Hooks, KindSpec, ResetFields, VERBS},
    validate,
};
use object::{Gvk, Resource};

/// `ClusterRole` of `rbac.authorization.k8s.io/v1`.
pub(crate) const SPEC: KindSpec = KindSpec {
    gvk: Gvk::new("rbac.authorization.k8s.io", "v1", "ClusterRole"),
    resource: Resource::new("rbac.authorization.k8s.io", "clusterroles"),
    list_kind: "ClusterRoleList",
    plural: "clusterroles",
    singular: "clusterrole",
    short_names: &[],
    categories: &[],
    namespaced: false,
    verbs: VERBS,
    subresources: &[],
    storage: Some(Gvk::new("rbac.authorization.k8s.io", "v1", "ClusterRole")),
    storage_version_hash: "bYE5ZWDrJ44=",
    type_name: "rbac/v1.ClusterRole",
    columns: &[
        Column::new("Name", "string", "name", 0),
        Column::new("Created At", "date", "", 0),
    ],
    cells: print::name_and_creation,
    field_selectors: &[],
    reset_fields: ResetFields::NONE,
    generation: Generation::Absent,
    status: false,
    keeps_status_on_create: false,
    hooks: Hooks {
        validate_create: Some(validate::rbac::cluster_role),
        validate_update: Some(validate::rbac::cluster_role_update),
        ..Hooks::NONE
    },
};
