//! Pods as the scheduler sees them: a [`Footprint`] for what a placed pod means
//! to others, and a [`Wanted`] for what a pending pod asks of a node.
//!
//! Pure; reads one stored Pod. Selectors and quantities are compiled here once
//! per revision, so that looking at a node compares numbers and short texts only.

use std::sync::Arc;

use k8s_openapi::api::core::v1::{Pod, PodSpec, Toleration};
use object::meta::StringMap;
use object::object::DecodeError;
use object::{LabelSelector, Name, Object};
use smol_str::SmolStr;

use crate::requests::{Amounts, Counting, is_sidecar, pod_requests};
use crate::terms::{NodeTerm, PodTerms, Spread, pod_terms};

/// The scheduler's own name in `spec.schedulerName`.
pub const SCHEDULER_NAME: &str = "default-scheduler";

/// A node's or pod's amounts in the units that comparing needs: CPU in
/// thousandths, everything else in whole units (bytes).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Needs {
    pub(crate) cpu_milli: i64,
    pub(crate) memory: i64,
    pub(crate) ephemeral: i64,
    /// Extended resources and huge pages, sorted by name.
    pub(crate) others: Vec<(SmolStr, i64)>,
    /// CPU and memory with defaults for containers that ask for nothing: what
    /// scoring uses.
    pub(crate) scored_cpu_milli: i64,
    pub(crate) scored_memory: i64,
}

impl Needs {
    fn of(pod: &Pod) -> Self {
        let counting = |defaults| Counting {
            defaults,
            status: true,
        };
        let mut needs = Self::from_amounts(&pod_requests(pod, counting(false)));
        let scored = pod_requests(pod, counting(true));
        needs.scored_cpu_milli = scored.get("cpu").map_or(0, |cpu| cpu.milli());
        needs.scored_memory = scored.get("memory").map_or(0, |memory| memory.units());
        needs
    }

    pub(crate) fn from_amounts(amounts: &Amounts) -> Self {
        let mut needs = Self::default();
        for (name, amount) in amounts {
            match name.as_str() {
                "cpu" => needs.cpu_milli = amount.milli(),
                "memory" => needs.memory = amount.units(),
                "ephemeral-storage" => needs.ephemeral = amount.units(),
                "pods" => {}
                _ => needs.others.push((name.clone(), amount.units())),
            }
        }
        needs
    }

    /// Whether nothing is asked for.
    pub(crate) fn is_none(&self) -> bool {
        (self.cpu_milli, self.memory, self.ephemeral) == (0, 0, 0) && self.others.is_empty()
    }
}

/// A port of the node that a pod takes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct HostPort {
    address: SmolStr,
    protocol: SmolStr,
    port: i32,
}

const ANY_ADDRESS: &str = "0.0.0.0";

impl HostPort {
    /// Whether both cannot be open on one node.
    pub(crate) fn conflicts(&self, other: &Self) -> bool {
        self.port == other.port
            && self.protocol == other.protocol
            && (self.address == other.address
                || self.address == ANY_ADDRESS
                || other.address == ANY_ADDRESS)
    }
}

/// What a pod takes from its node and means to other pods.
#[derive(Debug)]
pub struct Footprint {
    pub(crate) object: Arc<Object>,
    pub(crate) priority: i32,
    pub(crate) needs: Needs,
    pub(crate) ports: Vec<HostPort>,
    pub(crate) terms: PodTerms,
    /// Being deleted because the scheduler preempted it.
    pub(crate) preempted: bool,
}

impl Footprint {
    fn new(object: Arc<Object>, pod: &Pod, spec: &PodSpec) -> Self {
        let ports = spec
            .containers
            .iter()
            .chain(
                spec.init_containers
                    .iter()
                    .flatten()
                    .filter(|c| is_sidecar(c)),
            )
            .flat_map(|container| container.ports.iter().flatten())
            .filter_map(|port| {
                let text = |text: &Option<String>, absent: &str| {
                    let text = text.as_deref().unwrap_or_default();
                    SmolStr::from(if text.is_empty() { absent } else { text })
                };
                Some(HostPort {
                    address: text(&port.host_ip, ANY_ADDRESS),
                    protocol: text(&port.protocol, "TCP"),
                    port: port.host_port.filter(|port| *port > 0)?,
                })
            })
            .collect();
        let conditions = pod
            .status
            .iter()
            .flat_map(|s| s.conditions.iter().flatten());
        let mut preempted = conditions.into_iter().filter(|condition| {
            condition.type_ == "DisruptionTarget"
                && condition.reason.as_deref() == Some("PreemptionByScheduler")
        });
        Self {
            priority: spec.priority.unwrap_or(0),
            needs: Needs::of(pod),
            ports,
            terms: pod_terms(&object, spec.affinity.as_ref()),
            preempted: object.meta().is_deleting() && preempted.next().is_some(),
            object,
        }
    }

    /// Where a stored pod stands.
    pub(crate) fn standing(object: &Arc<Object>) -> Result<Standing, DecodeError> {
        let pod = object.view::<Pod>()?;
        if has_ended(&pod) {
            return Ok(Standing::Ended);
        }
        let Some(spec) = &pod.spec else {
            return Ok(Standing::Unbound(None));
        };
        let set = |text: &Option<String>| -> Option<SmolStr> {
            text.as_deref()
                .filter(|text| !text.is_empty())
                .map(SmolStr::from)
        };
        let Some(node) = set(&spec.node_name) else {
            let status = pod.status.as_ref();
            let nominated = status.and_then(|status| set(&status.nominated_node_name));
            let with_footprint = |node| (node, Self::new(Arc::clone(object), &pod, spec));
            return Ok(Standing::Unbound(nominated.map(with_footprint)));
        };
        let footprint = Self::new(Arc::clone(object), &pod, spec);
        Ok(Standing::On(node, footprint))
    }

    pub(crate) fn name(&self) -> Name {
        self.object.name()
    }

    pub(crate) fn namespace(&self) -> &str {
        &self.object.meta().namespace
    }

    pub(crate) fn labels(&self) -> &StringMap {
        &self.object.meta().labels
    }

    pub(crate) fn is_deleting(&self) -> bool {
        self.object.meta().is_deleting()
    }
}

/// Where a pod stands.
pub(crate) enum Standing {
    /// It has no node yet, but perhaps one that is being cleared for it.
    Unbound(Option<(SmolStr, Footprint)>),
    /// It takes room on a node.
    On(SmolStr, Footprint),
    /// It has ended and takes nothing.
    Ended,
}

fn has_ended(pod: &Pod) -> bool {
    let phase = pod.status.as_ref().and_then(|s| s.phase.as_deref());
    matches!(phase, Some("Succeeded" | "Failed"))
}

/// A pending pod, compiled.
#[derive(Debug)]
pub struct Wanted {
    pub(crate) footprint: Arc<Footprint>,
    pub(crate) node_name: SmolStr,
    pub(crate) node_selector: LabelSelector,
    /// Any of these must match, if there is such a requirement at all.
    pub(crate) node_terms: Option<Vec<NodeTerm>>,
    pub(crate) preferred_nodes: Vec<(i64, NodeTerm)>,
    pub(crate) tolerations: Vec<Toleration>,
    pub(crate) spread: Vec<Spread>,
    /// Normalised names of the images it runs, with repetitions.
    pub(crate) images: Vec<SmolStr>,
    pub(crate) preempts: bool,
    pub(crate) nominated: SmolStr,
}

/// Why a stored pod is nothing to schedule.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotPending {
    /// It has a node, has ended or is being deleted.
    Settled,
    /// Its scheduling gates are closed.
    Gated,
    /// Another scheduler is responsible.
    Foreign,
}

/// Why a pod is nothing to schedule, if it is not.
pub(crate) fn not_pending(object: &Object, pod: &Pod) -> Option<NotPending> {
    let Some(spec) = &pod.spec else {
        return Some(NotPending::Settled);
    };
    let is = |text: &Option<String>| text.as_deref().is_some_and(|text| !text.is_empty());
    if is(&spec.node_name) || has_ended(pod) || object.meta().is_deleting() {
        return Some(NotPending::Settled);
    }
    if is(&spec.scheduler_name) && spec.scheduler_name.as_deref() != Some(SCHEDULER_NAME) {
        return Some(NotPending::Foreign);
    }
    let gated = spec.scheduling_gates.iter().flatten().next().is_some();
    gated.then_some(NotPending::Gated)
}

impl Wanted {
    /// Compiles a stored pod, if it waits for this scheduler.
    pub fn new(object: &Arc<Object>) -> Result<Result<Self, NotPending>, DecodeError> {
        let pod = object.view::<Pod>()?;
        Ok(match (not_pending(object, &pod), &pod.spec) {
            (None, Some(spec)) => Ok(Self::compile(object, &pod, spec)),
            (why, _) => Err(why.unwrap_or(NotPending::Settled)),
        })
    }

    fn compile(object: &Arc<Object>, pod: &Pod, spec: &PodSpec) -> Self {
        let node_affinity = spec
            .affinity
            .as_ref()
            .and_then(|a| a.node_affinity.as_ref());
        let required = node_affinity
            .and_then(|a| {
                a.required_during_scheduling_ignored_during_execution
                    .as_ref()
            })
            .map(|selector| {
                selector
                    .node_selector_terms
                    .iter()
                    .map(NodeTerm::new)
                    .collect()
            });
        let preferred = node_affinity
            .iter()
            .flat_map(|a| {
                a.preferred_during_scheduling_ignored_during_execution
                    .iter()
                    .flatten()
            })
            .map(|term| (i64::from(term.weight), NodeTerm::new(&term.preference)))
            .collect();
        let containers = spec
            .containers
            .iter()
            .chain(spec.init_containers.iter().flatten());
        let volumes = spec.volumes.iter().flatten();
        let images = containers
            .filter_map(|container| container.image.as_deref())
            .chain(volumes.filter_map(|volume| volume.image.as_ref()?.reference.as_deref()))
            .map(normalised_image)
            .collect();
        let labels = &object.meta().labels;
        let empty = std::collections::BTreeMap::new();
        let nominated = pod
            .status
            .as_ref()
            .and_then(|s| s.nominated_node_name.as_deref());
        Self {
            footprint: Arc::new(Footprint::new(Arc::clone(object), pod, spec)),
            node_name: spec.node_name.as_deref().unwrap_or_default().into(),
            node_selector: LabelSelector::from_labels(
                spec.node_selector.as_ref().unwrap_or(&empty),
            ),
            node_terms: required,
            preferred_nodes: preferred,
            tolerations: spec.tolerations.clone().unwrap_or_default(),
            spread: spec
                .topology_spread_constraints
                .iter()
                .flatten()
                .map(|constraint| Spread::new(constraint, labels))
                .collect(),
            images,
            preempts: spec.preemption_policy.as_deref() != Some("Never"),
            nominated: nominated.unwrap_or_default().into(),
        }
    }

    pub(crate) fn name(&self) -> Name {
        self.footprint.name()
    }

    pub(crate) fn priority(&self) -> i32 {
        self.footprint.priority
    }
}

/// The name a node lists an image under: with a tag.
pub(crate) fn normalised_image(name: &str) -> SmolStr {
    if name.rfind(':') <= name.rfind('/') {
        return format!("{name}:latest").into();
    }
    name.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn images_without_a_tag_are_the_latest() {
        for (name, want) in [
            ("nginx", "nginx:latest"),
            ("nginx:1", "nginx:1"),
            ("host:5000/nginx", "host:5000/nginx:latest"),
            ("host:5000/nginx:1", "host:5000/nginx:1"),
            ("nginx@sha256:00", "nginx@sha256:00"),
        ] {
            assert_eq!(normalised_image(name), want);
        }
    }

    #[test]
    fn ports_conflict_on_one_address_or_on_any() {
        let port = |address: &str, protocol: &str, port| HostPort {
            address: address.into(),
            protocol: protocol.into(),
            port,
        };
        let taken = port("10.0.0.1", "TCP", 80);
        for (other, want) in [
            (port("10.0.0.1", "TCP", 80), true),
            (port("0.0.0.0", "TCP", 80), true),
            (port("10.0.0.2", "TCP", 80), false),
            (port("10.0.0.1", "UDP", 80), false),
            (port("0.0.0.0", "TCP", 81), false),
        ] {
            assert_eq!(
                (taken.conflicts(&other), other.conflicts(&taken)),
                (want, want)
            );
        }
    }
}
