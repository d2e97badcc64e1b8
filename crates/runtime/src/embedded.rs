//! The embedded runtime: starts shims, speaks to them, and remembers what they report.
//!
//! Reads and writes its state directory: a lock, and one directory per sandbox. Invariants: the table of statuses is only
//! changed by what a shim said or by the discovery of its death, newer revisions over older ones; one process
//! uses a state directory at a time; dropping the runtime leaves every container running.

mod launch;
mod link;
mod operations;
mod purge;
mod sessions;
mod streams;

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::broadcast;

use crate::api::{
    ContainerId, ContainerState, ContainerStatus, EVENT_QUEUE, RuntimeEvent, SandboxId,
    SandboxState, SandboxStatus,
};
use crate::cgroup::Cgroups;
use crate::config::SandboxConfig;
use crate::error::RuntimeError;
use crate::shim::proto::{Event, Reply, Snapshot};
use crate::shim::{SANDBOX_FILE, STATE_FILE, SandboxFile};
use crate::sys;
use launch::{initial_status, launch, lock, new_id, subscribe, write_private};
use link::Link;
pub use purge::{Purged, purge};

/// Directory of the sandboxes within the state directory.
const SANDBOXES: &str = "sandboxes";
/// Held by the process that uses the state directory.
const LOCK_FILE: &str = "lock";
/// How long a shim may take to answer anything that does not wait for a container.
const CALL: Duration = Duration::from_secs(60);
/// Exit code of a container that died with its shim.
const LOST_EXIT_CODE: i32 = 128 + libc::SIGKILL;

/// How to open an [`EmbeddedRuntime`].
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// Where shims keep their sockets and state; made if missing.
    pub state_dir: PathBuf,
    /// Prefix of all control groups; empty counts from the root of the hierarchy.
    pub cgroup_base: String,
}

/// A runtime built into this binary. Cheap to clone.
#[derive(Clone)]
pub struct EmbeddedRuntime {
    inner: Arc<Inner>,
}

struct Inner {
    sandboxes_dir: PathBuf,
    cgroups: Cgroups,
    table: Mutex<Table>,
    events: broadcast::Sender<RuntimeEvent>,
    _lock: fs::File,
}

#[derive(Default)]
struct Table {
    sandboxes: BTreeMap<SandboxId, Entry>,
    containers: BTreeMap<ContainerId, ContainerStatus>,
}

struct Entry {
    status: SandboxStatus,
    dir: PathBuf,
    /// Its shim is expected to end.
    removing: bool,
}

/// An error with its causes, in one line.
fn describe(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(error.source(), |e| e.source());
    std::iter::once(error.to_string())
        .chain(causes.map(ToString::to_string))
        .collect::<Vec<_>>()
        .join(": ")
}

impl EmbeddedRuntime {
    /// Opens a state directory with default options; see [`EmbeddedRuntime::open_with`].
    ///
    /// # Errors
    /// As there.
    pub async fn open(state_dir: &Path) -> Result<Self, RuntimeError> {
        Self::open_with(Options {
            state_dir: state_dir.to_owned(),
            ..Options::default()
        })
        .await
    }

    /// Opens a state directory and takes up the sandboxes in it. Containers that ended meanwhile are reported as exited,
    /// with the exit code if their shim lives, with 137 if it died.
    ///
    /// # Errors
    /// [`RuntimeError::InUse`] while another process uses the directory; when the directory or control groups
    /// cannot be used.
    pub async fn open_with(options: Options) -> Result<Self, RuntimeError> {
        let mut builder = fs::DirBuilder::new();
        builder.recursive(true).mode(0o700);
        builder
            .create(&options.state_dir)
            .map_err(RuntimeError::io("create", &options.state_dir))?;
        let state_dir = fs::canonicalize(&options.state_dir)
            .map_err(RuntimeError::io("resolve", &options.state_dir))?;
        let lock = lock(&state_dir)?;
        let sandboxes_dir = state_dir.join(SANDBOXES);
        builder
            .create(&sandboxes_dir)
            .map_err(RuntimeError::io("create", &sandboxes_dir))?;
        let cgroups = Cgroups::detect(&options.cgroup_base)
            .map_err(|e| RuntimeError::Failed(describe(&e)))?;
        let (events, _) = broadcast::channel(EVENT_QUEUE);
        let inner = Inner {
            sandboxes_dir,
            cgroups,
            table: Mutex::default(),
            events,
            _lock: lock,
        };
        let runtime = Self {
            inner: Arc::new(inner),
        };
        let entries = fs::read_dir(&runtime.inner.sandboxes_dir)
            .map_err(RuntimeError::io("list", &runtime.inner.sandboxes_dir))?;
        for entry in entries.flatten() {
            runtime.adopt(&entry.path()).await?;
        }
        Ok(runtime)
    }

    /// The control groups this runtime uses, for groups of pods and service classes.
    pub fn cgroups(&self) -> &Cgroups {
        &self.inner.cgroups
    }

    fn table(&self) -> MutexGuard<'_, Table> {
        // Every change to the table is whole before anything can panic.
        self.inner
            .table
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes up a sandbox found in the state directory.
    async fn adopt(&self, dir: &Path) -> Result<(), RuntimeError> {
        if let Ok((link, snapshot)) = subscribe(dir).await {
            self.follow(dir, link, snapshot);
            return Ok(());
        }
        let Some(file) = purge::read_file(dir) else {
            tracing::warn!(dir = %dir.display(), "removing an unfinished sandbox");
            return blocking(dir, |dir| purge::remove_sandbox(dir, false)).await;
        };
        let known = fs::read(dir.join(STATE_FILE))
            .ok()
            .and_then(|b| serde_json::from_slice::<Snapshot>(&b).ok());
        let snapshot = known.unwrap_or_else(|| Snapshot {
            sandbox: initial_status(&file),
            containers: Vec::new(),
        });
        let id = snapshot.sandbox.id.clone();
        self.insert(dir, snapshot);
        self.shim_died(&id).await;
        Ok(())
    }

    /// Enters what a shim knows into the table and goes on listening to it.
    fn follow(&self, dir: &Path, link: Link, snapshot: Snapshot) {
        let id = snapshot.sandbox.id.clone();
        self.insert(dir, snapshot);
        // Holding only a weak reference, listening does not keep the runtime alive.
        let weak = Arc::downgrade(&self.inner);
        let dir = dir.to_owned();
        tokio::spawn(async move {
            let mut link = link;
            loop {
                match link.receive().await {
                    Ok((Reply::Event(event), _)) => {
                        let Some(inner) = weak.upgrade() else { return };
                        EmbeddedRuntime { inner }.apply(&id, event);
                    }
                    Ok(_) => {}
                    Err(_) => {
                        let Some(inner) = weak.upgrade() else { return };
                        let runtime = EmbeddedRuntime { inner };
                        if runtime
                            .table()
                            .sandboxes
                            .get(&id)
                            .is_none_or(|e| e.removing)
                        {
                            return;
                        }
                        // A listener that fell behind is cut off; a dead shim cannot be reached again.
                        let Ok((next, snapshot)) = subscribe(&dir).await else {
                            return runtime.shim_died(&id).await;
                        };
                        runtime.resync(&dir, snapshot);
                        link = next;
                    }
                }
            }
        });
    }

    fn insert(&self, dir: &Path, snapshot: Snapshot) {
        let mut table = self.table();
        let id = snapshot.sandbox.id.clone();
        table.sandboxes.insert(
            id,
            Entry {
                status: snapshot.sandbox,
                dir: dir.to_owned(),
                removing: false,
            },
        );
        table
            .containers
            .extend(snapshot.containers.into_iter().map(|c| (c.id.clone(), c)));
    }

    /// Makes up for events that were missed.
    fn resync(&self, dir: &Path, snapshot: Snapshot) {
        let id = snapshot.sandbox.id.clone();
        {
            let mut table = self.table();
            table
                .containers
                .retain(|_, c| c.sandbox != id || snapshot.containers.iter().any(|s| s.id == c.id));
        }
        for status in &snapshot.containers {
            match status.state {
                ContainerState::Exited => self.apply(&id, Event::Exited(status.clone())),
                ContainerState::Running => self.apply(&id, Event::Started(status.clone())),
                ContainerState::Created => {}
            }
        }
        self.insert(dir, snapshot);
    }

    /// Enters an event into the table and passes it on.
    fn apply(&self, sandbox: &SandboxId, event: Event) {
        let event = match event {
            Event::Created(status) => {
                self.record(status);
                return;
            }
            Event::Removed { id } => {
                self.table().containers.remove(&ContainerId(id));
                return;
            }
            Event::Started(status) => self.record(status).map(RuntimeEvent::Started),
            Event::Exited(status) => self.record(status).map(RuntimeEvent::Exited),
            Event::Oom(status) => self.record(status).map(RuntimeEvent::Oom),
            Event::SandboxStopped => {
                if let Some(entry) = self.table().sandboxes.get_mut(sandbox) {
                    entry.status.state = SandboxState::NotReady;
                }
                Some(RuntimeEvent::SandboxStopped(sandbox.clone()))
            }
        };
        // Nobody listening is fine: an event is a hint.
        if let Some(event) = event {
            let _ = self.inner.events.send(event);
        }
    }

    /// Keeps a status if it is news from a sandbox we know; returns it then.
    ///
    /// The reply to a request may have brought it already: then it is the same revision and still an event.
    fn record(&self, status: ContainerStatus) -> Option<ContainerStatus> {
        let mut table = self.table();
        if !table.sandboxes.contains_key(&status.sandbox) {
            return None;
        }
        match table.containers.get(&status.id) {
            Some(known) if known.revision > status.revision => None,
            _ => {
                table.containers.insert(status.id.clone(), status.clone());
                Some(status)
            }
        }
    }

    /// Cleans up after a shim that is gone: its containers cannot run without it.
    async fn shim_died(&self, id: &SandboxId) {
        let Some(dir) = self.table().sandboxes.get(id).map(|e| e.dir.clone()) else {
            return;
        };
        tracing::warn!(sandbox = %id, "shim died; ending its containers");
        let groups: Vec<String> = self
            .table()
            .containers
            .values()
            .filter(|c| c.sandbox == *id)
            .map(|c| c.cgroup.clone())
            .collect();
        let cgroups = self.inner.cgroups.clone();
        let ended = blocking(&dir, move |dir| {
            purge::end_sandbox(dir)?;
            let pause =
                purge::read_file(dir).map(|f| format!("{}/{}", f.config.cgroup_parent, f.id));
            groups
                .iter()
                .chain(&pause)
                .try_for_each(|g| cgroups.remove(g))
                .map_err(|e| RuntimeError::Failed(describe(&e)))
        });
        if let Err(error) = ended.await {
            tracing::warn!(sandbox = %id, error = %describe(&error), "cannot end what the shim left");
        }
        let snapshot = self.mark_dead(id);
        if let Some((snapshot, exited)) = snapshot {
            // So that the next agent learns the same.
            if let Ok(bytes) = serde_json::to_vec(&snapshot) {
                let _ = fs::write(dir.join(STATE_FILE), bytes);
            }
            exited
                .into_iter()
                .for_each(|status| drop(self.inner.events.send(RuntimeEvent::Exited(status))));
            let _ = self
                .inner
                .events
                .send(RuntimeEvent::SandboxStopped(id.clone()));
        }
    }

    /// The table's part of a shim's death: what is known now, and which containers ended by it.
    fn mark_dead(&self, id: &SandboxId) -> Option<(Snapshot, Vec<ContainerStatus>)> {
        let mut table = self.table();
        let entry = table.sandboxes.get_mut(id)?;
        entry.status.state = SandboxState::NotReady;
        let sandbox = entry.status.clone();
        let mut exited = Vec::new();
        for status in table
            .containers
            .values_mut()
            .filter(|c| c.sandbox == *id && c.state != ContainerState::Exited)
        {
            status.state = ContainerState::Exited;
            status.exit_code = LOST_EXIT_CODE;
            status.finished_at = sys::wall_nanos();
            status.pid = None;
            status.revision += 1;
            exited.push(status.clone());
        }
        let containers = table
            .containers
            .values()
            .filter(|c| c.sandbox == *id)
            .cloned()
            .collect();
        Some((
            Snapshot {
                sandbox,
                containers,
            },
            exited,
        ))
    }

    /// Starts a shim for a new sandbox and waits until it serves.
    async fn start_shim(&self, config: SandboxConfig) -> Result<SandboxId, RuntimeError> {
        let id = SandboxId(new_id()?);
        let dir = self.inner.sandboxes_dir.join(&id.0);
        fs::DirBuilder::new()
            .mode(0o700)
            .create(&dir)
            .map_err(RuntimeError::io("create", &dir))?;
        let cgroup_base = self.inner.cgroups.base().to_owned();
        let file = SandboxFile {
            id: id.clone(),
            created_at: sys::wall_nanos(),
            cgroup_base,
            config,
        };
        let started = async {
            write_private(
                &dir.join(SANDBOX_FILE),
                &serde_json::to_vec(&file).map_err(|e| RuntimeError::Failed(e.to_string()))?,
            )?;
            launch(&dir).await?;
            subscribe(&dir).await.map_err(|source| RuntimeError::Shim {
                sandbox: id.0.clone(),
                source,
            })
        };
        match started.await {
            Ok((link, snapshot)) => {
                self.follow(&dir, link, snapshot);
                Ok(id)
            }
            Err(error) => {
                blocking(&dir, |dir| purge::remove_sandbox(dir, false)).await?;
                Err(error)
            }
        }
    }
}

/// Runs something that blocks on the files of a sandbox.
async fn blocking<T: Send + 'static>(
    dir: &Path,
    work: impl FnOnce(&Path) -> Result<T, RuntimeError> + Send + 'static,
) -> Result<T, RuntimeError> {
    let dir = dir.to_owned();
    tokio::task::spawn_blocking(move || work(&dir))
        .await
        .map_err(|e| RuntimeError::Failed(e.to_string()))?
}
