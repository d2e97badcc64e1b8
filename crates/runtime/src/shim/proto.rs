//! What agent and shim say to each other over the shim's Unix socket.
//!
//! A frame is a little-endian `u32` length and that much JSON; descriptors travel beside the first byte of their frame.
//! A connection carries one request and its replies (`Subscribe` and `Exec` have several).
//!
//! Invariants: shims outlive the agent that started them, so a newer agent must speak to an older shim: within one
//! [`VERSION`] requests and replies only gain optional fields; a frame never exceeds [`MAX_FRAME_BYTES`].

use serde::{Deserialize, Serialize};

use crate::api::{AttachRequest, ContainerStatus, ExecRequest, SandboxStatus};
use crate::config::ContainerConfig;
use crate::error::WireError;

/// Version of the protocol.
pub(crate) const VERSION: u32 = 1;

/// Largest frame in bytes; the largest real one is a container with all its environment.
pub(crate) const MAX_FRAME_BYTES: usize = 8 << 20;

#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Envelope {
    pub(crate) version: u32,
    pub(crate) request: Request,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Request {
    Create {
        id: String,
        config: Box<ContainerConfig>,
    },
    Start {
        id: String,
    },
    Stop {
        id: String,
        signal: i32,
        grace_ms: u64,
    },
    Remove {
        id: String,
    },
    Exec {
        id: String,
        request: ExecRequest,
    },
    KillExec {
        exec: u64,
    },
    Attach {
        id: String,
        request: AttachRequest,
    },
    /// Asks for unconnected sockets that live in the sandbox's network.
    Sockets,
    ReopenLog {
        id: String,
    },
    Subscribe,
    StopSandbox,
    /// Stops everything and ends the shim after the reply.
    Shutdown,
}

/// The end of a stream that a descriptor is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum End {
    Stdin,
    Stdout,
    Stderr,
    /// Input, output and size, all in one.
    Terminal,
    /// An IPv4 socket.
    Inet,
    /// An IPv6 socket.
    Inet6,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Reply {
    Done,
    Container(ContainerStatus),
    /// The container is exited with a `start_error`.
    NotStarted(ContainerStatus),
    /// One descriptor comes along for each end.
    Streams {
        exec: u64,
        ends: Vec<End>,
    },
    Exit {
        code: i32,
    },
    Snapshot(Snapshot),
    Event(Event),
    Error(WireError),
}

/// Everything a shim knows; also what it keeps in `state.json`.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Snapshot {
    pub(crate) sandbox: SandboxStatus,
    pub(crate) containers: Vec<ContainerStatus>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Event {
    Created(ContainerStatus),
    Started(ContainerStatus),
    Exited(ContainerStatus),
    Oom(ContainerStatus),
    Removed { id: String },
    SandboxStopped,
}

/// A frame for `message`.
pub(crate) fn encode<T: Serialize>(message: &T) -> Result<Vec<u8>, String> {
    let mut bytes = vec![0; 4];
    serde_json::to_writer(&mut bytes, message).map_err(|e| e.to_string())?;
    let length = bytes.len() - 4;
    if length > MAX_FRAME_BYTES {
        return Err(format!(
            "message of {length} bytes is over the limit of {MAX_FRAME_BYTES}"
        ));
    }
    let length = u32::try_from(length).map_err(|e| e.to_string())?;
    bytes[..4].copy_from_slice(&length.to_le_bytes());
    Ok(bytes)
}

/// Takes the first whole frame off `buffer`, if there is one.
pub(crate) fn decode<T: for<'de> Deserialize<'de>>(
    buffer: &mut Vec<u8>,
) -> Result<Option<T>, String> {
    let Some(head) = buffer.first_chunk::<4>() else {
        return Ok(None);
    };
    let length = usize::try_from(u32::from_le_bytes(*head)).map_err(|e| e.to_string())?;
    if length > MAX_FRAME_BYTES {
        return Err(format!(
            "frame of {length} bytes is over the limit of {MAX_FRAME_BYTES}"
        ));
    }
    if buffer.len() < 4 + length {
        return Ok(None);
    }
    let message = serde_json::from_slice(&buffer[4..4 + length]).map_err(|e| e.to_string());
    buffer.drain(..4 + length);
    message.map(Some)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_survive_any_cut() {
        let one = Envelope {
            version: VERSION,
            request: Request::Start { id: "a".into() },
        };
        let two = Envelope {
            version: VERSION,
            request: Request::Subscribe,
        };
        let bytes = [encode(&one).unwrap(), encode(&two).unwrap()].concat();
        for cut in 0..bytes.len() {
            let mut buffer = Vec::new();
            let mut seen = 0;
            for part in [&bytes[..cut], &bytes[cut..]] {
                buffer.extend_from_slice(part);
                while decode::<Envelope>(&mut buffer).unwrap().is_some() {
                    seen += 1;
                }
            }
            assert_eq!(seen, 2, "cut at {cut}");
        }
    }

    #[test]
    fn oversized_and_broken_frames_are_errors() {
        let mut huge = (u32::MAX).to_le_bytes().to_vec();
        assert!(decode::<Envelope>(&mut huge).unwrap_err().contains("limit"));
        let mut broken = encode(&"nonsense").unwrap();
        assert!(decode::<Envelope>(&mut broken).is_err());
        assert!(broken.is_empty(), "a broken frame is consumed");
    }
}
