//! The TARGETS column of autoscalers: what each metric is, and should be.
//!
//! Reads one HorizontalPodAutoscaler. What was not measured prints as unknown.

use jiff::Timestamp;
use serde_json::Value;

use crate::fields::{items, text};
use crate::print;

/// How many metrics a row shows before it only counts them.
const SHOWN: usize = 2;

/// The row of an autoscaler of either version.
pub(crate) fn row(value: &Value, now: Timestamp, targets: String) -> Vec<Value> {
    let reference = format!(
        "{}/{}",
        text(value, "/spec/scaleTargetRef/kind"),
        text(value, "/spec/scaleTargetRef/name")
    );
    let least = print::plain(value, "/spec/minReplicas").unwrap_or_else(|| "<unset>".to_owned());
    vec![
        print::name(value),
        reference.into(),
        targets.into(),
        least.into(),
        print::number(value, "/spec/maxReplicas"),
        print::number(value, "/status/currentReplicas"),
        print::created(value, now),
    ]
}

/// Each metric of a v2 autoscaler as `now/wanted`.
pub(crate) fn metrics(value: &Value) -> String {
    let wanted = items(value, "/spec/metrics");
    if wanted.is_empty() {
        return print::NONE.to_owned();
    }
    let current = items(value, "/status/currentMetrics");
    let all: Vec<String> = wanted
        .iter()
        .enumerate()
        .map(|(index, metric)| one(metric, current.get(index)))
        .collect();
    match all.len() {
        more if more > SHOWN => format!("{} + {} more...", all[..SHOWN].join(", "), more - SHOWN),
        _ => all.join(", "),
    }
}

fn one(metric: &Value, current: Option<&Value>) -> String {
    let (member, label) = match text(metric, "/type") {
        "Resource" => ("resource", format!("{}: ", text(metric, "/resource/name"))),
        "ContainerResource" => (
            "containerResource",
            format!("{}: ", text(metric, "/containerResource/name")),
        ),
        "Pods" => ("pods", String::new()),
        "Object" => ("object", String::new()),
        "External" => ("external", String::new()),
        _ => return "<unknown type>".to_owned(),
    };
    let target = |name: &str| print::plain(metric, &format!("/{member}/target/{name}"));
    let now = |name: &str| {
        current.and_then(|current| print::plain(current, &format!("/{member}/current/{name}")))
    };
    let unknown = || print::UNKNOWN.to_owned();
    let average = if member == "object" || member == "external" {
        " (avg)"
    } else {
        ""
    };
    if let Some(wanted) = target("averageUtilization") {
        let now = now("averageUtilization").map_or_else(unknown, |now| format!("{now}%"));
        return format!("{label}{now}/{wanted}%");
    }
    match (target("averageValue"), target("value")) {
        (Some(wanted), _) => {
            let now = now("averageValue").unwrap_or_else(unknown);
            format!("{label}{now}/{wanted}{average}")
        }
        (None, Some(wanted)) => {
            let now = now("value").unwrap_or_else(unknown);
            format!("{label}{now}/{wanted}")
        }
        (None, None) => format!("{label}{}/<auto>", print::UNKNOWN),
    }
}
