//! Exec and attach, for whoever serves them.
//!
//! [`accept_command`] answers the request; once the answer is out,
//! [`PendingCommand::open`] gives the streams. Invariants: only streams that the
//! options name exist; the outcome is sent after all output, so that a client
//! that stops at the outcome has lost nothing.

use std::sync::Arc;

use http::{Request, Response};
use tokio::io::AsyncWriteExt;
use tokio::time::Instant;

use crate::StreamError;
use crate::channel::{self, Channel, Direction, Wire};
use crate::outcome::Outcome;
use crate::pipe::{Duplex, Pipe, Reader, Writer};
use crate::resize::Resizes;
use crate::session::{Gone, Limits, Session};
use crate::spdy::connection::Manner;
use crate::spdy::{Connection, Headers};
use crate::upgrade::{self, Agreed, Io, Offer, Pending, Refusal};

pub(crate) const V5: &str = "v5.channel.k8s.io";
pub(crate) const V4: &str = "v4.channel.k8s.io";
const V4_BASE64: &str = "v4.base64.channel.k8s.io";
pub(crate) const V3: &str = "v3.channel.k8s.io";
const V2: &str = "v2.channel.k8s.io";
const V1: &str = "channel.k8s.io";
const V1_BASE64: &str = "base64.channel.k8s.io";

const OFFER: Offer = Offer {
    websocket: &[V5, V4, V4_BASE64, V1, V1_BASE64, ""],
    spdy: &[V4, V3, V2, V1],
};

pub(crate) const STREAM_TYPE: &str = "streamType";

pub(crate) const STDOUT: u8 = 1;
pub(crate) const STDERR: u8 = 2;
pub(crate) const ERROR: u8 = 3;

/// Which streams an exec or an attach has.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct CommandOptions {
    /// The client sends input.
    pub stdin: bool,
    /// The client wants the output.
    pub stdout: bool,
    /// The client wants the error output.
    pub stderr: bool,
    /// The command has a terminal; its error output is its output then.
    pub tty: bool,
}

impl CommandOptions {
    /// Reads the options from a query, as the API has them (`stdin=true`) or as a
    /// kubelet has them (`input=1`).
    pub fn from_query(query: &str) -> Result<Self, Refusal> {
        let mut options = Self::default();
        for (name, value) in form_urlencoded::parse(query.as_bytes()) {
            let on = matches!(&*value, "1" | "true" | "t" | "T" | "True" | "TRUE");
            match &*name {
                "stdin" | "input" => options.stdin = on,
                "stdout" | "output" => options.stdout = on,
                "stderr" | "error" => options.stderr = on,
                "tty" => options.tty = on,
                _ => {}
            }
        }
        options.stderr &= !options.tty;
        if !options.stdin && !options.stdout && !options.stderr {
            let text = "you must specify at least 1 of stdin, stdout, stderr";
            return Err(Refusal::bad_request(text));
        }
        Ok(options)
    }
}

/// An exec or attach that was answered with 101 and is about to begin.
pub struct PendingCommand {
    pending: Pending,
    options: CommandOptions,
    limits: Limits,
}

/// Agrees on a protocol. Send the response, then [`PendingCommand::open`].
pub fn accept_command<B>(
    request: &mut Request<B>,
    options: CommandOptions,
    limits: Limits,
) -> Result<(Response<()>, PendingCommand), Refusal> {
    let (response, pending) = upgrade::accept(request, &OFFER)?;
    let mut options = options;
    options.stderr &= !options.tty;
    let pending = PendingCommand {
        pending,
        options,
        limits,
    };
    Ok((response, pending))
}

impl PendingCommand {
    /// The streams, once the client has the answer and, over SPDY, opened them.
    pub async fn open(self) -> Result<RemoteCommand, StreamError> {
        let agreed = self.pending.agreed;
        let io = self.pending.io(&self.limits).await?;
        match agreed {
            Agreed::WebSocket(protocol) => {
                Ok(over_websocket(io, protocol, self.options, &self.limits).await)
            }
            Agreed::Spdy(protocol) => over_spdy(io, protocol, self.options, &self.limits).await,
        }
    }
}

/// A running exec or attach: its streams, and the way to end it. Dropping it
/// without [`RemoteCommand::finish`] cuts the connection.
pub struct RemoteCommand {
    /// Input from the client. An error says that the client left or was cut off; a
    /// command sees either as the end of its input.
    pub stdin: Option<Reader>,
    /// Output to the client.
    pub stdout: Option<Writer>,
    /// Error output to the client.
    pub stderr: Option<Writer>,
    /// Sizes of the client's terminal.
    pub resize: Option<Resizes>,
    error: Writer,
    /// The halves of streams that are of no use, but whose end would mean something.
    held: Vec<Writer>,
    outputs: Vec<Arc<Pipe>>,
    structured: bool,
    session: Session,
}

impl RemoteCommand {
    /// Tells when the client is gone, so that the command can be ended.
    pub fn gone(&self) -> Gone {
        self.session.gone()
    }

    /// Ends the output streams, waits until the client has taken all output, tells
    /// it the outcome and closes. Output written through a [`Writer`] that was
    /// taken out of this struct and still lives ends here too.
    ///
    /// An error says that the client was gone before it had everything.
    pub async fn finish(self, outcome: &Outcome) -> Result<(), StreamError> {
        let Self {
            stdin,
            stdout,
            stderr,
            resize,
            mut error,
            held,
            outputs,
            structured,
            session,
        } = self;
        drop((stdin, stdout, stderr, resize));
        for output in &outputs {
            output.finish();
            output.drained().await;
        }
        if let Some(text) = outcome.to_wire(structured)
            && error.write_all(text.as_bytes()).await.is_err()
        {
            tracing::debug!("the client of a remote command left before its outcome");
        }
        drop(error);
        drop(held);
        session.close().await
    }
}

async fn over_websocket(
    io: Io,
    protocol: &str,
    options: CommandOptions,
    limits: &Limits,
) -> RemoteCommand {
    let wire = Wire {
        base64: matches!(protocol, V4_BASE64 | V1_BASE64),
        close_signal: protocol == V5,
        client: false,
    };
    let when = |on: bool, direction| if on { direction } else { Direction::Ignore };
    let directions = [
        when(options.stdin, Direction::Read),
        when(options.stdout, Direction::Write),
        when(options.stderr, Direction::Write),
        Direction::Write,
        when(options.tty, Direction::Read),
    ];
    // The lowest channel that is written to, as upstream.
    let greeting = match options {
        _ if options.stdout => STDOUT,
        _ if options.stderr => STDERR,
        _ => ERROR,
    };
    let socket = upgrade::server_socket(io).await;
    let (session, channels) = channel::start(socket, wire, &directions, Some(greeting), limits);
    let mut channels = channels.into_iter();
    let mut next = || {
        let channel = channels.next();
        channel.map_or((None, None), |Channel { reader, writer }| (reader, writer))
    };
    let (stdin, _) = next();
    let (_, stdout) = next();
    let (_, stderr) = next();
    let (_, error) = next();
    let (resize, _) = next();
    #[expect(clippy::expect_used, reason = "channel 3 is a Write in `directions`")]
    let error = error.expect("the error channel is written to");
    RemoteCommand {
        outputs: outputs(&[&stdout, &stderr]),
        stdin,
        stdout,
        stderr,
        resize: resize.map(Resizes::new),
        error,
        held: Vec::new(),
        structured: matches!(protocol, V5 | V4 | V4_BASE64),
        session,
    }
}

fn outputs(writers: &[&Option<Writer>]) -> Vec<Arc<Pipe>> {
    let writers = writers.iter().filter_map(|writer| writer.as_ref());
    writers.map(|writer| writer.0.clone()).collect()
}

fn is_command_stream(headers: &Headers) -> bool {
    let kind = headers.get(STREAM_TYPE);
    kind.is_some_and(|kind| matches!(kind, "error" | "stdin" | "stdout" | "stderr" | "resize"))
}

/// The streams an SPDY client opens one by one.
#[derive(Default)]
struct Streams {
    stdin: Option<Duplex>,
    stdout: Option<Duplex>,
    stderr: Option<Duplex>,
    error: Option<Duplex>,
    resize: Option<Duplex>,
}

impl Streams {
    fn slot(&mut self, kind: &str) -> &mut Option<Duplex> {
        match kind {
            "stdin" => &mut self.stdin,
            "stdout" => &mut self.stdout,
            "stderr" => &mut self.stderr,
            "resize" => &mut self.resize,
            _ => &mut self.error,
        }
    }
}

async fn over_spdy(
    io: Io,
    protocol: &str,
    options: CommandOptions,
    limits: &Limits,
) -> Result<RemoteCommand, StreamError> {
    let mut connection = Connection::start(io, Manner::server(is_command_stream), limits);
    let sizes = options.tty && matches!(protocol, V4 | V3);
    let wanted = [options.stdin, options.stdout, options.stderr, sizes];
    let expected = 1 + wanted.into_iter().filter(|wanted| *wanted).count();
    let timeout = limits.stream_creation_timeout;
    let deadline = Instant::now() + timeout;
    let mut streams = Streams::default();
    let mut received = 0;
    while received < expected {
        let next = tokio::time::timeout_at(deadline, connection.accept()).await;
        let next = next.map_err(|_| StreamError::StreamCreation(timeout))?;
        let Some(incoming) = next else {
            return Err(connection.why().unwrap_or(StreamError::Lost));
        };
        let slot = streams.slot(incoming.headers.get(STREAM_TYPE).unwrap_or_default());
        // A second stream of a kind is cut by being dropped.
        if slot.is_none() {
            *slot = Some(incoming.duplex);
            received += 1;
        } else {
            incoming.duplex.writer.abort();
        }
    }
    let error = streams
        .error
        .ok_or_else(|| StreamError::Protocol("the client opened no error stream".to_owned()))?;
    let mut held = Vec::new();
    let mut input = |duplex: Option<Duplex>, wanted: bool| {
        let (reader, writer) = duplex.filter(|_| wanted)?.split();
        // Before v2 the server ends its side of stdin at once.
        if protocol != V1 {
            held.push(writer);
        }
        Some(reader)
    };
    let stdin = input(streams.stdin, options.stdin);
    let resize = input(streams.resize, sizes);
    let output = |duplex: Option<Duplex>, wanted| Some(duplex.filter(|_| wanted)?.writer);
    let stdout = output(streams.stdout, options.stdout);
    let stderr = output(streams.stderr, options.stderr);
    Ok(RemoteCommand {
        outputs: outputs(&[&stdout, &stderr]),
        stdin,
        stdout,
        stderr,
        resize: resize.map(Resizes::new),
        error: error.writer,
        held,
        structured: protocol == V4,
        session: connection.into_session(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_are_read_as_the_api_and_as_a_kubelet_spell_them() {
        let all = |stdin, stdout, stderr, tty| CommandOptions {
            stdin,
            stdout,
            stderr,
            tty,
        };
        let cases = [
            (
                "command=sh&stdin=true&stdout=true",
                all(true, true, false, false),
            ),
            ("input=1&output=1&error=1", all(true, true, true, false)),
            (
                "stdout=true&stderr=true&tty=true",
                all(false, true, false, true),
            ),
            ("stdin=false&stdout=1", all(false, true, false, false)),
        ];
        for (query, expected) in cases {
            assert_eq!(CommandOptions::from_query(query), Ok(expected), "{query}");
        }
        for query in ["", "tty=true", "tty=true&stderr=true", "stdin=maybe"] {
            assert!(CommandOptions::from_query(query).is_err(), "{query}");
        }
    }
}
