//! Joins a client that is served here to a backend that is asked from here, when
//! the two do not speak the same protocol: an upstream kubelet knows SPDY and
//! WebSocket up to v4, while kubectl comes with v5 or a tunnel. Where both sides
//! agree, [`crate::proxy_upgrade`] is cheaper.
//!
//! Invariants: bytes, ends and outcomes pass through unchanged; when one side
//! leaves, the other is left.

use std::convert::Infallible;

use object::Status;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt};
use tokio::task::JoinSet;

use crate::StreamError;
use crate::client::{CommandClient, ForwardClient, Forwarded};
use crate::command::RemoteCommand;
use crate::forward::{Forward, PortForward};
use crate::outcome::Outcome;
use crate::pipe::{Reader, Writer};

/// Joins an exec or attach. Returns when the command has ended and the client has
/// everything, or one side is gone.
pub async fn bridge_command(
    mut command: RemoteCommand,
    mut backend: CommandClient,
) -> Result<(), StreamError> {
    let gone = command.gone();
    let input = join_input(command.stdin.take(), backend.stdin.take());
    let (resize, sender) = (command.resize.take(), backend.resize.take());
    let sizes = async {
        if let (Some(mut resize), Some(mut sender)) = (resize, sender) {
            while let Some(size) = resize.next().await {
                if sender.send(size).await.is_err() {
                    break;
                }
            }
        }
    };
    let output = join_output(backend.stdout.take(), command.stdout.take());
    let errors = join_output(backend.stderr.take(), command.stderr.take());
    let ended = async { tokio::join!(output, errors, backend.outcome()).2 };
    let outcome = tokio::select! {
        outcome = ended => outcome,
        () = gone.wait() => return Err(StreamError::Lost),
        never = async { tokio::join!(input, sizes); std::future::pending::<Infallible>().await } => match never {},
    };
    match outcome {
        Ok(outcome) => command.finish(&outcome).await,
        Err(error) => {
            let status = Status::internal(format!("stream connection to the node: {error}"));
            command.finish(&Outcome::Failed(Box::new(status))).await?;
            Err(error)
        }
    }
}

async fn join_input(from: Option<Reader>, to: Option<Writer>) {
    if let (Some(from), Some(to)) = (from, to) {
        pass(from, to).await;
    }
}

/// As [`join_input`], but what nobody wants is still read, so that the command
/// does not stop at it.
async fn join_output(from: Option<Reader>, to: Option<Writer>) {
    match (from, to) {
        (Some(from), Some(to)) => pass(from, to).await,
        (Some(mut from), None) => {
            // Its end is all that matters.
            let _ = tokio::io::copy(&mut from, &mut tokio::io::sink()).await;
        }
        (None, _) => {}
    }
}

/// Copies one direction; an end passes as an end, a cut as a cut.
async fn pass(mut from: Reader, mut to: Writer) {
    if copies(&mut from, &mut to).await {
        // Never fails: it only notes the end.
        let _ = to.shutdown().await;
    } else {
        to.abort();
    }
}

async fn copies(from: &mut (impl AsyncRead + Unpin), to: &mut (impl AsyncWrite + Unpin)) -> bool {
    tokio::io::copy(from, to).await.is_ok()
}

/// Joins a port-forward, connection by connection. Returns when either side is gone.
pub async fn bridge_port_forward(mut client: PortForward, backend: ForwardClient) {
    let backend_gone = backend.gone();
    let mut connections = JoinSet::new();
    loop {
        let forward = tokio::select! {
            forward = client.next() => forward,
            () = backend_gone.wait() => None,
            Some(_) = connections.join_next() => continue,
        };
        let Some(forward) = forward else { return };
        match backend.open(forward.port).await {
            Ok(opened) => {
                connections.spawn(join_connection(forward, opened));
            }
            Err(error) => forward.fail(&error.to_string()).await,
        }
    }
}

async fn join_connection(client: Forward, backend: Forwarded) {
    let (from_client, to_client, error) = client.split();
    let (from_backend, to_backend) = backend.data.split();
    let up = pass(from_client, to_backend);
    let down = async {
        tokio::join!(pass(from_backend, to_client), async {
            let message = backend.error.message().await;
            if !message.is_empty() {
                error.fail(&message).await;
            }
        });
    };
    // The backend ends its error stream when it is done with the connection; what
    // the client would still send has nowhere to go then.
    tokio::select! {
        () = down => {}
        never = async { up.await; std::future::pending::<Infallible>().await } => match never {},
    }
}
