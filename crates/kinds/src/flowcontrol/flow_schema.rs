//! `FlowSchema` of `flowcontrol.apiserver.k8s.io/v1`: the entry in the list of kinds.
//!
//! Pure: reads and writes only the tree it is given, and leaves set members alone.

use crate::{
    print,
    spec::{Column, Hooks, KindSpec, ResetFields, Subresource, VERBS},
};
use object::{Gvk, Resource};

/// `FlowSchema` of `flowcontrol.apiserver.k8s.io/v1`.
pub(crate) const SPEC: KindSpec = KindSpec {
    gvk: Gvk::new("flowcontrol.apiserver.k8s.io", "v1", "FlowSchema"),
    resource: Resource::new("flowcontrol.apiserver.k8s.io", "flowschemas"),
    list_kind: "FlowSchemaList",
    plural: "flowschemas",
    singular: "flowschema",
    short_names: &[],
    categories: &[],
    namespaced: false,
    verbs: VERBS,
    subresources: &[Subresource {
        name: "status",
        gvk: Gvk::new("flowcontrol.apiserver.k8s.io", "v1", "FlowSchema"),
        verbs: &["get", "patch", "update"],
        served: true,
    }],
    storage: Some(Gvk::new("flowcontrol.apiserver.k8s.io", "v1", "FlowSchema")),
    storage_version_hash: "GJVAJZSZBIw=",
    type_name: "flowcontrol/v1.FlowSchema",
    columns: &[
        Column::new("Name", "string", "name", 0),
        Column::new("PriorityLevel", "string", "", 0),
        Column::new("MatchingPrecedence", "string", "", 0),
        Column::new("DistinguisherMethod", "string", "", 0),
        Column::new("Age", "string", "", 0),
        Column::new("MissingPL", "string", "", 0),
    ],
    cells: print::name_and_age,
    field_selectors: &[],
    reset_fields: ResetFields::SPLIT,
    generation: true,
    status: true,
    keeps_status_on_create: false,
    hooks: Hooks::NONE,
};
