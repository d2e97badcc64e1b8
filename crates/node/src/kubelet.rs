//! The kubelet API: health, pods and container logs.
//!
//! The caller listens, does TLS and hands over connections; who may do what is asked of [`Access`]. Reads the world, the
//! runtime and log files. Invariant: nothing but health is answered without asking [`Access`].

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use client::Feed;
use futures::future::BoxFuture;
use futures::stream;
use http::{Method, Request, Response, StatusCode};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full, StreamBody};
use hyper::body::Frame;
use hyper_util::rt::{TokioExecutor, TokioIo};
use k8s_openapi::api::core::v1::Pod;
use runtime::{ContainerState, Runtime};
use tokio::io::{AsyncRead, AsyncWrite};

use crate::api::PODS;
use crate::logs::read::{Cursor, Wish};
use crate::pods::spec;

/// A followed log is looked at again after so long.
const FOLLOW: Duration = Duration::from_millis(100);

/// The body of an answer.
pub type Body = UnsyncBoxBody<Bytes, std::io::Error>;

/// Decides who may use the kubelet API.
pub trait Access: Send + Sync + 'static {
    /// Authenticates and authorizes a request by its head. The error is the status code and the text to answer with.
    fn check<'a>(
        &'a self,
        head: &'a http::request::Parts,
    ) -> BoxFuture<'a, Result<(), (StatusCode, String)>>;
}

/// The API of one node.
pub struct Kubelet {
    /// Name of the node.
    pub node_name: String,
    /// The world.
    pub feed: Arc<dyn Feed>,
    /// Containers.
    pub runtime: Arc<dyn Runtime>,
    /// Who may ask.
    pub access: Arc<dyn Access>,
    /// The time.
    pub clock: object::time::SharedClock,
}

fn text(code: StatusCode, message: impl Into<String>) -> Response<Body> {
    let body = Full::new(Bytes::from(message.into())).map_err(|never: Infallible| match never {});
    let mut response = Response::new(body.boxed_unsync());
    *response.status_mut() = code;
    response.headers_mut().insert(
        http::header::CONTENT_TYPE,
        http::HeaderValue::from_static("text/plain; charset=utf-8"),
    );
    response
}

type Refusal = (StatusCode, String);

impl Kubelet {
    /// Serves one connection, HTTP/1 or HTTP/2, until it ends.
    pub async fn serve(
        self: Arc<Self>,
        stream: impl AsyncRead + AsyncWrite + Send + Unpin + 'static,
    ) {
        let service = hyper::service::service_fn(move |request: Request<hyper::body::Incoming>| {
            let kubelet = Arc::clone(&self);
            async move { Ok::<_, Infallible>(kubelet.answer(request).await) }
        });
        let builder = hyper_util::server::conn::auto::Builder::new(TokioExecutor::new());
        if let Err(error) = builder
            .serve_connection(TokioIo::new(stream), service)
            .await
        {
            tracing::debug!(error, "a connection to the kubelet API ended");
        }
    }

    /// Answers one request.
    pub async fn answer<B>(&self, request: Request<B>) -> Response<Body> {
        let (head, _) = request.into_parts();
        if head.uri.path() == "/healthz" {
            return text(StatusCode::OK, "ok");
        }
        if let Err((code, message)) = self.access.check(&head).await {
            return text(code, message);
        }
        if head.method != Method::GET {
            return text(StatusCode::METHOD_NOT_ALLOWED, "only GET is allowed here");
        }
        let parts: Vec<&str> = head.uri.path().split('/').skip(1).collect();
        match parts[..] {
            ["pods"] | ["pods", ""] => self.pods(),
            ["containerLogs", namespace, pod, container] => {
                let query = head.uri.query().unwrap_or_default();
                self.logs(namespace, pod, container, query)
                    .await
                    .unwrap_or_else(|(code, message)| text(code, message))
            }
            _ => text(StatusCode::NOT_FOUND, "404 page not found"),
        }
    }

    fn pods(&self) -> Response<Body> {
        let world = self.feed.world();
        let ours = world.list(PODS).filter(|object| {
            object.view::<Pod>().is_ok_and(|pod| {
                pod.spec.as_ref().and_then(|spec| spec.node_name.as_deref())
                    == Some(self.node_name.as_str())
            })
        });
        let items: Vec<_> = ours.map(|object| object.value()).collect();
        let list = serde_json::json!({"kind": "PodList", "apiVersion": "v1", "metadata": {}, "items": items});
        let mut response = text(StatusCode::OK, list.to_string());
        response.headers_mut().insert(
            http::header::CONTENT_TYPE,
            http::HeaderValue::from_static("application/json"),
        );
        response
    }

    async fn logs(
        &self,
        namespace: &str,
        name: &str,
        container: &str,
        query: &str,
    ) -> Result<Response<Body>, Refusal> {
        let (wish, previous) = wish(query, self.clock.now())?;
        let world = self.feed.world();
        let pod = world.view::<Pod>(PODS, namespace, name).ok().flatten();
        let pod = pod.ok_or_else(|| {
            (
                StatusCode::NOT_FOUND,
                format!("pod \"{name}\" does not exist"),
            )
        })?;
        if spec::slot(&pod, container).is_none() {
            return Err((
                StatusCode::NOT_FOUND,
                format!("container \"{container}\" not found in pod \"{name}_{namespace}\""),
            ));
        }
        let broken = |error: runtime::RuntimeError| {
            (
                StatusCode::INTERNAL_SERVER_ERROR,
                crate::links::describe(&error),
            )
        };
        let sandboxes = self.runtime.list_sandboxes().await.map_err(broken)?;
        let newest = sandboxes
            .into_iter()
            .filter(|sandbox| sandbox.uid == spec::uid(&pod))
            .max_by_key(|sandbox| sandbox.attempt);
        let mut runs = match newest {
            Some(sandbox) => self
                .runtime
                .list_containers(Some(&sandbox.id))
                .await
                .map_err(broken)?,
            None => Vec::new(),
        };
        runs.retain(|run| run.name == container);
        runs.sort_by_key(|run| std::cmp::Reverse(run.attempt));
        let Some(run) = runs.into_iter().nth(usize::from(previous)) else {
            let message = if previous {
                format!("previous terminated container \"{container}\" in pod \"{name}\" not found")
            } else {
                format!(
                    "container \"{container}\" in pod \"{name}\" is waiting to start: ContainerCreating"
                )
            };
            return Err((StatusCode::BAD_REQUEST, message));
        };
        let path = run
            .log_path
            .clone()
            .ok_or_else(|| (StatusCode::NOT_FOUND, "the container has no log".to_owned()))?;
        let follow = wish.follow;
        let opened = tokio::task::spawn_blocking(move || Cursor::open(&path, wish)).await;
        let cursor = match opened {
            Ok(Ok(cursor)) => cursor,
            Ok(Err(error)) => {
                return Err((
                    StatusCode::INTERNAL_SERVER_ERROR,
                    format!("open the log: {error}"),
                ));
            }
            Err(error) => return Err((StatusCode::INTERNAL_SERVER_ERROR, error.to_string())),
        };
        let body = StreamBody::new(chunks(
            cursor,
            follow.then(|| (Arc::clone(&self.runtime), run.id)),
        ));
        let mut response = text(StatusCode::OK, "");
        *response.body_mut() = body.boxed_unsync();
        Ok(response)
    }
}

/// Reads the query of a log request.
fn wish(query: &str, now: jiff::Timestamp) -> Result<(Wish, bool), Refusal> {
    let (mut wish, mut previous) = (Wish::default(), false);
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        let value = value
            .replace("%3A", ":")
            .replace("%3a", ":")
            .replace("%2B", "+");
        let bad = || {
            (
                StatusCode::BAD_REQUEST,
                format!("invalid value {value:?} of {name}"),
            )
        };
        let flag = || value.parse::<bool>().map_err(|_| bad());
        match name {
            "follow" => wish.follow = flag()?,
            "previous" => previous = flag()?,
            "timestamps" => wish.timestamps = flag()?,
            "tailLines" => wish.tail_lines = Some(value.parse().map_err(|_| bad())?),
            "limitBytes" => wish.limit_bytes = Some(value.parse().map_err(|_| bad())?),
            "sinceTime" => wish.since = Some(value.parse().map_err(|_| bad())?),
            "sinceSeconds" => {
                let seconds: i32 = value.parse().map_err(|_| bad())?;
                wish.since = Some(now - jiff::SignedDuration::from_secs(i64::from(seconds)));
            }
            _ => {}
        }
    }
    Ok((wish, previous))
}

type Followed = Option<(Arc<dyn Runtime>, runtime::ContainerId)>;

/// The log in pieces; a followed one ends with its container.
fn chunks(
    cursor: Cursor,
    followed: Followed,
) -> impl futures::Stream<Item = Result<Frame<Bytes>, std::io::Error>> + Send {
    stream::unfold((Some(cursor), followed), |(cursor, followed)| async move {
        let mut cursor = cursor?;
        loop {
            // Asked before reading, so that what a container wrote last is read after it is known to have ended.
            let runs = match &followed {
                Some((runtime, id)) => runtime
                    .container_status(id)
                    .await
                    .is_ok_and(|run| run.state == ContainerState::Running),
                None => false,
            };
            let read = tokio::task::spawn_blocking(move || {
                let chunk = cursor.next_chunk();
                (cursor, chunk)
            });
            let (back, chunk) = read.await.ok()?;
            cursor = back;
            match chunk {
                Err(error) => return Some((Err(error), (None, followed))),
                Ok(chunk) if !chunk.is_empty() => {
                    return Some((
                        Ok(Frame::data(Bytes::from(chunk))),
                        (Some(cursor), followed),
                    ));
                }
                Ok(_) if !runs || cursor.is_full() => return None,
                Ok(_) => tokio::time::sleep(FOLLOW).await,
            }
        }
    })
}
