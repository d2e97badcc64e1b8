//! `PriorityLevelConfiguration` of `flowcontrol.apiserver.k8s.io/v1`: the entry in the list of kinds.
//!
//! Pure: reads and writes only the tree it is given, and leaves set members alone.

use crate::{
    print,
    spec::{Column, Hooks, KindSpec, ResetFields, Subresource, VERBS},
};
use object::{Gvk, Resource};

/// `PriorityLevelConfiguration` of `flowcontrol.apiserver.k8s.io/v1`.
pub(crate) const SPEC: KindSpec = KindSpec {
    gvk: Gvk::new(
        "flowcontrol.apiserver.k8s.io",
        "v1",
        "PriorityLevelConfiguration",
    ),
    resource: Resource::new(
        "flowcontrol.apiserver.k8s.io",
        "prioritylevelconfigurations",
    ),
    list_kind: "PriorityLevelConfigurationList",
    plural: "prioritylevelconfigurations",
    singular: "prioritylevelconfiguration",
    short_names: &[],
    categories: &[],
    namespaced: false,
    verbs: VERBS,
    subresources: &[Subresource {
        name: "status",
        gvk: Gvk::new(
            "flowcontrol.apiserver.k8s.io",
            "v1",
            "PriorityLevelConfiguration",
        ),
        verbs: &["get", "patch", "update"],
        served: true,
    }],
    storage: Some(Gvk::new(
        "flowcontrol.apiserver.k8s.io",
        "v1",
        "PriorityLevelConfiguration",
    )),
    storage_version_hash: "Kir5PVfvNeI=",
    type_name: "flowcontrol/v1.PriorityLevelConfiguration",
    columns: &[
        Column::new("Name", "string", "name", 0),
        Column::new("Type", "string", "", 0),
        Column::new("NominalConcurrencyShares", "string", "", 0),
        Column::new("Queues", "string", "", 0),
        Column::new("HandSize", "string", "", 0),
        Column::new("QueueLengthLimit", "string", "", 0),
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
