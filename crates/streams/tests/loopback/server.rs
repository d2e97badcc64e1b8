//! A node in small: serves `/exec` and `/portforward` on loopback with commands
//! of its own making, and `/proxy/…` and `/bridge/…` as an API server in front of
//! itself, the one passing bytes on and the other translating to SPDY.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use streams::{
    CommandOptions, Forward, Limits, Outcome, PortForward, Proxied, RemoteCommand, accept_command,
    accept_port_forward, bridge_command, bridge_port_forward, connect_command_spdy,
    connect_port_forward_spdy, proxy_upgrade,
};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// What a peer in a test may take, at most.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

#[derive(Clone)]
pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    /// Commands and forwarded connections that run.
    pub(crate) running: Arc<AtomicUsize>,
}

impl Server {
    pub(crate) async fn start(limits: Limits) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let server = Self {
            address: listener.local_addr().unwrap(),
            running: Arc::default(),
        };
        let this = server.clone();
        tokio::spawn(async move {
            loop {
                let (io, _) = listener.accept().await.unwrap();
                let this = this.clone();
                let service = service_fn(move |request| {
                    let this = this.clone();
                    async move { Ok::<_, http::Error>(this.answer(request, limits).await) }
                });
                tokio::spawn(
                    hyper::server::conn::http1::Builder::new()
                        .serve_connection(TokioIo::new(io), service)
                        .with_upgrades(),
                );
            }
        });
        server
    }

    pub(crate) async fn connect(&self) -> TcpStream {
        TcpStream::connect(self.address).await.unwrap()
    }

    /// Waits until nothing runs any more.
    #[allow(dead_code, reason = "not every user of this file waits")]
    pub(crate) async fn becomes_idle(&self) {
        let idle = async {
            while self.running.load(Ordering::SeqCst) > 0 {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        tokio::time::timeout(PATIENCE, idle).await.unwrap();
    }

    async fn answer(
        &self,
        mut request: Request<Incoming>,
        limits: Limits,
    ) -> Response<Full<Bytes>> {
        let path = request.uri().path().to_owned();
        let query = request.uri().query().unwrap_or_default().to_owned();
        let running = Running::new(&self.running);
        if let Some(behind) = path.strip_prefix("/proxy") {
            return self
                .proxy(&mut request, &format!("{behind}?{query}"), limits)
                .await;
        }
        let bridged = path.strip_prefix("/bridge");
        let path = bridged.unwrap_or(&path).to_owned();
        if path == "/portforward" {
            return match accept_port_forward(&mut request, limits) {
                Err(refusal) => refusal.into_response().map(|text| text.into()),
                Ok((response, pending)) if bridged.is_some() => {
                    let backend = self.connect().await;
                    let target = Request::get(path).body(()).unwrap();
                    let backend = connect_port_forward_spdy(backend, target, limits).await;
                    tokio::spawn(async move {
                        if let Ok(forward) = pending.open().await {
                            bridge_port_forward(forward, backend.unwrap()).await;
                        }
                        drop(running);
                    });
                    response.map(|()| Full::default())
                }
                Ok((response, pending)) => {
                    tokio::spawn(async move {
                        if let Ok(forward) = pending.open().await {
                            serve_ports(forward, &running).await;
                        }
                    });
                    response.map(|()| Full::default())
                }
            };
        }
        let accepted = CommandOptions::from_query(&query)
            .and_then(|options| accept_command(&mut request, options, limits));
        match accepted {
            Err(refusal) => refusal.into_response().map(|text| text.into()),
            Ok((response, pending)) if bridged.is_some() => {
                let options = CommandOptions::from_query(&query).unwrap();
                let backend = self.connect().await;
                let target = Request::get(format!("{path}?{query}")).body(()).unwrap();
                let backend = connect_command_spdy(backend, target, options, limits).await;
                tokio::spawn(async move {
                    if let Ok(command) = pending.open().await {
                        let _ = bridge_command(command, backend.unwrap()).await;
                    }
                    drop(running);
                });
                response.map(|()| Full::default())
            }
            Ok((response, pending)) => {
                tokio::spawn(async move {
                    if let Ok(command) = pending.open().await {
                        run(command, &query).await;
                    }
                    drop(running);
                });
                response.map(|()| Full::default())
            }
        }
    }

    async fn proxy(
        &self,
        request: &mut Request<Incoming>,
        target: &str,
        limits: Limits,
    ) -> Response<Full<Bytes>> {
        let running = Running::new(&self.running);
        let target = Request::builder()
            .method(request.method())
            .uri(target)
            .body(());
        let backend = self.connect().await;
        match proxy_upgrade(request, backend, target.unwrap(), limits).await {
            Ok(Proxied::Refused(response)) => response.map(Full::new),
            Ok(Proxied::Upgraded(response, relay)) => {
                tokio::spawn(async move {
                    let _ = relay.run().await;
                    drop(running);
                });
                response.map(|()| Full::default())
            }
            Err(error) => {
                let mut response = Response::new(Full::from(error.to_string()));
                *response.status_mut() = http::StatusCode::BAD_GATEWAY;
                response
            }
        }
    }
}

/// Counts what runs.
struct Running(Arc<AtomicUsize>);

impl Running {
    fn new(count: &Arc<AtomicUsize>) -> Self {
        count.fetch_add(1, Ordering::SeqCst);
        Self(count.clone())
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

fn parameter(query: &str, name: &str) -> Option<String> {
    let found = query.split('&').find_map(|pair| {
        let (key, value) = pair.split_once('=')?;
        (key == name).then_some(value)
    });
    found.map(str::to_owned)
}

/// Bytes that tell where they are.
pub(crate) fn pattern(size: usize) -> Vec<u8> {
    (0..size).map(|i| u8::try_from(i % 251).unwrap()).collect()
}

async fn run(mut command: RemoteCommand, query: &str) {
    let number = |name, default| {
        let value = parameter(query, name);
        value.map_or(default, |value| value.parse::<usize>().unwrap())
    };
    match parameter(query, "do").as_deref() {
        // Input to output until it ends.
        Some("echo") => {
            let mut stdout = command.stdout.take().unwrap();
            let mut stdin = command.stdin.take().unwrap();
            if tokio::io::copy(&mut stdin, &mut stdout).await.is_err() {
                return;
            }
        }
        Some("count") => {
            let mut stdin = command.stdin.take().unwrap();
            let mut size = 0;
            let mut buffer = vec![0; 4096];
            while let Ok(read @ 1..) = stdin.read(&mut buffer).await {
                size += read;
            }
            let stdout = command.stdout.as_mut().unwrap();
            let text = format!("{size}\n");
            stdout.write_all(text.as_bytes()).await.unwrap();
        }
        // Much output on both streams.
        Some("big") => {
            let bytes = pattern(number("size", 1 << 20));
            let stdout = command.stdout.as_mut().unwrap();
            if stdout.write_all(&bytes).await.is_err() {
                return;
            }
            if let Some(stderr) = command.stderr.as_mut() {
                let _ = stderr.write_all(&bytes).await;
            }
        }
        // Sizes until one is 0 wide.
        Some("sizes") => {
            while let Some(size) = command.resize.as_mut().unwrap().next().await {
                let text = format!("{}x{}\n", size.width, size.height);
                let stdout = command.stdout.as_mut().unwrap();
                stdout.write_all(text.as_bytes()).await.unwrap();
                if size.width == 0 {
                    break;
                }
            }
        }
        // Never ends by itself.
        Some("hang") => {
            command.gone().wait().await;
            return;
        }
        Some("fail") => {
            let _ = command.finish(&Outcome::internal("no such file")).await;
            return;
        }
        _ => {}
    }
    let code = i32::try_from(number("code", 0)).unwrap();
    let _ = command.finish(&Outcome::of_exit_code(code)).await;
}

async fn serve_ports(mut forward: PortForward, running: &Running) {
    while let Some(connection) = forward.next().await {
        let running = Running::new(&running.0);
        tokio::spawn(async move {
            serve_port(connection).await;
            drop(running);
        });
    }
}

async fn serve_port(connection: Forward) {
    match connection.port {
        // Echo.
        7 => {
            let (mut reader, mut writer, error) = connection.split();
            if tokio::io::copy(&mut reader, &mut writer).await.is_ok() {
                let _ = writer.shutdown().await;
            }
            drop(error);
        }
        // Refuses.
        9 => {
            connection
                .fail("error forwarding port 9: connection refused")
                .await
        }
        // Sends much, then ends.
        19 => {
            let (_reader, mut writer, _error) = connection.split();
            let _ = writer.write_all(&pattern(1 << 20)).await;
        }
        // Reads nothing.
        _ => std::future::pending().await,
    }
}
