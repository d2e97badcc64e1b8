//! The asking side: upgrades a connection that the caller made, and speaks
//! exec, attach and port-forward on it.
//!
//! The caller brings the transport (TCP or TLS, connected) and a request that
//! has the path and whatever identifies the caller; what the upgrade needs is
//! added here. Invariant: an answer that is not 101 comes back as it was, with
//! at most [`MAX_REFUSAL`] bytes of body.

mod command;
mod forward;

use bytes::Bytes;
use http::{HeaderValue, Request, Response, StatusCode, header};
use http_body_util::{BodyExt, Empty, Limited};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::handshake::client::generate_key;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;
use tokio_tungstenite::tungstenite::protocol::Role;

use crate::StreamError;
use crate::channel::websocket_config;
use crate::session::Limits;
use crate::upgrade::{Io, SPDY, STREAM_PROTOCOL};

pub use command::{CommandClient, connect_command, connect_command_spdy};
pub use forward::{
    ForwardClient, Forwarded, ForwardedError, connect_port_forward, connect_port_forward_spdy,
};

/// Bytes of a refusal's body that are kept.
pub const MAX_REFUSAL: usize = 64 * 1024;

/// Why a connection was not upgraded.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// The request could not be formed.
    #[error("form the upgrade request")]
    Request(#[from] http::Error),
    /// HTTP failed.
    #[error("ask for the upgrade")]
    Http(#[from] hyper::Error),
    /// The server answered, but not with 101. The body is mostly a `Status`.
    #[error("the server refused the upgrade with {}", .0.status())]
    Refused(Box<Response<Bytes>>),
    /// The server's 101 is not one.
    #[error("the server's answer to the upgrade is wrong: {0}")]
    Answer(&'static str),
    /// No answer in time.
    #[error("no answer to the upgrade after {0:?}")]
    Timeout(std::time::Duration),
    /// The connection broke right after the upgrade.
    #[error(transparent)]
    Stream(#[from] StreamError),
}

/// An answered upgrade and its connection, not yet taken over.
pub(crate) struct Answered {
    pub(crate) response: Response<()>,
    pub(crate) upgrade: hyper::upgrade::OnUpgrade,
}

/// Sends an upgrade request over a fresh connection.
pub(crate) async fn ask<S>(
    io: S,
    request: Request<()>,
    limits: &Limits,
) -> Result<Answered, ConnectError>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let timeout = limits.stream_creation_timeout;
    let asked = tokio::time::timeout(timeout, exchange(io, request)).await;
    asked.map_err(|_| ConnectError::Timeout(timeout))?
}

async fn exchange<S>(io: S, request: Request<()>) -> Result<Answered, ConnectError>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(io)).await?;
    // Ends with the upgrade, or with `sender` and the body when there is none.
    tokio::spawn(async move {
        if let Err(error) = connection.with_upgrades().await {
            tracing::debug!(%error, "HTTP connection before an upgrade");
        }
    });
    let request = request.map(|()| Empty::<Bytes>::new());
    let mut response = sender.send_request(request).await?;
    if response.status() == StatusCode::SWITCHING_PROTOCOLS {
        let upgrade = hyper::upgrade::on(&mut response);
        let response = response.map(|_| ());
        return Ok(Answered { response, upgrade });
    }
    let (parts, body) = response.into_parts();
    let body = Limited::new(body, MAX_REFUSAL).collect().await;
    let body = body.map_or_else(|_| Bytes::new(), |body| body.to_bytes());
    let refused = Response::from_parts(parts, body);
    Err(ConnectError::Refused(Box::new(refused)))
}

/// Adds what HTTP/1.1 and every upgrade want.
fn prepare(request: &mut Request<()>, upgrade: &'static str) -> Result<(), ConnectError> {
    let authority = request
        .uri()
        .authority()
        .map(|host| host.as_str().to_owned());
    let headers = request.headers_mut();
    if !headers.contains_key(header::HOST) {
        let host = authority.as_deref().unwrap_or("localhost");
        let host = HeaderValue::from_str(host).map_err(http::Error::from)?;
        headers.insert(header::HOST, host);
    }
    headers.insert(header::CONNECTION, HeaderValue::from_static("Upgrade"));
    headers.insert(header::UPGRADE, HeaderValue::from_static(upgrade));
    // HTTP/1.1 to an origin names the path only.
    let path = request.uri().path_and_query().cloned();
    *request.uri_mut() = path.map_or_else(|| http::Uri::from_static("/"), http::Uri::from);
    Ok(())
}

/// Upgrades to a WebSocket; gives the subprotocol that the server took.
async fn websocket<S>(
    io: S,
    mut request: Request<()>,
    protocols: &[&'static str],
    limits: &Limits,
) -> Result<(WebSocketStream<Io>, &'static str), ConnectError>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    prepare(&mut request, "websocket")?;
    let key = generate_key();
    let expected = derive_accept_key(key.as_bytes());
    let headers = request.headers_mut();
    let key = HeaderValue::from_str(&key).map_err(http::Error::from)?;
    headers.insert(header::SEC_WEBSOCKET_KEY, key);
    headers.insert(
        header::SEC_WEBSOCKET_VERSION,
        HeaderValue::from_static("13"),
    );
    let list = HeaderValue::from_str(&protocols.join(", ")).map_err(http::Error::from)?;
    headers.insert(header::SEC_WEBSOCKET_PROTOCOL, list);
    let answered = ask(io, request, limits).await?;
    let headers = answered.response.headers();
    if headers
        .get(header::SEC_WEBSOCKET_ACCEPT)
        .is_none_or(|accept| accept.as_bytes() != expected.as_bytes())
    {
        return Err(ConnectError::Answer("Sec-WebSocket-Accept does not match"));
    }
    let chosen = headers.get(header::SEC_WEBSOCKET_PROTOCOL);
    let protocol = chosen.and_then(|chosen| protocols.iter().find(|p| chosen == **p));
    let protocol = *protocol.ok_or(ConnectError::Answer("it took none of our subprotocols"))?;
    let io = TokioIo::new(answered.upgrade.await?);
    let socket = WebSocketStream::from_raw_socket(io, Role::Client, Some(websocket_config()));
    Ok((socket.await, protocol))
}

/// Upgrades to SPDY; gives the stream protocol that the server took.
async fn spdy<S>(
    io: S,
    mut request: Request<()>,
    protocols: &[&'static str],
    limits: &Limits,
) -> Result<(Io, &'static str), ConnectError>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    prepare(&mut request, SPDY)?;
    for protocol in protocols {
        let protocol = HeaderValue::from_static(protocol);
        request.headers_mut().append(STREAM_PROTOCOL, protocol);
    }
    let answered = ask(io, request, limits).await?;
    let headers = answered.response.headers();
    let upgrade = headers.get(header::UPGRADE);
    if upgrade.is_none_or(|value| !value.as_bytes().eq_ignore_ascii_case(SPDY.as_bytes())) {
        return Err(ConnectError::Answer("it does not upgrade to SPDY/3.1"));
    }
    let chosen = headers.get(STREAM_PROTOCOL);
    let protocol = chosen.and_then(|chosen| protocols.iter().find(|p| chosen == **p));
    let protocol = *protocol.ok_or(ConnectError::Answer("it took none of our protocols"))?;
    Ok((TokioIo::new(answered.upgrade.await?), protocol))
}
