//! What must change in the kernel to get from one ruleset to another.
//!
//! Pure. Invariant: the operations are in an order that the kernel accepts in one
//! transaction: a thing exists before it is referred to, and is referred to no
//! more when it goes. Dynamic sets that stay are not touched, so session
//! affinity survives every update.

use super::{Atom, Chain, Ruleset, Set, Stmt, Value};

/// One step; sets and chains are named, elements belong to the set named.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Op<'a> {
    AddSet(&'a str, &'a Set),
    AddChain(&'a str, &'a Chain),
    FlushChain(&'a str),
    AddRule(&'a str, &'a [Stmt]),
    DeleteElements(&'a str, Vec<&'a [Atom]>),
    AddElements(&'a str, &'a Set, Vec<(&'a [Atom], &'a Value)>),
    DeleteChain(&'a str),
    DeleteSet(&'a str),
}

/// The steps from `old` to `new`; none when they are equal.
pub(crate) fn diff<'a>(old: &'a Ruleset, new: &'a Ruleset) -> Vec<Op<'a>> {
    let mut ops = Vec::new();
    ops.extend(
        new.sets
            .iter()
            .filter(|(n, _)| !old.sets.contains_key(*n))
            .map(|(n, s)| Op::AddSet(n, s)),
    );
    ops.extend(
        new.chains
            .iter()
            .filter(|(n, _)| !old.chains.contains_key(*n))
            .map(|(n, c)| Op::AddChain(n, c)),
    );
    // Old elements first: they may point to chains that go, or have another value now.
    for (name, set) in &old.sets {
        let kept = new.sets.get(name);
        let gone = set
            .elements
            .iter()
            .filter(|(k, v)| kept.is_none_or(|s| s.elements.get(*k) != Some(v)));
        let gone: Vec<_> = gone.map(|(k, _)| k.as_slice()).collect();
        if !gone.is_empty() {
            ops.push(Op::DeleteElements(name, gone));
        }
    }
    for (name, chain) in &old.chains {
        if new.chains.get(name).is_none_or(|c| c.rules != chain.rules) && !chain.rules.is_empty() {
            ops.push(Op::FlushChain(name));
        }
    }
    for (name, chain) in &new.chains {
        if old.chains.get(name).is_none_or(|c| c.rules != chain.rules) {
            ops.extend(chain.rules.iter().map(|rule| Op::AddRule(name, rule)));
        }
    }
    for (name, set) in &new.sets {
        let had = old.sets.get(name);
        let fresh = set
            .elements
            .iter()
            .filter(|(k, v)| had.is_none_or(|s| s.elements.get(*k) != Some(v)));
        let fresh: Vec<_> = fresh.map(|(k, v)| (k.as_slice(), v)).collect();
        if !fresh.is_empty() {
            ops.push(Op::AddElements(name, set, fresh));
        }
    }
    ops.extend(
        old.chains
            .keys()
            .filter(|n| !new.chains.contains_key(*n))
            .map(|n| Op::DeleteChain(n)),
    );
    ops.extend(
        old.sets
            .keys()
            .filter(|n| !new.sets.contains_key(*n))
            .map(|n| Op::DeleteSet(n)),
    );
    ops
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::services::{NetworkRanges, ServicePort, ServiceTable, ruleset};
    use std::collections::{BTreeMap, BTreeSet};

    /// A kernel that knows names and references only, and refuses what the real one refuses.
    #[derive(Default, PartialEq, Debug)]
    struct Kernel {
        sets: BTreeMap<String, BTreeMap<Vec<Atom>, Value>>,
        chains: BTreeMap<String, Vec<Vec<Stmt>>>,
    }

    impl Kernel {
        fn apply(&mut self, op: &Op<'_>) {
            match op {
                Op::AddSet(name, _) => assert!(
                    self.sets
                        .insert((*name).to_owned(), BTreeMap::new())
                        .is_none()
                ),
                Op::AddChain(name, _) => {
                    assert!(self.chains.insert((*name).to_owned(), vec![]).is_none())
                }
                Op::FlushChain(name) => self.chains.get_mut(*name).unwrap().clear(),
                Op::AddRule(name, rule) => {
                    for target in rule.iter().flat_map(refers) {
                        assert!(
                            self.chains.contains_key(&target) || self.sets.contains_key(&target),
                            "{target}"
                        );
                    }
                    self.chains.get_mut(*name).unwrap().push(rule.to_vec());
                }
                Op::DeleteElements(set, keys) => {
                    let set = self.sets.get_mut(*set).unwrap();
                    keys.iter()
                        .for_each(|key| assert!(set.remove(*key).is_some()));
                }
                Op::AddElements(set, _, elements) => {
                    for (key, value) in elements {
                        if let Value::Goto(chain) = value {
                            assert!(self.chains.contains_key(chain), "{chain}");
                        }
                        let set = self.sets.get_mut(*set).unwrap();
                        assert!(set.insert(key.to_vec(), (*value).clone()).is_none());
                    }
                }
                Op::DeleteChain(name) => {
                    assert!(self.chains.remove(*name).unwrap().is_empty());
                    assert!(!self.references().contains(*name), "{name} is in use");
                }
                Op::DeleteSet(name) => {
                    self.sets.remove(*name).unwrap();
                    assert!(!self.references().contains(*name), "{name} is in use");
                }
            }
        }

        fn references(&self) -> BTreeSet<String> {
            let rules = self.chains.values().flatten().flatten().flat_map(refers);
            let values = self
                .sets
                .values()
                .flat_map(BTreeMap::values)
                .filter_map(|v| match v {
                    Value::Goto(chain) => Some(chain.clone()),
                    Value::Member | Value::Endpoint(_) => None,
                });
            rules.chain(values).collect()
        }
    }

    fn refers(stmt: &Stmt) -> Vec<String> {
        match stmt {
            Stmt::Jump(n) | Stmt::Goto(n) => vec![n.clone()],
            Stmt::InSet { set, .. } => vec![set.clone()],
            Stmt::Vmap { map, .. } | Stmt::DnatMap { map, .. } | Stmt::DnatRandom { map, .. } => {
                vec![map.clone()]
            }
            Stmt::AffinityHit { map, members, .. } => vec![map.clone(), members.clone()],
            Stmt::AffinityForget { map } => vec![map.clone()],
            Stmt::AffinityChoose { map, endpoints, .. } => vec![map.clone(), endpoints.clone()],
            _ => vec![],
        }
    }

    /// One of many tables, by the bits of `seed`.
    fn table(seed: u32) -> Ruleset {
        let bit = |n: u32| seed >> n & 1 == 1;
        let service = |name: &str, last: u8, endpoints: &[&str], base: u32| ServicePort {
            service: name.to_owned(),
            cluster_ips: vec![[10, 96, 0, last].into()],
            port: 80,
            node_port: bit(base).then_some(30080 + u16::from(last)),
            affinity_secs: bit(base + 1).then_some(60),
            external_local: bit(base + 2),
            endpoints: endpoints.iter().map(|e| e.parse().unwrap()).collect(),
            local_endpoints: endpoints
                .iter()
                .take(1)
                .map(|e| e.parse().unwrap())
                .collect(),
            ..ServicePort::default()
        };
        let all = ["10.42.0.2:80", "10.42.0.3:80", "10.42.0.4:80"];
        let count = usize::try_from(seed >> 6 & 3).unwrap();
        let mut services = vec![service("a", 1, &all[..count], 0)];
        if bit(8) {
            services.push(service("b", 2, &all[1..], 3));
        }
        let network = NetworkRanges {
            service_cidrs: vec!["10.96.0.0/16".parse().unwrap()],
            ..NetworkRanges::default()
        };
        ruleset(&ServiceTable {
            network,
            services,
            host_ports: vec![],
        })
    }

    #[test]
    fn from_any_ruleset_to_any_other_every_step_is_allowed_and_the_end_is_right() {
        let mut kernel = Kernel::default();
        let mut now = Ruleset::default();
        // A walk with a stride prime to 512 visits every table, from ever other ones.
        for step in 0..1024u32 {
            let next = table(step * 199 % 512);
            diff(&now, &next).iter().for_each(|op| kernel.apply(op));
            let elements = next
                .sets
                .iter()
                .map(|(n, s)| (n.clone(), s.elements.clone()))
                .collect();
            let chains = next
                .chains
                .iter()
                .map(|(n, c)| (n.clone(), c.rules.clone()))
                .collect();
            assert_eq!(
                kernel,
                Kernel {
                    sets: elements,
                    chains
                }
            );
            assert!(diff(&next, &next).is_empty());
            now = next;
        }
    }

    #[test]
    fn an_update_does_not_touch_the_memory_of_affinity() {
        let (one, more) = (table(0b0_0110_0010), table(0b1_1100_0010));
        let ops = diff(&one, &more);
        let touched = ops
            .iter()
            .any(|op| matches!(op, Op::AddSet(n, _) | Op::DeleteSet(n) if n.ends_with("/aff")));
        assert!(!touched && !ops.is_empty(), "{ops:?}");
    }
}
