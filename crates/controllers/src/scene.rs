//! Worlds for tests, from JSON values.

use std::sync::Arc;

use jiff::Timestamp;
use object::{Draft, Key, Object, Resource};
use reconcile::{Controller, Cx, Plan};
use serde_json::Value;
use smol_str::SmolStr;
use world::{Commit, Event, World};

/// The world that holds these objects, each at a revision of its own.
pub(crate) fn world(objects: &[(Resource, Value)]) -> World {
    let mut world = World::new(&[]);
    for (index, (resource, value)) in objects.iter().enumerate() {
        let revision = index as u64 + 1;
        let fields = |_: &Value| std::iter::empty::<(&str, SmolStr)>().collect();
        let object: Arc<Object> =
            Arc::new(Draft::new(*resource, value, fields).unwrap().seal(revision));
        world = world.apply(&Commit {
            revision,
            events: vec![Arc::new(Event::put(object, None))],
        });
    }
    world
}

/// The time at which tests plan.
pub(crate) fn now() -> Timestamp {
    "2026-01-01T12:00:00Z".parse().unwrap()
}

/// Plans one key.
pub(crate) fn plan(
    controller: &Controller,
    world: &World,
    resource: Resource,
    namespace: &str,
    name: &str,
) -> Plan {
    let cx = Cx {
        now: now(),
        random: 7,
    };
    (controller.plan)(&cx, world, &Key::new(resource, namespace, name)).unwrap()
}

/// The plan's writes in one line each: verb, path.
pub(crate) fn lines(plan: &Plan) -> Vec<String> {
    plan.steps()
        .map(|step| format!("{:?} {}", step.write.verb, step.write.target.path()))
        .collect()
}
