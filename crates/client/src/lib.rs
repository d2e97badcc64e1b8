//! How everything but the API server reaches the API: requests as values, the
//! [`Client`] that sends them, and the [`Feed`] that brings the world.
//!
//! A controller's write is the same HTTP request that a remote client sends; in
//! one process it is handed to the API server's router without a socket, and is
//! authenticated, authorized, admitted and audited all the same.

mod feed;
mod write;

use bytes::Bytes;
use futures::future::BoxFuture;
use object::Status;

pub use feed::{Feed, Lagged};
pub use write::{Target, Verb, Write};

/// Sends one request to an API server and gets the whole answer: for writes and
/// single reads, not for watches and streams.
pub trait Client: Send + Sync + 'static {
    /// The answer, whatever its status code. `Err` when there was none: the
    /// connection failed, or the server is shutting down.
    fn call(
        &self,
        request: http::Request<Bytes>,
    ) -> BoxFuture<'_, Result<http::Response<Bytes>, ClientError>>;
}

/// A request that got no answer.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// The request could not be formed.
    #[error("form request")]
    Request(#[from] http::Error),
    /// The server is not there.
    #[error("reach the API server: {0}")]
    Unreachable(String),
    /// The server answered with an error.
    #[error(transparent)]
    Status(#[from] Status),
}

impl ClientError {
    /// The `Status` the server answered with, if it answered.
    pub fn status(&self) -> Option<&Status> {
        match self {
            Self::Status(status) => Some(status),
            Self::Request(_) | Self::Unreachable(_) => None,
        }
    }
}

/// Sends a write and reads the object it made. A DELETE that was answered with a
/// `Status` gives that as a tree.
pub async fn send(client: &dyn Client, write: &Write) -> Result<serde_json::Value, ClientError> {
    let answer = client.call(write.request()?).await?;
    let body: serde_json::Value = serde_json::from_slice(answer.body()).unwrap_or_default();
    if answer.status().is_success() {
        return Ok(body);
    }
    let mut status = Status::from_json(&body);
    status.code = answer.status().as_u16();
    if status.message.is_empty() {
        status.message = format!("the server answered {}", answer.status());
    }
    Err(status.into())
}
