//! Files of keys and certificates.
//!
//! Invariants: a file appears whole or not at all (written beside, then
//! renamed), with mode 0600. An empty file counts as absent: it is what a power
//! cut leaves of a file that was not yet on the disk, and waiting for the disk
//! at every one would cost more than making them all anew.

use std::io::{ErrorKind, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use rcgen::KeyPair;

use super::PkiError;

/// Longest file that is read; a chain of certificates is a few KiB.
const FILE_LIMIT: u64 = 1 << 20;

pub(super) fn make_dir(dir: &Path) -> Result<(), PkiError> {
    std::fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(dir)
        .map_err(|source| io("make folder", dir, source))
}

/// The text of a file; `None` if it is absent or empty.
pub(super) fn read(path: &Path) -> Result<Option<String>, PkiError> {
    let length = match std::fs::metadata(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(io("read", path, error)),
        Ok(found) => found.len(),
    };
    if length == 0 {
        return Ok(None);
    }
    if length > FILE_LIMIT {
        return Err(damaged(path, "it is far too long"));
    }
    match std::fs::read_to_string(path) {
        Err(error) if error.kind() == ErrorKind::InvalidData => {
            Err(damaged(path, "it is not text"))
        }
        result => result.map(Some).map_err(|source| io("read", path, source)),
    }
}

pub(super) fn write(path: &Path, text: &str) -> Result<(), PkiError> {
    let mut beside = path.as_os_str().to_owned();
    beside.push(".new");
    let beside = PathBuf::from(beside);
    let written = std::fs::OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(&beside)
        .and_then(|mut file| file.write_all(text.as_bytes()))
        .and_then(|()| std::fs::rename(&beside, path));
    written.map_err(|source| io("write", path, source))
}

/// The private key in a file, made if the file is absent.
pub(super) fn open_key(path: &Path) -> Result<KeyPair, PkiError> {
    if let Some(text) = read(path)? {
        return parse_key(path, &text);
    }
    let key = KeyPair::generate().map_err(|source| PkiError::Issue {
        name: path.display().to_string(),
        source,
    })?;
    write(path, &key.serialize_pem())?;
    Ok(key)
}

pub(super) fn parse_key(path: &Path, text: &str) -> Result<KeyPair, PkiError> {
    KeyPair::from_pem(text).map_err(|error| {
        damaged(
            path,
            &format!("it holds no private key in PKCS#8 ({error})"),
        )
    })
}

pub(super) fn damaged(path: &Path, what: &str) -> PkiError {
    PkiError::Damaged {
        path: path.to_owned(),
        what: what.to_owned(),
    }
}

fn io(operation: &'static str, path: &Path, source: std::io::Error) -> PkiError {
    PkiError::Io {
        operation,
        path: path.to_owned(),
        source,
    }
}
