//! `Job` of `batch/v1`: the entry in the list of kinds, what writes fill in, table cells.
//!
//! Pure: reads and writes only the tree it is given, and leaves set members alone.

use crate::core::pod_spec;
use crate::{
    fields, print, select,
    spec::{Column, Generation, Hooks, KindSpec, ResetFields, Subresource, VERBS},
};
use jiff::Timestamp;
use object::{Gvk, Resource};
use serde_json::{Map, Value};

/// `Job` of `batch/v1`.
pub(crate) const SPEC: KindSpec = KindSpec {
    gvk: Gvk::new("batch", "v1", "Job"),
    resource: Resource::new("batch", "jobs"),
    list_kind: "JobList",
    plural: "jobs",
    singular: "job",
    short_names: &[],
    categories: &["all"],
    namespaced: true,
    verbs: VERBS,
    subresources: &[Subresource {
        name: "status",
        gvk: Gvk::new("batch", "v1", "Job"),
        verbs: &["get", "patch", "update"],
        served: true,
    }],
    storage: Some(Gvk::new("batch", "v1", "Job")),
    storage_version_hash: "mudhfqk/qZY=",
    type_name: "batch/v1.Job",
    columns: &[
        Column::new("Name", "string", "name", 0),
        Column::new("Status", "string", "", 0),
        Column::new("Completions", "string", "", 0),
        Column::new("Duration", "string", "", 0),
        Column::new("Age", "string", "", 0),
        Column::new("Containers", "string", "", 1),
        Column::new("Images", "string", "", 1),
        Column::new("Selector", "string", "", 1),
    ],
    cells,
    field_selectors: &[select::number_field!(
        "status.successful",
        "status.successful",
        "/status/succeeded"
    )],
    reset_fields: ResetFields::SPLIT,
    generation: Generation::Spec,
    status: true,
    keeps_status_on_create: false,
    hooks: Hooks {
        default: Some(default),
        prepare_create: Some(prepare_create),
        ..Hooks::NONE
    },
};

/// Retries before a job fails.
const BACKOFF_LIMIT: i64 = 6;
/// The labels that join a job's pods to it: current names and older ones.
const UID_LABEL: &str = "batch.kubernetes.io/controller-uid";
const NAME_LABEL: &str = "batch.kubernetes.io/job-name";
const OLD_UID_LABEL: &str = "controller-uid";
const OLD_NAME_LABEL: &str = "job-name";

fn default(value: &mut Value) {
    let spec = fields::object(value, "spec");
    if fields::unset(spec, "completions") && fields::unset(spec, "parallelism") {
        fields::fill(spec, "completions", 1);
    }
    fields::fill(spec, "parallelism", 1);
    let per_index = !fields::unset(spec, "backoffLimitPerIndex");
    let retries = if per_index {
        i64::from(i32::MAX)
    } else {
        BACKOFF_LIMIT
    };
    fields::fill(spec, "backoffLimit", retries);
    fields::fill(spec, "completionMode", "NonIndexed");
    fields::fill(spec, "suspend", false);
    fields::fill(spec, "manualSelector", false);
    let by_policy = !fields::unset(spec, "podFailurePolicy");
    let replace = if by_policy {
        "Failed"
    } else {
        "TerminatingOrFailed"
    };
    fields::fill(spec, "podReplacementPolicy", replace);
    default_failure_policy(spec);
    pod_spec::default_template(spec);
    labels_of_template(value);
}

/// A condition that a rule names is meant to be true.
pub(crate) fn default_failure_policy(spec: &mut Map<String, Value>) {
    let Some(policy) = fields::map_in(spec, "podFailurePolicy") else {
        return;
    };
    for rule in fields::items_mut(policy, "rules") {
        for condition in fields::items_mut(rule, "onPodConditions") {
            fields::fill_zero(condition, "status", "True");
        }
    }
}

fn labels_of_template(value: &mut Value) {
    let labels = value
        .pointer("/spec/template/metadata/labels")
        .filter(|labels| labels.as_object().is_some_and(|map| !map.is_empty()))
        .cloned();
    let meta = fields::object(value, "metadata");
    let none = meta
        .get("labels")
        .and_then(Value::as_object)
        .is_none_or(Map::is_empty);
    if let Some(labels) = labels
        && none
    {
        meta.insert("labels".into(), labels);
    }
}

/// Unless the client selects by itself, pods are selected by the job's uid.
fn prepare_create(value: &mut Value) {
    if fields::flag(value, "/spec/manualSelector") {
        return;
    }
    let uid = fields::text(value, "/metadata/uid").to_owned();
    let name = fields::text(value, "/metadata/name").to_owned();
    let spec = fields::object(value, "spec");
    let template = fields::member(spec, "template");
    let labels = fields::member(fields::member(template, "metadata"), "labels");
    for (label, text) in [
        (UID_LABEL, &uid),
        (NAME_LABEL, &name),
        (OLD_UID_LABEL, &uid),
        (OLD_NAME_LABEL, &name),
    ] {
        fields::fill(labels, label, text.as_str());
    }
    let selected = fields::member(fields::member(spec, "selector"), "matchLabels");
    fields::fill(selected, UID_LABEL, uid);
    labels_of_template(value);
}

fn cells(value: &Value, now: Timestamp) -> Vec<Value> {
    vec![
        print::name(value),
        status(value).into(),
        completions(value).into(),
        duration(value, now).into(),
        print::created(value, now),
        print::containers(value, "/spec/template/spec"),
        print::images(value, "/spec/template/spec"),
        print::selector(value, "/spec/selector").into(),
    ]
}

fn status(value: &Value) -> &'static str {
    let is = |name: &str| {
        fields::items(value, "/status/conditions")
            .iter()
            .any(|condition| {
                fields::text(condition, "/type") == name
                    && fields::text(condition, "/status") == "True"
            })
    };
    if is("Complete") {
        "Complete"
    } else if is("Failed") {
        "Failed"
    } else if !fields::text(value, "/metadata/deletionTimestamp").is_empty() {
        "Terminating"
    } else if is("Suspended") {
        "Suspended"
    } else if is("FailureTarget") {
        "FailureTarget"
    } else if is("SuccessCriteriaMet") {
        "SuccessCriteriaMet"
    } else {
        "Running"
    }
}

fn completions(value: &Value) -> String {
    let done = fields::integer(value, "/status/succeeded");
    if let Some(wanted) = value.pointer("/spec/completions").and_then(Value::as_i64) {
        return format!("{done}/{wanted}");
    }
    match fields::integer(value, "/spec/parallelism") {
        parallel if parallel > 1 => format!("{done}/1 of {parallel}"),
        _ => format!("{done}/1"),
    }
}

fn duration(value: &Value, now: Timestamp) -> String {
    let Some(start) = print::time_at(value, "/status/startTime") else {
        return String::new();
    };
    let end = print::time_at(value, "/status/completionTime").unwrap_or(now);
    print::age(end, start)
}
