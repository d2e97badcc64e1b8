//! The layers of ARCHITECTURE.md as one table, and the check of the workspace
//! against it.
//!
//! Pure. Invariants: a crate uses lower layers freely and a sibling only where
//! [`ROOMS`] says so; a pure crate has no way to do I/O; only the API server and
//! the binary reach the store.

use std::collections::BTreeMap;

use crate::workspace::Member;

#[derive(Clone, Copy, Debug, PartialEq, PartialOrd)]
enum Layer {
    /// No tokio, no I/O.
    Pure,
    State,
    /// Control, front and node.
    Acting,
    Binary,
    /// Whole-cluster tests, benches and tasks: use what they want, are used by nobody.
    Beside,
}

struct Room {
    name: &'static str,
    layer: Layer,
    /// Crates of the same layer that it may use.
    siblings: &'static [&'static str],
}

const fn room(name: &'static str, layer: Layer, siblings: &'static [&'static str]) -> Room {
    Room {
        name,
        layer,
        siblings,
    }
}

/// Every crate. A new arrow between crates is a change of this table, and so of the architecture.
const ROOMS: &[Room] = &[
    room("object", Layer::Pure, &[]),
    room("world", Layer::Pure, &["object"]),
    room("schema", Layer::Pure, &["object"]),
    room("patch", Layer::Pure, &["object", "schema"]),
    room("wire", Layer::Pure, &["object", "schema"]),
    room("kinds", Layer::Pure, &["object", "schema", "world"]),
    room("store", Layer::State, &[]),
    room("client", Layer::State, &[]),
    room("reconcile", Layer::State, &["client"]),
    room("streams", Layer::State, &[]),
    room("controllers", Layer::Acting, &[]),
    room("scheduler", Layer::Acting, &[]),
    room("apiserver", Layer::Acting, &[]),
    room("image", Layer::Acting, &[]),
    room("runtime", Layer::Acting, &[]),
    room("net", Layer::Acting, &[]),
    room("node", Layer::Acting, &["image", "runtime", "net"]),
    room("kogge", Layer::Binary, &[]),
    room("tests", Layer::Beside, &[]),
    room("bench", Layer::Beside, &[]),
    room("xtask", Layer::Beside, &[]),
];

/// Who may use the store: it has one door.
const STORE_USERS: &[&str] = &["apiserver", "kogge"];

/// Foreign crates whose purpose is I/O or an executor.
const IMPURE: &[&str] = &[
    "async-trait",
    "hyper",
    "hyper-util",
    "kube",
    "libc",
    "nix",
    "rusqlite",
    "rustix",
    "tokio",
    "tokio-util",
];

/// Every arrow of the workspace that the table does not have.
pub(crate) fn check(members: &BTreeMap<String, Member>) -> Vec<String> {
    let mut problems = Vec::new();
    for (name, member) in members {
        let Some(room) = find(name) else {
            problems.push(format!("crate {name}: has no layer; add it to ROOMS"));
            continue;
        };
        for used in &member.members {
            if let Some(problem) = arrow(room, used) {
                problems.push(format!("crate {name}: {problem}"));
            }
        }
        if room.layer == Layer::Pure {
            for used in IMPURE.iter().filter(|used| member.foreign.contains(**used)) {
                problems.push(format!("crate {name}: is pure and must not use {used}"));
            }
        }
    }
    problems
}

fn arrow(room: &Room, used: &str) -> Option<String> {
    let Some(lower) = find(used) else {
        return Some(format!("uses {used}, which has no layer"));
    };
    if lower.layer == Layer::Beside {
        return Some(format!(
            "must not use {used}, which stands beside the house"
        ));
    }
    if room.layer == Layer::Beside {
        return None;
    }
    if used == "store" && !STORE_USERS.contains(&room.name) {
        return Some("must not use store; the API server is its only door".to_owned());
    }
    if lower.layer < room.layer || room.siblings.contains(&used) {
        return None;
    }
    Some(if lower.layer == room.layer {
        format!("must not use its sibling {used}")
    } else {
        format!("must not use {used}, which lies higher")
    })
}

fn find(name: &str) -> Option<&'static Room> {
    ROOMS.iter().find(|room| room.name == name)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problems(name: &str, members: &[&str], foreign: &[&str]) -> Vec<String> {
        let set = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        let member = Member {
            members: set(members),
            foreign: set(foreign),
        };
        check(&BTreeMap::from([(name.to_owned(), member)]))
    }

    #[test]
    fn lower_layers_and_named_siblings_are_allowed() {
        assert!(problems("kinds", &["object", "world"], &["regex"]).is_empty());
        assert!(problems("node", &["net", "client", "object"], &["tokio"]).is_empty());
        assert!(problems("apiserver", &["store"], &[]).is_empty());
        assert!(problems("kogge", &["store", "node"], &[]).is_empty());
        assert!(problems("tests", &["store", "kogge"], &[]).is_empty());
    }

    #[test]
    fn a_wrong_arrow_is_reported() {
        for (name, used, said) in [
            ("object", "store", "store"),
            ("object", "world", "sibling world"),
            ("world", "client", "lies higher"),
            ("net", "runtime", "sibling runtime"),
            ("controllers", "store", "only door"),
            ("store", "streams", "sibling streams"),
            ("kogge", "xtask", "beside the house"),
            ("kogge", "unknown", "no layer"),
        ] {
            let problems = problems(name, &[used], &[]);
            assert_eq!(problems.len(), 1, "{name} -> {used}: {problems:?}");
            assert!(problems[0].contains(said), "{problems:?}");
        }
    }

    #[test]
    fn a_crate_without_a_layer_is_reported() {
        assert_eq!(problems("cellar", &[], &[]).len(), 1);
    }

    #[test]
    fn a_pure_crate_with_an_executor_is_reported() {
        assert_eq!(problems("patch", &[], &["tokio"]).len(), 1);
        assert!(problems("client", &[], &["tokio"]).is_empty());
    }

    #[test]
    fn siblings_in_the_table_exist_and_share_the_layer() {
        for room in ROOMS {
            for sibling in room.siblings {
                let layer = find(sibling).map(|sibling| sibling.layer);
                assert_eq!(layer, Some(room.layer), "{} -> {sibling}", room.name);
            }
        }
    }
}
