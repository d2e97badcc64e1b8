//! A runtime in memory, for tests of the node agent and of whole clusters.
//!
//! Reads the time of `tokio::time` only, so that paused time drives it; touches nothing outside. Invariants: it obeys the
//! rules of [`Runtime`] (states, idempotent stops, events after the fact); every call is recorded in order;
//! containers run until told to stop unless a [`Behaviour`] says otherwise.

mod operations;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use tokio::sync::{broadcast, watch};
use tokio::time::Instant;

use crate::api::*;
use crate::config::{ContainerConfig, Resources, SandboxConfig};
use crate::error::RuntimeError;

/// 2026-01-01T00:00:00Z: when the fake's clock starts unless told otherwise.
const DEFAULT_EPOCH_NS: i64 = 1_767_225_600_000_000_000;

/// Answers commands run in a fake container.
pub type ExecHandler = Arc<dyn Fn(&ContainerStatus, &[String]) -> ExecOutput + Send + Sync>;

/// What a fake container does.
#[derive(Clone, Default)]
pub struct Behaviour {
    /// How long it takes to start.
    pub start_delay: Duration,
    /// Why it cannot start.
    pub start_error: Option<String>,
    /// Ends by itself: after how long, and with which code.
    pub exit_after: Option<(Duration, i32)>,
    /// Whether that end is the OOM killer's work.
    pub oom: bool,
    /// How long it takes to react to a polite signal.
    pub stop_delay: Duration,
    /// The code it then ends with; 143 when not given.
    pub stop_exit_code: Option<i32>,
    /// Whether it ignores polite signals, so that only the end of the grace period ends it.
    pub ignores_signals: bool,
    /// Answers commands; without it they succeed and print nothing.
    pub exec: Option<ExecHandler>,
}

impl Behaviour {
    /// Ends by itself after `after` with `code`.
    pub fn exits(after: Duration, code: i32) -> Self {
        Self {
            exit_after: Some((after, code)),
            ..Self::default()
        }
    }

    /// Answers commands with `handler`.
    pub fn answers(
        handler: impl Fn(&ContainerStatus, &[String]) -> ExecOutput + Send + Sync + 'static,
    ) -> Self {
        Self {
            exec: Some(Arc::new(handler)),
            ..Self::default()
        }
    }
}

/// A recorded call.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(missing_docs, reason = "named after the methods of `Runtime`")]
pub enum Call {
    RunSandbox {
        name: String,
        namespace: String,
    },
    StopSandbox(SandboxId),
    RemoveSandbox(SandboxId),
    CreateContainer {
        sandbox: SandboxId,
        name: String,
        attempt: u32,
    },
    StartContainer(ContainerId),
    StopContainer {
        id: ContainerId,
        grace: Duration,
    },
    RemoveContainer(ContainerId),
    UpdateResources {
        id: ContainerId,
        resources: Resources,
    },
    Exec {
        id: ContainerId,
        argv: Vec<String>,
    },
    Attach(ContainerId),
    PortForward {
        sandbox: SandboxId,
        port: u16,
    },
    ReopenLog(ContainerId),
}

/// See the module's documentation. Cheap to clone; clones share everything.
#[derive(Clone)]
pub struct FakeRuntime {
    inner: Arc<Inner>,
}

struct Inner {
    state: Mutex<State>,
    events: broadcast::Sender<RuntimeEvent>,
    started: Instant,
    epoch_ns: i64,
}

#[derive(Default)]
struct State {
    next_id: u64,
    sandboxes: BTreeMap<SandboxId, (SandboxStatus, SandboxConfig)>,
    containers: BTreeMap<ContainerId, Fake>,
    behaviours: BTreeMap<String, Behaviour>,
    default: Behaviour,
    stats: BTreeMap<ContainerId, Stats>,
    failures: BTreeMap<&'static str, Vec<String>>,
    calls: Vec<Call>,
}

struct Fake {
    status: ContainerStatus,
    config: ContainerConfig,
    behaviour: Behaviour,
    exit: watch::Sender<Option<i32>>,
}

impl Default for FakeRuntime {
    fn default() -> Self {
        Self::new()
    }
}

impl FakeRuntime {
    /// A runtime without containers. Must be called within a tokio runtime, whose time it follows.
    pub fn new() -> Self {
        Self::starting_at(DEFAULT_EPOCH_NS)
    }

    /// As [`FakeRuntime::new`], with what its clock shows now in nanoseconds since the Unix epoch.
    pub fn starting_at(epoch_ns: i64) -> Self {
        let (events, _) = broadcast::channel(EVENT_QUEUE);
        let inner = Inner {
            state: Mutex::default(),
            events,
            started: Instant::now(),
            epoch_ns,
        };
        Self {
            inner: Arc::new(inner),
        }
    }

    /// Sets what containers of this name do from now on when they are created.
    pub fn behave(&self, container_name: &str, behaviour: Behaviour) {
        self.state()
            .behaviours
            .insert(container_name.to_owned(), behaviour);
    }

    /// Sets what all other containers do.
    pub fn behave_by_default(&self, behaviour: Behaviour) {
        self.state().default = behaviour;
    }

    /// Makes the next call of a method (named as in the trait, such as `"run_sandbox"`) fail.
    pub fn fail_next(&self, method: &'static str, message: &str) {
        self.state()
            .failures
            .entry(method)
            .or_default()
            .push(message.to_owned());
    }

    /// Sets what [`Runtime::container_stats`] reports.
    pub fn set_stats(&self, id: &ContainerId, stats: Stats) {
        self.state().stats.insert(id.clone(), stats);
    }

    /// Everything that was asked so far, but for queries.
    pub fn calls(&self) -> Vec<Call> {
        self.state().calls.clone()
    }

    /// The configuration a container was created with.
    pub fn container_config(&self, id: &ContainerId) -> Option<ContainerConfig> {
        self.state().containers.get(id).map(|c| c.config.clone())
    }

    /// The configuration a sandbox was created with.
    pub fn sandbox_config(&self, id: &SandboxId) -> Option<SandboxConfig> {
        self.state().sandboxes.get(id).map(|s| s.1.clone())
    }

    /// Ends a running container as if its process had ended.
    pub fn exit_container(&self, id: &ContainerId, code: i32) {
        self.end(id, code, false);
    }

    /// Ends a running container as the OOM killer would.
    pub fn oom_container(&self, id: &ContainerId) {
        self.end(id, 137, true);
    }

    /// Makes a sandbox and its containers end as if the shim had died.
    pub fn lose_sandbox(&self, id: &SandboxId) {
        self.end_sandbox(id);
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.inner
            .state
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    fn now(&self) -> i64 {
        let elapsed = self.inner.started.elapsed().as_nanos();
        self.inner
            .epoch_ns
            .saturating_add(i64::try_from(elapsed).unwrap_or(i64::MAX))
    }

    fn begin(
        &self,
        method: &'static str,
        call: Call,
    ) -> Result<MutexGuard<'_, State>, RuntimeError> {
        let mut state = self.state();
        state.calls.push(call);
        match state
            .failures
            .get_mut(method)
            .filter(|f| !f.is_empty())
            .map(|f| f.remove(0))
        {
            Some(message) => Err(RuntimeError::Failed(message)),
            None => Ok(state),
        }
    }

    /// Ends a container that has not ended yet.
    fn end(&self, id: &ContainerId, code: i32, oom: bool) {
        let now = self.now();
        let mut state = self.state();
        let Some(fake) = state
            .containers
            .get_mut(id)
            .filter(|c| c.status.state != ContainerState::Exited)
        else {
            return;
        };
        let status = &mut fake.status;
        status.state = ContainerState::Exited;
        status.exit_code = code;
        status.oom_killed = oom;
        status.finished_at = now;
        status.pid = None;
        status.revision += 1;
        let status = status.clone();
        fake.exit.send_replace(Some(code));
        drop(state);
        if oom {
            let _ = self.inner.events.send(RuntimeEvent::Oom(status.clone()));
        }
        // Nobody listening is fine.
        let _ = self.inner.events.send(RuntimeEvent::Exited(status));
    }

    fn end_sandbox(&self, id: &SandboxId) {
        let mut state = self.state();
        let Some((status, _)) = state
            .sandboxes
            .get_mut(id)
            .filter(|s| s.0.state == SandboxState::Ready)
        else {
            return;
        };
        status.state = SandboxState::NotReady;
        let containers: Vec<_> = state
            .containers
            .values()
            .filter(|c| c.status.sandbox == *id)
            .map(|c| c.status.id.clone())
            .collect();
        drop(state);
        containers.iter().for_each(|c| self.end(c, 137, false));
        let _ = self
            .inner
            .events
            .send(RuntimeEvent::SandboxStopped(id.clone()));
    }

    /// Ends a container later, if it and the runtime still live then.
    fn end_later(&self, id: ContainerId, after: Duration, code: i32, oom: bool) {
        let weak: Weak<Inner> = Arc::downgrade(&self.inner);
        tokio::spawn(async move {
            tokio::time::sleep(after).await;
            if let Some(inner) = weak.upgrade() {
                FakeRuntime { inner }.end(&id, code, oom);
            }
        });
    }

    fn running(
        &self,
        id: &ContainerId,
    ) -> Result<(ContainerStatus, Behaviour, watch::Receiver<Option<i32>>), RuntimeError> {
        let state = self.state();
        let fake = state
            .containers
            .get(id)
            .ok_or_else(|| not_found("container", &id.0))?;
        if fake.status.state != ContainerState::Running {
            return Err(RuntimeError::State(format!(
                "container {id} is not running"
            )));
        }
        Ok((
            fake.status.clone(),
            fake.behaviour.clone(),
            fake.exit.subscribe(),
        ))
    }
}

fn not_found(kind: &'static str, id: &str) -> RuntimeError {
    RuntimeError::NotFound {
        kind,
        id: id.to_owned(),
    }
}

impl State {
    fn id(&mut self) -> String {
        self.next_id += 1;
        format!("{:064x}", self.next_id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn pod(fake: &FakeRuntime, container: &str) -> (SandboxId, ContainerId) {
        let sandbox = SandboxConfig {
            name: "p".into(),
            cgroup_parent: "/pods/p".into(),
            ..SandboxConfig::default()
        };
        let sandbox = fake.run_sandbox(sandbox).await.unwrap();
        let config = ContainerConfig {
            name: container.into(),
            argv: vec!["x".into()],
            ..ContainerConfig::default()
        };
        let id = fake.create_container(&sandbox, config).await.unwrap();
        (sandbox, id)
    }

    #[tokio::test(start_paused = true)]
    async fn containers_end_when_their_script_says_so() {
        let fake = FakeRuntime::new();
        fake.behave("job", Behaviour::exits(Duration::from_secs(3600), 3));
        let mut events = fake.events();
        let (_, id) = pod(&fake, "job").await;
        fake.start_container(&id).await.unwrap();
        assert!(matches!(events.recv().await, Ok(RuntimeEvent::Started(s)) if s.id == id));
        let Ok(RuntimeEvent::Exited(status)) = events.recv().await else {
            panic!("exit expected")
        };
        assert_eq!(
            (status.exit_code, status.finished_at - status.started_at),
            (3, 3_600_000_000_000)
        );
    }

    #[tokio::test(start_paused = true)]
    async fn stopping_waits_for_the_container_or_the_end_of_its_grace() {
        for (behaviour, grace, code, took) in [
            (Behaviour::default(), 30, 143, 0),
            (
                Behaviour {
                    stop_delay: Duration::from_secs(5),
                    ..Behaviour::default()
                },
                30,
                143,
                5,
            ),
            (
                Behaviour {
                    ignores_signals: true,
                    ..Behaviour::default()
                },
                30,
                137,
                30,
            ),
            (
                Behaviour {
                    stop_exit_code: Some(0),
                    ..Behaviour::default()
                },
                30,
                0,
                0,
            ),
            (Behaviour::default(), 0, 137, 0),
        ] {
            let fake = FakeRuntime::new();
            fake.behave_by_default(behaviour);
            let (_, id) = pod(&fake, "c").await;
            fake.start_container(&id).await.unwrap();
            let before = Instant::now();
            fake.stop_container(&id, Duration::from_secs(grace), None)
                .await
                .unwrap();
            let status = fake.container_status(&id).await.unwrap();
            assert_eq!((status.exit_code, before.elapsed().as_secs()), (code, took));
        }
    }

    #[tokio::test(start_paused = true)]
    async fn calls_are_recorded_and_can_be_made_to_fail() {
        let fake = FakeRuntime::new();
        fake.fail_next("run_sandbox", "no room");
        let config = SandboxConfig {
            cgroup_parent: "/pods/p".into(),
            ..SandboxConfig::default()
        };
        assert_eq!(
            fake.run_sandbox(config).await.unwrap_err().to_string(),
            "no room"
        );
        let (sandbox, id) = pod(&fake, "c").await;
        fake.remove_sandbox(&sandbox).await.unwrap();
        fake.remove_sandbox(&sandbox).await.unwrap();
        assert!(fake.container_status(&id).await.unwrap_err().is_not_found());
        assert_eq!(fake.calls().len(), 5);
        assert_eq!(fake.calls()[4], Call::RemoveSandbox(sandbox));
    }

    #[tokio::test(start_paused = true)]
    async fn commands_are_answered_by_the_script() {
        let fake = FakeRuntime::new();
        fake.behave(
            "c",
            Behaviour::answers(|_, argv| ExecOutput {
                exit_code: 7,
                stdout: argv.join(" ").into_bytes(),
                stderr: Vec::new(),
            }),
        );
        let (_, id) = pod(&fake, "c").await;
        let argv = vec!["a".to_owned(), "b".to_owned()];
        assert!(matches!(
            fake.exec_sync(&id, argv.clone(), Duration::ZERO).await,
            Err(RuntimeError::State(_))
        ));
        fake.start_container(&id).await.unwrap();
        let output = fake.exec_sync(&id, argv, Duration::ZERO).await.unwrap();
        assert_eq!((output.exit_code, output.stdout), (7, b"a b".to_vec()));
    }
}
