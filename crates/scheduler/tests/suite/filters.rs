//! Which nodes a pod may run on, and what is said when there is none: one table a
//! plugin, through the public decision.

use crate::lab::{asking, bound, cx, key, merged, node, pod, put, world};
use object::names::resources::{NAMESPACES, PODS};
use scheduler::{Outcome, Plugin, Snapshot, schedule};
use serde_json::{Value, json};

/// The node that pod `p` gets, or what is said.
fn decide(nodes: &[Value], standing: &[Value], p: &Value) -> String {
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
fn hopeless(reason: &str) -> String {
    format!(
        "0/1 nodes are available: 1 {reason}. preemption: 0/1 nodes are available: 1 Preemption is not helpful for scheduling."
    )
}

fn no_victims(reason: &str) -> String {
    format!(
        "0/1 nodes are available: 1 {reason}. preemption: 0/1 nodes are available: 1 No preemption victims found for incoming pod."
    )
}

fn one(extra: &Value) -> Vec<Value> {
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

fn affinity(kind: &str, term: &Value) -> Value {
    json!({"spec":{"affinity":{kind:{"requiredDuringSchedulingIgnoredDuringExecution":[
        merged(json!({"topologyKey":"zone","labelSelector":{"matchLabels":{"app":"web"}}}), term)]}}}})
}

fn zones() -> Vec<Value> {
    ["a", "b"]
        .map(|name| {
            node(
                name,
                &json!({"metadata":{"labels":{"zone":format!("z{name}")}}}),
            )
        })
        .to_vec()
}

#[test]
fn pods_stand_with_the_pods_they_need() {
    let web = |namespace: &str| {
        merged(
            bound(
                "x",
                "b",
                &json!({"metadata":{"labels":{"app":"web","v":"1"}}}),
            ),
            &json!({"metadata":{"namespace":namespace}}),
        )
    };
    let p = |term: Value, labels: Value| {
        merged(
            pod("p", &affinity("podAffinity", &term)),
            &json!({"metadata":{"labels":labels}}),
        )
    };
    let none = "0/2 nodes are available: 2 node(s) didn't match pod affinity rules. preemption: 0/2 nodes are available: 2 Preemption is not helpful for scheduling.";
    let rows = [
        (
            "beside the one there is",
            web("n"),
            p(json!({}), json!({})),
            "b",
        ),
        (
            "but not in another namespace",
            web("other"),
            p(json!({}), json!({})),
            none,
        ),
        (
            "unless named",
            web("other"),
            p(json!({"namespaces":["other"]}), json!({})),
            "b",
        ),
        (
            "or selected",
            web("other"),
            p(
                json!({"namespaceSelector":{"matchLabels":{"team":"b"}}}),
                json!({}),
            ),
            "b",
        ),
        (
            "or all",
            web("other"),
            p(json!({"namespaceSelector":{}}), json!({})),
            "b",
        ),
        (
            "selected others only",
            web("n"),
            p(
                json!({"namespaceSelector":{"matchLabels":{"team":"b"}}}),
                json!({}),
            ),
            none,
        ),
        (
            "of the same version",
            web("n"),
            p(json!({"matchLabelKeys":["v"]}), json!({"v":"1"})),
            "b",
        ),
        (
            "no other version",
            web("n"),
            p(json!({"matchLabelKeys":["v"]}), json!({"v":"2"})),
            none,
        ),
        (
            "of another version",
            web("n"),
            p(json!({"mismatchLabelKeys":["v"]}), json!({"v":"2"})),
            "b",
        ),
    ];
    for (why, standing, p, want) in rows {
        assert_eq!(decide(&zones(), &[standing], &p), want, "{why}");
    }
}

#[test]
fn the_first_of_its_kind_may_stand_alone_where_the_topology_is() {
    let nodes = [node("a", &json!({})), zones().remove(1)];
    let p = merged(
        pod("p", &affinity("podAffinity", &json!({}))),
        &json!({"metadata":{"labels":{"app":"web"}}}),
    );
    assert_eq!(decide(&nodes, &[], &p), "b");
}

#[test]
fn anti_affinity_counts_both_ways() {
    let labels = |app: &str| json!({"metadata":{"labels":{"app":app}}});
    let web = bound("x", "b", &labels("web"));
    let p = merged(
        pod("p", &affinity("podAntiAffinity", &json!({}))),
        &labels("lone"),
    );
    assert_eq!(decide(&zones(), std::slice::from_ref(&web), &p), "a");
    let both = [web, bound("y", "a", &labels("web"))];
    assert_eq!(
        decide(&zones(), &both, &p),
        "0/2 nodes are available: 2 node(s) didn't match pod anti-affinity rules. preemption: 0/2 nodes are available: 2 No preemption victims found for incoming pod."
    );
    let loner = merged(
        bound("x", "b", &affinity("podAntiAffinity", &json!({}))),
        &labels("lone"),
    );
    let web = pod("p", &labels("web"));
    assert_eq!(
        decide(&zones(), std::slice::from_ref(&loner), &web),
        "a",
        "the standing pod repels it"
    );
    assert_eq!(
        decide(&zones()[1..], &[loner], &web),
        no_victims("node(s) didn't satisfy existing pods anti-affinity rules")
    );
}

fn spread(extra: &Value) -> Value {
    let constraint = merged(
        json!({"maxSkew":1,"topologyKey":"zone","whenUnsatisfiable":"DoNotSchedule","labelSelector":{"matchLabels":{"app":"web"}}}),
        extra,
    );
    json!({"metadata":{"labels":{"app":"web"}},"spec":{"topologySpreadConstraints":[constraint]}})
}

/// Why, nodes, pods that stand, the pod, and where it goes.
type SpreadRow<'a> = (&'a str, &'a [Value], &'a [Value], Value, &'a str);

#[test]
fn hard_spread_constraints_hold() {
    let web =
        |name: &str, node: &str| bound(name, node, &json!({"metadata":{"labels":{"app":"web"}}}));
    let skewed = [web("x", "b")];
    let tainted = [
        zones().remove(1),
        node(
            "a",
            &json!({"metadata":{"labels":{"zone":"za"}},"spec":{"taints":[{"key":"k","effect":"NoSchedule"}]}}),
        ),
    ];
    let p = |extra: Value| pod("p", &spread(&extra));
    let blocked = "0/2 nodes are available: 1 node(s) didn't match pod topology spread constraints, 1 node(s) had untolerated taint(s). preemption: 0/2 nodes are available: 1 No preemption victims found for incoming pod, 1 Preemption is not helpful for scheduling.";
    let few = "0/2 nodes are available: 2 node(s) didn't match pod topology spread constraints. preemption: 0/2 nodes are available: 2 No preemption victims found for incoming pod.";
    let deleting = [merged(
        web("x", "b"),
        &json!({"metadata":{"deletionTimestamp":"2026-01-01T00:00:00Z"}}),
    )];
    let rows: [SpreadRow<'_>; 5] = [
        ("the emptier zone", &zones(), &skewed, p(json!({})), "a"),
        (
            "a zone that repels still counts as a domain",
            &tainted,
            &skewed,
            p(json!({})),
            blocked,
        ),
        (
            "unless taints are honoured",
            &tainted,
            &skewed,
            p(json!({"nodeTaintsPolicy":"Honor"})),
            "b",
        ),
        (
            "too few domains count as empty ones",
            &zones(),
            &[web("x", "a"), web("y", "b")],
            p(json!({"minDomains":3})),
            few,
        ),
        (
            "pods being deleted do not count",
            &tainted,
            &deleting,
            p(json!({})),
            "b",
        ),
    ];
    for (why, nodes, standing, p, want) in rows {
        assert_eq!(decide(nodes, standing, &p), want, "{why}");
    }
    assert_eq!(
        decide(&one(&json!({})), &[], &p(json!({}))),
        hopeless("node(s) didn't match pod topology spread constraints (missing required label)")
    );
}

#[test]
fn spread_counts_only_pods_of_the_same_revision_when_asked() {
    let old = bound(
        "x",
        "b",
        &json!({"metadata":{"labels":{"app":"web","hash":"1"}}}),
    );
    let p = merged(
        pod("p", &spread(&json!({"matchLabelKeys":["hash"]}))),
        &json!({"metadata":{"labels":{"hash":"2"}},"spec":{"nodeSelector":{"zone":"zb"}}}),
    );
    assert_eq!(decide(&zones(), &[old], &p), "b");
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
