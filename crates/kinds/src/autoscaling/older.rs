//! The older form of an autoscaler: one CPU target as a member, all else of the
//! newer form as JSON in annotations.
//!
//! Reads and writes the tree it is given. Invariant: what goes from one form to
//! the other and back is the same, as far as the older form knows it.

use serde_json::{Map, Value, json};

use crate::fields::{member, object, put, put_member, text};

/// Annotation with the metrics other than CPU utilization.
pub(crate) const METRICS: &str = "autoscaling.alpha.kubernetes.io/metrics";
const CURRENT_METRICS: &str = "autoscaling.alpha.kubernetes.io/current-metrics";
const CONDITIONS: &str = "autoscaling.alpha.kubernetes.io/conditions";
const BEHAVIOR: &str = "autoscaling.alpha.kubernetes.io/behavior";

/// Turns the older form into the newer one.
pub(crate) fn to_stored(value: &mut Value) {
    put(value, "apiVersion", Some("autoscaling/v2".into()));
    let (metrics, behavior) = (take(value, METRICS), take(value, BEHAVIOR));
    let (current, conditions) = (take(value, CURRENT_METRICS), take(value, CONDITIONS));
    let spec = object(value, "spec");
    let mut all: Vec<Value> = list(metrics).iter().map(newer_metric).collect();
    if let Some(percent) = spec
        .shift_remove("targetCPUUtilizationPercentage")
        .filter(|p| !p.is_null())
    {
        let target = json!({"type": "Utilization", "averageUtilization": percent});
        let cpu = json!({"type": "Resource", "resource": {"name": "cpu", "target": target}});
        all.insert(0, cpu);
    }
    if !all.is_empty() {
        spec.insert("metrics".into(), all.into());
    }
    if let Some(behavior) = behavior {
        spec.insert(
            "behavior".into(),
            recased(behavior, str::to_ascii_lowercase),
        );
    }
    let Some(status) = value.get_mut("status").and_then(Value::as_object_mut) else {
        return;
    };
    let mut all: Vec<Value> = list(current).iter().map(newer_current).collect();
    if let Some(percent) = status
        .shift_remove("currentCPUUtilizationPercentage")
        .filter(|p| !p.is_null())
    {
        let cpu = json!({"name": "cpu", "current": {"averageUtilization": percent}});
        all.insert(0, json!({"type": "Resource", "resource": cpu}));
    }
    status.insert(
        "currentMetrics".into(),
        if all.is_empty() {
            Value::Null
        } else {
            all.into()
        },
    );
    put_member(status, "conditions", conditions);
}

/// Turns the newer form into the older one.
pub(crate) fn from_stored(value: &mut Value) {
    put(value, "apiVersion", Some("autoscaling/v1".into()));
    let spec = object(value, "spec");
    let metrics = list(spec.shift_remove("metrics"));
    let behavior = spec.shift_remove("behavior").filter(Value::is_object);
    let is_cpu = |metric: &Value, percent: &str| {
        text(metric, "/resource/name") == "cpu"
            && metric.pointer(percent).is_some_and(|p| !p.is_null())
    };
    let target = "/resource/target/averageUtilization";
    let mut others = Vec::new();
    for metric in &metrics {
        match is_cpu(metric, target) && !spec.contains_key("targetCPUUtilizationPercentage") {
            true => put_member(
                spec,
                "targetCPUUtilizationPercentage",
                metric.pointer(target).cloned(),
            ),
            false => others.push(older_metric(metric)),
        }
    }
    keep(value, METRICS, (!others.is_empty()).then(|| others.into()));
    keep(
        value,
        BEHAVIOR,
        behavior.map(|behavior| recased(behavior, str::to_ascii_uppercase)),
    );
    let Some(status) = value.get_mut("status").and_then(Value::as_object_mut) else {
        return;
    };
    let current = list(status.shift_remove("currentMetrics"));
    let conditions = status.shift_remove("conditions").filter(Value::is_array);
    let percent = "/resource/current/averageUtilization";
    for metric in current.iter().filter(|metric| is_cpu(metric, percent)) {
        put_member(
            status,
            "currentCPUUtilizationPercentage",
            metric.pointer(percent).cloned(),
        );
    }
    let current: Vec<Value> = current.iter().map(older_current).collect();
    keep(
        value,
        CURRENT_METRICS,
        (!current.is_empty()).then(|| current.into()),
    );
    keep(value, CONDITIONS, conditions);
}

fn list(value: Option<Value>) -> Vec<Value> {
    match value {
        Some(Value::Array(list)) => list,
        _ => Vec::new(),
    }
}

/// Takes an annotation out, decoded; one that is no JSON stays where it is.
fn take(value: &mut Value, name: &str) -> Option<Value> {
    let annotations = value
        .pointer_mut("/metadata/annotations")?
        .as_object_mut()?;
    let decoded = serde_json::from_str(annotations.get(name)?.as_str()?).ok()?;
    annotations.shift_remove(name);
    if annotations.is_empty() {
        object(value, "metadata").shift_remove("annotations");
    }
    Some(decoded)
}

fn keep(value: &mut Value, name: &str, content: Option<Value>) {
    if let Some(content) = content {
        let annotations = member(object(value, "metadata"), "annotations");
        annotations.insert(name.into(), content.to_string().into());
    }
}

/// The annotation of the behavior spells its members with capitals.
fn recased(value: Value, case: fn(&str) -> String) -> Value {
    match value {
        Value::Object(map) => map
            .into_iter()
            .map(|(name, value)| {
                let first = name.chars().next().map_or(0, char::len_utf8);
                let name = format!("{}{}", case(&name[..first]), &name[first..]);
                (name, recased(value, case))
            })
            .collect::<Map<_, _>>()
            .into(),
        Value::Array(list) => list.into_iter().map(|value| recased(value, case)).collect(),
        other => other,
    }
}

/// The member that holds a metric of this type.
fn source_of(metric: &Value) -> Option<&'static str> {
    [
        "resource",
        "containerResource",
        "pods",
        "object",
        "external",
    ]
    .into_iter()
    .find(|name| metric.get(*name).is_some_and(Value::is_object))
}

/// Names of the amounts: in the newer `target`, in the older source.
fn amounts(source: &str) -> &'static [(&'static str, &'static str)] {
    match source {
        "object" => &[("value", "targetValue"), ("averageValue", "averageValue")],
        "external" => &[
            ("value", "targetValue"),
            ("averageValue", "targetAverageValue"),
        ],
        _ => &[
            ("averageUtilization", "targetAverageUtilization"),
            ("averageValue", "targetAverageValue"),
        ],
    }
}

fn current_amounts(source: &str) -> &'static [(&'static str, &'static str)] {
    match source {
        "object" => &[("value", "currentValue"), ("averageValue", "averageValue")],
        "external" => &[
            ("value", "currentValue"),
            ("averageValue", "currentAverageValue"),
        ],
        _ => &[
            ("averageUtilization", "currentAverageUtilization"),
            ("averageValue", "currentAverageValue"),
        ],
    }
}

fn selector_of(source: &str) -> &'static str {
    if source == "external" {
        "metricSelector"
    } else {
        "selector"
    }
}

fn newer_metric(metric: &Value) -> Value {
    newer(metric, "target", amounts)
}

fn newer_current(metric: &Value) -> Value {
    newer(metric, "current", current_amounts)
}

fn newer(
    metric: &Value,
    holder: &str,
    amounts: impl Fn(&str) -> &'static [(&'static str, &'static str)],
) -> Value {
    let mut metric = metric.clone();
    let Some(name) = source_of(&metric) else {
        return metric;
    };
    let source = member(object_of(&mut metric), name);
    let mut amount = Map::new();
    for (new, old) in amounts(name) {
        if let Some(value) = source.shift_remove(*old) {
            amount.insert((*new).into(), value);
        }
    }
    if holder == "target" {
        let kind = [
            ("averageUtilization", "Utilization"),
            ("averageValue", "AverageValue"),
            ("value", "Value"),
        ];
        let kind = kind.iter().find(|(name, _)| amount.contains_key(*name));
        put_member(&mut amount, "type", kind.map(|(_, kind)| (*kind).into()));
    }
    if let Some(target) = source.shift_remove("target") {
        source.insert("describedObject".into(), target);
    }
    if let Some(metric_name) = source.shift_remove("metricName") {
        let mut identity = Map::from_iter([("name".to_owned(), metric_name)]);
        put_member(
            &mut identity,
            "selector",
            source.shift_remove(selector_of(name)),
        );
        source.insert("metric".into(), identity.into());
    }
    source.insert(holder.into(), amount.into());
    metric
}

fn older_metric(metric: &Value) -> Value {
    older(metric, "target", amounts)
}

fn older_current(metric: &Value) -> Value {
    older(metric, "current", current_amounts)
}

fn older(
    metric: &Value,
    holder: &str,
    amounts: impl Fn(&str) -> &'static [(&'static str, &'static str)],
) -> Value {
    let mut metric = metric.clone();
    let Some(name) = source_of(&metric) else {
        return metric;
    };
    let source = member(object_of(&mut metric), name);
    let amount = source.shift_remove(holder).unwrap_or_default();
    for (new, old) in amounts(name) {
        if let Some(value) = amount.get(*new).filter(|value| !value.is_null()) {
            source.insert((*old).into(), value.clone());
        }
    }
    if let Some(target) = source.shift_remove("describedObject") {
        source.insert("target".into(), target);
    }
    if let Some(identity) = source.shift_remove("metric") {
        source.insert("metricName".into(), text(&identity, "/name").into());
        put_member(source, selector_of(name), identity.get("selector").cloned());
    }
    metric
}

fn object_of(value: &mut Value) -> &mut Map<String, Value> {
    if !value.is_object() {
        *value = json!({});
    }
    let Value::Object(map) = value else {
        unreachable!("made an object above")
    };
    map
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newer_form_survives_the_older_one() {
        let stored = json!({
            "apiVersion": "autoscaling/v2",
            "metadata": {"name": "a"},
            "spec": {"maxReplicas": 2, "metrics": [
                {"type": "Resource", "resource": {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": 70}}},
                {"type": "Pods", "pods": {"metric": {"name": "m"}, "target": {"type": "AverageValue", "averageValue": "1"}}}],
                "behavior": {"scaleUp": {"selectPolicy": "Max"}}},
        });
        let mut value = stored.clone();
        from_stored(&mut value);
        assert_eq!(
            value["spec"],
            json!({"maxReplicas": 2, "targetCPUUtilizationPercentage": 70})
        );
        assert_eq!(
            value["metadata"]["annotations"][BEHAVIOR],
            r#"{"ScaleUp":{"SelectPolicy":"Max"}}"#
        );
        to_stored(&mut value);
        assert_eq!(value, stored);
    }
}
