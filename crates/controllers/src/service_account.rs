//! ServiceAccount: every active namespace has an account `default`.
//!
//! Reads Namespace and ServiceAccount. Writes ServiceAccount. Invariant: makes
//! only accounts that do not exist.

use client::{Target, Write};
use object::names::resources::{NAMESPACES, SERVICE_ACCOUNTS};
use object::{Key, Object};
use reconcile::{Controller, Cx, Plan, PlanError, Wake};
use serde_json::json;
use world::World;

/// The controller.
pub const CONTROLLER: Controller = Controller {
    name: "serviceaccount-controller",
    account: "service-account-controller",
    reconciles: NAMESPACES,
    wakes_on: &[Wake::Mapped(SERVICE_ACCOUNTS, namespace_of)],
    plan,
};

fn namespace_of(_: &World, account: &Object) -> Vec<Key> {
    let meta = account.meta();
    if meta.name != "default" {
        return Vec::new();
    }
    vec![Key::new(NAMESPACES, "", meta.namespace.clone())]
}

fn plan(_: &Cx, world: &World, key: &Key) -> Result<Plan, PlanError> {
    let mut plan = Plan::default();
    let name = &key.name.name;
    let active = world.get(key).is_some_and(|ns| !ns.meta().is_deleting());
    if active && world.find(SERVICE_ACCOUNTS, name, "default").is_none() {
        let body = json!({
            "apiVersion": "v1", "kind": "ServiceAccount",
            "metadata": {"name": "default", "namespace": name},
        });
        plan.write(Write::create(
            Target::collection(SERVICE_ACCOUNTS, "v1", name),
            body,
        ));
    }
    Ok(plan)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scene;

    #[test]
    fn an_active_namespace_gets_its_account_once() {
        let active = json!({"apiVersion":"v1","kind":"Namespace","metadata":{"name":"n"}});
        let mut ending = active.clone();
        ending["metadata"]["deletionTimestamp"] = json!("2026-01-01T00:00:00Z");
        let account = json!({"apiVersion":"v1","kind":"ServiceAccount","metadata":{"name":"default","namespace":"n"}});
        let rows = [
            (vec![(NAMESPACES, active.clone())], 1),
            (vec![(NAMESPACES, ending)], 0),
            (vec![(NAMESPACES, active), (SERVICE_ACCOUNTS, account)], 0),
            (vec![], 0),
        ];
        for (objects, writes) in rows {
            let world = scene::world(&objects);
            let plan = scene::plan(&CONTROLLER, &world, NAMESPACES, "", "n");
            assert_eq!(plan.steps().count(), writes, "{objects:?}");
        }
    }
}
