//! `StatefulSet` of `apps/v1`: the entry in the list of kinds, what writes fill in, table cells.
//!
//! Pure: reads and writes only the tree it is given, and leaves set members alone.

use crate::core::{pod_spec, volume};
use crate::{
    fields, print,
    spec::{Column, Generation, Hooks, KindSpec, ResetFields, Subresource, VERBS},
};
use jiff::Timestamp;
use object::{Gvk, Resource};
use serde_json::{Map, Value};

/// `StatefulSet` of `apps/v1`.
pub(crate) const SPEC: KindSpec = KindSpec {
    gvk: Gvk::new("apps", "v1", "StatefulSet"),
    resource: Resource::new("apps", "statefulsets"),
    list_kind: "StatefulSetList",
    plural: "statefulsets",
    singular: "statefulset",
    short_names: &["sts"],
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
            gvk: Gvk::new("apps", "v1", "StatefulSet"),
            verbs: &["get", "patch", "update"],
            served: true,
        },
    ],
    storage: Some(Gvk::new("apps", "v1", "StatefulSet")),
    storage_version_hash: "H+vl74LkKdo=",
    type_name: "apps/v1.StatefulSet",
    columns: &[
        Column::new("Name", "string", "name", 0),
        Column::new("Ready", "string", "", 0),
        Column::new("Age", "string", "", 0),
        Column::new("Containers", "string", "", 1),
        Column::new("Images", "string", "", 1),
    ],
    cells,
    field_selectors: &[],
    reset_fields: ResetFields::SPLIT,
    generation: Generation::Spec,
    status: true,
    keeps_status_on_create: false,
    hooks: Hooks {
        default: Some(default),
        ..Hooks::NONE
    },
};

fn default(value: &mut Value) {
    let spec = fields::object(value, "spec");
    fields::fill_zero(spec, "podManagementPolicy", "OrderedReady");
    default_strategy(fields::member(spec, "updateStrategy"));
    let retention = fields::member(spec, "persistentVolumeClaimRetentionPolicy");
    fields::fill_zero(retention, "whenDeleted", "Retain");
    fields::fill_zero(retention, "whenScaled", "Retain");
    fields::fill(spec, "replicas", 1);
    fields::fill(spec, "revisionHistoryLimit", 10);
    for claim in fields::items_mut(spec, "volumeClaimTemplates") {
        claim.insert("kind".into(), "PersistentVolumeClaim".into());
        claim.insert("apiVersion".into(), "v1".into());
        volume::claim_spec(fields::member(claim, "spec"));
        fields::fill_zero(fields::member(claim, "status"), "phase", "Pending");
    }
    pod_spec::default_template(spec);
}

/// A rolling update is spelled out unless the client named that type alone.
fn default_strategy(strategy: &mut Map<String, Value>) {
    if fields::text_in(strategy, "type").is_empty() {
        strategy.insert("type".into(), "RollingUpdate".into());
        fields::member(strategy, "rollingUpdate");
    }
    if fields::text_in(strategy, "type") == "RollingUpdate"
        && let Some(rolling) = fields::map_in(strategy, "rollingUpdate")
    {
        fields::fill(rolling, "partition", 0);
        fields::fill(rolling, "maxUnavailable", 1);
    }
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
        print::created(value, now),
        print::containers(value, "/spec/template/spec"),
        print::images(value, "/spec/template/spec"),
    ]
}
