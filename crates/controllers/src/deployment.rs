//! Deployment: rolls a pod template out through replica sets.
//!
//! Reads Deployment, ReplicaSet, Pod. Writes ReplicaSet, the revision annotation
//! of the Deployment and its status. Invariants: at any time at most
//! `replicas + maxSurge` pods are wanted, and available pods are given up only
//! above `replicas - maxUnavailable`; touches only sets it controls or may adopt.

mod rollout;
mod sets;
mod status;

use std::sync::Arc;

use client::{Target, Write};
use k8s_openapi::api::apps::v1::Deployment;
use object::names::resources::{DEPLOYMENTS, PODS, REPLICA_SETS};
use object::{Key, LabelSelector, Object};
use reconcile::{Controller, Cx, Plan, PlanError, Wake};
use serde_json::{Value, json};
use world::World;

use crate::pods;
use sets::{REVISION, Sets};

/// The controller.
pub const CONTROLLER: Controller = Controller {
    name: "deployment-controller",
    account: "deployment-controller",
    reconciles: DEPLOYMENTS,
    wakes_on: &[
        Wake::Owned(REPLICA_SETS),
        Wake::Mapped(REPLICA_SETS, matching),
        Wake::Mapped(PODS, recreating),
    ],
    plan,
};

/// Deployments that would adopt an orphaned replica set.
fn matching(world: &World, set: &Object) -> Vec<Key> {
    if set.meta().controller().is_some() {
        return Vec::new();
    }
    let deployments = world.list_in(DEPLOYMENTS, &set.meta().namespace);
    let matches = |object: &&Arc<Object>| {
        let deployment = object.view::<Deployment>();
        deployment.is_ok_and(|d| {
            pods::is_orphan_of(set, &LabelSelector::from_spec(Some(&d.spec.selector)))
        })
    };
    deployments
        .filter(matches)
        .map(|object| object.key())
        .collect()
}

/// A recreating deployment waits for pods of old sets to be gone.
fn recreating(world: &World, pod: &Object) -> Vec<Key> {
    let namespace = &pod.meta().namespace;
    let owner = pod.meta().controller();
    let set = owner.and_then(|owner| world.find(REPLICA_SETS, namespace, &owner.name));
    let Some(owner) = set.and_then(|set| set.meta().controller()) else {
        return Vec::new();
    };
    let key = Key::new(DEPLOYMENTS, namespace.clone(), owner.name.clone());
    let view = world.get(&key).map(|object| object.view::<Deployment>());
    match view {
        Some(Ok(deployment)) if is_recreate(&deployment) => vec![key],
        _ => Vec::new(),
    }
}

fn is_recreate(deployment: &Deployment) -> bool {
    let strategy = deployment.spec.strategy.as_ref();
    strategy.and_then(|strategy| strategy.type_.as_deref()) == Some("Recreate")
}

fn plan(cx: &Cx, world: &World, key: &Key) -> Result<Plan, PlanError> {
    let mut plan = Plan::default();
    let Some(object) = world.get(key) else {
        return Ok(plan);
    };
    let deployment: Arc<Deployment> = object.view()?;
    let mut sets = Sets::of(world, object, &deployment, &mut plan)?;
    if object.meta().is_deleting() {
        let status = status::of(cx.now, object, &deployment, &sets, &mut plan);
        plan.status(object, status);
        return Ok(plan);
    }
    if sets.collides(world) {
        let mut status = object.value()["status"].clone();
        let count = status.get("collisionCount").and_then(Value::as_i64);
        status["collisionCount"] = json!(count.unwrap_or(0) + 1);
        plan.status(object, status);
        return Ok(plan);
    }
    let paused = deployment.spec.paused == Some(true);
    if paused || sets.was_scaled() {
        rollout::scale(&mut sets);
    } else if is_recreate(&deployment) {
        rollout::recreate(world, &mut sets)?;
    } else {
        rollout::roll(&mut sets);
    }
    sets.write(&mut plan);
    if paused || status::is_complete(&deployment, object, &sets) {
        sets.clean_up(&mut plan);
    }
    if let Some(revision) = sets.new_revision()
        && object.meta().annotation(REVISION) != Some(revision.as_str())
    {
        let mut value = object.value();
        value["metadata"]["annotations"][REVISION] = json!(revision);
        plan.then();
        // The status follows when this write has come back: both would carry
        // the same resourceVersion.
        plan.write(Write::update(Target::of(object), value));
        return Ok(plan);
    }
    let status = status::of(cx.now, object, &deployment, &sets, &mut plan);
    plan.status(object, status);
    Ok(plan)
}

#[cfg(test)]
mod tests;
