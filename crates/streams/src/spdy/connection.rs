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

use std::collections::HashMap;
use std::io;
use std::sync::{Arc, Mutex};

use tokio::io::{
    AsyncBufReadExt, AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, BufReader, BufWriter,
};
use tokio::sync::mpsc;

use super::frame::{Control, FrameError, Goodbye, HEAD, Head, Reset, data_head};
use super::headers::{Headers, Packer, Unpacker};
use crate::StreamError;
use crate::pipe::{
    Doorbell, Duplex, End, MAX_CHUNK, Pipe, Reader, STREAM_BUFFER, Taken, Writer, lock,
};
use crate::session::{Gone, LINGER, Life, Limits, Session};

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

/// What a stream that rang gets.
struct Turn {
    credit: usize,
    send: Taken,
}

impl Mux {
    async fn read<R: AsyncRead>(
        &self,
        io: R,
        accepted: mpsc::Sender<Incoming>,
    ) -> Result<(), StreamError> {
        let error = match self.read_frames(io, &accepted).await {
            Err(error @ StreamError::Protocol(_)) => error,
            end => return end,
        };
        let last_stream = lock(&self.table).last_accepted;
        let goodbye = Control::Goaway {
            last_stream,
            status: Goodbye::ProtocolError as u32,
        };
        // Whether it arrives or not, the connection ends.
        let _ = tokio::time::timeout(LINGER, async {
            if self.controls.send(goodbye).await.is_ok() {
                self.controls.closed().await;
            }
        })
        .await;
        Err(error)
    }

    async fn read_frames<R: AsyncRead>(
        &self,
        io: R,
        accepted: &mpsc::Sender<Incoming>,
    ) -> Result<(), StreamError> {
        let mut io = std::pin::pin!(BufReader::with_capacity(MAX_CHUNK, io));
        let mut unpacker = Unpacker::new();
        loop {
            let mut head = [0; HEAD];
            let agreed = || lock(&self.table).going_away || self.life.closing.is_cancelled();
            match io.fill_buf().await {
                Ok([]) | Err(_) if agreed() => return Ok(()),
                Ok([]) => return Err(StreamError::Lost),
                Ok(_) => {}
                Err(error) => return Err(error.into()),
            }
            io.read_exact(&mut head).await?;
            self.life.touch();
            match Head::parse(head)? {
                Head::Data { stream, fin, size } => {
                    self.read_data(&mut io, stream, size).await?;
                    if fin {
                        lock(&self.table).end_remote(stream);
                    }
                }
                Head::Control { kind, fin, size } => {
                    let mut payload = vec![0; size];
                    io.read_exact(&mut payload).await?;
                    let control = Control::parse(kind, fin, &payload, &mut unpacker)?;
                    self.handle(control, accepted).await?;
                }
            }
            let table = lock(&self.table);
            if table.going_away && table.streams.is_empty() {
                // Nothing more can come: answer the goodbye and wait for the end.
                self.life.closing.cancel();
            }
        }
    }

    async fn read_data<R>(&self, io: &mut R, stream: u32, size: usize) -> Result<(), StreamError>
    where
        R: AsyncBufReadExt + Unpin,
    {
        let (pipe, known) = {
            let table = lock(&self.table);
            let entry = table.streams.get(&stream);
            let open = entry.filter(|entry| !entry.remote_closed);
            let own = (stream % 2 == 1) == (self.manner.role == Role::Client);
            let last = if own {
                table.next_id
            } else {
                table.last_accepted + 1
            };
            (open.map(|entry| entry.inbound.clone()), stream < last)
        };
        if !known {
            // If the queue is full the peer hears it with its next mistake.
            let _ = self.controls.try_send(reset(stream, Reset::InvalidStream));
        }
        let mut left = size;
        while left > 0 {
            if let Some(pipe) = &pipe {
                std::future::poll_fn(|cx| pipe.poll_room(cx)).await;
            }
            let bytes = io.fill_buf().await?;
            let size = bytes.len().min(left);
            if size == 0 {
                return Err(StreamError::Lost);
            }
            if let Some(pipe) = &pipe {
                pipe.push(&bytes[..size]);
            }
            io.consume(size);
            left -= size;
            self.life.touch();
            let mut table = lock(&self.table);
            table.received += size;
            if table.received >= STREAM_BUFFER / 2 {
                self.bell.ring(CONNECTION);
            }
        }
        Ok(())
    }

    async fn handle(
        &self,
        control: Control,
        accepted: &mpsc::Sender<Incoming>,
    ) -> Result<(), StreamError> {
        match control {
            Control::SynStream {
                stream,
                headers,
                fin,
            } => self.take_stream(stream, headers, fin, accepted).await,
            Control::SynReply { stream, fin, .. } | Control::Headers { stream, fin } => {
                if fin {
                    lock(&self.table).end_remote(stream);
                }
            }
            Control::RstStream { stream, .. } => {
                let end = if self.manner.reset_ends {
                    End::Clean
                } else {
                    RESET
                };
                lock(&self.table).cut(stream, end);
            }
            Control::Settings {
                window,
                max_streams,
            } => self.settings(window, max_streams),
            Control::Ping(id) => {
                // Own pings would be odd for a client; none are sent over SPDY.
                if (id % 2 == 1) == (self.manner.role == Role::Server) {
                    self.reply(Control::Ping(id)).await;
                }
            }
            Control::Goaway { .. } => lock(&self.table).going_away = true,
            Control::WindowUpdate { stream, delta } => self.widen(stream, i64::from(delta)),
            Control::Unknown => {}
        }
        Ok(())
    }

    /// The peer opened a stream.
    async fn take_stream(
        &self,
        stream: u32,
        headers: Headers,
        fin: bool,
        accepted: &mpsc::Sender<Incoming>,
    ) {
        let taken = {
            let mut table = lock(&self.table);
            let theirs = (stream % 2 == 1) == (self.manner.role == Role::Server);
            if !theirs || stream <= table.last_accepted {
                Err(Reset::ProtocolError)
            } else {
                table.last_accepted = stream;
                if table.streams.len() >= MAX_STREAMS || self.life.closing.is_cancelled() {
                    Err(Reset::Refused)
                } else if !(self.manner.admit)(&headers) {
                    Err(Reset::Cancel)
                } else {
                    let duplex = table.add(stream, &self.bell);
                    if fin {
                        table.end_remote(stream);
                    }
                    Ok(duplex)
                }
            }
        };
        let duplex = match taken {
            Ok(duplex) => duplex,
            Err(status) => return self.reply(reset(stream, status)).await,
        };
        let reply = Control::SynReply {
            stream,
            headers: Headers::default(),
            fin: false,
        };
        self.reply(reply).await;
        let incoming = Incoming {
            id: stream,
            headers,
            duplex,
        };
        if accepted.send(incoming).await.is_err() {
            lock(&self.table).cut(stream, RESET);
            self.reply(reset(stream, Reset::Refused)).await;
        }
    }

    async fn reply(&self, control: Control) {
        // The queue closes only with the connection, whose end the loop sees itself.
        let _ = self.controls.send(control).await;
    }

    fn settings(&self, window: Option<u32>, max_streams: Option<u32>) {
        let mut table = lock(&self.table);
        table.counts = true;
        self.bell.ring(CONNECTION);
        if let Some(most) = max_streams {
            table.peer_max_streams = most;
        }
        if let Some(window) = window {
            let window = i64::from(window);
            let change = window - table.initial_window;
            table.initial_window = window;
            for (id, stream) in &mut table.streams {
                stream.window += change;
                self.bell.ring(*id);
            }
        }
    }

    fn widen(&self, stream: u32, delta: i64) {
        let mut table = lock(&self.table);
        table.counts = true;
        if stream == CONNECTION {
            table.connection_window = (table.connection_window + delta).min(i64::from(u32::MAX));
            for (id, stream) in &table.streams {
                if stream.outbound.has_more() {
                    self.bell.ring(*id);
                }
            }
        } else if let Some(entry) = table.streams.get_mut(&stream) {
            entry.window = (entry.window + delta).min(i64::from(u32::MAX));
            self.bell.ring(stream);
        }
    }

    async fn write<W: AsyncWrite>(
        &self,
        io: W,
        mut queue: mpsc::Receiver<Control>,
    ) -> Result<(), StreamError> {
        let mut io = std::pin::pin!(BufWriter::with_capacity(2 * MAX_CHUNK, io));
        let mut packer = Packer::new()?;
        let greeting = Control::Settings {
            window: u32::try_from(STREAM_BUFFER).ok(),
            max_streams: u32::try_from(MAX_STREAMS).ok(),
        };
        io.write_all(&greeting.encode(&mut packer)?).await?;
        let mut closing = false;
        loop {
            while let Ok(control) = queue.try_recv() {
                io.write_all(&control.encode(&mut packer)?).await?;
                if matches!(control, Control::Goaway { .. }) {
                    // Only sent after a violation; the reading side knows which.
                    io.flush().await?;
                    drop(queue);
                    return std::future::pending().await;
                }
            }
            if let Some(stream) = self.bell.pop() {
                self.serve(stream, &mut io, &mut packer).await?;
                continue;
            }
            io.flush().await?;
            if closing && self.drained() {
                break;
            }
            tokio::select! {
                () = self.bell.rung() => {}
                Some(control) = queue.recv() => {
                    io.write_all(&control.encode(&mut packer)?).await?;
                    if matches!(control, Control::Goaway { .. }) {
                        io.flush().await?;
                        drop(queue);
                        return std::future::pending().await;
                    }
                }
                () = self.life.closing.cancelled(), if !closing => {
                    closing = true;
                    for stream in lock(&self.table).streams.values() {
                        stream.outbound.finish();
                    }
                }
            }
        }
        let last_stream = lock(&self.table).last_accepted;
        let goodbye = Control::Goaway {
            last_stream,
            status: Goodbye::Ok as u32,
        };
        io.write_all(&goodbye.encode(&mut packer)?).await?;
        io.shutdown().await?;
        tokio::time::sleep(LINGER).await;
        Ok(())
    }

    /// Sends what one stream, or the connection, has to send now.
    async fn serve<W>(
        &self,
        stream: u32,
        io: &mut W,
        packer: &mut Packer,
    ) -> Result<(), StreamError>
    where
        W: AsyncWriteExt + Unpin,
    {
        let Turn { credit, send } = self.turn(stream);
        if credit > 0 {
            let update = Control::WindowUpdate {
                stream,
                delta: u32::try_from(credit).unwrap_or(u32::MAX),
            };
            io.write_all(&update.encode(packer)?).await?;
        }
        match send {
            Taken::Nothing => return Ok(()),
            Taken::Reset => {
                let reset = reset(stream, Reset::Cancel);
                io.write_all(&reset.encode(packer)?).await?;
            }
            Taken::Data { bytes, last } => {
                io.write_all(&data_head(stream, last, bytes.len())).await?;
                io.write_all(&bytes).await?;
            }
        }
        self.life.touch();
        Ok(())
    }

    fn turn(&self, stream: u32) -> Turn {
        let mut table = lock(&self.table);
        if stream == CONNECTION {
            let credit = if table.counts {
                std::mem::take(&mut table.received)
            } else {
                0
            };
            return Turn {
                credit,
                send: Taken::Nothing,
            };
        }
        let (counts, connection_window) = (table.counts, table.connection_window);
        let Some(entry) = table.streams.get_mut(&stream) else {
            return Turn {
                credit: 0,
                send: Taken::Nothing,
            };
        };
        let credit = if !counts || entry.remote_closed {
            0
        } else {
            entry.inbound.take_credit(STREAM_BUFFER / 2)
        };
        let allowed = if counts {
            let allowed = entry.window.min(connection_window);
            usize::try_from(allowed).unwrap_or(0).min(MAX_CHUNK)
        } else {
            MAX_CHUNK
        };
        let send = entry.outbound.take(allowed);
        match &send {
            Taken::Nothing => {}
            Taken::Reset => table.cut(stream, RESET),
            Taken::Data { bytes, last } => {
                // At most a chunk.
                let size = bytes.len() as i64;
                entry.window -= size;
                if *last {
                    entry.local_closed = true;
                } else if entry.outbound.has_more() {
                    self.bell.ring(stream);
                }
                if entry.local_closed && entry.remote_closed {
                    table.streams.remove(&stream);
                }
                table.connection_window -= size;
            }
        }
        Turn { credit, send }
    }

    /// Whether nothing is left to send.
    fn drained(&self) -> bool {
        let table = lock(&self.table);
        table.streams.values().all(|stream| stream.local_closed)
    }

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
