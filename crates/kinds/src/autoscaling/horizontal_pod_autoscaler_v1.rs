//! `HorizontalPodAutoscaler` of `autoscaling/v1`: the entry in the list of kinds.
//!
//! Pure: reads and writes only the tree it is given, and leaves set members alone.

use crate::{
    print,
    spec::{Column, Hooks, KindSpec, ResetFields, Subresource, VERBS},
};
use object::{Gvk, Resource};

/// `HorizontalPodAutoscaler` of `autoscaling/v1`.
pub(crate) const SPEC: KindSpec = KindSpec {
    gvk: Gvk::new("autoscaling", "v1", "HorizontalPodAutoscaler"),
    resource: Resource::new("autoscaling", "horizontalpodautoscalers"),
    list_kind: "HorizontalPodAutoscalerList",
    plural: "horizontalpodautoscalers",
    singular: "horizontalpodautoscaler",
    short_names: &["hpa"],
    categories: &["all"],
    namespaced: true,
    verbs: VERBS,
    subresources: &[Subresource {
        name: "status",
        gvk: Gvk::new("autoscaling", "v1", "HorizontalPodAutoscaler"),
        verbs: &["get", "patch", "update"],
        served: true,
    }],
    storage: Some(Gvk::new("autoscaling", "v2", "HorizontalPodAutoscaler")),
    storage_version_hash: "qwQve8ut294=",
    type_name: "autoscaling/v1.HorizontalPodAutoscaler",
    columns: &[
        Column::new("Name", "string", "name", 0),
        Column::new("Reference", "string", "", 0),
        Column::new("Targets", "string", "", 0),
        Column::new("MinPods", "string", "", 0),
        Column::new("MaxPods", "string", "", 0),
        Column::new("Replicas", "string", "", 0),
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
