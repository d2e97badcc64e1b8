//! Reading what containers leave behind: termination messages and log files in CRI format.
//!
//! Reads files of the runtime's. Invariant: never more than a named limit in memory.

pub mod read;

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::Path;

use k8s_openapi::api::core::v1::Container;

use crate::pods::create::MESSAGE;

/// Longest termination message, in bytes (the kubelet's limit).
pub const MESSAGE_BYTES: u64 = 4096;
/// Bytes of a log that a termination message may be made of.
const LOG_TAIL_BYTES: u64 = 2048;
/// Lines of a log that a termination message may be made of.
const LOG_TAIL_LINES: usize = 80;

/// What an ended run says about its end: its message file, or the end of its log if it failed and the container wants that.
pub fn termination_message(container: &Container, run: &runtime::ContainerStatus) -> String {
    let file = run
        .annotations
        .get(MESSAGE)
        .and_then(|path| read_limited(Path::new(path), MESSAGE_BYTES, false));
    let message = file.unwrap_or_default();
    let from_log = container.termination_message_policy.as_deref() == Some("FallbackToLogsOnError");
    if !message.is_empty() || !from_log || run.exit_code == 0 {
        return message;
    }
    // Times and stream names take as much room again as the text.
    let raw = run
        .log_path
        .as_deref()
        .and_then(|path| read_limited(path, LOG_TAIL_BYTES * 4, true))
        .unwrap_or_default();
    let mut lines: Vec<&str> = raw
        .lines()
        .filter_map(|line| line.splitn(4, ' ').nth(3))
        .collect();
    if lines.len() > LOG_TAIL_LINES {
        lines.drain(..lines.len() - LOG_TAIL_LINES);
    }
    let mut text = lines
        .iter()
        .flat_map(|line| [*line, "\n"])
        .collect::<String>();
    let excess = text
        .len()
        .saturating_sub(usize::try_from(LOG_TAIL_BYTES).unwrap_or(0));
    let cut = (excess..=text.len())
        .find(|at| text.is_char_boundary(*at))
        .unwrap_or(0);
    text.split_off(cut)
}

/// At most `limit` bytes of a file, from its start or its end.
fn read_limited(path: &Path, limit: u64, from_end: bool) -> Option<String> {
    let mut file = File::open(path).ok()?;
    if from_end {
        let len = file.metadata().ok()?.len();
        file.seek(SeekFrom::Start(len.saturating_sub(limit))).ok()?;
    }
    let mut bytes = Vec::new();
    file.take(limit).read_to_end(&mut bytes).ok()?;
    Some(String::from_utf8_lossy(&bytes).into_owned())
}

/// Removes a log with its rotated files.
pub fn remove(path: &Path) {
    let (Some(dir), Some(name)) = (
        path.parent(),
        path.file_name()
            .map(|name| name.to_string_lossy().into_owned()),
    ) else {
        return;
    };
    for entry in std::fs::read_dir(dir).into_iter().flatten().flatten() {
        let found = entry.file_name().to_string_lossy().into_owned();
        let ours = found == name
            || found
                .strip_prefix(&name)
                .is_some_and(|rest| rest.starts_with('.'));
        if ours && let Err(error) = std::fs::remove_file(entry.path()) {
            tracing::debug!(%error, file = found, "a log file stays behind");
        }
    }
}
