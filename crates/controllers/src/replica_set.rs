//! ReplicaSet: keeps `spec.replicas` pods alive.
//!
//! Reads ReplicaSet and the pods of its namespace. Writes Pod (create, delete,
//! adopt, release) and ReplicaSet/status. Invariants: touches only pods that it
//! controls or may adopt; at most [`BURST`] creations or deletions in a plan.

use std::collections::HashMap;
use std::sync::Arc;

use client::{Target, Write};
use jiff::Timestamp;
use k8s_openapi::api::apps::v1::ReplicaSet;
use object::names::resources::{PODS, REPLICA_SETS};
use object::time::rfc3339;
use object::{Key, LabelSelector, Object};
use reconcile::{Controller, Cx, Note, NoteType, Plan, PlanError, Wake};
use serde_json::{Value, json};
use world::World;

use crate::pods::{self, PodView, count};

/// Pods made or deleted in one plan; the rest follows when these are seen.
pub const BURST: usize = 500;

/// The controller.
pub const CONTROLLER: Controller = Controller {
    name: "replicaset-controller",
    account: "replicaset-controller",
    reconciles: REPLICA_SETS,
    wakes_on: &[Wake::Owned(PODS), Wake::Mapped(PODS, matching)],
    plan,
};

/// Replica sets that would adopt an orphaned pod.
fn matching(world: &World, pod: &Object) -> Vec<Key> {
    if pod.meta().controller().is_some() {
        return Vec::new();
    }
    let matches = |object: &&Arc<Object>| {
        let set = object.view::<ReplicaSet>();
        set.is_ok_and(|set| pods::is_orphan_of(pod, &selector_of(&set)))
    };
    let sets = world.list_in(REPLICA_SETS, &pod.meta().namespace);
    sets.filter(matches).map(|object| object.key()).collect()
}

fn selector_of(set: &ReplicaSet) -> LabelSelector {
    LabelSelector::from_spec(Some(&set.spec.selector))
}

fn plan(cx: &Cx, world: &World, key: &Key) -> Result<Plan, PlanError> {
    let Some(object) = world.get(key) else {
        return Ok(Plan::done());
    };
    let set: Arc<ReplicaSet> = object.view()?;
    let mut plan = Plan::default();
    let owned = claim(world, object, &set, &mut plan)?;
    let (active, rest): (Vec<PodView>, Vec<PodView>) =
        owned.into_iter().partition(PodView::is_active);
    let desired = usize::try_from(set.spec.replicas.unwrap_or(1)).unwrap_or(0);
    let terminating = rest.iter().filter(|pod| pod.is_terminating()).count();
    let status = status_of(cx.now, object, &set, &active, terminating);
    if !object.meta().is_deleting() {
        if active.len() < desired {
            let missing = (desired - active.len()).min(BURST);
            create(object, &mut plan, missing);
            plan.if_failed(failed(cx.now, object, &status, "FailedCreate"));
        } else if active.len() > desired {
            let surplus = (active.len() - desired).min(BURST);
            delete(cx.now, world, object, &active, surplus, &mut plan)?;
            plan.if_failed(failed(cx.now, object, &status, "FailedDelete"));
        }
    }
    plan.status(object, status);
    let min_ready = set.spec.min_ready_seconds.unwrap_or(0);
    let due = active.iter().filter_map(|pod| pod.available_at(min_ready));
    plan.requeue_at(due.filter(|time| *time > cx.now).min());
    Ok(plan)
}

/// The pods of the set. Those that fit and are nobody's are adopted, those that
/// no longer fit are released.
fn claim(
    world: &World,
    object: &Arc<Object>,
    set: &ReplicaSet,
    plan: &mut Plan,
) -> Result<Vec<PodView>, PlanError> {
    let selector = selector_of(set);
    let deleting = object.meta().is_deleting();
    let mut claimed = Vec::new();
    for pod in world.owned(PODS, &object.meta().uid) {
        if selector.matches(&pod.meta().labels) {
            claimed.push(PodView::of(pod)?);
        } else if !deleting {
            plan.write(pods::release(object, pod));
        }
    }
    if deleting {
        return Ok(claimed);
    }
    for pod in world.list_in(PODS, &object.meta().namespace) {
        if !pods::is_orphan_of(pod, &selector) {
            continue;
        }
        let view = PodView::of(pod)?;
        if view.is_active() {
            plan.write(pods::adoption(object, pod));
            claimed.push(view);
        }
    }
    Ok(claimed)
}

fn create(object: &Object, plan: &mut Plan, missing: usize) {
    let value = object.value();
    let template = value
        .pointer("/spec/template")
        .cloned()
        .unwrap_or(Value::Null);
    for _ in 0..missing {
        let made = Note::new(
            object,
            NoteType::Normal,
            "SuccessfulCreate",
            "Created pod: {name}",
        );
        let failed = Note::new(
            object,
            NoteType::Warning,
            "FailedCreate",
            "Error creating: {error}",
        );
        plan.write(pods::creation(object, &template))
            .on_success(made)
            .on_failure(failed);
    }
}

fn delete(
    now: Timestamp,
    world: &World,
    object: &Object,
    active: &[PodView],
    surplus: usize,
    plan: &mut Plan,
) -> Result<(), PlanError> {
    let per_node = crowding(world, object, active)?;
    let mut ranked: Vec<(Rank, &PodView)> = active
        .iter()
        .map(|pod| (rank(now, pod, &per_node), pod))
        .collect();
    ranked.sort_by(|a, b| a.0.cmp(&b.0));
    for (_, pod) in ranked.into_iter().take(surplus) {
        let name = &pod.object.meta().name;
        let gone = format!("Deleted pod: {name}");
        plan.write(Write::delete(&pod.object))
            .on_success(Note::new(
                object,
                NoteType::Normal,
                "SuccessfulDelete",
                gone,
            ))
            .on_failure(Note::new(
                object,
                NoteType::Warning,
                "FailedDelete",
                "Error deleting: {error}",
            ));
    }
    Ok(())
}

/// Active pods per node, over all replica sets of the same owner: so that a
/// rollout thins out crowded nodes first.
fn crowding(
    world: &World,
    object: &Object,
    active: &[PodView],
) -> Result<HashMap<String, usize>, PlanError> {
    let mut related: Vec<PodView> = active.to_vec();
    if let Some(owner) = object.meta().controller() {
        let siblings = world.owned(REPLICA_SETS, &owner.uid);
        for sibling in siblings.filter(|sibling| sibling.meta().uid != object.meta().uid) {
            for pod in world.owned(PODS, &sibling.meta().uid) {
                related.push(PodView::of(pod)?);
            }
        }
    }
    let mut per_node = HashMap::new();
    for pod in related.iter().filter(|pod| pod.is_active()) {
        *per_node.entry(pod.node().to_owned()).or_default() += 1;
    }
    Ok(per_node)
}

/// Which pods go first: smaller goes first.
#[derive(PartialEq, Eq, PartialOrd, Ord, Debug)]
struct Rank {
    assigned: bool,
    phase: u8,
    ready: bool,
    cost: i32,
    crowding: std::cmp::Reverse<usize>,
    /// Ages count by powers of two, so that the choice among pods of a similar
    /// age is spread.
    ready_for: u32,
    restarts: std::cmp::Reverse<i32>,
    age: u32,
    uid: smol_str::SmolStr,
}

fn rank(now: Timestamp, pod: &PodView, per_node: &HashMap<String, usize>) -> Rank {
    let meta = pod.object.meta();
    let cost = meta.annotation("controller.kubernetes.io/pod-deletion-cost");
    Rank {
        assigned: !pod.node().is_empty(),
        phase: match pod.phase() {
            "Pending" => 0,
            "Running" => 2,
            _ => 1,
        },
        ready: pod.is_ready(),
        cost: cost.and_then(|text| text.parse().ok()).unwrap_or(0),
        crowding: std::cmp::Reverse(per_node.get(pod.node()).copied().unwrap_or(0)),
        ready_for: log_age(now, pod.ready_since()),
        restarts: std::cmp::Reverse(pod.restarts()),
        age: log_age(now, meta.created),
        uid: meta.uid.clone(),
    }
}

fn log_age(now: Timestamp, since: Option<Timestamp>) -> u32 {
    let seconds = since.map_or(0, |since| now.duration_since(since).as_secs().max(0));
    (seconds.unsigned_abs() + 1).ilog2()
}

fn status_of(
    now: Timestamp,
    object: &Object,
    set: &ReplicaSet,
    active: &[PodView],
    terminating: usize,
) -> Value {
    let template = set.spec.template.as_ref();
    let labels = template
        .and_then(|template| template.metadata.as_ref())
        .and_then(|metadata| metadata.labels.clone())
        .unwrap_or_default();
    let full = LabelSelector::from_labels(&labels);
    let min_ready = set.spec.min_ready_seconds.unwrap_or(0);
    let number = |test: &dyn Fn(&PodView) -> bool| active.iter().filter(|pod| test(pod)).count();
    let available = |pod: &PodView| pod.available_at(min_ready).is_some_and(|time| time <= now);
    let mut status = json!({ "replicas": active.len() });
    count(
        &mut status,
        "fullyLabeledReplicas",
        number(&|pod| full.matches(&pod.object.meta().labels)),
    );
    count(&mut status, "readyReplicas", number(&PodView::is_ready));
    count(&mut status, "availableReplicas", number(&available));
    status["terminatingReplicas"] = json!(terminating);
    status["observedGeneration"] = json!(object.meta().generation);
    status
}

/// The status with the condition that says why pods could not be made or deleted.
fn failed(now: Timestamp, object: &Object, status: &Value, reason: &str) -> Write {
    let mut value = object.value();
    let before = value
        .pointer("/status/conditions/0/lastTransitionTime")
        .cloned();
    value["status"] = status.clone();
    value["status"]["conditions"] = json!([{
        "type": "ReplicaFailure", "status": "True", "reason": reason, "message": "{error}",
        "lastTransitionTime": before.unwrap_or_else(|| json!(rfc3339(now))),
    }]);
    Write::update(Target::of(object).subresource("status"), value)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scene;

    fn set(replicas: usize) -> (object::Resource, Value) {
        let value = json!({"apiVersion":"apps/v1","kind":"ReplicaSet",
            "metadata":{"name":"r","namespace":"n","uid":"u","generation":1},
            "spec":{"replicas":replicas,"selector":{"matchLabels":{"app":"x"}},
                "template":{"metadata":{"labels":{"app":"x"}},"spec":{"containers":[{"name":"c"}]}}}});
        (REPLICA_SETS, value)
    }

    fn pod(
        name: &str,
        app: &str,
        owned: bool,
        spec: Value,
        status: Value,
    ) -> (object::Resource, Value) {
        let mut owners = vec![];
        if owned {
            owners.push(json!({"apiVersion":"apps/v1","kind":"ReplicaSet","name":"r","uid":"u","controller":true}));
        }
        let value = json!({"apiVersion":"v1","kind":"Pod","metadata":{"name":name,"namespace":"n","uid":name,
            "labels":{"app":app},"ownerReferences":owners},"spec":spec,"status":status});
        (PODS, value)
    }

    fn spec(node: &str) -> Value {
        json!({"containers":[], "nodeName": node})
    }

    fn ready(since: &str) -> Value {
        json!({"phase":"Running","conditions":[{"type":"Ready","status":"True","lastTransitionTime":since}]})
    }

    fn lines(objects: &[(object::Resource, Value)]) -> Vec<String> {
        let world = scene::world(objects);
        scene::lines(&scene::plan(&CONTROLLER, &world, REPLICA_SETS, "n", "r"))
    }

    const STATUS: &str = "Update /apis/apps/v1/namespaces/n/replicasets/r/status";

    #[test]
    fn missing_pods_are_made_and_a_failed_one_does_not_count() {
        let failed = pod("a", "x", true, spec("n"), json!({"phase":"Failed"}));
        let create = "Create /api/v1/namespaces/n/pods";
        assert_eq!(lines(&[set(2), failed]), [create, create, STATUS]);
    }

    #[test]
    fn no_plan_makes_more_than_a_burst() {
        assert_eq!(lines(&[set(BURST + 100)]).len(), BURST + 1);
    }

    #[test]
    fn an_orphan_is_adopted_and_a_relabelled_pod_released() {
        let orphan = pod("a", "x", false, spec("n"), json!({}));
        let strayed = pod("b", "free", true, spec("n"), json!({}));
        let expected = [
            "MergePatch /api/v1/namespaces/n/pods/b",
            "MergePatch /api/v1/namespaces/n/pods/a",
            STATUS,
        ];
        assert_eq!(lines(&[set(1), orphan, strayed]), expected);
    }

    #[test]
    fn surplus_pods_go_in_the_order_of_least_loss() {
        let old = ready("2025-01-01T00:00:00Z");
        let rows = [
            (
                spec(""),
                json!({"phase":"Pending"}),
                spec("m"),
                json!({"phase":"Pending"}),
            ),
            (
                spec("m"),
                json!({"phase":"Pending"}),
                spec("m"),
                json!({"phase":"Running"}),
            ),
            (
                spec("m"),
                json!({"phase":"Running"}),
                spec("m"),
                old.clone(),
            ),
            (spec("m"), ready("2026-01-01T11:59:00Z"), spec("m"), old),
        ];
        for (spec_z, status_z, spec_a, status_a) in rows {
            let told = format!("{status_z} before {status_a}");
            let first = pod("z", "x", true, spec_z, status_z);
            let other = pod("a", "x", true, spec_a, status_a);
            let lines = lines(&[set(1), first, other]);
            assert_eq!(lines[0], "Delete /api/v1/namespaces/n/pods/z", "{told}");
        }
    }

    #[test]
    fn a_deleted_set_makes_nothing() {
        let mut set = set(3);
        set.1["metadata"]["deletionTimestamp"] = json!("2026-01-01T00:00:00Z");
        assert_eq!(lines(&[set]), [STATUS]);
    }

    #[test]
    fn status_counts_ready_pods_and_a_failure_would_say_why() {
        let ready = pod("a", "x", true, spec("m"), ready("2025-01-01T00:00:00Z"));
        let world = scene::world(&[set(2), ready]);
        let plan = scene::plan(&CONTROLLER, &world, REPLICA_SETS, "n", "r");
        let status = &plan.steps().last().unwrap().write.body["status"];
        let expected = json!({"replicas":1,"fullyLabeledReplicas":1,"readyReplicas":1,
            "availableReplicas":1,"terminatingReplicas":0,"observedGeneration":1});
        assert_eq!(*status, expected);
        let failed = plan.if_failed.unwrap();
        assert_eq!(
            failed.body["status"]["conditions"][0]["reason"],
            "FailedCreate"
        );
        let note = plan.stages[0][0].on_success.as_ref().unwrap();
        assert_eq!(
            (note.reason.as_str(), note.message.as_str()),
            ("SuccessfulCreate", "Created pod: {name}")
        );
    }
}
