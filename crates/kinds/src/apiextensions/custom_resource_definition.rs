//! `CustomResourceDefinition` of `apiextensions.k8s.io/v1`: the entry in the list of kinds.
//!
//! Pure: reads and writes only the tree it is given, and leaves set members alone.

use crate::{
    print,
    spec::{Column, Hooks, KindSpec, ResetFields, Subresource, VERBS},
};
use object::{Gvk, Resource};

/// `CustomResourceDefinition` of `apiextensions.k8s.io/v1`.
pub(crate) const SPEC: KindSpec = KindSpec {
    gvk: Gvk::new("apiextensions.k8s.io", "v1", "CustomResourceDefinition"),
    resource: Resource::new("apiextensions.k8s.io", "customresourcedefinitions"),
    list_kind: "CustomResourceDefinitionList",
    plural: "customresourcedefinitions",
    singular: "customresourcedefinition",
    short_names: &["crd", "crds"],
    categories: &["api-extensions"],
    namespaced: false,
    verbs: VERBS,
    subresources: &[Subresource {
        name: "status",
        gvk: Gvk::new("apiextensions.k8s.io", "v1", "CustomResourceDefinition"),
        verbs: &["get", "patch", "update"],
        served: true,
    }],
    storage: Some(Gvk::new(
        "apiextensions.k8s.io",
        "v1beta1",
        "CustomResourceDefinition",
    )),
    storage_version_hash: "jfWCUB31mvA=",
    type_name: "apiextensions/v1.CustomResourceDefinition",
    columns: &[
        Column::new("Name", "string", "name", 0),
        Column::new("Scope", "string", "", 0),
        Column::new("Versions", "string", "", 0),
        Column::new("Created At", "date", "", 0),
        Column::new("Group", "string", "", 1),
        Column::new("Kind", "string", "", 1),
        Column::new("ShortNames", "string", "", 1),
        Column::new("Established", "boolean", "", 1),
    ],
    cells: print::name_and_age,
    field_selectors: &[],
    reset_fields: ResetFields {
        main: &["status"],
        status: &[
            "spec",
            "metadata.labels",
            "metadata.annotations",
            "metadata.ownerReferences",
        ],
    },
    generation: true,
    status: true,
    keeps_status_on_create: false,
    hooks: Hooks::NONE,
};
