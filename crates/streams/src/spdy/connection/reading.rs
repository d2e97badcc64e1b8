//! The loop that reads frames and does what they say.
//!
//! Reads the connection; changes the table, fills inbound pipes, queues control
//! frames. Invariant: it waits when an inbound pipe or the queue is full, and
//! reads nothing meanwhile.

use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncReadExt, BufReader};
use tokio::sync::mpsc;

use super::{CONNECTION, Incoming, MAX_STREAMS, Mux, RESET, Role, reset};
use crate::StreamError;
use crate::pipe::{End, MAX_CHUNK, STREAM_BUFFER, lock};
use crate::session::LINGER;
use crate::spdy::frame::{Control, Goodbye, HEAD, Head, Reset};
use crate::spdy::headers::{Headers, Unpacker};

impl Mux {
    pub(super) async fn read<R: AsyncRead>(
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
}
