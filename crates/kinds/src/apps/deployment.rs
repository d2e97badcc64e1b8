//! `Deployment` of `apps/v1`: the entry in the list of kinds, what writes fill in, table cells.
//!
//! Pure: reads and writes only the tree it is given, and leaves set members alone.

use crate::core::pod_spec;
use crate::{
    fields, print,
    spec::{Column, Generation, Hooks, KindSpec, ResetFields, Subresource, VERBS},
};
use jiff::Timestamp;
use object::{Gvk, Resource};
use serde_json::Value;

/// `Deployment` of `apps/v1`.
pub(crate) const SPEC: KindSpec = KindSpec {
    gvk: Gvk::new("apps", "v1", "Deployment"),
    resource: Resource::new("apps", "deployments"),
    list_kind: "DeploymentList",
    plural: "deployments",
    singular: "deployment",
    short_names: &["deploy"],
    categories: &["all"],
    namespaced: true,
    verbs: VERBS,
    subresources: &[
        Subresource {
            name: "scale",
            gvk: Gvk::new("autoscaling", "v1", "Scale"),
            verbs: &["get", "patch", "update"],
            served: true,
        },
        Subresource {
            name: "status",
            gvk: Gvk::new("apps", "v1", "Deployment"),
            verbs: &["get", "patch", "update"],
            served: true,
        },
    ],
    storage: Some(Gvk::new("apps", "v1", "Deployment")),
    storage_version_hash: "8aSe+NMegvE=",
    type_name: "apps/v1.Deployment",
    columns: &[
        Column::new("Name", "string", "name", 0),
        Column::new("Ready", "string", "", 0),
        Column::new("Up-to-date", "string", "", 0),
        Column::new("Available", "string", "", 0),
        Column::new("Age", "string", "", 0),
        Column::new("Containers", "string", "", 1),
        Column::new("Images", "string", "", 1),
        Column::new("Selector", "string", "", 1),
    ],
    cells,
    field_selectors: &[],
    reset_fields: ResetFields {
        main: &["status"],
        status: &["spec", "metadata.labels"],
    },
    generation: Generation::SpecAndAnnotations,
    status: true,
    keeps_status_on_create: false,
    hooks: Hooks {
        default: Some(default),
        ..Hooks::NONE
    },
};

fn default(value: &mut Value) {
    let spec = fields::object(value, "spec");
    fields::fill(spec, "replicas", 1);
    let strategy = fields::member(spec, "strategy");
    fields::fill_zero(strategy, "type", "RollingUpdate");
    if fields::text_in(strategy, "type") == "RollingUpdate" {
        let rolling = fields::member(strategy, "rollingUpdate");
        fields::fill(rolling, "maxUnavailable", "25%");
        fields::fill(rolling, "maxSurge", "25%");
    }
    fields::fill(spec, "revisionHistoryLimit", 10);
    fields::fill(spec, "progressDeadlineSeconds", 600);
    pod_spec::default_template(spec);
}

fn cells(value: &Value, now: Timestamp) -> Vec<Value> {
    let ready = format!(
        "{}/{}",
        fields::integer(value, "/status/readyReplicas"),
        fields::integer(value, "/spec/replicas")
    );
    vec![
        print::name(value),
        ready.into(),
        print::number(value, "/status/updatedReplicas"),
        print::number(value, "/status/availableReplicas"),
        print::created(value, now),
        print::containers(value, "/spec/template/spec"),
        print::images(value, "/spec/template/spec"),
        print::selector(value, "/spec/selector").into(),
    ]
}
