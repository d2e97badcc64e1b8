//! Bytes of netlink messages: a builder for requests and a walker for answers.
//!
//! Pure. Invariant: every attribute is padded to four bytes and its length
//! field is right, or the message is marked as overflowing and is never sent.

use crate::error::NetError;

pub(crate) const NLM_F_REQUEST: u16 = 0x1;
pub(crate) const NLM_F_ACK: u16 = 0x4;
pub(crate) const NLM_F_DUMP: u16 = 0x300;
pub(crate) const NLM_F_REPLACE: u16 = 0x100;
pub(crate) const NLM_F_EXCL: u16 = 0x200;
pub(crate) const NLM_F_CREATE: u16 = 0x400;

/// Size of `struct nlmsghdr`.
pub(crate) const HEADER_LEN: usize = 16;
/// The two flag bits in an attribute's type (nested, network byte order).
const ATTR_KIND_MASK: u16 = 0x3fff;
const ATTR_NESTED: u16 = 0x8000;

/// A request under construction.
#[derive(Debug, Clone)]
pub(crate) struct Message {
    op: String,
    buf: Vec<u8>,
    overflow: bool,
}

impl Message {
    /// A message of `kind`; `op` describes it in errors ("add link kg12").
    pub(crate) fn new(kind: u16, flags: u16, op: impl Into<String>) -> Self {
        let mut buf = vec![0; HEADER_LEN];
        buf[4..6].copy_from_slice(&kind.to_ne_bytes());
        buf[6..8].copy_from_slice(&(flags | NLM_F_REQUEST).to_ne_bytes());
        Self {
            op: op.into(),
            buf,
            overflow: false,
        }
    }

    pub(crate) fn op(&self) -> &str {
        &self.op
    }

    pub(crate) fn len(&self) -> usize {
        self.buf.len()
    }

    /// Adds flags to those given at the start.
    pub(crate) fn set_flags(&mut self, flags: u16) {
        let old = u16::from_ne_bytes([self.buf[6], self.buf[7]]);
        self.buf[6..8].copy_from_slice(&(old | flags).to_ne_bytes());
    }

    /// Appends raw bytes: the fixed header that follows `nlmsghdr`.
    pub(crate) fn raw(&mut self, bytes: &[u8]) -> &mut Self {
        self.buf.extend_from_slice(bytes);
        self.pad();
        self
    }

    pub(crate) fn attr(&mut self, kind: u16, value: &[u8]) -> &mut Self {
        let start = self.open(kind);
        self.buf.extend_from_slice(value);
        self.close(start)
    }

    /// A string attribute with its terminating zero.
    pub(crate) fn text(&mut self, kind: u16, value: &str) -> &mut Self {
        let start = self.open(kind);
        self.buf.extend_from_slice(value.as_bytes());
        self.buf.push(0);
        self.close(start)
    }

    pub(crate) fn u8(&mut self, kind: u16, value: u8) -> &mut Self {
        self.attr(kind, &[value])
    }

    /// Host byte order, as rtnetlink wants it.
    pub(crate) fn u32(&mut self, kind: u16, value: u32) -> &mut Self {
        self.attr(kind, &value.to_ne_bytes())
    }

    /// Network byte order, as netfilter wants it.
    pub(crate) fn be32(&mut self, kind: u16, value: u32) -> &mut Self {
        self.attr(kind, &value.to_be_bytes())
    }

    pub(crate) fn be64(&mut self, kind: u16, value: u64) -> &mut Self {
        self.attr(kind, &value.to_be_bytes())
    }

    /// A nested attribute whose content `fill` writes.
    pub(crate) fn nest(&mut self, kind: u16, fill: impl FnOnce(&mut Self)) -> &mut Self {
        let start = self.open(kind | ATTR_NESTED);
        fill(self);
        self.close(start)
    }

    fn open(&mut self, kind: u16) -> usize {
        let start = self.buf.len();
        self.buf.extend_from_slice(&[0, 0]);
        self.buf.extend_from_slice(&kind.to_ne_bytes());
        start
    }

    fn close(&mut self, start: usize) -> &mut Self {
        match u16::try_from(self.buf.len() - start) {
            Ok(len) => self.buf[start..start + 2].copy_from_slice(&len.to_ne_bytes()),
            Err(_) => self.overflow = true,
        }
        self.pad();
        self
    }

    fn pad(&mut self) {
        let len = self.buf.len().next_multiple_of(4);
        self.buf.resize(len, 0);
    }

    /// The finished bytes with `seq` in the header.
    pub(crate) fn finish(mut self, seq: u32) -> Result<Vec<u8>, NetError> {
        let len = u32::try_from(self.buf.len());
        match len {
            Ok(len) if !self.overflow => {
                self.buf[0..4].copy_from_slice(&len.to_ne_bytes());
                self.buf[8..12].copy_from_slice(&seq.to_ne_bytes());
                Ok(self.buf)
            }
            _ => Err(NetError::TooLarge { op: self.op }),
        }
    }
}

/// One message of an answer.
pub(crate) struct Answer<'a> {
    pub(crate) kind: u16,
    pub(crate) flags: u16,
    pub(crate) seq: u32,
    pub(crate) payload: &'a [u8],
}

/// Splits a received datagram into messages; stops at the first malformed one.
pub(crate) fn answers(mut bytes: &[u8]) -> impl Iterator<Item = Answer<'_>> {
    std::iter::from_fn(move || {
        let len = usize::try_from(u32_at(bytes, 0)?).ok()?;
        if len < HEADER_LEN || len > bytes.len() {
            return None;
        }
        let answer = Answer {
            kind: u16_at(bytes, 4)?,
            flags: u16_at(bytes, 6)?,
            seq: u32_at(bytes, 8)?,
            payload: &bytes[HEADER_LEN..len],
        };
        bytes = &bytes[len.next_multiple_of(4).min(bytes.len())..];
        Some(answer)
    })
}

/// Walks the attributes of `bytes`; stops at the first malformed one.
pub(crate) fn attrs(mut bytes: &[u8]) -> impl Iterator<Item = (u16, &[u8])> {
    std::iter::from_fn(move || {
        let len = usize::from(u16_at(bytes, 0)?);
        if len < 4 || len > bytes.len() {
            return None;
        }
        let item = (u16_at(bytes, 2)? & ATTR_KIND_MASK, &bytes[4..len]);
        bytes = &bytes[len.next_multiple_of(4).min(bytes.len())..];
        Some(item)
    })
}

/// The value of the first attribute of `kind`.
pub(crate) fn find(bytes: &[u8], kind: u16) -> Option<&[u8]> {
    attrs(bytes).find(|(k, _)| *k == kind).map(|(_, v)| v)
}

pub(crate) fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_ne_bytes(bytes.get(at..at + 2)?.try_into().ok()?))
}

pub(crate) fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_ne_bytes(bytes.get(at..at + 4)?.try_into().ok()?))
}

/// A zero-terminated (or unterminated) string attribute.
pub(crate) fn string(bytes: &[u8]) -> String {
    let end = bytes.iter().position(|b| *b == 0).unwrap_or(bytes.len());
    String::from_utf8_lossy(&bytes[..end]).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attributes_are_padded_and_walked_back() {
        let mut m = Message::new(7, 0, "test");
        m.text(1, "ab").u8(2, 9).nest(3, |m| {
            m.be32(1, 5);
        });
        let bytes = m.finish(42).unwrap();
        assert_eq!(bytes.len() % 4, 0);
        let a = answers(&bytes).next().unwrap();
        assert_eq!((a.kind, a.seq), (7, 42));
        assert_eq!(string(find(a.payload, 1).unwrap()), "ab");
        assert_eq!(find(a.payload, 2).unwrap(), [9]);
        assert_eq!(
            find(find(a.payload, 3).unwrap(), 1).unwrap(),
            5u32.to_be_bytes()
        );
    }

    #[test]
    fn an_attribute_longer_than_its_length_field_is_refused() {
        let mut m = Message::new(7, 0, "store something huge");
        m.attr(1, &vec![0; 70_000]);
        assert!(
            matches!(m.finish(1), Err(NetError::TooLarge { op }) if op == "store something huge")
        );
    }

    #[test]
    fn truncated_answers_end_the_walk_without_panic() {
        for len in 0..40 {
            let bytes = vec![0xff; len];
            assert_eq!(answers(&bytes).count(), 0);
            assert_eq!(attrs(&bytes).count(), 0);
        }
    }
}
