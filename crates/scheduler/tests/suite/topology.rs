//! Filters that look at other pods: affinity, anti-affinity and spreading, one table
//! each.

use serde_json::{Value, json};

use crate::filters::{decide, hopeless, no_victims, one};
use crate::lab::{bound, merged, node, pod};

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
    let selecting =
        |extra: Value| merged(p(extra), &json!({"spec":{"nodeSelector":{"zone":"zb"}}}));
    let left_out = "0/2 nodes are available: 1 node(s) didn't match Pod's node affinity/selector, 1 node(s) didn't match pod topology spread constraints. preemption: 0/2 nodes are available: 1 No preemption victims found for incoming pod, 1 Preemption is not helpful for scheduling.";
    let blocked = "0/2 nodes are available: 1 node(s) didn't match pod topology spread constraints, 1 node(s) had untolerated taint(s). preemption: 0/2 nodes are available: 1 No preemption victims found for incoming pod, 1 Preemption is not helpful for scheduling.";
    let few = "0/2 nodes are available: 2 node(s) didn't match pod topology spread constraints. preemption: 0/2 nodes are available: 2 No preemption victims found for incoming pod.";
    let deleting = [merged(
        web("x", "b"),
        &json!({"metadata":{"deletionTimestamp":"2026-01-01T00:00:00Z"}}),
    )];
    let rows: [SpreadRow<'_>; 7] = [
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
        (
            "nodes that the selector leaves out do not count",
            &zones(),
            &skewed,
            selecting(json!({})),
            "b",
        ),
        (
            "unless they are to",
            &zones(),
            &skewed,
            selecting(json!({"nodeAffinityPolicy":"Ignore"})),
            left_out,
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
