//! The writes that follow from decisions.
//!
//! Pure. The conditions of a pod are one list to a merge patch, so a patch of them
//! names the revision it was made for; the loop makes it anew after a conflict.

use client::{Target, Write};
use jiff::Timestamp;
use object::Object;
use object::names::resources::PODS;
use object::time::rfc3339;
use serde_json::{Map, Value, json};

/// What is said of a pod without a node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Said {
    /// `Unschedulable` or `SchedulerError`.
    pub(crate) reason: &'static str,
    pub(crate) message: String,
    /// The node being cleared for it; empty takes the name away.
    pub(crate) nominated: Option<String>,
}

fn target(pod: &Object) -> Target {
    let meta = pod.meta();
    Target {
        name: meta.name.clone(),
        ..Target::collection(PODS, "v1", &meta.namespace)
    }
}

/// Gives the pod its node.
pub(crate) fn binding(pod: &Object, node: &str) -> Write {
    let meta = pod.meta();
    let body = json!({
        "apiVersion": "v1", "kind": "Binding",
        "metadata": {"name": meta.name, "namespace": meta.namespace, "uid": meta.uid},
        "target": {"kind": "Node", "name": node},
    });
    Write::create(target(pod).subresource("binding"), body)
}

/// Says why the pod has no node; `None` if its status says so already.
pub(crate) fn unscheduled(pod: &Object, said: &Said, now: Timestamp) -> Option<Write> {
    let condition = json!({
        "type": "PodScheduled", "status": "False",
        "reason": said.reason, "message": said.message,
    });
    patch(pod, condition, said.nominated.as_deref(), now)
}

/// Says that the pod goes to make room; `None` if its status says so already.
pub(crate) fn preempted(victim: &Object, now: Timestamp) -> Option<Write> {
    let message = format!(
        "{}: preempting to accommodate a higher priority pod",
        crate::SCHEDULER_NAME
    );
    let condition = json!({
        "type": "DisruptionTarget", "status": "True",
        "reason": "PreemptionByScheduler", "message": message,
    });
    patch(victim, condition, None, now)
}

fn patch(pod: &Object, condition: Value, nominated: Option<&str>, now: Timestamp) -> Option<Write> {
    let stored = pod.value();
    let stored = stored.get("status").cloned().unwrap_or_default();
    let mut status = Map::new();
    let known = stored
        .get("nominatedNodeName")
        .and_then(Value::as_str)
        .unwrap_or_default();
    if let Some(node) = nominated.filter(|node| *node != known) {
        let node = if node.is_empty() {
            Value::Null
        } else {
            json!(node)
        };
        status.insert("nominatedNodeName".to_owned(), node);
    }
    let old = stored.get("conditions").and_then(Value::as_array);
    let mut conditions = old.cloned().unwrap_or_default();
    if set(&mut conditions, condition, pod.meta().generation, now) {
        status.insert("conditions".to_owned(), Value::Array(conditions));
    }
    if status.is_empty() {
        return None;
    }
    let body = json!({
        "metadata": {"uid": pod.meta().uid, "resourceVersion": pod.revision().to_string()},
        "status": status,
    });
    Some(Write::merge(target(pod).subresource("status"), body))
}

/// Puts a condition in; the time of transition stays while the status does. Gives
/// whether anything changed.
fn set(conditions: &mut Vec<Value>, mut new: Value, generation: i64, now: Timestamp) -> bool {
    let at = conditions.iter().position(|old| old["type"] == new["type"]);
    new["lastProbeTime"] = Value::Null;
    new["lastTransitionTime"] = json!(rfc3339(now));
    if generation > 0 {
        new["observedGeneration"] = json!(generation);
    }
    let Some(at) = at else {
        conditions.push(new);
        return true;
    };
    let old = &conditions[at];
    let same = |field: &str| old.get(field) == new.get(field);
    let kept = same("status");
    if kept && same("reason") && same("message") && same("observedGeneration") {
        return false;
    }
    if kept
        && let Some(time) = old
            .get("lastTransitionTime")
            .filter(|time| time.is_string())
    {
        new["lastTransitionTime"] = time.clone();
    }
    conditions[at] = new;
    true
}

#[cfg(test)]
mod tests {
    use super::*;
    use object::Draft;

    fn pod(status: &Value) -> Object {
        let value = json!({"metadata":{"name":"p","namespace":"n","uid":"u","generation":2},"status":status});
        Draft::new(PODS, &value, |_| Box::default())
            .unwrap()
            .seal(5)
    }

    fn said(message: &str) -> Said {
        Said {
            reason: "Unschedulable",
            message: message.to_owned(),
            nominated: None,
        }
    }

    const NOW: Timestamp = Timestamp::UNIX_EPOCH;

    #[test]
    fn a_binding_names_pod_and_node() {
        let write = binding(&pod(&json!({})), "a");
        assert_eq!(write.target.path(), "/api/v1/namespaces/n/pods/p/binding");
        assert_eq!(write.body["target"], json!({"kind":"Node","name":"a"}));
        assert_eq!(write.body["metadata"]["uid"], "u");
    }

    #[test]
    fn a_condition_is_written_only_when_it_says_something_new() {
        let other = json!({"type":"Ready","status":"False"});
        let first = unscheduled(&pod(&json!({"conditions":[other]})), &said("no"), NOW).unwrap();
        assert_eq!(first.target.path(), "/api/v1/namespaces/n/pods/p/status");
        let conditions = first.body["status"]["conditions"].clone();
        assert_eq!(conditions[0], other);
        assert_eq!(
            conditions[1],
            json!({"type":"PodScheduled","status":"False","reason":"Unschedulable","message":"no",
                "lastProbeTime":null,"lastTransitionTime":"1970-01-01T00:00:00Z","observedGeneration":2})
        );
        assert_eq!(
            first.body["metadata"],
            json!({"uid":"u","resourceVersion":"5"})
        );
        let stored = pod(&json!({"conditions":conditions}));
        let later = Timestamp::from_second(60).unwrap();
        assert_eq!(unscheduled(&stored, &said("no"), later), None);
        let again = unscheduled(&stored, &said("still no"), later).unwrap();
        assert_eq!(
            again.body["status"]["conditions"][1]["lastTransitionTime"], "1970-01-01T00:00:00Z",
            "the status is the same"
        );
    }

    #[test]
    fn a_nomination_is_set_and_taken_away() {
        let with = |node: &str| Said {
            nominated: Some(node.to_owned()),
            ..said("no")
        };
        let set = unscheduled(&pod(&json!({})), &with("a"), NOW).unwrap();
        assert_eq!(set.body["status"]["nominatedNodeName"], "a");
        let cleared = unscheduled(&pod(&json!({"nominatedNodeName":"a"})), &with(""), NOW).unwrap();
        assert_eq!(
            cleared.body["status"].get("nominatedNodeName"),
            Some(&Value::Null)
        );
    }
}
