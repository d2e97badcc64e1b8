//! Carrying out probes and lifecycle hooks: commands, HTTP requests, connections, gRPC health checks, pauses.
//!
//! Connects from the node to the pod's address. Invariants: nothing takes longer than its limit; of a reply at most
//! [`REPLY_BYTES`] are read.

mod tls;

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Full, Limited};
use hyper_util::rt::{TokioExecutor, TokioIo};
use k8s_openapi::api::core::v1::{Container, HTTPGetAction, LifecycleHandler, Probe};
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use runtime::{ContainerId, Runtime, RuntimeError};
use tokio::net::TcpStream;

/// Bytes of a reply that are read (the kubelet's limit).
pub const REPLY_BYTES: usize = 10 << 10;
/// How long a hook's request may take; commands of hooks take as long as they take.
const HOOK_TIMEOUT: Duration = Duration::from_secs(30);
const GRPC_HEADER: usize = 5;

/// What a handler needs to know of its container.
pub struct Subject<'a> {
    /// The runtime.
    pub runtime: &'a dyn Runtime,
    /// The run.
    pub id: &'a ContainerId,
    /// Its specification, for named ports.
    pub container: &'a Container,
    /// Where to connect to when the handler names no host.
    pub ip: Option<IpAddr>,
}

/// Runs a probe; the error says what the event shows.
pub async fn probe(subject: &Subject<'_>, probe: &Probe) -> Result<(), String> {
    let seconds = u64::try_from(probe.timeout_seconds.unwrap_or(1).max(1)).unwrap_or(1);
    let limit = Duration::from_secs(seconds);
    if let Some(exec) = &probe.exec {
        return command(subject, exec.command.clone().unwrap_or_default(), limit).await;
    }
    let work = async {
        if let Some(get) = &probe.http_get {
            http_get(subject, get, "kube-probe/1.37").await
        } else if let Some(tcp) = &probe.tcp_socket {
            let to = address(subject, tcp.host.as_deref(), &tcp.port)?;
            connect(to).await.map(drop)
        } else if let Some(grpc) = &probe.grpc {
            let port =
                u16::try_from(grpc.port).map_err(|_| format!("invalid port {}", grpc.port))?;
            let ip = subject.ip.ok_or("the pod has no address")?;
            grpc_check(
                SocketAddr::new(ip, port),
                grpc.service.as_deref().unwrap_or_default(),
            )
            .await
        } else {
            Err("missing probe handler".to_owned())
        }
    };
    match tokio::time::timeout(limit, work).await {
        Ok(done) => done,
        Err(_) => Err(format!(
            "no answer within {seconds}s (context deadline exceeded)"
        )),
    }
}

/// Runs a hook.
pub async fn hook(subject: &Subject<'_>, hook: &LifecycleHandler) -> Result<(), String> {
    if let Some(exec) = &hook.exec {
        return command(
            subject,
            exec.command.clone().unwrap_or_default(),
            Duration::ZERO,
        )
        .await;
    }
    if let Some(sleep) = &hook.sleep {
        tokio::time::sleep(Duration::from_secs(
            u64::try_from(sleep.seconds).unwrap_or(0),
        ))
        .await;
        return Ok(());
    }
    let work = async {
        if let Some(get) = &hook.http_get {
            http_get(subject, get, "kube-lifecycle/1.37").await
        } else if let Some(tcp) = &hook.tcp_socket {
            connect(address(subject, tcp.host.as_deref(), &tcp.port)?)
                .await
                .map(drop)
        } else {
            Err("missing lifecycle handler".to_owned())
        }
    };
    tokio::time::timeout(HOOK_TIMEOUT, work)
        .await
        .unwrap_or_else(|_| Err("no answer in time".to_owned()))
}

async fn command(subject: &Subject<'_>, argv: Vec<String>, limit: Duration) -> Result<(), String> {
    match subject.runtime.exec_sync(subject.id, argv, limit).await {
        Ok(output) if output.exit_code == 0 => Ok(()),
        Ok(output) => {
            let mut text = output.stdout;
            text.extend(output.stderr);
            text.truncate(REPLY_BYTES);
            Err(String::from_utf8_lossy(&text).into_owned())
        }
        Err(RuntimeError::ExecTimeout { .. }) => {
            Err(format!("command timed out after {}s", limit.as_secs()))
        }
        Err(error) => Err(crate::links::describe(&error)),
    }
}

/// The number of a port given by number or by name.
pub fn port(container: &Container, port: &IntOrString) -> Option<u16> {
    match port {
        IntOrString::Int(number) => u16::try_from(*number).ok().filter(|number| *number > 0),
        IntOrString::String(name) => {
            let named = container
                .ports
                .iter()
                .flatten()
                .find(|port| port.name.as_deref() == Some(name));
            named
                .and_then(|port| u16::try_from(port.container_port).ok())
                .or_else(|| name.parse().ok())
        }
    }
}

fn address(
    subject: &Subject<'_>,
    host: Option<&str>,
    wish: &IntOrString,
) -> Result<SocketAddr, String> {
    let port = port(subject.container, wish).ok_or_else(|| format!("invalid port: {wish:?}"))?;
    let ip = match host.filter(|host| !host.is_empty()) {
        Some("localhost") => IpAddr::from([127, 0, 0, 1]),
        Some(host) => host
            .parse()
            .map_err(|_| format!("host {host:?} is not an address"))?,
        None => subject.ip.ok_or("the pod has no address")?,
    };
    Ok(SocketAddr::new(ip, port))
}

async fn connect(to: SocketAddr) -> Result<TcpStream, String> {
    TcpStream::connect(to)
        .await
        .map_err(|error| format!("dial tcp {to}: {error}"))
}

/// A connection, with or without TLS.
trait Stream: tokio::io::AsyncRead + tokio::io::AsyncWrite + Send + Unpin {}
impl<T: tokio::io::AsyncRead + tokio::io::AsyncWrite + Send + Unpin> Stream for T {}

async fn http_get(subject: &Subject<'_>, get: &HTTPGetAction, agent: &str) -> Result<(), String> {
    let secure = get.scheme.as_deref() == Some("HTTPS");
    let to = address(subject, get.host.as_deref(), &get.port)?;
    let path = get
        .path
        .as_deref()
        .filter(|path| !path.is_empty())
        .unwrap_or("/");
    let path = if path.starts_with('/') {
        path.to_owned()
    } else {
        format!("/{path}")
    };
    let scheme = if secure { "https" } else { "http" };
    let url = format!("{scheme}://{to}{path}");
    let fail = |error: &dyn std::fmt::Display| format!("Get \"{url}\": {error}");
    let stream = connect(to).await.map_err(|error| fail(&error))?;
    let stream: Box<dyn Stream> = if secure {
        Box::new(
            tls::connect(stream, to)
                .await
                .map_err(|error| fail(&error))?,
        )
    } else {
        Box::new(stream)
    };
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream))
        .await
        .map_err(|error| fail(&error))?;
    let mut request = http::Request::get(path.as_str())
        .header(http::header::USER_AGENT, agent)
        .header(http::header::ACCEPT, "*/*")
        .header(http::header::CONNECTION, "close");
    let headers = get.http_headers.iter().flatten();
    if !headers
        .clone()
        .any(|header| header.name.eq_ignore_ascii_case("host"))
    {
        request = request.header(http::header::HOST, to.to_string());
    }
    for header in headers {
        request = request.header(&header.name, &header.value);
    }
    let request = request
        .body(Full::<Bytes>::default())
        .map_err(|error| fail(&error))?;
    let exchange = async move {
        let answer = sender.send_request(request).await?;
        let status = answer.status();
        // The rest of a long reply does not matter.
        let body = Limited::new(answer.into_body(), REPLY_BYTES)
            .collect()
            .await
            .map(|body| body.to_bytes())
            .unwrap_or_default();
        drop(body);
        Ok::<_, hyper::Error>(status)
    };
    let (status, _) = tokio::join!(exchange, connection);
    let status = status.map_err(|error| fail(&error))?;
    if (200..400).contains(&status.as_u16()) {
        return Ok(());
    }
    Err(format!(
        "HTTP probe failed with statuscode: {}",
        status.as_u16()
    ))
}

/// `grpc.health.v1.Health/Check`, with the two small messages written by hand.
async fn grpc_check(to: SocketAddr, service: &str) -> Result<(), String> {
    let fail = |error: &dyn std::fmt::Display| format!("error: health rpc to {to} failed: {error}");
    let stream = connect(to).await?;
    let (mut sender, connection) =
        hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(stream))
            .await
            .map_err(|error| fail(&error))?;
    let name = u8::try_from(service.len())
        .ok()
        .filter(|len| *len < 128)
        .ok_or("service name too long")?;
    let message = if service.is_empty() {
        Vec::new()
    } else {
        [&[0x0a, name], service.as_bytes()].concat()
    };
    let length = u32::try_from(message.len()).map_err(|error| fail(&error))?;
    let body = [&[0][..], &length.to_be_bytes(), &message].concat();
    let request = http::Request::post(format!("http://{to}/grpc.health.v1.Health/Check"))
        .header(http::header::CONTENT_TYPE, "application/grpc")
        .header(http::header::TE, "trailers")
        .body(Full::new(Bytes::from(body)))
        .map_err(|error| fail(&error))?;
    let exchange = async move {
        let answer = sender
            .send_request(request)
            .await
            .map_err(|error| error.to_string())?;
        let body = Limited::new(answer.into_body(), REPLY_BYTES)
            .collect()
            .await
            .map_err(|error| error.to_string())?;
        Ok::<_, String>(body.to_bytes())
    };
    let reply = tokio::select! {
        reply = exchange => reply.map_err(|error| fail(&error))?,
        error = connection => return Err(fail(&format!("the connection ended: {error:?}"))),
    };
    // HealthCheckResponse: field 1, a varint; 1 is SERVING.
    match reply.get(GRPC_HEADER..) {
        Some([0x08, 1, ..]) => Ok(()),
        Some([0x08, status, ..]) => Err(format!(
            "service unhealthy (responded with status {status})"
        )),
        _ => Err(fail(&"no health status in the reply")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    #[tokio::test]
    async fn http_and_tcp_probes_tell_good_from_bad() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let server = tokio::spawn(async move {
            loop {
                let (mut stream, _) = listener.accept().await.unwrap();
                let mut request = vec![0; 1024];
                let read = stream.read(&mut request).await.unwrap();
                let good = request[..read].starts_with(b"GET /ok");
                let status = if good { "200 OK" } else { "503 Unavailable" };
                // A bare connection has nobody left to answer.
                let _ = stream
                    .write_all(format!("HTTP/1.1 {status}\r\ncontent-length: 0\r\n\r\n").as_bytes())
                    .await;
            }
        });
        let runtime = runtime::FakeRuntime::new();
        let container: Container = serde_json::from_value(
            json!({"name": "a", "ports": [{"name": "web", "containerPort": port}]}),
        )
        .unwrap();
        let id = ContainerId("x".into());
        let subject = Subject {
            runtime: &runtime,
            id: &id,
            container: &container,
            ip: Some([127, 0, 0, 1].into()),
        };
        let rows = [
            (json!({"httpGet": {"path": "/ok", "port": "web"}}), Ok(())),
            (
                json!({"httpGet": {"path": "/no", "port": port}}),
                Err("HTTP probe failed with statuscode: 503".to_owned()),
            ),
            (json!({"tcpSocket": {"port": "web"}}), Ok(())),
        ];
        for (wish, want) in rows {
            assert_eq!(
                probe(&subject, &serde_json::from_value(wish).unwrap()).await,
                want
            );
        }
        server.abort();
    }
}
