//! PodTopologySpread: how evenly pods stand over zones, hosts and other domains.
//!
//! Hard constraints filter, soft ones score. A pod without constraints is spread by
//! upstream's defaults, softly: 3 over hosts, 5 over zones.

use std::sync::Arc;

use object::LabelSelector;
use world::World;

use super::node_affinity::required_matches;
use super::taints::tolerates;
use super::{MAX_SCORE, Plugin, Refusal};
use crate::counts::{Domains, NO_DOMAIN, Predicate, Scope};
use crate::pod::Wanted;
use crate::services::Selectors;
use crate::snapshot::Snapshot;
use crate::terms::Spread;

const HOSTNAME: &str = "kubernetes.io/hostname";
const ZONE: &str = "topology.kubernetes.io/zone";

/// The hard constraints of one pod against one snapshot.
pub(super) struct Hard(Vec<Constraint>);

struct Constraint {
    domains: Arc<Domains>,
    /// Matching pods by domain.
    counts: Vec<i64>,
    /// The smallest count of an eligible domain.
    least: i64,
    max_skew: i64,
    /// 1 if the pod itself will count.
    own: i64,
}

impl Hard {
    pub(super) fn new(wanted: &Wanted, snapshot: &mut Snapshot) -> Self {
        let hard: Vec<&Spread> = wanted.spread.iter().filter(|c| c.hard).collect();
        if hard.is_empty() {
            return Self(Vec::new());
        }
        let domains: Vec<_> = hard
            .iter()
            .map(|c| snapshot.domains(&c.topology_key))
            .collect();
        let constraints = hard.iter().zip(&domains).map(|(spread, own_domains)| {
            let counted = counted(spread, wanted, snapshot, &domains);
            let by_node = pods_of(spread, wanted, snapshot);
            let mut counts = vec![0; own_domains.len];
            let mut eligible = vec![false; own_domains.len];
            for (at, domain) in own_domains.of_node.iter().enumerate() {
                if counted[at] {
                    // A counted node has every key, so it has a domain.
                    counts[*domain] += i64::from(by_node[at]);
                    eligible[*domain] = true;
                }
            }
            let number = eligible.iter().filter(|one| **one).count();
            let mut with_nodes = counts
                .iter()
                .zip(&eligible)
                .filter(|(_, eligible)| **eligible);
            let least = if i64::try_from(number).unwrap_or(i64::MAX) < spread.min_domains {
                0
            } else {
                with_nodes
                    .by_ref()
                    .map(|(count, _)| *count)
                    .min()
                    .unwrap_or(i64::MAX)
            };
            Constraint {
                domains: Arc::clone(own_domains),
                counts,
                least,
                max_skew: spread.max_skew,
                own: i64::from(spread.selector.matches(wanted.footprint.labels())),
            }
        });
        Self(constraints.collect())
    }

    pub(super) fn filter(&self, at: usize) -> Result<(), Refusal> {
        for constraint in &self.0 {
            let domain = constraint.domains.of_node[at];
            if domain == NO_DOMAIN {
                let reason =
                    "node(s) didn't match pod topology spread constraints (missing required label)";
                return Err(Refusal::new(Plugin::PodTopologySpread, reason, false));
            }
            let count = constraint.counts[domain] + constraint.own;
            if count.saturating_sub(constraint.least) > constraint.max_skew {
                let reason = "node(s) didn't match pod topology spread constraints";
                return Err(Refusal::new(Plugin::PodTopologySpread, reason, true));
            }
        }
        Ok(())
    }
}

/// Which nodes count for a constraint: those that have every topology key, and that
/// the inclusion policies do not leave out.
fn counted(
    spread: &Spread,
    wanted: &Wanted,
    snapshot: &Snapshot,
    domains: &[Arc<Domains>],
) -> Vec<bool> {
    let nodes = snapshot.nodes.iter().enumerate();
    nodes
        .map(|(at, node)| {
            domains.iter().all(|one| one.of_node[at] != NO_DOMAIN)
                && (!spread.honor_affinity || required_matches(wanted, node))
                && (!spread.honor_taints || tolerates(wanted, node))
        })
        .collect()
}

fn pods_of(spread: &Spread, wanted: &Wanted, snapshot: &mut Snapshot) -> Arc<Vec<u32>> {
    snapshot.count(&Predicate {
        scope: Scope::These(vec![wanted.footprint.namespace().into()]),
        selectors: vec![spread.selector.clone()],
        deleting: false,
    })
}

/// Upstream's default constraints, over the pods that `selector` selects.
fn default_constraints(selector: &LabelSelector) -> Vec<Spread> {
    let soft = |topology_key: &'static str, max_skew| Spread {
        selector: selector.clone(),
        topology_key: topology_key.into(),
        max_skew,
        min_domains: 1,
        hard: false,
        honor_affinity: true,
        honor_taints: false,
    };
    vec![soft(HOSTNAME, 3), soft(ZONE, 5)]
}

/// How many matching pods each node would stand with, turned into scores: fewer
/// are better, and domains of which there are many weigh more.
pub(super) fn score(
    wanted: &Wanted,
    world: &World,
    snapshot: &mut Snapshot,
    selectors: &mut Selectors,
    feasible: &[usize],
) -> Vec<i64> {
    let own = !wanted.spread.is_empty();
    let soft: Vec<Spread> = if own {
        wanted.spread.iter().filter(|c| !c.hard).cloned().collect()
    } else {
        let selector = selectors.of(wanted, world);
        selector
            .as_ref()
            .map(default_constraints)
            .unwrap_or_default()
    };
    if soft.is_empty() {
        return vec![0; feasible.len()];
    }
    let domains: Vec<_> = soft
        .iter()
        .map(|c| snapshot.domains(&c.topology_key))
        .collect();
    // With constraints of its own, nodes without all the keys get no score. Under
    // the defaults a cluster without zones is still spread over hosts.
    let has_all = |at: usize| domains.iter().all(|one| one.of_node[at] != NO_DOMAIN);
    let scored = |at: usize| !own || has_all(at);
    let needed: &[Arc<Domains>] = if own { &domains } else { &[] };
    let mut sums = vec![0.0; feasible.len()];
    for (spread, own_domains) in soft.iter().zip(&domains) {
        let by_node = pods_of(spread, wanted, snapshot);
        let counted = counted(spread, wanted, snapshot, needed);
        let on_host = spread.topology_key == HOSTNAME;
        let mut counts = vec![0_i64; own_domains.len];
        for (at, domain) in own_domains.of_node.iter().enumerate() {
            if counted[at]
                && let Some(count) = counts.get_mut(*domain)
            {
                *count += i64::from(by_node[at]);
            }
        }
        let weight = weight_of(
            own_domains,
            feasible.iter().copied().filter(|at| scored(*at)),
            on_host,
        );
        for (sum, at) in sums.iter_mut().zip(feasible) {
            let domain = own_domains.of_node[*at];
            if domain == NO_DOMAIN {
                continue;
            }
            let count = if on_host {
                i64::from(by_node[*at])
            } else {
                counts[domain]
            };
            #[expect(clippy::cast_precision_loss, reason = "a score needs no more")]
            let part = count as f64 * weight + (spread.max_skew - 1) as f64;
            *sum += part;
        }
    }
    #[expect(clippy::cast_possible_truncation, reason = "far below 2^53")]
    let raw = sums
        .iter()
        .zip(feasible)
        .map(|(sum, at)| scored(*at).then(|| sum.round() as i64));
    fewest_best(raw.collect())
}

/// The logarithm of the number of domains that come into question.
fn weight_of(domains: &Domains, scored: impl Iterator<Item = usize>, on_host: bool) -> f64 {
    let mut size = 0;
    let mut seen = vec![false; domains.len];
    // Under the defaults, nodes without the key together count as one more domain.
    let mut without = false;
    for at in scored {
        let seen = match seen.get_mut(domains.of_node[at]) {
            Some(seen) => seen,
            None => &mut without,
        };
        if on_host || !std::mem::replace(seen, true) {
            size += 1;
        }
    }
    f64::from(size + 2).ln()
}

fn fewest_best(raw: Vec<Option<i64>>) -> Vec<i64> {
    let least = raw.iter().flatten().copied().min().unwrap_or(0);
    let most = raw.iter().flatten().copied().max().unwrap_or(0);
    raw.into_iter()
        .map(|score| match score {
            None => 0,
            Some(_) if most == 0 => MAX_SCORE,
            Some(score) => MAX_SCORE * (most + least - score) / most,
        })
        .collect()
}
