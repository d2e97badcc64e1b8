//! The `Runtime` trait: what the node agent asks of a container runtime, shaped like CRI.
//!
//! Declares, does nothing. Invariants: a sandbox or container id names one object for ever; every stop and remove
//! succeeds on what is gone already, as CRI requires; an event is a hint, the status is the truth.

use std::collections::BTreeMap;
use std::fmt;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use futures::future::BoxFuture;
use serde::{Deserialize, Serialize};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::broadcast;

use crate::config::{ContainerConfig, Resources, SandboxConfig};
use crate::error::RuntimeError;

/// Most bytes [`Runtime::exec_sync`] returns of each stream; the rest is read and dropped (the kubelet's limit).
pub const EXEC_SYNC_OUTPUT_LIMIT_BYTES: usize = 16 << 20;

/// Events a slow subscriber may be behind before it is told that it missed some.
pub const EVENT_QUEUE: usize = 1024;

macro_rules! id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(pub String);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

id!(
    /// Identifies a sandbox: 64 hexadecimal digits.
    SandboxId
);
id!(
    /// Identifies a container: 64 hexadecimal digits.
    ContainerId
);

/// Name and version of a runtime, as a Node reports it (`kogge://0.1.0`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Version {
    /// Name of the runtime.
    pub runtime_name: String,
    /// Its version.
    pub runtime_version: String,
}

/// Whether a runtime can run pods.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RuntimeStatus {
    /// Ready to run containers.
    pub ready: bool,
    /// Why not, for people; empty when ready.
    pub message: String,
}

/// State of a sandbox.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum SandboxState {
    /// Containers can be created.
    Ready,
    /// Stopped, or its shim died.
    NotReady,
}

/// What is known about a sandbox.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct SandboxStatus {
    /// Id.
    pub id: SandboxId,
    /// Pod name.
    pub name: String,
    /// Pod namespace.
    pub namespace: String,
    /// Pod uid.
    pub uid: String,
    /// Counts sandboxes of one Pod.
    pub attempt: u32,
    /// State.
    pub state: SandboxState,
    /// Nanoseconds since the epoch.
    pub created_at: i64,
    /// As given.
    pub labels: BTreeMap<String, String>,
    /// As given.
    pub annotations: BTreeMap<String, String>,
    /// As given.
    pub cgroup_parent: String,
    /// As given.
    pub network: crate::config::Network,
}

/// State of a container.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum ContainerState {
    /// Not started yet.
    Created,
    /// Its process runs.
    Running,
    /// Its process ended, or never started (then `start_error` is set).
    Exited,
}

/// What is known about a container.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ContainerStatus {
    /// Id.
    pub id: ContainerId,
    /// The sandbox it belongs to.
    pub sandbox: SandboxId,
    /// Name within the Pod.
    pub name: String,
    /// Counts restarts.
    pub attempt: u32,
    /// State.
    pub state: ContainerState,
    /// Nanoseconds since the epoch.
    pub created_at: i64,
    /// Nanoseconds since the epoch; 0 before the start.
    pub started_at: i64,
    /// Nanoseconds since the epoch; 0 before the end.
    pub finished_at: i64,
    /// Exit code, 128 plus the signal's number after a fatal signal. Meaningful when exited.
    pub exit_code: i32,
    /// Whether the OOM killer took a process of the container.
    pub oom_killed: bool,
    /// Why the process could not be started.
    pub start_error: Option<String>,
    /// Process id on the host while running.
    pub pid: Option<i32>,
    /// As given.
    pub labels: BTreeMap<String, String>,
    /// As given.
    pub annotations: BTreeMap<String, String>,
    /// As given.
    pub log_path: Option<PathBuf>,
    /// Its control group, relative to the hierarchy's root.
    pub cgroup: String,
    /// Grows with every change of this container's status.
    pub revision: u64,
}

/// Result of [`Runtime::exec_sync`].
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ExecOutput {
    /// Exit code.
    pub exit_code: i32,
    /// At most [`EXEC_SYNC_OUTPUT_LIMIT_BYTES`].
    pub stdout: Vec<u8>,
    /// At most [`EXEC_SYNC_OUTPUT_LIMIT_BYTES`].
    pub stderr: Vec<u8>,
}

/// A command to run in a container with its streams connected to the caller.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct ExecRequest {
    /// Program and arguments.
    pub argv: Vec<String>,
    /// Whether the command gets a terminal. Then stdout carries everything and stderr is absent.
    pub tty: bool,
    /// Whether the caller writes its input.
    pub stdin: bool,
    /// Whether the caller reads its output.
    pub stdout: bool,
    /// Whether the caller reads its errors.
    pub stderr: bool,
}

/// Which streams of a running container to connect to.
#[derive(Debug, Clone, Copy, Default, Serialize, Deserialize)]
pub struct AttachRequest {
    /// Write to its input; needs a container with `stdin`.
    pub stdin: bool,
    /// Read its output from now on.
    pub stdout: bool,
    /// Read its errors from now on. Absent with a terminal.
    pub stderr: bool,
}

/// A boxed stream to read.
pub type Reader = Box<dyn AsyncRead + Send + Unpin>;
/// A boxed stream to write.
pub type Writer = Box<dyn AsyncWrite + Send + Unpin>;
/// Sets the size of a terminal: (columns, rows).
pub type Resize = Arc<dyn Fn(u16, u16) -> io::Result<()> + Send + Sync>;

/// The ends of a process's streams that belong to the caller. Dropping one closes it.
pub struct Streams {
    /// Its input. Dropping (or shutting down) the writer is end of file for the process.
    pub stdin: Option<Writer>,
    /// Its output.
    pub stdout: Option<Reader>,
    /// Its errors.
    pub stderr: Option<Reader>,
    /// Present with a terminal.
    pub resize: Option<Resize>,
    /// Resolves to the exit code of the command (of the container, for attach).
    pub exit: BoxFuture<'static, Result<i32, RuntimeError>>,
}

impl fmt::Debug for Streams {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Streams")
            .field("stdin", &self.stdin.is_some())
            .field("stdout", &self.stdout.is_some())
            .field("stderr", &self.stderr.is_some())
            .field("tty", &self.resize.is_some())
            .finish_non_exhaustive()
    }
}

/// A stream in both directions.
pub trait Duplex: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Duplex for T {}

/// Resource use of a container or pod at one moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Stats {
    /// When it was read, nanoseconds since the epoch.
    pub timestamp: i64,
    /// CPU time used since the start, in nanoseconds.
    pub cpu_usage_ns: u64,
    /// Memory in use, page cache included.
    pub memory_usage_bytes: u64,
    /// Memory that cannot be reclaimed easily: usage less inactive file pages, as the kubelet counts it.
    pub memory_working_set_bytes: u64,
    /// Anonymous memory.
    pub memory_rss_bytes: u64,
    /// Page faults since the start.
    pub page_faults: u64,
    /// Page faults that had to read from disk.
    pub major_page_faults: u64,
    /// Tasks (processes and threads).
    pub pids: u64,
}

/// Something that happened. Receivers that fall behind get `Lagged` and must list again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RuntimeEvent {
    /// A container's process started.
    Started(ContainerStatus),
    /// A container's process ended and its output is in the log.
    Exited(ContainerStatus),
    /// The OOM killer took a process of a container.
    Oom(ContainerStatus),
    /// A sandbox stopped, by request or because its shim died.
    SandboxStopped(SandboxId),
}

/// A container runtime.
#[async_trait]
pub trait Runtime: Send + Sync {
    /// Name and version.
    async fn version(&self) -> Result<Version, RuntimeError>;

    /// Whether it can run pods.
    async fn status(&self) -> Result<RuntimeStatus, RuntimeError>;

    /// Creates and starts a sandbox.
    async fn run_sandbox(&self, config: SandboxConfig) -> Result<SandboxId, RuntimeError>;

    /// Kills all containers of a sandbox and gives up its namespaces. Succeeds if it is stopped or gone.
    async fn stop_sandbox(&self, id: &SandboxId) -> Result<(), RuntimeError>;

    /// Stops a sandbox and removes it with everything in it. Succeeds if it is gone.
    async fn remove_sandbox(&self, id: &SandboxId) -> Result<(), RuntimeError>;

    /// State of one sandbox.
    async fn sandbox_status(&self, id: &SandboxId) -> Result<SandboxStatus, RuntimeError>;

    /// All sandboxes.
    async fn list_sandboxes(&self) -> Result<Vec<SandboxStatus>, RuntimeError>;

    /// Prepares a container in a sandbox that is ready.
    async fn create_container(
        &self,
        sandbox: &SandboxId,
        config: ContainerConfig,
    ) -> Result<ContainerId, RuntimeError>;

    /// Starts a created container; returns once its program has been executed.
    ///
    /// # Errors
    /// [`RuntimeError::Start`] with a reason for people; the container is then exited with code 128.
    async fn start_container(&self, id: &ContainerId) -> Result<(), RuntimeError>;

    /// Sends `signal` (SIGTERM by default; a name such as `SIGINT` or a number), waits up to `grace`, then kills.
    /// Returns once the container has exited. Succeeds if it has exited or is gone.
    async fn stop_container(
        &self,
        id: &ContainerId,
        grace: Duration,
        signal: Option<&str>,
    ) -> Result<(), RuntimeError>;

    /// Kills a container if it runs and removes it. Succeeds if it is gone. Its log file stays.
    async fn remove_container(&self, id: &ContainerId) -> Result<(), RuntimeError>;

    /// State of one container.
    async fn container_status(&self, id: &ContainerId) -> Result<ContainerStatus, RuntimeError>;

    /// All containers, or those of one sandbox.
    async fn list_containers(
        &self,
        sandbox: Option<&SandboxId>,
    ) -> Result<Vec<ContainerStatus>, RuntimeError>;

    /// Changes the limits of a running container. `None` fields stay as they are.
    async fn update_resources(
        &self,
        id: &ContainerId,
        resources: Resources,
    ) -> Result<(), RuntimeError>;

    /// Runs a command in a container and collects its output.
    ///
    /// # Errors
    /// [`RuntimeError::ExecTimeout`] when `timeout` (zero: none) passes; the command is killed.
    async fn exec_sync(
        &self,
        id: &ContainerId,
        argv: Vec<String>,
        timeout: Duration,
    ) -> Result<ExecOutput, RuntimeError>;

    /// Runs a command in a container with its streams connected to the caller.
    async fn exec(&self, id: &ContainerId, request: ExecRequest) -> Result<Streams, RuntimeError>;

    /// Connects to the streams of a running container.
    async fn attach(
        &self,
        id: &ContainerId,
        request: AttachRequest,
    ) -> Result<Streams, RuntimeError>;

    /// Connects to a port on the loopback of a sandbox's network (IPv4, then IPv6).
    async fn port_forward(
        &self,
        id: &SandboxId,
        port: u16,
    ) -> Result<Box<dyn Duplex>, RuntimeError>;

    /// Makes a container's log go to its path anew, after somebody renamed the file.
    async fn reopen_log(&self, id: &ContainerId) -> Result<(), RuntimeError>;

    /// Resource use of a container.
    async fn container_stats(&self, id: &ContainerId) -> Result<Stats, RuntimeError>;

    /// Resource use of a pod, from its control group.
    async fn sandbox_stats(&self, id: &SandboxId) -> Result<Stats, RuntimeError>;

    /// Events from now on.
    fn events(&self) -> broadcast::Receiver<RuntimeEvent>;
}

/// The number of a signal given as `SIGTERM`, `TERM` or `15`.
pub fn signal_number(signal: &str) -> Option<i32> {
    if let Ok(number) = signal.parse::<i32>() {
        return (1..=64).contains(&number).then_some(number);
    }
    let upper = signal.to_ascii_uppercase();
    let bare = upper.strip_prefix("SIG").unwrap_or(&upper);
    // Real-time signals have no fixed names in nix; Pods write them as SIGRTMIN+n or SIGRTMAX-n.
    let realtime = |base: i32, rest: &str| {
        if rest.is_empty() {
            Some(base)
        } else {
            Some(base + rest.parse::<i32>().ok()?)
        }
    };
    if let Some(rest) = bare.strip_prefix("RTMIN") {
        return realtime(34, rest).filter(|n| (34..=64).contains(n));
    }
    if let Some(rest) = bare.strip_prefix("RTMAX") {
        return realtime(64, rest).filter(|n| (34..=64).contains(n));
    }
    format!("SIG{bare}")
        .parse::<nix::sys::signal::Signal>()
        .ok()
        .map(|s| s as i32)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signals_are_accepted_by_name_and_number() {
        for (text, number) in [
            ("SIGTERM", Some(15)),
            ("term", Some(15)),
            ("9", Some(9)),
            ("SIGRTMIN+3", Some(37)),
            ("SIGRTMAX-1", Some(63)),
            ("SIGRTMIN", Some(34)),
            ("0", None),
            ("65", None),
            ("SIGNOPE", None),
            ("RTMIN+99", None),
        ] {
            assert_eq!(signal_number(text), number, "{text}");
        }
    }
}
