//! `DeviceTaintRule` of `resource.k8s.io/v1`: the entry in the list of kinds.
//!
//! Pure: reads and writes only the tree it is given, and leaves set members alone.

use crate::{
    print,
    spec::{Column, Hooks, KindSpec, ResetFields, Subresource, VERBS},
};
use object::{Gvk, Resource};

/// `DeviceTaintRule` of `resource.k8s.io/v1`.
pub(crate) const SPEC: KindSpec = KindSpec {
    gvk: Gvk::new("resource.k8s.io", "v1", "DeviceTaintRule"),
    resource: Resource::new("resource.k8s.io", "devicetaintrules"),
    list_kind: "DeviceTaintRuleList",
    plural: "devicetaintrules",
    singular: "devicetaintrule",
    short_names: &[],
    categories: &[],
    namespaced: false,
    verbs: VERBS,
    subresources: &[Subresource {
        name: "status",
        gvk: Gvk::new("resource.k8s.io", "v1", "DeviceTaintRule"),
        verbs: &["get", "patch", "update"],
        served: true,
    }],
    storage: Some(Gvk::new("resource.k8s.io", "v1beta2", "DeviceTaintRule")),
    storage_version_hash: "i+85+TcIKpA=",
    type_name: "resource/v1.DeviceTaintRule",
    columns: &[
        Column::new("Name", "string", "name", 0),
        Column::new("Key", "string", "", 0),
        Column::new("Value", "string", "", 0),
        Column::new("Effect", "string", "", 0),
        Column::new("TimeAdded", "string", "", 0),
        Column::new("Age", "string", "", 0),
    ],
    cells: print::name_and_age,
    field_selectors: &[],
    reset_fields: ResetFields::SPLIT,
    generation: true,
    status: true,
    keeps_status_on_create: false,
    hooks: Hooks::NONE,
};
