//! What can go wrong with an image, as one enum that callers can tell apart.
//!
//! Every message names the image, file or host it is about and, where there is something to do about it, what to do.
//! `reason()` gives the word that the kubelet shows in a waiting container's `reason`.
//! Invariant: no variant carries a password, a token or a header.

use std::io;
use std::path::{Path, PathBuf};

/// An operation on an image, its layers or the store failed.
#[derive(Debug, thiserror::Error)]
pub enum ImageError {
    /// The text is not an image reference. The wording is what the kubelet shows for the same input.
    #[error("couldn't parse image name {input:?}: invalid reference format{problem}")]
    InvalidReference {
        /// The text as given.
        input: String,
        /// Empty, or `: ` and the exact complaint.
        problem: String,
    },
    /// The registry has no such manifest or blob.
    #[error("{what} not found in registry {host}: check the name and the tag")]
    NotFound {
        /// The image or blob asked for.
        what: String,
        /// The registry, as the reference names it.
        host: String,
    },
    /// The local store has no such image.
    #[error("image {what:?} is not in the local store: pull or import it first")]
    NotPresent {
        /// The reference or id asked for.
        what: String,
    },
    /// The registry wants (other) credentials.
    #[error(
        "registry {host} refused access to {what}: {detail}; check that the repository exists and that imagePullSecrets hold valid credentials for {host}"
    )]
    Unauthorized {
        /// The repository or image asked for.
        what: String,
        /// The registry.
        host: String,
        /// What the registry said.
        detail: String,
    },
    /// The registry could not be reached or the connection broke; trying again may help.
    #[error("cannot {operation} {host}: {detail}")]
    Network {
        /// For example `reach` or `read layer … from`.
        operation: String,
        /// The host and port that was spoken to.
        host: String,
        /// The chain of causes.
        detail: String,
    },
    /// The registry answered with a status that none of the other variants stands for.
    #[error("registry {host} answered {status} for {what}: {detail}")]
    Registry {
        /// The registry.
        host: String,
        /// The HTTP status.
        status: u16,
        /// What was asked for.
        what: String,
        /// What the registry said.
        detail: String,
    },
    /// Bytes are not what their digest, size or format promises.
    #[error("{what} is corrupt: {problem}")]
    Corrupt {
        /// The blob, manifest or archive.
        what: String,
        /// What does not fit.
        problem: String,
    },
    /// An archive or a stream ends too early.
    #[error("{what} is truncated: {problem}")]
    Truncated {
        /// The archive or layer.
        what: String,
        /// Where it ends.
        problem: String,
    },
    /// An archive entry tries to reach outside, or to smuggle in what the file system would obey.
    #[error("{what} refused: entry {entry:?} {problem}")]
    UnsafeEntry {
        /// The archive or layer.
        what: String,
        /// The name of the entry.
        entry: String,
        /// What it tries.
        problem: String,
    },
    /// Well-formed, but of a kind that this implementation does not take.
    #[error("{what} is not supported: {problem}")]
    Unsupported {
        /// The thing.
        what: String,
        /// Why, and what to do.
        problem: String,
    },
    /// Something is larger than a named limit.
    #[error("{what} exceeds the limit {limit} of {allowed}")]
    LimitExceeded {
        /// The field of [`crate::Limits`].
        limit: &'static str,
        /// Its value.
        allowed: u64,
        /// What is too large.
        what: String,
    },
    /// The disk is full, or would be.
    #[error(
        "no space left for {what} in {path}: {detail}; free space or let the image garbage collector run"
    )]
    NoSpace {
        /// What was to be written.
        what: String,
        /// The directory.
        path: PathBuf,
        /// Figures, or the system's message.
        detail: String,
    },
    /// A multi-platform image has nothing for this machine.
    #[error("image {what} has no variant for {wanted}; it offers {available}")]
    NoMatchingPlatform {
        /// The image.
        what: String,
        /// The platform asked for.
        wanted: String,
        /// The platforms on offer, comma-separated.
        available: String,
    },
    /// A `user` string names nobody in the image.
    #[error("unable to find user {user:?} in the image: {problem}")]
    UnknownUser {
        /// The string as given.
        user: String,
        /// Which part is unknown.
        problem: String,
    },
    /// Another process owns the store.
    #[error(
        "image store {dir} is in use by process {pid}: stop it or choose another data directory"
    )]
    StoreInUse {
        /// The store's directory.
        dir: PathBuf,
        /// The owner as it wrote itself down, `unknown` when it did not get that far.
        pid: String,
    },
    /// A newer version wrote the store.
    #[error(
        "image store {dir} has format {found}, this version reads up to {known}: use the newer kogge or another data directory"
    )]
    StoreTooNew {
        /// The store's directory.
        dir: PathBuf,
        /// The format on disk.
        found: u64,
        /// The newest format this code knows.
        known: u64,
    },
    /// A container's root file system is still mounted.
    #[error("{path} is still mounted: unmount it before removing the root file system")]
    StillMounted {
        /// The mount point.
        path: PathBuf,
    },
    /// The operating system refused.
    #[error("cannot {operation} {path}")]
    Io {
        /// A verb, such as `create`.
        operation: &'static str,
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
}

/// Shorthand used throughout the crate.
pub type Result<T, E = ImageError> = std::result::Result<T, E>;

impl ImageError {
    /// The `reason` that the kubelet gives a container that waits because of this.
    pub fn reason(&self) -> &'static str {
        match self {
            Self::InvalidReference { .. } => "InvalidImageName",
            Self::Network { .. } => "RegistryUnavailable",
            Self::NotPresent { .. } | Self::UnknownUser { .. } => "ImageInspectError",
            _ => "ErrImagePull",
        }
    }

    /// True when the same request may succeed a little later without anybody changing anything.
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Network { .. } => true,
            Self::Registry { status, .. } => *status == 429 || *status >= 500,
            _ => false,
        }
    }

    /// An operating system error, with a full disk told apart from everything else.
    pub(crate) fn io(operation: &'static str, path: &Path, source: impl Into<io::Error>) -> Self {
        let source = source.into();
        match source.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Self::NoSpace {
                what: path
                    .file_name()
                    .unwrap_or_default()
                    .to_string_lossy()
                    .into_owned(),
                path: path.parent().unwrap_or(path).to_owned(),
                detail: source.to_string(),
            },
            _ => Self::Io {
                operation,
                path: path.to_owned(),
                source,
            },
        }
    }

    pub(crate) fn corrupt(what: impl Into<String>, problem: impl Into<String>) -> Self {
        Self::Corrupt {
            what: what.into(),
            problem: problem.into(),
        }
    }

    pub(crate) fn entry(what: &str, entry: &str, problem: impl Into<String>) -> Self {
        Self::UnsafeEntry {
            what: what.to_owned(),
            entry: entry.to_owned(),
            problem: problem.into(),
        }
    }

    pub(crate) fn limit(limit: &'static str, allowed: u64, what: impl Into<String>) -> Self {
        Self::LimitExceeded {
            limit,
            allowed,
            what: what.into(),
        }
    }
}

/// All causes of an error in one line: registry failures are told to users, who see only text.
pub(crate) fn causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        let line = cause.to_string();
        if !text.contains(&line) {
            text.push_str(": ");
            text.push_str(&line);
        }
        next = cause.source();
    }
    text
}
