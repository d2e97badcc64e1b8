//! A container as its shim sees it: process, pipes, log, attached clients, deadlines.
//!
//! Reads the container's output; writes its log and the pipes of attached clients. Invariants: output is logged before
//! attached clients see it; a client that reads slowly slows the container down (nothing is lost), but one that reads
//! nothing for [`SINK_STALL`] is cut off.

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::time::{Duration, Instant};

use crate::api::ContainerStatus;
use crate::caps::CapSet;
use crate::cgroup::OomWatch;
use crate::config::ContainerConfig;
use crate::init;
use crate::log::{LogWriter, Stream};
use crate::seccomp::Filters;
use crate::sys;

/// Bytes that may wait for an attached client before the container's output is left in its pipe.
const SINK_BYTES: usize = 256 << 10;
/// How long an attached client may read nothing while bytes wait for it.
const SINK_STALL: Duration = Duration::from_secs(30);
/// Clients attached to one container at a time.
pub(super) const MAX_SINKS: usize = 64;
/// How long after the process's end its output may stay open (in the hands of orphans) before it is given up.
pub(super) const DRAIN: Duration = Duration::from_secs(2);
/// Bytes read from an output at once.
const READ_BYTES: usize = 32 << 10;

/// A forked process on its way to a program, and later that program.
pub(super) struct Child {
    pub(super) pid: i32,
    /// Open until the program is executed.
    pub(super) report: Option<OwnedFd>,
    pub(super) terminal: Option<OwnedFd>,
    pub(super) error: Option<String>,
    pub(super) exit: Option<i32>,
}

impl Child {
    /// Takes what the child reported. At end of file the program runs, or has failed.
    pub(super) fn read_report(&mut self) {
        let mut buffer = vec![0; 4096];
        while let Some(report) = &self.report {
            match sys::recv_with_fds(report.as_fd(), &mut buffer) {
                Ok((0, _)) => self.report = None,
                Ok((n, mut fds)) => match buffer[0] {
                    init::MESSAGE_TERMINAL => self.terminal = fds.pop(),
                    _ => self.error = Some(String::from_utf8_lossy(&buffer[1..n]).into_owned()),
                },
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => return,
                Err(_) => self.report = None,
            }
        }
    }
}

/// A client's end of an output stream.
pub(super) struct Sink {
    pub(super) stream: Stream,
    pub(super) fd: OwnedFd,
    pending: Vec<u8>,
    stalled_since: Option<Instant>,
    gone: bool,
}

impl Sink {
    pub(super) fn new(stream: Stream, fd: OwnedFd) -> Self {
        Self {
            stream,
            fd,
            pending: Vec::new(),
            stalled_since: None,
            gone: false,
        }
    }

    pub(super) fn wants_write(&self) -> bool {
        !self.pending.is_empty()
    }

    pub(super) fn deadline(&self) -> Option<Instant> {
        self.stalled_since.map(|since| since + SINK_STALL)
    }

    /// Writes what waits.
    pub(super) fn flush(&mut self, now: Instant) {
        while !self.pending.is_empty() {
            match sys::write(self.fd.as_fd(), &self.pending) {
                Ok(n) => {
                    self.pending.drain(..n);
                    self.stalled_since = None;
                }
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => {
                    let since = *self.stalled_since.get_or_insert(now);
                    self.gone |= now >= since + SINK_STALL;
                    return;
                }
                Err(_) => {
                    self.gone = true;
                    return;
                }
            }
        }
    }
}

pub(super) struct Container {
    pub(super) config: ContainerConfig,
    pub(super) status: ContainerStatus,
    pub(super) caps: CapSet,
    pub(super) filters: Filters,
    pub(super) log: Option<LogWriter>,
    pub(super) child: Option<Child>,
    /// Where attached clients' input goes.
    pub(super) stdin: Option<OwnedFd>,
    /// The process's output (its terminal) and errors.
    pub(super) outputs: [Option<OwnedFd>; 2],
    pub(super) sinks: Vec<Sink>,
    pub(super) oom: Option<OomWatch>,
    pub(super) oom_seen: bool,
    pub(super) start_waiter: Option<u64>,
    pub(super) exit_waiters: Vec<u64>,
    pub(super) attached: Vec<u64>,
    pub(super) remove_waiters: Vec<u64>,
    pub(super) kill_at: Option<Instant>,
    pub(super) drain_until: Option<Instant>,
}

pub(super) const STREAMS: [Stream; 2] = [Stream::Stdout, Stream::Stderr];

impl Container {
    /// Whether output `index` should be read now: it is open and no client is far behind.
    pub(super) fn wants_read(&self, index: usize) -> bool {
        self.outputs[index].is_some()
            && !self
                .sinks
                .iter()
                .any(|s| s.stream == STREAMS[index] && s.pending.len() >= SINK_BYTES)
    }

    /// Reads one output once, into the log and to the clients.
    pub(super) fn pump(&mut self, index: usize, now: Instant) {
        let Some(fd) = &self.outputs[index] else {
            return;
        };
        let mut buffer = [0; READ_BYTES];
        match sys::read(fd.as_fd(), &mut buffer) {
            Ok(0) => self.close_output(index),
            Ok(n) => {
                if let Some(log) = &mut self.log {
                    log.write(STREAMS[index], &buffer[..n], sys::wall_nanos());
                }
                for sink in self.sinks.iter_mut().filter(|s| s.stream == STREAMS[index]) {
                    sink.pending.extend_from_slice(&buffer[..n]);
                    sink.flush(now);
                }
                self.sinks.retain(|s| !s.gone);
            }
            Err(e)
                if matches!(
                    e.kind(),
                    io::ErrorKind::Interrupted | io::ErrorKind::WouldBlock
                ) => {}
            // EIO is how a terminal says that its last user has gone.
            Err(_) => self.close_output(index),
        }
    }

    /// Ends an output; clients keep what still waits for them.
    pub(super) fn close_output(&mut self, index: usize) {
        self.outputs[index] = None;
        if let Some(log) = &mut self.log {
            log.finish(STREAMS[index], sys::wall_nanos());
        }
        self.prune_sinks();
    }

    /// Drops clients that have gone, and those that have everything of a stream that has ended.
    pub(super) fn prune_sinks(&mut self) {
        let [stdout, stderr] = [self.outputs[0].is_some(), self.outputs[1].is_some()];
        let open = |stream| {
            if stream == Stream::Stdout {
                stdout
            } else {
                stderr
            }
        };
        self.sinks
            .retain(|s| !s.gone && (!s.pending.is_empty() || open(s.stream)));
    }

    /// The next moment at which something has to happen without an event.
    pub(super) fn deadline(&self) -> Option<Instant> {
        let sinks = self.sinks.iter().filter_map(Sink::deadline);
        sinks.chain(self.kill_at).chain(self.drain_until).min()
    }
}
