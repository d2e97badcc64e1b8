//! Pod GC: removes pods that nobody will ever end.
//!
//! Reads Pod, Node. Deletes Pod without grace. Invariant: a pod goes only if its
//! node is gone, if it ends without ever having had a node, or if it is finished
//! and among the oldest above [`THRESHOLD`].

use client::Write;
use object::names::resources::{NODES, PODS};
use object::{Key, Object};
use reconcile::{Controller, Cx, Plan, PlanError, Wake};
use serde_json::json;
use world::World;

use crate::pods::PodView;

/// Finished pods that are kept.
pub const THRESHOLD: usize = 12_500;

/// The controller.
pub const CONTROLLER: Controller = Controller {
    name: "pod-garbage-collector-controller",
    account: "pod-garbage-collector",
    reconciles: PODS,
    wakes_on: &[Wake::Mapped(NODES, pods_on)],
    plan,
};

/// A node that is gone concerns the pods that were on it.
fn pods_on(world: &World, node: &Object) -> Vec<Key> {
    if world.get(&node.key()).is_some() {
        return Vec::new();
    }
    let name = node.meta().name.as_str();
    let there = |pod: &PodView| pod.node() == name;
    let pods = world.list(PODS).filter_map(|pod| PodView::of(pod).ok());
    pods.filter(there).map(|pod| pod.object.key()).collect()
}

fn plan(_: &Cx, world: &World, key: &Key) -> Result<Plan, PlanError> {
    let mut plan = Plan::default();
    let Some(object) = world.get(key) else {
        return Ok(plan);
    };
    let pod = PodView::of(object)?;
    let node = pod.node();
    let lost = !node.is_empty() && world.find(NODES, "", node).is_none();
    let never_placed = node.is_empty() && pod.is_terminating();
    if lost || never_placed || is_surplus(world, &pod)? {
        let mut write = Write::delete(object);
        write.body["gracePeriodSeconds"] = json!(0);
        plan.write(write);
    }
    Ok(plan)
}

/// Whether the pod is finished and older than the newest [`THRESHOLD`] of those.
fn is_surplus(world: &World, pod: &PodView) -> Result<bool, PlanError> {
    if !pod.is_finished() || world.table(PODS).len() <= THRESHOLD {
        return Ok(false);
    }
    let mut newer = 0;
    let age = |pod: &PodView| (pod.object.meta().created, pod.object.meta().uid.clone());
    for other in world.list(PODS) {
        let other = PodView::of(other)?;
        newer += usize::from(other.is_finished() && age(&other) > age(pod));
    }
    Ok(newer >= THRESHOLD)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scene;

    #[test]
    fn pods_without_a_node_to_end_them_go() {
        let node = json!({"apiVersion":"v1","kind":"Node","metadata":{"name":"here"}});
        for (on, ending, gone) in [
            ("here", true, false),
            ("away", false, true),
            ("", true, true),
            ("", false, false),
        ] {
            let mut pod = json!({"apiVersion":"v1","kind":"Pod","metadata":{"name":"p","namespace":"n","uid":"p"},
                "spec":{"nodeName":on,"containers":[]}});
            if ending {
                pod["metadata"]["deletionTimestamp"] = json!("2026-01-01T00:00:00Z");
            }
            let world = scene::world(&[(PODS, pod), (NODES, node.clone())]);
            let plan = scene::plan(&CONTROLLER, &world, PODS, "n", "p");
            assert_eq!(plan.steps().count() == 1, gone, "{on} {ending}");
        }
    }
}
