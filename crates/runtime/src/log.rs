//! Container logs in the CRI format: `2026-01-02T03:04:05.000000006Z stdout F text`.
//!
//! Reads nothing; appends to one file per container and rotates it. Invariants: one record per line; a line longer than
//! [`MAX_LINE_BYTES`] is cut into records tagged `P` and ended by one tagged `F`; rotation happens between records,
//! so no file holds half a record, and no byte is lost by it. When the disk refuses a record, the record is dropped and
//! counted: the container goes on.

use std::fs;
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use crate::config::LogRotation;

/// Longest text of one record, in bytes.
pub(crate) const MAX_LINE_BYTES: usize = 16 << 10;

/// Which stream a record came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stream {
    Stdout,
    Stderr,
}

impl Stream {
    fn name(self) -> &'static str {
        match self {
            Stream::Stdout => "stdout",
            Stream::Stderr => "stderr",
        }
    }
}

/// Collects bytes of one stream until they make a record.
#[derive(Debug, Default)]
pub(crate) struct LineBuffer {
    pending: Vec<u8>,
}

impl LineBuffer {
    /// Takes bytes and hands out complete records: (text, whether the line ends here).
    fn push(&mut self, mut bytes: &[u8], mut record: impl FnMut(&[u8], bool)) {
        while !bytes.is_empty() {
            let room = MAX_LINE_BYTES - self.pending.len();
            let window = &bytes[..bytes.len().min(room + 1)];
            if let Some(end) = window.iter().position(|b| *b == b'\n') {
                self.pending.extend_from_slice(&bytes[..end]);
                record(&self.pending, true);
                self.pending.clear();
                bytes = &bytes[end + 1..];
            } else if bytes.len() > room {
                // More than a full record without an end of line: the rest of the line follows in the next one.
                self.pending.extend_from_slice(&bytes[..room]);
                record(&self.pending, false);
                self.pending.clear();
                bytes = &bytes[room..];
            } else {
                self.pending.extend_from_slice(bytes);
                bytes = &[];
            }
        }
    }

    /// What is left when the stream ends.
    fn finish(&mut self) -> Option<Vec<u8>> {
        (!self.pending.is_empty()).then(|| std::mem::take(&mut self.pending))
    }
}

/// One container's log.
#[derive(Debug)]
pub(crate) struct LogWriter {
    path: PathBuf,
    rotation: LogRotation,
    file: fs::File,
    size: u64,
    stdout: LineBuffer,
    stderr: LineBuffer,
    scratch: Vec<u8>,
    /// Records the disk refused.
    pub(crate) dropped: u64,
}

impl LogWriter {
    pub(crate) fn open(path: &Path, rotation: LogRotation) -> io::Result<Self> {
        if let Some(dir) = path.parent() {
            fs::create_dir_all(dir)?;
        }
        let (file, size) = open(path)?;
        Ok(Self {
            path: path.to_owned(),
            rotation,
            file,
            size,
            stdout: LineBuffer::default(),
            stderr: LineBuffer::default(),
            scratch: Vec::new(),
            dropped: 0,
        })
    }

    /// Starts a new file at the path, after somebody moved the old one away.
    pub(crate) fn reopen(&mut self) -> io::Result<()> {
        (self.file, self.size) = open(&self.path)?;
        Ok(())
    }

    /// Logs bytes of a stream. `now` is nanoseconds since the epoch.
    pub(crate) fn write(&mut self, stream: Stream, bytes: &[u8], now: i64) {
        let mut lines = std::mem::take(self.lines(stream));
        let stamp = timestamp(now);
        lines.push(bytes, |text, full| {
            self.record(stream, &stamp, text, full, now)
        });
        *self.lines(stream) = lines;
        self.flush();
    }

    /// Logs what is left of a stream that ended without a newline.
    pub(crate) fn finish(&mut self, stream: Stream, now: i64) {
        if let Some(text) = self.lines(stream).finish() {
            self.record(stream, &timestamp(now), &text, true, now);
            self.flush();
        }
    }

    fn lines(&mut self, stream: Stream) -> &mut LineBuffer {
        match stream {
            Stream::Stdout => &mut self.stdout,
            Stream::Stderr => &mut self.stderr,
        }
    }

    fn record(&mut self, stream: Stream, stamp: &str, text: &[u8], full: bool, now: i64) {
        let tag = if full { "F" } else { "P" };
        let head = format!("{stamp} {} {tag} ", stream.name());
        let length = (head.len() + text.len() + 1) as u64;
        let limit = self.rotation.max_size_bytes;
        let pending = self.size + self.scratch.len() as u64;
        if limit > 0 && pending > 0 && pending + length > limit {
            self.flush();
            // If it fails, the file grows past its limit; losing lines would be worse.
            let _ = self.rotate(now);
        }
        self.scratch.extend_from_slice(head.as_bytes());
        self.scratch.extend_from_slice(text);
        self.scratch.push(b'\n');
    }

    /// Writes the collected records.
    fn flush(&mut self) {
        if self.scratch.is_empty() {
            return;
        }
        match self.file.write_all(&self.scratch) {
            Ok(()) => self.size += self.scratch.len() as u64,
            Err(_) => self.dropped += 1,
        }
        self.scratch.clear();
    }

    /// Moves the file aside, named by the time, and starts a new one.
    fn rotate(&mut self, now: i64) -> io::Result<()> {
        let name = self
            .path
            .file_name()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned();
        let mut moved = self
            .path
            .with_file_name(format!("{name}.{}", rotation_suffix(now)));
        // Rotations within one nanosecond: the clock may be coarse.
        for bump in 1..1000 {
            if !moved.exists() {
                break;
            }
            moved = self
                .path
                .with_file_name(format!("{name}.{}", rotation_suffix(now + bump)));
        }
        fs::rename(&self.path, moved)?;
        self.reopen()?;
        self.prune(&name)
    }

    /// Deletes the oldest rotated files beyond the limit; names sort by time.
    fn prune(&self, name: &str) -> io::Result<()> {
        let keep = usize::try_from(self.rotation.max_files.max(1) - 1).unwrap_or(usize::MAX);
        let prefix = format!("{name}.");
        let dir = self.path.parent().unwrap_or(Path::new("/"));
        let mut rotated: Vec<_> = fs::read_dir(dir)?
            .flatten()
            .filter(|e| e.file_name().to_string_lossy().starts_with(&prefix))
            .map(|e| e.path())
            .collect();
        rotated.sort();
        let excess = rotated.len().saturating_sub(keep);
        rotated[..excess].iter().try_for_each(fs::remove_file)
    }
}

fn open(path: &Path) -> io::Result<(fs::File, u64)> {
    // 0640 as containerd: log collectors read through the group.
    let file = fs::OpenOptions::new()
        .create(true)
        .append(true)
        .mode(0o640)
        .open(path)?;
    let size = file.metadata()?.len();
    Ok((file, size))
}

/// (year, month, day, hour, minute, second, nanosecond) in UTC.
fn civil(nanos: i64) -> (i64, i64, i64, i64, i64, i64, i64) {
    let (seconds, nano) = (
        nanos.div_euclid(1_000_000_000),
        nanos.rem_euclid(1_000_000_000),
    );
    let (days, rest) = (seconds.div_euclid(86_400), seconds.rem_euclid(86_400));
    // Proleptic Gregorian calendar, in eras of 400 years that begin on 1 March.
    let z = days + 719_468;
    let (era, doe) = (z.div_euclid(146_097), z.rem_euclid(146_097));
    let yoe = (doe - doe / 1460 + doe / 36_524 - doe / 146_096) / 365;
    let doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
    let mp = (5 * doy + 2) / 153;
    let month = if mp < 10 { mp + 3 } else { mp - 9 };
    let year = yoe + era * 400 + i64::from(month <= 2);
    (
        year,
        month,
        doy - (153 * mp + 2) / 5 + 1,
        rest / 3600,
        rest / 60 % 60,
        rest % 60,
        nano,
    )
}

/// RFC 3339 with nanoseconds, in UTC.
fn timestamp(nanos: i64) -> String {
    let (y, mo, d, h, mi, s, n) = civil(nanos);
    format!("{y:04}-{mo:02}-{d:02}T{h:02}:{mi:02}:{s:02}.{n:09}Z")
}

/// The kubelet names rotated files `20060102-150405`; nanoseconds are added because the shim may rotate faster.
fn rotation_suffix(nanos: i64) -> String {
    let (y, mo, d, h, mi, s, n) = civil(nanos);
    format!("{y:04}{mo:02}{d:02}-{h:02}{mi:02}{s:02}.{n:09}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn writer(dir: &Path, max_size_bytes: u64, max_files: u32) -> LogWriter {
        LogWriter::open(
            &dir.join("0.log"),
            LogRotation {
                max_size_bytes,
                max_files,
            },
        )
        .unwrap()
    }

    fn read(dir: &Path) -> String {
        fs::read_to_string(dir.join("0.log")).unwrap()
    }

    #[test]
    fn times_are_written_as_rfc_3339() {
        for (nanos, text) in [
            (0, "1970-01-01T00:00:00.000000000Z"),
            (1_772_323_199_000_000_001, "2026-02-28T23:59:59.000000001Z"),
            (1_709_164_800_000_000_000, "2024-02-29T00:00:00.000000000Z"),
            (-1, "1969-12-31T23:59:59.999999999Z"),
        ] {
            assert_eq!(timestamp(nanos), text);
        }
    }

    #[test]
    fn each_stream_is_cut_into_lines_of_its_own() {
        let dir = tempfile::tempdir().unwrap();
        let mut log = writer(dir.path(), 0, 5);
        log.write(Stream::Stdout, b"one\ntw", 0);
        log.write(Stream::Stderr, b"err\n", 0);
        log.write(Stream::Stdout, b"o\n\nlast", 0);
        log.finish(Stream::Stdout, 0);
        log.finish(Stream::Stderr, 0);
        let t = timestamp(0);
        let expected = [
            "stdout F one",
            "stderr F err",
            "stdout F two",
            "stdout F ",
            "stdout F last",
        ];
        assert_eq!(
            read(dir.path()),
            expected.map(|l| format!("{t} {l}\n")).concat()
        );
    }

    #[test]
    fn long_lines_become_partial_records_of_16_kib() {
        let dir = tempfile::tempdir().unwrap();
        let mut log = writer(dir.path(), 0, 5);
        let exact = vec![b'a'; MAX_LINE_BYTES];
        log.write(Stream::Stdout, &exact, 0);
        log.write(Stream::Stdout, b"\n", 0);
        log.write(Stream::Stdout, &vec![b'b'; 2 * MAX_LINE_BYTES + 5], 0);
        log.write(Stream::Stdout, b"\n", 0);
        let text = read(dir.path());
        let shape: Vec<_> = text
            .lines()
            .map(|l| {
                let parts: Vec<_> = l.splitn(4, ' ').collect();
                (parts[2].to_owned(), parts[3].len())
            })
            .collect();
        let full = MAX_LINE_BYTES;
        assert_eq!(
            shape,
            [
                ("F".into(), full),
                ("P".into(), full),
                ("P".into(), full),
                ("F".into(), 5)
            ]
        );
    }

    #[test]
    fn rotation_keeps_the_newest_files_and_every_line_in_them() {
        let dir = tempfile::tempdir().unwrap();
        let mut log = writer(dir.path(), 1000, 3);
        for i in 0..200 {
            log.write(Stream::Stdout, format!("line {i:04}\n").as_bytes(), i);
        }
        let mut files: Vec<_> = fs::read_dir(dir.path())
            .unwrap()
            .map(|e| e.unwrap().path())
            .collect();
        files.sort();
        assert_eq!(files.len(), 3, "{files:?}");
        // The live file sorts first by name but is the newest.
        files.rotate_left(1);
        let mut numbers = Vec::new();
        for file in &files {
            let text = fs::read_to_string(file).unwrap();
            assert!(text.len() <= 1000);
            numbers.extend(
                text.lines()
                    .map(|l| l.rsplit(' ').next().unwrap().parse::<i64>().unwrap()),
            );
        }
        let first = numbers[0];
        assert_eq!(
            numbers,
            (first..200).collect::<Vec<_>>(),
            "no line is lost between the kept files"
        );
    }

    #[test]
    fn reopening_starts_a_new_file_after_a_rename() {
        let dir = tempfile::tempdir().unwrap();
        let mut log = writer(dir.path(), 0, 5);
        log.write(Stream::Stdout, b"old\n", 0);
        fs::rename(dir.path().join("0.log"), dir.path().join("moved")).unwrap();
        log.reopen().unwrap();
        log.write(Stream::Stdout, b"new\n", 0);
        assert!(read(dir.path()).ends_with("new\n"));
        assert!(
            fs::read_to_string(dir.path().join("moved"))
                .unwrap()
                .ends_with("old\n")
        );
    }

    #[test]
    fn a_full_disk_drops_records_and_goes_on() {
        let dir = tempfile::tempdir().unwrap();
        let mut log = writer(dir.path(), 0, 5);
        log.file = fs::OpenOptions::new()
            .write(true)
            .open("/dev/full")
            .unwrap();
        log.write(Stream::Stdout, b"lost\n", 0);
        assert_eq!(log.dropped, 1);
        log.reopen().unwrap();
        log.write(Stream::Stdout, b"kept\n", 0);
        assert!(read(dir.path()).ends_with("kept\n"));
    }
}
