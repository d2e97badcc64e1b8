//! The one error type of this crate's datapath.
//!
//! Every variant names the operation and the object it was done to; the text of
//! the cause is left to `source`.

use std::io;
use std::path::PathBuf;

/// What can go wrong while changing links, routes, namespaces or firewall tables.
#[derive(Debug, thiserror::Error)]
pub enum NetError {
    /// The kernel refused a netlink request.
    #[error("kernel refused to {op}{detail}")]
    Netlink {
        /// What was asked, for instance `add link kg12ab`.
        op: String,
        /// The kernel's own explanation (extended ack), if it gave one.
        detail: String,
        /// The error number.
        #[source]
        source: io::Error,
    },
    /// A netlink socket could not be opened, written or read.
    #[error("netlink socket: cannot {op}")]
    Socket {
        /// The operation on the socket.
        op: &'static str,
        /// The error number.
        #[source]
        source: io::Error,
    },
    /// A message would not fit its 16-bit attribute length.
    #[error("netlink message for `{op}` is too large")]
    TooLarge {
        /// What was asked.
        op: String,
    },
    /// A network namespace could not be made, pinned, entered or removed.
    #[error("network namespace {path}: cannot {op}", path = path.display())]
    Namespace {
        /// The operation.
        op: &'static str,
        /// The pin file.
        path: PathBuf,
        /// The error number.
        #[source]
        source: io::Error,
    },
    /// A kernel setting under /proc/sys could not be written.
    #[error("cannot set {key} to {value} (is /proc/sys read-only here?)")]
    Sysctl {
        /// The setting, as a path below /proc/sys.
        key: String,
        /// The value wanted.
        value: String,
        /// The error number.
        #[source]
        source: io::Error,
    },
    /// The thread that works inside a namespace died.
    #[error("the thread working in network namespace {path} panicked", path = path.display())]
    ThreadPanicked {
        /// The pin file.
        path: PathBuf,
    },
    /// No address of this machine can serve as the node's address.
    #[error("no usable node address ({why}); give one with --node-ip ADDRESS")]
    NoNodeAddress {
        /// Why none was found.
        why: String,
    },
    /// A value given by the caller cannot be used.
    #[error("{what}")]
    Invalid {
        /// Which value, and what is wrong with it.
        what: String,
    },
    /// The kernel lacks a part of nf_tables that services need.
    #[error(
        "this kernel lacks an nf_tables feature that services need ({feature}); \
         enable CONFIG_NF_TABLES_INET, NFT_NAT, NFT_MASQ, NFT_REJECT_INET, NFT_FIB_INET, NFT_NUMGEN and NFT_CT"
    )]
    MissingFeature {
        /// What the kernel refused.
        feature: String,
        /// The error number.
        #[source]
        source: io::Error,
    },
}

impl NetError {
    /// The error number of the kernel's answer, if this is one.
    #[must_use]
    pub fn errno(&self) -> Option<i32> {
        match self {
            Self::Netlink { source, .. }
            | Self::Socket { source, .. }
            | Self::Namespace { source, .. }
            | Self::Sysctl { source, .. }
            | Self::MissingFeature { source, .. } => source.raw_os_error(),
            Self::TooLarge { .. }
            | Self::ThreadPanicked { .. }
            | Self::NoNodeAddress { .. }
            | Self::Invalid { .. } => None,
        }
    }

    /// Whether the object spoken of does not exist (so that a removal is done already).
    #[must_use]
    pub fn is_not_found(&self) -> bool {
        matches!(
            self.errno(),
            Some(libc::ENOENT | libc::ENODEV | libc::ESRCH | libc::ENXIO)
        )
    }
}

/// Turns "it is not there" into success, for removals.
pub(crate) fn gone_is_fine(result: Result<(), NetError>) -> Result<(), NetError> {
    match result {
        Err(e) if e.is_not_found() => Ok(()),
        other => other,
    }
}
