//! Writing a volume's files so that a reader sees all old or all new ones.
//!
//! As the kubelet does it: files lie in `..TIMESTAMP`, the link `..data` leads there and is swapped by a rename, and what
//! users open are links through `..data`. Invariant: at no moment is a file missing that is in both states.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt, symlink};
use std::path::Path;

use super::VolumeError;
use super::payload::Payload;

const DATA: &str = "..data";
const DATA_NEW: &str = "..data_tmp";

/// Makes `dir` hold `payload`; true when something changed. `stamp` is unique among the updates of this volume.
pub fn write(
    dir: &Path,
    payload: &Payload,
    stamp: i128,
    fs_group: Option<u32>,
) -> Result<bool, VolumeError> {
    fs::create_dir_all(dir).map_err(VolumeError::io("create", dir))?;
    let old = fs::read_link(dir.join(DATA)).ok();
    if let Some(old) = &old
        && holds(&dir.join(old), payload, fs_group.is_some())
    {
        return Ok(false);
    }
    let name = format!("..{stamp}");
    let new = dir.join(&name);
    fs::DirBuilder::new()
        .mode(0o755)
        .create(&new)
        .map_err(VolumeError::io("create", &new))?;
    for (path, file) in payload {
        let full = new.join(path);
        if let Some(parent) = full.parent() {
            fs::create_dir_all(parent).map_err(VolumeError::io("create", parent))?;
        }
        write_file(&full, &file.data, mode(file.mode, fs_group.is_some()))
            .map_err(VolumeError::io("write", &full))?;
    }
    if let Some(group) = fs_group {
        super::mount::own(&new, group)?;
    }
    let fresh = dir.join(DATA_NEW);
    match fs::remove_file(&fresh) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            return Err(VolumeError::io("remove", &fresh)(error));
        }
        _ => {}
    }
    symlink(&name, &fresh).map_err(VolumeError::io("link", &fresh))?;
    fs::rename(&fresh, dir.join(DATA)).map_err(VolumeError::io("swap", dir.join(DATA)))?;
    link_users(dir, payload)?;
    if let Some(old) = old {
        let old = dir.join(old);
        fs::remove_dir_all(&old).map_err(VolumeError::io("remove", old))?;
    }
    Ok(true)
}

/// With an owning group, the group reads what the owner reads.
fn mode(mode: u32, grouped: bool) -> u32 {
    if grouped {
        mode | ((mode & 0o600) >> 3)
    } else {
        mode
    }
}

fn write_file(path: &Path, data: &[u8], mode: u32) -> io::Result<()> {
    let mut file = fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)?;
    io::Write::write_all(&mut file, data)?;
    file.set_permissions(fs::Permissions::from_mode(mode))
}

/// Links through `..data` for the first component of every path; others go.
fn link_users(dir: &Path, payload: &Payload) -> Result<(), VolumeError> {
    let wanted: BTreeSet<&str> = payload
        .keys()
        .filter_map(|path| path.split('/').next())
        .collect();
    for name in &wanted {
        let link = dir.join(name);
        if fs::symlink_metadata(&link).is_err() {
            symlink(format!("{DATA}/{name}"), &link).map_err(VolumeError::io("link", &link))?;
        }
    }
    for entry in fs::read_dir(dir)
        .map_err(VolumeError::io("list", dir))?
        .flatten()
    {
        let name = entry.file_name();
        let name = name.to_string_lossy();
        if !name.starts_with("..") && !wanted.contains(name.as_ref()) {
            fs::remove_file(entry.path()).map_err(VolumeError::io("remove", entry.path()))?;
        }
    }
    Ok(())
}

/// Whether a directory holds exactly these files.
fn holds(dir: &Path, payload: &Payload, grouped: bool) -> bool {
    let same = payload.iter().all(|(path, file)| {
        let full = dir.join(path);
        let bits = fs::metadata(&full).map(|meta| meta.permissions().mode() & 0o777);
        bits.is_ok_and(|bits| bits == mode(file.mode, grouped))
            && fs::read(&full).is_ok_and(|data| data == file.data)
    });
    same && count(dir).is_ok_and(|files| files == payload.len())
}

fn count(dir: &Path) -> io::Result<usize> {
    let mut files = 0;
    for entry in fs::read_dir(dir)? {
        let entry = entry?;
        files += if entry.file_type()?.is_dir() {
            count(&entry.path())?
        } else {
            1
        };
    }
    Ok(files)
}

#[cfg(test)]
mod tests {
    use super::super::payload::File;
    use super::*;

    fn payload(files: &[(&str, &str)]) -> Payload {
        files
            .iter()
            .map(|(path, data)| {
                (
                    (*path).to_owned(),
                    File {
                        data: data.as_bytes().to_vec(),
                        mode: 0o644,
                    },
                )
            })
            .collect()
    }

    #[test]
    fn an_update_swaps_one_link_and_leaves_nothing_behind() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().join("v");
        assert!(write(&root, &payload(&[("a", "1"), ("d/b", "2")]), 1, None).unwrap());
        assert!(
            !write(&root, &payload(&[("a", "1"), ("d/b", "2")]), 2, None).unwrap(),
            "nothing changed"
        );
        assert!(write(&root, &payload(&[("a", "3"), ("c", "4")]), 3, None).unwrap());
        assert_eq!(fs::read_to_string(root.join("a")).unwrap(), "3");
        assert_eq!(
            fs::read_link(root.join("c")).unwrap(),
            Path::new("..data/c")
        );
        let mut names: Vec<_> = fs::read_dir(&root)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        assert_eq!(names, ["..3", "..data", "a", "c"]);
    }
}
