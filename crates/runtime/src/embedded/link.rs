//! The agent's side of a connection to a shim.
//!
//! Reads and writes one Unix socket. Invariant: replies come in the order of their frames, each with its descriptors.

use std::collections::VecDeque;
use std::io;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::path::Path;

use tokio::io::{AsyncWriteExt, Interest};
use tokio::net::UnixStream;

use crate::shim::proto::{self, Envelope, MAX_FRAME_BYTES, Reply, Request};
use crate::shim::{SANDBOX_FILE, SOCKET};
use crate::sys;

/// Bytes taken from the socket at once.
const READ_BYTES: usize = 64 << 10;

pub(super) struct Link {
    stream: UnixStream,
    input: Vec<u8>,
    fds: VecDeque<OwnedFd>,
}

impl Link {
    /// Connects to the shim of a sandbox and sends a request.
    pub(super) async fn open(dir: &Path, request: Request) -> io::Result<Self> {
        // By way of a descriptor, since socket names have little room and the state directory may lie deep.
        let handle = std::fs::File::open(dir)?;
        let name = format!("/proc/self/fd/{}/{SOCKET}", handle.as_raw_fd());
        let mut stream = UnixStream::connect(&name).await?;
        let envelope = Envelope {
            version: proto::VERSION,
            request,
        };
        let bytes = proto::encode(&envelope).map_err(io::Error::other)?;
        stream.write_all(&bytes).await?;
        Ok(Self {
            stream,
            input: Vec::new(),
            fds: VecDeque::new(),
        })
    }

    /// The next reply. Cancel-safe: what was read stays here.
    pub(super) async fn receive(&mut self) -> io::Result<(Reply, Vec<OwnedFd>)> {
        loop {
            if let Some(reply) =
                proto::decode::<Reply>(&mut self.input).map_err(io::Error::other)?
            {
                let count = match &reply {
                    Reply::Streams { ends, .. } => ends.len().min(self.fds.len()),
                    _ => 0,
                };
                return Ok((reply, self.fds.drain(..count).collect()));
            }
            self.stream.readable().await?;
            let mut buffer = vec![0; READ_BYTES.min(MAX_FRAME_BYTES)];
            let stream = &self.stream;
            match stream.try_io(Interest::READABLE, || {
                sys::recv_with_fds(stream.as_fd(), &mut buffer)
            }) {
                Ok((0, _)) => return Err(io::Error::from(io::ErrorKind::UnexpectedEof)),
                Ok((n, fds)) => {
                    self.input.extend_from_slice(&buffer[..n]);
                    self.fds.extend(fds);
                }
                Err(e)
                    if matches!(
                        e.kind(),
                        io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted
                    ) => {}
                Err(e) => return Err(e),
            }
        }
    }
}

/// Finds the shim of a sandbox by its command line; works however it was started and whatever became of its files.
pub(super) fn find_shim(dir: &Path) -> Option<i32> {
    debug_assert!(
        dir.is_absolute(),
        "shims are started with absolute directories, such as the parent of {SANDBOX_FILE}"
    );
    let wanted = std::os::unix::ffi::OsStrExt::as_bytes(dir.as_os_str());
    std::fs::read_dir("/proc")
        .ok()?
        .flatten()
        .find_map(|entry| {
            let pid = entry.file_name().to_str()?.parse::<i32>().ok()?;
            let line = std::fs::read(entry.path().join("cmdline")).ok()?;
            let mut args = line.split(|b| *b == 0).skip(1);
            let ours = args.next()? == crate::shim::ARGUMENT.as_bytes() && args.next()? == wanted;
            ours.then_some(pid)
        })
}
