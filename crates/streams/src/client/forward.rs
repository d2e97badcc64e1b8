//! Port-forward, for whoever asks: SPDY streams in a WebSocket tunnel, or bare.
//!
//! Invariant: each forwarded connection has a request id of its own.

use std::sync::atomic::{AtomicU64, Ordering};

use http::Request;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite};

use super::{ConnectError, spdy, websocket};
use crate::StreamError;
use crate::command::STREAM_TYPE;
use crate::forward::{DATA, ERROR, PORT, PROTOCOL, REQUEST_ID, TUNNEL};
use crate::outcome::MAX_STATUS;
use crate::pipe::{Duplex, Reader};
use crate::session::{Gone, Limits};
use crate::spdy::connection::Manner;
use crate::spdy::{Connection, Headers};
use crate::tunnel::Tunnel;

/// A port-forward as its client sees it. Dropping it cuts all its connections.
pub struct ForwardClient {
    connection: Connection,
    next_request: AtomicU64,
}

/// One connection into the pod.
pub struct Forwarded {
    /// Its bytes, both ways.
    pub data: Duplex,
    /// Why it does not work, if it does not.
    pub error: ForwardedError,
}

/// The error stream of one connection.
pub struct ForwardedError(Reader);

impl ForwardedError {
    /// Waits for the connection's end; the text says what was wrong, and is empty
    /// if nothing was.
    pub async fn message(self) -> String {
        let mut text = Vec::new();
        // What came before a cut is all there is to know.
        let _ = self.0.take(MAX_STATUS as u64).read_to_end(&mut text).await;
        String::from_utf8_lossy(&text).into_owned()
    }
}

impl ForwardClient {
    fn new(connection: Connection) -> Self {
        Self {
            connection,
            next_request: AtomicU64::new(0),
        }
    }

    /// Opens a connection to a port of the pod. That the port answers shows only
    /// in use.
    pub async fn open(&self, port: u16) -> Result<Forwarded, StreamError> {
        let id = self
            .next_request
            .fetch_add(1, Ordering::Relaxed)
            .to_string();
        let port = port.to_string();
        let headers = |kind| Headers::new(&[(STREAM_TYPE, kind), (PORT, &port), (REQUEST_ID, &id)]);
        let opener = self.connection.opener();
        let error = opener.open(headers(ERROR)).await?;
        let data = opener.open(headers(DATA)).await?;
        Ok(Forwarded {
            data,
            error: ForwardedError(error.reader),
        })
    }

    /// Tells when the server is gone.
    pub fn gone(&self) -> Gone {
        self.connection.gone()
    }

    /// Ends all connections after what was written to them, and closes.
    pub async fn close(self) -> Result<(), StreamError> {
        self.connection.close().await
    }
}

/// Begins a port-forward in a WebSocket tunnel, as kubectl does.
pub async fn connect_port_forward<S>(
    io: S,
    request: Request<()>,
    limits: Limits,
) -> Result<ForwardClient, ConnectError>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let (socket, _) = websocket(io, request, &[TUNNEL], &limits).await?;
    let tunnel = Tunnel::new(socket);
    let connection = Connection::start(tunnel, Manner::client(), &limits);
    Ok(ForwardClient::new(connection))
}

/// Begins a port-forward over SPDY, for kubelets that know only that.
pub async fn connect_port_forward_spdy<S>(
    io: S,
    request: Request<()>,
    limits: Limits,
) -> Result<ForwardClient, ConnectError>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let (io, _) = spdy(io, request, &[PROTOCOL], &limits).await?;
    let connection = Connection::start(io, Manner::client(), &limits);
    Ok(ForwardClient::new(connection))
}
