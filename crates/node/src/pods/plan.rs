//! Decides what to do about a Pod: one pure function from what is wanted and what is there to actions.
//!
//! Invariants: nothing is begun that is under way ([`PodState::busy`]); an action repeated after a crash does no harm; a
//! container runs only in a ready sandbox with its volumes there; a Pod's name is free for another one only after
//! nothing of it runs.

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::core::v1::{Pod, PodStatus};
use runtime::{ContainerId, ContainerState, ContainerStatus, SandboxId};

use super::probes::ProbeKind;
use super::spec::{self, Kind, Slot};
use super::state::{ImageState, Op, PodState, Volumes, time};
use super::status;

/// What a container gets at least to end by itself when its Pod ends (the kubelet's minimum).
pub const MINIMUM_GRACE_SECS: i64 = 2;
/// Ended runs of a container that are kept besides the latest: what `logs --previous` reads.
const OLD_RUNS_KEPT: usize = 1;

/// Something for the executor to do.
#[derive(Debug, Clone, PartialEq)]
pub enum Action {
    /// Set up the Pod's volumes.
    MountVolumes,
    /// Make the sandbox and its network.
    MakeSandbox {
        /// Counts sandboxes of the Pod.
        attempt: u32,
        /// The sandbox it replaces, if there was one.
        replaces: Option<SandboxId>,
    },
    /// Stop a sandbox and give up its network.
    StopSandbox(SandboxId),
    /// Remove a sandbox with its containers.
    RemoveSandbox(SandboxId),
    /// See to it that a container's image is here.
    PullImage {
        /// The container.
        container: String,
        /// For this run.
        attempt: u32,
    },
    /// Create and start a container, and run its postStart hook.
    RunContainer {
        /// The container.
        container: String,
        /// The number of the run.
        attempt: u32,
        /// When the run before it ended.
        after: Option<Timestamp>,
    },
    /// Run the preStop hook, then ask the container to end.
    StopContainer {
        /// The container's name.
        container: String,
        /// The run.
        id: ContainerId,
        /// After so many seconds it is killed.
        grace_secs: i64,
        /// For the event.
        message: String,
    },
    /// Kill a container whose grace was cut short.
    KillContainer(ContainerId),
    /// Forget an ended run.
    RemoveContainer(ContainerId),
    /// Run a probe once.
    Probe {
        /// The container.
        container: String,
        /// The run.
        id: ContainerId,
        /// Which probe.
        kind: ProbeKind,
    },
    /// Note that the Pod failed as a whole.
    Fail {
        /// The status' reason.
        reason: String,
        /// For people.
        message: String,
    },
    /// Write the status.
    WriteStatus(Box<PodStatus>),
    /// Remove everything of the Pod from this node; its logs go too.
    Teardown,
    /// Tell the API server that the Pod is gone.
    DeletePod,
    /// Ask again then, if nothing happens before.
    WakeAt(Timestamp),
}

impl Action {
    /// What is under way while this is carried out.
    pub fn op(&self) -> Option<Op> {
        Some(match self {
            Self::MountVolumes => Op::Mount,
            Self::MakeSandbox { .. } => Op::Sandbox,
            Self::StopSandbox(id) => Op::StopSandbox(id.clone()),
            Self::RemoveSandbox(id) => Op::RemoveSandbox(id.clone()),
            Self::PullImage { container, .. } => Op::Pull(container.clone()),
            Self::RunContainer { container, .. } => Op::Run(container.clone()),
            Self::StopContainer { id, .. } => Op::Stop(id.clone()),
            Self::KillContainer(id) => Op::Kill(id.clone()),
            Self::RemoveContainer(id) => Op::Remove(id.clone()),
            Self::Probe {
                container, kind, ..
            } => Op::Probe(container.clone(), *kind),
            Self::WriteStatus(_) => Op::Status,
            Self::Teardown => Op::Teardown,
            Self::DeletePod => Op::Delete,
            Self::Fail { .. } | Self::WakeAt(_) => return None,
        })
    }
}

/// The actions that bring the Pod closer to what is wanted.
pub fn step(pod: &Pod, observed: &PodState, now: Timestamp) -> Vec<Action> {
    let mut plan = Plan {
        pod,
        state: observed,
        now,
        slots: spec::slots(pod),
        actions: Vec::new(),
    };
    match plan.deadline() {
        Some(deadline) => plan.end(deadline),
        None => plan.run(),
    }
    plan.report();
    plan.actions
}

struct Plan<'a> {
    pod: &'a Pod,
    state: &'a PodState,
    now: Timestamp,
    slots: Vec<Slot<'a>>,
    actions: Vec<Action>,
}

impl Plan<'_> {
    fn push(&mut self, action: Action) {
        let op = action.op();
        if op.as_ref().is_some_and(|op| self.state.busy.contains(op)) {
            return;
        }
        let retry = op.and_then(|op| self.state.retry.get(&op).copied());
        let action = match retry {
            Some(at) if at > self.now => Action::WakeAt(at),
            _ => action,
        };
        if !self.actions.contains(&action) {
            self.actions.push(action);
        }
    }

    fn busy(&self, op: &Op) -> bool {
        self.state.busy.contains(op)
    }

    /// Until when the Pod may still run, if it is to end.
    fn deadline(&self) -> Option<Timestamp> {
        if let Some(gone) = self.state.gone {
            return Some(gone);
        }
        if let Some(deletion) = &self.pod.metadata.deletion_timestamp {
            return Some(deletion.0);
        }
        if let Some(failure) = &self.state.failure {
            return Some(failure.at + SignedDuration::from_secs(spec::grace_secs(self.pod)));
        }
        let over = spec::is_terminal(self.pod) || status::is_finished(&self.slots, self.state);
        over.then(|| self.now + SignedDuration::from_secs(spec::grace_secs(self.pod)))
    }

    fn run(&mut self) {
        if self.active_deadline() {
            return;
        }
        for id in self.state.obsolete.clone() {
            self.push(Action::RemoveSandbox(id));
        }
        if !self.volumes() || !self.sandbox() {
            return;
        }
        for index in 0..self.slots.len() {
            let name = self.slots[index].name().to_owned();
            self.forget_old_runs(&name);
            if self.slots[index].kind == Kind::Ephemeral {
                self.keep(index);
            }
        }
        if !self.initialize() {
            return;
        }
        for index in 0..self.slots.len() {
            if matches!(self.slots[index].kind, Kind::Main | Kind::Sidecar) {
                self.keep(index);
            }
        }
    }

    /// True when the Pod's time is up.
    fn active_deadline(&mut self) -> bool {
        let seconds = self
            .pod
            .spec
            .as_ref()
            .and_then(|spec| spec.active_deadline_seconds);
        let started = self
            .pod
            .status
            .as_ref()
            .and_then(|status| status.start_time.as_ref());
        let (Some(seconds), Some(started)) = (seconds, started) else {
            return false;
        };
        let end = started.0 + SignedDuration::from_secs(seconds);
        if self.now < end {
            self.push(Action::WakeAt(end));
            return false;
        }
        self.push(Action::Fail {
            reason: "DeadlineExceeded".to_owned(),
            message: "Pod was active on the node longer than the specified deadline".to_owned(),
        });
        true
    }

    /// True when the volumes are there.
    fn volumes(&mut self) -> bool {
        match &self.state.volumes {
            Volumes::Mounted => return true,
            Volumes::Failed(problem) if problem.retry_at > self.now => {
                self.push(Action::WakeAt(problem.retry_at));
            }
            Volumes::Absent | Volumes::Failed(_) => self.push(Action::MountVolumes),
        }
        false
    }

    /// True when there is a sandbox that takes containers.
    fn sandbox(&mut self) -> bool {
        if let Some(problem) = &self.state.sandbox_problem
            && problem.retry_at > self.now
        {
            self.push(Action::WakeAt(problem.retry_at));
            return false;
        }
        match &self.state.sandbox {
            Some(sandbox) if sandbox.ready => return true,
            Some(sandbox) => self.push(Action::MakeSandbox {
                attempt: sandbox.attempt + 1,
                replaces: Some(sandbox.id.clone()),
            }),
            None => self.push(Action::MakeSandbox {
                attempt: 0,
                replaces: None,
            }),
        }
        false
    }

    /// Works on init containers in their order; true when all are done and the sidecars have started.
    fn initialize(&mut self) -> bool {
        if status::is_initialized(&self.slots, self.state) {
            return true;
        }
        for index in 0..self.slots.len() {
            let slot = &self.slots[index];
            if !matches!(slot.kind, Kind::Init | Kind::Sidecar)
                || status::init_done(slot, self.state)
            {
                if slot.kind == Kind::Sidecar {
                    self.keep(index);
                }
                continue;
            }
            self.keep(index);
            return false;
        }
        true
    }

    /// Sees to it that a container runs, unless it has done its work.
    fn keep(&mut self, index: usize) {
        let slot = self.slots[index].clone();
        let name = slot.name();
        if self.busy(&Op::Run(name.to_owned())) {
            return;
        }
        let Some(run) = self.state.latest(name).cloned() else {
            self.start(name, self.state.memory_of(name).first_attempt, None);
            return;
        };
        match run.state {
            // The agent ended between creating and starting it.
            ContainerState::Created => self.push(Action::RemoveContainer(run.id)),
            ContainerState::Running => self.watch_over(&slot, &run),
            ContainerState::Exited if !slot.restarts_after(run.exit_code) => {}
            ContainerState::Exited => {
                let ended = time(run.finished_at).unwrap_or(self.now);
                match self.state.memory_of(name).restart_backoff.until(ended) {
                    Some(until) if until > self.now => self.push(Action::WakeAt(until)),
                    _ => self.start(name, run.attempt + 1, Some(ended)),
                }
            }
        }
    }

    /// Starts a run once its image is there.
    fn start(&mut self, name: &str, attempt: u32, after: Option<Timestamp>) {
        let memory = self.state.memory_of(name);
        if let Some(problem) = memory.problem.filter(|problem| problem.retry_at > self.now) {
            self.push(Action::WakeAt(problem.retry_at));
            return;
        }
        let container = name.to_owned();
        match memory.image {
            ImageState::Ready { attempt: of, .. } if of == attempt => {
                self.push(Action::RunContainer {
                    container,
                    attempt,
                    after,
                });
            }
            ImageState::Failed(problem) if problem.retry_at > self.now => {
                // Shown as a failed pull first, as one that waits a moment later.
                let turns = problem.at + status::PULL_ERROR_SHOWN;
                self.push(Action::WakeAt(if turns > self.now {
                    turns.min(problem.retry_at)
                } else {
                    problem.retry_at
                }));
            }
            _ => self.push(Action::PullImage { container, attempt }),
        }
    }

    /// Probes a running container, and ends it when that says so.
    fn watch_over(&mut self, slot: &Slot<'_>, run: &ContainerStatus) {
        let memory = self.state.memory_of(slot.name());
        let name = slot.name();
        if self.busy(&Op::Stop(run.id.clone())) {
            return;
        }
        let failed = |kind: ProbeKind| memory.verdict(kind) == Some(false);
        let doomed = memory.doomed.clone().or_else(|| {
            [ProbeKind::Startup, ProbeKind::Liveness]
                .into_iter()
                .find(|kind| failed(*kind))
                .map(|kind| {
                    (
                        kind,
                        format!(
                            "Container {name} failed {} probe, will be restarted",
                            kind.name().to_lowercase()
                        ),
                    )
                })
                .map(|found| found.1)
        });
        if let Some(message) = doomed {
            let probe = ProbeKind::ALL
                .into_iter()
                .filter(|kind| failed(*kind))
                .find_map(|kind| kind.of(&slot.container));
            let grace_secs = probe
                .and_then(|probe| probe.termination_grace_period_seconds)
                .unwrap_or_else(|| spec::grace_secs(self.pod));
            self.push(Action::StopContainer {
                container: name.to_owned(),
                id: run.id.clone(),
                grace_secs,
                message,
            });
            return;
        }
        let started = time(run.started_at).unwrap_or(self.now);
        for kind in ProbeKind::ALL {
            let Some(probe) = kind.of(&slot.container) else {
                continue;
            };
            if (kind == ProbeKind::Startup) == memory.started(slot) {
                continue;
            }
            let due = memory
                .tallies
                .get(&kind)
                .copied()
                .unwrap_or_default()
                .due(probe, started);
            if due > self.now {
                self.push(Action::WakeAt(due));
            } else {
                self.push(Action::Probe {
                    container: name.to_owned(),
                    id: run.id.clone(),
                    kind,
                });
            }
        }
    }

    fn forget_old_runs(&mut self, name: &str) {
        let mut ended: Vec<_> = self
            .state
            .runs(name)
            .filter(|run| run.state == ContainerState::Exited)
            .collect();
        ended.sort_by_key(|run| std::cmp::Reverse(run.attempt));
        let latest_ended = self
            .state
            .latest(name)
            .is_some_and(|run| run.state == ContainerState::Exited);
        let keep = OLD_RUNS_KEPT + usize::from(latest_ended);
        for run in ended.into_iter().skip(keep) {
            self.push(Action::RemoveContainer(run.id.clone()));
        }
    }

    /// Ends the Pod by `deadline`: main containers at once, then sidecars from the last to the first.
    fn end(&mut self, deadline: Timestamp) {
        for id in self.state.obsolete.clone() {
            self.push(Action::RemoveSandbox(id));
        }
        let starting = self
            .state
            .busy
            .iter()
            .any(|op| matches!(op, Op::Run(_) | Op::Sandbox | Op::Mount));
        let mut running: Vec<(Kind, ContainerStatus)> = Vec::new();
        for run in self
            .state
            .containers
            .iter()
            .filter(|run| run.state != ContainerState::Exited)
        {
            let kind = self
                .slots
                .iter()
                .find(|slot| slot.name() == run.name)
                .map_or(Kind::Main, |slot| slot.kind);
            running.push((kind, run.clone()));
        }
        if !running.is_empty() {
            self.end_containers(&running, deadline);
            return;
        }
        if starting {
            return;
        }
        if let Some(sandbox) = &self.state.sandbox
            && sandbox.ready
        {
            self.push(Action::StopSandbox(sandbox.id.clone()));
            return;
        }
        let deleting = self.pod.metadata.deletion_timestamp.is_some();
        if self.state.gone.is_some() {
            self.teardown();
        } else if deleting && spec::is_terminal(self.pod) {
            // The last status is known; only now may the Pod go.
            if self.teardown() {
                self.push(Action::DeletePod);
            }
        }
    }

    /// True when nothing of the Pod is left here.
    fn teardown(&mut self) -> bool {
        if !self.state.torn_down {
            self.push(Action::Teardown);
        }
        self.state.torn_down
    }

    fn end_containers(&mut self, running: &[(Kind, ContainerStatus)], deadline: Timestamp) {
        let left = deadline.duration_since(self.now).as_secs();
        let others = running.iter().any(|(kind, _)| *kind != Kind::Sidecar);
        let last_sidecar = self
            .slots
            .iter()
            .rev()
            .filter(|slot| slot.kind == Kind::Sidecar)
            .map(|slot| slot.name().to_owned())
            .find(|name| self.state.is_running(name));
        for (kind, run) in running {
            let turn = *kind != Kind::Sidecar
                || (!others && last_sidecar.as_deref() == Some(run.name.as_str()));
            if !turn {
                continue;
            }
            if self.busy(&Op::Stop(run.id.clone())) {
                // It got its grace when it was asked; only a deletion that was hurried later cuts that short.
                let hurried = self.now > deadline + SignedDuration::from_secs(MINIMUM_GRACE_SECS);
                if hurried {
                    self.push(Action::KillContainer(run.id.clone()));
                } else {
                    self.push(Action::WakeAt(
                        deadline + SignedDuration::from_secs(MINIMUM_GRACE_SECS + 1),
                    ));
                }
                continue;
            }
            let grace_secs = left.max(MINIMUM_GRACE_SECS);
            self.push(Action::StopContainer {
                container: run.name.clone(),
                id: run.id.clone(),
                grace_secs,
                message: format!("Stopping container {}", run.name),
            });
        }
    }

    /// Has the status written if it differs from the recorded one.
    fn report(&mut self) {
        if self.state.gone.is_some() || self.state.torn_down {
            return;
        }
        let wanted = status::pod_status(self.pod, self.state, self.now);
        let known = self.state.written.as_ref().or(self.pod.status.as_ref());
        if known == Some(&wanted) {
            return;
        }
        match self.state.status_retry_at {
            Some(at) if at > self.now => self.push(Action::WakeAt(at)),
            _ => self.push(Action::WriteStatus(Box::new(wanted))),
        }
    }
}

#[cfg(test)]
mod tests;
