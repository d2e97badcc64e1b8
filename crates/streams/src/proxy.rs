//! Passing an upgraded connection on to a backend without understanding it, as
//! the API server does between a client and a kubelet.
//!
//! [`proxy_upgrade`] asks the backend first, so that its refusal reaches the
//! client as an ordinary response; then [`Relay::run`] copies bytes. Invariants:
//! of the client's headers only those that negotiate the upgrade are passed on,
//! never credentials, not even those a browser hides among the subprotocols;
//! each direction holds at most [`RELAY_BUFFER`] bytes; when one side ends, the
//! other learns it, and when one side breaks, both are dropped.

use std::sync::Mutex;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Request, Response, header};
use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::time::Instant;

use crate::StreamError;
use crate::client::{Answered, ConnectError, ask};
use crate::pipe::lock;
use crate::session::Limits;
use crate::upgrade::{BEARER_PROTOCOL, is_upgrade, listed};

/// Bytes on the way, each direction.
pub const RELAY_BUFFER: usize = 32 * 1024;

/// How long one direction may outlive the other when nothing moves in it.
const HALF_CLOSED_TIMEOUT: Duration = Duration::from_secs(60);

/// Request headers that negotiate an upgrade.
const NEGOTIATION: &[&str] = &[
    "upgrade",
    "sec-websocket-key",
    "sec-websocket-version",
    "sec-websocket-extensions",
    "x-stream-protocol-version",
];

/// Headers of the backend's answer that are about its connection.
const HOP_BY_HOP: &[&str] = &[
    "connection",
    "upgrade",
    "transfer-encoding",
    "content-length",
    "trailer",
    "keep-alive",
];

/// The backend's answer to a request, as the client gets it.
pub enum Proxied {
    /// Send the response and run the relay.
    Upgraded(Response<()>, Relay),
    /// Send the response: the backend did not upgrade.
    Refused(Response<Bytes>),
}

/// Two connections that are about to become one.
pub struct Relay {
    client: OnUpgrade,
    backend: OnUpgrade,
    limits: Limits,
}

/// Puts a client's upgrade request to a backend. `backend` is a connection to it;
/// `target` is the request as the backend gets it (path, host, the API server's
/// own credentials), to which the negotiation is added.
pub async fn proxy_upgrade<B, S>(
    request: &mut Request<B>,
    backend: S,
    mut target: Request<()>,
    limits: Limits,
) -> Result<Proxied, ConnectError>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    if !is_upgrade(request) {
        return Err(ConnectError::Answer("the client did not ask to upgrade"));
    }
    negotiate(request.headers(), target.headers_mut())?;
    if !target.headers().contains_key(header::HOST) {
        let host = target.uri().authority().map_or("localhost", |a| a.as_str());
        let host = HeaderValue::from_str(host).map_err(http::Error::from)?;
        target.headers_mut().insert(header::HOST, host);
    }
    let path = target.uri().path_and_query().cloned();
    *target.uri_mut() = path.map_or_else(|| http::Uri::from_static("/"), http::Uri::from);
    let Answered { response, upgrade } = match ask(backend, target, &limits).await {
        Ok(answered) => answered,
        Err(ConnectError::Refused(mut response)) => {
            for name in HOP_BY_HOP {
                response.headers_mut().remove(*name);
            }
            return Ok(Proxied::Refused(*response));
        }
        Err(error) => return Err(error),
    };
    let relay = Relay {
        client: hyper::upgrade::on(request),
        backend: upgrade,
        limits,
    };
    Ok(Proxied::Upgraded(response, relay))
}

fn negotiate(from: &HeaderMap, to: &mut HeaderMap) -> Result<(), ConnectError> {
    for name in NEGOTIATION {
        for value in from.get_all(*name) {
            to.append(HeaderName::from_static(name), value.clone());
        }
    }
    to.insert(header::CONNECTION, HeaderValue::from_static("Upgrade"));
    let mut protocols = listed(from, &header::SEC_WEBSOCKET_PROTOCOL);
    protocols.retain(|protocol| !protocol.starts_with(BEARER_PROTOCOL));
    if !protocols.is_empty() {
        let list = HeaderValue::from_str(&protocols.join(", ")).map_err(http::Error::from)?;
        to.insert(header::SEC_WEBSOCKET_PROTOCOL, list);
    }
    Ok(())
}

impl Relay {
    /// Copies both ways until both sides have ended, or one broke.
    pub async fn run(self) -> Result<(), StreamError> {
        let timeout = self.limits.stream_creation_timeout;
        let both = async { tokio::try_join!(self.client, self.backend) };
        let both = tokio::time::timeout(timeout, both).await;
        let (client, backend) = both.map_err(|_| StreamError::StreamCreation(timeout))??;
        let (from_client, to_client) = tokio::io::split(TokioIo::new(client));
        let (from_backend, to_backend) = tokio::io::split(TokioIo::new(backend));
        let moved = Mutex::new(Instant::now());
        let up = copy(from_client, to_backend, &moved);
        let down = copy(from_backend, to_client, &moved);
        tokio::pin!(up, down);
        let idle = self.limits.idle_timeout;
        tokio::select! {
            end = &mut up => {
                end?;
                or_idle(down, &moved, idle.min(HALF_CLOSED_TIMEOUT)).await
            }
            end = &mut down => {
                end?;
                or_idle(up, &moved, idle.min(HALF_CLOSED_TIMEOUT)).await
            }
            idle = idle_after(&moved, idle) => Err(idle),
        }
    }
}

async fn or_idle(
    copy: impl Future<Output = std::io::Result<()>>,
    moved: &Mutex<Instant>,
    timeout: Duration,
) -> Result<(), StreamError> {
    *lock(moved) = Instant::now();
    tokio::select! {
        end = copy => Ok(end?),
        idle = idle_after(moved, timeout) => Err(idle),
    }
}

async fn idle_after(moved: &Mutex<Instant>, timeout: Duration) -> StreamError {
    loop {
        let deadline = *lock(moved) + timeout;
        if Instant::now() >= deadline {
            return StreamError::Idle(timeout);
        }
        tokio::time::sleep_until(deadline).await;
    }
}

/// Copies one direction and passes its end on.
async fn copy<R, W>(mut from: R, mut to: W, moved: &Mutex<Instant>) -> std::io::Result<()>
where
    R: AsyncRead + Unpin,
    W: AsyncWrite + Unpin,
{
    let mut buffer = vec![0; RELAY_BUFFER];
    loop {
        let size = from.read(&mut buffer).await?;
        if size == 0 {
            return to.shutdown().await;
        }
        *lock(moved) = Instant::now();
        to.write_all(&buffer[..size]).await?;
        to.flush().await?;
        *lock(moved) = Instant::now();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn credentials_are_not_passed_on() {
        let client = Request::get("/x")
            .header("upgrade", "websocket")
            .header("connection", "Upgrade")
            .header("authorization", "Bearer secret")
            .header("cookie", "secret")
            .header("impersonate-user", "secret")
            .header(
                "sec-websocket-protocol",
                "v5.channel.k8s.io, base64url.bearer.authorization.k8s.io.secret",
            )
            .header("sec-websocket-key", "key")
            .body(())
            .unwrap();
        let mut headers = HeaderMap::new();
        negotiate(client.headers(), &mut headers).unwrap();
        assert!(!format!("{headers:?}").contains("secret"), "{headers:?}");
        assert_eq!(headers["sec-websocket-protocol"], "v5.channel.k8s.io");
        assert_eq!(headers["sec-websocket-key"], "key");
        assert_eq!(headers["upgrade"], "websocket");
        assert_eq!(headers["connection"], "Upgrade");
    }
}
