//! Counts and conditions of a deployment.

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::apps::v1::{Deployment, DeploymentCondition, DeploymentStatus};
use object::Object;
use object::time::rfc3339;
use reconcile::Plan;
use serde_json::{Value, json};

use super::sets::{Set, Sets};

struct Counts {
    wanted: i64,
    replicas: i64,
    updated: i64,
    ready: i64,
    available: i64,
    terminating: i64,
}

fn counts(sets: &Sets) -> Counts {
    let sum = |of: fn(&Set) -> i64| sets.all().map(of).sum();
    let replicas = |set: &Set| set.count(|status| Some(status.replicas));
    Counts {
        wanted: sum(Set::size),
        replicas: sum(|set| set.count(|status| Some(status.replicas))),
        updated: sets.new.as_ref().map_or(0, replicas),
        ready: sum(|set| set.count(|status| status.ready_replicas)),
        available: sum(Set::available),
        terminating: sum(|set| set.count(|status| status.terminating_replicas)),
    }
}

/// Whether the rollout has reached its end.
pub(super) fn is_complete(deployment: &Deployment, object: &Object, sets: &Sets) -> bool {
    let status = deployment.status.as_ref();
    let observed = status.and_then(|status| status.observed_generation);
    completed(&counts(sets), sets) && observed >= Some(object.meta().generation)
}

fn completed(counts: &Counts, sets: &Sets) -> bool {
    counts.updated == sets.replicas
        && counts.replicas == sets.replicas
        && counts.available == sets.replicas
}

/// The status as it is to be; the plan comes back when the progress deadline passes.
pub(super) fn of(
    now: Timestamp,
    object: &Object,
    deployment: &Deployment,
    sets: &Sets,
    plan: &mut Plan,
) -> Value {
    let counts = counts(sets);
    let before = deployment.status.clone().unwrap_or_default();
    let mut status = json!({ "observedGeneration": object.meta().generation });
    for (name, number) in [
        ("replicas", counts.replicas),
        ("updatedReplicas", counts.updated),
        ("readyReplicas", counts.ready),
        ("availableReplicas", counts.available),
        ("unavailableReplicas", counts.wanted - counts.available),
    ] {
        if number > 0 {
            status[name] = json!(number);
        }
    }
    status["terminatingReplicas"] = json!(counts.terminating);
    if let Some(collisions) = before.collision_count {
        status["collisionCount"] = json!(collisions);
    }
    let mut conditions = Conditions {
        now,
        list: object.value()["status"]["conditions"]
            .as_array()
            .cloned()
            .unwrap_or_default(),
    };
    progress(&mut conditions, deployment, &before, &counts, sets, plan);
    let enough = counts.available >= sets.replicas - sets.max_unavailable;
    if enough {
        let message = "Deployment has minimum availability.";
        conditions.set(
            "Available",
            "True",
            "MinimumReplicasAvailable",
            message,
            false,
        );
    } else {
        let message = "Deployment does not have minimum availability.";
        conditions.set(
            "Available",
            "False",
            "MinimumReplicasUnavailable",
            message,
            false,
        );
    }
    failure(&mut conditions, sets);
    if !conditions.list.is_empty() {
        status["conditions"] = json!(conditions.list);
    }
    status
}

fn progress(
    conditions: &mut Conditions,
    deployment: &Deployment,
    before: &DeploymentStatus,
    counts: &Counts,
    sets: &Sets,
    plan: &mut Plan,
) {
    let kind = "Progressing";
    let mut known = before.conditions.iter().flatten();
    let known: Option<&DeploymentCondition> = known.find(|c| c.type_.as_deref() == Some(kind));
    let reason = known
        .and_then(|known| known.reason.as_deref())
        .unwrap_or_default();
    let name = sets.new_name();
    let deadline = deployment.spec.progress_deadline_seconds;
    // The largest number stands for no deadline.
    let Some(deadline) = deadline.filter(|seconds| *seconds != i32::MAX) else {
        return conditions
            .list
            .retain(|condition| condition["type"] != kind);
    };
    if deployment.spec.paused == Some(true) {
        if reason != "ProgressDeadlineExceeded" {
            conditions.set(
                kind,
                "Unknown",
                "DeploymentPaused",
                "Deployment is paused",
                true,
            );
        }
        return;
    }
    if sets.make.is_some() {
        let message = format!("Created new replica set \"{name}\"");
        return conditions.set(kind, "True", "NewReplicaSetCreated", &message, true);
    }
    if reason == "DeploymentPaused" {
        return conditions.set(
            kind,
            "Unknown",
            "DeploymentResumed",
            "Deployment is resumed",
            true,
        );
    }
    if reason == "NewReplicaSetAvailable" && counts.replicas == counts.updated {
        return;
    }
    let was = |number: Option<i32>| i64::from(number.unwrap_or(0));
    let moved = counts.updated > was(before.updated_replicas)
        || counts.replicas - counts.updated < was(before.replicas) - was(before.updated_replicas)
        || counts.ready > was(before.ready_replicas)
        || counts.available > was(before.available_replicas);
    if completed(counts, sets) {
        let message = format!("ReplicaSet \"{name}\" has successfully progressed.");
        conditions.set(kind, "True", "NewReplicaSetAvailable", &message, true);
    } else if moved {
        let message = format!("ReplicaSet \"{name}\" is progressing.");
        conditions.refresh(kind, "True", "ReplicaSetUpdated", &message);
    } else if reason == "NewReplicaSetAvailable" {
        // A finished rollout that lost pods has no deadline.
    } else if let Some(since) = known.and_then(|known| known.last_update_time.as_ref()) {
        let wait = SignedDuration::from_secs(i64::from(deadline));
        let due = since.0.checked_add(wait).unwrap_or(conditions.now);
        if due <= conditions.now {
            let message = format!("ReplicaSet \"{name}\" has timed out progressing.");
            conditions.set(kind, "False", "ProgressDeadlineExceeded", &message, true);
        }
    } else {
        let message = format!("Found new replica set \"{name}\"");
        conditions.set(kind, "True", "FoundNewReplicaSet", &message, true);
    }
    if !completed(counts, sets) && reason != "ProgressDeadlineExceeded" {
        let wait = SignedDuration::from_secs(i64::from(deadline));
        let since = known.and_then(|known| known.last_update_time.as_ref());
        let since = since.map_or(conditions.now, |time| time.0);
        let due = since.checked_add(wait).ok();
        plan.requeue_at(due.filter(|due| *due > conditions.now));
    }
}

/// A set that cannot make its pods says so; the deployment repeats it.
fn failure(conditions: &mut Conditions, sets: &Sets) {
    let failed = sets.new.iter().chain(&sets.old).find_map(|set| {
        let status = set.view.status.as_ref()?;
        let list = status.conditions.as_ref()?;
        list.iter()
            .find(|c| c.type_.as_deref() == Some("ReplicaFailure"))
            .cloned()
    });
    match failed {
        Some(told) => conditions.set(
            "ReplicaFailure",
            told.status.as_deref().unwrap_or_default(),
            told.reason.as_deref().unwrap_or_default(),
            told.message.as_deref().unwrap_or_default(),
            true,
        ),
        None => conditions
            .list
            .retain(|condition| condition["type"] != "ReplicaFailure"),
    }
}

struct Conditions {
    now: Timestamp,
    list: Vec<Value>,
}

impl Conditions {
    /// Sets a condition; one of the same status and reason stays as it is, but for
    /// its message where `with_message` says so.
    fn set(&mut self, kind: &str, status: &str, reason: &str, message: &str, with_message: bool) {
        let same = |c: &Value| {
            c["type"] == kind
                && c["status"] == status
                && c["reason"] == reason
                && (!with_message || c["message"] == message)
        };
        if !self.list.iter().any(same) {
            self.refresh(kind, status, reason, message);
        }
    }

    /// Sets a condition as updated now.
    fn refresh(&mut self, kind: &str, status: &str, reason: &str, message: &str) {
        let now = json!(rfc3339(self.now));
        let index = self.list.iter().position(|c| c["type"] == kind);
        let old = index.map(|index| self.list.remove(index));
        let kept = old.filter(|old| old["status"] == status);
        let since = kept.map_or(now.clone(), |old| old["lastTransitionTime"].clone());
        self.list.push(json!({
            "type": kind, "status": status, "lastUpdateTime": now, "lastTransitionTime": since,
            "reason": reason, "message": message,
        }));
    }
}
