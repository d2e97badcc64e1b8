//! The HTTP side of an upgrade, for whoever serves: which protocol a request
//! asks for, and the 101 or the refusal that answers it.
//!
//! Reads request headers. Status codes and messages follow upstream, since
//! clients fall back from WebSocket to SPDY by them. Invariant: of the client's
//! protocols the first that is served is taken.

use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Response, StatusCode, header};
use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;
use tokio_tungstenite::tungstenite::protocol::Role;

use crate::StreamError;
use crate::channel::websocket_config;
use crate::session::Limits;

pub(crate) const SPDY: &str = "SPDY/3.1";
pub(crate) const STREAM_PROTOCOL: HeaderName = HeaderName::from_static("x-stream-protocol-version");
const ACCEPTED_PROTOCOLS: HeaderName =
    HeaderName::from_static("x-accepted-stream-protocol-versions");

/// How a browser passes a bearer token: as a subprotocol that is none.
pub(crate) const BEARER_PROTOCOL: &str = "base64url.bearer.authorization.k8s.io.";

/// The bytes of an upgraded HTTP connection.
pub(crate) type Io = TokioIo<hyper::upgrade::Upgraded>;

/// A request that cannot be upgraded.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Refusal {
    /// 400 or 403.
    pub status: StatusCode,
    /// For people.
    pub message: String,
    /// The SPDY stream protocols that would have been taken.
    accepted: &'static [&'static str],
}

impl Refusal {
    pub(crate) fn bad_request(message: impl Into<String>) -> Self {
        Self {
            status: StatusCode::BAD_REQUEST,
            message: message.into(),
            accepted: &[],
        }
    }

    /// The answer: plain text, as upstream gives it.
    pub fn into_response(self) -> Response<String> {
        let mut response = Response::new(self.message);
        *response.status_mut() = self.status;
        let headers = response.headers_mut();
        let plain = HeaderValue::from_static("text/plain; charset=utf-8");
        headers.insert(header::CONTENT_TYPE, plain);
        for protocol in self.accepted {
            headers.append(ACCEPTED_PROTOCOLS, HeaderValue::from_static(protocol));
        }
        response
    }
}

/// What client and server agreed on.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Agreed {
    /// A WebSocket subprotocol, or none.
    WebSocket(&'static str),
    /// A stream protocol on SPDY.
    Spdy(&'static str),
}

/// Protocols a server knows, by transport. The empty WebSocket subprotocol
/// stands for a client that asks for none.
pub(crate) struct Offer {
    pub(crate) websocket: &'static [&'static str],
    pub(crate) spdy: &'static [&'static str],
}

/// An answered request whose connection is about to change hands.
pub(crate) struct Pending {
    pub(crate) agreed: Agreed,
    upgrade: OnUpgrade,
}

impl Pending {
    /// The connection, once the answer is out.
    pub(crate) async fn io(self, limits: &Limits) -> Result<Io, StreamError> {
        let timeout = limits.stream_creation_timeout;
        let upgraded = tokio::time::timeout(timeout, self.upgrade).await;
        let upgraded = upgraded.map_err(|_| StreamError::StreamCreation(timeout))??;
        Ok(TokioIo::new(upgraded))
    }
}

pub(crate) async fn server_socket(io: Io) -> WebSocketStream<Io> {
    WebSocketStream::from_raw_socket(io, Role::Server, Some(websocket_config())).await
}

/// Whether a request asks to take its connection over.
pub fn is_upgrade<B>(request: &Request<B>) -> bool {
    let connection = request.headers().get_all(header::CONNECTION);
    let mut connection = connection.iter().filter_map(|value| value.to_str().ok());
    connection.any(|value| value.to_ascii_lowercase().contains("upgrade"))
}

/// Whether a request asks for WebSocket.
pub(crate) fn is_websocket<B>(request: &Request<B>) -> bool {
    is_upgrade(request) && upgrade_of(request.headers()).eq_ignore_ascii_case("websocket")
}

fn upgrade_of(headers: &HeaderMap) -> &str {
    let value = headers.get(header::UPGRADE);
    value.and_then(|v| v.to_str().ok()).unwrap_or_default()
}

/// Agrees on a protocol and forms the 101.
pub(crate) fn accept<B>(
    request: &mut Request<B>,
    offer: &Offer,
) -> Result<(Response<()>, Pending), Refusal> {
    let (agreed, response) = if is_websocket(request) {
        accept_websocket(request, offer.websocket)?
    } else if is_upgrade(request)
        && upgrade_of(request.headers())
            .to_ascii_uppercase()
            .contains(SPDY)
    {
        accept_spdy(request, offer.spdy)?
    } else {
        return Err(Refusal::bad_request(
            "unable to upgrade: missing upgrade headers in request",
        ));
    };
    let upgrade = hyper::upgrade::on(request);
    Ok((response, Pending { agreed, upgrade }))
}

fn accept_websocket<B>(
    request: &Request<B>,
    served: &'static [&'static str],
) -> Result<(Agreed, Response<()>), Refusal> {
    let headers = request.headers();
    if request.method() != Method::GET {
        return Err(Refusal::bad_request(
            "unable to upgrade: a WebSocket request is a GET",
        ));
    }
    let version = headers.get(header::SEC_WEBSOCKET_VERSION);
    if version.is_none_or(|version| version != "13") {
        return Err(Refusal::bad_request(
            "unable to upgrade: Sec-WebSocket-Version is not 13",
        ));
    }
    let key = headers.get(header::SEC_WEBSOCKET_KEY);
    let key = key.ok_or_else(|| {
        Refusal::bad_request("unable to upgrade: header Sec-WebSocket-Key does not exist")
    })?;
    let mut asked = listed(headers, &header::SEC_WEBSOCKET_PROTOCOL);
    asked.retain(|protocol| !protocol.starts_with(BEARER_PROTOCOL));
    if asked.is_empty() {
        asked.push("");
    }
    let protocol = first_served(&asked, served).ok_or_else(|| Refusal {
        status: StatusCode::FORBIDDEN,
        message: format!("requested protocol(s) are not supported: {asked:?}; supports {served:?}"),
        accepted: &[],
    })?;
    let mut response = switching("websocket");
    let headers = response.headers_mut();
    let accept = HeaderValue::from_str(&derive_accept_key(key.as_bytes()));
    let accept = accept.map_err(|_| Refusal::bad_request("unable to upgrade: bad key"))?;
    headers.insert(header::SEC_WEBSOCKET_ACCEPT, accept);
    if !protocol.is_empty() {
        headers.insert(
            header::SEC_WEBSOCKET_PROTOCOL,
            HeaderValue::from_static(protocol),
        );
    }
    Ok((Agreed::WebSocket(protocol), response))
}

fn accept_spdy<B>(
    request: &Request<B>,
    served: &'static [&'static str],
) -> Result<(Agreed, Response<()>), Refusal> {
    let asked = listed(request.headers(), &STREAM_PROTOCOL);
    if asked.is_empty() {
        return Err(Refusal::bad_request(
            "unable to upgrade: header X-Stream-Protocol-Version does not exist in request",
        ));
    }
    let protocol = first_served(&asked, served).ok_or_else(|| Refusal {
        status: StatusCode::FORBIDDEN,
        message: format!(
            "unable to upgrade: unable to negotiate protocol: client supports [{}], server accepts [{}]",
            asked.join(" "),
            served.join(" ")
        ),
        accepted: served,
    })?;
    let mut response = switching(SPDY);
    let chosen = HeaderValue::from_static(protocol);
    response.headers_mut().insert(STREAM_PROTOCOL, chosen);
    Ok((Agreed::Spdy(protocol), response))
}

fn switching(to: &'static str) -> Response<()> {
    let mut response = Response::new(());
    *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
    let headers = response.headers_mut();
    headers.insert(header::CONNECTION, HeaderValue::from_static("Upgrade"));
    headers.insert(header::UPGRADE, HeaderValue::from_static(to));
    response
}

fn first_served(asked: &[&str], served: &'static [&'static str]) -> Option<&'static str> {
    let find = |protocol: &&str| served.iter().find(|known| *known == protocol).copied();
    asked.iter().find_map(find)
}

/// The entries of a header that may come several times and hold commas.
pub(crate) fn listed<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Vec<&'a str> {
    let values = headers.get_all(name).iter();
    let values = values.filter_map(|value| value.to_str().ok());
    let entries = values.flat_map(|value| value.split(','));
    entries.map(str::trim).filter(|e| !e.is_empty()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const OFFER: Offer = Offer {
        websocket: &["v5.channel.k8s.io", "v4.channel.k8s.io", ""],
        spdy: &["v4.channel.k8s.io", "v3.channel.k8s.io"],
    };

    fn request(headers: &[(&str, &str)]) -> Request<()> {
        let request = headers
            .iter()
            .fold(Request::get("/exec"), |r, (n, v)| r.header(*n, *v));
        request.body(()).unwrap()
    }

    fn websocket(protocols: &str) -> Request<()> {
        let mut request = request(&[
            ("connection", "keep-alive, Upgrade"),
            ("upgrade", "WebSocket"),
            ("sec-websocket-version", "13"),
            ("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ=="),
        ]);
        if !protocols.is_empty() {
            request
                .headers_mut()
                .insert("sec-websocket-protocol", protocols.parse().unwrap());
        }
        request
    }

    #[test]
    fn the_first_protocol_of_the_client_that_is_served_is_taken() {
        let cases = [
            ("v5.channel.k8s.io", "v5.channel.k8s.io"),
            (
                "v9, v4.channel.k8s.io, v5.channel.k8s.io",
                "v4.channel.k8s.io",
            ),
            ("", ""),
            ("base64url.bearer.authorization.k8s.io.c2VjcmV0", ""),
        ];
        for (asked, expected) in cases {
            let (response, pending) = accept(&mut websocket(asked), &OFFER).ok().unwrap();
            assert_eq!(pending.agreed, Agreed::WebSocket(expected), "{asked}");
            assert_eq!(response.status(), 101);
            assert_eq!(
                response.headers()["sec-websocket-accept"],
                "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="
            );
        }
    }

    #[test]
    fn spdy_lists_may_come_in_one_header_or_in_several() {
        let mut several = request(&[
            ("connection", "Upgrade"),
            ("upgrade", "SPDY/3.1"),
            ("x-stream-protocol-version", "v9"),
            ("x-stream-protocol-version", "v3.channel.k8s.io"),
        ]);
        let mut one = request(&[
            ("connection", "upgrade"),
            ("upgrade", "spdy/3.1"),
            ("x-stream-protocol-version", "v9, v3.channel.k8s.io"),
        ]);
        for request in [&mut several, &mut one] {
            let (response, pending) = accept(request, &OFFER).ok().unwrap();
            assert_eq!(pending.agreed, Agreed::Spdy("v3.channel.k8s.io"));
            assert_eq!(
                response.headers()["x-stream-protocol-version"],
                "v3.channel.k8s.io"
            );
        }
    }

    #[test]
    fn what_cannot_be_upgraded_is_told_why() {
        let spdy = |protocol| {
            request(&[
                ("connection", "Upgrade"),
                ("upgrade", "SPDY/3.1"),
                ("x-stream-protocol-version", protocol),
            ])
        };
        let mut keyless = websocket("");
        keyless.headers_mut().remove("sec-websocket-key");
        let mut old = websocket("");
        old.headers_mut()
            .insert("sec-websocket-version", "8".parse().unwrap());
        let cases = [
            (request(&[]), 400, "missing upgrade headers"),
            (request(&[("upgrade", "SPDY/3.1")]), 400, "missing upgrade"),
            (keyless, 400, "Sec-WebSocket-Key"),
            (old, 400, "Sec-WebSocket-Version"),
            (websocket("v9"), 403, "not supported: [\"v9\"]"),
            (spdy(""), 400, "X-Stream-Protocol-Version"),
            (spdy("v9"), 403, "client supports [v9], server accepts [v4"),
        ];
        for (mut request, status, text) in cases {
            let refusal = accept(&mut request, &OFFER).err().unwrap();
            assert!(refusal.message.contains(text), "{refusal}");
            assert_eq!(refusal.into_response().status(), status);
        }
    }
}
