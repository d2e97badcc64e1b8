//! One agent's connection to the shim: frames in, frames (with descriptors) out.
//!
//! Reads and writes one non-blocking Unix socket. Invariant: at most [`MAX_QUEUED_FRAMES`] replies wait; a peer that
//! does not read them is cut off and has to ask anew.

use std::collections::VecDeque;
use std::io;
use std::os::fd::{AsFd, AsRawFd, OwnedFd, RawFd};
use std::os::unix::net::UnixStream;

use super::proto::{self, Envelope, Reply};
use crate::error::{WireError, WireErrorKind};
use crate::sys;

/// Replies that may wait for a slow peer.
const MAX_QUEUED_FRAMES: usize = 1024;
/// Bytes taken from the socket at once.
const READ_BYTES: usize = 64 << 10;

struct Frame {
    bytes: Vec<u8>,
    sent: usize,
    fds: Vec<OwnedFd>,
}

pub(super) struct Conn {
    stream: UnixStream,
    input: Vec<u8>,
    output: VecDeque<Frame>,
    pub(super) subscribed: bool,
    pub(super) closed: bool,
    /// Close once everything is sent.
    pub(super) last: bool,
}

impl Conn {
    pub(super) fn new(stream: UnixStream) -> io::Result<Self> {
        stream.set_nonblocking(true)?;
        Ok(Self {
            stream,
            input: Vec::new(),
            output: VecDeque::new(),
            subscribed: false,
            closed: false,
            last: false,
        })
    }

    pub(super) fn raw(&self) -> RawFd {
        self.stream.as_raw_fd()
    }

    pub(super) fn wants_write(&self) -> bool {
        !self.output.is_empty()
    }

    /// Reads what is there. Returns the next request, if it is complete.
    pub(super) fn receive(&mut self) -> Option<Result<Envelope, WireError>> {
        if self.last {
            return None;
        }
        let mut buffer = vec![0; READ_BYTES];
        loop {
            // Descriptors a peer sends are dropped, and so closed: no request carries any.
            match sys::recv_with_fds(self.stream.as_fd(), &mut buffer) {
                Ok((0, _)) => self.closed = true,
                Ok((n, _)) => {
                    self.input.extend_from_slice(&buffer[..n]);
                    if self.input.len() <= proto::MAX_FRAME_BYTES {
                        continue;
                    }
                }
                Err(e) if e.kind() == io::ErrorKind::Interrupted => continue,
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => {}
                Err(_) => self.closed = true,
            }
            break;
        }
        match proto::decode::<Envelope>(&mut self.input) {
            Ok(None) => None,
            Ok(Some(envelope)) => Some(Ok(envelope)),
            Err(message) => {
                // Nothing after it can be trusted to begin a frame.
                self.input.clear();
                self.last = true;
                Some(Err(WireError::new(
                    WireErrorKind::Invalid,
                    format!("unreadable request: {message}"),
                )))
            }
        }
    }

    /// Queues a reply and sends as much as the socket takes.
    pub(super) fn send(&mut self, reply: &Reply, fds: Vec<OwnedFd>) {
        if self.output.len() >= MAX_QUEUED_FRAMES {
            self.closed = true;
            return;
        }
        match proto::encode(reply) {
            Ok(bytes) => self.output.push_back(Frame {
                bytes,
                sent: 0,
                fds,
            }),
            Err(_) => self.closed = true,
        }
        self.flush();
    }

    pub(super) fn flush(&mut self) {
        while let Some(frame) = self.output.front_mut() {
            let raw: Vec<RawFd> = frame.fds.iter().map(AsRawFd::as_raw_fd).collect();
            match sys::send_with_fds(self.stream.as_fd(), &frame.bytes[frame.sent..], &raw) {
                Ok(n) => {
                    frame.sent += n;
                    // They went out with the first byte; our copies must close so that the peer holds the only ones.
                    frame.fds.clear();
                    if frame.sent == frame.bytes.len() {
                        self.output.pop_front();
                    }
                }
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => return,
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(_) => {
                    self.closed = true;
                    return;
                }
            }
        }
        if self.last {
            self.closed = true;
        }
    }
}
