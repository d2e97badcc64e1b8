//! One SPDY connection: a table of streams, a loop that reads frames and a loop
//! that writes them.
//!
//! Flow control. Kubernetes' own peers neither send WINDOW_UPDATE nor heed it:
//! whoever counted windows with them would hang after 64 KiB. So windows are
//! counted from the start but hold sending back, and credit is given, only once the
//! peer has shown, by SETTINGS or WINDOW_UPDATE, that it knows them; this side shows
//! it with its first frame. (Credit to a kubelet would even harm: it closes its
//! socket without reading the rest, and what it had sent last is lost.) With a peer
//! that does not know windows, a stream whose reader is slow stops the reading of
//! the connection, and TCP holds the peer back; the same as upstream, with the same
//! effect on the other streams.
//!
//! Invariants: at most [`MAX_STREAMS`] streams at a time; streams take turns, a
//! chunk each; a stream leaves the table when both sides have ended it, or one
//! has reset it; after a violation of the draft the peer gets GOAWAY.

mod reading;
mod writing;

use std::collections::HashMap;
use std::io;
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::mpsc;

use super::frame::{Control, FrameError, Reset};
use super::headers::Headers;
use crate::StreamError;
use crate::pipe::{Doorbell, Duplex, End, Pipe, Reader, Writer, lock};
use crate::session::{Gone, Life, Limits, Session};

/// Streams of one connection at a time; a port-forward uses two per connection.
pub(crate) const MAX_STREAMS: usize = 512;
/// Streams that were opened and not yet looked at.
const ACCEPT_QUEUE: usize = 32;
/// Control frames that wait to be sent; past it, nothing more is read.
const CONTROL_QUEUE: usize = 64;
/// The window a peer starts with, by the draft.
const DRAFT_WINDOW: i64 = 64 * 1024;
/// How a stream that was reset ends.
const RESET: End = End::Cut(io::ErrorKind::ConnectionReset);
/// Rung for the connection's own window.
const CONNECTION: u32 = 0;

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Role {
    Client,
    Server,
}

/// How one side behaves.
#[derive(Clone, Copy)]
pub(crate) struct Manner {
    pub(crate) role: Role,
    /// Whether the headers of a stream are such that it is taken; else it is reset.
    pub(crate) admit: fn(&Headers) -> bool,
    /// A peer that is done resets what it still has open, as a kubelet does after an
    /// exec: take that for an end and not for a cut.
    pub(crate) reset_ends: bool,
}

impl Manner {
    /// Takes the streams that `admit` lets in.
    pub(crate) const fn server(admit: fn(&Headers) -> bool) -> Self {
        Self {
            role: Role::Server,
            admit,
            reset_ends: false,
        }
    }

    /// Opens streams, and takes none.
    pub(crate) const fn client() -> Self {
        Self {
            role: Role::Client,
            admit: |_| false,
            reset_ends: false,
        }
    }
}

/// A stream that the peer opened.
pub(crate) struct Incoming {
    pub(crate) id: u32,
    pub(crate) headers: Headers,
    pub(crate) duplex: Duplex,
}

/// A connection; dropping it closes it at once.
pub(crate) struct Connection {
    session: Session,
    incoming: mpsc::Receiver<Incoming>,
    opener: Opener,
}

/// Opens streams.
#[derive(Clone)]
pub(crate) struct Opener(Arc<Mux>);

struct Mux {
    manner: Manner,
    bell: Arc<Doorbell>,
    life: Arc<Life>,
    table: Mutex<Table>,
    controls: mpsc::Sender<Control>,
    /// Held while a stream is opened: numbers rise on the wire.
    opening: tokio::sync::Mutex<()>,
}

struct Table {
    streams: HashMap<u32, Stream>,
    next_id: u32,
    last_accepted: u32,
    /// The peer knows windows.
    counts: bool,
    initial_window: i64,
    connection_window: i64,
    /// Bytes received for which the connection's window was not yet given back.
    received: usize,
    peer_max_streams: u32,
    /// No new streams: the peer said goodbye.
    going_away: bool,
    over: bool,
}

struct Stream {
    inbound: Arc<Pipe>,
    outbound: Arc<Pipe>,
    window: i64,
    local_closed: bool,
    remote_closed: bool,
}

impl Connection {
    /// Speaks SPDY on `io`.
    pub(crate) fn start<S>(io: S, manner: Manner, limits: &Limits) -> Self
    where
        S: AsyncRead + AsyncWrite + Send + 'static,
    {
        let (controls, queue) = mpsc::channel(CONTROL_QUEUE);
        let (accepted, incoming) = mpsc::channel(ACCEPT_QUEUE);
        let life = Life::new();
        let mux = Arc::new(Mux {
            manner,
            bell: Arc::default(),
            life: life.clone(),
            table: Mutex::new(Table::new(manner.role)),
            controls,
            opening: tokio::sync::Mutex::default(),
        });
        let (read_half, write_half) = tokio::io::split(io);
        let idle_timeout = limits.idle_timeout;
        let run = {
            let mux = mux.clone();
            async move {
                let read = mux.read(read_half, accepted);
                let write = mux.write(write_half, queue);
                mux.life.run(read, write, idle_timeout).await
            }
        };
        let teardown = {
            let mux = mux.clone();
            move |clean| mux.tear_down(clean)
        };
        Self {
            session: Session::start(life, run, teardown),
            incoming,
            opener: Opener(mux),
        }
    }

    /// The next stream the peer opens; `None` when the connection is over.
    pub(crate) async fn accept(&mut self) -> Option<Incoming> {
        self.incoming.recv().await
    }

    pub(crate) fn opener(&self) -> &Opener {
        &self.opener
    }

    pub(crate) fn gone(&self) -> Gone {
        self.session.gone()
    }

    pub(crate) fn why(&self) -> Option<StreamError> {
        self.session.why()
    }

    /// Sends all that was written, says goodbye and closes.
    pub(crate) async fn close(self) -> Result<(), StreamError> {
        self.session.close().await
    }

    /// Gives up accepting streams: new ones are refused.
    pub(crate) fn into_session(self) -> Session {
        self.session
    }
}

impl Opener {
    pub(crate) async fn open(&self, headers: Headers) -> Result<Duplex, StreamError> {
        let mux = &self.0;
        let _order = mux.opening.lock().await;
        let (stream, duplex) = {
            let mut table = lock(&mux.table);
            if table.over || table.going_away {
                return Err(StreamError::Closed);
            }
            let limit = MAX_STREAMS.min(table.peer_max_streams as usize);
            if table.streams.len() >= limit {
                return Err(StreamError::TooManyStreams(limit));
            }
            let stream = table.next_id;
            table.next_id += 2;
            (stream, table.add(stream, &mux.bell))
        };
        let open = Control::SynStream {
            stream,
            headers,
            fin: false,
        };
        let sent = mux.controls.send(open).await;
        sent.map_err(|_| StreamError::Closed)?;
        Ok(duplex)
    }
}

impl Table {
    fn new(role: Role) -> Self {
        Self {
            streams: HashMap::new(),
            next_id: if role == Role::Client { 1 } else { 2 },
            last_accepted: 0,
            counts: false,
            initial_window: DRAFT_WINDOW,
            connection_window: DRAFT_WINDOW,
            received: 0,
            peer_max_streams: u32::MAX,
            going_away: false,
            over: false,
        }
    }

    fn add(&mut self, stream: u32, bell: &Arc<Doorbell>) -> Duplex {
        let inbound = Pipe::new(stream, bell);
        let outbound = Pipe::new(stream, bell);
        let duplex = Duplex {
            reader: Reader(inbound.clone()),
            writer: Writer(outbound.clone()),
        };
        self.streams.insert(
            stream,
            Stream {
                inbound,
                outbound,
                window: self.initial_window,
                local_closed: false,
                remote_closed: false,
            },
        );
        duplex
    }

    /// The peer has ended a stream.
    fn end_remote(&mut self, stream: u32) {
        if let Some(entry) = self.streams.get_mut(&stream) {
            entry.remote_closed = true;
            entry.inbound.end(End::Clean);
            if entry.local_closed {
                self.streams.remove(&stream);
            }
        }
    }

    /// A stream is cut, by either side.
    fn cut(&mut self, stream: u32, end: End) {
        if let Some(entry) = self.streams.remove(&stream) {
            entry.inbound.end(end);
            entry.outbound.sever();
        }
    }
}

impl Mux {
    fn tear_down(&self, clean: bool) {
        let mut table = lock(&self.table);
        table.over = true;
        let end = if clean {
            End::Clean
        } else {
            End::Cut(io::ErrorKind::UnexpectedEof)
        };
        for (_, stream) in table.streams.drain() {
            stream.inbound.end(end);
            stream.outbound.sever();
        }
    }
}

fn reset(stream: u32, status: Reset) -> Control {
    Control::RstStream {
        stream,
        status: status as u32,
    }
}

impl From<FrameError> for StreamError {
    fn from(error: FrameError) -> Self {
        Self::Protocol(error.to_string())
    }
}

#[cfg(test)]
mod tests;
