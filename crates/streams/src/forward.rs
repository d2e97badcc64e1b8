//! Port-forward, for whoever serves it.
//!
//! A client opens two streams for each connection it forwards: data both ways,
//! and an error text from the server. Over SPDY, bare or in a WebSocket tunnel,
//! they come whenever the client accepts a connection; in the older WebSocket
//! spelling the request names the ports, and each has its two channels once.
//! Invariants: streams whose partner does not come within
//! [`Limits::stream_creation_timeout`] are dropped with a message; ports are
//! 1 to 65535.

use std::collections::HashMap;
use std::sync::Arc;

use http::{Request, Response};
use tokio::io::AsyncWriteExt;
use tokio::time::Instant;

use crate::StreamError;
use crate::channel::{self, Channel, Direction, Wire};
use crate::command::STREAM_TYPE;
use crate::pipe::{Duplex, Pipe, Reader, Writer};
use crate::session::{Gone, Limits, Session};
use crate::spdy::connection::{Incoming, Manner};
use crate::spdy::{Connection, Headers};
use crate::tunnel::Tunnel;
use crate::upgrade::{self, Agreed, Io, Offer, Pending, Refusal};

pub(crate) const PROTOCOL: &str = "portforward.k8s.io";
pub(crate) const TUNNEL: &str = "SPDY/3.1+portforward.k8s.io";
const CHANNELS: &str = "v4.channel.k8s.io";
const CHANNELS_BASE64: &str = "v4.base64.channel.k8s.io";

const OFFER: Offer = Offer {
    websocket: &[TUNNEL, PROTOCOL, CHANNELS, CHANNELS_BASE64, ""],
    spdy: &[PROTOCOL],
};

pub(crate) const PORT: &str = "port";
pub(crate) const REQUEST_ID: &str = "requestID";
pub(crate) const DATA: &str = "data";
pub(crate) const ERROR: &str = "error";

/// Ports of one request in the older WebSocket spelling: two channels each, and
/// a channel is a byte, in base64 a printable one.
const MAX_PORTS: usize = 32;

/// A port-forward that was answered with 101 and is about to begin.
pub struct PendingForward {
    pending: Pending,
    ports: Vec<u16>,
    limits: Limits,
}

/// Agrees on a protocol. Send the response, then [`PendingForward::open`].
pub fn accept_port_forward<B>(
    request: &mut Request<B>,
    limits: Limits,
) -> Result<(Response<()>, PendingForward), Refusal> {
    let query = request.uri().query().unwrap_or_default().to_owned();
    let (response, pending) = upgrade::accept(request, &OFFER)?;
    let by_query = matches!(pending.agreed, Agreed::WebSocket(protocol) if protocol != TUNNEL);
    let ports = if by_query {
        ports_of(&query)?
    } else {
        Vec::new()
    };
    let pending = PendingForward {
        pending,
        ports,
        limits,
    };
    Ok((response, pending))
}

/// The ports of a query, as the API (`ports`) or a kubelet (`port`) names them.
fn ports_of(query: &str) -> Result<Vec<u16>, Refusal> {
    let mut ports = Vec::new();
    for (name, value) in form_urlencoded::parse(query.as_bytes()) {
        if name != "ports" && name != PORT {
            continue;
        }
        for text in value.split(',') {
            let port = text.parse().ok().filter(|port| *port > 0_u16);
            ports.push(port.ok_or_else(|| {
                Refusal::bad_request(format!("unable to parse \"{text}\" as a port"))
            })?);
        }
    }
    match ports.len() {
        0 => Err(Refusal::bad_request("query parameter \"port\" is required")),
        1..=MAX_PORTS => Ok(ports),
        count => Err(Refusal::bad_request(format!(
            "{count} ports, over the limit of {MAX_PORTS} ports a request"
        ))),
    }
}

impl PendingForward {
    /// The port-forward, once the client has the answer.
    pub async fn open(self) -> Result<PortForward, StreamError> {
        let agreed = self.pending.agreed;
        let limits = self.limits;
        let io = self.pending.io(&limits).await?;
        let source = match agreed {
            Agreed::Spdy(_) => Source::spdy(Connection::start(
                io,
                Manner::server(is_forward_stream),
                &limits,
            )),
            Agreed::WebSocket(TUNNEL) => {
                let tunnel = Tunnel::new(upgrade::server_socket(io).await);
                Source::spdy(Connection::start(
                    tunnel,
                    Manner::server(is_forward_stream),
                    &limits,
                ))
            }
            Agreed::WebSocket(protocol) => {
                let base64 = protocol == CHANNELS_BASE64;
                over_channels(io, base64, &self.ports, &limits).await?
            }
        };
        Ok(PortForward { source, limits })
    }
}

/// One connection that a client forwards.
pub struct Forward {
    /// The port in the pod.
    pub port: u16,
    /// The bytes of the connection, both ways.
    pub data: Duplex,
    error: Writer,
}

impl Forward {
    /// Takes the connection apart, to copy both ways at a time.
    pub fn split(self) -> (Reader, Writer, ForwardError) {
        let (reader, writer) = self.data.split();
        (reader, writer, ForwardError(self.error))
    }

    /// Tells the client why its connection does not work, and cuts it. For a port
    /// that does not answer, not for a connection that merely ended: kubectl gives
    /// the whole port-forward up after any message.
    pub async fn fail(self, message: &str) {
        let (_, writer, error) = self.split();
        error.fail(message).await;
        writer.abort();
    }
}

/// The error stream of one forwarded connection.
pub struct ForwardError(Writer);

impl ForwardError {
    /// Tells the client why its connection broke.
    pub async fn fail(mut self, message: &str) {
        // If it cannot be told, it is gone.
        let _ = self.0.write_all(message.as_bytes()).await;
    }
}

/// A running port-forward. Dropping it cuts it, with all its connections.
pub struct PortForward {
    source: Source,
    limits: Limits,
}

enum Source {
    Spdy {
        connection: Box<Connection>,
        pairs: HashMap<String, Pair>,
    },
    Channels {
        waiting: std::vec::IntoIter<Forward>,
        outbound: Vec<Arc<Pipe>>,
        session: Option<Session>,
        gone: Gone,
    },
}

impl Source {
    fn spdy(connection: Connection) -> Self {
        Self::Spdy {
            connection: Box::new(connection),
            pairs: HashMap::new(),
        }
    }
}

/// What has come of the two streams of a connection.
struct Pair {
    data: Option<Duplex>,
    error: Option<Duplex>,
    deadline: Instant,
}

impl PortForward {
    /// Tells when the client is gone.
    pub fn gone(&self) -> Gone {
        match &self.source {
            Source::Spdy { connection, .. } => connection.gone(),
            Source::Channels { gone, .. } => gone.clone(),
        }
    }

    /// The next connection that the client forwards; `None` when the client is
    /// gone, or (in the older WebSocket spelling) when all ports are done with.
    pub async fn next(&mut self) -> Option<Forward> {
        match &mut self.source {
            Source::Spdy { connection, pairs } => {
                next_pair(connection, pairs, self.limits.stream_creation_timeout).await
            }
            Source::Channels {
                waiting,
                outbound,
                session,
                ..
            } => {
                if let Some(forward) = waiting.next() {
                    return Some(forward);
                }
                for pipe in outbound {
                    pipe.drained().await;
                }
                if let Some(session) = session.take()
                    && let Err(error) = session.close().await
                {
                    tracing::debug!(%error, "port-forward ended");
                }
                None
            }
        }
    }
}

async fn next_pair(
    connection: &mut Connection,
    pairs: &mut HashMap<String, Pair>,
    timeout: std::time::Duration,
) -> Option<Forward> {
    loop {
        let earliest = pairs.iter().min_by_key(|(_, pair)| pair.deadline);
        let earliest = earliest.map(|(id, pair)| (id.clone(), pair.deadline));
        let incoming = match earliest {
            None => connection.accept().await?,
            Some((id, deadline)) => {
                match tokio::time::timeout_at(deadline, connection.accept()).await {
                    Ok(incoming) => incoming?,
                    Err(_) => {
                        if let Some(error) = pairs.remove(&id).and_then(|pair| pair.error) {
                            let text = format!("(request={id}) timed out waiting for streams");
                            ForwardError(error.writer).fail(&text).await;
                        }
                        continue;
                    }
                }
            }
        };
        if let Some(forward) = pair_up(incoming, pairs, timeout).await {
            return Some(forward);
        }
    }
}

/// Takes a stream in; gives the connection if that was its second.
async fn pair_up(
    incoming: Incoming,
    pairs: &mut HashMap<String, Pair>,
    timeout: std::time::Duration,
) -> Option<Forward> {
    let port = port_of(&incoming.headers)?;
    let is_data = incoming.headers.get(STREAM_TYPE) == Some(DATA);
    let id = request_id(&incoming, is_data);
    let pair = pairs.entry(id.clone()).or_insert_with(|| Pair {
        data: None,
        error: None,
        deadline: Instant::now() + timeout,
    });
    let slot = if is_data {
        &mut pair.data
    } else {
        &mut pair.error
    };
    if slot.is_some() {
        let kind = if is_data { DATA } else { ERROR };
        let text =
            format!("error processing stream for request {id}: {kind} stream already assigned");
        incoming.duplex.writer.abort();
        if let Some(error) = pairs.remove(&id).and_then(|pair| pair.error) {
            ForwardError(error.writer).fail(&text).await;
        }
        return None;
    }
    *slot = Some(incoming.duplex);
    if pair.data.is_none() || pair.error.is_none() {
        return None;
    }
    let pair = pairs.remove(&id)?;
    Some(Forward {
        port,
        data: pair.data?,
        error: pair.error?.writer,
    })
}

/// What says which streams belong together. Clients of old give no id: they open
/// the error stream and then, two numbers on, the data stream.
fn request_id(incoming: &Incoming, is_data: bool) -> String {
    match incoming.headers.get(REQUEST_ID) {
        Some(id) if !id.is_empty() => id.to_owned(),
        _ if is_data => incoming.id.saturating_sub(2).to_string(),
        _ => incoming.id.to_string(),
    }
}

fn port_of(headers: &Headers) -> Option<u16> {
    headers.get(PORT)?.parse().ok().filter(|port| *port > 0)
}

fn is_forward_stream(headers: &Headers) -> bool {
    port_of(headers).is_some() && matches!(headers.get(STREAM_TYPE), Some(DATA | ERROR))
}

async fn over_channels(
    io: Io,
    base64: bool,
    ports: &[u16],
    limits: &Limits,
) -> Result<Source, StreamError> {
    let wire = Wire {
        base64,
        close_signal: false,
        client: false,
    };
    let directions = [Direction::Both, Direction::Write].repeat(ports.len());
    let socket = upgrade::server_socket(io).await;
    let (session, channels) = channel::start(socket, wire, &directions, None, limits);
    let mut forwards = Vec::with_capacity(ports.len());
    let mut outbound = Vec::with_capacity(channels.len());
    let mut channels = channels.into_iter();
    for port in ports {
        let (Some(data), Some(error)) = (channels.next(), channels.next()) else {
            break;
        };
        let Channel {
            reader: Some(reader),
            writer: Some(mut writer),
        } = data
        else {
            break;
        };
        let Some(mut error) = error.writer else { break };
        // Each channel begins with the port it belongs to.
        writer.write_all(&port.to_le_bytes()).await?;
        error.write_all(&port.to_le_bytes()).await?;
        outbound.extend([writer.0.clone(), error.0.clone()]);
        forwards.push(Forward {
            port: *port,
            data: Duplex { reader, writer },
            error,
        });
    }
    Ok(Source::Channels {
        waiting: forwards.into_iter(),
        outbound,
        gone: session.gone(),
        session: Some(session),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ports_are_read_from_the_query() {
        assert_eq!(ports_of("ports=80,81&x=1").unwrap(), [80, 81]);
        assert_eq!(ports_of("port=80&port=443").unwrap(), [80, 443]);
        let many = (1..=33).map(|p| p.to_string()).collect::<Vec<_>>();
        let many = format!("ports={}", many.join(","));
        for query in ["", "ports=", "ports=0", "ports=70000", "ports=a", &many] {
            assert!(ports_of(query).is_err(), "{query}");
        }
    }
}
