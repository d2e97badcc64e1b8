//! Sandboxes and containers: kogge's embedded container runtime.
//!
//! The node agent holds an [`EmbeddedRuntime`] and speaks to it through the [`Runtime`] trait, which is shaped like CRI.
//! For every sandbox the agent starts one *shim*, a re-execution of the current binary that [`dispatch`] recognises.
//! The shim lives in the sandbox's namespaces, forks the containers, owns their pipes, logs and exit codes, and
//! outlives the agent; the agent finds it again by its socket.
//!
//! Why no OCI runtime library in between: the shim has a single thread, so it may fork and let the child build the
//! container in place. That needs neither a helper process nor a bundle, does recursive read-only mounts, propagation,
//! filters for commands and read-only control groups as they should be, and starts a container in a few
//! milliseconds.
//!
//! Reads and writes: the state directory, control groups, the paths that configurations name. Nothing is mounted where
//! the host sees it.
//!
//! Invariants: `unsafe` is confined to system calls, each argued; the process that runs tokio never forks; needs root and
//! Linux 5.12 (`mount_setattr`).

mod api;
mod caps;
pub mod cgroup;
mod config;
mod embedded;
mod error;
mod fake;
mod init;
mod log;
mod seccomp;
mod shim;
mod sys;

use std::ffi::OsString;

pub use api::{
    AttachRequest, ContainerId, ContainerState, ContainerStatus, Duplex, EVENT_QUEUE,
    EXEC_SYNC_OUTPUT_LIMIT_BYTES, ExecOutput, ExecRequest, Reader, Resize, Runtime, RuntimeEvent,
    RuntimeStatus, SandboxId, SandboxState, SandboxStatus, Stats, Streams, Version, Writer,
    signal_number,
};
pub use caps::{Cap, CapSet, UnknownCap, default_set as default_capabilities};
pub use config::{
    ContainerConfig, DEFAULT_MASKED_PATHS, DEFAULT_READONLY_PATHS, Device, LogRotation, Mount,
    Network, Propagation, Resources, RootFs, SandboxConfig, SeccompProfile, User,
};
pub use embedded::{EmbeddedRuntime, Options, Purged, purge};
pub use error::RuntimeError;
pub use fake::{Behaviour, Call, ExecHandler, FakeRuntime};
pub use seccomp::SeccompError;

/// Runs this process as a part of the runtime if its arguments say so; returns its exit code then.
///
/// A binary that uses [`EmbeddedRuntime`] must call this first thing in `main`, before it starts a thread, and end with
/// the code it gets. `None` means that the arguments are the binary's own.
pub fn dispatch(args: impl IntoIterator<Item = OsString>) -> Option<i32> {
    let mut args = args.into_iter().skip(1);
    if args.next()? != shim::ARGUMENT {
        return None;
    }
    Some(shim::main(&args.collect::<Vec<_>>()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dispatch_leaves_other_arguments_alone() {
        for args in [
            &["kogge"][..],
            &["kogge", "up"],
            &["kogge", "--help", shim::ARGUMENT],
            &[],
        ] {
            assert_eq!(dispatch(args.iter().map(OsString::from)), None, "{args:?}");
        }
        assert_eq!(
            dispatch(["kogge", shim::ARGUMENT].map(OsString::from)),
            Some(2),
            "a shim needs a directory"
        );
    }
}
