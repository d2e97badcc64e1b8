//! A streaming tar reader for archives from strangers.
//!
//! Reads ustar, GNU long names and PAX; the header layout is the `tar` crate's. Its own entry iterator is not used: it holds
//! extended headers of any size in memory and splits PAX records at line feeds, which breaks binary attributes.
//! Invariants: memory is bounded by the limits; an archive that ends inside an entry is an error; no name is interpreted here.

use std::borrow::Cow;
use std::io::Read;

use tar::{EntryType, Header};

use crate::compression::{read_error, truncated};
use crate::error::{ImageError, Result};

const BLOCK: usize = 512;
const XATTR_PREFIX: &[u8] = b"SCHILY.xattr.";
const SPARSE_PREFIX: &[u8] = b"GNU.sparse.";
/// More extended headers than this in front of one entry are no archive that a tool wrote.
const EXTENDED_HEADERS_PER_ENTRY: usize = 16;

/// One entry, names as they stand in the archive.
#[derive(Clone, Debug)]
pub(crate) struct Entry {
    pub(crate) path: Vec<u8>,
    pub(crate) link: Vec<u8>,
    pub(crate) kind: EntryType,
    /// Bytes of data that follow; 0 for everything but files.
    pub(crate) size: u64,
    pub(crate) mode: u32,
    pub(crate) uid: u64,
    pub(crate) gid: u64,
    /// Seconds since 1970 and nanoseconds.
    pub(crate) mtime: (i64, u32),
    pub(crate) device: (u32, u32),
    pub(crate) xattrs: Vec<(Vec<u8>, Vec<u8>)>,
}

impl Entry {
    /// The name for messages.
    pub(crate) fn name(&self) -> String {
        String::from_utf8_lossy(&self.path).into_owned()
    }
}

/// Reads entries one after the other; `read` yields the current entry's data.
pub(crate) struct TarStream<R> {
    source: R,
    what: String,
    /// Data of the current entry that was not read yet.
    left: u64,
    padding: u64,
    entries: u64,
    ended: bool,
    max_entries: (&'static str, u64),
    max_extended: u64,
}

/// What extended headers say about the entry that follows.
#[derive(Default)]
struct Extended {
    path: Option<Vec<u8>>,
    link: Option<Vec<u8>>,
    size: Option<u64>,
    uid: Option<u64>,
    gid: Option<u64>,
    mtime: Option<(i64, u32)>,
    xattrs: Vec<(Vec<u8>, Vec<u8>)>,
}

impl<R: Read> TarStream<R> {
    /// `what` names the archive in errors; `max_entries` is a limit's name and value.
    pub(crate) fn new(
        source: R,
        what: &str,
        max_entries: (&'static str, u64),
        max_extended: u64,
    ) -> Self {
        let what = what.to_owned();
        Self {
            source,
            what,
            left: 0,
            padding: 0,
            entries: 0,
            ended: false,
            max_entries,
            max_extended,
        }
    }

    /// The next entry; `None` at the end of the archive. Data of the previous entry that was not read is skipped.
    pub(crate) fn next_entry(&mut self) -> Result<Option<Entry>> {
        if self.ended {
            return Ok(None);
        }
        self.skip_rest()?;
        let mut extended = Extended::default();
        for _ in 0..=EXTENDED_HEADERS_PER_ENTRY {
            let Some(header) = self.header()? else {
                self.ended = true;
                return Ok(None);
            };
            let kind = header.entry_type();
            if kind.is_gnu_longname() {
                extended.path = Some(trim_nul(self.extended_data(&header)?));
            } else if kind.is_gnu_longlink() {
                extended.link = Some(trim_nul(self.extended_data(&header)?));
            } else if kind.is_pax_local_extensions() {
                let data = self.extended_data(&header)?;
                self.pax(&data, &mut extended)?;
            } else if kind.is_pax_global_extensions() {
                // Global records describe the archive as a whole (git puts the commit there).
                self.extended_data(&header)?;
            } else {
                return self.entry(&header, extended).map(Some);
            }
        }
        Err(self.corrupt("too many extended headers in a row"))
    }

    /// Data of the current entry; 0 at its end.
    pub(crate) fn read_data(&mut self, buffer: &mut [u8]) -> Result<usize> {
        let wanted = usize::try_from(self.left)
            .unwrap_or(usize::MAX)
            .min(buffer.len());
        if wanted == 0 {
            return Ok(0);
        }
        let read = self
            .source
            .read(&mut buffer[..wanted])
            .map_err(|error| read_error(&self.what, error))?;
        if read == 0 {
            return Err(truncated(
                &self.what,
                format!("{} bytes of an entry are missing", self.left),
            ));
        }
        self.left -= read as u64;
        Ok(read)
    }

    /// All data of the current entry, for small ones: the caller has checked its size.
    pub(crate) fn read_whole(&mut self) -> Result<Vec<u8>> {
        let mut data = Vec::new();
        let mut buffer = [0; 8192];
        loop {
            match self.read_data(&mut buffer)? {
                0 => return Ok(data),
                read => data.extend_from_slice(&buffer[..read]),
            }
        }
    }

    /// Reads what follows the archive's end, so that a digest over the whole stream and checksums at its end are checked.
    pub(crate) fn drain(mut self) -> Result<R> {
        let mut buffer = [0; 8192];
        while self
            .source
            .read(&mut buffer)
            .map_err(|error| read_error(&self.what, error))?
            > 0
        {}
        Ok(self.source)
    }

    fn corrupt(&self, problem: impl Into<String>) -> ImageError {
        ImageError::corrupt(self.what.as_str(), problem)
    }

    fn skip_rest(&mut self) -> Result<()> {
        let mut buffer = [0; 8192];
        self.left += std::mem::take(&mut self.padding);
        while self.read_data(&mut buffer)? > 0 {}
        Ok(())
    }

    fn begin_data(&mut self, size: u64) {
        self.left = size;
        self.padding = size.wrapping_neg() % BLOCK as u64;
    }

    /// The next header block; `None` at the end mark, or where the stream ends between two entries (some tools leave the
    /// mark away; that nothing is missing is for the digest to say).
    fn header(&mut self) -> Result<Option<Header>> {
        let mut header = Header::new_old();
        let block = header.as_mut_bytes();
        let mut filled = 0;
        while filled < BLOCK {
            match self
                .source
                .read(&mut block[filled..])
                .map_err(|error| read_error(&self.what, error))?
            {
                0 if filled == 0 => return Ok(None),
                0 => return Err(truncated(&self.what, "it ends inside a header")),
                read => filled += read,
            }
        }
        if block.iter().all(|byte| *byte == 0) {
            return Ok(None);
        }
        // The checksum counts its own eight bytes as spaces.
        let sum: u32 = block
            .iter()
            .enumerate()
            .map(|(at, byte)| {
                if (148..156).contains(&at) {
                    32
                } else {
                    u32::from(*byte)
                }
            })
            .sum();
        if header.cksum().ok() != Some(sum) {
            return Err(self.corrupt("a header's checksum is wrong; is it a tar archive?"));
        }
        self.entries += 1;
        if self.entries > self.max_entries.1 {
            let (limit, allowed) = self.max_entries;
            return Err(ImageError::limit(
                limit,
                allowed,
                format!("number of entries of {}", self.what),
            ));
        }
        Ok(Some(header))
    }

    fn extended_data(&mut self, header: &Header) -> Result<Vec<u8>> {
        let size = header
            .entry_size()
            .map_err(|error| self.corrupt(error.to_string()))?;
        if size > self.max_extended {
            let what = format!("an extended header of {}", self.what);
            return Err(ImageError::limit(
                "extended_header_bytes",
                self.max_extended,
                what,
            ));
        }
        self.begin_data(size);
        let data = self.read_whole()?;
        self.skip_rest()?;
        Ok(data)
    }

    /// PAX records: `length key=value\n`, the length counting itself; values are any bytes.
    fn pax(&self, mut data: &[u8], into: &mut Extended) -> Result<()> {
        let malformed = || self.corrupt("a PAX header is malformed");
        while !data.is_empty() {
            let space = data
                .iter()
                .position(|byte| *byte == b' ')
                .ok_or_else(malformed)?;
            let length: usize = number(&data[..space]).ok_or_else(malformed)?;
            if length <= space + 1 || length > data.len() || data[length - 1] != b'\n' {
                return Err(malformed());
            }
            let record = &data[space + 1..length - 1];
            let equals = record
                .iter()
                .position(|byte| *byte == b'=')
                .ok_or_else(malformed)?;
            let (key, value) = (&record[..equals], &record[equals + 1..]);
            data = &data[length..];
            match key {
                b"path" => into.path = Some(value.to_vec()),
                b"linkpath" => into.link = Some(value.to_vec()),
                b"size" => into.size = Some(number(value).ok_or_else(malformed)?),
                b"uid" => into.uid = Some(number(value).ok_or_else(malformed)?),
                b"gid" => into.gid = Some(number(value).ok_or_else(malformed)?),
                b"mtime" => into.mtime = Some(seconds(value).ok_or_else(malformed)?),
                _ if key.starts_with(SPARSE_PREFIX) => return Err(self.sparse()),
                _ => {
                    if let Some(name) = key.strip_prefix(XATTR_PREFIX) {
                        into.xattrs.push((name.to_vec(), value.to_vec()));
                    }
                }
            }
        }
        Ok(())
    }

    fn sparse(&self) -> ImageError {
        ImageError::Unsupported {
            what: self.what.clone(),
            problem: "it holds a sparse file; write the archive without --sparse".to_owned(),
        }
    }

    fn entry(&mut self, header: &Header, extended: Extended) -> Result<Entry> {
        let old = header.as_old();
        let field = |raw: &[u8], parsed: std::io::Result<u64>| {
            // Some tools leave fields empty that they have no value for.
            let is_blank = raw.iter().all(|byte| matches!(byte, 0 | b' '));
            parsed.or_else(|error| {
                if is_blank {
                    Ok(0)
                } else {
                    Err(self.corrupt(error.to_string()))
                }
            })
        };
        let path = extended
            .path
            .unwrap_or_else(|| header.path_bytes().into_owned());
        let link = extended
            .link
            .or_else(|| header.link_name_bytes().map(Cow::into_owned));
        let mut kind = header.entry_type();
        if kind.is_gnu_sparse() {
            return Err(self.sparse());
        }
        // Archives from before ustar mark directories by the slash alone.
        if kind.is_file() && path.ends_with(b"/") {
            kind = EntryType::Directory;
        }
        let size = match extended.size {
            _ if is_header_only(kind) => 0,
            Some(size) => size,
            None => field(&old.size, header.entry_size())?,
        };
        let mode = field(&old.mode, header.mode().map(u64::from))?;
        let mtime = field(&old.mtime, header.mtime())?;
        let entry = Entry {
            path,
            link: link.unwrap_or_default(),
            kind,
            size,
            // It was a u32 a moment ago.
            mode: u32::try_from(mode).unwrap_or(0),
            uid: extended
                .uid
                .map_or_else(|| field(&old.uid, header.uid()), Ok)?,
            gid: extended
                .gid
                .map_or_else(|| field(&old.gid, header.gid()), Ok)?,
            // A time before 1970 is a negative number in the base-256 form, of which the header gives the bits.
            mtime: extended.mtime.unwrap_or((mtime.cast_signed(), 0)),
            device: (
                header.device_major().ok().flatten().unwrap_or(0),
                header.device_minor().ok().flatten().unwrap_or(0),
            ),
            xattrs: extended.xattrs,
        };
        self.begin_data(size);
        Ok(entry)
    }
}

/// Links and directories carry no data, whatever size their header claims (some tools repeat the target's).
fn is_header_only(kind: EntryType) -> bool {
    kind.is_dir()
        || kind.is_symlink()
        || kind.is_hard_link()
        || kind.is_character_special()
        || kind.is_block_special()
        || kind.is_fifo()
}

fn trim_nul(mut name: Vec<u8>) -> Vec<u8> {
    while name.last() == Some(&0) {
        name.pop();
    }
    name
}

fn number<T: std::str::FromStr>(text: &[u8]) -> Option<T> {
    std::str::from_utf8(text).ok()?.parse().ok()
}

/// `123.456` and `-1.5`, as seconds rounded down and nanoseconds.
fn seconds(text: &[u8]) -> Option<(i64, u32)> {
    let text = std::str::from_utf8(text).ok()?;
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let whole: i64 = whole.parse().ok()?;
    if !fraction.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let digits: String = fraction
        .chars()
        .chain(std::iter::repeat('0'))
        .take(9)
        .collect();
    let nanos: u32 = digits.parse().ok()?;
    if text.starts_with('-') && nanos > 0 {
        Some((whole.checked_sub(1)?, 1_000_000_000 - nanos))
    } else {
        Some((whole, nanos))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stream(data: &[u8]) -> TarStream<&[u8]> {
        TarStream::new(data, "test archive", ("layer_entries", 10), 4096)
    }

    fn archive(build: impl FnOnce(&mut tar::Builder<Vec<u8>>)) -> Vec<u8> {
        let mut builder = tar::Builder::new(Vec::new());
        build(&mut builder);
        builder.into_inner().unwrap()
    }

    fn file(builder: &mut tar::Builder<Vec<u8>>, path: &str, data: &[u8]) {
        let mut header = Header::new_gnu();
        header.set_size(data.len() as u64);
        header.set_mode(0o644);
        builder.append_data(&mut header, path, data).unwrap();
    }

    #[test]
    fn long_names_binary_attributes_and_fractional_times_survive() {
        let long = format!("{}/file", "d".repeat(200));
        let data = archive(|builder| {
            let records = [
                ("SCHILY.xattr.security.capability", b"a\nb\0=c".as_slice()),
                ("mtime", b"-1.25"),
            ];
            builder.append_pax_extensions(records).unwrap();
            file(builder, "first", b"hello");
            file(builder, &long, b"");
        });
        let mut stream = stream(&data);
        let first = stream.next_entry().unwrap().unwrap();
        assert_eq!(
            first.xattrs,
            [(b"security.capability".to_vec(), b"a\nb\0=c".to_vec())]
        );
        assert_eq!(first.mtime, (-2, 750_000_000));
        assert_eq!(stream.read_whole().unwrap(), b"hello");
        assert_eq!(stream.next_entry().unwrap().unwrap().name(), long);
        assert!(stream.next_entry().unwrap().is_none());
    }

    #[test]
    fn an_archive_cut_inside_an_entry_or_a_header_is_truncated() {
        let data = archive(|builder| file(builder, "a", &[7; 2000]));
        for cut in [100, 511, 513, 1500, 2511] {
            let mut stream = stream(&data[..cut]);
            let error = stream
                .next_entry()
                .and_then(|_| stream.next_entry())
                .unwrap_err();
            assert!(
                error.to_string().starts_with("test archive is truncated: "),
                "{cut}: {error}"
            );
        }
    }

    #[test]
    fn hostile_headers_are_refused_before_they_cost_memory() {
        let mut huge = Header::new_gnu();
        huge.set_entry_type(EntryType::GNULongName);
        huge.set_size(1 << 40);
        huge.set_cksum();
        let error = stream(huge.as_bytes()).next_entry().unwrap_err();
        assert_eq!(
            error.to_string(),
            "an extended header of test archive exceeds the limit extended_header_bytes of 4096"
        );

        let many = archive(|builder| (0..11).for_each(|at| file(builder, &at.to_string(), b"")));
        let mut stream_of_many = stream(&many);
        let error = std::iter::repeat_with(|| stream_of_many.next_entry())
            .find_map(Result::err)
            .unwrap();
        assert_eq!(
            error.to_string(),
            "number of entries of test archive exceeds the limit layer_entries of 10"
        );

        let error = stream(&[b'x'; 1024]).next_entry().unwrap_err();
        assert_eq!(
            error.to_string(),
            "test archive is corrupt: a header's checksum is wrong; is it a tar archive?"
        );
    }
}
