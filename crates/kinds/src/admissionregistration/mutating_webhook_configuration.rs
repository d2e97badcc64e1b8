//! `MutatingWebhookConfiguration` of `admissionregistration.k8s.io/v1`: the entry in the list of kinds.
//!
//! Pure: reads and writes only the tree it is given, and leaves set members alone.

use crate::{
    print,
    spec::{Column, Hooks, KindSpec, ResetFields, VERBS},
};
use object::{Gvk, Resource};

/// `MutatingWebhookConfiguration` of `admissionregistration.k8s.io/v1`.
pub(crate) const SPEC: KindSpec = KindSpec {
    gvk: Gvk::new(
        "admissionregistration.k8s.io",
        "v1",
        "MutatingWebhookConfiguration",
    ),
    resource: Resource::new(
        "admissionregistration.k8s.io",
        "mutatingwebhookconfigurations",
    ),
    list_kind: "MutatingWebhookConfigurationList",
    plural: "mutatingwebhookconfigurations",
    singular: "mutatingwebhookconfiguration",
    short_names: &[],
    categories: &["api-extensions"],
    namespaced: false,
    verbs: VERBS,
    subresources: &[],
    storage: Some(Gvk::new(
        "admissionregistration.k8s.io",
        "v1",
        "MutatingWebhookConfiguration",
    )),
    storage_version_hash: "Sqi0GUgDaX0=",
    type_name: "admissionregistration/v1.MutatingWebhookConfiguration",
    columns: &[
        Column::new("Name", "string", "name", 0),
        Column::new("Webhooks", "integer", "", 0),
        Column::new("Age", "string", "", 0),
    ],
    cells: print::name_and_age,
    field_selectors: &[],
    reset_fields: ResetFields::NONE,
    generation: true,
    status: false,
    keeps_status_on_create: false,
    hooks: Hooks::NONE,
};
