//! The task of one Pod: observes, asks [`super::plan`], has the actions carried out, and remembers how they went.
//!
//! Invariants: decisions are the plan's alone; at most one operation of each [`Op`] is under way; the task ends when the
//! Pod is gone from the API server and from the node.

mod operate;
mod settle;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use client::Feed;
use jiff::Timestamp;
use k8s_openapi::api::core::v1::Pod;
use object::Object;
use object::time::SharedClock;
use runtime::{Runtime, SandboxState};
use tokio::sync::{Notify, watch};
use tokio::task::JoinSet;

use super::plan::{self, Action};
use super::spec;
use super::state::{NodeFacts, Op, PodState, Sandbox, Volumes};
use crate::api::Api;
use crate::env::fields::Facts;
use crate::events::Recorder;
use crate::images::{ImageFacts, Images};
use crate::links::Links;
use crate::options::Options;
use crate::volumes::payload::TokenWish;

/// A plan asks to be asked again at least so much later.
const SHORTEST_WAIT: Duration = Duration::from_millis(5);
/// Without anything happening the runtime is looked at again after so long: events are hints.
const LOOK_AGAIN: Duration = Duration::from_secs(60);

/// What all workers of a node share.
pub struct Node {
    /// The node's surroundings.
    pub options: Options,
    /// The time.
    pub clock: SharedClock,
    /// Containers.
    pub runtime: Arc<dyn Runtime>,
    /// Images.
    pub images: Arc<dyn Images>,
    /// Networks.
    pub links: Arc<dyn Links>,
    /// Writes.
    pub api: Api,
    /// The world.
    pub feed: Arc<dyn Feed>,
    /// Events.
    pub events: Recorder,
    /// The node in a Pod's status.
    pub facts: NodeFacts,
    /// The node's CPU in thousandths.
    pub cpu_milli: i64,
    /// The node's memory in bytes.
    pub memory_bytes: u64,
}

impl Node {
    /// What fields of a Pod can tell on this node.
    pub fn field_facts(&self, pod: &Pod, state: &PodState) -> Facts {
        let own = state.sandbox.as_ref().and_then(|sandbox| sandbox.ip);
        Facts {
            pod_ips: if spec::host_network(pod) {
                self.facts.host_ips.clone()
            } else {
                own.into_iter().collect()
            },
            host_ips: self.facts.host_ips.clone(),
            node_cpu_milli: self.cpu_milli,
            node_memory_bytes: i64::try_from(self.memory_bytes).unwrap_or(i64::MAX),
        }
    }
}

/// A token of a volume, and when to fetch the next.
#[derive(Debug, Clone)]
pub(super) struct Token {
    text: String,
    renew_at: Timestamp,
}

pub(super) type Tokens = BTreeMap<TokenWish, Token>;

/// How an operation went.
pub(super) enum Outcome {
    Mounted {
        refresh: bool,
        result: Result<Tokens, String>,
    },
    Sandbox(Result<(), String>),
    Pulled {
        container: String,
        attempt: u32,
        result: Result<ImageFacts, (String, String)>,
    },
    Ran {
        container: String,
        result: Result<Option<String>, (String, String)>,
    },
    Probed {
        container: String,
        id: runtime::ContainerId,
        kind: super::probes::ProbeKind,
        result: Result<(), String>,
    },
    Status {
        status: Box<k8s_openapi::api::core::v1::PodStatus>,
        result: Result<(), String>,
    },
    TornDown(Result<(), String>),
    Plain(Result<(), String>),
}

/// One Pod.
pub(super) struct Worker {
    node: Arc<Node>,
    object: Arc<Object>,
    pod: Arc<Pod>,
    state: PodState,
    tokens: Tokens,
    tasks: JoinSet<(Op, Outcome)>,
    /// Content of volumes may have changed.
    stale: bool,
    /// The image that is here for each container.
    images: BTreeMap<String, ImageFacts>,
}

/// Runs a Pod until it is gone. `wanted` brings its revisions and `None` at its end; `poke` says that the runtime or
/// the objects that it refers to changed.
pub async fn run(
    node: Arc<Node>,
    mut wanted: watch::Receiver<Option<Arc<Object>>>,
    poke: Arc<Notify>,
) {
    let first = wanted.borrow_and_update().clone();
    let Some(object) = first else {
        return;
    };
    let pod = match object.view::<Pod>() {
        Ok(pod) => pod,
        Err(error) => {
            tracing::error!(%error, "a pod cannot be read");
            return;
        }
    };
    let state = PodState {
        node: node.facts.clone(),
        ..PodState::default()
    };
    let mut worker = Worker {
        node,
        object,
        pod,
        state,
        tokens: Tokens::new(),
        tasks: JoinSet::new(),
        stale: false,
        images: BTreeMap::new(),
    };
    let mut closed = false;
    while !worker.turn().await {
        let wait = worker.next_wake();
        tokio::select! {
            changed = wanted.changed(), if !closed => match changed {
                Ok(()) => {
                    let latest = wanted.borrow_and_update().clone();
                    worker.take(latest);
                }
                Err(_) => closed = true,
            },
            () = poke.notified() => worker.stale = true,
            Some(done) = worker.tasks.join_next() => worker.finished(done),
            () = tokio::time::sleep(wait) => {}
        }
        while let Some(done) = worker.tasks.try_join_next() {
            worker.finished(done);
        }
    }
}

impl Worker {
    fn now(&self) -> Timestamp {
        self.node.clock.now()
    }

    /// A new revision, or the end.
    fn take(&mut self, latest: Option<Arc<Object>>) {
        match latest {
            Some(object) if object.meta().uid == self.object.meta().uid => {
                match object.view::<Pod>() {
                    Ok(pod) => {
                        if self.state.written.is_some() && pod.status != self.pod.status {
                            self.state.written = None;
                        }
                        self.stale |= pod.metadata.labels != self.pod.metadata.labels
                            || pod.metadata.annotations != self.pod.metadata.annotations;
                        (self.object, self.pod) = (object, pod);
                    }
                    Err(error) => tracing::error!(%error, "a pod cannot be read"),
                }
            }
            _ if self.state.gone.is_none() => {
                let grace = jiff::SignedDuration::from_secs(spec::grace_secs(&self.pod).max(1));
                self.state.gone = Some(self.now() + grace);
            }
            _ => {}
        }
    }

    fn finished(&mut self, done: Result<(Op, Outcome), tokio::task::JoinError>) {
        match done {
            Ok((op, outcome)) => {
                self.state.busy.remove(&op);
                self.settle(&op, outcome);
            }
            Err(error) => {
                // Which operation it was is not known: forget all that have no task any more.
                tracing::error!(%error, pod = %self.object.key(), "an operation of a pod was cut off");
                if self.tasks.is_empty() {
                    self.state.busy = BTreeSet::new();
                }
            }
        }
    }

    /// Observes, plans and begins; true when nothing is left to do for ever.
    async fn turn(&mut self) -> bool {
        if let Err(error) = self.observe().await {
            tracing::warn!(%error, pod = %self.object.key(), "the runtime does not answer");
            return false;
        }
        let actions = plan::step(&self.pod, &self.state, self.now());
        for action in actions {
            self.begin(action);
        }
        self.refresh();
        self.state.gone.is_some() && self.state.torn_down && self.tasks.is_empty()
    }

    async fn observe(&mut self) -> Result<(), runtime::RuntimeError> {
        let runtime = &self.node.runtime;
        let mut sandboxes: Vec<_> = runtime
            .list_sandboxes()
            .await?
            .into_iter()
            .filter(|sandbox| sandbox.uid == self.object.meta().uid)
            .collect();
        sandboxes.sort_by_key(|sandbox| sandbox.attempt);
        let newest = sandboxes.pop();
        let obsolete = sandboxes.into_iter().map(|sandbox| sandbox.id).collect();
        let containers = match &newest {
            Some(sandbox) => runtime.list_containers(Some(&sandbox.id)).await?,
            None => Vec::new(),
        };
        let sandbox = newest.map(|sandbox| Sandbox {
            ready: sandbox.state == SandboxState::Ready,
            attempt: sandbox.attempt,
            ip: sandbox
                .annotations
                .get(super::create::ADDRESS)
                .and_then(|ip| ip.parse().ok()),
            id: sandbox.id,
        });
        let pod = Arc::clone(&self.pod);
        self.state.observe(&pod, sandbox, obsolete, containers);
        self.read_ends();
        Ok(())
    }

    /// Image ids and termination messages of runs that are new to the memory.
    fn read_ends(&mut self) {
        for run in &self.state.containers {
            let memory = self.state.memory.entry(run.name.clone()).or_default();
            if let Some(id) = run.annotations.get(super::create::IMAGE_ID) {
                memory
                    .image_ids
                    .entry(run.id.clone())
                    .or_insert_with(|| id.clone());
            }
            if run.state == runtime::ContainerState::Exited
                && !memory.messages.contains_key(&run.id)
            {
                let message = spec::slot(&self.pod, &run.name)
                    .map(|slot| crate::logs::termination_message(&slot.container, run))
                    .unwrap_or_default();
                memory.messages.insert(run.id.clone(), message);
            }
        }
    }

    fn begin(&mut self, action: Action) {
        let now = self.now();
        match action {
            Action::Fail { reason, message } => {
                self.node
                    .events
                    .pod(&self.pod, None, false, "DeadlineExceeded", message.clone());
                self.state.failure = Some(super::state::Failure {
                    reason,
                    message,
                    at: now,
                });
            }
            Action::WakeAt(_) => {}
            action => {
                let Some(op) = action.op() else {
                    return;
                };
                self.announce(&action);
                let job = operate::Job {
                    node: Arc::clone(&self.node),
                    pod: Arc::clone(&self.pod),
                    state: self.state.clone(),
                    tokens: self.tokens.clone(),
                    images: self.images.clone(),
                };
                self.state.busy.insert(op.clone());
                self.tasks
                    .spawn(async move { (op, Box::pin(job.perform(action)).await) });
            }
        }
    }

    /// Brings the content of volumes up to date.
    fn refresh(&mut self) {
        let due = self
            .tokens
            .values()
            .any(|token| token.renew_at <= self.now());
        // What ends needs no news, and writing would bring back what is being removed.
        let ending = self.state.gone.is_some()
            || self.pod.metadata.deletion_timestamp.is_some()
            || self
                .state
                .sandbox
                .as_ref()
                .is_none_or(|sandbox| !sandbox.ready)
            || self
                .state
                .busy
                .iter()
                .any(|op| matches!(op, Op::Mount | Op::StopSandbox(_) | Op::Teardown));
        if !(self.stale || due) || self.state.volumes != Volumes::Mounted || ending {
            return;
        }
        self.stale = false;
        let job = operate::Job {
            node: Arc::clone(&self.node),
            pod: Arc::clone(&self.pod),
            state: self.state.clone(),
            tokens: self.tokens.clone(),
            images: BTreeMap::new(),
        };
        self.state.busy.insert(Op::Mount);
        self.tasks
            .spawn(async move { (Op::Mount, Box::pin(job.mount(true)).await) });
    }

    fn next_wake(&self) -> Duration {
        let now = self.now();
        let wakes = plan::step(&self.pod, &self.state, now)
            .into_iter()
            .filter_map(|action| match action {
                Action::WakeAt(at) => Some(at),
                _ => None,
            });
        let renewals = self.tokens.values().map(|token| token.renew_at);
        let wait = wakes.chain(renewals).min().map_or(LOOK_AGAIN, |at| {
            at.duration_since(now).unsigned_abs().max(SHORTEST_WAIT)
        });
        wait.min(LOOK_AGAIN)
    }
}
