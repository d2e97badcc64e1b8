//! `ClusterRoleBinding` of `rbac.authorization.k8s.io/v1`: the entry in the list of kinds.
//!
//! Pure: reads and writes only the tree it is given, and leaves set members alone.

use crate::{
    print,
    spec::{Column, Hooks, KindSpec, ResetFields, VERBS},
};
use object::{Gvk, Resource};

/// `ClusterRoleBinding` of `rbac.authorization.k8s.io/v1`.
pub(crate) const SPEC: KindSpec = KindSpec {
    gvk: Gvk::new("rbac.authorization.k8s.io", "v1", "ClusterRoleBinding"),
    resource: Resource::new("rbac.authorization.k8s.io", "clusterrolebindings"),
    list_kind: "ClusterRoleBindingList",
    plural: "clusterrolebindings",
    singular: "clusterrolebinding",
    short_names: &[],
    categories: &[],
    namespaced: false,
    verbs: VERBS,
    subresources: &[],
    storage: Some(Gvk::new(
        "rbac.authorization.k8s.io",
        "v1",
        "ClusterRoleBinding",
    )),
    storage_version_hash: "48tpQ8gZHFc=",
    type_name: "rbac/v1.ClusterRoleBinding",
    columns: &[
        Column::new("Name", "string", "name", 0),
        Column::new("Role", "string", "", 0),
        Column::new("Age", "string", "", 0),
        Column::new("Users", "string", "", 1),
        Column::new("Groups", "string", "", 1),
        Column::new("ServiceAccounts", "string", "", 1),
    ],
    cells: print::name_and_age,
    field_selectors: &[],
    reset_fields: ResetFields::NONE,
    generation: false,
    status: false,
    keeps_status_on_create: false,
    hooks: Hooks::NONE,
};
