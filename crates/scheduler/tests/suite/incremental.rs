//! A snapshot that follows commits decides as one made anew does.

use object::names::resources::{NODES, PODS};
use object::{Key, Resource};
use reconcile::Cx;
use scheduler::{Outcome, Snapshot, schedule};
use serde_json::{Value, json};
use world::World;

use crate::batch::{Dice, some_pod};
use crate::lab::{cx, delete, key, merged, node, put};

fn text(outcome: &Outcome) -> String {
    match outcome {
        Outcome::Bind { node, .. } => node.to_string(),
        Outcome::Unschedulable(no) => no.message.clone(),
        other => format!("{other:?}"),
    }
}

fn some_node(name: &str, dice: &mut Dice) -> Value {
    let image = json!({"names":["i:latest"],"sizeBytes":500_000_000});
    let images = if dice.below(2) == 0 {
        json!([image])
    } else {
        json!([])
    };
    let cpu = 2 + dice.below(4);
    let zone = dice.below(3).to_string();
    let mut value = node(
        name,
        &json!({"metadata":{"labels":{"zone":zone}},"status":{"allocatable":{"cpu":cpu.to_string()},"images":images}}),
    );
    if dice.below(6) == 0 {
        value = merged(value, &json!({"spec":{"unschedulable":true}}));
    }
    value
}

/// Some object of the resource, by chance.
fn pick(world: &World, resource: Resource, dice: &mut Dice) -> Option<Key> {
    let number = u64::try_from(world.table(resource).len()).unwrap();
    let at = usize::try_from(dice.below(number.max(1))).unwrap();
    world.list(resource).nth(at).map(|object| object.key())
}

#[test]
fn following_commits_comes_to_the_same_as_looking_anew() {
    let (mut bound, mut refused) = (0, 0);
    for seed in 0..40 {
        let mut dice = Dice(seed);
        let mut world = World::new(&[]);
        let mut following = Snapshot::of(&world);
        for step in 0..60 {
            let commit = match dice.below(10) {
                0..=2 => {
                    let name = format!("n{}", dice.below(6));
                    Some(put(&mut world, NODES, &some_node(&name, &mut dice)))
                }
                3 => pick(&world, NODES, &mut dice).map(|key| delete(&mut world, &key)),
                4 => pick(&world, PODS, &mut dice).map(|key| delete(&mut world, &key)),
                5 => pick(&world, PODS, &mut dice).map(|key| {
                    let value = world.get(&key).unwrap().value();
                    let app = ["web", "db"][usize::try_from(dice.below(2)).unwrap()];
                    put(
                        &mut world,
                        PODS,
                        &merged(value, &json!({"metadata":{"labels":{"app":app}}})),
                    )
                }),
                6 => pick(&world, PODS, &mut dice).map(|key| {
                    let value = world.get(&key).unwrap().value();
                    put(
                        &mut world,
                        PODS,
                        &merged(value, &json!({"status":{"phase":"Succeeded"}})),
                    )
                }),
                _ => None,
            };
            commit.iter().for_each(|commit| following.apply(commit));
            let name = format!("p{step:02}");
            let value = some_pod(&name, &mut dice);
            following.apply(&put(&mut world, PODS, &value));
            let cx = Cx {
                random: dice.below(1000),
                ..cx()
            };
            let keys = [key(&name)];
            let anew = schedule(&cx, &world, &mut Snapshot::of(&world), &keys);
            let followed = schedule(&cx, &world, &mut following, &keys);
            let (anew, followed) = (text(&anew[0].outcome), text(&followed[0].outcome));
            assert_eq!(followed, anew, "seed {seed}, step {step}");
            if anew.contains(' ') {
                refused += 1;
                following.apply(&delete(&mut world, &keys[0]));
            } else {
                bound += 1;
                let there = json!({"spec":{"nodeName":anew},"status":{"phase":"Running"}});
                following.apply(&put(&mut world, PODS, &merged(value, &there)));
            }
        }
    }
    assert!(
        bound > 500 && refused > 100,
        "both happen: {bound}, {refused}"
    );
}
