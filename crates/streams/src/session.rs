//! The life of one connection: its task, how it is asked to close, and what
//! ends it from outside.
//!
//! One task per connection reads and writes. Invariants: dropping the
//! [`Session`] ends the task and closes the connection; a connection on which
//! nothing moves for [`Limits::idle_timeout`] ends by itself; once the task has
//! ended, no reader and no writer of the connection waits any more.

use std::sync::Arc;
use std::sync::Mutex;
use std::time::Duration;

use tokio::task::JoinHandle;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::StreamError;
use crate::pipe::lock;

/// Upstream's `--streaming-connection-idle-timeout`.
pub const IDLE_TIMEOUT: Duration = Duration::from_secs(4 * 60 * 60);

/// Upstream's limit for the upgrade and the streams of an exec to arrive.
pub const STREAM_CREATION_TIMEOUT: Duration = Duration::from_secs(30);

/// How long a connection that said its last word waits for the peer to hang up.
pub(crate) const LINGER: Duration = Duration::from_secs(5);

/// What bounds a connection in time.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// A connection on which nothing moves for so long is closed.
    pub idle_timeout: Duration,
    /// The upgrade, and then each set of streams, must be complete after so long.
    pub stream_creation_timeout: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            idle_timeout: IDLE_TIMEOUT,
            stream_creation_timeout: STREAM_CREATION_TIMEOUT,
        }
    }
}

/// What the task and its holder share.
pub(crate) struct Life {
    /// The holder has nothing more to say.
    pub(crate) closing: CancellationToken,
    /// The connection is over.
    pub(crate) gone: CancellationToken,
    moved: Mutex<Instant>,
    why: Mutex<Option<StreamError>>,
}

impl Life {
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Self {
            closing: CancellationToken::new(),
            gone: CancellationToken::new(),
            moved: Mutex::new(Instant::now()),
            why: Mutex::new(None),
        })
    }

    /// Notes that bytes moved.
    pub(crate) fn touch(&self) {
        *lock(&self.moved) = Instant::now();
    }

    /// Runs the two loops of a connection until one ends, or nothing moves.
    ///
    /// When writing fails because the peer has closed, what it had sent before can
    /// still be read, as long as it is.
    pub(crate) async fn run(
        &self,
        read: impl Future<Output = Result<(), StreamError>>,
        write: impl Future<Output = Result<(), StreamError>>,
        idle_timeout: Duration,
    ) -> Result<(), StreamError> {
        let mut read = std::pin::pin!(read);
        let error = tokio::select! {
            end = &mut read => return end,
            end = write => match end {
                Err(StreamError::Io(error)) => error,
                end => return end,
            },
            idle = self.idle(idle_timeout) => return Err(idle),
        };
        tokio::select! {
            end = read => end,
            _ = self.idle(LINGER.min(idle_timeout)) => Err(error.into()),
        }
    }

    /// Resolves when nothing moved for `timeout`.
    pub(crate) async fn idle(&self, timeout: Duration) -> StreamError {
        loop {
            let deadline = *lock(&self.moved) + timeout;
            if Instant::now() >= deadline {
                return StreamError::Idle(timeout);
            }
            tokio::time::sleep_until(deadline).await;
        }
    }
}

/// Holds a connection; dropping it closes the connection at once.
pub(crate) struct Session {
    life: Arc<Life>,
    task: JoinHandle<()>,
}

impl Session {
    /// Runs a connection. `teardown` is called when `run` has ended, whatever
    /// ended it, with whether it ended as agreed.
    pub(crate) fn start<R, T>(life: Arc<Life>, run: R, teardown: T) -> Self
    where
        R: Future<Output = Result<(), StreamError>> + Send + 'static,
        T: Fn(bool) + Send + 'static,
    {
        let ended = Ended {
            life: life.clone(),
            teardown,
        };
        let task = tokio::spawn(async move {
            let result = run.await;
            (ended.teardown)(result.is_ok());
            if let Err(error) = result {
                tracing::debug!(%error, "stream connection ended");
                *lock(&ended.life.why) = Some(error);
            }
            drop(ended);
        });
        Self { life, task }
    }

    /// Resolves when the connection is over, from whatever side.
    pub(crate) fn gone(&self) -> Gone {
        Gone(self.life.gone.clone())
    }

    /// Sends all that was written, says goodbye and closes. An error says that
    /// the connection was lost before.
    pub(crate) async fn close(self) -> Result<(), StreamError> {
        self.life.closing.cancel();
        self.life.gone.cancelled().await;
        match lock(&self.life.why).take() {
            None => Ok(()),
            Some(error) => Err(error),
        }
    }

    /// Why the connection ended, if it was not as agreed.
    pub(crate) fn why(&self) -> Option<StreamError> {
        lock(&self.life.why).take()
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Runs the teardown also when the task is aborted.
struct Ended<T: Fn(bool)> {
    life: Arc<Life>,
    teardown: T,
}

impl<T: Fn(bool)> Drop for Ended<T> {
    fn drop(&mut self) {
        (self.teardown)(false);
        self.life.gone.cancel();
    }
}

/// Tells when a connection is over. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Gone(CancellationToken);

impl Gone {
    /// Resolves when the connection is over: the peer left, it was cut, it sat
    /// idle too long, or it was closed from this side.
    pub async fn wait(&self) {
        self.0.cancelled().await;
    }

    /// Whether it is over already.
    pub fn is_over(&self) -> bool {
        self.0.is_cancelled()
    }
}
