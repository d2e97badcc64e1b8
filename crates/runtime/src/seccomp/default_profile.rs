//! The default profile: what a container may call when its Pod asks for `RuntimeDefault`.
//!
//! Equal in effect to the documented default of containerd and Docker: everything the table of calls knows is
//! allowed, except what reaches past the container (kernel keys, modules, time, mounts, other processes' memory,
//! io_uring), and some of that comes back with the capability that governs it. Pure. Calls that are not allowed
//! fail with EPERM; `clone3` and unknown calls with ENOSYS, so that libc falls back.

use seccompiler::{SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompRule};

use super::{Filters, Rules, SeccompError, compile, syscalls, unknown_calls};
use crate::caps::{Cap, CapSet};

/// Never allowed, whatever the capabilities.
const BLOCKED: &[&str] = &[
    "_sysctl",
    "add_key",
    "afs_syscall",
    "epoll_ctl_old",
    "epoll_wait_old",
    "getpmsg",
    "io_uring_enter",
    "io_uring_register",
    "io_uring_setup",
    "kexec_file_load",
    "kexec_load",
    "keyctl",
    "migrate_pages",
    "move_pages",
    "nfsservctl",
    "pivot_root",
    "putpmsg",
    "request_key",
    "security",
    "swapoff",
    "swapon",
    "sysfs",
    "tuxcall",
    "uselib",
    "userfaultfd",
    "ustat",
    "vserver",
];

/// Allowed only to a holder of (one of) the capabilities.
const GATED: &[(&str, &[Cap])] = &[
    ("acct", &[Cap::SysPacct]),
    ("bpf", &[Cap::SysAdmin, Cap::Bpf]),
    ("chroot", &[Cap::SysChroot]),
    ("clock_settime", &[Cap::SysTime]),
    ("delete_module", &[Cap::SysModule]),
    ("fanotify_init", &[Cap::SysAdmin]),
    ("finit_module", &[Cap::SysModule]),
    ("fsconfig", &[Cap::SysAdmin]),
    ("fsmount", &[Cap::SysAdmin]),
    ("fsopen", &[Cap::SysAdmin]),
    ("fspick", &[Cap::SysAdmin]),
    ("get_mempolicy", &[Cap::SysNice]),
    ("init_module", &[Cap::SysModule]),
    ("ioperm", &[Cap::SysRawio]),
    ("iopl", &[Cap::SysRawio]),
    ("kcmp", &[Cap::SysPtrace]),
    ("listmount", &[Cap::SysAdmin]),
    ("lookup_dcookie", &[Cap::SysAdmin]),
    ("lsm_set_self_attr", &[Cap::SysAdmin]),
    ("mbind", &[Cap::SysNice]),
    ("mount", &[Cap::SysAdmin]),
    ("mount_setattr", &[Cap::SysAdmin]),
    ("move_mount", &[Cap::SysAdmin]),
    ("open_by_handle_at", &[Cap::DacReadSearch]),
    ("open_tree", &[Cap::SysAdmin]),
    ("open_tree_attr", &[Cap::SysAdmin]),
    ("perf_event_open", &[Cap::SysAdmin, Cap::Perfmon]),
    ("pidfd_getfd", &[Cap::SysPtrace]),
    ("process_madvise", &[Cap::SysPtrace]),
    ("quotactl", &[Cap::SysAdmin]),
    ("quotactl_fd", &[Cap::SysAdmin]),
    ("reboot", &[Cap::SysBoot]),
    ("set_mempolicy", &[Cap::SysNice]),
    ("set_mempolicy_home_node", &[Cap::SysNice]),
    ("setdomainname", &[Cap::SysAdmin]),
    ("sethostname", &[Cap::SysAdmin]),
    ("setns", &[Cap::SysAdmin]),
    ("settimeofday", &[Cap::SysTime]),
    ("statmount", &[Cap::SysAdmin]),
    ("syslog", &[Cap::SysAdmin, Cap::Syslog]),
    ("umount2", &[Cap::SysAdmin]),
    ("unshare", &[Cap::SysAdmin]),
    ("vhangup", &[Cap::SysTtyConfig]),
];

/// Every CLONE_NEW* flag: a container without CAP_SYS_ADMIN may not make namespaces.
const NAMESPACE_FLAGS: u64 = 0x7E02_0000;

/// Execution domains that change nothing dangerous: Linux, Linux32, each with UNAME26, and "just tell me".
const PERSONALITIES: &[u64] = &[0, 8, 0x2_0000, 0x2_0008, 0xffff_ffff];

/// Sockets of this family reach the hypervisor and, through it, other guests.
const AF_VSOCK: u64 = 40;

pub(super) fn build(caps: CapSet) -> Result<Filters, SeccompError> {
    let mut rules = Rules::new();
    for row in syscalls::SYSCALLS {
        let Some(number) = syscalls::native(row) else {
            continue;
        };
        if BLOCKED.contains(&row.0) {
            continue;
        }
        let gate = GATED.iter().find(|(name, _)| *name == row.0);
        if gate.is_some_and(|(_, holders)| !holders.iter().any(|c| caps.contains(*c))) {
            continue;
        }
        rules.insert(number, conditions(row.0, caps)?);
    }
    let eperm = SeccompAction::Errno(libc::EPERM.cast_unsigned());
    let main = compile(rules, SeccompAction::Allow, eperm)?;
    // clone3 passes its flags in memory, where a filter cannot look.
    let hidden: &[i64] = if caps.contains(Cap::SysAdmin) {
        &[]
    } else {
        &[libc::SYS_clone3]
    };
    // The kernel keeps the verdict of the newest filter among equals, so ENOSYS goes in last to win over EPERM.
    Ok(Filters(vec![main, unknown_calls(hidden)]))
}

fn conditions(name: &str, caps: CapSet) -> Result<Vec<SeccompRule>, SeccompError> {
    let when = |op, value| {
        SeccompCondition::new(0, SeccompCmpArgLen::Qword, op, value)
            .and_then(|c| SeccompRule::new(vec![c]))
            .map_err(|e| SeccompError::Compile(e.to_string()))
    };
    match name {
        "clone" if !caps.contains(Cap::SysAdmin) => {
            Ok(vec![when(SeccompCmpOp::MaskedEq(NAMESPACE_FLAGS), 0)?])
        }
        "personality" => PERSONALITIES
            .iter()
            .map(|p| when(SeccompCmpOp::Eq, *p))
            .collect(),
        "socket" => Ok(vec![when(SeccompCmpOp::Ne, AF_VSOCK)?]),
        _ => Ok(Vec::new()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::caps;
    use crate::seccomp::tests::{call, verdict};

    const ALLOW: u32 = libc::SECCOMP_RET_ALLOW;
    const EPERM: u32 = libc::SECCOMP_RET_ERRNO | 1;
    const ENOSYS: u32 = libc::SECCOMP_RET_ERRNO | 38;

    #[test]
    fn every_listed_name_is_a_real_call() {
        for name in BLOCKED.iter().chain(GATED.iter().map(|(n, _)| n)) {
            assert!(syscalls::SYSCALLS.iter().any(|r| r.0 == *name), "{name}");
        }
    }

    #[test]
    fn the_default_blocks_what_reaches_past_the_container() {
        let filters = build(caps::default_set()).unwrap();
        for name in [
            "mount",
            "unshare",
            "setns",
            "keyctl",
            "bpf",
            "reboot",
            "io_uring_setup",
            "sethostname",
            "kexec_load",
        ] {
            assert_eq!(call(&filters, name, &[]), EPERM, "{name}");
        }
        for name in [
            "read",
            "execve",
            "ptrace",
            "chroot",
            "openat",
            "clone",
            "seccomp",
            "capset",
            "futex_waitv",
        ] {
            assert_eq!(call(&filters, name, &[]), ALLOW, "{name}");
        }
    }

    #[test]
    fn capabilities_open_the_calls_they_govern() {
        let base = caps::default_set();
        for (cap, name) in [
            (Cap::SysAdmin, "mount"),
            (Cap::SysAdmin, "clone3"),
            (Cap::SysTime, "settimeofday"),
            (Cap::SysModule, "init_module"),
            (Cap::Syslog, "syslog"),
            (Cap::SysBoot, "reboot"),
            (Cap::DacReadSearch, "open_by_handle_at"),
        ] {
            assert_ne!(
                call(&build(base).unwrap(), name, &[]),
                ALLOW,
                "{name} without {cap:?}"
            );
            assert_eq!(
                call(&build(base.with(cap)).unwrap(), name, &[]),
                ALLOW,
                "{name} with {cap:?}"
            );
        }
        assert_eq!(call(&build(CapSet::EMPTY).unwrap(), "chroot", &[]), EPERM);
    }

    #[test]
    fn arguments_decide_for_clone_personality_and_socket() {
        let filters = build(caps::default_set()).unwrap();
        let newuser = 0x1000_0000;
        for (name, arg, expected) in [
            ("clone", 0x11, ALLOW),
            ("clone", newuser | 0x11, EPERM),
            ("personality", 0, ALLOW),
            ("personality", 0xffff_ffff, ALLOW),
            ("personality", 0x40000, EPERM),
            ("socket", 2, ALLOW),
            ("socket", 40, EPERM),
        ] {
            assert_eq!(call(&filters, name, &[arg]), expected, "{name} {arg:#x}");
        }
        let admin = build(caps::default_set().with(Cap::SysAdmin)).unwrap();
        assert_eq!(call(&admin, "clone", &[newuser | 0x11]), ALLOW);
    }

    #[test]
    fn clone3_and_calls_from_the_future_are_unknown_rather_than_forbidden() {
        let filters = build(caps::default_set()).unwrap();
        assert_eq!(call(&filters, "clone3", &[]), ENOSYS);
        assert_eq!(verdict(&filters, 470, [0; 6]), ENOSYS);
        assert_eq!(verdict(&filters, 9999, [0; 6]), ENOSYS);
    }
}
