//! What is known about one Pod on this node: the runtime's word, and the agent's memory.
//!
//! Plain data that [`super::plan`] reads; only the Pod's worker writes it. What must outlive the agent is not here but
//! in the runtime's labels and in the Pod's status.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use jiff::Timestamp;
use k8s_openapi::api::core::v1::{Pod, PodStatus};
use runtime::{ContainerId, ContainerState, ContainerStatus, SandboxId};

use super::backoff::Backoff;
use super::probes::{ProbeKind, Tally};
use super::spec::Slot;

/// Something that is being done and must not be begun again meanwhile.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Op {
    /// Volumes are being set up.
    Mount,
    /// A sandbox is being made.
    Sandbox,
    /// A sandbox is being stopped.
    StopSandbox(SandboxId),
    /// A sandbox is being removed.
    RemoveSandbox(SandboxId),
    /// An image is being fetched for this container.
    Pull(String),
    /// This container is being created and started.
    Run(String),
    /// A container is being asked to end.
    Stop(ContainerId),
    /// A container is being ended without further grace.
    Kill(ContainerId),
    /// An ended container is being removed.
    Remove(ContainerId),
    /// A probe runs.
    Probe(String, ProbeKind),
    /// The status is on its way to the API server.
    Status,
    /// Everything of the Pod is being removed from the node.
    Teardown,
    /// The API server is being told that the Pod is gone.
    Delete,
}

/// The Pod's sandbox.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sandbox {
    /// Its id.
    pub id: SandboxId,
    /// Whether containers can be created in it.
    pub ready: bool,
    /// Counts sandboxes of the Pod.
    pub attempt: u32,
    /// The Pod's address.
    pub ip: Option<IpAddr>,
}

/// Why something did not work, and when to try again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// As a waiting container's `reason` shows it.
    pub reason: String,
    /// For people.
    pub message: String,
    /// When it went wrong.
    pub at: Timestamp,
    /// Not before then.
    pub retry_at: Timestamp,
}

/// Volumes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Volumes {
    /// Nothing is done yet, or all is undone.
    #[default]
    Absent,
    /// All are there.
    Mounted,
    /// The last attempt failed.
    Failed(Problem),
}

/// The image of a container.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum ImageState {
    /// Nobody looked.
    #[default]
    Unknown,
    /// It is here, looked up for the run with this number.
    Ready {
        /// The run.
        attempt: u32,
        /// Digest name or id, as `imageID` shows it.
        id: String,
    },
    /// It could not be had.
    Failed(Problem),
}

/// What the agent remembers about a container.
#[derive(Debug, Clone, Default)]
pub struct Memory {
    /// Its image.
    pub image: ImageState,
    /// Of pulls.
    pub pull_backoff: Backoff,
    /// Of restarts.
    pub restart_backoff: Backoff,
    /// Why it could not be created.
    pub problem: Option<Problem>,
    /// Which run the tallies are about.
    pub run: Option<ContainerId>,
    /// Probe results of this run.
    pub tallies: BTreeMap<ProbeKind, Tally>,
    /// Why this run is to be ended (a failed hook); probes speak through their tallies.
    pub doomed: Option<String>,
    /// Image ids of runs.
    pub image_ids: BTreeMap<ContainerId, String>,
    /// Termination messages of ended runs.
    pub messages: BTreeMap<ContainerId, String>,
    /// Number of the first run in this sandbox, when there were earlier sandboxes.
    pub first_attempt: u32,
    /// The last end in an earlier sandbox.
    pub earlier_end: Option<k8s_openapi::api::core::v1::ContainerStateTerminated>,
}

impl Memory {
    /// The verdict of a probe.
    pub fn verdict(&self, kind: ProbeKind) -> Option<bool> {
        self.tallies.get(&kind).and_then(|tally| tally.verdict)
    }

    /// Whether the present run has started, as far as its startup probe goes.
    pub fn started(&self, slot: &Slot<'_>) -> bool {
        slot.container.startup_probe.is_none() || self.verdict(ProbeKind::Startup) == Some(true)
    }

    /// Whether the present run, which is running, is ready.
    pub fn ready(&self, slot: &Slot<'_>) -> bool {
        self.started(slot)
            && (slot.container.readiness_probe.is_none()
                || self.verdict(ProbeKind::Readiness) == Some(true))
    }
}

/// Why a Pod is stopped although nobody deleted it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// The status' reason, such as `DeadlineExceeded` or `Evicted`.
    pub reason: String,
    /// For people.
    pub message: String,
    /// When it was decided.
    pub at: Timestamp,
}

/// The node, as far as a Pod's status tells of it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct NodeFacts {
    /// Addresses of the node.
    pub host_ips: Vec<IpAddr>,
    /// The runtime's name, the scheme of container ids.
    pub runtime_name: String,
}

/// Everything known about a Pod.
#[derive(Debug, Clone, Default)]
pub struct PodState {
    /// The newest sandbox.
    pub sandbox: Option<Sandbox>,
    /// Sandboxes that a newer one replaced.
    pub obsolete: Vec<SandboxId>,
    /// Containers of the newest sandbox.
    pub containers: Vec<ContainerStatus>,
    /// Volumes.
    pub volumes: Volumes,
    /// Why the last sandbox could not be made.
    pub sandbox_problem: Option<Problem>,
    /// By container name.
    pub memory: BTreeMap<String, Memory>,
    /// What is under way.
    pub busy: BTreeSet<Op>,
    /// Operations that failed, or need no quick repetition, and when they may begin again.
    pub retry: BTreeMap<Op, Timestamp>,
    /// Set when the Pod is to be stopped for a reason of the node's.
    pub failure: Option<Failure>,
    /// Set when the Pod vanished from the API server: then it ends by this time.
    pub gone: Option<Timestamp>,
    /// The status last written, until the world shows it.
    pub written: Option<PodStatus>,
    /// When a status write that failed may be tried again.
    pub status_retry_at: Option<Timestamp>,
    /// Everything of the Pod was removed from the node.
    pub torn_down: bool,
    /// The node.
    pub node: NodeFacts,
}

impl PodState {
    /// The latest run of a container.
    pub fn latest(&self, name: &str) -> Option<&ContainerStatus> {
        self.runs(name).max_by_key(|run| run.attempt)
    }

    /// The run before the latest.
    pub fn previous(&self, name: &str) -> Option<&ContainerStatus> {
        let latest = self.latest(name)?;
        self.runs(name)
            .filter(|run| run.attempt < latest.attempt)
            .max_by_key(|run| run.attempt)
    }

    /// All runs of a container that the runtime still knows.
    pub fn runs<'a>(&'a self, name: &str) -> impl Iterator<Item = &'a ContainerStatus> {
        self.containers.iter().filter(move |run| run.name == name)
    }

    /// The memory of a container.
    pub fn memory_of(&self, name: &str) -> Memory {
        self.memory.get(name).cloned().unwrap_or_default()
    }

    /// Whether the latest run of a container runs.
    pub fn is_running(&self, name: &str) -> bool {
        self.latest(name)
            .is_some_and(|run| run.state == ContainerState::Running)
    }

    /// Notes the runtime's present word. A new run of a container starts with empty tallies; the first time a
    /// run is seen after a start of the agent, what `pod`'s status says about it counts.
    pub fn observe(
        &mut self,
        pod: &Pod,
        sandbox: Option<Sandbox>,
        obsolete: Vec<SandboxId>,
        containers: Vec<ContainerStatus>,
    ) {
        self.sandbox = sandbox;
        self.obsolete = obsolete;
        self.containers = containers;
        for slot in super::spec::slots(pod) {
            let Some(run) = self.latest(slot.name()).map(|run| run.id.clone()) else {
                continue;
            };
            let memory = self.memory.entry(slot.name().to_owned()).or_default();
            if memory.run.as_ref() == Some(&run) {
                continue;
            }
            memory.tallies.clear();
            memory.doomed = None;
            if let Some(known) = super::status::recorded(pod, slot.name()).filter(|known| {
                known
                    .container_id
                    .as_deref()
                    .is_some_and(|id| id.ends_with(&run.0))
            }) {
                let tally = Tally::decided;
                if known.started == Some(true) {
                    memory.tallies.insert(ProbeKind::Startup, tally(true));
                }
                if known.ready {
                    memory.tallies.insert(ProbeKind::Readiness, tally(true));
                }
                memory.image_ids.insert(run.clone(), known.image_id.clone());
            }
            memory.run = Some(run);
        }
    }
}

/// A runtime's nanoseconds as a time; `None` for 0, which stands for never.
pub fn time(nanoseconds: i64) -> Option<Timestamp> {
    (nanoseconds != 0)
        .then(|| Timestamp::from_nanosecond(i128::from(nanoseconds)).ok())
        .flatten()
}
