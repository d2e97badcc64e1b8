//! A document that is made once and sent often: bytes, hash, compressed form.
//!
//! Pure. Invariant: the hash is of the bytes, so equal documents have equal tags on
//! every instance.

use std::io::Write as _;
use std::sync::OnceLock;

use bytes::Bytes;
use sha2::{Digest as _, Sha512};

/// Below this size compression costs more than it saves (upstream's threshold).
pub const GZIP_THRESHOLD_BYTES: usize = 128 * 1024;

/// A document with its entity tag.
#[derive(Debug)]
pub struct Document {
    /// The document.
    pub bytes: Bytes,
    /// SHA-512 of the bytes in upper-case hex, as upstream names documents.
    pub hash: String,
    gzip: OnceLock<Option<Bytes>>,
}

impl Document {
    /// Takes the bytes of a document.
    pub fn new(bytes: impl Into<Bytes>) -> Self {
        let bytes = bytes.into();
        Self {
            hash: hash(&bytes),
            bytes,
            gzip: OnceLock::new(),
        }
    }

    /// The value of the `ETag` header: the hash in quotes.
    pub fn etag(&self) -> String {
        format!("\"{}\"", self.hash)
    }

    /// Whether an `If-None-Match` header names this document.
    pub fn matches(&self, if_none_match: &str) -> bool {
        let named = |tag: &str| {
            let tag = tag.trim();
            let tag = tag.strip_prefix("W/").unwrap_or(tag);
            tag == "*" || tag.trim_matches('"') == self.hash
        };
        if_none_match.split(',').any(named)
    }

    /// The gzip form, made at its first use; `None` for documents below
    /// [`GZIP_THRESHOLD_BYTES`].
    pub fn gzip(&self) -> Option<Bytes> {
        let make = || {
            if self.bytes.len() < GZIP_THRESHOLD_BYTES {
                return None;
            }
            compress(&self.bytes).ok()
        };
        self.gzip.get_or_init(make).clone()
    }
}

/// SHA-512 in upper-case hex.
pub fn hash(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789ABCDEF";
    let mut text = String::with_capacity(128);
    for byte in Sha512::digest(bytes) {
        text.push(char::from(DIGITS[usize::from(byte >> 4)]));
        text.push(char::from(DIGITS[usize::from(byte & 15)]));
    }
    text
}

fn compress(bytes: &[u8]) -> std::io::Result<Bytes> {
    // Level 1, as upstream: the documents are very repetitive, higher levels only
    // cost time.
    let level = flate2::Compression::fast();
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), level);
    encoder.write_all(bytes)?;
    Ok(Bytes::from(encoder.finish()?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Read as _;

    #[test]
    fn the_tag_is_the_hash_of_the_bytes() {
        let document = Document::new("abc");
        assert!(document.etag().starts_with("\"DDAF35A193617ABA"));
        assert_eq!(document.hash.len(), 128);
        assert!(document.matches(&format!("\"x\", W/{}", document.etag())));
        assert!(!document.matches("\"x\""));
    }

    #[test]
    fn only_large_documents_are_compressed() {
        assert!(Document::new("abc").gzip().is_none());
        let large = "0123456789".repeat(GZIP_THRESHOLD_BYTES / 10 + 1);
        let packed = Document::new(large.clone()).gzip().unwrap();
        assert!(packed.len() < large.len() / 10);
        let mut text = String::new();
        let mut reader = flate2::read::GzDecoder::new(packed.as_ref());
        reader.read_to_string(&mut text).unwrap();
        assert_eq!(text, large);
    }
}
