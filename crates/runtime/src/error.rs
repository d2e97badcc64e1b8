//! The runtime's error.
//!
//! Reads and writes nothing. Invariant: Display names the operation and the object, never the source.

use std::io;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// What a runtime call can fail with.
#[derive(Debug, thiserror::Error)]
pub enum RuntimeError {
    /// No such sandbox or container.
    #[error("{kind} {id:?} not found")]
    NotFound {
        /// `sandbox` or `container`.
        kind: &'static str,
        /// The id asked for.
        id: String,
    },
    /// The configuration cannot be honoured.
    #[error("invalid {field}: {reason}")]
    Invalid {
        /// The field.
        field: &'static str,
        /// What is wrong with it.
        reason: String,
    },
    /// The object is in a state in which this cannot be done.
    #[error("{0}")]
    State(String),
    /// The container's process could not be started.
    #[error("{0}")]
    Start(String),
    /// The command could not be started in the container.
    #[error("{0}")]
    Exec(String),
    /// The command did not end in time and was killed.
    #[error("command {command:?} timed out after {after_ms} ms")]
    ExecTimeout {
        /// The program.
        command: String,
        /// The limit.
        after_ms: u128,
    },
    /// The pod's shim cannot be reached.
    #[error("shim of sandbox {sandbox}")]
    Shim {
        /// The sandbox.
        sandbox: String,
        /// Why.
        source: io::Error,
    },
    /// The shim answered with a failure of its own.
    #[error("{0}")]
    Failed(String),
    /// A file or directory of the runtime's own cannot be used.
    #[error("{op} {path}")]
    Io {
        /// What was tried.
        op: &'static str,
        /// On what.
        path: PathBuf,
        /// Why it failed.
        source: io::Error,
    },
    /// Another process uses the state directory.
    #[error("{path} is in use by process {pid}")]
    InUse {
        /// The state directory.
        path: PathBuf,
        /// Its user, as far as known.
        pid: String,
    },
}

impl RuntimeError {
    pub(crate) fn io(
        op: &'static str,
        path: impl Into<PathBuf>,
    ) -> impl FnOnce(io::Error) -> RuntimeError {
        let path = path.into();
        move |source| RuntimeError::Io { op, path, source }
    }

    /// Whether the object does not exist (any more).
    pub fn is_not_found(&self) -> bool {
        matches!(self, RuntimeError::NotFound { .. })
    }
}

/// An error on its way from the shim to the agent.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct WireError {
    pub(crate) kind: WireErrorKind,
    pub(crate) message: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum WireErrorKind {
    NotFound,
    Invalid,
    State,
    Exec,
    Failed,
}

impl WireError {
    pub(crate) fn new(kind: WireErrorKind, message: impl Into<String>) -> Self {
        Self {
            kind,
            message: message.into(),
        }
    }
}

impl From<WireError> for RuntimeError {
    fn from(error: WireError) -> Self {
        match error.kind {
            WireErrorKind::NotFound => RuntimeError::NotFound {
                kind: "container",
                id: error.message,
            },
            WireErrorKind::Invalid => RuntimeError::Invalid {
                field: "container",
                reason: error.message,
            },
            WireErrorKind::State => RuntimeError::State(error.message),
            WireErrorKind::Exec => RuntimeError::Exec(error.message),
            WireErrorKind::Failed => RuntimeError::Failed(error.message),
        }
    }
}
