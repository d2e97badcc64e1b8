//! Linux capabilities: names, the default set, and giving up what a container must not hold.
//!
//! Reads `/proc/sys/kernel/cap_last_cap`. [`CapSet::apply`] changes the calling process for good. Invariant: a
//! container's process holds nothing in its inheritable and ambient sets, so a program run by a non-root user
//! gains nothing from what the container may hold.

use std::io;

use crate::sys;

macro_rules! capabilities {
    ($($name:ident $number:literal $text:literal),+ $(,)?) => {
        /// One capability; the discriminant is the kernel's number.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
        #[repr(u8)]
        #[expect(missing_docs, reason = "capabilities(7) documents each of them")]
        pub enum Cap { $($name = $number),+ }

        impl Cap {
            /// Every capability this crate knows, in the kernel's order.
            pub const ALL: &[Cap] = &[$(Cap::$name),+];

            /// The name as Pods write it, without `CAP_`.
            pub fn name(self) -> &'static str {
                match self { $(Cap::$name => $text),+ }
            }
        }
    };
}

capabilities! {
    Chown 0 "CHOWN", DacOverride 1 "DAC_OVERRIDE", DacReadSearch 2 "DAC_READ_SEARCH", Fowner 3 "FOWNER",
    Fsetid 4 "FSETID", Kill 5 "KILL", Setgid 6 "SETGID", Setuid 7 "SETUID", Setpcap 8 "SETPCAP",
    LinuxImmutable 9 "LINUX_IMMUTABLE", NetBindService 10 "NET_BIND_SERVICE", NetBroadcast 11 "NET_BROADCAST",
    NetAdmin 12 "NET_ADMIN", NetRaw 13 "NET_RAW", IpcLock 14 "IPC_LOCK", IpcOwner 15 "IPC_OWNER",
    SysModule 16 "SYS_MODULE", SysRawio 17 "SYS_RAWIO", SysChroot 18 "SYS_CHROOT", SysPtrace 19 "SYS_PTRACE",
    SysPacct 20 "SYS_PACCT", SysAdmin 21 "SYS_ADMIN", SysBoot 22 "SYS_BOOT", SysNice 23 "SYS_NICE",
    SysResource 24 "SYS_RESOURCE", SysTime 25 "SYS_TIME", SysTtyConfig 26 "SYS_TTY_CONFIG", Mknod 27 "MKNOD",
    Lease 28 "LEASE", AuditWrite 29 "AUDIT_WRITE", AuditControl 30 "AUDIT_CONTROL", Setfcap 31 "SETFCAP",
    MacOverride 32 "MAC_OVERRIDE", MacAdmin 33 "MAC_ADMIN", Syslog 34 "SYSLOG", WakeAlarm 35 "WAKE_ALARM",
    BlockSuspend 36 "BLOCK_SUSPEND", AuditRead 37 "AUDIT_READ", Perfmon 38 "PERFMON", Bpf 39 "BPF",
    CheckpointRestore 40 "CHECKPOINT_RESTORE",
}

impl Cap {
    /// Accepts `NET_ADMIN` and `CAP_NET_ADMIN` in any case.
    pub fn parse(name: &str) -> Option<Self> {
        let upper = name.to_ascii_uppercase();
        let bare = upper.strip_prefix("CAP_").unwrap_or(&upper);
        Self::ALL.iter().copied().find(|c| c.name() == bare)
    }
}

/// A set of capabilities.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CapSet(u64);

/// What containerd gives a container that asks for nothing.
const DEFAULT: &[Cap] = &[
    Cap::Chown,
    Cap::DacOverride,
    Cap::Fsetid,
    Cap::Fowner,
    Cap::Mknod,
    Cap::NetRaw,
    Cap::Setgid,
    Cap::Setuid,
    Cap::Setfcap,
    Cap::Setpcap,
    Cap::NetBindService,
    Cap::SysChroot,
    Cap::Kill,
    Cap::AuditWrite,
];

/// The default set of a container.
pub fn default_set() -> CapSet {
    DEFAULT.iter().fold(CapSet::EMPTY, |set, c| set.with(*c))
}

/// A capability name that does not exist.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("unknown capability {0:?}")]
pub struct UnknownCap(pub String);

impl CapSet {
    /// No capability.
    pub const EMPTY: CapSet = CapSet(0);

    /// Every capability this crate knows.
    pub fn all_known() -> CapSet {
        Cap::ALL.iter().fold(Self::EMPTY, |set, c| set.with(*c))
    }

    /// The set plus `cap`.
    #[must_use]
    pub fn with(self, cap: Cap) -> CapSet {
        CapSet(self.0 | 1 << cap as u8)
    }

    /// The set minus `cap`.
    #[must_use]
    pub fn without(self, cap: Cap) -> CapSet {
        CapSet(self.0 & !(1 << cap as u8))
    }

    /// Whether `cap` is in the set.
    pub fn contains(self, cap: Cap) -> bool {
        self.0 & (1 << cap as u8) != 0
    }

    /// Resolves a Pod's `capabilities.add` and `.drop` relative to the default set.
    ///
    /// `ALL` is handled first, as containerd does: add ALL, then drop ALL, then the single names (so that
    /// `drop: [ALL], add: [NET_BIND_SERVICE]` leaves exactly one).
    ///
    /// # Errors
    /// A name that is no capability.
    pub fn resolve(add: &[String], drop: &[String]) -> Result<CapSet, UnknownCap> {
        let is_all = |name: &String| {
            name.eq_ignore_ascii_case("ALL") || name.eq_ignore_ascii_case("CAP_ALL")
        };
        let mut set = default_set();
        if add.iter().any(is_all) {
            set = Self::all_known();
        }
        if drop.iter().any(is_all) {
            set = Self::EMPTY;
        }
        let parse = |name: &String| Cap::parse(name).ok_or_else(|| UnknownCap(name.clone()));
        for name in add.iter().filter(|n| !is_all(n)) {
            set = set.with(parse(name)?);
        }
        for name in drop.iter().filter(|n| !is_all(n)) {
            set = set.without(parse(name)?);
        }
        Ok(set)
    }

    /// What this process may hold, and so all that it can pass on.
    pub(crate) fn held() -> CapSet {
        let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
        let permitted = status.lines().find_map(|l| l.strip_prefix("CapPrm:"));
        CapSet(
            permitted
                .and_then(|hex| u64::from_str_radix(hex.trim(), 16).ok())
                .unwrap_or(u64::MAX),
        )
    }

    /// What both sets have.
    #[must_use]
    pub fn intersection(self, other: CapSet) -> CapSet {
        CapSet(self.0 & other.0)
    }

    /// Removes from the bounding set whatever is not in `self`; needs CAP_SETPCAP.
    pub(crate) fn apply_bounding(self) -> io::Result<()> {
        for number in 0..=last_cap() {
            if self.0 & (1 << number) == 0 {
                sys::prctl(libc::PR_CAPBSET_DROP, number.into(), 0)?;
            }
        }
        Ok(())
    }

    /// Makes `self` the effective and permitted set; inheritable and ambient become empty.
    pub(crate) fn apply(self) -> io::Result<()> {
        #[repr(C)]
        struct Header {
            version: u32,
            pid: i32,
        }
        #[repr(C)]
        #[derive(Clone, Copy)]
        struct Data {
            effective: u32,
            permitted: u32,
            inheritable: u32,
        }
        const VERSION_3: u32 = 0x2008_0522;
        let clear_all = libc::PR_CAP_AMBIENT_CLEAR_ALL.unsigned_abs().into();
        sys::prctl(libc::PR_CAP_AMBIENT, clear_all, 0)?;
        // What the running kernel does not know cannot be asked for.
        let known = self.0 & (u64::MAX >> (63 - last_cap()));
        let half = |shift: u32| {
            let word = u32::try_from(known >> shift & 0xffff_ffff).unwrap_or_default();
            Data {
                effective: word,
                permitted: word,
                inheritable: 0,
            }
        };
        let header = Header {
            version: VERSION_3,
            pid: 0,
        };
        let data = [half(0), half(32)];
        // SAFETY: version 3 takes one header and two data structs, both repr(C) and alive during the call.
        sys::check(unsafe { libc::syscall(libc::SYS_capset, &raw const header, data.as_ptr()) })
            .map(drop)
    }
}

/// The highest capability of the running kernel.
fn last_cap() -> u32 {
    const NEWEST_KNOWN: u32 = Cap::CheckpointRestore as u32;
    std::fs::read_to_string("/proc/sys/kernel/cap_last_cap")
        .ok()
        .and_then(|text| text.trim().parse().ok())
        .unwrap_or(NEWEST_KNOWN)
        .min(63)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn resolve(add: &[&str], drop: &[&str]) -> Result<CapSet, UnknownCap> {
        let own = |names: &[&str]| names.iter().map(|s| (*s).to_owned()).collect::<Vec<_>>();
        CapSet::resolve(&own(add), &own(drop))
    }

    #[test]
    fn the_default_set_is_the_one_every_runtime_shows_in_proc_status() {
        assert_eq!(format!("{:016x}", default_set().0), "00000000a80425fb");
    }

    #[test]
    fn add_and_drop_resolve_relative_to_the_default() {
        let default = default_set();
        for (add, drop, expected) in [
            (&[][..], &[][..], default),
            (
                &["NET_ADMIN"],
                &["KILL"],
                default.with(Cap::NetAdmin).without(Cap::Kill),
            ),
            (&["cap_sys_time"], &[], default.with(Cap::SysTime)),
            (
                &["NET_BIND_SERVICE"],
                &["ALL"],
                CapSet::EMPTY.with(Cap::NetBindService),
            ),
            (
                &["ALL"],
                &["SYS_ADMIN"],
                CapSet::all_known().without(Cap::SysAdmin),
            ),
            (&["ALL"], &["all"], CapSet::EMPTY),
        ] {
            assert_eq!(resolve(add, drop), Ok(expected), "{add:?} {drop:?}");
        }
        assert_eq!(resolve(&["FLY"], &[]), Err(UnknownCap("FLY".into())));
    }
}
