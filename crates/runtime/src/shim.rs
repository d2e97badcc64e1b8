//! The shim: one small process per pod that owns its containers and outlives the agent.
//!
//! Reads `sandbox.json` in its directory, written by the agent; writes `state.json` there (what the agent reads if the
//! shim has died), container logs, and control groups; serves [`proto`] on `shim.sock`.
//!
//! Invariants: a single thread, one `poll(2)` loop, no waiting anywhere else but in system calls on local files; the
//! shim is the parent of every process it starts and alone reaps them, so their pids cannot be reused behind its
//! back; what it reports as exited has its output in the log and no process left.

mod conn;
mod container;
mod events;
mod namespaces;
mod ops;
pub(crate) mod proto;
mod spawn;

use std::collections::BTreeMap;
use std::ffi::{CString, OsString};
use std::fs;
use std::io::{self, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::api::{SandboxId, SandboxState, SandboxStatus};
use crate::cgroup::Cgroups;
use crate::config::SandboxConfig;
use crate::sys;
use conn::Conn;
use container::{Child, Container};
use namespaces::Namespaces;

/// First argument of a shim.
pub(crate) const ARGUMENT: &str = "kogge-internal-shim";
/// Third argument of a shim that runs from a read-only view of its binary.
const SEALED: &str = "sealed";
/// Names within a sandbox's directory.
pub(crate) const SANDBOX_FILE: &str = "sandbox.json";
/// What the shim last knew.
pub(crate) const STATE_FILE: &str = "state.json";
/// The shim's socket.
pub(crate) const SOCKET: &str = "shim.sock";
/// What the shim says on its standard output when it serves.
pub(crate) const READY: &str = "ready";
/// The shim's standing with the OOM killer: last to go, like containerd's.
const OOM_SCORE_ADJ: &str = "-998";

/// What the agent leaves for a shim.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct SandboxFile {
    pub(crate) id: SandboxId,
    pub(crate) created_at: i64,
    /// See [`Cgroups::detect`].
    pub(crate) cgroup_base: String,
    pub(crate) config: SandboxConfig,
}

/// A command in a container, until its exit code is delivered.
struct Exec {
    child: Child,
    conn: u64,
    ends: spawn::Ends,
    announced: bool,
}

struct Shim {
    dir: PathBuf,
    config: SandboxConfig,
    cgroups: Cgroups,
    /// Group of the pause process, if there is one.
    pause_group: String,
    namespaces: Namespaces,
    sandbox: SandboxStatus,
    listener: UnixListener,
    signals: OwnedFd,
    next_id: u64,
    conns: BTreeMap<u64, Conn>,
    containers: BTreeMap<String, Container>,
    execs: BTreeMap<u64, Exec>,
    stop_waiters: Vec<u64>,
    /// Whether the sandbox has ended whole.
    stopped: bool,
    /// Whether this process ends with the sandbox.
    shutdown: bool,
}

/// Runs a shim to its end. `args` follow [`ARGUMENT`]: the directory, then maybe [`SEALED`].
pub(crate) fn main(args: &[OsString]) -> i32 {
    let Some(dir) = args.first().map(PathBuf::from) else {
        return 2;
    };
    // What the agent was started with and did not know of must not reach containers.
    // SAFETY: this is the beginning of `main`; nothing has been opened yet.
    unsafe { sys::close_all(false) };
    if args.get(1).is_none_or(|a| a != SEALED) {
        // If the kernel cannot do it, an unsealed shim still works.
        let _ = exec_sealed(&dir);
    }
    let mut shim = match start(&dir) {
        Ok(shim) => shim,
        Err(message) => {
            let _ = writeln!(io::stdout(), "{message}");
            return 1;
        }
    };
    if let Err(error) = announce() {
        eprintln!("announce: {error}");
        return 1;
    }
    match shim.run() {
        Ok(()) => 0,
        Err(error) => {
            eprintln!("shim: {error}");
            1
        }
    }
}

/// Executes this binary once more through a read-only mount of its own that is attached nowhere.
///
/// A container can make the kernel execute `/proc/self/exe` of the process that becomes it, and can then reach the
/// binary by the same link; through this mount it cannot be opened for writing (compare CVE-2019-5736).
fn exec_sealed(dir: &Path) -> io::Result<std::convert::Infallible> {
    let tree = clone_own_binary()?;
    sys::mount_setattr(tree.as_fd(), false, sys::MOUNT_ATTR_RDONLY, 0)?;
    let c = |bytes: &[u8]| CString::new(bytes).map_err(io::Error::other);
    let args = [
        c(b"kogge-shim")?,
        c(ARGUMENT.as_bytes())?,
        c(dir.as_os_str().as_bytes())?,
        c(SEALED.as_bytes())?,
    ];
    Err(sys::execve_fd(tree.as_fd(), &args))
}

/// A detached mount of the file this process runs.
fn clone_own_binary() -> io::Result<OwnedFd> {
    let link = Path::new("/proc/self/exe");
    // Fails if the file was opened in another mount namespace; its name may still lead to it here.
    sys::clone_tree(link, false).or_else(|_| {
        let tree = sys::clone_tree(&fs::read_link(link)?, false)?;
        let (own, found) = (
            fs::metadata(link)?,
            fs::File::from(tree.try_clone()?).metadata()?,
        );
        if (own.dev(), own.ino()) == (found.dev(), found.ino()) {
            Ok(tree)
        } else {
            Err(io::Error::from(io::ErrorKind::NotFound))
        }
    })
}

fn start(dir: &Path) -> Result<Shim, String> {
    let file = dir.join(SANDBOX_FILE);
    let bytes = fs::read(&file).map_err(|e| format!("read {}: {e}", file.display()))?;
    let SandboxFile {
        id,
        created_at,
        cgroup_base,
        config,
    } = serde_json::from_slice(&bytes).map_err(|e| format!("parse {}: {e}", file.display()))?;
    let io = |what: &'static str| move |e: io::Error| format!("{what}: {e}");
    // Fails if it leads a session already, which is just as good.
    let _ = nix::unistd::setsid();
    let _ = fs::write("/proc/self/oom_score_adj", OOM_SCORE_ADJ);
    // Orphans of containers without a PID namespace of their own come to the shim, to be reaped.
    sys::prctl(libc::PR_SET_CHILD_SUBREAPER, 1, 0).map_err(io("become a subreaper"))?;
    nix::sys::stat::umask(nix::sys::stat::Mode::from_bits_truncate(0o027));
    let signals = sys::child_signal_fd().map_err(io("watch children"))?;
    let cgroups = Cgroups::detect(&cgroup_base).map_err(|e| spawn::describe(&e))?;
    cgroups
        .create(&config.cgroup_parent, &config.resources)
        .map_err(|e| spawn::describe(&e))?;
    let pause_group = format!("{}/{id}", config.cgroup_parent);
    let namespaces = namespaces::enter(&config, dir, &cgroups, &pause_group)?;
    // Joining namespaces moved this process to their root; its socket's full name may be too long to bind.
    std::env::set_current_dir(dir).map_err(io("chdir"))?;
    if let Some(text) = &config.resolv_conf {
        fs::write("resolv.conf", text).map_err(io("write resolv.conf"))?;
        fs::set_permissions(
            "resolv.conf",
            std::os::unix::fs::PermissionsExt::from_mode(0o644),
        )
        .map_err(io("write resolv.conf"))?;
    }
    let listener = UnixListener::bind(SOCKET).map_err(io("bind socket"))?;
    listener.set_nonblocking(true).map_err(io("bind socket"))?;
    let sandbox = SandboxStatus {
        id,
        name: config.name.clone(),
        namespace: config.namespace.clone(),
        uid: config.uid.clone(),
        attempt: config.attempt,
        state: SandboxState::Ready,
        created_at,
        labels: config.labels.clone(),
        annotations: config.annotations.clone(),
        cgroup_parent: config.cgroup_parent.clone(),
        network: config.network.clone(),
    };
    let shim = Shim {
        dir: dir.to_owned(),
        config,
        cgroups,
        pause_group,
        namespaces,
        sandbox,
        listener,
        signals,
        next_id: 0,
        conns: BTreeMap::new(),
        containers: BTreeMap::new(),
        execs: BTreeMap::new(),
        stop_waiters: Vec::new(),
        stopped: false,
        shutdown: false,
    };
    shim.persist();
    Ok(shim)
}

/// Tells the agent that the shim serves, and lets go of the pipe it was told on.
fn announce() -> io::Result<()> {
    let mut out = io::stdout();
    writeln!(out, "{READY}")?;
    out.flush()?;
    let null = fs::File::options().write(true).open("/dev/null")?;
    nix::unistd::dup2(std::os::fd::AsRawFd::as_raw_fd(&null), 1)?;
    Ok(())
}
