//! Namespace: when one is deleted, empties it and lets it go.
//!
//! Reads Namespace and every namespaced object. Deletes those objects, pods before
//! all else; writes the conditions of the Namespace and takes the finalizer
//! `kubernetes` off. Invariant: the finalizer goes only when nothing is left.

use std::collections::BTreeMap;
use std::sync::Arc;

use client::{Target, Write};
use object::names::resources::{NAMESPACES, PODS};
use object::time::rfc3339;
use object::{Key, Object};
use reconcile::{Controller, Cx, Plan, PlanError, Wake};
use serde_json::{Value, json};
use world::World;

/// Deletions in one plan; the rest follows when these are seen.
pub const BURST: usize = 500;
const FINALIZER: &str = "kubernetes";

/// The controller.
pub const CONTROLLER: Controller = Controller {
    name: "namespace-controller",
    account: "namespace-controller",
    reconciles: NAMESPACES,
    wakes_on: &[Wake::Every(home)],
    plan,
};

/// What changes in a namespace on its way out concerns it.
fn home(world: &World, object: &Object) -> Vec<Key> {
    let key = Key::new(NAMESPACES, "", object.meta().namespace.clone());
    let ends = world.get(&key).is_some_and(|ns| ns.meta().is_deleting());
    if ends { vec![key] } else { Vec::new() }
}

fn plan(cx: &Cx, world: &World, key: &Key) -> Result<Plan, PlanError> {
    let mut plan = Plan::default();
    let Some(namespace) = world.get(key).filter(|ns| ns.meta().is_deleting()) else {
        return Ok(plan);
    };
    let mut value = namespace.value();
    let finalizers = value.pointer("/spec/finalizers").and_then(Value::as_array);
    let finalizers = finalizers.cloned().unwrap_or_default();
    if !finalizers.iter().any(|finalizer| finalizer == FINALIZER) {
        return Ok(plan);
    }
    let content = content(world, &namespace.meta().name);
    if content.is_empty() {
        let left: Vec<_> = finalizers.iter().filter(|f| *f != FINALIZER).collect();
        value["spec"]["finalizers"] = json!(left);
        let target = Target::of(namespace).subresource("finalize");
        plan.write(Write::update(target, value));
        return Ok(plan);
    }
    let pods_remain = content.iter().any(|object| object.resource() == PODS);
    let next = content.iter().filter(|object| {
        let first = !pods_remain || object.resource() == PODS;
        first && !object.meta().is_deleting()
    });
    for object in next.take(BURST) {
        let mut write = Write::delete(object);
        write.body["propagationPolicy"] = json!("Background");
        plan.write(write);
    }
    let mut status = value["status"].clone();
    status["phase"] = json!("Terminating");
    status["conditions"] = json!(conditions(&rfc3339(cx.now), &value, &content));
    plan.status(namespace, status);
    Ok(plan)
}

fn content<'a>(world: &'a World, namespace: &'a str) -> Vec<&'a Arc<Object>> {
    let tables = world.tables().map(|(resource, _)| resource);
    // Resources with a group the API does not serve hold claims that go with what made them.
    let served = tables.filter(|resource| !resource.group.ends_with("internal.kogge.dev"));
    let mut resources: Vec<_> = served.collect();
    resources.sort();
    let objects = resources.into_iter();
    objects
        .flat_map(|resource| world.list_in(resource, namespace))
        .collect()
}

/// The five conditions that tell how far it is. What is left is counted after
/// this plan's deletions: only what a finalizer or a grace period holds.
fn conditions(now: &str, namespace: &Value, content: &[&Arc<Object>]) -> Vec<Value> {
    let held = content.iter().filter(|object| object.meta().is_deleting());
    let (mut kinds, mut finalizers) = (BTreeMap::new(), BTreeMap::new());
    for object in held {
        let resource = object.resource();
        let name = format!("{}.{}", resource.plural, resource.group);
        *kinds.entry(name).or_insert(0) += 1;
        for finalizer in &object.meta().finalizers {
            *finalizers.entry(finalizer.to_string()).or_insert(0) += 1;
        }
    }
    let list = |counts: &BTreeMap<String, i32>, verb: &str| {
        let one = |(name, count)| format!("{name} {verb} {count} resource instances");
        counts.iter().map(one).collect::<Vec<_>>().join(", ")
    };
    let remaining = if kinds.is_empty() {
        (
            "False",
            "ContentRemoved",
            "All content successfully removed".to_owned(),
        )
    } else {
        let message = format!("Some resources are remaining: {}", list(&kinds, "has"));
        ("True", "SomeResourcesRemain", message)
    };
    let finalizing = if finalizers.is_empty() {
        let message = "All content-preserving finalizers finished".to_owned();
        ("False", "ContentHasNoFinalizers", message)
    } else {
        let list = list(&finalizers, "in");
        let message = format!("Some content in the namespace has finalizers remaining: {list}");
        ("True", "SomeFinalizersRemain", message)
    };
    let fixed = |reason, message: &str| ("False", reason, message.to_owned());
    let rows = [
        (
            "NamespaceDeletionDiscoveryFailure",
            fixed(
                "ResourcesDiscovered",
                "All resources successfully discovered",
            ),
        ),
        (
            "NamespaceDeletionGroupVersionParsingFailure",
            fixed(
                "ParsedGroupVersions",
                "All legacy kube types successfully parsed",
            ),
        ),
        (
            "NamespaceDeletionContentFailure",
            fixed(
                "ContentDeleted",
                "All content successfully deleted, may be waiting on finalization",
            ),
        ),
        ("NamespaceContentRemaining", remaining),
        ("NamespaceFinalizersRemaining", finalizing),
    ];
    let known = namespace["status"]["conditions"].as_array();
    let since = |kind: &str, status: &str| {
        let mut known = known.into_iter().flatten();
        let same = known.find(|c| c["type"] == kind && c["status"] == status);
        same.map_or(json!(now), |same| same["lastTransitionTime"].clone())
    };
    rows.into_iter()
        .map(|(kind, (status, reason, message))| {
            json!({"type": kind, "status": status, "lastTransitionTime": since(kind, status),
                "reason": reason, "message": message})
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scene;
    use object::Resource;
    use object::names::resources::CONFIG_MAPS;

    fn ending() -> (Resource, Value) {
        let value = json!({"apiVersion":"v1","kind":"Namespace",
            "metadata":{"name":"n","uid":"u","deletionTimestamp":"2026-01-01T00:00:00Z"},
            "spec":{"finalizers":["kubernetes"]},"status":{"phase":"Terminating"}});
        (NAMESPACES, value)
    }

    fn object(resource: Resource, name: &str) -> (Resource, Value) {
        let value = json!({"apiVersion":"v1","kind":"X","metadata":{"name":name,"namespace":"n","uid":name}});
        (resource, value)
    }

    fn plan_of(objects: &[(Resource, Value)]) -> Plan {
        scene::plan(&CONTROLLER, &scene::world(objects), NAMESPACES, "", "n")
    }

    const STATUS: &str = "Update /api/v1/namespaces/n/status";

    #[test]
    fn pods_go_first_then_the_rest_then_the_finalizer() {
        let (pod, map) = (object(PODS, "p"), object(CONFIG_MAPS, "c"));
        let rows = [
            (
                vec![pod, map.clone()],
                vec!["Delete /api/v1/namespaces/n/pods/p", STATUS],
            ),
            (
                vec![map],
                vec!["Delete /api/v1/namespaces/n/configmaps/c", STATUS],
            ),
            (vec![], vec!["Update /api/v1/namespaces/n/finalize"]),
        ];
        for (mut objects, expected) in rows {
            objects.push(ending());
            assert_eq!(scene::lines(&plan_of(&objects)), expected);
        }
    }

    #[test]
    fn an_active_namespace_is_left_alone() {
        let mut active = ending();
        active.1["metadata"]["deletionTimestamp"] = Value::Null;
        assert!(plan_of(&[active, object(PODS, "p")]).is_idle());
    }

    #[test]
    fn conditions_name_what_is_held() {
        let mut held = object(CONFIG_MAPS, "c");
        held.1["metadata"]["deletionTimestamp"] = json!("2026-01-01T00:00:00Z");
        held.1["metadata"]["finalizers"] = json!(["example.com/hold"]);
        let plan = plan_of(&[ending(), held]);
        let status = &plan.steps().last().unwrap().write.body["status"];
        let messages: Vec<_> = status["conditions"].as_array().unwrap()[3..]
            .iter()
            .map(|c| c["message"].as_str().unwrap())
            .collect();
        let expected = [
            "Some resources are remaining: configmaps. has 1 resource instances",
            "Some content in the namespace has finalizers remaining: example.com/hold in 1 resource instances",
        ];
        assert_eq!(messages, expected);
    }
}
