//! Preemption: which pods of lower priority to take off a node, so that a pod that
//! no node will have finds room.
//!
//! Pure. Pods are lifted off the snapshot to see what would be, and put back. Of
//! the victims only those are named without which the pod would not fit; pods
//! whose disruption budget is spent are spared first. Source: the documentation of
//! "Pod Priority and Preemption".

use std::sync::Arc;

use jiff::Timestamp;
use k8s_openapi::api::core::v1::Pod;
use k8s_openapi::api::policy::v1::PodDisruptionBudget;
use object::names::resources::POD_DISRUPTION_BUDGETS;
use object::{LabelSelector, Name, Object};
use smol_str::SmolStr;
use world::World;

use crate::message::{NEVER, NO_VICTIMS, NOT_HELPFUL, Reasons, WAITING};
use crate::plugins::{Cycle, Refusal};
use crate::pod::{Footprint, Wanted};
use crate::snapshot::{Lifted, Snapshot};

/// Nodes on which preemption is tried out for one pod.
pub const CANDIDATES: usize = 100;

/// A node to clear, and of what.
#[derive(Clone, Debug)]
pub struct Preemption {
    /// The node.
    pub node: SmolStr,
    /// The pods to delete.
    pub victims: Vec<Arc<Object>>,
}

/// What came of it.
pub(crate) struct Answer {
    pub(crate) message: String,
    pub(crate) preemption: Option<Preemption>,
    pub(crate) clear_nomination: bool,
}

impl Answer {
    fn no(message: impl Into<String>, clear_nomination: bool) -> Self {
        Self {
            message: message.into(),
            preemption: None,
            clear_nomination,
        }
    }
}

pub(crate) fn preempt(
    world: &World,
    snapshot: &mut Snapshot,
    wanted: &Wanted,
    refused: &[(usize, Refusal)],
    random: u64,
) -> Answer {
    if !wanted.preempts {
        return Answer::no(NEVER, false);
    }
    if is_waiting(snapshot, wanted, refused) {
        return Answer::no(WAITING, false);
    }
    let nodes = snapshot.nodes.len();
    let mut reasons = Reasons::default();
    let mut open: Vec<usize> = refused
        .iter()
        .filter(|(_, r)| r.resolvable)
        .map(|(at, _)| *at)
        .collect();
    reasons.add(NOT_HELPFUL, nodes - open.len());
    if !open.is_empty() {
        // Start anywhere, so that the first nodes are not always the ones cleared.
        let length = u64::try_from(open.len()).unwrap_or(1);
        open.rotate_left(usize::try_from(random % length).unwrap_or(0));
    }
    let budgets = budgets(world);
    let mut candidates = Vec::new();
    let reserved = snapshot.reserved_before(wanted);
    snapshot.pretend(&reserved);
    for at in open {
        if candidates.len() >= CANDIDATES {
            break;
        }
        match on_node(world, snapshot, wanted, at, &budgets) {
            Ok(candidate) => candidates.push(candidate),
            Err(said) => said.into_iter().for_each(|reason| reasons.add(reason, 1)),
        }
    }
    snapshot.pretend_no_more(&reserved);
    match candidates.into_iter().min_by_key(Candidate::cost) {
        None => Answer::no(reasons.text(nodes), true),
        Some(best) => Answer {
            message: format!(
                "found a potential placement for pod on node {}, preempting {} victims",
                best.node,
                best.victims.len()
            ),
            preemption: Some(Preemption {
                node: best.node,
                victims: best
                    .victims
                    .iter()
                    .map(|pod| Arc::clone(&pod.object))
                    .collect(),
            }),
            clear_nomination: false,
        },
    }
}

/// Whether victims are going already on the node that is being cleared for the pod.
fn is_waiting(snapshot: &Snapshot, wanted: &Wanted, refused: &[(usize, Refusal)]) -> bool {
    let found = snapshot
        .nominated
        .get(&wanted.name())
        .map(|(node, _)| node.as_str());
    let nominated = found.unwrap_or(&wanted.nominated);
    let Some(node) = snapshot.find(nominated) else {
        return false;
    };
    let hopeless = refused
        .iter()
        .any(|(at, r)| !r.resolvable && snapshot.nodes[*at].name() == nominated);
    !hopeless
        && node
            .pods
            .values()
            .any(|pod| pod.preempted && pod.priority < wanted.priority())
}

struct Candidate {
    node: SmolStr,
    violations: usize,
    victims: Vec<Arc<Footprint>>,
}

impl Candidate {
    /// The smaller the better: broken budgets, the highest priority lost, the sum of
    /// priorities, the number of victims, and how long the youngest of the highest
    /// has been running.
    fn cost(&self) -> (usize, i32, i64, usize, std::cmp::Reverse<Timestamp>) {
        let highest = self.victims.iter().map(|pod| pod.priority).max();
        let highest = highest.unwrap_or(i32::MIN);
        // Shifted up so that more victims never sum to less.
        let sum = |pod: &Arc<Footprint>| i64::from(pod.priority) - i64::from(i32::MIN);
        let foremost = self.victims.iter().filter(|pod| pod.priority == highest);
        let earliest = foremost.map(|pod| started(pod)).min();
        (
            self.violations,
            highest,
            self.victims.iter().map(sum).sum(),
            self.victims.len(),
            std::cmp::Reverse(earliest.unwrap_or(Timestamp::MAX)),
        )
    }
}

/// When a pod began to run; one that has not counts as the youngest.
fn started(pod: &Footprint) -> Timestamp {
    let view = pod.object.view::<Pod>().ok();
    let time = view.and_then(|view| view.status.as_ref()?.start_time.as_ref().map(|time| time.0));
    time.unwrap_or(Timestamp::MAX)
}

/// The victims that the pod needs gone from one node, or why that does not help.
fn on_node(
    world: &World,
    snapshot: &mut Snapshot,
    wanted: &Wanted,
    at: usize,
    budgets: &[Budget],
) -> Result<Candidate, Vec<std::borrow::Cow<'static, str>>> {
    let lower: Vec<Name> = snapshot.nodes[at]
        .pods
        .iter()
        .filter(|(_, pod)| pod.priority < wanted.priority())
        .map(|(name, _)| name.clone())
        .collect();
    if lower.is_empty() {
        return Err(vec![NO_VICTIMS.into()]);
    }
    let mut lifted: Vec<Lifted> = lower
        .iter()
        .filter_map(|name| snapshot.lift(name))
        .collect();
    let fits = |snapshot: &mut Snapshot| {
        let cycle = Cycle::new(wanted, world, snapshot);
        cycle.filter(at, &snapshot.nodes[at])
    };
    if let Err(refusal) = fits(snapshot) {
        lifted.into_iter().for_each(|one| snapshot.put_back(one));
        return Err(refusal.reasons);
    }
    // The more important a pod, the sooner it is tried to be spared.
    lifted.sort_by_key(|one| (std::cmp::Reverse(one.pod.priority), started(&one.pod)));
    let (guarded, free): (Vec<_>, Vec<_>) = split(lifted, budgets);
    let (mut gone, mut violations) = (Vec::new(), 0);
    for (one, guarded) in guarded
        .into_iter()
        .map(|l| (l, true))
        .chain(free.into_iter().map(|l| (l, false)))
    {
        let name = one.pod.name();
        snapshot.put_back(one);
        if fits(snapshot).is_err()
            && let Some(one) = snapshot.lift(&name)
        {
            violations += usize::from(guarded);
            gone.push(one);
        }
    }
    let candidate = Candidate {
        node: snapshot.nodes[at].name().clone(),
        violations,
        victims: gone.iter().map(|one| Arc::clone(&one.pod)).collect(),
    };
    gone.into_iter().for_each(|one| snapshot.put_back(one));
    Ok(candidate)
}

/// How many more pods of a kind may be disturbed.
struct Budget {
    namespace: SmolStr,
    selector: LabelSelector,
    allowed: i64,
}

fn budgets(world: &World) -> Vec<Budget> {
    let read = |object: &Arc<Object>| {
        let view = object.view::<PodDisruptionBudget>().ok()?;
        let selector = LabelSelector::from_spec(view.spec.as_ref()?.selector.as_ref());
        let allowed = view
            .status
            .as_ref()
            .and_then(|status| status.disruptions_allowed);
        Some(Budget {
            namespace: object.meta().namespace.clone(),
            selector,
            allowed: i64::from(allowed.unwrap_or(0)),
        })
    };
    world
        .list(POD_DISRUPTION_BUDGETS)
        .filter_map(read)
        .collect()
}

/// Pods whose budget would be overdrawn if all before them went too, and the rest.
fn split(lifted: Vec<Lifted>, budgets: &[Budget]) -> (Vec<Lifted>, Vec<Lifted>) {
    let mut left: Vec<i64> = budgets.iter().map(|budget| budget.allowed).collect();
    lifted.into_iter().partition(|one| {
        let mut overdrawn = false;
        for (budget, left) in budgets.iter().zip(&mut left) {
            let labels = one.pod.labels();
            if budget.namespace == one.pod.namespace()
                && !labels.is_empty()
                && budget.selector.matches(labels)
            {
                *left -= 1;
                overdrawn |= *left < 0;
            }
        }
        overdrawn
    })
}
