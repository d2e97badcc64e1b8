//! Which pods go to make room for one of higher priority.

use object::names::resources::{POD_DISRUPTION_BUDGETS, PODS};
use scheduler::{Outcome, Snapshot, schedule};
use serde_json::{Value, json};

use crate::lab::{asking, bound, cx, key, merged, node, pod, put, world};

fn low(name: &str, node: &str, cpu: &str, priority: i32) -> Value {
    let extra = merged(
        asking(cpu, "1Gi"),
        &json!({"metadata":{"labels":{"app":name}},"spec":{"priority":priority}}),
    );
    bound(name, node, &extra)
}

fn high(name: &str, cpu: &str, extra: &Value) -> Value {
    let base = merged(asking(cpu, "1Gi"), &json!({"spec":{"priority":100}}));
    pod(name, &merged(base, extra))
}

/// The node cleared for pod `p` and the victims, or what is said of preemption.
fn cleared(nodes: &[Value], standing: &[Value], budgets: &[Value], p: &Value) -> String {
    let mut world = world(nodes, standing);
    for budget in budgets {
        put(&mut world, POD_DISRUPTION_BUDGETS, budget);
    }
    put(&mut world, PODS, p);
    let decisions = schedule(&cx(), &world, &mut Snapshot::of(&world), &[key("p")]);
    let Outcome::Unschedulable(no) = &decisions[0].outcome else {
        panic!("{decisions:?}");
    };
    let Some(preemption) = &no.preemption else {
        let (_, said) = no.message.split_once(" preemption: ").unwrap();
        return said.to_owned();
    };
    let victims: Vec<&str> = preemption
        .victims
        .iter()
        .map(|pod| &*pod.meta().name)
        .collect();
    format!("{}: {}", preemption.node, victims.join(" "))
}

fn budget(app: &str, allowed: i32) -> Value {
    json!({"metadata":{"name":app,"namespace":"n"},"spec":{"selector":{"matchLabels":{"app":app}}},
        "status":{"disruptionsAllowed":allowed,"currentHealthy":1,"desiredHealthy":1,"expectedPods":1}})
}

#[test]
fn the_fewest_and_least_important_pods_go() {
    let two = [node("a", &json!({})), node("b", &json!({}))];
    let one = &two[..1];
    let (none, never) = (json!({}), json!({"spec":{"preemptionPolicy":"Never"}}));
    let rows = [
        (
            "only as many as needed",
            one,
            vec![low("x", "a", "2", 1), low("y", "a", "2", 1)],
            vec![],
            high("p", "2", &none),
            "a: y",
        ),
        (
            "the less important one",
            one,
            vec![low("x", "a", "2", 1), low("y", "a", "2", 2)],
            vec![],
            high("p", "2", &none),
            "a: x",
        ),
        (
            "both, if it must be",
            one,
            vec![low("x", "a", "2", 1), low("y", "a", "2", 2)],
            vec![],
            high("p", "4", &none),
            "a: y x",
        ),
        (
            "the node of the less important",
            &two,
            vec![low("x", "a", "4", 5), low("y", "b", "4", 4)],
            vec![],
            high("p", "2", &none),
            "b: y",
        ),
        (
            "a budget that allows none spares its pod",
            &two,
            vec![low("x", "a", "4", 5), low("y", "b", "4", 4)],
            vec![budget("y", 0)],
            high("p", "2", &none),
            "a: x",
        ),
        (
            "a budget that allows one does not",
            &two,
            vec![low("x", "a", "4", 5), low("y", "b", "4", 4)],
            vec![budget("y", 1)],
            high("p", "2", &none),
            "b: y",
        ),
        (
            "equals stay",
            one,
            vec![low("x", "a", "4", 100)],
            vec![],
            high("p", "2", &none),
            "0/1 nodes are available: 1 No preemption victims found for incoming pod.",
        ),
        (
            "no use if it still does not fit",
            one,
            vec![low("x", "a", "1", 1), low("y", "a", "3", 100)],
            vec![],
            high("p", "2", &none),
            "0/1 nodes are available: 1 Insufficient cpu.",
        ),
        (
            "no use where the node is too small",
            one,
            vec![low("x", "a", "4", 1)],
            vec![],
            high("p", "5", &none),
            "0/1 nodes are available: 1 Preemption is not helpful for scheduling.",
        ),
        (
            "a pod may be too polite",
            one,
            vec![low("x", "a", "4", 1)],
            vec![],
            high("p", "2", &never),
            "not eligible due to preemptionPolicy=Never.",
        ),
    ];
    for (why, nodes, standing, budgets, p, want) in rows {
        assert_eq!(cleared(nodes, &standing, &budgets, &p), want, "{why}");
    }
}

#[test]
fn a_pod_whose_victims_are_going_takes_no_more() {
    let going = merged(
        low("x", "a", "4", 1),
        &json!({"metadata":{"deletionTimestamp":"2027-01-01T00:00:00Z"},"status":{"conditions":[
            {"type":"DisruptionTarget","status":"True","reason":"PreemptionByScheduler"}]}}),
    );
    let p = high("p", "2", &json!({"status":{"nominatedNodeName":"a"}}));
    let nodes = [node("a", &json!({})), node("b", &json!({}))];
    assert_eq!(
        cleared(&nodes, &[going, low("y", "b", "4", 2)], &[], &p),
        "not eligible due to a terminating pod on the nominated node."
    );
}

#[test]
fn two_preemptors_of_one_batch_clear_room_for_both() {
    let pods = [
        low("x", "a", "2", 1),
        low("y", "a", "2", 1),
        high("p", "2", &json!({})),
        high("q", "2", &json!({})),
    ];
    let world = world(&[node("a", &json!({}))], &pods);
    let decisions = schedule(
        &cx(),
        &world,
        &mut Snapshot::of(&world),
        &[key("p"), key("q")],
    );
    let mut victims: Vec<String> = decisions
        .iter()
        .filter_map(|decision| match &decision.outcome {
            Outcome::Unschedulable(no) => no.preemption.as_ref(),
            _ => None,
        })
        .flat_map(|preemption| {
            preemption
                .victims
                .iter()
                .map(|pod| pod.meta().name.to_string())
        })
        .collect();
    victims.sort();
    victims.dedup();
    assert_eq!(victims, ["x", "y"]);
}

#[test]
fn anti_affinity_can_be_preempted_but_affinity_cannot() {
    let term = json!([{"topologyKey":"kubernetes.io/hostname","labelSelector":{"matchLabels":{"app":"x"}}}]);
    let apart = json!({"spec":{"affinity":{"podAntiAffinity":{"requiredDuringSchedulingIgnoredDuringExecution":term}}}});
    let nodes = [node("a", &json!({}))];
    assert_eq!(
        cleared(
            &nodes,
            &[low("x", "a", "1", 1)],
            &[],
            &high("p", "1", &apart)
        ),
        "a: x"
    );
    let beside = json!({"spec":{"affinity":{"podAffinity":{"requiredDuringSchedulingIgnoredDuringExecution":term}}}});
    assert_eq!(
        cleared(
            &nodes,
            &[low("y", "a", "1", 1)],
            &[],
            &high("p", "1", &beside)
        ),
        "0/1 nodes are available: 1 Preemption is not helpful for scheduling."
    );
}

#[test]
fn room_cleared_for_a_pod_is_kept_for_it() {
    let waiting = high("waiting", "2", &json!({"status":{"nominatedNodeName":"a"}}));
    let place = |p: &Value| {
        let world = world(&[node("a", &json!({}))], &[waiting.clone(), p.clone()]);
        let decisions = schedule(&cx(), &world, &mut Snapshot::of(&world), &[key("p")]);
        matches!(decisions[0].outcome, Outcome::Bind { .. })
    };
    assert!(
        !place(&pod("p", &asking("3", "1Gi"))),
        "it would take the room"
    );
    assert!(
        place(&pod("p", &asking("2", "1Gi"))),
        "there is enough beside it"
    );
    let stronger = merged(asking("3", "1Gi"), &json!({"spec":{"priority":101}}));
    assert!(place(&pod("p", &stronger)), "a stronger one may");
}
