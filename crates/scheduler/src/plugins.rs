//! The plugins: which nodes a pod may run on, and how good each would be.
//!
//! Pure. One file a plugin under `plugins/`; this one names them, holds their
//! order and weights, and runs them. Names, order, weights and messages are those
//! of upstream's default profile, because users see them in events.

mod balance;
mod fit;
mod images;
mod inter_pod;
mod node_affinity;
mod spread;
mod taints;

use std::borrow::Cow;

use world::World;

use crate::node::NodeInfo;
use crate::pod::Wanted;
use crate::services::Selectors;
use crate::snapshot::Snapshot;

pub(crate) use fit::fits_empty;
pub(crate) use inter_pod::namespace_labels;
pub(crate) use node_affinity::{allowed_names, required_matches};
pub(crate) use taints::tolerates;

/// The best score of a plugin, before its weight.
pub(crate) const MAX_SCORE: i64 = 100;

/// A plugin that can refuse a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub enum Plugin {
    /// `spec.unschedulable` of the node.
    NodeUnschedulable,
    /// `spec.nodeName` of the pod.
    NodeName,
    /// Taints that the pod does not tolerate.
    TaintToleration,
    /// Node selector and required node affinity.
    NodeAffinity,
    /// Host ports.
    NodePorts,
    /// Resources and the number of pods.
    NodeResourcesFit,
    /// Topology spread constraints.
    PodTopologySpread,
    /// Pod affinity and anti-affinity.
    InterPodAffinity,
}

/// All of them in the order in which they are asked.
pub(crate) const FILTERS: [Plugin; 8] = [
    Plugin::NodeUnschedulable,
    Plugin::NodeName,
    Plugin::TaintToleration,
    Plugin::NodeAffinity,
    Plugin::NodePorts,
    Plugin::NodeResourcesFit,
    Plugin::PodTopologySpread,
    Plugin::InterPodAffinity,
];

/// A set of [`Plugin`]s.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Plugins(u16);

impl Plugins {
    /// Adds one.
    pub fn insert(&mut self, plugin: Plugin) {
        self.0 |= 1 << plugin as u8;
    }

    /// Whether it is in the set.
    pub fn contains(self, plugin: Plugin) -> bool {
        self.0 & (1 << plugin as u8) != 0
    }

    /// Whether there is none.
    pub fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Its members in order.
    pub fn iter(self) -> impl Iterator<Item = Plugin> {
        FILTERS.into_iter().filter(move |one| self.contains(*one))
    }
}

impl Plugin {
    /// Its name upstream.
    pub fn name(self) -> &'static str {
        match self {
            Self::NodeUnschedulable => "NodeUnschedulable",
            Self::NodeName => "NodeName",
            Self::TaintToleration => "TaintToleration",
            Self::NodeAffinity => "NodeAffinity",
            Self::NodePorts => "NodePorts",
            Self::NodeResourcesFit => "NodeResourcesFit",
            Self::PodTopologySpread => "PodTopologySpread",
            Self::InterPodAffinity => "InterPodAffinity",
        }
    }
}

/// Why a node was refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Refusal {
    pub(crate) plugin: Plugin,
    pub(crate) reasons: Vec<Cow<'static, str>>,
    /// Whether taking other pods off the node might help.
    pub(crate) resolvable: bool,
}

impl Refusal {
    fn new(plugin: Plugin, reason: &'static str, resolvable: bool) -> Self {
        Self {
            plugin,
            reasons: vec![reason.into()],
            resolvable,
        }
    }

    /// The node affinity names its nodes, and this is none of them.
    pub(crate) fn not_named() -> Self {
        let reason = "node(s) didn't satisfy plugin(s) [NodeAffinity]";
        Self::new(Plugin::NodeAffinity, reason, false)
    }
}

/// What the plugins work out about the cluster for one pod, before they look at
/// single nodes. Valid until the snapshot changes.
pub(crate) struct Cycle<'a> {
    wanted: &'a Wanted,
    spread: spread::Hard,
    inter_pod: inter_pod::Required,
}

impl<'a> Cycle<'a> {
    pub(crate) fn new(wanted: &'a Wanted, world: &World, snapshot: &mut Snapshot) -> Self {
        Self {
            wanted,
            spread: spread::Hard::new(wanted, snapshot),
            inter_pod: inter_pod::Required::new(wanted, world, snapshot),
        }
    }

    /// Whether the pod may run on this node, the `at`-th of the snapshot.
    pub(crate) fn filter(&self, at: usize, node: &NodeInfo) -> Result<(), Refusal> {
        use Plugin as P;
        let wanted = self.wanted;
        if node.unschedulable && !taints::tolerates_unschedulable(wanted) {
            let reason = "node(s) were unschedulable";
            return Err(Refusal::new(P::NodeUnschedulable, reason, false));
        }
        if !wanted.node_name.is_empty() && wanted.node_name != *node.name() {
            let reason = "node(s) didn't match the requested node name";
            return Err(Refusal::new(P::NodeName, reason, false));
        }
        if !tolerates(wanted, node) {
            let reason = "node(s) had untolerated taint(s)";
            return Err(Refusal::new(P::TaintToleration, reason, false));
        }
        if !required_matches(wanted, node) {
            let reason = "node(s) didn't match Pod's node affinity/selector";
            return Err(Refusal::new(P::NodeAffinity, reason, false));
        }
        let ports = &wanted.footprint.ports;
        if ports
            .iter()
            .any(|port| node.ports.iter().any(|taken| taken.conflicts(port)))
        {
            let reason = "node(s) didn't have free ports for the requested pod ports";
            return Err(Refusal::new(P::NodePorts, reason, true));
        }
        fit::filter(wanted, node)?;
        self.spread.filter(at)?;
        self.inter_pod.filter(at)
    }
}

/// Weighted scores of the nodes that passed, in their order.
pub(crate) fn score(
    wanted: &Wanted,
    world: &World,
    snapshot: &mut Snapshot,
    selectors: &mut Selectors,
    feasible: &[usize],
) -> Vec<i64> {
    let spread = spread::score(wanted, world, snapshot, selectors, feasible);
    let inter_pod = inter_pod::score(wanted, world, snapshot, feasible);
    let nodes = || feasible.iter().map(|at| &snapshot.nodes[*at]);
    let taints = taints::score(wanted, nodes());
    let affinity = node_affinity::score(wanted, nodes());
    let balance = |node| balance::score(wanted, node);
    let images = |node| images::score(wanted, node, snapshot);
    nodes()
        .enumerate()
        .map(|(index, node)| {
            3 * taints[index]
                + 2 * affinity[index]
                + 2 * spread[index]
                + 2 * inter_pod[index]
                + fit::score(wanted, node)
                + balance(node)
                + images(node)
        })
        .collect()
}

/// Stretches scores so that the largest becomes [`MAX_SCORE`]; `reverse` makes the
/// smallest the best.
fn normalise(mut scores: Vec<i64>, reverse: bool) -> Vec<i64> {
    let largest = scores.iter().copied().max().unwrap_or(0);
    for score in &mut scores {
        if largest > 0 {
            *score = *score * MAX_SCORE / largest;
        }
        if reverse {
            *score = MAX_SCORE - *score;
        }
    }
    scores
}
