//! Channels in WebSocket messages: the first byte of each message says which
//! stream the rest belongs to.
//!
//! Reads and writes WebSocket messages. In `base64.` protocols the number is a
//! digit and the rest is base64 in text messages. Only v5 can end one direction
//! of one channel: message 255 and the channel, from client to server. Invariants:
//! a message past [`MAX_MESSAGE`] ends the connection with close code 1009; data
//! for a channel that nobody reads is dropped, as upstream does.

use std::io;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use futures::stream::{SplitSink, SplitStream};
use futures::{SinkExt, StreamExt};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::Notify;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::protocol::{CloseFrame, WebSocketConfig};
use tokio_tungstenite::tungstenite::{Error, Message};
use tokio_util::sync::CancellationToken;

use crate::StreamError;
use crate::pipe::{Doorbell, End, MAX_CHUNK, Pipe, Reader, Taken, Writer, lock};
use crate::session::{LINGER, Life, Limits, Session};

/// Bytes of one WebSocket message; the limit of upstream's servers.
pub(crate) const MAX_MESSAGE: usize = 32 * 1024 * 1024;

/// How often a client asks whether the server is there, and how long it waits
/// for any sign of life. client-go's figures.
const PING_PERIOD: Duration = Duration::from_secs(5);
const PING_DEADLINE: Duration = Duration::from_secs(61);

/// Instead of a channel: the next byte names a channel whose sender is done.
const CLOSE_SIGNAL: u8 = 255;

/// How channels are spelled.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Wire {
    pub(crate) base64: bool,
    pub(crate) close_signal: bool,
    /// This side asked for the connection: it signals ends and sends pings.
    pub(crate) client: bool,
}

/// What this side does with a channel.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Direction {
    Ignore,
    Read,
    Write,
    Both,
}

/// One channel, as far as this side uses it.
pub(crate) struct Channel {
    pub(crate) reader: Option<Reader>,
    pub(crate) writer: Option<Writer>,
}

struct Ends {
    inbound: Option<Arc<Pipe>>,
    outbound: Option<Arc<Pipe>>,
}

struct Mux {
    wire: Wire,
    ends: Vec<Ends>,
    bell: Arc<Doorbell>,
    life: Arc<Life>,
    /// What the peer is told when it broke the protocol.
    verdict: Mutex<Option<CloseFrame>>,
    broken: CancellationToken,
    told: Notify,
}

pub(crate) fn websocket_config() -> WebSocketConfig {
    WebSocketConfig::default()
        .read_buffer_size(MAX_CHUNK)
        .write_buffer_size(MAX_CHUNK)
        .max_write_buffer_size(8 * MAX_CHUNK)
        .max_message_size(Some(MAX_MESSAGE))
        .max_frame_size(Some(MAX_MESSAGE))
}

/// Runs channels on a WebSocket. `greeting` is a channel that gets an empty
/// message at once, so that the peer knows the connection stands.
pub(crate) fn start<S>(
    socket: WebSocketStream<S>,
    wire: Wire,
    directions: &[Direction],
    greeting: Option<u8>,
    limits: &Limits,
) -> (Session, Vec<Channel>)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let bell = Arc::default();
    let mut ends = Vec::with_capacity(directions.len());
    let mut channels = Vec::with_capacity(directions.len());
    for (number, direction) in (0..).zip(directions) {
        let reads = matches!(direction, Direction::Read | Direction::Both);
        let writes = matches!(direction, Direction::Write | Direction::Both);
        let inbound = reads.then(|| Pipe::new(number, &bell));
        let outbound = writes.then(|| Pipe::new(number, &bell));
        channels.push(Channel {
            reader: inbound.clone().map(Reader),
            writer: outbound.clone().map(Writer),
        });
        ends.push(Ends { inbound, outbound });
    }
    let life = Life::new();
    let mux = Arc::new(Mux {
        wire,
        ends,
        bell,
        life: life.clone(),
        verdict: Mutex::default(),
        broken: CancellationToken::new(),
        told: Notify::new(),
    });
    let (sink, stream) = socket.split();
    let idle_timeout = limits.idle_timeout;
    let run = {
        let mux = mux.clone();
        async move {
            let (read, write) = (mux.read(stream), mux.write(sink, greeting));
            mux.life.run(read, write, idle_timeout).await
        }
    };
    let session = Session::start(life, run, move |clean| mux.tear_down(clean));
    (session, channels)
}

impl Mux {
    async fn read<S>(&self, stream: SplitStream<WebSocketStream<S>>) -> Result<(), StreamError>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        let (error, code) = match self.read_messages(stream).await {
            Ok(()) => return Ok(()),
            Err(Broken::Lost(error)) => return Err(error),
            Err(Broken::Protocol(text, code)) => (StreamError::Protocol(text), code),
        };
        *lock(&self.verdict) = Some(CloseFrame {
            code,
            reason: error.to_string().into(),
        });
        self.broken.cancel();
        // Whether it arrives or not, the connection ends.
        let _ = tokio::time::timeout(LINGER, self.told.notified()).await;
        Err(error)
    }

    async fn read_messages<S>(
        &self,
        mut stream: SplitStream<WebSocketStream<S>>,
    ) -> Result<(), Broken>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        let mut agreed = false;
        loop {
            let message = if self.wire.client {
                let next = tokio::time::timeout(PING_DEADLINE, stream.next());
                next.await.unwrap_or(None)
            } else {
                stream.next().await
            };
            self.life.touch();
            let message = match message {
                Some(Ok(message)) => message,
                None | Some(Err(_)) if agreed || self.life.closing.is_cancelled() => return Ok(()),
                None => return Err(StreamError::Lost.into()),
                Some(Err(error)) => return Err(error.into()),
            };
            match message {
                Message::Binary(bytes) => self.take(&bytes).await?,
                Message::Text(text) => self.take(text.as_bytes()).await?,
                Message::Close(frame) => {
                    if let Some(frame) = frame.filter(|f| !ends_well(f.code)) {
                        let text = format!("closed by the peer: {} {}", frame.code, frame.reason);
                        return Err(StreamError::Io(io::Error::other(text)).into());
                    }
                    agreed = true;
                }
                Message::Ping(_) | Message::Pong(_) | Message::Frame(_) => {}
            }
        }
    }

    /// Hands a message to its channel.
    async fn take(&self, message: &[u8]) -> Result<(), Broken> {
        let Some((&first, data)) = message.split_first() else {
            return Ok(());
        };
        if self.wire.close_signal && first == CLOSE_SIGNAL {
            let &[channel] = data else {
                return Err(violation("one channel must follow a stream close signal"));
            };
            let ends = self.ends.get(usize::from(channel));
            let ends = ends.ok_or_else(|| violation("no such channel to close"))?;
            if let Some(pipe) = &ends.inbound {
                pipe.end(End::Clean);
            }
            return Ok(());
        }
        let channel = if self.wire.base64 {
            first.wrapping_sub(b'0')
        } else {
            first
        };
        let ends = self.ends.get(usize::from(channel));
        let Some(pipe) = ends.and_then(|ends| ends.inbound.as_ref()) else {
            return Ok(());
        };
        if self.wire.base64 {
            let decoded = STANDARD.decode(data);
            let decoded = decoded.map_err(|_| violation("a message that is not base64"))?;
            give(pipe, &decoded).await;
        } else {
            give(pipe, data).await;
        }
        Ok(())
    }

    async fn write<S>(
        &self,
        mut sink: SplitSink<WebSocketStream<S>, Message>,
        greeting: Option<u8>,
    ) -> Result<(), StreamError>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        if let Some(channel) = greeting {
            sink.feed(self.message(channel, &[])).await?;
        }
        let mut pings = tokio::time::interval(PING_PERIOD);
        let mut closing = false;
        loop {
            if let Some(channel) = self.bell.pop() {
                self.serve(channel, &mut sink).await?;
                continue;
            }
            sink.flush().await?;
            if closing && self.drained() {
                break;
            }
            tokio::select! {
                () = self.bell.rung() => {}
                _ = pings.tick(), if self.wire.client => {
                    sink.feed(Message::Ping(Bytes::new())).await?;
                }
                () = self.broken.cancelled() => {
                    let verdict = lock(&self.verdict).take();
                    sink.send(Message::Close(verdict)).await?;
                    self.told.notify_one();
                    return std::future::pending().await;
                }
                () = self.life.closing.cancelled(), if !closing => {
                    closing = true;
                    self.outbound().for_each(|pipe| pipe.finish());
                }
            }
        }
        let goodbye = CloseFrame {
            code: CloseCode::Normal,
            reason: "".into(),
        };
        sink.send(Message::Close(Some(goodbye))).await?;
        tokio::time::sleep(LINGER).await;
        Ok(())
    }

    /// Sends what one channel has to send now.
    async fn serve<S>(
        &self,
        channel: u32,
        sink: &mut SplitSink<WebSocketStream<S>, Message>,
    ) -> Result<(), StreamError>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        let index = channel as usize;
        let Some(pipe) = self.ends.get(index).and_then(|e| e.outbound.as_ref()) else {
            return Ok(());
        };
        // Channels are bytes: there are fewer than 255.
        let number = u8::try_from(channel).unwrap_or(CLOSE_SIGNAL);
        let (bytes, last) = match pipe.take(MAX_CHUNK) {
            Taken::Nothing => return Ok(()),
            // Channels cannot be reset; the closest is to end them.
            Taken::Reset => (Bytes::new(), true),
            Taken::Data { bytes, last } => (bytes, last),
        };
        if !bytes.is_empty() {
            sink.feed(self.message(number, &bytes)).await?;
            self.life.touch();
        }
        if last && self.wire.client && self.wire.close_signal {
            sink.feed(Message::Binary(vec![CLOSE_SIGNAL, number].into()))
                .await?;
        }
        if pipe.has_more() {
            self.bell.ring(channel);
        }
        Ok(())
    }

    fn message(&self, channel: u8, data: &[u8]) -> Message {
        if self.wire.base64 {
            let mut text = String::with_capacity(data.len() * 4 / 3 + 8);
            text.push(char::from(channel.saturating_add(b'0')));
            STANDARD.encode_string(data, &mut text);
            return Message::Text(text.into());
        }
        let mut bytes = Vec::with_capacity(data.len() + 1);
        bytes.push(channel);
        bytes.extend_from_slice(data);
        Message::Binary(bytes.into())
    }

    fn outbound(&self) -> impl Iterator<Item = &Arc<Pipe>> {
        self.ends.iter().filter_map(|ends| ends.outbound.as_ref())
    }

    fn drained(&self) -> bool {
        self.outbound().all(|pipe| !pipe.has_more())
    }

    fn tear_down(&self, clean: bool) {
        let end = if clean {
            End::Clean
        } else {
            End::Cut(io::ErrorKind::UnexpectedEof)
        };
        for pipe in self.ends.iter().filter_map(|ends| ends.inbound.as_ref()) {
            pipe.end(end);
        }
        self.outbound().for_each(|pipe| pipe.sever());
    }
}

/// Gives bytes to a reader as fast as it takes them.
async fn give(pipe: &Pipe, data: &[u8]) {
    for chunk in data.chunks(MAX_CHUNK) {
        std::future::poll_fn(|cx| pipe.poll_room(cx)).await;
        pipe.push(chunk);
    }
}

fn ends_well(code: CloseCode) -> bool {
    matches!(
        code,
        CloseCode::Normal | CloseCode::Away | CloseCode::Status
    )
}

/// Why reading ended.
enum Broken {
    Lost(StreamError),
    Protocol(String, CloseCode),
}

fn violation(text: &str) -> Broken {
    Broken::Protocol(text.to_owned(), CloseCode::Protocol)
}

impl From<StreamError> for Broken {
    fn from(error: StreamError) -> Self {
        Self::Lost(error)
    }
}

impl From<Error> for Broken {
    fn from(error: Error) -> Self {
        match error {
            Error::Capacity(error) => Self::Protocol(error.to_string(), CloseCode::Size),
            Error::Utf8(error) => Self::Protocol(error, CloseCode::Invalid),
            Error::Protocol(error) => {
                use tokio_tungstenite::tungstenite::error::ProtocolError::*;
                match error {
                    ResetWithoutClosingHandshake | ReceivedAfterClosing | SendAfterClosing => {
                        Self::Lost(StreamError::Lost)
                    }
                    error => Self::Protocol(error.to_string(), CloseCode::Protocol),
                }
            }
            error => Self::Lost(error.into()),
        }
    }
}

impl From<Error> for StreamError {
    fn from(error: Error) -> Self {
        match error {
            Error::Io(error) => Self::Io(error),
            Error::ConnectionClosed | Error::AlreadyClosed => Self::Lost,
            error => Self::Protocol(error.to_string()),
        }
    }
}
