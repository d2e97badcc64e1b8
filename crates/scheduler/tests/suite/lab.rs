//! A world in a few lines: nodes and pods as JSON.

use std::sync::Arc;

use object::names::resources::{NODES, PODS};
use object::{Draft, Key, Resource};
use reconcile::Cx;
use serde_json::{Value, json};
use world::{Commit, Event, World};

/// The moment of all tests.
pub(crate) fn cx() -> Cx {
    Cx {
        now: jiff::Timestamp::from_second(1_800_000_000).unwrap(),
        random: 7,
    }
}

/// Puts an object into the world; gives the commit that did it.
pub(crate) fn put(world: &mut World, resource: Resource, value: &Value) -> Arc<Commit> {
    let revision = world.revision() + 1;
    let object = Arc::new(
        Draft::new(resource, value, |_| Box::default())
            .unwrap()
            .seal(revision),
    );
    let old = world.get(&object.key()).cloned();
    let commit = Commit {
        revision,
        events: vec![Arc::new(Event::put(object, old))],
    };
    *world = world.apply(&commit);
    Arc::new(commit)
}

/// Removes an object; gives the commit that did it.
pub(crate) fn delete(world: &mut World, key: &Key) -> Arc<Commit> {
    let revision = world.revision() + 1;
    let old = world.get(key).cloned().unwrap();
    let commit = Commit {
        revision,
        events: vec![Arc::new(Event::delete(old, revision))],
    };
    *world = world.apply(&commit);
    Arc::new(commit)
}

/// Lays `extra` over `base`, object by object.
pub(crate) fn merged(mut base: Value, extra: &Value) -> Value {
    if let (Some(to), Some(from)) = (base.as_object_mut(), extra.as_object()) {
        for (key, value) in from {
            let old = to.remove(key).unwrap_or(Value::Null);
            let new = if value.is_object() && old.is_object() {
                merged(old, value)
            } else {
                value.clone()
            };
            to.insert(key.clone(), new);
        }
    }
    base
}

/// A node with 4 CPUs, 8 GiB and room for 110 pods, labelled with its name.
pub(crate) fn node(name: &str, extra: &Value) -> Value {
    let base = json!({"apiVersion":"v1","kind":"Node",
        "metadata":{"name":name,"uid":format!("u-{name}"),"labels":{"kubernetes.io/hostname":name}},
        "spec":{},"status":{"allocatable":{"cpu":"4","memory":"8Gi","pods":"110"}}});
    merged(base, extra)
}

/// A pending pod of namespace `n` with one container that asks for nothing.
pub(crate) fn pod(name: &str, extra: &Value) -> Value {
    let base = json!({"apiVersion":"v1","kind":"Pod",
        "metadata":{"name":name,"namespace":"n","uid":format!("u-{name}")},
        "spec":{"schedulerName":"default-scheduler","containers":[{"name":"c","image":"i"}]},
        "status":{"phase":"Pending"}});
    merged(base, extra)
}

/// `spec.containers` with one container that asks for this much.
pub(crate) fn asking(cpu: &str, memory: &str) -> Value {
    json!({"spec":{"containers":[{"name":"c","image":"i","resources":{"requests":{"cpu":cpu,"memory":memory}}}]}})
}

/// A pod that stands on a node.
pub(crate) fn bound(name: &str, node: &str, extra: &Value) -> Value {
    merged(
        pod(name, extra),
        &json!({"spec":{"nodeName":node},"status":{"phase":"Running"}}),
    )
}

/// A world of these nodes and pods.
pub(crate) fn world(nodes: &[Value], pods: &[Value]) -> World {
    let mut world = World::new(&[]);
    for node in nodes {
        put(&mut world, NODES, node);
    }
    for pod in pods {
        put(&mut world, PODS, pod);
    }
    world
}

/// The key of a pod of namespace `n`.
pub(crate) fn key(name: &str) -> Key {
    Key::new(PODS, "n", name)
}
