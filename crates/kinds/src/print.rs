//! How table cells read: ages, selectors, containers and the rows that several
//! kinds share.
//!
//! Reads the served version of an object; writes cells. Invariant: whatever the
//! tree holds, a cell comes out; what is missing prints as upstream prints it.

use std::collections::BTreeSet;

use jiff::Timestamp;
use serde_json::{Map, Value};

use crate::fields;

/// What stands for "nothing" in most columns.
pub(crate) const NONE: &str = "<none>";
/// What stands for a time that is not set.
pub(crate) const UNKNOWN: &str = "<unknown>";

/// The time from `then` to `now` as `kubectl get` prints ages: two units where
/// the smaller one still matters, one unit for long times.
pub fn age(now: Timestamp, then: Timestamp) -> String {
    span(
        now.as_second()
            - then.as_second()
            - i64::from(now.subsec_nanosecond() < then.subsec_nanosecond()),
    )
}

/// A time of whole seconds in the same form.
pub(crate) fn span(seconds: i64) -> String {
    let (minutes, hours) = (seconds / 60, seconds / 3600);
    let (days, years) = (hours / 24, hours / 24 / 365);
    let pair = |big: i64, big_unit: &str, small: i64, small_unit: &str| match small {
        0 => format!("{big}{big_unit}"),
        _ => format!("{big}{big_unit}{small}{small_unit}"),
    };
    match seconds {
        ..-1 => "<invalid>".to_owned(),
        -1 => "0s".to_owned(),
        _ if seconds < 120 => format!("{seconds}s"),
        _ if minutes < 10 => pair(minutes, "m", seconds % 60, "s"),
        _ if minutes < 180 => format!("{minutes}m"),
        _ if hours < 8 => pair(hours, "h", minutes % 60, "m"),
        _ if hours < 48 => format!("{hours}h"),
        _ if hours < 192 => pair(days, "d", hours % 24, "h"),
        _ if days < 730 => format!("{days}d"),
        _ if days < 2920 => pair(years, "y", days % 365, "d"),
        _ => format!("{years}y"),
    }
}

/// The age of a time in the tree.
pub(crate) fn age_at(value: &Value, pointer: &str, now: Timestamp) -> String {
    time_at(value, pointer).map_or_else(|| UNKNOWN.to_owned(), |then| age(now, then))
}

/// A time in the tree.
pub(crate) fn time_at(value: &Value, pointer: &str) -> Option<Timestamp> {
    fields::text(value, pointer).parse().ok()
}

/// The age of the object.
pub(crate) fn created(value: &Value, now: Timestamp) -> Value {
    age_at(value, "/metadata/creationTimestamp", now).into()
}

/// The name of the object.
pub(crate) fn name(value: &Value) -> Value {
    text(value, "/metadata/name")
}

/// A text as it is, empty when absent.
pub(crate) fn text(value: &Value, pointer: &str) -> Value {
    fields::text(value, pointer).into()
}

/// A text, or `otherwise` when it is absent or empty.
pub(crate) fn text_or(value: &Value, pointer: &str, otherwise: &str) -> Value {
    match fields::text(value, pointer) {
        "" => otherwise.into(),
        text => text.into(),
    }
}

/// A whole number, 0 when absent.
pub(crate) fn number(value: &Value, pointer: &str) -> Value {
    fields::integer(value, pointer).into()
}

/// A flag, false when absent.
pub(crate) fn flag(value: &Value, pointer: &str) -> Value {
    fields::flag(value, pointer).into()
}

/// How many elements or members a list or map has.
pub(crate) fn count(value: &Value, pointer: &str) -> Value {
    match value.pointer(pointer) {
        Some(Value::Array(list)) => list.len().into(),
        Some(Value::Object(map)) => map.len().into(),
        _ => 0.into(),
    }
}

/// A number or text as text; `None` when absent.
pub(crate) fn plain(value: &Value, pointer: &str) -> Option<String> {
    match value.pointer(pointer)? {
        Value::String(text) => Some(text.clone()),
        Value::Null => None,
        other => Some(other.to_string()),
    }
}

/// Texts joined, or `<none>`.
pub(crate) fn joined(texts: &[&str], by: &str) -> String {
    match texts {
        [] => NONE.to_owned(),
        texts => texts.join(by),
    }
}

/// The text of one member in each object of a list.
pub(crate) fn each<'a>(list: &'a [Value], pointer: &str) -> Vec<&'a str> {
    list.iter()
        .map(|item| fields::text(item, pointer))
        .collect()
}

/// Cells of a kind that prints nothing.
pub(crate) fn nothing(_: &Value, _: Timestamp) -> Vec<Value> {
    Vec::new()
}

/// Name and age.
pub(crate) fn name_and_age(value: &Value, now: Timestamp) -> Vec<Value> {
    vec![name(value), created(value, now)]
}

/// Name and time of creation.
pub(crate) fn name_and_creation(value: &Value, _: Timestamp) -> Vec<Value> {
    vec![name(value), text(value, "/metadata/creationTimestamp")]
}

/// Names of the containers of a pod spec, joined by commas.
pub(crate) fn containers(value: &Value, pod_spec: &str) -> Value {
    of_containers(value, pod_spec, "/name")
}

/// Images of the containers of a pod spec, joined by commas.
pub(crate) fn images(value: &Value, pod_spec: &str) -> Value {
    of_containers(value, pod_spec, "/image")
}

fn of_containers(value: &Value, pod_spec: &str, member: &str) -> Value {
    let list = fields::items(value, &format!("{pod_spec}/containers"));
    each(list, member).join(",").into()
}

/// A map of labels as a selector prints, `<none>` when empty.
pub(crate) fn labels(value: &Value, pointer: &str) -> String {
    let pairs = value
        .pointer(pointer)
        .and_then(Value::as_object)
        .map(equals);
    match pairs {
        Some(pairs) if !pairs.is_empty() => pairs
            .into_iter()
            .map(|(_, text)| text)
            .collect::<Vec<_>>()
            .join(","),
        _ => NONE.to_owned(),
    }
}

/// A label selector as `kubectl` takes it, `<none>` when it selects all.
pub(crate) fn selector(value: &Value, pointer: &str) -> String {
    let Some(selector) = value.pointer(pointer) else {
        return NONE.to_owned();
    };
    let mut parts = selector
        .get("matchLabels")
        .and_then(Value::as_object)
        .map(equals)
        .unwrap_or_default();
    for expression in fields::items(selector, "/matchExpressions") {
        let key = fields::text(expression, "/key");
        let values: BTreeSet<&str> = fields::items(expression, "/values")
            .iter()
            .filter_map(Value::as_str)
            .collect();
        let values = values.into_iter().collect::<Vec<_>>().join(",");
        let text = match fields::text(expression, "/operator") {
            "In" => format!("{key} in ({values})"),
            "NotIn" => format!("{key} notin ({values})"),
            "Exists" => key.to_owned(),
            "DoesNotExist" => format!("!{key}"),
            _ => return "<error>".to_owned(),
        };
        parts.push((key.to_owned(), text));
    }
    parts.sort();
    match parts.is_empty() {
        true => NONE.to_owned(),
        false => parts
            .into_iter()
            .map(|(_, text)| text)
            .collect::<Vec<_>>()
            .join(","),
    }
}

fn equals(labels: &Map<String, Value>) -> Vec<(String, String)> {
    let mut pairs: Vec<(String, String)> = labels
        .iter()
        .map(|(key, value)| {
            let value = value.as_str().unwrap_or_default();
            (key.clone(), format!("{key}={value}"))
        })
        .collect();
    pairs.sort();
    pairs
}

/// `Kind/name` and subjects by kind: the row of both sorts of role binding.
pub(crate) fn binding(value: &Value, now: Timestamp) -> Vec<Value> {
    let subjects = fields::items(value, "/subjects");
    let of = |kind: &str| -> Value {
        subjects
            .iter()
            .filter(|subject| fields::text(subject, "/kind") == kind)
            .map(|subject| match kind {
                "ServiceAccount" => format!(
                    "{}/{}",
                    fields::text(subject, "/namespace"),
                    fields::text(subject, "/name")
                ),
                _ => fields::text(subject, "/name").to_owned(),
            })
            .collect::<Vec<_>>()
            .join(", ")
            .into()
    };
    let role = format!(
        "{}/{}",
        fields::text(value, "/roleRef/kind"),
        fields::text(value, "/roleRef/name")
    );
    vec![
        name(value),
        role.into(),
        created(value, now),
        of("User"),
        of("Group"),
        of("ServiceAccount"),
    ]
}

/// The row of ReplicaSet and ReplicationController, whose selectors differ.
pub(crate) fn replicas(value: &Value, now: Timestamp, selector: String) -> Vec<Value> {
    vec![
        name(value),
        number(value, "/spec/replicas"),
        number(value, "/status/replicas"),
        number(value, "/status/readyReplicas"),
        created(value, now),
        containers(value, "/spec/template/spec"),
        images(value, "/spec/template/spec"),
        selector.into(),
    ]
}

/// Access modes in their short forms, each once.
pub(crate) fn access_modes(value: &Value, pointer: &str) -> String {
    let modes = fields::items(value, pointer);
    [
        ("ReadWriteOnce", "RWO"),
        ("ReadOnlyMany", "ROX"),
        ("ReadWriteMany", "RWX"),
        ("ReadWriteOncePod", "RWOP"),
    ]
    .into_iter()
    .filter(|(mode, _)| modes.iter().any(|have| have == mode))
    .map(|(_, short)| short)
    .collect::<Vec<_>>()
    .join(",")
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn ages_read_as_kubectl_prints_them() {
        let (minute, hour, day) = (60, 3600, 86_400);
        let rows = [
            (-2, "<invalid>"),
            (-1, "0s"),
            (119, "119s"),
            (120, "2m"),
            (125, "2m5s"),
            (10 * minute, "10m"),
            (179 * minute + 59, "179m"),
            (3 * hour, "3h"),
            (3 * hour + 5 * minute, "3h5m"),
            (8 * hour + 5 * minute, "8h"),
            (47 * hour, "47h"),
            (48 * hour, "2d"),
            (49 * hour, "2d1h"),
            (8 * day + hour, "8d"),
            (729 * day, "729d"),
            (730 * day, "2y"),
            (731 * day, "2y1d"),
            (8 * 365 * day + day, "8y"),
        ];
        for (seconds, want) in rows {
            assert_eq!(span(seconds), want, "{seconds}");
        }
    }

    #[test]
    fn selectors_print_sorted() {
        let value = json!({"s": {"matchLabels": {"z": "1", "a": "b"}, "matchExpressions": [
            {"key": "m", "operator": "In", "values": ["y", "x"]}, {"key": "b", "operator": "DoesNotExist"}]}});
        assert_eq!(selector(&value, "/s"), "a=b,!b,m in (x,y),z=1");
        assert_eq!(selector(&json!({"s": {}}), "/s"), "<none>");
    }
}
