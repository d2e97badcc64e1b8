//! Decompression by content: what a stream is, is read from its first bytes, because names and media types lie.
//!
//! Reads gzip (several members too), zstd and plain bytes. Invariant: output is bounded by the caller's limit.

use std::io::{self, BufReader, Cursor, Read};

use flate2::read::MultiGzDecoder;

use crate::error::{ImageError, Result};

const GZIP: &[u8] = &[0x1f, 0x8b];
const ZSTD: &[u8] = &[0x28, 0xb5, 0x2f, 0xfd];
const BZIP2: &[u8] = b"BZh";
const XZ: &[u8] = &[0xfd, b'7', b'z', b'X', b'Z'];
const MAGIC_BYTES: usize = 5;
const BUFFER_BYTES: usize = 256 * 1024;
/// The largest window a zstd frame may ask for, as a power of two: 128 MiB, as zstd's own tools allow.
const ZSTD_WINDOW_LOG: u32 = 27;

/// Names the limit that ends a stream, and what it is about.
#[derive(Clone, Debug)]
pub(crate) struct Cap {
    pub(crate) limit: &'static str,
    pub(crate) bytes: u64,
    pub(crate) what: String,
}

/// The plain bytes of `source`, at most `cap`.
pub(crate) fn decompress<'a>(
    source: impl Read + Send + 'a,
    cap: Cap,
) -> Result<Box<dyn Read + Send + 'a>> {
    let mut source = BufReader::with_capacity(BUFFER_BYTES, source);
    let mut magic = Vec::with_capacity(MAGIC_BYTES);
    let read = (&mut source)
        .take(MAGIC_BYTES as u64)
        .read_to_end(&mut magic);
    read.map_err(|error| read_error(&cap.what, error))?;
    let is = |signature: &[u8]| magic.starts_with(signature);
    if is(BZIP2) || is(XZ) {
        return Err(ImageError::Unsupported {
            what: cap.what,
            problem: "it is compressed with bzip2 or xz; use gzip, zstd or none".to_owned(),
        });
    }
    let (gzip, zstd) = (is(GZIP), is(ZSTD));
    let whole = Cursor::new(magic).chain(source);
    Ok(if gzip {
        Box::new(Capped::new(MultiGzDecoder::new(whole), cap))
    } else if zstd {
        let failed = |error: io::Error| ImageError::corrupt(cap.what.as_str(), error.to_string());
        let mut decoder = zstd::Decoder::new(whole).map_err(failed)?;
        decoder.window_log_max(ZSTD_WINDOW_LOG).map_err(failed)?;
        Box::new(Capped::new(decoder, cap))
    } else {
        Box::new(Capped::new(whole, cap))
    })
}

/// Fails a read that goes beyond the limit: unlike `take`, which would look like the end of the data.
struct Capped<R> {
    inner: R,
    left: u64,
    cap: Cap,
}

impl<R> Capped<R> {
    fn new(inner: R, cap: Cap) -> Self {
        Self {
            inner,
            left: cap.bytes,
            cap,
        }
    }
}

impl<R: Read> Read for Capped<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.read(buffer)?;
        match self.left.checked_sub(read as u64) {
            Some(left) => self.left = left,
            None => {
                let what = format!("unpacked size of {}", self.cap.what);
                return Err(io::Error::other(ImageError::limit(
                    self.cap.limit,
                    self.cap.bytes,
                    what,
                )));
            }
        }
        Ok(read)
    }
}

/// What a failed read of `what` means: a limit, a cut-off, or damage.
pub(crate) fn read_error(what: &str, error: io::Error) -> ImageError {
    if error
        .get_ref()
        .is_some_and(|inner| inner.is::<ImageError>())
    {
        // The check above proves that there is an inner error of this type.
        if let Some(Ok(inner)) = error
            .into_inner()
            .map(|inner| inner.downcast::<ImageError>())
        {
            return *inner;
        }
        return ImageError::corrupt(what, "reading it failed");
    }
    match error.kind() {
        io::ErrorKind::UnexpectedEof => truncated(what, "the compressed stream ends early"),
        _ => ImageError::corrupt(what, error.to_string()),
    }
}

pub(crate) fn truncated(what: &str, problem: impl Into<String>) -> ImageError {
    ImageError::Truncated {
        what: what.to_owned(),
        problem: problem.into(),
    }
}
