//! Seccomp: which system calls a container may make, as BPF programs.
//!
//! Reads an OCI profile when the container names one. Writes nothing until [`Filters::install`], which changes
//! the calling process for good.
//!
//! Invariants: the filters are built before the fork, so that the container's process only has to install them; several
//! filters stack and the kernel takes the strictest verdict, which is how one profile with several actions is
//! expressed although each compiled filter knows only one.

mod default_profile;
mod oci;
mod syscalls;

use std::collections::BTreeMap;
use std::io;

use seccompiler::{BpfProgram, SeccompAction, SeccompFilter, SeccompRule, TargetArch, sock_filter};

use crate::caps::CapSet;
use crate::config::SeccompProfile;

/// What can be wrong with a profile.
#[derive(Debug, thiserror::Error)]
pub enum SeccompError {
    /// The profile file cannot be read.
    #[error("seccomp profile {path}")]
    Read {
        /// The file.
        path: String,
        /// Why.
        source: io::Error,
    },
    /// The profile is not an OCI seccomp profile.
    #[error("seccomp profile {path}: {reason}")]
    Parse {
        /// The file.
        path: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The rules do not compile.
    #[error("seccomp rules do not compile: {0}")]
    Compile(String),
}

/// Calls with their alternatives of argument conditions; an empty list means "always".
pub(crate) type Rules = BTreeMap<i64, Vec<SeccompRule>>;

/// One compiled profile, ready to be installed.
#[derive(Debug, Clone, Default)]
pub(crate) struct Filters(Vec<BpfProgram>);

impl Filters {
    /// Compiles what `profile` asks for. `caps` are the capabilities the container will hold.
    pub(crate) fn build(profile: &SeccompProfile, caps: CapSet) -> Result<Self, SeccompError> {
        match profile {
            SeccompProfile::Unconfined => Ok(Self::default()),
            SeccompProfile::RuntimeDefault => default_profile::build(caps),
            SeccompProfile::Localhost(path) => oci::load(path, caps),
        }
    }

    /// Installs every filter on the calling thread.
    ///
    /// Needs either no_new_privs or CAP_SYS_ADMIN. Each filter must still let the next one be installed; the
    /// default profile allows `seccomp(2)`, and filters built from a file are ordered strictest last.
    pub(crate) fn install(&self) -> io::Result<()> {
        for program in &self.0 {
            let len = u16::try_from(program.len()).map_err(io::Error::other)?;
            let mut instructions: Vec<libc::sock_filter> = program
                .iter()
                .map(|i| libc::sock_filter {
                    code: i.code,
                    jt: i.jt,
                    jf: i.jf,
                    k: i.k,
                })
                .collect();
            let program = libc::sock_fprog {
                len,
                filter: instructions.as_mut_ptr(),
            };
            // SAFETY: `program` describes `instructions`, which outlives the call; the kernel copies both.
            let result = unsafe {
                libc::syscall(
                    libc::SYS_seccomp,
                    libc::SECCOMP_SET_MODE_FILTER,
                    0,
                    &raw const program,
                )
            };
            if result != 0 {
                return Err(io::Error::last_os_error());
            }
        }
        Ok(())
    }

    #[cfg(test)]
    fn programs(&self) -> &[BpfProgram] {
        &self.0
    }
}

fn arch() -> TargetArch {
    if cfg!(target_arch = "aarch64") {
        TargetArch::aarch64
    } else {
        TargetArch::x86_64
    }
}

/// Compiles one filter: `matched` for calls that `rules` match, `otherwise` for the rest.
fn compile(
    rules: Rules,
    matched: SeccompAction,
    otherwise: SeccompAction,
) -> Result<BpfProgram, SeccompError> {
    SeccompFilter::new(rules, otherwise, matched, arch())
        .and_then(BpfProgram::try_from)
        .map_err(|e| SeccompError::Compile(e.to_string()))
}

/// A filter that answers ENOSYS for `calls` and for every call newer than the table knows.
///
/// A libc probes new calls and falls back on ENOSYS only; EPERM would make it fail. Container runtimes
/// therefore answer ENOSYS for what their profile has never heard of.
fn unknown_calls(calls: &[i64]) -> BpfProgram {
    // Opcodes of classic BPF: load an absolute word, compare it with a constant, return a constant.
    const LOAD: u16 = 0x20;
    const JUMP_EQ: u16 = 0x15;
    const JUMP_GE: u16 = 0x35;
    const RETURN: u16 = 0x06;
    let newest = syscalls::SYSCALLS
        .iter()
        .filter_map(syscalls::native)
        .max()
        .unwrap_or(0);
    let enosys = libc::SECCOMP_RET_ERRNO | libc::ENOSYS.cast_unsigned();
    // Offset 0 of `struct seccomp_data` is the call's number. Foreign architectures are stopped by the main filter.
    let mut program = vec![sock_filter {
        code: LOAD,
        jt: 0,
        jf: 0,
        k: 0,
    }];
    let mut stop = |code: u16, k: i64| {
        let k = u32::try_from(k).unwrap_or(u32::MAX);
        program.push(sock_filter {
            code,
            jt: 0,
            jf: 1,
            k,
        });
        program.push(sock_filter {
            code: RETURN,
            jt: 0,
            jf: 0,
            k: enosys,
        });
    };
    stop(JUMP_GE, newest + 1);
    for call in calls {
        stop(JUMP_EQ, *call);
    }
    program.push(sock_filter {
        code: RETURN,
        jt: 0,
        jf: 0,
        k: libc::SECCOMP_RET_ALLOW,
    });
    program
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::caps;

    /// Runs a filter stack on one call as the kernel would, and returns the strictest verdict.
    pub(super) fn verdict(filters: &Filters, number: i64, args: [u64; 6]) -> u32 {
        let audit = if cfg!(target_arch = "aarch64") {
            0xC000_00B7u32
        } else {
            0xC000_003E
        };
        let mut data = Vec::new();
        data.extend(u32::try_from(number).unwrap().to_ne_bytes());
        data.extend(audit.to_ne_bytes());
        data.extend(0u64.to_ne_bytes());
        for a in args {
            data.extend(a.to_ne_bytes());
        }
        let mut strictest = libc::SECCOMP_RET_ALLOW;
        for program in filters.programs().iter().rev() {
            let found = run(program, &data);
            if rank(found) < rank(strictest) {
                strictest = found;
            }
        }
        strictest
    }

    fn rank(action: u32) -> i32 {
        (action & 0xffff_0000).cast_signed()
    }

    /// A tiny interpreter for the instructions seccomp filters use.
    fn run(program: &BpfProgram, data: &[u8]) -> u32 {
        let (mut pc, mut acc) = (0usize, 0u32);
        loop {
            let i = &program[pc];
            pc += 1;
            let jump = |taken: bool| usize::from(if taken { i.jt } else { i.jf });
            match i.code {
                0x20 => {
                    let at = usize::try_from(i.k).unwrap();
                    acc = u32::from_ne_bytes(data[at..at + 4].try_into().unwrap());
                }
                0x05 => pc += usize::try_from(i.k).unwrap(),
                0x15 => pc += jump(acc == i.k),
                0x25 => pc += jump(acc > i.k),
                0x35 => pc += jump(acc >= i.k),
                0x45 => pc += jump(acc & i.k != 0),
                0x54 => acc &= i.k,
                0x06 => return i.k,
                other => panic!("instruction {other:#x}"),
            }
        }
    }

    pub(super) fn call(filters: &Filters, name: &str, args: &[u64]) -> u32 {
        let mut all = [0; 6];
        all[..args.len()].copy_from_slice(args);
        verdict(filters, syscalls::number(name).unwrap(), all)
    }

    #[test]
    fn unconfined_installs_nothing() {
        let filters = Filters::build(&SeccompProfile::Unconfined, caps::default_set()).unwrap();
        assert!(filters.programs().is_empty());
    }

    #[test]
    fn every_filter_fits_the_kernel_limit() {
        for caps in [caps::default_set(), CapSet::EMPTY, CapSet::all_known()] {
            let filters = Filters::build(&SeccompProfile::RuntimeDefault, caps).unwrap();
            for program in filters.programs() {
                assert!(program.len() <= 4096, "{}", program.len());
            }
        }
    }
}
