//! First contact: the lock of a state directory, new shims, and subscriptions to those that run.
//!
//! Reads and writes the state directory. Invariant: nothing is started without the lock.

use std::fs;
use std::io::{self, Read, Write};
use std::os::fd::AsRawFd;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::time::Duration;

use tokio::io::{AsyncBufReadExt, BufReader};

use super::link::Link;
use super::{CALL, LOCK_FILE};
use crate::api::{SandboxState, SandboxStatus};
use crate::error::RuntimeError;
use crate::shim::proto::{Reply, Request, Snapshot};
use crate::shim::{ARGUMENT, READY, SandboxFile};
use crate::sys;

/// How long a shim may take to set its sandbox up.
const SHIM_START: Duration = Duration::from_secs(30);
/// Takes the lock of a state directory; released when the file closes, however the process ends.
pub(super) fn lock(state_dir: &Path) -> Result<fs::File, RuntimeError> {
    let path = state_dir.join(LOCK_FILE);
    let mut file = fs::OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(&path)
        .map_err(RuntimeError::io("open", &path))?;
    // SAFETY: flock on a descriptor we hold.
    let locked = unsafe { libc::flock(file.as_raw_fd(), libc::LOCK_EX | libc::LOCK_NB) };
    if let Err(error) = sys::check(locked.into()) {
        if error.kind() != io::ErrorKind::WouldBlock {
            return Err(RuntimeError::io("lock", path)(error));
        }
        let mut pid = String::new();
        // Only for the message.
        let _ = (&file).take(32).read_to_string(&mut pid);
        return Err(RuntimeError::InUse {
            path: state_dir.to_owned(),
            pid: pid.trim().to_owned(),
        });
    }
    let written = file
        .set_len(0)
        .and_then(|()| writeln!(file, "{}", std::process::id()));
    written.map_err(RuntimeError::io("write", &path))?;
    Ok(file)
}

pub(super) fn initial_status(file: &SandboxFile) -> SandboxStatus {
    let config = &file.config;
    SandboxStatus {
        id: file.id.clone(),
        name: config.name.clone(),
        namespace: config.namespace.clone(),
        uid: config.uid.clone(),
        attempt: config.attempt,
        state: SandboxState::NotReady,
        created_at: file.created_at,
        labels: config.labels.clone(),
        annotations: config.annotations.clone(),
        cgroup_parent: config.cgroup_parent.clone(),
        network: config.network.clone(),
    }
}

pub(super) fn write_private(path: &Path, bytes: &[u8]) -> Result<(), RuntimeError> {
    let opened = fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path);
    opened
        .and_then(|mut file| file.write_all(bytes))
        .map_err(RuntimeError::io("write", path))
}

/// 64 hexadecimal digits that nobody had before.
pub(super) fn new_id() -> Result<String, RuntimeError> {
    let mut bytes = [0; 32];
    sys::random(&mut bytes).map_err(RuntimeError::io("read", "random numbers"))?;
    Ok(bytes.iter().map(|b| format!("{b:02x}")).collect())
}

/// Starts the shim process. It is reaped by a task of its own, or by init once this process is gone.
pub(super) async fn launch(dir: &Path) -> Result<(), RuntimeError> {
    let log = dir.join("shim.log");
    let errors = fs::OpenOptions::new()
        .create(true)
        .append(true)
        .mode(0o600)
        .open(&log);
    let mut child = tokio::process::Command::new("/proc/self/exe")
        .arg0("kogge-shim")
        .arg(ARGUMENT)
        .arg(dir)
        .env_clear()
        .current_dir("/")
        .stdin(std::process::Stdio::null())
        .stdout(std::process::Stdio::piped())
        .stderr(errors.map_err(RuntimeError::io("open", &log))?)
        .spawn()
        .map_err(RuntimeError::io("start shim for", dir))?;
    let stdout = child.stdout.take();
    tokio::spawn(async move { drop(child.wait().await) });
    let mut line = String::new();
    if let Some(stdout) = stdout {
        let mut reader = BufReader::new(stdout);
        match tokio::time::timeout(SHIM_START, reader.read_line(&mut line)).await {
            Ok(read) => drop(read.map_err(RuntimeError::io("read from shim of", dir))?),
            Err(_) => {
                return Err(RuntimeError::Failed(format!(
                    "shim was not ready after {SHIM_START:?}"
                )));
            }
        }
    }
    match line.trim() {
        READY => Ok(()),
        "" => Err(RuntimeError::Failed("shim ended while starting".to_owned())),
        message => Err(RuntimeError::Failed(message.to_owned())),
    }
}

/// Connects to a shim for its events; the first reply is everything it knows.
pub(super) async fn subscribe(dir: &Path) -> io::Result<(Link, Snapshot)> {
    let connect = async {
        let mut link = Link::open(dir, Request::Subscribe).await?;
        match link.receive().await? {
            (Reply::Snapshot(snapshot), _) => Ok((link, snapshot)),
            (other, _) => Err(io::Error::other(format!("unexpected reply {other:?}"))),
        }
    };
    tokio::time::timeout(CALL, connect)
        .await
        .unwrap_or_else(|_| Err(io::Error::from(io::ErrorKind::TimedOut)))
}
