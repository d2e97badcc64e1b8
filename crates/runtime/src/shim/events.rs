//! The shim's loop: waits for descriptors and deadlines, and moves containers and commands along.
//!
//! Reads every descriptor the shim holds; writes statuses, events and `state.json`. Invariant: each step looks at state,
//! not at what woke it, so that a missed or doubled wake-up does no harm.

use std::fs;
use std::io;
use std::os::fd::{AsFd, AsRawFd, RawFd};
use std::time::Instant;

use super::Shim;
use super::container::STREAMS;
use super::proto::{End, Event, Reply, Snapshot};
use super::{conn::Conn, spawn};
use crate::api::ContainerState;
use crate::error::{WireError, WireErrorKind};
use crate::init;
use crate::sys;

/// What a descriptor in the poll set stands for.
enum Token {
    Listener,
    Children,
    Conn(u64),
    Report(String),
    ExecReport(u64),
    Output(String, usize),
    Sink(String, RawFd),
    Oom(String),
}

/// Connections served at a time; more wait in the backlog.
const MAX_CONNS: usize = 512;

impl Shim {
    /// Serves until shut down.
    pub(super) fn run(&mut self) -> io::Result<()> {
        loop {
            if self.shutdown && self.stopped && self.conns.values().all(|c| !c.wants_write()) {
                return Ok(());
            }
            let (mut fds, tokens) = self.poll_set();
            sys::poll(&mut fds, self.next_deadline())?;
            let now = sys::monotonic();
            for (fd, token) in fds.iter().zip(tokens) {
                if fd.revents != 0 {
                    self.ready(token, fd.revents, now);
                }
            }
            self.pass_deadlines(now);
            self.conns.retain(|_, conn| !conn.closed);
        }
    }

    fn poll_set(&self) -> (Vec<libc::pollfd>, Vec<Token>) {
        let (mut fds, mut tokens) = (Vec::new(), Vec::new());
        let mut add = |fd: RawFd, events: libc::c_short, token: Token| {
            fds.push(libc::pollfd {
                fd,
                events,
                revents: 0,
            });
            tokens.push(token);
        };
        if self.conns.len() < MAX_CONNS {
            add(self.listener.as_raw_fd(), libc::POLLIN, Token::Listener);
        }
        // Reports before exits: a program that ran was started first.
        for (id, container) in &self.containers {
            if let Some(report) = container.child.as_ref().and_then(|c| c.report.as_ref()) {
                add(report.as_raw_fd(), libc::POLLIN, Token::Report(id.clone()));
            }
            for index in 0..STREAMS.len() {
                if let Some(fd) = container.outputs[index]
                    .as_ref()
                    .filter(|_| container.wants_read(index))
                {
                    add(
                        fd.as_raw_fd(),
                        libc::POLLIN,
                        Token::Output(id.clone(), index),
                    );
                }
            }
            for sink in &container.sinks {
                // Without POLLOUT this still tells when the client has gone.
                let events = if sink.wants_write() { libc::POLLOUT } else { 0 };
                add(
                    sink.fd.as_raw_fd(),
                    events,
                    Token::Sink(id.clone(), sink.fd.as_raw_fd()),
                );
            }
            if let Some(oom) = &container.oom {
                add(oom.fd.as_raw_fd(), libc::POLLIN, Token::Oom(id.clone()));
            }
        }
        for (id, exec) in &self.execs {
            if let Some(report) = &exec.child.report {
                add(report.as_raw_fd(), libc::POLLIN, Token::ExecReport(*id));
            }
        }
        add(self.signals.as_raw_fd(), libc::POLLIN, Token::Children);
        for (id, conn) in &self.conns {
            let events = if conn.wants_write() {
                libc::POLLIN | libc::POLLOUT
            } else {
                libc::POLLIN
            };
            add(conn.raw(), events, Token::Conn(*id));
        }
        (fds, tokens)
    }

    fn next_deadline(&self) -> Option<Instant> {
        self.containers
            .values()
            .filter_map(super::Container::deadline)
            .min()
    }

    fn ready(&mut self, token: Token, revents: libc::c_short, now: Instant) {
        match token {
            Token::Listener => self.accept(),
            Token::Children => self.reap(now),
            Token::Conn(id) => self.serve(id, revents),
            Token::Report(id) => {
                if let Some(child) = self.containers.get_mut(&id).and_then(|c| c.child.as_mut()) {
                    child.read_report();
                }
                self.settle(&id);
            }
            Token::ExecReport(id) => {
                if let Some(exec) = self.execs.get_mut(&id) {
                    exec.child.read_report();
                }
                self.settle_exec(id);
            }
            Token::Output(id, index) => {
                if let Some(container) = self.containers.get_mut(&id) {
                    container.pump(index, now);
                }
                self.settle(&id);
            }
            Token::Sink(id, fd) => {
                if let Some(container) = self.containers.get_mut(&id) {
                    let hung_up = revents & (libc::POLLERR | libc::POLLNVAL) != 0;
                    container.sinks.retain_mut(|s| {
                        if s.fd.as_raw_fd() == fd {
                            s.flush(now);
                        }
                        s.fd.as_raw_fd() != fd || !hung_up
                    });
                    container.prune_sinks();
                }
            }
            Token::Oom(id) => self.oom(&id),
        }
    }

    fn accept(&mut self) {
        while let Ok((stream, _)) = self.listener.accept() {
            if let Ok(conn) = Conn::new(stream) {
                self.next_id += 1;
                self.conns.insert(self.next_id, conn);
            }
        }
    }

    fn serve(&mut self, id: u64, revents: libc::c_short) {
        let Some(conn) = self.conns.get_mut(&id) else {
            return;
        };
        if revents & libc::POLLOUT != 0 {
            conn.flush();
        }
        if revents & (libc::POLLIN | libc::POLLHUP | libc::POLLERR) == 0 {
            return;
        }
        while let Some(request) = self.conns.get_mut(&id).and_then(Conn::receive) {
            match request {
                Ok(envelope) => self.handle(id, envelope),
                Err(error) => self.reply(id, &Reply::Error(error)),
            }
        }
    }

    /// Takes the exit codes of children that have ended.
    fn reap(&mut self, now: Instant) {
        let mut buffer = [0; 1024];
        // Only empties the queue; what counts is what waitpid says.
        while matches!(sys::read(self.signals.as_fd(), &mut buffer), Ok(n) if n > 0) {}
        while let Some((pid, code)) = sys::reap() {
            if let Some(pause) = self.namespaces.pause.take_if(|p| p.pid == pid) {
                drop(pause);
                self.stop_sandbox();
                continue;
            }
            let exec = self
                .execs
                .iter_mut()
                .find(|(_, e)| e.child.pid == pid && e.child.exit.is_none());
            if let Some((id, exec)) = exec {
                let id = *id;
                exec.child.exit = Some(code);
                exec.child.read_report();
                self.settle_exec(id);
                continue;
            }
            let mut containers = self.containers.iter_mut();
            let found = containers.find(|(_, c)| {
                c.child
                    .as_ref()
                    .is_some_and(|h| h.pid == pid && h.exit.is_none())
            });
            if let Some((id, container)) = found {
                let id = id.clone();
                if let Some(child) = &mut container.child {
                    child.exit = Some(code);
                    child.read_report();
                }
                container.drain_until = Some(now + super::container::DRAIN);
                container.kill_at = None;
                // What shares a PID namespace with others outlives its first process; a container must not.
                self.cgroups.kill(&container.status.cgroup);
                self.settle(&id);
            }
        }
    }

    fn oom(&mut self, id: &str) {
        let Some(container) = self.containers.get_mut(id) else {
            return;
        };
        let mut buffer = [0; 1024];
        if let Some(oom) = &container.oom {
            let _ = sys::read(oom.fd.as_fd(), &mut buffer);
        }
        // v1 tells before the kill, v2 after any change of the counters.
        let killed =
            self.cgroups.version() == 1 || self.cgroups.oom_kills(&container.status.cgroup) > 0;
        if killed && !container.oom_seen {
            container.oom_seen = true;
            container.status.oom_killed = true;
            container.status.revision += 1;
            let event = Event::Oom(container.status.clone());
            self.publish(event);
        }
    }

    fn pass_deadlines(&mut self, now: Instant) {
        let due: Vec<String> = self
            .containers
            .iter()
            .filter(|(_, c)| c.deadline().is_some_and(|d| d <= now))
            .map(|(id, _)| id.clone())
            .collect();
        for id in due {
            let Some(container) = self.containers.get_mut(&id) else {
                continue;
            };
            if container.kill_at.is_some_and(|d| d <= now) {
                container.kill_at = None;
                self.kill_container(&id);
            }
            let Some(container) = self.containers.get_mut(&id) else {
                continue;
            };
            if container.drain_until.is_some_and(|d| d <= now) {
                container.drain_until = None;
                (0..STREAMS.len()).for_each(|i| container.close_output(i));
            }
            container.sinks.iter_mut().for_each(|s| s.flush(now));
            container.prune_sinks();
            self.settle(&id);
        }
    }

    /// Moves a container on: from created to running, from running to exited.
    pub(super) fn settle(&mut self, id: &str) {
        let Some(container) = self.containers.get_mut(id) else {
            return;
        };
        let Some(child) = &mut container.child else {
            return;
        };
        if child.report.is_some() {
            return;
        }
        if container.status.state == ContainerState::Created && child.error.is_none() {
            if let Some(terminal) = child.terminal.take() {
                let _ = sys::set_nonblocking(terminal.as_fd());
                container.stdin = spawn::duplicate(&terminal).ok();
                container.outputs[0] = Some(terminal);
            }
            container.status.state = ContainerState::Running;
            container.status.started_at = sys::wall_nanos();
            container.status.pid = Some(child.pid);
            container.status.revision += 1;
            let status = container.status.clone();
            let waiter = container.start_waiter.take();
            self.persist();
            self.publish(Event::Started(status.clone()));
            waiter
                .into_iter()
                .for_each(|w| self.reply(w, &Reply::Container(status.clone())));
        }
        let Some(container) = self.containers.get_mut(id) else {
            return;
        };
        let ended = container.child.as_ref().is_some_and(|c| c.exit.is_some());
        if ended && container.outputs.iter().all(Option::is_none) {
            self.finish(id);
        }
    }

    /// Records the end of a container whose process and output have ended.
    fn finish(&mut self, id: &str) {
        let Some(container) = self.containers.get_mut(id) else {
            return;
        };
        let Some(child) = container.child.take() else {
            return;
        };
        container.oom = None;
        container.stdin = None;
        container.drain_until = None;
        container.kill_at = None;
        let status = &mut container.status;
        status.oom_killed |= self.cgroups.oom_kills(&status.cgroup) > 0;
        status.exit_code = child.exit.unwrap_or_default();
        if let Some(error) = child.error {
            status.exit_code = init::START_FAILED;
            status.start_error = Some(error);
        }
        if let Err(error) = self.cgroups.remove(&status.cgroup) {
            eprintln!("{}", spawn::describe(&error));
        }
        self.exited(id);
    }

    /// Marks a container exited and tells everyone who waits for that.
    pub(super) fn exited(&mut self, id: &str) {
        let Some(container) = self.containers.get_mut(id) else {
            return;
        };
        let status = &mut container.status;
        status.state = ContainerState::Exited;
        status.finished_at = sys::wall_nanos();
        status.pid = None;
        status.revision += 1;
        let status = status.clone();
        let starter = container.start_waiter.take();
        let stoppers = std::mem::take(&mut container.exit_waiters);
        let attached = std::mem::take(&mut container.attached);
        let removers = std::mem::take(&mut container.remove_waiters);
        self.persist();
        self.publish(Event::Exited(status.clone()));
        if let Some(waiter) = starter {
            self.reply(waiter, &Reply::NotStarted(status.clone()));
        }
        stoppers
            .into_iter()
            .for_each(|w| self.reply(w, &Reply::Container(status.clone())));
        attached.into_iter().for_each(|w| {
            self.reply(
                w,
                &Reply::Exit {
                    code: status.exit_code,
                },
            )
        });
        if !removers.is_empty() {
            self.drop_container(id);
            removers
                .into_iter()
                .for_each(|w| self.reply(w, &Reply::Done));
        }
        self.check_stopped();
    }

    /// Moves a command on: hand over its streams once it runs, its exit code once it ended.
    pub(super) fn settle_exec(&mut self, id: u64) {
        let Some(exec) = self.execs.get_mut(&id) else {
            return;
        };
        if exec.child.report.is_some() {
            return;
        }
        let conn = exec.conn;
        let mut replies = Vec::new();
        if !exec.announced {
            exec.announced = true;
            if let Some(error) = exec.child.error.take() {
                replies.push((
                    Reply::Error(WireError::new(WireErrorKind::Exec, error)),
                    Vec::new(),
                ));
            } else {
                let mut ends = std::mem::take(&mut exec.ends);
                ends.extend(exec.child.terminal.take().map(|t| (End::Terminal, t)));
                let (names, fds) = ends.into_iter().unzip();
                replies.push((
                    Reply::Streams {
                        exec: id,
                        ends: names,
                    },
                    fds,
                ));
            }
        }
        if let Some(code) = exec.child.exit {
            replies.push((Reply::Exit { code }, Vec::new()));
            self.execs.remove(&id);
        }
        if let Some(conn) = self.conns.get_mut(&conn) {
            replies
                .into_iter()
                .for_each(|(reply, fds)| conn.send(&reply, fds));
        }
    }

    pub(super) fn reply(&mut self, conn: u64, reply: &Reply) {
        if let Some(conn) = self.conns.get_mut(&conn) {
            conn.send(reply, Vec::new());
        }
    }

    pub(super) fn publish(&mut self, event: Event) {
        let reply = Reply::Event(event);
        self.conns
            .values_mut()
            .filter(|c| c.subscribed)
            .for_each(|c| c.send(&reply, Vec::new()));
    }

    pub(super) fn snapshot(&self) -> Snapshot {
        Snapshot {
            sandbox: self.sandbox.clone(),
            containers: self.containers.values().map(|c| c.status.clone()).collect(),
        }
    }

    /// Leaves what is known for an agent that finds this shim dead. The old state stays if the disk refuses.
    pub(super) fn persist(&self) {
        let write = || -> io::Result<()> {
            let new = self.dir.join("state.json.new");
            fs::write(
                &new,
                serde_json::to_vec(&self.snapshot()).map_err(io::Error::other)?,
            )?;
            fs::rename(&new, self.dir.join(super::STATE_FILE))
        };
        if let Err(error) = write() {
            eprintln!("write state: {error}");
        }
    }
}
