//! What the shim does for each request.
//!
//! Reads requests; writes containers and replies. Invariant: every request gets exactly one first reply, at once or when
//! what it waits for has happened, unless its connection is gone.

use std::os::fd::{AsFd, OwnedFd};
use std::time::Duration;

use super::container::{Container, MAX_SINKS, STREAMS, Sink};
use super::proto::{End, Envelope, Event, Reply, Request, VERSION};
use super::{Exec, Shim, spawn};
use crate::api::{
    AttachRequest, ContainerId, ContainerState, ContainerStatus, ExecRequest, SandboxState,
};
use crate::caps::CapSet;
use crate::config::{ContainerConfig, SeccompProfile};
use crate::error::{WireError, WireErrorKind as Kind};
use crate::log::{LogWriter, Stream};
use crate::seccomp::Filters;
use crate::sys;

/// Containers of one sandbox, exited ones included.
const MAX_CONTAINERS: usize = 1024;
/// Commands that run in one sandbox at a time.
const MAX_EXECS: usize = 256;

type Answer = Result<Option<Reply>, WireError>;

impl Shim {
    pub(super) fn handle(&mut self, conn: u64, envelope: Envelope) {
        if envelope.version != VERSION {
            let message = format!(
                "this shim speaks protocol {VERSION}, not {}",
                envelope.version
            );
            return self.reply(conn, &Reply::Error(WireError::new(Kind::Invalid, message)));
        }
        let answer = match envelope.request {
            Request::Create { id, config } => self.create(&id, *config),
            Request::Start { id } => self.start_container(conn, &id),
            Request::Stop {
                id,
                signal,
                grace_ms,
            } => self.stop(conn, &id, signal, Duration::from_millis(grace_ms)),
            Request::Remove { id } => self.remove(conn, &id),
            Request::Exec { id, request } => self.exec(conn, &id, &request),
            Request::KillExec { exec } => {
                if let Some(exec) = self.execs.get(&exec).filter(|e| e.child.exit.is_none()) {
                    let _ = sys::kill(exec.child.pid, libc::SIGKILL);
                }
                Ok(Some(Reply::Done))
            }
            Request::Attach { id, request } => self.attach(conn, &id, request),
            Request::Sockets => self.sockets(conn),
            Request::ReopenLog { id } => self.reopen_log(&id),
            Request::Subscribe => {
                if let Some(conn) = self.conns.get_mut(&conn) {
                    conn.subscribed = true;
                }
                Ok(Some(Reply::Snapshot(self.snapshot())))
            }
            Request::StopSandbox => {
                self.stop_waiters.push(conn);
                self.stop_sandbox();
                Ok(None)
            }
            Request::Shutdown => {
                self.stop_waiters.push(conn);
                self.shutdown = true;
                self.stop_sandbox();
                Ok(None)
            }
        };
        match answer {
            Ok(None) => {}
            Ok(Some(reply)) => self.reply(conn, &reply),
            Err(error) => self.reply(conn, &Reply::Error(error)),
        }
    }

    fn find(&mut self, id: &str) -> Result<&mut Container, WireError> {
        self.containers
            .get_mut(id)
            .ok_or_else(|| WireError::new(Kind::NotFound, id))
    }

    fn create(&mut self, id: &str, config: ContainerConfig) -> Answer {
        if self.sandbox.state != SandboxState::Ready {
            return Err(WireError::new(Kind::State, "sandbox is not ready"));
        }
        if self.containers.len() >= MAX_CONTAINERS {
            return Err(WireError::new(
                Kind::State,
                format!("sandbox has {MAX_CONTAINERS} containers, the limit"),
            ));
        }
        config.validate().map_err(|(field, reason)| {
            WireError::new(Kind::Invalid, format!("{field}: {reason}"))
        })?;
        let invalid = |e: &dyn std::error::Error| WireError::new(Kind::Invalid, spawn::describe(e));
        let caps = if config.privileged {
            CapSet::all_known()
        } else {
            CapSet::resolve(&config.capabilities_add, &config.capabilities_drop)
                .map_err(|e| invalid(&e))?
        };
        // As other runtimes: what the runtime does not hold itself is left out, not refused.
        let caps = caps.intersection(CapSet::held());
        let profile = if config.privileged {
            &SeccompProfile::Unconfined
        } else {
            &config.seccomp
        };
        let filters = Filters::build(profile, caps).map_err(|e| invalid(&e))?;
        let log = match &config.log_path {
            None => None,
            Some(path) => Some(LogWriter::open(path, config.log_rotation).map_err(|e| {
                WireError::new(Kind::Failed, format!("open log {}: {e}", path.display()))
            })?),
        };
        let status = self.created(id, &config);
        let container = Container {
            config,
            status: status.clone(),
            caps,
            filters,
            log,
            child: None,
            stdin: None,
            outputs: [None, None],
            sinks: Vec::new(),
            oom: None,
            oom_seen: false,
            start_waiter: None,
            exit_waiters: Vec::new(),
            attached: Vec::new(),
            remove_waiters: Vec::new(),
            kill_at: None,
            drain_until: None,
        };
        self.containers.insert(id.to_owned(), container);
        self.persist();
        self.publish(Event::Created(status.clone()));
        Ok(Some(Reply::Container(status)))
    }

    /// The first status of a container.
    fn created(&self, id: &str, config: &ContainerConfig) -> ContainerStatus {
        ContainerStatus {
            id: ContainerId(id.to_owned()),
            sandbox: self.sandbox.id.clone(),
            name: config.name.clone(),
            attempt: config.attempt,
            state: ContainerState::Created,
            created_at: sys::wall_nanos(),
            started_at: 0,
            finished_at: 0,
            exit_code: 0,
            oom_killed: false,
            start_error: None,
            pid: None,
            labels: config.labels.clone(),
            annotations: config.annotations.clone(),
            log_path: config.log_path.clone(),
            cgroup: format!("{}/{id}", self.config.cgroup_parent),
            revision: 1,
        }
    }

    fn start_container(&mut self, conn: u64, id: &str) -> Answer {
        let container = self.find(id)?;
        if container.status.state != ContainerState::Created || container.child.is_some() {
            return Err(WireError::new(
                Kind::State,
                format!("container {id} has been started already"),
            ));
        }
        container.start_waiter = Some(conn);
        // Out of the map, so that the shim's other parts can be read beside it.
        let Some(mut container) = self.containers.remove(id) else {
            return Ok(None);
        };
        let spawned = self.spawn_container(&mut container);
        if let Err(message) = &spawned {
            container.status.start_error = Some(message.clone());
            container.status.exit_code = crate::init::START_FAILED;
            let _ = self.cgroups.remove(&container.status.cgroup);
        }
        self.containers.insert(id.to_owned(), container);
        if spawned.is_err() {
            self.exited(id);
        }
        Ok(None)
    }

    fn stop(&mut self, conn: u64, id: &str, signal: i32, grace: Duration) -> Answer {
        let Ok(container) = self.find(id) else {
            return Ok(Some(Reply::Done));
        };
        if container.status.state == ContainerState::Exited {
            return Ok(Some(Reply::Container(container.status.clone())));
        }
        container.exit_waiters.push(conn);
        self.end(id, signal, grace);
        Ok(None)
    }

    /// Begins to end a container: `signal` now, SIGKILL after `grace`.
    fn end(&mut self, id: &str, signal: i32, grace: Duration) {
        let Some(container) = self.containers.get_mut(id) else {
            return;
        };
        let Some(child) = &container.child else {
            if container.status.state == ContainerState::Created {
                container.status.exit_code = 128 + libc::SIGKILL;
                self.exited(id);
            }
            return;
        };
        if child.exit.is_some() {
            return;
        }
        if grace.is_zero() || signal == libc::SIGKILL {
            return self.kill_container(id);
        }
        let _ = sys::kill(child.pid, signal);
        let at = sys::monotonic() + grace;
        // A second stop may shorten the grace of the first, never lengthen it.
        container.kill_at = Some(container.kill_at.map_or(at, |old| old.min(at)));
    }

    pub(super) fn kill_container(&mut self, id: &str) {
        let Some(container) = self.containers.get(id) else {
            return;
        };
        if let Some(child) = container.child.as_ref().filter(|c| c.exit.is_none()) {
            let _ = sys::kill(child.pid, libc::SIGKILL);
            self.cgroups.kill(&container.status.cgroup);
        }
    }

    fn remove(&mut self, conn: u64, id: &str) -> Answer {
        let Ok(container) = self.find(id) else {
            return Ok(Some(Reply::Done));
        };
        if container.child.is_some() {
            container.remove_waiters.push(conn);
            self.kill_container(id);
            return Ok(None);
        }
        self.drop_container(id);
        Ok(Some(Reply::Done))
    }

    pub(super) fn drop_container(&mut self, id: &str) {
        if let Some(container) = self.containers.remove(id) {
            if let Err(error) = self.cgroups.remove(&container.status.cgroup) {
                eprintln!("{}", spawn::describe(&error));
            }
            self.persist();
            self.publish(Event::Removed { id: id.to_owned() });
        }
    }

    fn exec(&mut self, conn: u64, id: &str, request: &ExecRequest) -> Answer {
        if self.execs.len() >= MAX_EXECS {
            return Err(WireError::new(
                Kind::State,
                format!("{MAX_EXECS} commands run in this sandbox, the limit"),
            ));
        }
        if request.argv.first().is_none_or(String::is_empty) {
            return Err(WireError::new(Kind::Invalid, "no command given"));
        }
        let container = self
            .containers
            .get(id)
            .ok_or_else(|| WireError::new(Kind::NotFound, id))?;
        if container.status.state != ContainerState::Running {
            return Err(WireError::new(
                Kind::State,
                format!("container {id} is not running"),
            ));
        }
        let (child, ends) = self
            .spawn_exec(container, request)
            .map_err(|m| WireError::new(Kind::Exec, m))?;
        self.next_id += 1;
        self.execs.insert(
            self.next_id,
            Exec {
                child,
                conn,
                ends,
                announced: false,
            },
        );
        Ok(None)
    }

    fn attach(&mut self, conn: u64, id: &str, request: AttachRequest) -> Answer {
        let container = self.find(id)?;
        if container.status.state != ContainerState::Running {
            return Err(WireError::new(
                Kind::State,
                format!("container {id} is not running"),
            ));
        }
        if container.sinks.len() + STREAMS.len() > MAX_SINKS {
            return Err(WireError::new(
                Kind::State,
                format!("{MAX_SINKS} clients are attached, the limit"),
            ));
        }
        let failed = |e: std::io::Error| WireError::new(Kind::Failed, format!("attach: {e}"));
        let tty = container.config.tty;
        let mut ends: Vec<(End, OwnedFd)> = Vec::new();
        if let (true, Some(terminal)) = (tty, &container.outputs[0]) {
            ends.push((End::Terminal, spawn::duplicate(terminal).map_err(failed)?));
        } else if request.stdin {
            // With stdin_once the only copy leaves with the first client, and closes with it.
            let once = container.config.stdin_once;
            let fd = if once {
                container.stdin.take()
            } else {
                container
                    .stdin
                    .as_ref()
                    .map(spawn::duplicate)
                    .transpose()
                    .map_err(failed)?
            };
            ends.extend(fd.map(|fd| (End::Stdin, fd)));
        }
        let wanted = [
            (request.stdout, Stream::Stdout, End::Stdout),
            (request.stderr && !tty, Stream::Stderr, End::Stderr),
        ];
        for (_, stream, end) in wanted.into_iter().filter(|w| w.0) {
            let (read, write) = sys::pipe().map_err(failed)?;
            sys::set_nonblocking(write.as_fd()).map_err(failed)?;
            container.sinks.push(Sink::new(stream, write));
            ends.push((end, read));
        }
        container.prune_sinks();
        container.attached.push(conn);
        let (names, fds) = ends.into_iter().unzip();
        if let Some(conn) = self.conns.get_mut(&conn) {
            conn.send(
                &Reply::Streams {
                    exec: 0,
                    ends: names,
                },
                fds,
            );
        }
        Ok(None)
    }

    /// Sockets made here belong to the sandbox's network wherever they are connected from.
    fn sockets(&mut self, conn: u64) -> Answer {
        if self.sandbox.state != SandboxState::Ready {
            return Err(WireError::new(Kind::State, "sandbox is not ready"));
        }
        let families = [(End::Inet, libc::AF_INET), (End::Inet6, libc::AF_INET6)];
        let (ends, fds): (Vec<_>, Vec<_>) = families
            .into_iter()
            .filter_map(|(end, family)| Some((end, sys::unconnected_socket(family).ok()?)))
            .unzip();
        if let Some(conn) = self.conns.get_mut(&conn) {
            conn.send(&Reply::Streams { exec: 0, ends }, fds);
        }
        Ok(None)
    }

    fn reopen_log(&mut self, id: &str) -> Answer {
        let container = self.find(id)?;
        if let Some(log) = &mut container.log {
            log.reopen()
                .map_err(|e| WireError::new(Kind::Failed, format!("reopen log: {e}")))?;
        }
        Ok(Some(Reply::Done))
    }

    /// Ends everything in the sandbox; those who wait are told once it has ended.
    pub(super) fn stop_sandbox(&mut self) {
        let was_ready = self.sandbox.state == SandboxState::Ready;
        self.sandbox.state = SandboxState::NotReady;
        for id in self.containers.keys().cloned().collect::<Vec<_>>() {
            self.end(&id, libc::SIGKILL, Duration::ZERO);
        }
        if was_ready {
            self.persist();
        }
        self.check_stopped();
    }

    /// If everything has ended: takes the pause process down and answers those who wait for that.
    pub(super) fn check_stopped(&mut self) {
        if self.sandbox.state == SandboxState::Ready
            || self.containers.values().any(|c| c.child.is_some())
        {
            return;
        }
        if !self.stopped {
            self.stopped = true;
            if let Some(pause) = self.namespaces.pause.take() {
                let _ = sys::kill(pause.pid, libc::SIGKILL);
                let _ = sys::wait_for(pause.pid);
            }
            if let Err(error) = self.cgroups.remove(&self.pause_group) {
                eprintln!("{}", spawn::describe(&error));
            }
            self.publish(Event::SandboxStopped);
        }
        let snapshot = Reply::Snapshot(self.snapshot());
        for waiter in std::mem::take(&mut self.stop_waiters) {
            self.reply(waiter, &snapshot);
        }
    }
}
