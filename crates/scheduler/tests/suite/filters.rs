//! Which nodes a pod may run on, and what is said when there is none: one table a
//! plugin, through the public decision.

use crate::lab::{asking, bound, cx, key, merged, node, pod, put, world};
use object::names::resources::{NAMESPACES, PODS};
use scheduler::{Outcome, Plugin, Snapshot, schedule};
use serde_json::{Value, json};

/// The node that pod `p` gets, or what is said.
pub(crate) fn decide(nodes: &[Value], standing: &[Value], p: &Value) -> String {
    let mut world = world(nodes, standing);
    for (name, labels) in [("n", json!({"team":"a"})), ("other", json!({"team":"b"}))] {
        put(
            &mut world,
            NAMESPACES,
            &json!({"metadata":{"name":name,"labels":labels}}),
        );
    }
    put(&mut world, PODS, p);
    let mut snapshot = Snapshot::of(&world);
    let decisions = schedule(&cx(), &world, &mut snapshot, &[key("p")]);
    match &decisions[0].outcome {
        Outcome::Bind { node, .. } => node.to_string(),
        Outcome::Unschedulable(no) => no.message.clone(),
        other => format!("{other:?}"),
    }
}

/// What is said of a single node that cannot be helped, or could be.
pub(crate) fn hopeless(reason: &str) -> String {
    format!(
        "0/1 nodes are available: 1 {reason}. preemption: 0/1 nodes are available: 1 Preemption is not helpful for scheduling."
    )
}

pub(crate) fn no_victims(reason: &str) -> String {
    format!(
        "0/1 nodes are available: 1 {reason}. preemption: 0/1 nodes are available: 1 No preemption victims found for incoming pod."
    )
}

pub(crate) fn one(extra: &Value) -> Vec<Value> {
    vec![node("a", extra)]
}

#[test]
fn cordoned_and_tainted_nodes_need_a_toleration() {
    let cordoned = one(&json!({"spec":{"unschedulable":true}}));
    let tainted =
        |effect: &str| one(&json!({"spec":{"taints":[{"key":"k","value":"v","effect":effect}]}}));
    let tolerating = |toleration: Value| pod("p", &json!({"spec":{"tolerations":[toleration]}}));
    let unschedulable = hopeless("node(s) were unschedulable");
    let untolerated = hopeless("node(s) had untolerated taint(s)");
    let rows = [
        (
            cordoned.clone(),
            pod("p", &json!({})),
            unschedulable.as_str(),
        ),
        (
            cordoned,
            tolerating(json!({"key":"node.kubernetes.io/unschedulable","operator":"Exists"})),
            "a",
        ),
        (tainted("NoSchedule"), pod("p", &json!({})), &untolerated),
        (tainted("NoExecute"), pod("p", &json!({})), &untolerated),
        (tainted("PreferNoSchedule"), pod("p", &json!({})), "a"),
        (
            tainted("NoSchedule"),
            tolerating(json!({"key":"k","value":"v"})),
            "a",
        ),
        (
            tainted("NoSchedule"),
            tolerating(json!({"key":"k","value":"w"})),
            &untolerated,
        ),
        (
            tainted("NoSchedule"),
            tolerating(json!({"key":"k","operator":"Exists","effect":"NoExecute"})),
            &untolerated,
        ),
        (
            tainted("NoSchedule"),
            tolerating(json!({"operator":"Exists"})),
            "a",
        ),
    ];
    for (nodes, p, want) in rows {
        assert_eq!(decide(&nodes, &[], &p), want, "{p}");
    }
}

#[test]
fn selectors_and_node_affinity_choose_nodes() {
    let nodes = [
        node("a", &json!({"metadata":{"labels":{"disk":"ssd","n":"5"}}})),
        node("b", &json!({"metadata":{"labels":{"disk":"hdd","n":"9"}}})),
    ];
    let required = |terms: Value| {
        pod(
            "p",
            &json!({"spec":{"affinity":{"nodeAffinity":{
            "requiredDuringSchedulingIgnoredDuringExecution":{"nodeSelectorTerms":terms}}}}}),
        )
    };
    let expression = |key: &str, operator: &str, values: Value| json!({"matchExpressions":[{"key":key,"operator":operator,"values":values}]});
    let none = "0/2 nodes are available: 2 node(s) didn't match Pod's node affinity/selector. preemption: 0/2 nodes are available: 2 Preemption is not helpful for scheduling.";
    let not_named = "0/2 nodes are available: 2 node(s) didn't satisfy plugin(s) [NodeAffinity]. preemption: 0/2 nodes are available: 2 Preemption is not helpful for scheduling.";
    let rows = [
        (
            pod("p", &json!({"spec":{"nodeSelector":{"disk":"hdd"}}})),
            "b",
        ),
        (
            pod(
                "p",
                &json!({"spec":{"nodeSelector":{"disk":"hdd","n":"5"}}}),
            ),
            none,
        ),
        (
            required(json!([expression("disk", "In", json!(["hdd"]))])),
            "b",
        ),
        (
            required(json!([expression("disk", "NotIn", json!(["hdd"]))])),
            "a",
        ),
        (required(json!([expression("n", "Gt", json!(["6"]))])), "b"),
        (required(json!([expression("n", "Lt", json!(["6"]))])), "a"),
        (
            required(json!([
                expression("disk", "DoesNotExist", json!([])),
                expression("n", "Lt", json!(["6"]))
            ])),
            "a",
        ),
        (required(json!([{}])), none),
        (
            required(
                json!([{"matchFields":[{"key":"metadata.name","operator":"In","values":["b"]}]}]),
            ),
            "b",
        ),
        (
            required(
                json!([{"matchFields":[{"key":"metadata.name","operator":"In","values":["c"]}]}]),
            ),
            not_named,
        ),
    ];
    for (p, want) in rows {
        assert_eq!(decide(&nodes, &[], &p), want, "{p}");
    }
}

#[test]
fn host_ports_are_taken_once() {
    let with = |port: i32| json!({"spec":{"containers":[{"name":"c","image":"i","ports":[{"containerPort":1,"hostPort":port}]}]}});
    let standing = [bound("x", "a", &with(80))];
    let taken = no_victims("node(s) didn't have free ports for the requested pod ports");
    assert_eq!(
        decide(&one(&json!({})), &standing, &pod("p", &with(80))),
        taken
    );
    assert_eq!(
        decide(&one(&json!({})), &standing, &pod("p", &with(81))),
        "a"
    );
}

#[test]
fn resources_are_counted_with_what_stands_already() {
    let standing = [bound("x", "a", &asking("3", "1Gi"))];
    let small = one(&json!({"status":{"allocatable":{"pods":"1"}}}));
    let extended = |n: &str| json!({"spec":{"containers":[{"name":"c","image":"i","resources":{"requests":{"example.com/gpu":n}}}]}});
    let gpus = one(&json!({"status":{"allocatable":{"example.com/gpu":"2"}}}));
    let (cpu, both) = (
        no_victims("Insufficient cpu"),
        "0/1 nodes are available: 1 Insufficient cpu, 1 Insufficient memory. preemption: 0/1 nodes are available: 1 Preemption is not helpful for scheduling.",
    );
    let (many, gpu) = (
        no_victims("Too many pods"),
        hopeless("Insufficient example.com/gpu"),
    );
    let ended = [merged(
        bound("x", "a", &asking("3", "1Gi")),
        &json!({"status":{"phase":"Succeeded"}}),
    )];
    let overhead = merged(
        pod("p", &asking("1", "1Gi")),
        &json!({"spec":{"overhead":{"cpu":"1m"}}}),
    );
    let rows = [
        (
            one(&json!({})),
            &standing[..],
            pod("p", &asking("1", "1Gi")),
            "a",
        ),
        (
            one(&json!({})),
            &standing,
            pod("p", &asking("1001m", "1Gi")),
            &cpu,
        ),
        (one(&json!({})), &standing, overhead, &cpu),
        (one(&json!({})), &ended, pod("p", &asking("4", "1Gi")), "a"),
        (
            one(&json!({})),
            &standing,
            pod("p", &asking("5", "9Gi")),
            both,
        ),
        (small, &standing, pod("p", &json!({})), &many),
        (gpus.clone(), &[], pod("p", &extended("2")), "a"),
        (gpus, &[], pod("p", &extended("3")), &gpu),
    ];
    for (nodes, standing, p, want) in rows {
        assert_eq!(decide(&nodes, standing, &p), want, "{p}");
    }
}

#[test]
fn there_must_be_a_node() {
    assert_eq!(
        decide(&[], &[], &pod("p", &json!({}))),
        "no nodes available to schedule pods"
    );
}

#[test]
fn reasons_of_many_nodes_are_counted() {
    let nodes = [
        node(
            "a",
            &json!({"spec":{"taints":[{"key":"node-role.kubernetes.io/control-plane","effect":"NoSchedule"}]}}),
        ),
        node("b", &json!({})),
        node("c", &json!({})),
    ];
    let standing = [
        bound("x", "b", &asking("3", "1Gi")),
        bound("y", "c", &asking("3", "1Gi")),
    ];
    assert_eq!(
        decide(&nodes, &standing, &pod("p", &asking("2", "1Gi"))),
        "0/3 nodes are available: 1 node(s) had untolerated taint(s), 2 Insufficient cpu. preemption: 0/3 nodes are available: 1 Preemption is not helpful for scheduling, 2 No preemption victims found for incoming pod."
    );
}

#[test]
fn the_plugins_that_refused_are_known() {
    let nodes = [
        node("a", &json!({"spec":{"unschedulable":true}})),
        node("b", &json!({})),
    ];
    let world = world(
        &nodes,
        &[
            bound("x", "b", &asking("4", "1Gi")),
            pod("p", &asking("1", "1Gi")),
        ],
    );
    let decisions = schedule(&cx(), &world, &mut Snapshot::of(&world), &[key("p")]);
    let Outcome::Unschedulable(no) = &decisions[0].outcome else {
        panic!("{decisions:?}");
    };
    let names: Vec<_> = no.plugins.iter().map(Plugin::name).collect();
    assert_eq!(names, ["NodeUnschedulable", "NodeResourcesFit"]);
}

#[test]
fn pods_that_are_nothing_to_schedule_are_left_alone() {
    let rows = [
        (
            json!({"spec":{"schedulingGates":[{"name":"g"}]}}),
            "NotPending(Gated)",
        ),
        (
            json!({"spec":{"schedulerName":"mine"}}),
            "NotPending(Foreign)",
        ),
        (
            json!({"metadata":{"deletionTimestamp":"2026-01-01T00:00:00Z"}}),
            "NotPending(Settled)",
        ),
        (json!({"spec":{"nodeName":"a"}}), "NotPending(Settled)"),
        (json!({"status":{"phase":"Failed"}}), "NotPending(Settled)"),
    ];
    for (extra, want) in rows {
        assert_eq!(decide(&one(&json!({})), &[], &pod("p", &extra)), want);
    }
}
