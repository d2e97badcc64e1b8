//! Which of several possible nodes is the best: one table for all plugins, each
//! row made so that one plugin tips the scale.

use object::names::resources::{PODS, REPLICA_SETS, SERVICES};
use scheduler::{Outcome, Snapshot, schedule};
use serde_json::{Value, json};

use crate::lab::{asking, bound, cx, key, merged, node, pod, put, world};

/// The node that pod `p` gets for each of many random numbers.
fn chosen(
    nodes: &[Value],
    standing: &[Value],
    others: &[(object::Resource, Value)],
    p: &Value,
) -> Vec<String> {
    let mut world = world(nodes, standing);
    for (resource, value) in others {
        put(&mut world, *resource, value);
    }
    put(&mut world, PODS, p);
    let mut names: Vec<String> = (0..32)
        .map(|random| {
            let cx = reconcile::Cx { random, ..cx() };
            let decisions = schedule(&cx, &world, &mut Snapshot::of(&world), &[key("p")]);
            match &decisions[0].outcome {
                Outcome::Bind { node, .. } => node.to_string(),
                other => panic!("{other:?}"),
            }
        })
        .collect();
    names.sort();
    names.dedup();
    names
}

fn labelled(name: &str, labels: Value) -> Value {
    node(name, &json!({"metadata":{"labels":labels}}))
}

fn preferred_pods(kind: &str, key: &str) -> Value {
    json!({"spec":{"affinity":{kind:{"preferredDuringSchedulingIgnoredDuringExecution":[
        {"weight":10,"podAffinityTerm":{"topologyKey":key,"labelSelector":{"matchLabels":{"app":"web"}}}}]}}}})
}

#[test]
fn each_plugin_tips_the_scale() {
    let plain = || vec![node("a", &json!({})), node("b", &json!({}))];
    let zones = || {
        vec![
            labelled("a", json!({"zone":"1"})),
            labelled("b", json!({"zone":"2"})),
        ]
    };
    let web = |node: &str| bound("x", node, &json!({"metadata":{"labels":{"app":"web"}}}));
    let prefers_node = json!({"spec":{"affinity":{"nodeAffinity":{"preferredDuringSchedulingIgnoredDuringExecution":[
        {"weight":1,"preference":{"matchExpressions":[{"key":"zone","operator":"In","values":["2"]}]}}]}}}});
    let soft = json!({"metadata":{"labels":{"app":"web"}},"spec":{"topologySpreadConstraints":[
        {"maxSkew":1,"topologyKey":"zone","whenUnsatisfiable":"ScheduleAnyway","labelSelector":{"matchLabels":{"app":"web"}}}]}});
    let wants = merged(
        web("b"),
        &json!({"spec":{"affinity":{"podAffinity":{"requiredDuringSchedulingIgnoredDuringExecution":[
        {"topologyKey":"zone","labelSelector":{"matchLabels":{"app":"db"}}}]}}}}),
    );
    let repels = merged(
        web("a"),
        &merged(preferred_pods("podAntiAffinity", "zone"), &json!({})),
    );
    let image = json!({"status":{"images":[{"names":["i:latest"],"sizeBytes":900_000_000}]}});
    let prefer_no = json!({"spec":{"taints":[{"key":"k","effect":"PreferNoSchedule"}]}});
    // Balanced: the pod is heavy on memory; on b CPU is the more used.
    let lopsided = [
        bound("x", "a", &asking("0", "2Gi")),
        bound("y", "b", &asking("1", "0")),
    ];
    let rows = [
        (
            "taints",
            vec![node("a", &prefer_no), node("b", &json!({}))],
            vec![],
            pod("p", &json!({})),
        ),
        (
            "least allocated",
            plain(),
            vec![bound("x", "a", &asking("2", "4Gi"))],
            pod("p", &asking("1", "1Gi")),
        ),
        (
            "balance",
            plain(),
            lopsided.to_vec(),
            pod("p", &asking("0", "2Gi")),
        ),
        ("node affinity", zones(), vec![], pod("p", &prefers_node)),
        (
            "images",
            vec![node("a", &json!({})), node("b", &image)],
            vec![],
            pod("p", &json!({})),
        ),
        ("soft spread", zones(), vec![web("a")], pod("p", &soft)),
        (
            "pod affinity",
            zones(),
            vec![web("b")],
            pod("p", &preferred_pods("podAffinity", "zone")),
        ),
        (
            "pod anti-affinity",
            zones(),
            vec![web("a")],
            pod("p", &preferred_pods("podAntiAffinity", "zone")),
        ),
        (
            "a standing pod's affinity",
            zones(),
            vec![wants],
            pod("p", &json!({"metadata":{"labels":{"app":"db"}}})),
        ),
        (
            "a standing pod's preference",
            zones(),
            vec![repels],
            pod("p", &json!({"metadata":{"labels":{"app":"web"}}})),
        ),
    ];
    for (why, nodes, standing, p) in rows {
        assert_eq!(chosen(&nodes, &standing, &[], &p), ["b"], "{why}");
    }
}

#[test]
fn equals_are_drawn_by_lot() {
    let nodes = [
        node("a", &json!({})),
        node("b", &json!({})),
        node("c", &json!({})),
    ];
    assert_eq!(
        chosen(&nodes, &[], &[], &pod("p", &json!({}))),
        ["a", "b", "c"]
    );
}

#[test]
fn pods_of_a_service_or_a_set_spread_by_default() {
    let nodes = [node("a", &json!({})), node("b", &json!({}))];
    let standing = [bound(
        "x",
        "a",
        &json!({"metadata":{"labels":{"app":"web"}}}),
    )];
    let p = pod("p", &json!({"metadata":{"labels":{"app":"web"}}}));
    // The pods ask for nothing, but count for defaults: only as much room is left
    // on b. Take that away with a pod that no selector means.
    let level = bound("y", "b", &json!({}));
    let standing = [standing[0].clone(), level];
    assert_eq!(
        chosen(&nodes, &standing, &[], &p),
        ["a", "b"],
        "nothing selects it"
    );
    let service =
        json!({"metadata":{"name":"s","namespace":"n"},"spec":{"selector":{"app":"web"}}});
    assert_eq!(chosen(&nodes, &standing, &[(SERVICES, service)], &p), ["b"]);
    let set = json!({"metadata":{"name":"r","namespace":"n","uid":"u-r"},"spec":{"selector":{"matchLabels":{"app":"web"}},"template":{}}});
    let owned = merged(
        p,
        &json!({"metadata":{"ownerReferences":[
        {"apiVersion":"apps/v1","kind":"ReplicaSet","name":"r","uid":"u-r","controller":true}]}}),
    );
    assert_eq!(
        chosen(&nodes, &standing, &[(REPLICA_SETS, set)], &owned),
        ["b"]
    );
}
