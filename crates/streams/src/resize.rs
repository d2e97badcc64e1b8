//! Terminal sizes on the resize stream: JSON objects one after another.
//!
//! Invariants: an object past [`MAX_SIZE_TEXT`], or what is no JSON, ends the
//! sizes but not the session, as upstream has it.

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::pipe::{Reader, Writer};

/// Bytes one size may take.
const MAX_SIZE_TEXT: usize = 4096;

/// The size of a terminal, in characters.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct TerminalSize {
    /// Columns.
    pub width: u16,
    /// Rows.
    pub height: u16,
}

/// The sizes a client sends.
pub struct Resizes {
    reader: Reader,
    buffer: Vec<u8>,
}

impl Resizes {
    pub(crate) fn new(reader: Reader) -> Self {
        Self {
            reader,
            buffer: Vec::new(),
        }
    }

    /// The next size; `None` when none comes any more. Cancel-safe.
    pub async fn next(&mut self) -> Option<TerminalSize> {
        loop {
            match take_size(&mut self.buffer) {
                Parsed::Size(size) => return Some(size),
                Parsed::Broken => return None,
                Parsed::Incomplete if self.buffer.len() >= MAX_SIZE_TEXT => return None,
                Parsed::Incomplete => {}
            }
            let read = self.reader.read_buf(&mut self.buffer).await;
            if read.ok().filter(|size| *size > 0).is_none() {
                self.buffer.clear();
                return None;
            }
        }
    }
}

enum Parsed {
    Size(TerminalSize),
    Incomplete,
    Broken,
}

/// Takes the first size out of what has come so far.
fn take_size(buffer: &mut Vec<u8>) -> Parsed {
    let mut values = serde_json::Deserializer::from_slice(buffer).into_iter::<Value>();
    let parsed = match values.next() {
        None => return Parsed::Incomplete,
        Some(Err(error)) if error.is_eof() => return Parsed::Incomplete,
        Some(Err(_)) => return Parsed::Broken,
        Some(Ok(value)) => value,
    };
    let taken = values.byte_offset();
    buffer.drain(..taken);
    // Names in any case of letters, as Go reads them.
    let field = |name: &str| {
        let mut fields = parsed.as_object()?.iter();
        let (_, value) = fields.find(|(key, _)| key.eq_ignore_ascii_case(name))?;
        u16::try_from(value.as_u64()?).ok()
    };
    if !parsed.is_object() {
        return Parsed::Broken;
    }
    Parsed::Size(TerminalSize {
        width: field("Width").unwrap_or(0),
        height: field("Height").unwrap_or(0),
    })
}

/// Sends sizes to a server.
pub struct ResizeSender(pub(crate) Writer);

impl ResizeSender {
    /// Sends a size. An error says that the connection is over.
    pub async fn send(&mut self, size: TerminalSize) -> std::io::Result<()> {
        let text = json!({"Width": size.width, "Height": size.height}).to_string();
        self.0.write_all(format!("{text}\n").as_bytes()).await
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::pipe::{Doorbell, End, Pipe};

    fn resizes() -> (Arc<Pipe>, Resizes) {
        let pipe = Pipe::new(4, &Arc::new(Doorbell::default()));
        (pipe.clone(), Resizes::new(Reader(pipe)))
    }

    fn size(width: u16, height: u16) -> Option<TerminalSize> {
        Some(TerminalSize { width, height })
    }

    #[tokio::test]
    async fn sizes_are_read_wherever_the_bytes_are_cut() {
        let (pipe, mut resizes) = resizes();
        pipe.push(b"{\"Width\":80,\"Height\":24}\n{\"Wid");
        assert_eq!(resizes.next().await, size(80, 24));
        pipe.push(b"th\":132,\"Height\":50}{\"width\":1,\"height\":2}");
        assert_eq!(resizes.next().await, size(132, 50));
        assert_eq!(resizes.next().await, size(1, 2));
        pipe.end(End::Clean);
        assert_eq!(resizes.next().await, None);
    }

    #[tokio::test]
    async fn rubbish_ends_the_sizes() {
        for rubbish in [&b"hello"[..], b"[1]", &[b' '; 5000]] {
            let (pipe, mut resizes) = resizes();
            pipe.push(rubbish);
            assert_eq!(resizes.next().await, None, "{rubbish:?}");
        }
    }
}
