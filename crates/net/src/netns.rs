//! Network namespaces: making and pinning them, and doing things inside.
//!
//! A namespace belongs to a thread, so entering one is done only by threads
//! made for it, never by a worker of an executor. A socket stays in the
//! namespace it was made in, whichever thread uses it later: so ports of a pod
//! are reached by opening a socket inside and using it outside.
//! Reads /proc; writes pin files (a bind mount of the namespace on an empty file).

use crate::error::{NetError, gone_is_fine};
use crate::netlink::route::RouteSocket;
use nix::mount::{MntFlags, MsFlags, mount, umount2};
use nix::sched::{CloneFlags, setns, unshare};
use nix::sys::socket::{AddressFamily, SockFlag, SockType, socket};
use std::fs::{self, File};
use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::time::Duration;
use tokio::net::{TcpSocket, TcpStream, UdpSocket};

/// The calling thread's own namespace.
const OWN: &str = "/proc/thread-self/ns/net";

/// A handle on a network namespace; it lives at least as long as the handle.
#[derive(Debug)]
pub struct Netns {
    path: PathBuf,
    file: File,
}

impl Netns {
    /// The namespace of the calling thread.
    ///
    /// # Errors
    /// When /proc is not mounted.
    pub fn current() -> Result<Self, NetError> {
        Self::open(OWN)
    }

    /// The namespace pinned at `path` (or a `/proc/PID/ns/net`).
    ///
    /// # Errors
    /// When there is nothing at `path`.
    pub fn open(path: impl Into<PathBuf>) -> Result<Self, NetError> {
        let path = path.into();
        match File::open(&path) {
            Ok(file) => Ok(Self { path, file }),
            Err(source) => Err(NetError::Namespace {
                op: "open",
                path,
                source,
            }),
        }
    }

    /// Makes a new namespace pinned at `path`, its loopback up. The parent directory is made.
    ///
    /// # Errors
    /// When not root, or when something is pinned there already.
    pub fn create(path: impl Into<PathBuf>) -> Result<Self, NetError> {
        let path = path.into();
        let fail = |op: &'static str| {
            let path = path.clone();
            move |source: io::Error| NetError::Namespace { op, path, source }
        };
        if let Some(parent) = path.parent() {
            fs::create_dir_all(parent).map_err(fail("make the directory of"))?;
        }
        if is_pinned(&path) {
            return Err(fail("create")(io::Error::from_raw_os_error(libc::EEXIST)));
        }
        File::create(&path).map_err(fail("make the pin file of"))?;
        let pin = path.clone();
        let made = on_thread(&path, move || {
            let fail = |op| move |e: nix::errno::Errno| (op, io::Error::from(e));
            unshare(CloneFlags::CLONE_NEWNET).map_err(fail("unshare"))?;
            mount(
                Some(OWN),
                &pin,
                None::<&str>,
                MsFlags::MS_BIND,
                None::<&str>,
            )
            .map_err(fail("pin"))
        })?;
        if let Err((op, source)) = made {
            // Nothing is pinned there, so the empty file is ours to take away.
            let _ = fs::remove_file(&path);
            return Err(fail(op)(source));
        }
        let ns = Self::open(path)?;
        ns.run(|| {
            let mut route = RouteSocket::open()?;
            match route.link("lo")? {
                Some(lo) => route.set_up(lo.index),
                None => Ok(()),
            }
        })??;
        Ok(ns)
    }

    /// Unpins the namespace at `path`; without one this does nothing. It ends
    /// when its last process and socket have gone.
    ///
    /// # Errors
    /// When not root.
    pub fn remove(path: &Path) -> Result<(), NetError> {
        let fail = |op, source| NetError::Namespace {
            op,
            path: path.to_owned(),
            source,
        };
        // A pin may have been mounted over twice by an interrupted run.
        while is_pinned(path) {
            umount2(path, MntFlags::MNT_DETACH).map_err(|e| fail("unpin", e.into()))?;
        }
        match fs::remove_file(path) {
            Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(()),
            other => gone_is_fine(other.map_err(|e| fail("remove the pin file of", e))),
        }
    }

    /// Where the namespace is pinned.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Runs `work` inside the namespace, on a thread made for it, and waits.
    ///
    /// Blocks the caller: from async code use it only for quick work.
    ///
    /// # Errors
    /// When the namespace cannot be entered or `work` panics.
    pub fn run<T: Send>(&self, work: impl FnOnce() -> T + Send) -> Result<T, NetError> {
        let entered = on_thread(&self.path, || {
            setns(&self.file, CloneFlags::CLONE_NEWNET).map(|()| work())
        })?;
        entered.map_err(|e| NetError::Namespace {
            op: "enter",
            path: self.path.clone(),
            source: e.into(),
        })
    }

    /// A new socket inside, for instance to bind or to connect later.
    ///
    /// # Errors
    /// When the namespace cannot be entered or the kernel refuses.
    pub fn socket(&self, family: AddressFamily, kind: SockType) -> Result<OwnedFd, NetError> {
        let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
        self.run(|| socket(family, kind, flags, None))?
            .map_err(|e| NetError::Namespace {
                op: "open a socket in",
                path: self.path.clone(),
                source: e.into(),
            })
    }

    /// Connects to `to` from inside (port forwarding, probes).
    ///
    /// # Errors
    /// What connecting says; `TimedOut` after `limit`.
    pub async fn connect(&self, to: SocketAddr, limit: Duration) -> io::Result<TcpStream> {
        let fd = self
            .socket(family_of(to), SockType::Stream)
            .map_err(io::Error::other)?;
        let socket = TcpSocket::from_std_stream(fd.into());
        match tokio::time::timeout(limit, socket.connect(to)).await {
            Ok(done) => done,
            Err(_) => Err(io::Error::new(
                io::ErrorKind::TimedOut,
                format!("no answer from {to} in {limit:?}"),
            )),
        }
    }

    /// A UDP socket bound to `at` inside.
    ///
    /// # Errors
    /// What binding says.
    pub fn udp(&self, at: SocketAddr) -> io::Result<UdpSocket> {
        let bound = self.run(|| {
            let socket = std::net::UdpSocket::bind(at)?;
            socket.set_nonblocking(true)?;
            Ok::<_, io::Error>(socket)
        });
        UdpSocket::from_std(bound.map_err(io::Error::other)??)
    }

    /// A TCP listener at `at` inside.
    ///
    /// # Errors
    /// What binding says.
    pub fn listen(&self, at: SocketAddr) -> io::Result<tokio::net::TcpListener> {
        let bound = self.run(|| {
            let listener = std::net::TcpListener::bind(at)?;
            listener.set_nonblocking(true)?;
            Ok::<_, io::Error>(listener)
        });
        tokio::net::TcpListener::from_std(bound.map_err(io::Error::other)??)
    }
}

impl AsFd for Netns {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.file.as_fd()
    }
}

/// Whether a namespace (and not just a file) is at `path`.
#[must_use]
pub fn is_pinned(path: &Path) -> bool {
    const NSFS_MAGIC: i64 = 0x6e73_6673;
    nix::sys::statfs::statfs(path).is_ok_and(|s| s.filesystem_type().0 == NSFS_MAGIC)
}

fn family_of(addr: SocketAddr) -> AddressFamily {
    match addr {
        SocketAddr::V4(_) => AddressFamily::Inet,
        SocketAddr::V6(_) => AddressFamily::Inet6,
    }
}

fn on_thread<T: Send>(path: &Path, work: impl FnOnce() -> T + Send) -> Result<T, NetError> {
    std::thread::scope(|scope| {
        let builder = std::thread::Builder::new().name("netns".to_owned());
        let thread = builder
            .spawn_scoped(scope, work)
            .map_err(|source| NetError::Namespace {
                op: "start a thread for",
                path: path.to_owned(),
                source,
            })?;
        thread.join().map_err(|_| NetError::ThreadPanicked {
            path: path.to_owned(),
        })
    })
}
