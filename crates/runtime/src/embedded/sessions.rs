//! Asking shims, and streams that come of it.
//!
//! Reads and writes connections to shims. Invariant: a status that a reply carries is in the table before the caller
//! sees the reply.

use std::io;
use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use futures::future::FutureExt;
use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::net::{TcpSocket, TcpStream};

use super::link::Link;
use super::streams::Pipe;
use super::{CALL, EmbeddedRuntime};
use crate::api::{
    ContainerId, ContainerStatus, EXEC_SYNC_OUTPUT_LIMIT_BYTES, ExecOutput, Reader, SandboxId,
    Streams,
};
use crate::error::RuntimeError;
use crate::shim::proto::{End, Reply, Request};

/// How long output of a command may stay open after its end, in the hands of processes it left behind.
const EXEC_DRAIN: Duration = Duration::from_secs(2);
/// How long a connection inside a sandbox may take.
const CONNECT: Duration = Duration::from_secs(10);

impl EmbeddedRuntime {
    pub(super) fn sandbox_dir(&self, id: &SandboxId) -> Result<PathBuf, RuntimeError> {
        let table = self.table();
        let entry = table
            .sandboxes
            .get(id)
            .ok_or_else(|| RuntimeError::NotFound {
                kind: "sandbox",
                id: id.0.clone(),
            })?;
        Ok(entry.dir.clone())
    }

    pub(super) fn container(&self, id: &ContainerId) -> Result<ContainerStatus, RuntimeError> {
        let found = self.table().containers.get(id).cloned();
        found.ok_or_else(|| RuntimeError::NotFound {
            kind: "container",
            id: id.0.clone(),
        })
    }

    /// Asks the shim of a sandbox something; keeps the connection for further replies.
    pub(super) async fn ask(
        &self,
        sandbox: &SandboxId,
        request: Request,
        patience: Duration,
    ) -> Result<(Reply, Vec<OwnedFd>, Link), RuntimeError> {
        let dir = self.sandbox_dir(sandbox)?;
        let shim = |source| RuntimeError::Shim {
            sandbox: sandbox.0.clone(),
            source,
        };
        let exchange = async {
            let mut link = Link::open(&dir, request).await?;
            let (reply, fds) = link.receive().await?;
            io::Result::Ok((reply, fds, link))
        };
        let answered = tokio::time::timeout(patience, exchange).await;
        let (reply, fds, link) = answered
            .unwrap_or_else(|_| Err(io::Error::from(io::ErrorKind::TimedOut)))
            .map_err(shim)?;
        match reply {
            Reply::Error(error) => Err(error.into()),
            Reply::NotStarted(status) => {
                let message = status.start_error.clone();
                self.record(status);
                Err(RuntimeError::Start(message.unwrap_or_else(|| {
                    "container was stopped before it started".to_owned()
                })))
            }
            Reply::Container(status) => {
                self.record(status.clone());
                Ok((Reply::Container(status), fds, link))
            }
            Reply::Snapshot(snapshot) => {
                snapshot
                    .containers
                    .iter()
                    .for_each(|status| drop(self.record(status.clone())));
                Ok((Reply::Snapshot(snapshot), fds, link))
            }
            reply => Ok((reply, fds, link)),
        }
    }

    /// Asks for streams and turns what comes along into something to read and write.
    pub(super) async fn open_streams(
        &self,
        id: &ContainerId,
        request: Request,
    ) -> Result<(Streams, u64), RuntimeError> {
        let sandbox = self.container(id)?.sandbox;
        let (reply, fds, mut link) = self.ask(&sandbox, request, CALL).await?;
        let Reply::Streams { exec, ends } = reply else {
            return Err(unexpected(&reply));
        };
        let shim = move |source| RuntimeError::Shim {
            sandbox: sandbox.0.clone(),
            source,
        };
        let exit = async move {
            loop {
                match link.receive().await {
                    Ok((Reply::Exit { code }, _)) => return Ok(code),
                    Ok(_) => {}
                    Err(e) => return Err(shim(e)),
                }
            }
        };
        let mut streams = Streams {
            stdin: None,
            stdout: None,
            stderr: None,
            resize: None,
            exit: exit.boxed(),
        };
        let mut terminal = None;
        for (end, fd) in ends.into_iter().zip(fds) {
            let pipe =
                Pipe::new(fd).map_err(RuntimeError::io("open", "a stream of the container"))?;
            match end {
                End::Stdin => streams.stdin = Some(Box::new(pipe)),
                End::Stdout => streams.stdout = Some(Box::new(pipe)),
                End::Stderr => streams.stderr = Some(Box::new(pipe)),
                End::Terminal => terminal = Some(pipe),
                End::Inet | End::Inet6 => {}
            }
        }
        if let Some(pipe) = terminal {
            streams.stdin = Some(Box::new(pipe.clone()));
            // Attached clients get output by a pipe of their own; for a command the terminal is the only way.
            if exec != 0 {
                streams.stdout = Some(Box::new(pipe.clone()));
            }
            streams.resize = Some(Arc::new(move |columns, rows| pipe.resize(columns, rows)));
        }
        Ok((streams, exec))
    }
}

pub(super) fn unexpected(reply: &Reply) -> RuntimeError {
    RuntimeError::Failed(format!("unexpected reply of a shim: {reply:?}"))
}

/// Reads to the end, keeping at most the limit.
async fn read_limited(stream: Option<Reader>, kept: &mut Vec<u8>) {
    let Some(mut stream) = stream else { return };
    let mut buffer = vec![0; 32 << 10];
    // An error ends the stream as its end does.
    while let Ok(n @ 1..) = read_some(&mut stream, &mut buffer).await {
        let room = EXEC_SYNC_OUTPUT_LIMIT_BYTES - kept.len();
        kept.extend_from_slice(&buffer[..n.min(room)]);
    }
}

async fn read_some(
    stream: &mut (dyn AsyncRead + Send + Unpin),
    buffer: &mut [u8],
) -> io::Result<usize> {
    stream.read(buffer).await
}

/// Collects a command's output until it ends; `None` if `limit` comes first.
pub(super) async fn collect(
    streams: &mut Streams,
    limit: impl Future<Output = ()>,
) -> Option<Result<ExecOutput, RuntimeError>> {
    let (mut out, mut err) = (Vec::new(), Vec::new());
    let code = {
        let reading = futures::future::join(
            read_limited(streams.stdout.take(), &mut out),
            read_limited(streams.stderr.take(), &mut err),
        );
        let (mut reading, mut limit) = (pin!(reading.fuse()), pin!(limit));
        let mut drained = false;
        let code = loop {
            tokio::select! {
                code = &mut streams.exit => break code,
                _ = &mut reading, if !drained => drained = true,
                () = &mut limit => return None,
            }
        };
        if !drained {
            let _ = tokio::time::timeout(EXEC_DRAIN, &mut reading).await;
        }
        code
    };
    Some(code.map(|exit_code| ExecOutput {
        exit_code,
        stdout: out,
        stderr: err,
    }))
}

/// Connects a socket that a shim made.
pub(super) async fn connect(socket: OwnedFd, address: SocketAddr) -> io::Result<TcpStream> {
    let socket = TcpSocket::from_std_stream(std::net::TcpStream::from(socket));
    tokio::time::timeout(CONNECT, socket.connect(address))
        .await
        .unwrap_or_else(|_| Err(io::Error::from(io::ErrorKind::TimedOut)))
}
