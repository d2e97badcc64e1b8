//! Many pods in one go: order, speed, and the rules that no batch may break.

use std::collections::BTreeMap;

use object::names::resources::PODS;
use object::{Key, Name};
use reconcile::Cx;
use scheduler::{Decision, Outcome, Snapshot, schedule};
use serde_json::{Value, json};

use crate::lab::{asking, bound, cx, key, merged, node, pod, put, world};

fn placed(decisions: &[Decision]) -> BTreeMap<String, String> {
    decisions
        .iter()
        .filter_map(|decision| match &decision.outcome {
            Outcome::Bind { node, .. } => {
                Some((decision.key.name.name.to_string(), node.to_string()))
            }
            _ => None,
        })
        .collect()
}

#[test]
fn each_decision_counts_for_the_next() {
    let nodes = [node("a", &json!({})), node("b", &json!({}))];
    let pods: Vec<Value> = (0..5)
        .map(|i| pod(&format!("p{i}"), &asking("2", "1Gi")))
        .collect();
    let world = world(&nodes, &pods);
    let keys: Vec<Key> = (0..5).map(|i| key(&format!("p{i}"))).collect();
    let mut snapshot = Snapshot::of(&world);
    let decisions = schedule(&cx(), &world, &mut snapshot, &keys);
    assert_eq!(
        placed(&decisions).keys().collect::<Vec<_>>(),
        ["p0", "p1", "p2", "p3"]
    );
    let again = schedule(&cx(), &world, &mut snapshot, &keys[4..]);
    assert!(
        placed(&again).is_empty(),
        "assumed pods count until they are seen"
    );
    let first = schedule(&cx(), &world, &mut snapshot, &keys[..1]);
    assert!(
        placed(&first).is_empty(),
        "an assumed pod is not decided twice"
    );
}

#[test]
fn a_batch_decides_as_single_decisions_do() {
    let nodes: Vec<Value> = (0..4).map(|i| node(&format!("n{i}"), &json!({}))).collect();
    let pods: Vec<Value> = (0..20)
        .map(|i| pod(&format!("p{i:02}"), &asking("300m", "1Gi")))
        .collect();
    let mut all = world(&nodes, &pods);
    let keys: Vec<Key> = (0..20).map(|i| key(&format!("p{i:02}"))).collect();
    let batch = schedule(&cx(), &all, &mut Snapshot::of(&all), &keys);
    // One at a time, on a world that has seen each binding, the counts are the same;
    // which of equal nodes is drawn is left to chance.
    let mut singly = BTreeMap::new();
    for key in &keys {
        let decisions = schedule(
            &cx(),
            &all,
            &mut Snapshot::of(&all),
            std::slice::from_ref(key),
        );
        let one = placed(&decisions);
        let (name, node) = one.first_key_value().unwrap();
        put(&mut all, PODS, &bound(name, node, &asking("300m", "1Gi")));
        singly.extend(one);
    }
    let counts = |map: &BTreeMap<String, String>| {
        let mut counts: BTreeMap<String, usize> = BTreeMap::new();
        map.values()
            .for_each(|node| *counts.entry(node.clone()).or_default() += 1);
        counts
    };
    assert_eq!(counts(&placed(&batch)), counts(&singly));
}

#[test]
fn a_thousand_pods_find_their_nodes() {
    let nodes: Vec<Value> = (0..100)
        .map(|i| node(&format!("n{i:03}"), &json!({})))
        .collect();
    let labelled = merged(
        asking("100m", "64Mi"),
        &json!({"metadata":{"labels":{"app":"web"}}}),
    );
    let pods: Vec<Value> = (0..1000)
        .map(|i| pod(&format!("p{i:04}"), &labelled))
        .collect();
    let mut world = world(&nodes, &pods);
    let service =
        json!({"metadata":{"name":"s","namespace":"n"},"spec":{"selector":{"app":"web"}}});
    put(&mut world, object::names::resources::SERVICES, &service);
    let keys: Vec<Key> = (0..1000).map(|i| key(&format!("p{i:04}"))).collect();
    let mut snapshot = Snapshot::of(&world);
    let start = tokio::time::Instant::now();
    let decisions = schedule(&cx(), &world, &mut snapshot, &keys);
    let spent = start.elapsed();
    println!(
        "1000 pods on 100 nodes: {spent:?}, {:.0} pods/s",
        1000.0 / spent.as_secs_f64()
    );
    let mut counts: BTreeMap<String, usize> = BTreeMap::new();
    placed(&decisions)
        .into_values()
        .for_each(|node| *counts.entry(node).or_default() += 1);
    assert_eq!(counts.len(), 100);
    assert!(
        counts.values().all(|count| *count == 10),
        "evenly: {counts:?}"
    );
}

/// Numbers that follow from a seed.
pub(crate) struct Dice(pub(crate) u64);

impl Dice {
    pub(crate) fn below(&mut self, limit: u64) -> u64 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % limit
    }
}

pub(crate) fn some_pod(name: &str, dice: &mut Dice) -> Value {
    let app = ["web", "db", "job"][usize::try_from(dice.below(3)).unwrap()];
    let mut value = merged(
        pod(
            name,
            &asking(
                &format!("{}m", dice.below(1500)),
                &format!("{}Mi", dice.below(3000)),
            ),
        ),
        &json!({"metadata":{"labels":{"app":app}},"spec":{"priority":0}}),
    );
    let key = ["kubernetes.io/hostname", "zone"][usize::try_from(dice.below(2)).unwrap()];
    let target = ["web", "db"][usize::try_from(dice.below(2)).unwrap()];
    let term = json!([{"topologyKey":key,"labelSelector":{"matchLabels":{"app":target}}}]);
    let extra = match dice.below(6) {
        0 => {
            json!({"spec":{"affinity":{"podAffinity":{"requiredDuringSchedulingIgnoredDuringExecution":term}}}})
        }
        1 => {
            json!({"spec":{"affinity":{"podAntiAffinity":{"requiredDuringSchedulingIgnoredDuringExecution":term}}}})
        }
        2 => {
            json!({"spec":{"topologySpreadConstraints":[{"maxSkew":1,"topologyKey":"zone","whenUnsatisfiable":"DoNotSchedule","labelSelector":{"matchLabels":{"app":app}}}]}})
        }
        3 => json!({"spec":{"nodeSelector":{"zone":"1"}}}),
        _ => json!({}),
    };
    value = merged(value, &extra);
    if dice.below(4) == 0 {
        value["spec"]["containers"][0]["ports"] = json!([{"containerPort":1,"hostPort":80}]);
    }
    value
}

/// A pod as the checker sees it: its own reading of the rules, straight from JSON.
struct Stood<'a> {
    pod: &'a Value,
    node: String,
    zone: String,
}

impl Stood<'_> {
    fn app(&self) -> &str {
        self.pod["metadata"]["labels"]["app"].as_str().unwrap()
    }

    fn domain(&self, key: &str) -> &str {
        if key == "zone" {
            &self.zone
        } else {
            &self.node
        }
    }

    fn terms(&self, kind: &str) -> Vec<(String, String)> {
        let terms =
            &self.pod["spec"]["affinity"][kind]["requiredDuringSchedulingIgnoredDuringExecution"];
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        terms
            .as_array()
            .into_iter()
            .flatten()
            .map(|term| {
                (
                    text(&term["topologyKey"]),
                    text(&term["labelSelector"]["matchLabels"]["app"]),
                )
            })
            .collect()
    }

    fn amount(&self, name: &str) -> i64 {
        let text = self.pod["spec"]["containers"][0]["resources"]["requests"][name]
            .as_str()
            .unwrap();
        text.trim_end_matches(|c: char| c.is_alphabetic())
            .parse()
            .unwrap()
    }
}

/// Checks one more placement against all before it, in order.
fn check(before: &[Stood<'_>], new: &Stood<'_>, seed: u64) {
    let name = &new.pod["metadata"]["name"];
    for (what, limit) in [("cpu", 4000), ("memory", 8192)] {
        let same = before.iter().filter(|other| other.node == new.node);
        let sum: i64 = same.map(|other| other.amount(what)).sum::<i64>() + new.amount(what);
        assert!(
            sum <= limit,
            "seed {seed}: {name} overcommits {what} of {}",
            new.node
        );
    }
    let has_port = |pod: &Value| pod["spec"]["containers"][0]["ports"].is_array();
    if has_port(new.pod) {
        let taken = |other: &Stood<'_>| other.node == new.node && has_port(other.pod);
        assert!(
            !before.iter().any(taken),
            "seed {seed}: {name} finds its port taken"
        );
    }
    if let Some(zone) = new.pod["spec"]["nodeSelector"]["zone"].as_str() {
        assert_eq!(new.zone, zone, "seed {seed}: {name}");
    }
    for (key, app) in new.terms("podAffinity") {
        let there =
            |other: &&Stood<'_>| other.app() == app && other.domain(&key) == new.domain(&key);
        let any = before.iter().any(|other| other.app() == app);
        let first = !any && new.app() == app;
        assert!(
            first || before.iter().any(|other| there(&other)),
            "seed {seed}: {name} lacks {app}"
        );
    }
    for (key, app) in new.terms("podAntiAffinity") {
        let there =
            |other: &Stood<'_>| other.app() == app && other.domain(&key) == new.domain(&key);
        assert!(
            !before.iter().any(there),
            "seed {seed}: {name} is beside {app}"
        );
    }
    for other in before {
        for (key, app) in other.terms("podAntiAffinity") {
            let beside = app == new.app() && other.domain(&key) == new.domain(&key);
            assert!(
                !beside,
                "seed {seed}: {name} is where {} will not have it",
                other.pod["metadata"]["name"]
            );
        }
    }
    if new.pod["spec"]["topologySpreadConstraints"].is_array() {
        let count = |zone: &str| {
            before
                .iter()
                .filter(|o| o.app() == new.app() && o.zone == zone)
                .count()
        };
        let least = ["0", "1", "2"].map(count).into_iter().min().unwrap();
        assert!(
            count(&new.zone) + 1 - least <= 1,
            "seed {seed}: {name} is skewed"
        );
    }
}

#[test]
fn no_batch_overcommits_a_node_or_breaks_a_required_rule() {
    let mut total = 0;
    for seed in 0..60 {
        let mut dice = Dice(seed);
        let zone = |i: u64| (i % 3).to_string();
        let nodes: Vec<Value> = (0..6)
            .map(|i| {
                node(
                    &format!("n{i}"),
                    &json!({"metadata":{"labels":{"zone":zone(i)}}}),
                )
            })
            .collect();
        let pods: Vec<Value> = (0..40)
            .map(|i| some_pod(&format!("p{i:02}"), &mut dice))
            .collect();
        let world = world(&nodes, &pods);
        let keys: Vec<Key> = (0..40).map(|i| key(&format!("p{i:02}"))).collect();
        let cx = Cx {
            random: seed,
            ..cx()
        };
        let mut snapshot = Snapshot::of(&world);
        let decisions: Vec<Decision> = keys
            .chunks(7)
            .flat_map(|batch| schedule(&cx, &world, &mut snapshot, batch))
            .collect();
        let mut stood: Vec<Stood<'_>> = Vec::new();
        for decision in &decisions {
            let Outcome::Bind { node, .. } = &decision.outcome else {
                continue;
            };
            let Name { name, .. } = &decision.key.name;
            let pod = pods
                .iter()
                .find(|pod| pod["metadata"]["name"] == name.as_str())
                .unwrap();
            let number: u64 = node[1..].parse().unwrap();
            let new = Stood {
                pod,
                node: node.to_string(),
                zone: zone(number),
            };
            check(&stood, &new, seed);
            stood.push(new);
        }
        total += stood.len();
    }
    assert!(total > 600, "most pods find a node: {total}");
}
