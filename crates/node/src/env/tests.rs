//! Tables of environments.

use super::*;
use object::{Draft, Object};
use serde_json::json;
use std::sync::Arc;
use world::{Commit, Event};

fn world(objects: &[(Resource, serde_json::Value)]) -> World {
    let seal = |(index, (resource, value)): (usize, &(Resource, serde_json::Value))| -> Arc<Event> {
        let draft = Draft::new(*resource, value, |_| Default::default()).unwrap();
        let object: Object = draft.seal(index as u64 + 1);
        Arc::new(Event::put(Arc::new(object), None))
    };
    let events = objects.iter().enumerate().map(seal).collect();
    World::new(&[]).apply(&Commit {
        revision: objects.len() as u64,
        events,
    })
}

fn sample() -> World {
    world(&[
        (
            CONFIG_MAPS,
            json!({"metadata": {"name": "c", "namespace": "n"}, "data": {"k": "v", "l": "w"}}),
        ),
        (
            SECRETS,
            json!({"metadata": {"name": "s", "namespace": "n"}, "data": {"p": "cGFzcw=="}}),
        ),
        (
            Resource::new("", "services"),
            json!({"metadata": {"name": "my-db", "namespace": "n"},
            "spec": {"clusterIP": "10.43.0.7", "ports": [{"name": "sql", "port": 5432, "protocol": "TCP"}]}}),
        ),
    ])
}

fn make(container: serde_json::Value) -> Result<Vec<(String, String)>, EnvError> {
    let pod: Pod = serde_json::from_value(json!({
        "metadata": {"name": "p", "namespace": "n", "uid": "u", "labels": {"a": "b"}},
        "spec": {"nodeName": "node", "containers": [container]},
    }))
    .unwrap();
    let facts = fields::Facts {
        pod_ips: vec![[10, 42, 0, 2].into()],
        node_cpu_milli: 4000,
        node_memory_bytes: 8 << 30,
        ..Default::default()
    };
    let container = &pod.spec.as_ref().unwrap().containers[0];
    environment(
        &pod,
        container,
        &Source {
            world: &sample(),
            facts: &facts,
        },
    )
}

fn value(container: serde_json::Value, name: &str) -> String {
    let env = make(container).unwrap();
    env.into_iter()
        .find(|(known, _)| known == name)
        .map(|(_, value)| value)
        .unwrap_or_default()
}

#[test]
fn variables_come_from_everywhere() {
    let with = |env: serde_json::Value| json!({"name": "a", "resources": {"limits": {"cpu": "1500m"}}, "envFrom": [{"prefix": "P_", "configMapRef": {"name": "c"}}], "env": [{"name": "A", "value": "1"}, env]});
    let rows = [
        (
            json!({"name": "X", "value": "$(A)-$(P_k)-$(NONE)-$$(A)-$(MY_DB_SERVICE_HOST)"}),
            "1-v-$(NONE)-$(A)-10.43.0.7",
        ),
        (
            json!({"name": "X", "valueFrom": {"configMapKeyRef": {"name": "c", "key": "l"}}}),
            "w",
        ),
        (
            json!({"name": "X", "valueFrom": {"secretKeyRef": {"name": "s", "key": "p"}}}),
            "pass",
        ),
        (
            json!({"name": "X", "valueFrom": {"secretKeyRef": {"name": "none", "key": "p", "optional": true}}}),
            "",
        ),
        (
            json!({"name": "X", "valueFrom": {"fieldRef": {"fieldPath": "metadata.labels['a']"}}}),
            "b",
        ),
        (
            json!({"name": "X", "valueFrom": {"fieldRef": {"fieldPath": "status.podIP"}}}),
            "10.42.0.2",
        ),
        (
            json!({"name": "X", "valueFrom": {"resourceFieldRef": {"resource": "limits.cpu"}}}),
            "2",
        ),
        (
            json!({"name": "X", "valueFrom": {"resourceFieldRef": {"resource": "limits.cpu", "divisor": "1m"}}}),
            "1500",
        ),
        (
            json!({"name": "X", "valueFrom": {"resourceFieldRef": {"resource": "limits.memory", "divisor": "1Mi"}}}),
            "8192",
        ),
    ];
    for (variable, want) in rows {
        assert_eq!(value(with(variable.clone()), "X"), want, "{variable}");
    }
    let env = make(json!({"name": "a"})).unwrap();
    assert!(env.contains(&(
        "MY_DB_PORT_5432_TCP".to_owned(),
        "tcp://10.43.0.7:5432".to_owned()
    )));
}

#[test]
fn what_is_missing_is_named_as_the_kubelet_names_it() {
    let rows = [
        (
            json!({"configMapKeyRef": {"name": "no", "key": "k"}}),
            "configmap \"no\" not found",
        ),
        (
            json!({"secretKeyRef": {"name": "s", "key": "q"}}),
            "couldn't find key q in Secret n/s",
        ),
        (
            json!({"fieldRef": {"fieldPath": "spec.x"}}),
            "unsupported fieldPath: spec.x",
        ),
    ];
    for (from, want) in rows {
        let error =
            make(json!({"name": "a", "env": [{"name": "X", "valueFrom": from}]})).unwrap_err();
        assert_eq!(error.to_string(), want);
    }
}
