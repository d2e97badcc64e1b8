//! The agent: follows the world, has one worker for each Pod of its node, and keeps the rest of the node going.
//!
//! Reads commits of [`client::Feed`] and events of the runtime. Invariants: one worker a Pod (by uid), at most
//! [`Options::max_pods`] for Pods that are not over; dropping the agent leaves containers running, and the next one picks
//! them up.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use client::{Client, Feed};
use futures::StreamExt;
use k8s_openapi::api::core::v1::{Pod, PodStatus};
use object::Object;
use object::time::SharedClock;
use runtime::{Runtime, RuntimeError, RuntimeEvent, SandboxId};
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::{Notify, watch};
use tokio::task::JoinSet;

use crate::api::{Api, PODS};
use crate::env::{CONFIG_MAPS, SECRETS};
use crate::events::{Recorder, send_all};
use crate::images::Images;
use crate::links::{Links, describe};
use crate::machine::Machine;
use crate::options::Options;
use crate::pods::state::NodeFacts;
use crate::pods::worker::{self, Node};
use crate::pods::{create, spec};

/// What the agent works with.
pub struct Parts {
    /// Writes to the API server, as this node.
    pub client: Arc<dyn Client>,
    /// The world.
    pub feed: Arc<dyn Feed>,
    /// Containers.
    pub runtime: Arc<dyn Runtime>,
    /// Images.
    pub images: Arc<dyn Images>,
    /// Pod networks.
    pub links: Arc<dyn Links>,
    /// The time.
    pub clock: SharedClock,
    /// What the machine has.
    pub machine: Machine,
}

/// Why an agent cannot start.
#[derive(Debug, thiserror::Error)]
pub enum AgentError {
    /// The runtime does not answer.
    #[error("container runtime")]
    Runtime(#[from] RuntimeError),
    /// A directory of the agent's cannot be made.
    #[error("create {path}")]
    Directory {
        /// The directory.
        path: std::path::PathBuf,
        /// Why not.
        source: std::io::Error,
    },
}

/// The agent of one node.
pub struct Agent {
    node: Arc<Node>,
    machine: Machine,
    workers: BTreeMap<String, Handle>,
    tasks: JoinSet<String>,
}

struct Handle {
    namespace: String,
    wanted: watch::Sender<Option<Arc<Object>>>,
    poke: Arc<Notify>,
}

impl Agent {
    /// Runs a node until `shutdown` becomes true or the feed ends. Containers go on running afterwards.
    ///
    /// # Errors
    /// When the runtime does not answer or the agent's directories cannot be made.
    pub async fn run(
        options: Options,
        parts: Parts,
        mut shutdown: watch::Receiver<bool>,
    ) -> Result<(), AgentError> {
        for path in [&options.root_dir, &options.log_dir] {
            std::fs::create_dir_all(path).map_err(|source| AgentError::Directory {
                path: path.clone(),
                source,
            })?;
        }
        let version = parts.runtime.version().await?;
        let api = Api::new(parts.client);
        let (events, queue) = Recorder::new(Arc::clone(&parts.clock));
        let sender = send_all(api.clone(), options.node_name.clone(), queue);
        let facts = NodeFacts {
            host_ips: options.node_ips.clone(),
            runtime_name: version.runtime_name.clone(),
        };
        let machine = parts.machine;
        let node = Arc::new(Node {
            options,
            clock: parts.clock,
            runtime: parts.runtime,
            images: parts.images,
            links: parts.links,
            api,
            feed: parts.feed,
            events,
            facts,
            cpu_milli: machine.cpu_milli,
            memory_bytes: machine.memory_bytes,
        });
        let registered = crate::registration::keep(Arc::clone(&node), machine.clone(), version);
        let agent = Self {
            node,
            machine,
            workers: BTreeMap::new(),
            tasks: JoinSet::new(),
        };
        let ended = async {
            // An error means that nobody can ask for the end any more; then the feed decides.
            if shutdown.wait_for(|end| *end).await.is_err() {
                std::future::pending::<()>().await;
            }
        };
        tokio::select! {
            done = Box::pin(agent.follow()) => done,
            () = sender => Ok(()),
            () = Box::pin(registered) => Ok(()),
            () = ended => Ok(()),
        }
    }

    async fn follow(mut self) -> Result<(), AgentError> {
        let mut happened = self.node.runtime.events();
        // Subscribed before the snapshot is looked at, so that nothing falls between.
        let mut commits = self.node.feed.commits();
        self.look_at_all();
        self.remove_orphans().await?;
        loop {
            tokio::select! {
                commit = commits.next() => match commit {
                    None => return Ok(()),
                    Some(Err(client::Lagged)) => self.look_at_all(),
                    Some(Ok(commit)) => commit.events.iter().for_each(|event| self.changed(event)),
                },
                event = happened.recv() => match event {
                    Ok(event) => self.happened(&event).await,
                    Err(RecvError::Lagged(_)) => self.poke_all(),
                    Err(RecvError::Closed) => return Ok(()),
                },
                Some(done) = self.tasks.join_next() => match done {
                    Ok(uid) => drop(self.workers.remove(&uid)),
                    Err(error) => {
                        tracing::error!(%error, "the worker of a pod was cut off; starting it anew");
                        self.workers.retain(|_, handle| handle.wanted.receiver_count() > 0);
                        self.look_at_all();
                    }
                },
            }
        }
    }

    fn is_ours(&self, object: &Object) -> bool {
        object.view::<Pod>().is_ok_and(|pod| {
            pod.spec.as_ref().and_then(|spec| spec.node_name.as_deref())
                == Some(self.node.options.node_name.as_str())
        })
    }

    fn look_at_all(&mut self) {
        let world = self.node.feed.world();
        let pods: Vec<_> = world
            .list(PODS)
            .filter(|pod| self.is_ours(pod))
            .cloned()
            .collect();
        let uids: BTreeSet<String> = pods.iter().map(|pod| pod.meta().uid.to_string()).collect();
        for (_, handle) in self.workers.iter().filter(|(uid, _)| !uids.contains(*uid)) {
            handle.wanted.send_replace(None);
        }
        pods.into_iter().for_each(|pod| self.wanted(pod));
        self.poke_all();
    }

    fn changed(&mut self, event: &world::Event) {
        let resource = event.resource();
        if resource == CONFIG_MAPS || resource == SECRETS {
            let namespace = event.object.meta().namespace.as_str();
            self.workers
                .values()
                .filter(|handle| handle.namespace == namespace)
                .for_each(|handle| handle.poke.notify_one());
        }
        if resource != PODS {
            return;
        }
        if let Some(old) = event
            .old
            .as_ref()
            .filter(|old| event.deleted || old.meta().uid != event.object.meta().uid)
            && let Some(handle) = self.workers.get(old.meta().uid.as_str())
        {
            handle.wanted.send_replace(None);
        }
        if let Some(pod) = event.new_state().filter(|pod| self.is_ours(pod)) {
            self.wanted(Arc::clone(pod));
        }
    }

    /// A revision of a Pod of this node.
    fn wanted(&mut self, object: Arc<Object>) {
        let uid = object.meta().uid.to_string();
        if let Some(handle) = self.workers.get(&uid) {
            handle.wanted.send_replace(Some(object));
            return;
        }
        let over = |object: &Object| {
            object
                .view::<Pod>()
                .is_ok_and(|pod| spec::is_terminal(&pod))
        };
        let active = self
            .workers
            .values()
            .filter(|handle| {
                handle
                    .wanted
                    .borrow()
                    .as_ref()
                    .is_some_and(|object| !over(object))
            })
            .count();
        if active >= self.node.options.max_pods && !over(&object) {
            self.refuse(&object, active);
            return;
        }
        let (sender, receiver) = watch::channel(Some(Arc::clone(&object)));
        let poke = Arc::new(Notify::new());
        let handle = Handle {
            namespace: object.meta().namespace.to_string(),
            wanted: sender,
            poke: Arc::clone(&poke),
        };
        self.workers.insert(uid.clone(), handle);
        let work = worker::run(Arc::clone(&self.node), receiver, poke);
        self.tasks.spawn(async move {
            Box::pin(work).await;
            uid
        });
    }

    /// A Pod that does not fit on the node fails at once, as the kubelet's admission has it.
    fn refuse(&mut self, object: &Object, active: usize) {
        let Ok(pod) = object.view::<Pod>() else {
            return;
        };
        let capacity = self.node.options.max_pods;
        let message = format!(
            "Pod was rejected: Node didn't have enough resource: pods, requested: 1, used: {active}, capacity: {capacity}"
        );
        self.node
            .events
            .pod(&pod, None, true, "OutOfpods", message.clone());
        let status = PodStatus {
            phase: Some("Failed".to_owned()),
            reason: Some("OutOfpods".to_owned()),
            message: Some(message),
            ..pod.status.clone().unwrap_or_default()
        };
        let (api, uid) = (self.node.api.clone(), object.meta().uid.to_string());
        self.tasks.spawn(async move {
            if let Err(error) = api.write_status(&pod, &status).await {
                tracing::warn!(%error, "a refused pod keeps its old status");
            }
            uid
        });
    }

    fn poke_all(&self) {
        self.workers
            .values()
            .for_each(|handle| handle.poke.notify_one());
    }

    async fn happened(&self, event: &RuntimeEvent) {
        let sandbox: &SandboxId = match event {
            RuntimeEvent::Started(run) | RuntimeEvent::Exited(run) | RuntimeEvent::Oom(run) => {
                &run.sandbox
            }
            RuntimeEvent::SandboxStopped(id) => id,
        };
        // A sandbox that is gone has no worker to tell, or its worker removed it.
        let Ok(status) = self.node.runtime.sandbox_status(sandbox).await else {
            return;
        };
        if let Some(handle) = self.workers.get(&status.uid) {
            handle.poke.notify_one();
        }
        if matches!(event, RuntimeEvent::Oom(_)) {
            self.node.events.node(
                &self.node.options.node_name,
                true,
                "SystemOOM",
                format!(
                    "System OOM encountered in pod {}/{}",
                    status.namespace, status.name
                ),
            );
        }
    }

    /// Removes sandboxes of Pods that went while no agent ran, and networks of none.
    async fn remove_orphans(&self) -> Result<(), AgentError> {
        let mut keep = BTreeSet::new();
        for sandbox in self.node.runtime.list_sandboxes().await? {
            if self.workers.contains_key(&sandbox.uid) {
                keep.extend(sandbox.annotations.get(create::LINK).cloned());
                continue;
            }
            tracing::info!(
                pod = format!("{}/{}", sandbox.namespace, sandbox.name),
                "removing the sandbox of a pod that is gone"
            );
            if let Err(error) = self.node.runtime.remove_sandbox(&sandbox.id).await {
                tracing::warn!(error = describe(&error), "a sandbox stays behind");
            }
            let dir = self.node.options.pod_dir(&sandbox.uid);
            if let Err(error) = crate::volumes::mount::tear_down(&dir, true) {
                tracing::warn!(%error, "volumes of a pod that is gone stay behind");
            }
        }
        if let Err(error) = self.node.links.keep_only(keep).await {
            tracing::warn!(%error, "networks of pods that are gone stay behind");
        }
        tracing::debug!(
            cpu_milli = self.machine.cpu_milli,
            pods = self.workers.len(),
            "node agent runs"
        );
        Ok(())
    }
}

#[cfg(test)]
mod tests;
