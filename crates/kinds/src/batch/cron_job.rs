//! `CronJob` of `batch/v1`: the entry in the list of kinds, what writes fill in, table cells.
//!
//! Pure: reads and writes only the tree it is given, and leaves set members alone.

use super::job::default_failure_policy;
use crate::core::pod_spec;
use crate::{
    fields, print,
    spec::{Column, Generation, Hooks, KindSpec, ResetFields, Subresource, VERBS},
};
use jiff::Timestamp;
use object::{Gvk, Resource};
use serde_json::Value;

/// `CronJob` of `batch/v1`.
pub(crate) const SPEC: KindSpec = KindSpec {
    gvk: Gvk::new("batch", "v1", "CronJob"),
    resource: Resource::new("batch", "cronjobs"),
    list_kind: "CronJobList",
    plural: "cronjobs",
    singular: "cronjob",
    short_names: &["cj"],
    categories: &["all"],
    namespaced: true,
    verbs: VERBS,
    subresources: &[Subresource {
        name: "status",
        gvk: Gvk::new("batch", "v1", "CronJob"),
        verbs: &["get", "patch", "update"],
        served: true,
    }],
    storage: Some(Gvk::new("batch", "v1", "CronJob")),
    storage_version_hash: "sd5LIXh4Fjs=",
    type_name: "batch/v1.CronJob",
    columns: &[
        Column::new("Name", "string", "name", 0),
        Column::new("Schedule", "string", "", 0),
        Column::new("Timezone", "string", "", 0),
        Column::new("Suspend", "boolean", "", 0),
        Column::new("Active", "integer", "", 0),
        Column::new("Last Schedule", "string", "", 0),
        Column::new("Age", "string", "", 0),
        Column::new("Containers", "string", "", 1),
        Column::new("Images", "string", "", 1),
        Column::new("Selector", "string", "", 1),
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
    fields::fill_zero(spec, "concurrencyPolicy", "Allow");
    fields::fill(spec, "suspend", false);
    fields::fill(spec, "successfulJobsHistoryLimit", 3);
    fields::fill(spec, "failedJobsHistoryLimit", 1);
    let job = fields::member(fields::member(spec, "jobTemplate"), "spec");
    default_failure_policy(job);
    pod_spec::default_template(job);
}

fn cells(value: &Value, now: Timestamp) -> Vec<Value> {
    let last = match fields::text(value, "/status/lastScheduleTime") {
        "" => print::NONE.to_owned(),
        _ => print::age_at(value, "/status/lastScheduleTime", now),
    };
    vec![
        print::name(value),
        print::text(value, "/spec/schedule"),
        print::text_or(value, "/spec/timeZone", print::NONE),
        printed_flag(value).into(),
        print::count(value, "/status/active"),
        last.into(),
        print::created(value, now),
        print::containers(value, "/spec/jobTemplate/spec/template/spec"),
        print::images(value, "/spec/jobTemplate/spec/template/spec"),
        print::selector(value, "/spec/jobTemplate/spec/selector").into(),
    ]
}

/// Upstream prints this flag as capitalised text.
fn printed_flag(value: &Value) -> &'static str {
    match value.pointer("/spec/suspend").and_then(Value::as_bool) {
        Some(true) => "True",
        Some(false) => "False",
        None => "<unset>",
    }
}
