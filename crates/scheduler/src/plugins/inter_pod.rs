//! InterPodAffinity: pods that want to stand with other pods, or apart from them.
//!
//! Required terms filter: the pod's own affinity and anti-affinity, and the
//! anti-affinity of pods that stand already. Preferred terms of both sides score,
//! and so does the required affinity of standing pods, with weight 1.

use std::collections::HashMap;
use std::sync::{Arc, LazyLock};

use object::meta::StringMap;
use object::names::resources::NAMESPACES;
use smol_str::SmolStr;
use world::World;

use super::{MAX_SCORE, Plugin, Refusal};
use crate::counts::{Domains, NO_DOMAIN, Predicate, Scope};
use crate::pod::Wanted;
use crate::snapshot::Snapshot;
use crate::terms::PodTerm;

/// Weight of a standing pod's required affinity when nodes are scored.
const HARD_AFFINITY_WEIGHT: i64 = 1;

static NO_LABELS: LazyLock<StringMap> = LazyLock::new(StringMap::new);

/// Labels of a namespace; none if it is not there.
pub(crate) fn namespace_labels<'a>(world: &'a World, namespace: &str) -> &'a StringMap {
    let found = world.find(NAMESPACES, "", namespace);
    found.map_or(&NO_LABELS, |object| &object.meta().labels)
}

/// Matching pods by domain, for one term.
struct Term {
    domains: Arc<Domains>,
    counts: Vec<i64>,
}

impl Term {
    fn new(term: &PodTerm, predicate: &Predicate, snapshot: &mut Snapshot) -> Self {
        let domains = snapshot.domains(&term.topology_key);
        let counts = domains.sum(&snapshot.count(predicate));
        Self { domains, counts }
    }

    fn count(&self, at: usize) -> i64 {
        self.counts
            .get(self.domains.of_node[at])
            .copied()
            .unwrap_or(0)
    }
}

/// The required terms around one pod.
pub(super) struct Required {
    affinity: Vec<Term>,
    /// No pod anywhere satisfies the affinity, but the pod itself would: it may be
    /// the first of its kind.
    first_of_its_kind: bool,
    anti: Vec<Term>,
    /// Domains that the anti-affinity of standing pods closes.
    closed: Vec<(Arc<Domains>, Vec<bool>)>,
}

impl Required {
    pub(super) fn new(wanted: &Wanted, world: &World, snapshot: &mut Snapshot) -> Self {
        let terms = &wanted.footprint.terms;
        let closed = closed(wanted, world, snapshot);
        // A standing pod satisfies the affinity when it matches all terms at once.
        let all = all_of(&terms.required, world);
        let affinity: Vec<Term> = terms
            .required
            .iter()
            .map(|term| Term::new(term, &all, snapshot))
            .collect();
        let none = affinity
            .iter()
            .all(|term| term.counts.iter().all(|count| *count == 0));
        let own = || {
            let (namespace, labels) = (wanted.footprint.namespace(), wanted.footprint.labels());
            let around = namespace_labels(world, namespace);
            terms
                .required
                .iter()
                .all(|term| term.matches(namespace, labels, around))
        };
        let anti = terms
            .anti_required
            .iter()
            .map(|term| Term::new(term, &predicate(term, world), snapshot))
            .collect();
        Self {
            first_of_its_kind: none && !affinity.is_empty() && own(),
            affinity,
            anti,
            closed,
        }
    }

    pub(super) fn filter(&self, at: usize) -> Result<(), Refusal> {
        let refuse =
            |reason, resolvable| Err(Refusal::new(Plugin::InterPodAffinity, reason, resolvable));
        let satisfied = self.affinity.iter().all(|term| {
            term.domains.of_node[at] != NO_DOMAIN && (self.first_of_its_kind || term.count(at) > 0)
        });
        if !satisfied {
            return refuse("node(s) didn't match pod affinity rules", false);
        }
        if self.anti.iter().any(|term| term.count(at) > 0) {
            return refuse("node(s) didn't match pod anti-affinity rules", true);
        }
        let closed = |(domains, closed): &(Arc<Domains>, Vec<bool>)| {
            closed
                .get(domains.of_node[at])
                .is_some_and(|closed| *closed)
        };
        if self.closed.iter().any(closed) {
            return refuse(
                "node(s) didn't satisfy existing pods anti-affinity rules",
                true,
            );
        }
        Ok(())
    }
}

/// Where the required anti-affinity of standing pods forbids this pod.
fn closed(
    wanted: &Wanted,
    world: &World,
    snapshot: &mut Snapshot,
) -> Vec<(Arc<Domains>, Vec<bool>)> {
    let (namespace, labels) = (wanted.footprint.namespace(), wanted.footprint.labels());
    let around = namespace_labels(world, namespace);
    let mut nodes: HashMap<SmolStr, Vec<usize>> = HashMap::new();
    for (at, node) in snapshot.nodes.iter().enumerate() {
        for pod in node.with_terms.values() {
            let anti = pod.terms.anti_required.iter();
            for term in anti.filter(|term| term.matches(namespace, labels, around)) {
                nodes.entry(term.topology_key.clone()).or_default().push(at);
            }
        }
    }
    let close = |(key, nodes): (SmolStr, Vec<usize>)| {
        let domains = snapshot.domains(&key);
        let mut closed = vec![false; domains.len];
        for at in nodes {
            if let Some(closed) = closed.get_mut(domains.of_node[at]) {
                *closed = true;
            }
        }
        (domains, closed)
    };
    nodes.into_iter().map(close).collect()
}

/// The namespaces that a term means.
fn scope(term: &PodTerm, world: &World) -> Scope {
    if term.namespace_selector.is_empty() {
        return Scope::All;
    }
    let mut names = term.namespaces.clone();
    if !term.namespace_selector.nothing {
        let selected = world
            .list(NAMESPACES)
            .map(|object| object.meta())
            .filter(|meta| term.namespace_selector.matches(&meta.labels));
        names.extend(selected.map(|meta| meta.name.clone()));
    }
    Scope::these(names)
}

fn predicate(term: &PodTerm, world: &World) -> Predicate {
    Predicate {
        scope: scope(term, world),
        selectors: vec![term.selector.clone()],
        deleting: true,
    }
}

fn all_of(terms: &[PodTerm], world: &World) -> Predicate {
    let everywhere = Predicate {
        scope: Scope::All,
        selectors: Vec::new(),
        deleting: true,
    };
    terms.iter().fold(everywhere, |all, term| Predicate {
        scope: all.scope.and(scope(term, world)),
        selectors: all
            .selectors
            .into_iter()
            .chain([term.selector.clone()])
            .collect(),
        deleting: true,
    })
}

/// Sums the weights of all preferences that each node satisfies.
pub(super) fn score(
    wanted: &Wanted,
    world: &World,
    snapshot: &mut Snapshot,
    feasible: &[usize],
) -> Vec<i64> {
    let mut sums = vec![0_i64; feasible.len()];
    for (weight, term) in &wanted.footprint.terms.preferred {
        let counted = Term::new(term, &predicate(term, world), snapshot);
        for (sum, at) in sums.iter_mut().zip(feasible) {
            *sum += weight * counted.count(*at);
        }
    }
    for (domains, weights) in of_standing(wanted, world, snapshot) {
        for (sum, at) in sums.iter_mut().zip(feasible) {
            *sum += weights.get(domains.of_node[*at]).copied().unwrap_or(0);
        }
    }
    let least = sums.iter().copied().min().unwrap_or(0);
    let most = sums.iter().copied().max().unwrap_or(0);
    let range = most - least;
    for sum in &mut sums {
        *sum = if range > 0 {
            MAX_SCORE * (*sum - least) / range
        } else {
            0
        };
    }
    sums
}

/// What standing pods prefer about this one, by topology key and domain.
fn of_standing(
    wanted: &Wanted,
    world: &World,
    snapshot: &mut Snapshot,
) -> Vec<(Arc<Domains>, Vec<i64>)> {
    let (namespace, labels) = (wanted.footprint.namespace(), wanted.footprint.labels());
    let around = namespace_labels(world, namespace);
    let mut weights: HashMap<SmolStr, Vec<(usize, i64)>> = HashMap::new();
    for (at, node) in snapshot.nodes.iter().enumerate() {
        for pod in node.with_terms.values() {
            let required = pod
                .terms
                .required
                .iter()
                .map(|term| (HARD_AFFINITY_WEIGHT, term));
            let preferred = pod
                .terms
                .preferred
                .iter()
                .map(|(weight, term)| (*weight, term));
            for (weight, term) in required.chain(preferred) {
                if term.matches(namespace, labels, around) {
                    weights
                        .entry(term.topology_key.clone())
                        .or_default()
                        .push((at, weight));
                }
            }
        }
    }
    let by_domain = |(key, weights): (SmolStr, Vec<(usize, i64)>)| {
        let domains = snapshot.domains(&key);
        let mut sums = vec![0; domains.len];
        for (at, weight) in weights {
            if let Some(sum) = sums.get_mut(domains.of_node[at]) {
                *sum += weight;
            }
        }
        (domains, sums)
    };
    weights.into_iter().map(by_domain).collect()
}
