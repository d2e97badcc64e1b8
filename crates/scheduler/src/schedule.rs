//! The decision: which node each of many pending pods gets.
//!
//! Pure over a [`World`] and a [`Snapshot`]; time and randomness come from [`Cx`].
//! Pods are decided one after the other in the order given, each on the picture
//! that includes those before it, so a batch decides as single decisions in a row
//! would. Invariant: a pod is only given a node that every filter accepts.

use std::sync::Arc;

use object::{Key, Object};
use reconcile::Cx;
use smol_str::SmolStr;
use world::World;

use crate::message::{NO_NODES, Reasons};
use crate::plugins::{Cycle, Plugin, Plugins, Refusal, allowed_names, score};
use crate::pod::{NotPending, Wanted};
use crate::preempt::{Preemption, preempt};
use crate::services::Selectors;
use crate::snapshot::Snapshot;

/// What was decided about one pod.
#[derive(Debug)]
pub struct Decision {
    /// The pod.
    pub key: Key,
    /// What is to happen.
    pub outcome: Outcome,
}

/// What is to happen with a pod.
#[derive(Debug)]
pub enum Outcome {
    /// It gets this node; the snapshot assumes it there.
    Bind {
        /// The pod as decided on.
        pod: Arc<Object>,
        /// The node's name.
        node: SmolStr,
    },
    /// No node will have it now.
    Unschedulable(Unschedulable),
    /// It is nothing to schedule.
    NotPending(NotPending),
    /// It is gone.
    Gone,
    /// It cannot be read; the text says why.
    Unreadable(Arc<Object>, String),
}

/// Why a pod has no node, and what would change that.
#[derive(Debug)]
pub struct Unschedulable {
    /// The pod as decided on.
    pub pod: Arc<Wanted>,
    /// For people.
    pub message: String,
    /// The plugins that refused nodes: only what may change their minds wakes it.
    pub plugins: Plugins,
    /// Pods to take away for it, if that helps.
    pub preemption: Option<Preemption>,
    /// No node is being cleared for it any more.
    pub clear_nomination: bool,
}

impl Unschedulable {
    /// The pod as stored.
    pub fn object(&self) -> &Arc<Object> {
        &self.pod.footprint.object
    }
}

/// Decides pods in the order given.
pub fn schedule(cx: &Cx, world: &World, snapshot: &mut Snapshot, pods: &[Key]) -> Vec<Decision> {
    let mut selectors = Selectors::default();
    let mut random = Random(cx.random);
    let mut one = |key: &Key| {
        let Some(object) = world.get(key) else {
            return Outcome::Gone;
        };
        if snapshot.has_placed(object) {
            return Outcome::NotPending(NotPending::Settled);
        }
        match Wanted::new(object) {
            Err(error) => Outcome::Unreadable(Arc::clone(object), error.to_string()),
            Ok(Err(why)) => Outcome::NotPending(why),
            Ok(Ok(wanted)) => decide(world, snapshot, &mut selectors, &mut random, wanted),
        }
    };
    pods.iter()
        .map(|key| Decision {
            key: key.clone(),
            outcome: one(key),
        })
        .collect()
}

fn decide(
    world: &World,
    snapshot: &mut Snapshot,
    selectors: &mut Selectors,
    random: &mut Random,
    wanted: Wanted,
) -> Outcome {
    if snapshot.nodes.is_empty() {
        let mut plugins = Plugins::default();
        plugins.insert(Plugin::NodeName);
        return Outcome::Unschedulable(Unschedulable {
            pod: Arc::new(wanted),
            message: NO_NODES.to_owned(),
            plugins,
            preemption: None,
            clear_nomination: false,
        });
    }
    let Filtered { feasible, refused } = filter(&wanted, world, snapshot);
    if let Some(at) = best(&wanted, world, snapshot, selectors, random, &feasible) {
        let node = snapshot.nodes[at].name().clone();
        snapshot.assume(&wanted.footprint, &node);
        return Outcome::Bind {
            pod: Arc::clone(&wanted.footprint.object),
            node,
        };
    }
    let (mut reasons, mut plugins) = (Reasons::default(), Plugins::default());
    for (_, refusal) in &refused {
        plugins.insert(refusal.plugin);
        for reason in &refusal.reasons {
            reasons.add(reason.clone(), 1);
        }
    }
    let mut message = reasons.text(snapshot.nodes.len());
    let answer = preempt(world, snapshot, &wanted, &refused, random.next());
    message.push_str(" preemption: ");
    message.push_str(&answer.message);
    if let Some(preemption) = &answer.preemption {
        snapshot.nominate(&wanted.footprint, &preemption.node);
    } else if answer.clear_nomination {
        snapshot.nominated.remove(&wanted.name());
    }
    Outcome::Unschedulable(Unschedulable {
        clear_nomination: answer.clear_nomination && !wanted.nominated.is_empty(),
        pod: Arc::new(wanted),
        message,
        plugins,
        preemption: answer.preemption,
    })
}

/// What the filters said, by position of the node.
pub(crate) struct Filtered {
    feasible: Vec<usize>,
    refused: Vec<(usize, Refusal)>,
}

fn filter(wanted: &Wanted, world: &World, snapshot: &mut Snapshot) -> Filtered {
    let reserved = snapshot.reserved_before(wanted);
    let mut filtered = pass(wanted, world, snapshot, None);
    if reserved.is_empty() || filtered.feasible.is_empty() {
        return filtered;
    }
    // Room is kept for pods that preempted others. A node must do with them and
    // without them, since they may yet go elsewhere.
    snapshot.pretend(&reserved);
    let with = pass(wanted, world, snapshot, Some(&filtered.feasible));
    snapshot.pretend_no_more(&reserved);
    filtered.feasible = with.feasible;
    filtered.refused.extend(with.refused);
    filtered
}

fn pass(
    wanted: &Wanted,
    world: &World,
    snapshot: &mut Snapshot,
    among: Option<&[usize]>,
) -> Filtered {
    let cycle = Cycle::new(wanted, world, snapshot);
    let named = allowed_names(wanted);
    let (mut feasible, mut refused) = (Vec::new(), Vec::new());
    let mut look = |at: usize| {
        let node = &snapshot.nodes[at];
        if named
            .as_ref()
            .is_some_and(|names| names.binary_search(node.name()).is_err())
        {
            refused.push((at, Refusal::not_named()));
            return;
        }
        match cycle.filter(at, node) {
            Ok(()) => feasible.push(at),
            Err(refusal) => refused.push((at, refusal)),
        }
    };
    match among {
        Some(among) => among.iter().copied().for_each(&mut look),
        None => (0..snapshot.nodes.len()).for_each(&mut look),
    }
    Filtered { feasible, refused }
}

/// The best node; among equals, a random one. A node that was cleared for the pod
/// is taken without looking further.
fn best(
    wanted: &Wanted,
    world: &World,
    snapshot: &mut Snapshot,
    selectors: &mut Selectors,
    random: &mut Random,
    feasible: &[usize],
) -> Option<usize> {
    if feasible.len() <= 1 {
        return feasible.first().copied();
    }
    let nominated = |at: &&usize| snapshot.nodes[**at].name() == &wanted.nominated;
    if !wanted.nominated.is_empty()
        && let Some(at) = feasible.iter().find(nominated)
    {
        return Some(*at);
    }
    let scores = score(wanted, world, snapshot, selectors, feasible);
    let most = scores.iter().copied().max()?;
    let mut best = feasible
        .iter()
        .zip(&scores)
        .filter(|(_, score)| **score == most);
    let number = best.clone().count();
    best.nth(random.below(number)).map(|(at, _)| *at)
}

/// Numbers that follow from the one drawn for this plan (SplitMix64).
pub(crate) struct Random(u64);

impl Random {
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, limit: usize) -> usize {
        let limit = u64::try_from(limit).unwrap_or(u64::MAX).max(1);
        // Smaller than `limit`, which was a usize.
        usize::try_from(self.next() % limit).unwrap_or(0)
    }
}
