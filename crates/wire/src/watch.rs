//! Watch frames: one line of JSON an event.

use bytes::{BufMut as _, Bytes, BytesMut};

/// What happened to an object.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum EventType {
    /// It is new, or new to the selection.
    Added,
    /// It changed.
    Modified,
    /// It is gone, or out of the selection.
    Deleted,
    /// Nothing: a revision up to which everything was sent.
    Bookmark,
    /// The watch ends with a `Status`.
    Error,
}

impl EventType {
    /// The text on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Added => "ADDED",
            Self::Modified => "MODIFIED",
            Self::Deleted => "DELETED",
            Self::Bookmark => "BOOKMARK",
            Self::Error => "ERROR",
        }
    }
}

/// Bytes of a frame besides its object.
const FRAME_OVERHEAD: usize = 40;

/// Appends a frame, so that several go out in one write.
pub fn put_frame(out: &mut BytesMut, event: EventType, object: &[u8]) {
    let object = object.trim_ascii_end();
    out.reserve(object.len() + FRAME_OVERHEAD);
    out.put_slice(b"{\"type\":\"");
    out.put_slice(event.as_str().as_bytes());
    out.put_slice(b"\",\"object\":");
    out.put_slice(object);
    out.put_slice(b"}\n");
}

/// One frame.
pub fn frame(event: EventType, object: &[u8]) -> Bytes {
    let mut out = BytesMut::new();
    put_frame(&mut out, event, object);
    out.freeze()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_are_lines() {
        let mut out = BytesMut::new();
        put_frame(&mut out, EventType::Added, b"{\"a\":1}\n");
        put_frame(&mut out, EventType::Bookmark, b"{}");
        assert_eq!(
            out,
            "{\"type\":\"ADDED\",\"object\":{\"a\":1}}\n{\"type\":\"BOOKMARK\",\"object\":{}}\n"
        );
        assert_eq!(
            frame(EventType::Error, b"{}"),
            "{\"type\":\"ERROR\",\"object\":{}}\n"
        );
    }
}
