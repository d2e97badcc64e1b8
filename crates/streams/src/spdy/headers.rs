//! SPDY header blocks: names and values, compressed with zlib over the whole
//! connection and a preset dictionary.
//!
//! Pure. Invariants: names are lower-case on the wire; a block that grows past
//! [`MAX_HEADER_BLOCK`] or [`MAX_HEADERS`] is refused, however small it came.

use std::sync::LazyLock;

use flate2::{Compress, Compression, Decompress, FlushCompress, FlushDecompress, Status};

use super::frame::FrameError;

/// Bytes of one header block, unpacked.
pub(crate) const MAX_HEADER_BLOCK: usize = 64 * 1024;
/// Headers in one block.
pub(crate) const MAX_HEADERS: usize = 256;

/// The words of the dictionary in SPDY/3 (section 2.6.10.1), each of which
/// stands there behind its length, and then the rest, which stands as it is.
const DICTIONARY_WORDS: &[&str] = &[
    "options",
    "head",
    "post",
    "put",
    "delete",
    "trace",
    "accept",
    "accept-charset",
    "accept-encoding",
    "accept-language",
    "accept-ranges",
    "age",
    "allow",
    "authorization",
    "cache-control",
    "connection",
    "content-base",
    "content-encoding",
    "content-language",
    "content-length",
    "content-location",
    "content-md5",
    "content-range",
    "content-type",
    "date",
    "etag",
    "expect",
    "expires",
    "from",
    "host",
    "if-match",
    "if-modified-since",
    "if-none-match",
    "if-range",
    "if-unmodified-since",
    "last-modified",
    "location",
    "max-forwards",
    "pragma",
    "proxy-authenticate",
    "proxy-authorization",
    "range",
    "referer",
    "retry-after",
    "server",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "user-agent",
    "vary",
    "via",
    "warning",
    "www-authenticate",
    "method",
    "get",
    "status",
    "200 OK",
    "version",
    "HTTP/1.1",
    "url",
    "public",
    "set-cookie",
    "keep-alive",
    "origin",
];
const DICTIONARY_REST: &str = concat!(
    "10010120120220520630030230330430530630740240540640740840941041141241341441541641",
    "7502504505203 Non-Authoritative Information204 No Content301 Moved Permanently40",
    "0 Bad Request401 Unauthorized403 Forbidden404 Not Found500 Internal Server Error",
    "501 Not Implemented503 Service UnavailableJan Feb Mar Apr May Jun Jul Aug Sept O",
    "ct Nov Dec 00:00:00 Mon, Tue, Wed, Thu, Fri, Sat, Sun, GMTchunked,text/html,imag",
    "e/png,image/jpg,image/gif,application/xml,application/xhtml+xml,text/plain,text/",
    "javascript,publicprivatemax-age=gzip,deflate,sdchcharset=utf-8charset=iso-8859-1",
    ",utf-,*,enq=0.",
);

static DICTIONARY: LazyLock<Vec<u8>> = LazyLock::new(|| {
    let mut bytes = Vec::new();
    for word in DICTIONARY_WORDS {
        put_text(&mut bytes, word);
    }
    bytes.extend_from_slice(DICTIONARY_REST.as_bytes());
    bytes
});

/// Headers of a stream, names in lower case.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(crate) struct Headers(Vec<(String, String)>);

impl Headers {
    pub(crate) fn new(pairs: &[(&str, &str)]) -> Self {
        let pairs = pairs.iter();
        Self(
            pairs
                .map(|(name, value)| (name.to_ascii_lowercase(), (*value).to_owned()))
                .collect(),
        )
    }

    /// The first value under a name, in any case of letters.
    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        let found = self.0.iter().find(|(n, _)| n.eq_ignore_ascii_case(name));
        found.map(|(_, value)| value.split('\0').next().unwrap_or(value))
    }

    fn encode(&self) -> Vec<u8> {
        let mut block = Vec::new();
        block.extend_from_slice(&length(self.0.len()));
        for (name, value) in &self.0 {
            put_text(&mut block, name);
            put_text(&mut block, value);
        }
        block
    }

    fn decode(block: &[u8]) -> Result<Self, FrameError> {
        let mut rest = block;
        let count = take_length(&mut rest)?;
        if count > MAX_HEADERS {
            return Err(FrameError::TooManyHeaders(count));
        }
        let mut pairs = Vec::with_capacity(count);
        for _ in 0..count {
            let name = take_text(&mut rest)?;
            pairs.push((name.to_ascii_lowercase(), take_text(&mut rest)?));
        }
        Ok(Self(pairs))
    }
}

fn length(size: usize) -> [u8; 4] {
    // Only our own header blocks are written, of a few dozen bytes.
    u32::try_from(size).unwrap_or(u32::MAX).to_be_bytes()
}

fn put_text(into: &mut Vec<u8>, text: &str) {
    into.extend_from_slice(&length(text.len()));
    into.extend_from_slice(text.as_bytes());
}

fn take_length(rest: &mut &[u8]) -> Result<usize, FrameError> {
    let (head, tail) = rest
        .split_first_chunk::<4>()
        .ok_or(FrameError::CutHeaders)?;
    *rest = tail;
    Ok(u32::from_be_bytes(*head) as usize)
}

fn take_text(rest: &mut &[u8]) -> Result<String, FrameError> {
    let size = take_length(rest)?;
    let (text, tail) = rest.split_at_checked(size).ok_or(FrameError::CutHeaders)?;
    *rest = tail;
    String::from_utf8(text.to_vec()).map_err(|_| FrameError::HeaderText)
}

/// Packs the header blocks of one direction of one connection.
pub(crate) struct Packer(Compress);

impl Packer {
    pub(crate) fn new() -> Result<Self, FrameError> {
        let mut zlib = Compress::new(Compression::fast(), true);
        zlib.set_dictionary(&DICTIONARY)
            .map_err(|_| FrameError::Compression)?;
        Ok(Self(zlib))
    }

    pub(crate) fn pack(&mut self, headers: &Headers) -> Result<Vec<u8>, FrameError> {
        let block = headers.encode();
        let mut packed = Vec::with_capacity(block.len() + 64);
        let start = self.0.total_in();
        loop {
            let done = usize::try_from(self.0.total_in() - start).unwrap_or(block.len());
            self.0
                .compress_vec(&block[done..], &mut packed, FlushCompress::Sync)
                .map_err(|_| FrameError::Compression)?;
            let taken = self.0.total_in() - start == block.len() as u64;
            // Room left over says that the flush was complete.
            if taken && packed.len() < packed.capacity() {
                return Ok(packed);
            }
            packed.reserve(256);
        }
    }
}

/// Unpacks the header blocks of one direction of one connection.
pub(crate) struct Unpacker(Decompress);

impl Unpacker {
    pub(crate) fn new() -> Self {
        Self(Decompress::new(true))
    }

    pub(crate) fn unpack(&mut self, packed: &[u8]) -> Result<Headers, FrameError> {
        let mut block = Vec::with_capacity(1024);
        let start = self.0.total_in();
        loop {
            let done = usize::try_from(self.0.total_in() - start).unwrap_or(packed.len());
            let before = (self.0.total_in(), block.len());
            let rest = packed.get(done..).unwrap_or_default();
            match self
                .0
                .decompress_vec(rest, &mut block, FlushDecompress::Sync)
            {
                Ok(Status::StreamEnd) => return Err(FrameError::Compression),
                Ok(_) => {}
                Err(error) if error.needs_dictionary().is_some() => {
                    self.0
                        .set_dictionary(&DICTIONARY)
                        .map_err(|_| FrameError::Compression)?;
                    continue;
                }
                Err(_) => return Err(FrameError::Compression),
            }
            if block.len() > MAX_HEADER_BLOCK {
                return Err(FrameError::HeaderBlock);
            }
            let all = self.0.total_in() - start == packed.len() as u64;
            if all && block.len() < block.capacity() {
                return Headers::decode(&block);
            }
            if block.len() < block.capacity() && before == (self.0.total_in(), block.len()) {
                return Err(FrameError::Compression);
            }
            block.reserve(1024);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_dictionary_is_the_one_of_the_draft() {
        assert_eq!(DICTIONARY.len(), 1423);
        let (mut a, mut b) = (1_u32, 0_u32);
        for byte in DICTIONARY.iter() {
            a = (a + u32::from(*byte)) % 65521;
            b = (b + a) % 65521;
        }
        assert_eq!(b << 16 | a, 0xe3c6_a7c2);
    }

    #[test]
    fn blocks_of_one_connection_are_unpacked_in_order() {
        let mut packer = Packer::new().unwrap();
        let mut unpacker = Unpacker::new();
        for index in 0..50 {
            let port = index.to_string();
            let headers = Headers::new(&[("streamType", "data"), ("port", &port)]);
            let packed = packer.pack(&headers).unwrap();
            let back = unpacker.unpack(&packed).unwrap();
            assert_eq!(back, headers);
            assert_eq!(back.get("streamtype"), Some("data"));
            assert_eq!(back.get("Port"), Some(&port[..]));
        }
    }

    #[test]
    fn a_large_block_is_unpacked_whole() {
        let value = "x".repeat(MAX_HEADER_BLOCK - 100);
        let headers = Headers::new(&[("a", &value)]);
        let packed = Packer::new().unwrap().pack(&headers).unwrap();
        assert_eq!(Unpacker::new().unpack(&packed).unwrap(), headers);
    }

    #[test]
    fn a_block_that_grows_too_far_is_refused() {
        let value = "x".repeat(MAX_HEADER_BLOCK * 100);
        let headers = Headers::new(&[("a", &value)]);
        let packed = Packer::new().unwrap().pack(&headers).unwrap();
        assert!(packed.len() < MAX_HEADER_BLOCK);
        let error = Unpacker::new().unpack(&packed).unwrap_err();
        assert!(matches!(error, FrameError::HeaderBlock), "{error}");
    }

    #[test]
    fn rubbish_is_refused() {
        for rubbish in [&b""[..], b"hello", &[0x78, 0x9c, 0xff, 0xff], &[0; 40]] {
            assert!(Unpacker::new().unpack(rubbish).is_err(), "{rubbish:?}");
        }
    }

    #[test]
    fn a_count_that_the_block_does_not_hold_is_refused() {
        for block in [
            &[0, 0, 0][..],
            &[0, 0, 0, 1],
            &[0, 0, 0, 1, 0, 0, 0, 9, b'a'],
            &[0xff, 0xff, 0xff, 0xff],
        ] {
            assert!(Headers::decode(block).is_err(), "{block:?}");
        }
    }
}
