//! Private directories and files, and replacing a file as a whole.
//!
//! Invariant: a file written here is seen by readers either as it was or as it is, also after a crash.

use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{ErrorKind, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::Path;

use crate::error::{ImageError, Result};

/// Makes a directory (and its parents) that only the owner can enter.
pub(crate) fn make_dir(path: &Path) -> Result<()> {
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(path)
        .map_err(|error| ImageError::io("create", path, error))
}

/// Options for files that only the owner can read.
pub(crate) fn private_file() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.mode(0o600);
    options
}

/// Writes `content` to `temporary` and renames it to `path`. `durable`: both survive a loss of power on return.
pub(crate) fn write_atomically(
    temporary: &Path,
    path: &Path,
    content: &[u8],
    durable: bool,
) -> Result<()> {
    let write = || {
        let mut file = private_file()
            .write(true)
            .create(true)
            .truncate(true)
            .open(temporary)?;
        file.write_all(content)?;
        if durable { file.sync_all() } else { Ok(()) }
    };
    let written = write().map_err(|error| ImageError::io("write", path, error));
    if let Err(error) = written.and_then(|()| publish(temporary, path, durable)) {
        // The failure that is reported is the first one; what stays behind is removed on the next start.
        let _ = std::fs::remove_file(temporary);
        return Err(error);
    }
    Ok(())
}

/// Renames a finished file into place.
pub(crate) fn publish(temporary: &Path, path: &Path, durable: bool) -> Result<()> {
    std::fs::rename(temporary, path).map_err(|error| ImageError::io("rename to", path, error))?;
    if !durable {
        return Ok(());
    }
    let parent = path.parent().unwrap_or(Path::new("/"));
    let synced = File::open(parent).and_then(|dir| dir.sync_all());
    synced.map_err(|error| ImageError::io("sync", parent, error))
}

/// Removes a directory with everything in it; it may be missing. Does not follow links.
pub(crate) fn remove_tree(path: &Path) -> Result<()> {
    match std::fs::remove_dir_all(path) {
        Err(error) if error.kind() != ErrorKind::NotFound => {
            Err(ImageError::io("remove", path, error))
        }
        _ => Ok(()),
    }
}
