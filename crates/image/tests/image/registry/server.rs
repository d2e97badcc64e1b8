//! A registry for the tests: OCI distribution's pull half over hyper, with three ways to authenticate and faults on request.

use std::collections::HashMap;
use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use base64::Engine;
use bytes::Bytes;
use futures::stream::{self, StreamExt};
use http::{HeaderMap, Request, Response, StatusCode};
use http_body_util::{BodyExt, StreamBody, combinators::BoxBody};
use hyper::body::{Frame, Incoming};
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use image::Digest;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpListener;
use tokio::task::AbortHandle;
use tokio_rustls::TlsAcceptor;

use crate::support::Parts;

/// What the server asks clients for. The only user is `user` with the password `pass:word`.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Auth {
    None,
    Basic,
    Bearer,
}

#[derive(Default)]
pub(crate) struct Faults {
    /// So many blob answers end after so many bytes.
    pub(crate) cut_after: Option<(usize, usize)>,
    pub(crate) ignore_ranges: bool,
    /// Statuses for the next requests.
    pub(crate) busy: Vec<u16>,
    /// Changes manifests on their way.
    pub(crate) manifest_suffix: &'static str,
    pub(crate) redirect_blobs: Option<String>,
    pub(crate) hang_blobs: bool,
}

#[derive(Default)]
struct State {
    address: String,
    scheme: &'static str,
    /// By `repository/tag` and `repository/digest`.
    manifests: HashMap<String, Vec<u8>>,
    blobs: HashMap<String, Vec<u8>>,
    faults: Faults,
    /// Path and query of every request.
    requests: Vec<String>,
    ranges: Vec<String>,
    authorized: bool,
}

pub(crate) struct Server {
    state: Arc<Mutex<State>>,
    ca_pem: Option<Vec<u8>>,
    task: AbortHandle,
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

type Body = BoxBody<Bytes, std::io::Error>;

impl Server {
    pub(crate) async fn start(auth: Auth) -> Self {
        Self::serve(auth, None, None).await
    }

    pub(crate) async fn start_tls(auth: Auth) -> Self {
        let certified = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()]).unwrap();
        let key = rustls_pki_types::PrivateKeyDer::try_from(certified.signing_key.serialize_der())
            .unwrap();
        let config = rustls::ServerConfig::builder_with_provider(Arc::new(
            rustls::crypto::ring::default_provider(),
        ))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certified.cert.der().clone()], key)
        .unwrap();
        let pem = certified.cert.pem().into_bytes();
        Self::serve(auth, Some(TlsAcceptor::from(Arc::new(config))), Some(pem)).await
    }

    async fn serve(auth: Auth, tls: Option<TlsAcceptor>, ca_pem: Option<Vec<u8>>) -> Self {
        let listener = TcpListener::bind(SocketAddr::from(([127, 0, 0, 1], 0)))
            .await
            .unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let scheme = if tls.is_some() { "https" } else { "http" };
        let state = Arc::new(Mutex::new(State {
            address,
            scheme,
            ..State::default()
        }));
        let shared = state.clone();
        let task = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (state, tls) = (shared.clone(), tls.clone());
                tokio::spawn(async move {
                    match tls {
                        Some(tls) => {
                            if let Ok(stream) = tls.accept(stream).await {
                                connection(stream, state, auth).await;
                            }
                        }
                        None => connection(stream, state, auth).await,
                    }
                });
            }
        });
        Self {
            state,
            ca_pem,
            task: task.abort_handle(),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    pub(crate) fn address(&self) -> String {
        self.state().address.clone()
    }

    pub(crate) fn ca_pem(&self) -> Option<Vec<u8>> {
        self.ca_pem.clone()
    }

    pub(crate) fn faults(&self, change: impl FnOnce(&mut Faults)) {
        change(&mut self.state().faults);
    }

    /// Stores an image; the digest of its manifest.
    pub(crate) fn push(&self, repository: &str, tag: &str, parts: &Parts) -> Digest {
        for blob in parts.layers.iter().chain([&parts.config]) {
            self.replace_blob(blob, blob);
        }
        self.manifest(repository, tag, &parts.manifest)
    }

    pub(crate) fn manifest(&self, repository: &str, tag: &str, content: &[u8]) -> Digest {
        let digest = Digest::of(content);
        for version in [tag.to_owned(), digest.to_string()] {
            self.state()
                .manifests
                .insert(format!("{repository}/{version}"), content.to_vec());
        }
        digest
    }

    /// Answers the digest of `blob` with `content`.
    pub(crate) fn replace_blob(&self, blob: &[u8], content: &[u8]) {
        self.state()
            .blobs
            .insert(Digest::of(blob).to_string(), content.to_vec());
    }

    pub(crate) fn remove_blob(&self, blob: &[u8]) {
        self.state().blobs.remove(&Digest::of(blob).to_string());
    }

    /// Requests whose path or query holds `part`.
    pub(crate) fn count(&self, part: &str) -> usize {
        self.state()
            .requests
            .iter()
            .filter(|request| request.contains(part))
            .count()
    }

    pub(crate) fn ranges(&self) -> Vec<String> {
        self.state().ranges.clone()
    }

    pub(crate) fn saw_authorization(&self) -> bool {
        self.state().authorized
    }
}

async fn connection(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    state: Arc<Mutex<State>>,
    auth: Auth,
) {
    let service = service_fn(move |request: Request<Incoming>| {
        let state = state.clone();
        async move { Ok::<_, Infallible>(answer(request, &state, auth).await) }
    });
    // Broken connections are part of the tests.
    let _ = hyper::server::conn::http1::Builder::new()
        .serve_connection(TokioIo::new(stream), service)
        .await;
}

fn body(content: impl Into<Bytes>) -> Body {
    http_body_util::Full::new(content.into())
        .map_err(|never| match never {})
        .boxed()
}

fn status(status: u16, message: &str) -> Response<Body> {
    let text = format!(r#"{{"errors":[{{"code":"CODE","message":"{message}"}}]}}"#);
    Response::builder().status(status).body(body(text)).unwrap()
}

async fn answer(request: Request<Incoming>, state: &Mutex<State>, auth: Auth) -> Response<Body> {
    let target = request.uri().path_and_query().unwrap().as_str().to_owned();
    let headers = request.headers().clone();
    let path = request.uri().path().to_owned();
    let is_post = request.method() == http::Method::POST;
    let form = request.into_body().collect().await.unwrap().to_bytes();
    let mut state = state.lock().unwrap();
    state.requests.push(target.clone());
    if path == "/token" {
        return token(&target, &headers, is_post.then_some(&*form));
    }
    state.authorized |= headers.contains_key("authorization");
    if !state.faults.busy.is_empty() {
        let code = state.faults.busy.remove(0);
        return status(code, "too busy");
    }
    let Some((repository, kind, version)) = route(&path) else {
        return status(404, "no such page");
    };
    if !is_authorized(&headers, auth, repository) {
        let challenge = match auth {
            Auth::Bearer => format!(
                r#"Bearer realm="{}://{}/token",service="test registry",scope="repository:{repository}:pull""#,
                state.scheme, state.address
            ),
            _ => r#"Basic realm="test, registry""#.to_owned(),
        };
        let mut response = status(401, "authentication required");
        response
            .headers_mut()
            .insert("www-authenticate", challenge.parse().unwrap());
        return response;
    }
    if kind == "manifests" {
        let Some(content) = state.manifests.get(&format!("{repository}/{version}")) else {
            return status(404, "manifest unknown");
        };
        let digest = Digest::of(content).to_string();
        let content = [content, state.faults.manifest_suffix.as_bytes()].concat();
        return Response::builder()
            .header("docker-content-digest", digest)
            .body(body(content))
            .unwrap();
    }
    blob(&mut state, &headers, &path, version)
}

/// `/v2/REPOSITORY/KIND/VERSION`.
fn route(path: &str) -> Option<(&str, &str, &str)> {
    let (rest, version) = path.strip_prefix("/v2/")?.rsplit_once('/')?;
    let (repository, kind) = rest.rsplit_once('/')?;
    Some((repository, kind, version))
}

fn basic() -> String {
    format!(
        "Basic {}",
        base64::engine::general_purpose::STANDARD.encode("user:pass:word")
    )
}

fn is_authorized(headers: &HeaderMap, auth: Auth, repository: &str) -> bool {
    let expected = match auth {
        Auth::None => return true,
        Auth::Basic => basic(),
        Auth::Bearer => format!("Bearer token-for-{repository}"),
    };
    headers
        .get("authorization")
        .is_some_and(|value| value.as_bytes() == expected.as_bytes())
}

/// The token service: basic credentials by GET, a refresh token by POST.
fn token(target: &str, headers: &HeaderMap, form: Option<&[u8]>) -> Response<Body> {
    let query = form.unwrap_or_else(|| target.split_once('?').unwrap_or_default().1.as_bytes());
    let fields: HashMap<_, _> = url::form_urlencoded::parse(query).into_owned().collect();
    let granted = match form {
        Some(_) => {
            fields["grant_type"] == "refresh_token" && fields["refresh_token"] == "refresh-me"
        }
        None => headers
            .get("authorization")
            .is_some_and(|value| value.as_bytes() == basic().as_bytes()),
    };
    if !granted || fields["service"] != "test registry" {
        return status(401, "authentication required");
    }
    let repository = fields["scope"]
        .strip_prefix("repository:")
        .unwrap()
        .strip_suffix(":pull")
        .unwrap();
    Response::new(body(format!(
        r#"{{"access_token":"token-for-{repository}","expires_in":60}}"#
    )))
}

fn blob(state: &mut State, headers: &HeaderMap, path: &str, digest: &str) -> Response<Body> {
    if let Some(origin) = &state.faults.redirect_blobs {
        return Response::builder()
            .status(307)
            .header("location", format!("{origin}{path}"))
            .body(body(""))
            .unwrap();
    }
    if state.faults.hang_blobs {
        let hanging = stream::pending::<Result<Frame<Bytes>, std::io::Error>>();
        return Response::new(BodyExt::boxed(StreamBody::new(hanging)));
    }
    let Some(content) = state.blobs.get(digest).cloned() else {
        return status(404, "blob unknown");
    };
    let range = headers
        .get("range")
        .map(|range| range.to_str().unwrap().to_owned());
    let start = match &range {
        Some(range) if !state.faults.ignore_ranges => range
            .trim_start_matches("bytes=")
            .trim_end_matches('-')
            .parse()
            .unwrap(),
        _ => 0,
    };
    state.ranges.extend(range);
    let mut response = Response::builder().header("content-length", content.len() - start);
    if start > 0 {
        let range = format!("bytes {start}-{}/{}", content.len() - 1, content.len());
        response = response
            .status(StatusCode::PARTIAL_CONTENT)
            .header("content-range", range);
    }
    let content = Bytes::from(content).slice(start..);
    let cut = match &mut state.faults.cut_after {
        Some((times, bytes)) if *times > 0 && content.len() > *bytes => {
            *times -= 1;
            Some(*bytes)
        }
        _ => None,
    };
    let frames = match cut {
        Some(bytes) => vec![
            Ok(Frame::data(content.slice(..bytes))),
            Err(std::io::Error::other("cut")),
        ],
        None => vec![Ok(Frame::data(content))],
    };
    let frames = stream::iter(frames).then(async |frame| {
        if frame.is_err() {
            // What was sent has to leave before the connection breaks.
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        frame
    });
    response
        .body(BodyExt::boxed(StreamBody::new(frames)))
        .unwrap()
}
