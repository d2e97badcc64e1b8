//! Volumes: what they hold, as a pure function of the world, and the files and mounts that follow.
//!
//! Reading order: [`payload`] → [`atomic`] → [`mount`].

pub mod atomic;
pub mod mount;
pub mod payload;

/// Why a Pod's volumes cannot be set up; the text follows `MountVolume.SetUp failed for volume "…" : `.
#[derive(Debug, thiserror::Error)]
pub enum VolumeError {
    /// A referenced object, key or field is not there.
    #[error(transparent)]
    Missing(#[from] crate::env::EnvError),
    /// A referenced key is not there.
    #[error("references non-existent {kind} key: {key}")]
    NoKey {
        /// `config` or `secret`.
        kind: &'static str,
        /// The key.
        key: String,
    },
    /// A path of the volume would lie outside of it.
    #[error("invalid path {0:?}: must be relative and must not contain \"..\"")]
    Path(String),
    /// A path on the node is not what the volume promises.
    #[error("hostPath type check failed: {path} is not a {wanted}")]
    HostPath {
        /// The path.
        path: String,
        /// What it should be.
        wanted: &'static str,
    },
    /// This kind of volume needs something the node does not have.
    #[error("volume plugin for {0} is not available on this node")]
    Unsupported(String),
    /// A token could not be had.
    #[error("failed to fetch token: {0}")]
    Token(String),
    /// The system refused.
    #[error("{op} {path}: {source}")]
    Io {
        /// What was tried.
        op: &'static str,
        /// On what.
        path: std::path::PathBuf,
        /// Why not.
        source: std::io::Error,
    },
}

impl VolumeError {
    pub(crate) fn io(
        op: &'static str,
        path: impl Into<std::path::PathBuf>,
    ) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.into();
        move |source| Self::Io { op, path, source }
    }
}
