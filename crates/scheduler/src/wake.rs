//! Which events may help a pod that found no node.
//!
//! Pure. Each plugin that refused a node is asked whether the event can change its
//! mind; a heartbeat of a node or the status of a pod wakes nobody.

use std::sync::Arc;

use object::names::resources::{NAMESPACES, NODES, PODS};
use object::{LabelSelector, Object};
use world::{Event, World};

use crate::node::NodeInfo;
use crate::plugins::{Plugin, Plugins, fits_empty, required_matches, tolerates};
use crate::pod::{Footprint, Standing, Wanted};
use crate::terms::PodTerm;

/// What an event means to pods that wait; read once for all of them.
#[derive(Debug)]
pub(crate) enum Change {
    Node(Box<NodeChange>),
    NodeGone,
    Pod(PodChange),
    /// A namespace came or has other labels.
    Namespace,
}

/// What is new about a node.
#[derive(Debug)]
pub(crate) struct NodeChange {
    info: NodeInfo,
    added: bool,
    labels: bool,
    taints: bool,
    cordon: bool,
    room: bool,
}

/// What is new about a pod that stands on a node.
#[derive(Debug, Default)]
pub(crate) struct PodChange {
    /// What it was before, if it stood already.
    before: Option<Arc<Footprint>>,
    /// What it is now, unless it is gone.
    after: Option<Arc<Footprint>>,
}

impl Change {
    /// Reads an event; `None` if it can help nobody.
    pub(crate) fn of(event: &Event) -> Option<Self> {
        let old = event.old.as_ref();
        match (event.resource(), event.new_state()) {
            (NODES, None) => Some(Self::NodeGone),
            (NODES, Some(new)) => {
                NodeChange::of(old, new).map(|change| Self::Node(Box::new(change)))
            }
            (PODS, new) => PodChange::of(old, new).map(Self::Pod),
            (NAMESPACES, Some(new)) => {
                let same = old.is_some_and(|old| old.meta().labels == new.meta().labels);
                (!same).then_some(Self::Namespace)
            }
            _ => None,
        }
    }

    /// A pod is not where it was thought to be.
    pub(crate) fn gone(pod: Arc<Footprint>) -> Self {
        Self::Pod(PodChange {
            before: Some(pod),
            after: None,
        })
    }

    /// Whether a pod that these plugins refused may find a node now.
    pub(crate) fn helps(&self, wanted: &Wanted, plugins: Plugins, world: &World) -> bool {
        plugins.iter().any(|plugin| match self {
            Self::Node(change) => change.helps(wanted, plugin),
            Self::NodeGone => plugin == Plugin::PodTopologySpread,
            Self::Pod(change) => change.helps(wanted, plugin, world),
            Self::Namespace => plugin == Plugin::InterPodAffinity,
        })
    }
}

impl NodeChange {
    fn of(old: Option<&Arc<Object>>, new: &Arc<Object>) -> Option<Self> {
        let info = NodeInfo::new(new).ok()?;
        let Some(old) = old.and_then(|old| NodeInfo::new(old).ok()) else {
            return Some(Self {
                info,
                added: true,
                labels: true,
                taints: true,
                cordon: true,
                room: true,
            });
        };
        let change = Self {
            added: false,
            labels: old.labels() != info.labels(),
            taints: old.taints != info.taints,
            cordon: old.unschedulable != info.unschedulable,
            room: old.allocatable != info.allocatable || old.max_pods != info.max_pods,
            info,
        };
        (change.labels || change.taints || change.cordon || change.room).then_some(change)
    }

    fn helps(&self, wanted: &Wanted, plugin: Plugin) -> bool {
        let info = &self.info;
        match plugin {
            Plugin::NodeUnschedulable => self.cordon && !info.unschedulable,
            Plugin::NodeName => {
                self.added && (wanted.node_name.is_empty() || wanted.node_name == *info.name())
            }
            Plugin::TaintToleration => self.taints && tolerates(wanted, info),
            Plugin::NodeAffinity => self.labels && required_matches(wanted, info),
            Plugin::NodePorts => self.added,
            Plugin::NodeResourcesFit => self.room && fits_empty(wanted, info),
            Plugin::PodTopologySpread => {
                self.labels || (self.taints && wanted.spread.iter().any(|c| c.honor_taints))
            }
            Plugin::InterPodAffinity => self.labels,
        }
    }
}

impl PodChange {
    fn of(old: Option<&Arc<Object>>, new: Option<&Arc<Object>>) -> Option<Self> {
        let (before, was_nominated) = standing(old);
        let (after, is_nominated) = standing(new);
        let change = match (before, after) {
            (Some(before), Some(after)) => {
                let same = before.labels() == after.labels()
                    && before.needs == after.needs
                    && before.is_deleting() == after.is_deleting();
                if same {
                    return None;
                }
                Self {
                    before: Some(before),
                    after: Some(after),
                }
            }
            // A pod for which a node was being cleared gives the room back.
            (None, None) => Self {
                before: Some(was_nominated.filter(|_| is_nominated.is_none())?),
                after: None,
            },
            (before, after) => Self { before, after },
        };
        Some(change)
    }

    fn helps(&self, wanted: &Wanted, plugin: Plugin, world: &World) -> bool {
        let footprint = &wanted.footprint;
        let (before, after) = (self.before.as_deref(), self.after.as_deref());
        match plugin {
            Plugin::NodePorts => {
                after.is_none()
                    && before.is_some_and(|pod| {
                        let ports = &pod.ports;
                        ports
                            .iter()
                            .any(|port| footprint.ports.iter().any(|own| own.conflicts(port)))
                    })
            }
            Plugin::NodeResourcesFit => match (before, after) {
                (Some(_), None) => true,
                (Some(before), Some(after)) => before.needs != after.needs,
                _ => false,
            },
            Plugin::PodTopologySpread => {
                let states = || before.into_iter().chain(after);
                let selects = |selector: &LabelSelector| {
                    states().any(|pod| {
                        pod.namespace() == footprint.namespace() && selector.matches(pod.labels())
                    })
                };
                wanted.spread.iter().any(|c| c.hard && selects(&c.selector))
            }
            Plugin::InterPodAffinity => self.helps_affinity(wanted, world),
            Plugin::NodeUnschedulable
            | Plugin::NodeName
            | Plugin::TaintToleration
            | Plugin::NodeAffinity => false,
        }
    }

    /// A pod to stand with came, or one to stand apart from went; relabelling is both.
    fn helps_affinity(&self, wanted: &Wanted, world: &World) -> bool {
        let footprint = &wanted.footprint;
        let meant = |term: &PodTerm, pod: &Footprint| {
            let around = crate::plugins::namespace_labels(world, pod.namespace());
            term.matches(pod.namespace(), pod.labels(), around)
        };
        let terms = &footprint.terms;
        let came = self.after.as_ref().is_some_and(|pod| {
            let relevant = self
                .before
                .as_ref()
                .is_none_or(|before| before.labels() != pod.labels());
            // All terms together must match one pod; one matching is reason to look.
            relevant && terms.required.iter().any(|term| meant(term, pod))
        });
        let went = self.before.as_ref().is_some_and(|pod| {
            let relevant = self
                .after
                .as_ref()
                .is_none_or(|after| after.labels() != pod.labels());
            relevant
                && (terms.anti_required.iter().any(|term| meant(term, pod))
                    || pod
                        .terms
                        .anti_required
                        .iter()
                        .any(|term| meant(term, footprint)))
        });
        came || went
    }
}

/// What a state of a pod takes: where it stands, and where a node is cleared for it.
fn standing(object: Option<&Arc<Object>>) -> (Option<Arc<Footprint>>, Option<Arc<Footprint>>) {
    match object.map(Footprint::standing) {
        Some(Ok(Standing::On(_, pod))) => (Some(Arc::new(pod)), None),
        Some(Ok(Standing::Unbound(Some((_, pod))))) => (None, Some(Arc::new(pod))),
        _ => (None, None),
    }
}
