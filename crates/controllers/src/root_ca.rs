//! Root CA publisher: every active namespace has a ConfigMap `kube-root-ca.crt`
//! with the cluster's CA.
//!
//! Reads Namespace and ConfigMap; the source is the ConfigMap of that name in
//! `kube-system`, which the server writes when it starts. Writes ConfigMap.
//! Invariant: never writes the source.

use client::{Target, Write};
use object::names::resources::{CONFIG_MAPS, NAMESPACES};
use object::{Key, Object};
use reconcile::{Controller, Cx, Plan, PlanError, Wake};
use serde_json::json;
use world::World;

/// The ConfigMap's name, in every namespace.
pub const NAME: &str = "kube-root-ca.crt";
/// Where the source stands.
const SOURCE: &str = "kube-system";
/// The annotation that tells people what the ConfigMap is; its text is API.
const DESCRIPTION: &str = "Contains a CA bundle that can be used to verify the kube-apiserver when using internal endpoints such as the internal service IP or kubernetes.default.svc. No other usage is guaranteed across distributions of Kubernetes clusters.";

/// The controller.
pub const CONTROLLER: Controller = Controller {
    name: "root-ca-certificate-publisher-controller",
    account: "root-ca-cert-publisher",
    reconciles: NAMESPACES,
    wakes_on: &[Wake::Mapped(CONFIG_MAPS, namespaces_of)],
    plan,
};

fn namespaces_of(world: &World, map: &Object) -> Vec<Key> {
    let meta = map.meta();
    match (meta.name.as_str(), meta.namespace.as_str()) {
        (NAME, SOURCE) => world.list(NAMESPACES).map(|ns| ns.key()).collect(),
        (NAME, namespace) => vec![Key::new(NAMESPACES, "", namespace)],
        _ => Vec::new(),
    }
}

fn plan(_: &Cx, world: &World, key: &Key) -> Result<Plan, PlanError> {
    let mut plan = Plan::default();
    let name = key.name.name.as_str();
    let active = world.get(key).is_some_and(|ns| !ns.meta().is_deleting());
    let source = world.find(CONFIG_MAPS, SOURCE, NAME);
    let (true, Some(source)) = (active && name != SOURCE, source) else {
        return Ok(plan);
    };
    let source = source.value();
    let Some(pem) = source.pointer("/data/ca.crt") else {
        return Ok(plan);
    };
    let data = json!({ "ca.crt": pem });
    let annotations = json!({ "kubernetes.io/description": DESCRIPTION });
    let Some(there) = world.find(CONFIG_MAPS, name, NAME) else {
        let body = json!({
            "apiVersion": "v1", "kind": "ConfigMap",
            "metadata": {"name": NAME, "namespace": name, "annotations": annotations},
            "data": data,
        });
        let target = Target::collection(CONFIG_MAPS, "v1", name);
        plan.write(Write::create(target, body));
        return Ok(plan);
    };
    let mut value = there.value();
    let described = there.meta().annotation("kubernetes.io/description") == Some(DESCRIPTION);
    if value.get("data") != Some(&data) || !described {
        value["data"] = data;
        value["metadata"]["annotations"] = annotations;
        plan.write(Write::update(Target::of(there), value));
    }
    Ok(plan)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scene;

    #[test]
    fn the_bundle_is_made_repaired_and_left_alone() {
        let map = |namespace: &str, pem: &str| {
            let value = json!({"apiVersion":"v1","kind":"ConfigMap",
                "metadata":{"name":NAME,"namespace":namespace,"annotations":{"kubernetes.io/description":DESCRIPTION}},
                "data":{"ca.crt":pem}});
            (CONFIG_MAPS, value)
        };
        let namespace = json!({"apiVersion":"v1","kind":"Namespace","metadata":{"name":"n"}});
        let base = vec![(NAMESPACES, namespace), map(SOURCE, "pem")];
        let with = |extra| [base.clone(), vec![extra]].concat();
        let rows = [
            (base.clone(), vec!["Create /api/v1/namespaces/n/configmaps"]),
            (
                with(map("n", "forged")),
                vec!["Update /api/v1/namespaces/n/configmaps/kube-root-ca.crt"],
            ),
            (with(map("n", "pem")), vec![]),
        ];
        for (objects, expected) in rows {
            let world = scene::world(&objects);
            let plan = scene::plan(&CONTROLLER, &world, NAMESPACES, "", "n");
            assert_eq!(scene::lines(&plan), expected);
        }
    }
}
