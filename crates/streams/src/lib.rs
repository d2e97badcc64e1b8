//! The plumbing of exec, attach and port-forward: byte streams beside one
//! another on one upgraded HTTP connection.
//!
//! Kubernetes has two ways to do it, and four spellings of the first: WebSocket
//! messages that begin with the number of a channel (`v5.channel.k8s.io` and
//! older), and SPDY/3.1, either bare or tunnelled in WebSocket messages. Both end
//! here in the same types: [`RemoteCommand`] and [`PortForward`] for whoever
//! serves, [`CommandClient`] and [`ForwardClient`] for whoever asks. Who stands
//! between and need not understand uses [`proxy_upgrade`]; who must translate uses
//! [`bridge_command`] and [`bridge_port_forward`].
//!
//! Invariants: nothing is buffered without a limit, and a slow reader slows its
//! writer, end to end; every connection is one task that ends with the type that
//! holds it, with either peer, or after [`Limits::idle_timeout`]; a stream of
//! bytes is never cut short silently: it ends cleanly or with an error.
//! This crate knows no pods and no containers.

mod bridge;
mod channel;
mod client;
mod command;
mod forward;
mod outcome;
mod pipe;
mod proxy;
mod resize;
mod session;
mod spdy;
mod tunnel;
mod upgrade;

pub use bridge::{bridge_command, bridge_port_forward};
pub use client::{
    CommandClient, ConnectError, ForwardClient, Forwarded, ForwardedError, MAX_REFUSAL,
    connect_command, connect_command_spdy, connect_port_forward, connect_port_forward_spdy,
};
pub use command::{CommandOptions, PendingCommand, RemoteCommand, accept_command};
pub use forward::{Forward, ForwardError, PendingForward, PortForward, accept_port_forward};
pub use outcome::{MAX_STATUS, Outcome};
pub use pipe::{Duplex, Reader, STREAM_BUFFER, Writer};
pub use proxy::{Proxied, RELAY_BUFFER, Relay, proxy_upgrade};
pub use resize::{ResizeSender, Resizes, TerminalSize};
pub use session::{Gone, IDLE_TIMEOUT, Limits, STREAM_CREATION_TIMEOUT};
pub use upgrade::{Refusal, is_upgrade};

/// Why a connection ended before its work was done.
#[derive(Debug, thiserror::Error)]
pub enum StreamError {
    /// Reading or writing failed.
    #[error("stream connection")]
    Io(#[from] std::io::Error),
    /// The HTTP connection could not be taken over.
    #[error("upgrade the connection")]
    Upgrade(#[from] hyper::Error),
    /// The peer left without a goodbye.
    #[error("the peer closed the connection unexpectedly")]
    Lost,
    /// Nothing moved for too long.
    #[error("nothing moved for {0:?} (idle timeout)")]
    Idle(std::time::Duration),
    /// The peer did not open all its streams in time.
    #[error("timed out after {0:?} waiting for client to create streams")]
    StreamCreation(std::time::Duration),
    /// The peer broke the protocol.
    #[error("protocol error: {0}")]
    Protocol(String),
    /// The connection is closed, so that nothing can be opened on it.
    #[error("the connection is closed")]
    Closed,
    /// Too many streams at a time.
    #[error("{0} streams are open already, which is the limit")]
    TooManyStreams(usize),
}
