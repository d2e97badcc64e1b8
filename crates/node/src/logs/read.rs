//! Reading a container's log for somebody: the CRI format becomes text, with the options of `kubectl logs`.
//!
//! Reads the live file and those that rotation left. Invariants: at most [`CHUNK_BYTES`] are in memory at once beyond one
//! line; a record cut into parts comes out as one line.

use std::collections::VecDeque;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::{Path, PathBuf};

use jiff::Timestamp;

/// Bytes handed on at a time.
pub const CHUNK_BYTES: usize = 64 << 10;
/// Longest record of a file that is taken; the runtime writes shorter ones.
const RECORD_BYTES: u64 = 1 << 20;

/// What somebody wants to see of a log.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Wish {
    /// Go on as the container writes.
    pub follow: bool,
    /// Only so many lines from the end.
    pub tail_lines: Option<usize>,
    /// Only records from then on.
    pub since: Option<Timestamp>,
    /// A time before each line.
    pub timestamps: bool,
    /// End after so many bytes.
    pub limit_bytes: Option<usize>,
}

/// A place in a log. Reading goes on where it stopped, also when the live file was rotated meanwhile.
pub struct Cursor {
    path: PathBuf,
    wish: Wish,
    waiting: VecDeque<PathBuf>,
    current: Option<BufReader<File>>,
    /// The beginning of a record that was not complete at the end of the file.
    partial: Vec<u8>,
    skip_lines: usize,
    left_bytes: usize,
    within_line: bool,
}

/// The files of a log, oldest first.
fn files(path: &Path) -> io::Result<Vec<PathBuf>> {
    let (Some(dir), Some(name)) = (
        path.parent(),
        path.file_name().and_then(|name| name.to_str()),
    ) else {
        return Ok(Vec::new());
    };
    let mut all: Vec<PathBuf> = std::fs::read_dir(dir)?
        .flatten()
        .filter(|entry| {
            entry.file_name().to_str().is_some_and(|found| {
                found
                    .strip_prefix(name)
                    .is_some_and(|rest| rest.starts_with('.'))
            })
        })
        .map(|entry| entry.path())
        .collect();
    all.sort();
    if path.exists() {
        all.push(path.to_owned());
    }
    Ok(all)
}

/// A record: its time, whether its line ends with it, and its text.
fn parse(record: &[u8]) -> Option<(&str, bool, &[u8])> {
    let mut parts = record.splitn(4, |byte| *byte == b' ');
    let time = std::str::from_utf8(parts.next()?).ok()?;
    parts.next()?;
    let whole = !parts.next()?.starts_with(b"P");
    Some((time, whole, parts.next().unwrap_or_default()))
}

impl Cursor {
    /// The start of what `wish` asks for.
    ///
    /// # Errors
    /// When the log cannot be read.
    pub fn open(path: &Path, wish: Wish) -> io::Result<Self> {
        let waiting: VecDeque<_> = files(path)?.into();
        let mut cursor = Self {
            path: path.to_owned(),
            left_bytes: wish.limit_bytes.unwrap_or(usize::MAX),
            wish,
            waiting,
            current: None,
            partial: Vec::new(),
            skip_lines: 0,
            within_line: false,
        };
        if let Some(tail) = cursor.wish.tail_lines {
            let lines = cursor.count_lines()?;
            cursor.skip_lines = lines.saturating_sub(tail);
        }
        Ok(cursor)
    }

    fn wanted(&self, time: &str) -> bool {
        self.wish
            .since
            .is_none_or(|since| time.parse::<Timestamp>().is_ok_and(|time| time >= since))
    }

    fn count_lines(&self) -> io::Result<usize> {
        let mut lines = 0;
        for path in &self.waiting {
            for record in BufReader::new(File::open(path)?).split(b'\n') {
                let record = record?;
                lines += usize::from(
                    parse(&record).is_some_and(|(time, whole, _)| whole && self.wanted(time)),
                );
            }
        }
        Ok(lines)
    }

    /// The next piece, empty when nothing more is there now. Blocks.
    ///
    /// # Errors
    /// When the log cannot be read.
    pub fn next_chunk(&mut self) -> io::Result<Vec<u8>> {
        let mut out = Vec::new();
        while out.len() < CHUNK_BYTES && self.left_bytes > 0 {
            let Some(file) = &mut self.current else {
                match self.waiting.pop_front() {
                    Some(path) => self.current = Some(BufReader::new(File::open(path)?)),
                    None => break,
                }
                continue;
            };
            let read = file
                .by_ref()
                .take(RECORD_BYTES)
                .read_until(b'\n', &mut self.partial)?;
            if read > 0 && self.partial.last() == Some(&b'\n') {
                let mut record = std::mem::take(&mut self.partial);
                record.pop();
                self.put(&record, &mut out);
            } else if read == 0 {
                if !self.waiting.is_empty() {
                    self.current = None;
                } else if !self.follow_rotation()? {
                    break;
                }
            }
        }
        Ok(out)
    }

    /// True when the live file is another one than the one that was read to its end.
    fn follow_rotation(&mut self) -> io::Result<bool> {
        use std::os::unix::fs::MetadataExt;
        let Some(current) = &self.current else {
            return Ok(false);
        };
        let Ok(live) = std::fs::metadata(&self.path) else {
            return Ok(false);
        };
        if live.ino() == current.get_ref().metadata()?.ino() {
            return Ok(false);
        }
        self.current = None;
        self.waiting.push_back(self.path.clone());
        Ok(true)
    }

    fn put(&mut self, record: &[u8], out: &mut Vec<u8>) {
        let Some((time, whole, text)) = parse(record) else {
            return;
        };
        if !self.wanted(time) {
            return;
        }
        if self.skip_lines > 0 {
            self.skip_lines -= usize::from(whole);
            return;
        }
        let mut line = Vec::new();
        if self.wish.timestamps && !self.within_line {
            line.extend_from_slice(time.as_bytes());
            line.push(b' ');
        }
        line.extend_from_slice(text);
        if whole {
            line.push(b'\n');
        }
        self.within_line = !whole;
        line.truncate(self.left_bytes);
        self.left_bytes -= line.len();
        out.extend(line);
    }

    /// Whether nothing more will come whatever is written.
    pub fn is_full(&self) -> bool {
        self.left_bytes == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    const OLD: &str = "2026-01-01T00:00:01Z stdout F one\n";
    const LIVE: &str = "2026-01-01T00:00:02Z stdout P tw\n2026-01-01T00:00:02Z stdout F o\n2026-01-01T00:00:03Z stderr F three\n";

    fn all(cursor: &mut Cursor) -> String {
        String::from_utf8(cursor.next_chunk().unwrap()).unwrap()
    }

    #[test]
    fn logs_read_as_asked_over_rotated_files() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("0.log");
        std::fs::write(dir.path().join("0.log.20260101-000000"), OLD).unwrap();
        std::fs::write(&path, LIVE).unwrap();
        let rows = [
            (Wish::default(), "one\ntwo\nthree\n"),
            (
                Wish {
                    tail_lines: Some(2),
                    ..Wish::default()
                },
                "two\nthree\n",
            ),
            (
                Wish {
                    tail_lines: Some(0),
                    ..Wish::default()
                },
                "",
            ),
            (
                Wish {
                    since: Some("2026-01-01T00:00:03Z".parse().unwrap()),
                    timestamps: true,
                    ..Wish::default()
                },
                "2026-01-01T00:00:03Z three\n",
            ),
            (
                Wish {
                    limit_bytes: Some(6),
                    ..Wish::default()
                },
                "one\ntw",
            ),
        ];
        for (wish, want) in rows {
            assert_eq!(
                all(&mut Cursor::open(&path, wish.clone()).unwrap()),
                want,
                "{wish:?}"
            );
        }
    }

    #[test]
    fn following_goes_on_after_a_rotation() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("0.log");
        std::fs::write(&path, OLD).unwrap();
        let mut cursor = Cursor::open(
            &path,
            Wish {
                follow: true,
                ..Wish::default()
            },
        )
        .unwrap();
        assert_eq!(all(&mut cursor), "one\n");
        assert_eq!(all(&mut cursor), "");
        let mut file = std::fs::OpenOptions::new()
            .append(true)
            .open(&path)
            .unwrap();
        file.write_all(b"2026-01-01T00:00:02Z stdout F tw").unwrap();
        assert_eq!(all(&mut cursor), "", "half a record waits");
        file.write_all(b"o\n").unwrap();
        std::fs::rename(&path, dir.path().join("0.log.20260101-000002")).unwrap();
        std::fs::write(&path, "2026-01-01T00:00:03Z stdout F three\n").unwrap();
        assert_eq!(all(&mut cursor), "two\nthree\n");
    }
}
