//! What ownership costs a write. Every write pays for `update`.
#![expect(missing_docs, reason = "criterion makes undocumented items")]

use std::hint::black_box;

use criterion::{BatchSize, Criterion, criterion_group, criterion_main};
use jiff::Timestamp;
use patch::managed::{OneShape, Write, apply, update};
use patch::{FieldSet, Shape};
use serde_json::{Value, json};

fn shape(kind: &str) -> Shape<'static> {
    schema::types()
        .by_api_version("v1", kind)
        .map(Shape::new)
        .expect("a built-in kind")
}

fn write<'a>(
    versions: &'a OneShape<'a>,
    kind: &'a str,
    manager: &'a str,
    reset: &'a FieldSet,
) -> Write<'a> {
    Write {
        versions,
        api_version: "v1",
        kind,
        manager,
        subresource: "",
        reset,
        now: Timestamp::UNIX_EPOCH,
    }
}

fn config_map() -> Value {
    let data: serde_json::Map<_, _> = (0..10)
        .map(|n| (format!("key-{n}"), Value::from("x".repeat(80))))
        .collect();
    json!({"apiVersion": "v1", "kind": "ConfigMap",
        "metadata": {"name": "c", "namespace": "d", "uid": "u", "labels": {"app": "x"}}, "data": data})
}

fn pod() -> Value {
    let container = |n: usize| {
        json!({"name": format!("c{n}"), "image": "registry.example.com/team/app:1.2.3",
            "command": ["/bin/app", "--serve"], "imagePullPolicy": "IfNotPresent",
            "ports": [{"containerPort": 8080, "name": "http", "protocol": "TCP"},
                      {"containerPort": 9090, "name": "metrics", "protocol": "TCP"}],
            "env": (0..8).map(|n| json!({"name": format!("VARIABLE_{n}"), "value": "some value"})).collect::<Vec<_>>(),
            "resources": {"limits": {"cpu": "1", "memory": "1Gi"}, "requests": {"cpu": "100m", "memory": "128Mi"}},
            "livenessProbe": {"httpGet": {"path": "/live", "port": 8080, "scheme": "HTTP"},
                "failureThreshold": 3, "periodSeconds": 10, "successThreshold": 1, "timeoutSeconds": 1},
            "terminationMessagePath": "/dev/termination-log", "terminationMessagePolicy": "File",
            "volumeMounts": [{"mountPath": "/var/run/secrets/kubernetes.io/serviceaccount", "name": "token", "readOnly": true}]})
    };
    json!({"apiVersion": "v1", "kind": "Pod",
        "metadata": {"name": "p", "namespace": "d", "uid": "u", "labels": {"app": "x", "pod-template-hash": "abc"},
            "ownerReferences": [{"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "r", "uid": "ru", "controller": true}]},
        "spec": {"containers": [container(0), container(1)], "dnsPolicy": "ClusterFirst", "restartPolicy": "Always",
            "schedulerName": "default-scheduler", "securityContext": {}, "terminationGracePeriodSeconds": 30,
            "tolerations": [{"key": "node.kubernetes.io/not-ready", "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 300}],
            "volumes": [{"name": "token", "projected": {"defaultMode": 420, "sources": []}}]},
        "status": {"phase": "Pending", "qosClass": "Burstable"}})
}

/// The object as stored after its create.
fn stored(kind: &str, mut object: Value) -> Value {
    let (reset, versions) = (
        FieldSet::of(&[&["status"]]),
        OneShape {
            shape: shape(kind),
            group: "",
        },
    );
    update(
        &write(&versions, kind, "creator", &reset),
        None,
        &mut object,
    )
    .expect("comparable");
    object
}

fn bench_kind(c: &mut Criterion, kind: &str, object: &Value, change: fn(&mut Value)) {
    let none = FieldSet::new();
    let versions = OneShape {
        shape: shape(kind),
        group: "",
    };
    let live = stored(kind, object.clone());
    let mut changed = live.clone();
    change(&mut changed);
    let op = write(&versions, kind, "changer", &none);
    let mut run = |name: &str, before: Option<&Value>, after: &Value| {
        c.bench_function(&format!("{kind}/{name}"), |b| {
            b.iter_batched_ref(
                || after.clone(),
                |after| update(&op, black_box(before), after),
                BatchSize::SmallInput,
            );
        });
    };
    run("create", None, object);
    run("unchanged", Some(&live), &live);
    run("changed", Some(&live), &changed);
    let mut config = object.clone();
    config.as_object_mut().expect("an object").remove("status");
    let op = write(&versions, kind, "applier", &none);
    c.bench_function(&format!("{kind}/apply"), |b| {
        b.iter(|| apply(&op, Some(black_box(&live)), &config, true));
    });
}

fn ownership(c: &mut Criterion) {
    bench_kind(c, "ConfigMap", &config_map(), |object| {
        object["data"]["key-3"] = "other".into();
    });
    bench_kind(c, "Pod", &pod(), |object| {
        object["status"] = json!({"phase": "Running", "qosClass": "Burstable", "podIP": "10.1.2.3",
            "conditions": [{"type": "Ready", "status": "True"}, {"type": "PodScheduled", "status": "True"}]});
    });
}

criterion_group!(benches, ownership);
criterion_main!(benches);
