//! A runtime in memory, for tests of the node agent and of whole clusters.
//!
//! Reads the time of `tokio::time` only, so that paused time drives it; touches nothing outside. Invariants: it obeys the
//! rules of [`Runtime`] (states, idempotent stops, events after the fact); every call is recorded in order;
//! containers run until told to stop unless a [`Behaviour`] says otherwise.

use std::collections::BTreeMap;
use std::io::Cursor;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use async_trait::async_trait;
use futures::future::FutureExt;
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
        Self { exit_after: Some((after, code)), ..Self::default() }
    }

    /// Answers commands with `handler`.
    pub fn answers(handler: impl Fn(&ContainerStatus, &[String]) -> ExecOutput + Send + Sync + 'static) -> Self {
        Self { exec: Some(Arc::new(handler)), ..Self::default() }
    }
}

/// A recorded call.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(missing_docs, reason = "named after the methods of `Runtime`")]
pub enum Call {
    RunSandbox { name: String, namespace: String },
    StopSandbox(SandboxId),
    RemoveSandbox(SandboxId),
    CreateContainer { sandbox: SandboxId, name: String, attempt: u32 },
    StartContainer(ContainerId),
    StopContainer { id: ContainerId, grace: Duration },
    RemoveContainer(ContainerId),
    UpdateResources { id: ContainerId, resources: Resources },
    Exec { id: ContainerId, argv: Vec<String> },
    Attach(ContainerId),
    PortForward { sandbox: SandboxId, port: u16 },
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
        let inner = Inner { state: Mutex::default(), events, started: Instant::now(), epoch_ns };
        Self { inner: Arc::new(inner) }
    }

    /// Sets what containers of this name do from now on when they are created.
    pub fn behave(&self, container_name: &str, behaviour: Behaviour) {
        self.state().behaviours.insert(container_name.to_owned(), behaviour);
    }

    /// Sets what all other containers do.
    pub fn behave_by_default(&self, behaviour: Behaviour) {
        self.state().default = behaviour;
    }

    /// Makes the next call of a method (named as in the trait, such as `"run_sandbox"`) fail.
    pub fn fail_next(&self, method: &'static str, message: &str) {
        self.state().failures.entry(method).or_default().push(message.to_owned());
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
        self.inner.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn now(&self) -> i64 {
        let elapsed = self.inner.started.elapsed().as_nanos();
        self.inner.epoch_ns.saturating_add(i64::try_from(elapsed).unwrap_or(i64::MAX))
    }

    fn begin(&self, method: &'static str, call: Call) -> Result<MutexGuard<'_, State>, RuntimeError> {
        let mut state = self.state();
        state.calls.push(call);
        match state.failures.get_mut(method).filter(|f| !f.is_empty()).map(|f| f.remove(0)) {
            Some(message) => Err(RuntimeError::Failed(message)),
            None => Ok(state),
        }
    }

    /// Ends a container that has not ended yet.
    fn end(&self, id: &ContainerId, code: i32, oom: bool) {
        let now = self.now();
        let mut state = self.state();
        let Some(fake) = state.containers.get_mut(id).filter(|c| c.status.state != ContainerState::Exited) else { return };
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
        let Some((status, _)) = state.sandboxes.get_mut(id).filter(|s| s.0.state == SandboxState::Ready) else { return };
        status.state = SandboxState::NotReady;
        let containers: Vec<_> =
            state.containers.values().filter(|c| c.status.sandbox == *id).map(|c| c.status.id.clone()).collect();
        drop(state);
        containers.iter().for_each(|c| self.end(c, 137, false));
        let _ = self.inner.events.send(RuntimeEvent::SandboxStopped(id.clone()));
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

    fn running(&self, id: &ContainerId) -> Result<(ContainerStatus, Behaviour, watch::Receiver<Option<i32>>), RuntimeError> {
        let state = self.state();
        let fake = state.containers.get(id).ok_or_else(|| not_found("container", &id.0))?;
        if fake.status.state != ContainerState::Running {
            return Err(RuntimeError::State(format!("container {id} is not running")));
        }
        Ok((fake.status.clone(), fake.behaviour.clone(), fake.exit.subscribe()))
    }
}

fn not_found(kind: &'static str, id: &str) -> RuntimeError {
    RuntimeError::NotFound { kind, id: id.to_owned() }
}

impl State {
    fn id(&mut self) -> String {
        self.next_id += 1;
        format!("{:064x}", self.next_id)
    }
}

#[async_trait]
impl Runtime for FakeRuntime {
    async fn version(&self) -> Result<Version, RuntimeError> {
        Ok(Version { runtime_name: "fake".to_owned(), runtime_version: "1.0.0".to_owned() })
    }

    async fn status(&self) -> Result<RuntimeStatus, RuntimeError> {
        Ok(RuntimeStatus { ready: true, message: String::new() })
    }

    async fn run_sandbox(&self, config: SandboxConfig) -> Result<SandboxId, RuntimeError> {
        let call = Call::RunSandbox { name: config.name.clone(), namespace: config.namespace.clone() };
        let created_at = self.now();
        let mut state = self.begin("run_sandbox", call)?;
        config.validate().map_err(|(field, reason)| RuntimeError::Invalid { field, reason })?;
        let id = SandboxId(state.id());
        let status = SandboxStatus {
            id: id.clone(),
            name: config.name.clone(),
            namespace: config.namespace.clone(),
            uid: config.uid.clone(),
            attempt: config.attempt,
            state: SandboxState::Ready,
            created_at,
            labels: config.labels.clone(),
            annotations: config.annotations.clone(),
            cgroup_parent: config.cgroup_parent.clone(),
            network: config.network.clone(),
        };
        state.sandboxes.insert(id.clone(), (status, config));
        Ok(id)
    }

    async fn stop_sandbox(&self, id: &SandboxId) -> Result<(), RuntimeError> {
        drop(self.begin("stop_sandbox", Call::StopSandbox(id.clone()))?);
        self.end_sandbox(id);
        Ok(())
    }

    async fn remove_sandbox(&self, id: &SandboxId) -> Result<(), RuntimeError> {
        drop(self.begin("remove_sandbox", Call::RemoveSandbox(id.clone()))?);
        self.end_sandbox(id);
        let mut state = self.state();
        state.sandboxes.remove(id);
        state.containers.retain(|_, c| c.status.sandbox != *id);
        Ok(())
    }

    async fn sandbox_status(&self, id: &SandboxId) -> Result<SandboxStatus, RuntimeError> {
        self.state().sandboxes.get(id).map(|s| s.0.clone()).ok_or_else(|| not_found("sandbox", &id.0))
    }

    async fn list_sandboxes(&self) -> Result<Vec<SandboxStatus>, RuntimeError> {
        Ok(self.state().sandboxes.values().map(|s| s.0.clone()).collect())
    }

    async fn create_container(&self, sandbox: &SandboxId, config: ContainerConfig) -> Result<ContainerId, RuntimeError> {
        let call =
            Call::CreateContainer { sandbox: sandbox.clone(), name: config.name.clone(), attempt: config.attempt };
        let created_at = self.now();
        let mut state = self.begin("create_container", call)?;
        config.validate().map_err(|(field, reason)| RuntimeError::Invalid { field, reason })?;
        let (status, sandbox_config) = state.sandboxes.get(sandbox).ok_or_else(|| not_found("sandbox", &sandbox.0))?;
        if status.state != SandboxState::Ready {
            return Err(RuntimeError::State(format!("sandbox {sandbox} is not ready")));
        }
        let parent = sandbox_config.cgroup_parent.clone();
        let id = ContainerId(state.id());
        let behaviour = state.behaviours.get(&config.name).unwrap_or(&state.default).clone();
        let status = ContainerStatus {
            id: id.clone(),
            sandbox: sandbox.clone(),
            name: config.name.clone(),
            attempt: config.attempt,
            state: ContainerState::Created,
            created_at,
            started_at: 0,
            finished_at: 0,
            exit_code: 0,
            oom_killed: false,
            start_error: None,
            pid: None,
            labels: config.labels.clone(),
            annotations: config.annotations.clone(),
            log_path: config.log_path.clone(),
            cgroup: format!("{parent}/{id}"),
            revision: 1,
        };
        let (exit, _) = watch::channel(None);
        state.containers.insert(id.clone(), Fake { status, config, behaviour, exit });
        Ok(id)
    }

    async fn start_container(&self, id: &ContainerId) -> Result<(), RuntimeError> {
        let behaviour = {
            let state = self.begin("start_container", Call::StartContainer(id.clone()))?;
            let fake = state.containers.get(id).ok_or_else(|| not_found("container", &id.0))?;
            if fake.status.state != ContainerState::Created {
                return Err(RuntimeError::State(format!("container {id} has been started already")));
            }
            fake.behaviour.clone()
        };
        if !behaviour.start_delay.is_zero() {
            tokio::time::sleep(behaviour.start_delay).await;
        }
        if let Some(message) = behaviour.start_error {
            if let Some(fake) = self.state().containers.get_mut(id) {
                fake.status.start_error = Some(message.clone());
            }
            self.end(id, 128, false);
            return Err(RuntimeError::Start(message));
        }
        let started_at = self.now();
        let status = {
            let mut state = self.state();
            let fake = state.containers.get_mut(id).ok_or_else(|| not_found("container", &id.0))?;
            if fake.status.state != ContainerState::Created {
                return Err(RuntimeError::Start("container was stopped before it started".to_owned()));
            }
            fake.status.state = ContainerState::Running;
            fake.status.started_at = started_at;
            fake.status.pid = Some(1);
            fake.status.revision += 1;
            fake.status.clone()
        };
        let _ = self.inner.events.send(RuntimeEvent::Started(status));
        if let Some((after, code)) = behaviour.exit_after {
            self.end_later(id.clone(), after, code, behaviour.oom);
        }
        Ok(())
    }

    async fn stop_container(&self, id: &ContainerId, grace: Duration, signal: Option<&str>) -> Result<(), RuntimeError> {
        let polite = signal.and_then(signal_number) != Some(9);
        let (behaviour, mut exit) = {
            let state = self.begin("stop_container", Call::StopContainer { id: id.clone(), grace })?;
            match state.containers.get(id) {
                Some(fake) if fake.status.state != ContainerState::Exited => (fake.behaviour.clone(), fake.exit.subscribe()),
                _ => return Ok(()),
            }
        };
        let obeys = polite && !behaviour.ignores_signals && behaviour.stop_delay < grace;
        let (after, code) = match (polite, obeys) {
            (_, true) => (behaviour.stop_delay, behaviour.stop_exit_code.unwrap_or(143)),
            (true, false) => (grace, 137),
            (false, false) => (Duration::ZERO, 137),
        };
        if after.is_zero() {
            self.end(id, code, false);
            return Ok(());
        }
        self.end_later(id.clone(), after, code, false);
        // A closed channel means that the container was removed.
        let _ = exit.wait_for(Option::is_some).await;
        Ok(())
    }

    async fn remove_container(&self, id: &ContainerId) -> Result<(), RuntimeError> {
        drop(self.begin("remove_container", Call::RemoveContainer(id.clone()))?);
        self.end(id, 137, false);
        self.state().containers.remove(id);
        Ok(())
    }

    async fn container_status(&self, id: &ContainerId) -> Result<ContainerStatus, RuntimeError> {
        self.state().containers.get(id).map(|c| c.status.clone()).ok_or_else(|| not_found("container", &id.0))
    }

    async fn list_containers(&self, sandbox: Option<&SandboxId>) -> Result<Vec<ContainerStatus>, RuntimeError> {
        let state = self.state();
        let statuses = state.containers.values().map(|c| &c.status);
        Ok(statuses.filter(|c| sandbox.is_none_or(|s| c.sandbox == *s)).cloned().collect())
    }

    async fn update_resources(&self, id: &ContainerId, resources: Resources) -> Result<(), RuntimeError> {
        drop(self.begin("update_resources", Call::UpdateResources { id: id.clone(), resources: resources.clone() })?);
        self.running(id)?;
        if let Some(fake) = self.state().containers.get_mut(id) {
            fake.config.resources = resources;
        }
        Ok(())
    }

    async fn exec_sync(&self, id: &ContainerId, argv: Vec<String>, _timeout: Duration) -> Result<ExecOutput, RuntimeError> {
        drop(self.begin("exec_sync", Call::Exec { id: id.clone(), argv: argv.clone() })?);
        let (status, behaviour, _) = self.running(id)?;
        Ok(behaviour.exec.map(|answer| answer(&status, &argv)).unwrap_or_default())
    }

    async fn exec(&self, id: &ContainerId, request: ExecRequest) -> Result<Streams, RuntimeError> {
        drop(self.begin("exec", Call::Exec { id: id.clone(), argv: request.argv.clone() })?);
        let (status, behaviour, _) = self.running(id)?;
        let output = behaviour.exec.map(|answer| answer(&status, &request.argv)).unwrap_or_default();
        let reader = |wanted: bool, bytes: Vec<u8>| wanted.then(|| Box::new(Cursor::new(bytes)) as Reader);
        let exit_code = output.exit_code;
        Ok(Streams {
            stdin: request.stdin.then(|| Box::new(tokio::io::sink()) as Writer),
            stdout: reader(request.stdout, output.stdout),
            stderr: reader(request.stderr && !request.tty, output.stderr),
            resize: request.tty.then(|| Arc::new(|_, _| Ok(())) as Resize),
            exit: async move { Ok(exit_code) }.boxed(),
        })
    }

    async fn attach(&self, id: &ContainerId, request: AttachRequest) -> Result<Streams, RuntimeError> {
        drop(self.begin("attach", Call::Attach(id.clone()))?);
        let (_, _, mut exit) = self.running(id)?;
        let empty = |wanted: bool| wanted.then(|| Box::new(tokio::io::empty()) as Reader);
        Ok(Streams {
            stdin: request.stdin.then(|| Box::new(tokio::io::sink()) as Writer),
            stdout: empty(request.stdout),
            stderr: empty(request.stderr),
            resize: None,
            exit: async move { Ok(exit.wait_for(Option::is_some).await.ok().and_then(|code| *code).unwrap_or(137)) }.boxed(),
        })
    }

    /// Echoes what it is sent.
    async fn port_forward(&self, id: &SandboxId, port: u16) -> Result<Box<dyn Duplex>, RuntimeError> {
        drop(self.begin("port_forward", Call::PortForward { sandbox: id.clone(), port })?);
        self.sandbox_status(id).await?;
        let (ours, theirs) = tokio::io::duplex(64 << 10);
        tokio::spawn(async move {
            let (mut read, mut write) = tokio::io::split(theirs);
            let _ = tokio::io::copy(&mut read, &mut write).await;
        });
        Ok(Box::new(ours))
    }

    async fn reopen_log(&self, id: &ContainerId) -> Result<(), RuntimeError> {
        drop(self.begin("reopen_log", Call::ReopenLog(id.clone()))?);
        self.container_status(id).await.map(drop)
    }

    async fn container_stats(&self, id: &ContainerId) -> Result<Stats, RuntimeError> {
        self.running(id)?;
        let stats = self.state().stats.get(id).copied().unwrap_or_default();
        Ok(Stats { timestamp: self.now(), ..stats })
    }

    async fn sandbox_stats(&self, id: &SandboxId) -> Result<Stats, RuntimeError> {
        self.sandbox_status(id).await?;
        let state = self.state();
        let members = state.containers.values().filter(|c| c.status.sandbox == *id);
        let each = members.filter_map(|c| state.stats.get(&c.status.id));
        let sum = each.fold(Stats::default(), |a, b| Stats {
            timestamp: 0,
            cpu_usage_ns: a.cpu_usage_ns + b.cpu_usage_ns,
            memory_usage_bytes: a.memory_usage_bytes + b.memory_usage_bytes,
            memory_working_set_bytes: a.memory_working_set_bytes + b.memory_working_set_bytes,
            memory_rss_bytes: a.memory_rss_bytes + b.memory_rss_bytes,
            page_faults: a.page_faults + b.page_faults,
            major_page_faults: a.major_page_faults + b.major_page_faults,
            pids: a.pids + b.pids,
        });
        Ok(Stats { timestamp: self.now(), ..sum })
    }

    fn events(&self) -> broadcast::Receiver<RuntimeEvent> {
        self.inner.events.subscribe()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn pod(fake: &FakeRuntime, container: &str) -> (SandboxId, ContainerId) {
        let sandbox = SandboxConfig { name: "p".into(), cgroup_parent: "/pods/p".into(), ..SandboxConfig::default() };
        let sandbox = fake.run_sandbox(sandbox).await.unwrap();
        let config = ContainerConfig { name: container.into(), argv: vec!["x".into()], ..ContainerConfig::default() };
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
        let Ok(RuntimeEvent::Exited(status)) = events.recv().await else { panic!("exit expected") };
        assert_eq!((status.exit_code, status.finished_at - status.started_at), (3, 3_600_000_000_000));
    }

    #[tokio::test(start_paused = true)]
    async fn stopping_waits_for_the_container_or_the_end_of_its_grace() {
        for (behaviour, grace, code, took) in [
            (Behaviour::default(), 30, 143, 0),
            (Behaviour { stop_delay: Duration::from_secs(5), ..Behaviour::default() }, 30, 143, 5),
            (Behaviour { ignores_signals: true, ..Behaviour::default() }, 30, 137, 30),
            (Behaviour { stop_exit_code: Some(0), ..Behaviour::default() }, 30, 0, 0),
            (Behaviour::default(), 0, 137, 0),
        ] {
            let fake = FakeRuntime::new();
            fake.behave_by_default(behaviour);
            let (_, id) = pod(&fake, "c").await;
            fake.start_container(&id).await.unwrap();
            let before = Instant::now();
            fake.stop_container(&id, Duration::from_secs(grace), None).await.unwrap();
            let status = fake.container_status(&id).await.unwrap();
            assert_eq!((status.exit_code, before.elapsed().as_secs()), (code, took));
        }
    }

    #[tokio::test(start_paused = true)]
    async fn calls_are_recorded_and_can_be_made_to_fail() {
        let fake = FakeRuntime::new();
        fake.fail_next("run_sandbox", "no room");
        let config = SandboxConfig { cgroup_parent: "/pods/p".into(), ..SandboxConfig::default() };
        assert_eq!(fake.run_sandbox(config).await.unwrap_err().to_string(), "no room");
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
            Behaviour::answers(|_, argv| ExecOutput { exit_code: 7, stdout: argv.join(" ").into_bytes(), stderr: Vec::new() }),
        );
        let (_, id) = pod(&fake, "c").await;
        let argv = vec!["a".to_owned(), "b".to_owned()];
        assert!(matches!(fake.exec_sync(&id, argv.clone(), Duration::ZERO).await, Err(RuntimeError::State(_))));
        fake.start_container(&id).await.unwrap();
        let output = fake.exec_sync(&id, argv, Duration::ZERO).await.unwrap();
        assert_eq!((output.exit_code, output.stdout), (7, b"a b".to_vec()));
    }
}
