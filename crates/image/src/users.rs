//! Whom a container runs as: `user` strings resolved against the image's own `/etc/passwd` and `/etc/group`.
//!
//! Follows what containerd makes of the same strings. Invariants: the files are read inside the image, links included; a name
//! that is not there is an error, a number never is.

use std::io::Read;

use crate::error::{ImageError, Result};
use crate::layer::union::Union;
use crate::limits::Limits;
use crate::store::{Image, ImageStore};

/// The largest user or group id that may be given.
const MAX_ID: u32 = 0x7fff_ffff;

/// A resolved user.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct User {
    /// User id.
    pub uid: u32,
    /// Primary group id.
    pub gid: u32,
    /// Groups that `/etc/group` lists the user in, in the order of the file; empty when a group was given.
    pub supplementary: Vec<u32>,
    /// Login name, when `/etc/passwd` has one.
    pub name: Option<String>,
    /// Home directory, when `/etc/passwd` has one.
    pub home: Option<String>,
}

impl ImageStore {
    /// Resolves `uid`, `uid:gid`, `name` or `name:group` (empty: root) in `image`, unpacking it if need be.
    pub fn resolve_user(&self, image: &Image, user: &str) -> Result<User> {
        self.unpack(&image.id.to_string())?;
        let chain = image.layers.iter().rev();
        let layers: Vec<_> = chain
            .filter_map(|layer| self.snapshot_dir(&layer.chain_id))
            .collect();
        let union = Union::open(layers.iter().map(|layer| layer.as_path()))?;
        let limits = self.limits();
        let passwd = read(&union, "etc/passwd", limits)?;
        let group = read(&union, "etc/group", limits)?;
        resolve(user, &passwd, &group)
    }
}

fn read(union: &Union, path: &str, limits: &Limits) -> Result<String> {
    let Some(file) = union.open_file(path)? else {
        return Ok(String::new());
    };
    let mut text = Vec::new();
    file.take(limits.user_file_bytes + 1)
        .read_to_end(&mut text)
        .map_err(|error| ImageError::io("read", path.as_ref(), error))?;
    if text.len() as u64 > limits.user_file_bytes {
        return Err(ImageError::limit(
            "user_file_bytes",
            limits.user_file_bytes,
            format!("/{path} of the image"),
        ));
    }
    Ok(String::from_utf8_lossy(&text).into_owned())
}

fn resolve(user: &str, passwd: &str, group: &str) -> Result<User> {
    let unknown = |problem: String| ImageError::UnknownUser {
        user: user.to_owned(),
        problem,
    };
    let (who, which) = user
        .split_once(':')
        .map_or((user, None), |(who, which)| (who, Some(which)));
    let who = if who.is_empty() { "0" } else { who };
    let id = |text: &str| -> Result<Option<u32>> {
        if !text.bytes().all(|byte| byte.is_ascii_digit()) {
            return Ok(None);
        }
        let id = text.parse().ok().filter(|id| *id <= MAX_ID);
        id.map(Some)
            .ok_or_else(|| unknown(format!("user and group ids must be in range 0-{MAX_ID}")))
    };
    let number = id(who)?;
    let mut resolved = User::default();
    let entry = passwd.lines().find_map(|line| {
        let fields: Vec<_> = line.split(':').collect();
        let uid: u32 = fields.get(2)?.parse().ok()?;
        (fields[0] == who || number == Some(uid)).then_some((fields, uid))
    });
    match (entry, number) {
        (Some((fields, uid)), _) => {
            resolved.uid = uid;
            resolved.gid = fields.get(3).and_then(|gid| gid.parse().ok()).unwrap_or(0);
            resolved.name = Some(fields[0].to_owned());
            resolved.home = fields
                .get(5)
                .filter(|home| !home.is_empty())
                .map(|home| (*home).to_owned());
        }
        (None, Some(uid)) => resolved.uid = uid,
        (None, None) => return Err(unknown("no matching entries in passwd file".to_owned())),
    }
    let groups = group.lines().filter_map(|line| {
        let mut fields = line.split(':');
        let name = fields.next()?;
        let gid: u32 = fields.nth(1)?.parse().ok()?;
        Some((name, gid, fields.next().unwrap_or_default()))
    });
    if let Some(which) = which.filter(|which| !which.is_empty()) {
        let found = groups
            .clone()
            .find(|(name, ..)| *name == which)
            .map(|(_, gid, _)| gid);
        let gid = match found {
            Some(gid) => Some(gid),
            None => id(which)?,
        };
        resolved.gid = gid.ok_or_else(|| {
            unknown(format!(
                "group {which:?} has no matching entries in group file"
            ))
        })?;
    } else if let Some(name) = &resolved.name {
        let is_member = |members: &str| members.split(',').any(|member| member == name);
        resolved.supplementary = groups
            .filter(|(.., members)| is_member(members))
            .map(|(_, gid, _)| gid)
            .collect();
    }
    Ok(resolved)
}

#[cfg(test)]
mod tests {
    use super::*;

    const PASSWD: &str = "root:x:0:0:root:/root:/bin/sh\nbroken\napp:x:1000:1001:App:/home/app:/bin/sh\n42:x:7:7::/:\n";
    const GROUP: &str = "root:x:0:root\nbin:x:1:root,daemon\napp:x:1001:\nextra:x:2000:app,root\n";

    #[test]
    fn user_strings_resolve_as_containerd_resolves_them() {
        let table: [(&str, u32, u32, &[u32]); 9] = [
            ("", 0, 0, &[0, 1, 2000]),
            ("root", 0, 0, &[0, 1, 2000]),
            ("app", 1000, 1001, &[2000]),
            ("1000", 1000, 1001, &[2000]),
            ("5555", 5555, 0, &[]),
            ("app:extra", 1000, 2000, &[]),
            ("app:77", 1000, 77, &[]),
            ("5555:bin", 5555, 1, &[]),
            ("42", 7, 7, &[]),
        ];
        for (user, uid, gid, supplementary) in table {
            let found = resolve(user, PASSWD, GROUP).unwrap();
            assert_eq!(
                (found.uid, found.gid, found.supplementary.as_slice()),
                (uid, gid, supplementary),
                "{user}"
            );
        }
        assert_eq!(
            resolve("app", PASSWD, GROUP).unwrap().home.as_deref(),
            Some("/home/app")
        );
    }

    #[test]
    fn unknown_names_and_oversized_ids_are_errors_that_say_so() {
        let table = [
            (
                "nobody",
                "unable to find user \"nobody\" in the image: no matching entries in passwd file",
            ),
            (
                "app:none",
                "unable to find user \"app:none\" in the image: group \"none\" has no matching entries in group file",
            ),
            (
                "4294967295",
                "unable to find user \"4294967295\" in the image: user and group ids must be in range 0-2147483647",
            ),
        ];
        for (user, message) in table {
            assert_eq!(
                resolve(user, PASSWD, GROUP).unwrap_err().to_string(),
                message
            );
        }
    }
}
