//! How many pods of a kind stand on each node, and which nodes form a topology
//! domain: what spreading and pod affinity ask again and again.
//!
//! Pure. A counter is kept up to date as pods come and go, so that the next pod of
//! the same template costs a walk over nodes, not over pods. Bounded by
//! [`COUNTERS`]; the one unused for longest makes room.

use std::collections::HashMap;
use std::sync::Arc;

use object::LabelSelector;
use smol_str::SmolStr;

use crate::node::NodeInfo;
use crate::pod::Footprint;

/// Counters kept at a time.
pub const COUNTERS: usize = 64;

/// The domain of a node without the topology's label.
pub(crate) const NO_DOMAIN: usize = usize::MAX;

/// Which namespaces.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Scope {
    All,
    /// Sorted, without repetition.
    These(Vec<SmolStr>),
}

impl Scope {
    pub(crate) fn these(mut names: Vec<SmolStr>) -> Self {
        names.sort();
        names.dedup();
        Self::These(names)
    }

    fn contains(&self, namespace: &str) -> bool {
        match self {
            Self::All => true,
            Self::These(names) => names
                .binary_search_by(|name| name.as_str().cmp(namespace))
                .is_ok(),
        }
    }

    pub(crate) fn and(self, other: Self) -> Self {
        match (self, other) {
            (Self::All, scope) | (scope, Self::All) => scope,
            (Self::These(names), other) => Self::These(
                names
                    .into_iter()
                    .filter(|name| other.contains(name))
                    .collect(),
            ),
        }
    }
}

/// Which pods are counted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Predicate {
    pub(crate) scope: Scope,
    /// All of these must match.
    pub(crate) selectors: Vec<LabelSelector>,
    /// Whether pods being deleted count.
    pub(crate) deleting: bool,
}

impl Predicate {
    fn matches(&self, pod: &Footprint) -> bool {
        (self.deleting || !pod.is_deleting())
            && self.scope.contains(pod.namespace())
            && self
                .selectors
                .iter()
                .all(|selector| selector.matches(pod.labels()))
    }
}

#[derive(Debug)]
struct Counter {
    predicate: Predicate,
    by_node: Arc<Vec<u32>>,
    used: u64,
}

/// The counters of one snapshot. Indices are those of its nodes.
#[derive(Debug, Default)]
pub(crate) struct Counts {
    counters: Vec<Counter>,
    domains: HashMap<SmolStr, Arc<Domains>>,
    clock: u64,
}

/// The domains of one topology key.
#[derive(Debug, Default)]
pub(crate) struct Domains {
    /// Domain of each node, or [`NO_DOMAIN`].
    pub(crate) of_node: Vec<usize>,
    /// How many there are.
    pub(crate) len: usize,
}

impl Counts {
    /// Nodes came, went or changed their labels.
    pub(crate) fn nodes_changed(&mut self) {
        self.counters.clear();
        self.domains.clear();
    }

    pub(crate) fn labels_changed(&mut self) {
        self.domains.clear();
    }

    /// A pod came to a node.
    pub(crate) fn add(&mut self, node: usize, pod: &Footprint) {
        for counter in self
            .counters
            .iter_mut()
            .filter(|c| c.predicate.matches(pod))
        {
            if let Some(count) = Arc::make_mut(&mut counter.by_node).get_mut(node) {
                *count += 1;
            }
        }
    }

    /// A pod left a node.
    pub(crate) fn remove(&mut self, node: usize, pod: &Footprint) {
        for counter in self
            .counters
            .iter_mut()
            .filter(|c| c.predicate.matches(pod))
        {
            if let Some(count) = Arc::make_mut(&mut counter.by_node).get_mut(node) {
                *count = count.saturating_sub(1);
            }
        }
    }

    /// The matching pods on each node.
    pub(crate) fn of(&mut self, nodes: &[NodeInfo], predicate: &Predicate) -> Arc<Vec<u32>> {
        self.clock += 1;
        if let Some(known) = self.counters.iter_mut().find(|c| c.predicate == *predicate) {
            known.used = self.clock;
            return Arc::clone(&known.by_node);
        }
        let on = |node: &NodeInfo| {
            let matching = node.pods.values().filter(|pod| predicate.matches(pod));
            u32::try_from(matching.count()).unwrap_or(u32::MAX)
        };
        let by_node = Arc::new(nodes.iter().map(on).collect());
        if self.counters.len() >= COUNTERS {
            let oldest = self.counters.iter().enumerate().min_by_key(|(_, c)| c.used);
            if let Some((at, _)) = oldest {
                self.counters.swap_remove(at);
            }
        }
        self.counters.push(Counter {
            predicate: predicate.clone(),
            by_node: Arc::clone(&by_node),
            used: self.clock,
        });
        by_node
    }

    /// The domains of a topology key.
    pub(crate) fn domains(&mut self, nodes: &[NodeInfo], key: &SmolStr) -> Arc<Domains> {
        if let Some(known) = self.domains.get(key) {
            return Arc::clone(known);
        }
        let mut numbers: HashMap<&SmolStr, usize> = HashMap::new();
        let mut of_node = Vec::with_capacity(nodes.len());
        for node in nodes {
            of_node.push(match node.labels().get(key) {
                None => NO_DOMAIN,
                Some(value) => {
                    let next = numbers.len();
                    *numbers.entry(value).or_insert(next)
                }
            });
        }
        let domains = Arc::new(Domains {
            of_node,
            len: numbers.len(),
        });
        if self.domains.len() >= COUNTERS {
            self.domains.clear();
        }
        self.domains.insert(key.clone(), Arc::clone(&domains));
        domains
    }
}

impl Domains {
    /// Sums counts of nodes into counts of domains.
    pub(crate) fn sum(&self, by_node: &[u32]) -> Vec<i64> {
        let mut sums = vec![0; self.len];
        for (domain, count) in self.of_node.iter().zip(by_node) {
            if let Some(sum) = sums.get_mut(*domain) {
                *sum += i64::from(*count);
            }
        }
        sums
    }
}
