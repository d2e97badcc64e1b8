//! The last steps before a program: working directory, identity, privileges, environment, exec.
//!
//! Reads `/etc/passwd` of the container for `HOME`. Invariant: the order is fixed — groups and ids first, the filter as
//! late as its privilege allows, then nothing but `execve`.

use std::convert::Infallible;
use std::ffi::CString;
use std::fs;
use std::io::{self, Read};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use super::{Failure, Plan, during};
use crate::caps::Cap;
use crate::sys;

/// What programs find when the image names no `PATH`.
const DEFAULT_PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
/// How much of `/etc/passwd` is searched, in bytes.
const MAX_PASSWD_BYTES: u64 = 1 << 20;

/// Turns this process into the program the plan names. Returns only on failure.
pub(super) fn become_program(plan: &Plan<'_>) -> Result<Infallible, Failure> {
    let env = environment(plan);
    let cwd = if plan.config.cwd.as_os_str().is_empty() {
        Path::new("/")
    } else {
        &plan.config.cwd
    };
    // As runc does: a missing working directory is made.
    let _ = fs::create_dir_all(cwd);
    std::env::set_current_dir(cwd).or_else(during(|| {
        format!("chdir to cwd ({:?}) failed", cwd.display().to_string())
    }))?;
    sys::check(unsafe_umask(0o022).into()).or_else(during(|| "umask".to_owned()))?;
    give_up_privileges(plan)?;
    let program = find_program(&plan.argv[0], &env)?;
    let c = |text: &str| CString::new(text).map_err(|_| format!("{text:?} contains a NUL byte"));
    let args = plan
        .argv
        .iter()
        .map(|a| c(a))
        .collect::<Result<Vec<_>, _>>()?;
    let env = env
        .iter()
        .map(|(name, value)| c(&format!("{name}={value}")))
        .collect::<Result<Vec<_>, _>>()?;
    let path = sys::cstr(&program).or_else(during(|| "program".to_owned()))?;
    let error = sys::execve(&path, &args, &env);
    Err(format!("exec {}: {}", program.display(), reason(&error)))
}

fn unsafe_umask(mask: libc::mode_t) -> libc::c_int {
    // SAFETY: umask takes an integer and cannot fail.
    unsafe { libc::umask(mask) }.try_into().unwrap_or(0)
}

fn give_up_privileges(plan: &Plan<'_>) -> Result<(), Failure> {
    let user = &plan.config.user;
    let groups: Vec<_> = user
        .groups
        .iter()
        .map(|g| nix::unistd::Gid::from_raw(*g))
        .collect();
    nix::unistd::setgroups(&groups)
        .map_err(io::Error::from)
        .or_else(during(|| "set groups".to_owned()))?;
    plan.caps
        .apply_bounding()
        .or_else(during(|| "limit capabilities".to_owned()))?;
    // Keeps the permitted set across the change of user; the filter may still need CAP_SYS_ADMIN.
    sys::prctl(libc::PR_SET_KEEPCAPS, 1, 0).or_else(during(|| "keep capabilities".to_owned()))?;
    let (uid, gid) = (
        nix::unistd::Uid::from_raw(user.uid),
        nix::unistd::Gid::from_raw(user.gid),
    );
    nix::unistd::setresgid(gid, gid, gid)
        .map_err(io::Error::from)
        .or_else(during(|| format!("set gid {gid}")))?;
    nix::unistd::setresuid(uid, uid, uid)
        .map_err(io::Error::from)
        .or_else(during(|| format!("set uid {uid}")))?;
    // After the change of user, which clears it. If the shim dies, its containers must not stay behind unwatched.
    sys::prctl(
        libc::PR_SET_PDEATHSIG,
        libc::SIGKILL.unsigned_abs().into(),
        0,
    )
    .or_else(during(|| "set parent death signal".to_owned()))?;
    let install = || {
        plan.filters
            .install()
            .or_else(during(|| "install seccomp filter".to_owned()))
    };
    let apply = |caps: crate::caps::CapSet| {
        caps.apply()
            .or_else(during(|| "set capabilities".to_owned()))
    };
    if plan.config.no_new_privs {
        apply(plan.caps)?;
        sys::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0)
            .or_else(during(|| "set no_new_privs".to_owned()))?;
        install()
    } else {
        apply(plan.caps.with(Cap::SysAdmin))?;
        install()?;
        apply(plan.caps)
    }
}

/// The environment, with what every program may expect added.
fn environment(plan: &Plan<'_>) -> Vec<(String, String)> {
    let mut env = plan.config.env.clone();
    let missing = |env: &[(String, String)], name: &str| env.iter().all(|(n, _)| n != name);
    if missing(&env, "PATH") {
        env.push(("PATH".to_owned(), DEFAULT_PATH.to_owned()));
    }
    if missing(&env, "HOSTNAME") && !plan.sandbox.hostname.is_empty() {
        env.push(("HOSTNAME".to_owned(), plan.sandbox.hostname.clone()));
    }
    if plan.tty && missing(&env, "TERM") {
        env.push(("TERM".to_owned(), "xterm".to_owned()));
    }
    if missing(&env, "HOME") {
        let mut passwd = String::new();
        if let Ok(file) = fs::File::open("/etc/passwd") {
            // Unreadable text means no entry, and then `/` is right.
            let _ = file.take(MAX_PASSWD_BYTES).read_to_string(&mut passwd);
        }
        env.push(("HOME".to_owned(), home(&passwd, plan.config.user.uid)));
    }
    env
}

/// The home directory of a user, `/` if there is none.
fn home(passwd: &str, uid: u32) -> String {
    let uid = uid.to_string();
    passwd
        .lines()
        .map(|line| line.split(':').collect::<Vec<_>>())
        .find(|fields| fields.get(2) == Some(&uid.as_str()))
        .and_then(|fields| {
            fields
                .get(5)
                .filter(|h| !h.is_empty())
                .map(|h| (*h).to_owned())
        })
        .unwrap_or_else(|| "/".to_owned())
}

/// Finds the program as a shell would; the messages are those clients know from runc.
fn find_program(name: &str, env: &[(String, String)]) -> Result<PathBuf, Failure> {
    if name.contains('/') {
        let path = PathBuf::from(name);
        return match fs::metadata(&path) {
            Err(e) => Err(format!("exec: {name:?}: stat {name}: {}", reason(&e))),
            Ok(m) if m.is_dir() => Err(format!("exec: {name:?}: is a directory")),
            Ok(m) if m.permissions().mode() & 0o111 == 0 => {
                Err(format!("exec: {name:?}: permission denied"))
            }
            Ok(_) => Ok(path),
        };
    }
    let path = env
        .iter()
        .rev()
        .find(|(n, _)| n == "PATH")
        .map_or("", |(_, v)| v.as_str());
    path.split(':')
        .map(|dir| Path::new(if dir.is_empty() { "." } else { dir }).join(name))
        .find(|p| fs::metadata(p).is_ok_and(|m| m.is_file() && m.permissions().mode() & 0o111 != 0))
        .ok_or_else(|| format!("exec: {name:?}: executable file not found in $PATH"))
}

/// An errno's text without Rust's suffix, in lower case as clients know it.
fn reason(error: &io::Error) -> String {
    match error.raw_os_error() {
        Some(number) => nix::errno::Errno::from_raw(number).desc().to_lowercase(),
        None => error.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn home_comes_from_the_passwd_entry_of_the_uid() {
        let passwd = "root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:::/bin/false\nbroken\n";
        assert_eq!(home(passwd, 0), "/root");
        assert_eq!(home(passwd, 65534), "/");
        assert_eq!(home(passwd, 7), "/");
    }

    #[test]
    fn programs_are_found_as_a_shell_finds_them() {
        let env = |path: &str| vec![("PATH".to_owned(), path.to_owned())];
        assert_eq!(
            find_program("sh", &env("/nowhere:/bin")).unwrap(),
            Path::new("/bin/sh")
        );
        let rows = [
            (
                "no-such",
                "exec: \"no-such\": executable file not found in $PATH",
            ),
            (
                "/no/such",
                "exec: \"/no/such\": stat /no/such: no such file or directory",
            ),
            ("/etc", "exec: \"/etc\": is a directory"),
            ("/etc/passwd", "exec: \"/etc/passwd\": permission denied"),
        ];
        for (name, message) in rows {
            assert_eq!(find_program(name, &env("/bin")).unwrap_err(), message);
        }
    }
}
