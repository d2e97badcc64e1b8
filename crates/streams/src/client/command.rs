//! Exec and attach, for whoever asks: over WebSocket (v5, or v4 from older
//! servers) or over SPDY (for kubelets that know only that).
//!
//! Invariant: an outcome is only what the server said; a connection that ends
//! without one is [`StreamError::Lost`].

use http::Request;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite};

use super::{ConnectError, spdy, websocket};
use crate::StreamError;
use crate::channel::{self, Direction, Wire};
use crate::command::{CommandOptions, STREAM_TYPE, V3, V4, V5};
use crate::outcome::{MAX_STATUS, Outcome};
use crate::pipe::{Reader, Writer};
use crate::resize::ResizeSender;
use crate::session::{Gone, Limits, Session};
use crate::spdy::connection::Manner;
use crate::spdy::{Connection, Headers};

/// A remote command as its client sees it. Dropping it cuts the connection.
pub struct CommandClient {
    /// Input of the command; `shutdown` ends it (over v4 WebSocket it cannot end).
    pub stdin: Option<Writer>,
    /// Its output.
    pub stdout: Option<Reader>,
    /// Its error output.
    pub stderr: Option<Reader>,
    /// Tells it the size of the terminal.
    pub resize: Option<ResizeSender>,
    error: Option<Reader>,
    structured: bool,
    session: Session,
}

impl CommandClient {
    /// Tells when the server is gone.
    pub fn gone(&self) -> Gone {
        self.session.gone()
    }

    /// Waits until the command has ended, and says how. Output is read elsewhere
    /// at the same time, or else a command that writes much never ends.
    pub async fn outcome(&mut self) -> Result<Outcome, StreamError> {
        let error = self.error.take().ok_or(StreamError::Closed)?;
        let mut text = Vec::new();
        let limit = MAX_STATUS as u64 + 1;
        let read = error.take(limit).read_to_end(&mut text).await;
        if text.len() > MAX_STATUS {
            let text = format!("an outcome over the limit of {MAX_STATUS} bytes");
            return Err(StreamError::Protocol(text));
        }
        // What was read counts, even if the connection broke behind it.
        if (self.structured || read.is_ok())
            && let Some(outcome) = Outcome::from_wire(&text, self.structured)
        {
            return Ok(outcome);
        }
        Err(self.session.why().unwrap_or(StreamError::Lost))
    }
}

fn when(on: bool, direction: Direction) -> Direction {
    if on { direction } else { Direction::Ignore }
}

/// Begins an exec or attach over WebSocket. The request's query must ask for the
/// same streams as `options`.
pub async fn connect_command<S>(
    io: S,
    request: Request<()>,
    options: CommandOptions,
    limits: Limits,
) -> Result<CommandClient, ConnectError>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let (socket, protocol) = websocket(io, request, &[V5, V4], &limits).await?;
    let wire = Wire {
        base64: false,
        close_signal: protocol == V5,
        client: true,
    };
    let directions = [
        when(options.stdin, Direction::Write),
        when(options.stdout, Direction::Read),
        when(options.stderr && !options.tty, Direction::Read),
        Direction::Read,
        when(options.tty, Direction::Write),
    ];
    let (session, channels) = channel::start(socket, wire, &directions, None, &limits);
    let mut channels = channels.into_iter().map(|c| (c.reader, c.writer));
    let mut next = || channels.next().unwrap_or((None, None));
    let ((_, stdin), (stdout, _), (stderr, _)) = (next(), next(), next());
    let ((error, _), (_, resize)) = (next(), next());
    Ok(CommandClient {
        stdin,
        stdout,
        stderr,
        resize: resize.map(ResizeSender),
        error,
        structured: true,
        session,
    })
}

/// Begins an exec or attach over SPDY. The request's query must ask for the same
/// streams as `options`.
pub async fn connect_command_spdy<S>(
    io: S,
    request: Request<()>,
    options: CommandOptions,
    limits: Limits,
) -> Result<CommandClient, ConnectError>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let (io, protocol) = spdy(io, request, &[V4, V3], &limits).await?;
    let manner = Manner {
        reset_ends: true,
        ..Manner::client()
    };
    let connection = Connection::start(io, manner, &limits);
    let open = async |kind: &str, wanted: bool| {
        if !wanted {
            return Ok(None);
        }
        let headers = Headers::new(&[(STREAM_TYPE, kind)]);
        connection.opener().open(headers).await.map(Some)
    };
    // Streams that only come from the server are ended on this side at once.
    let error = open("error", true).await?.map(|d| d.reader);
    let stdin = open("stdin", options.stdin).await?.map(|d| d.writer);
    let stdout = open("stdout", options.stdout).await?.map(|d| d.reader);
    let stderr = open("stderr", options.stderr && !options.tty).await?;
    let resize = open("resize", options.tty).await?;
    Ok(CommandClient {
        stdin,
        stdout,
        stderr: stderr.map(|d| d.reader),
        resize: resize.map(|d| ResizeSender(d.writer)),
        error,
        structured: protocol == V4,
        session: connection.into_session(),
    })
}
