//! Which devices a container may open or make.
//!
//! On v1 rules are lines for `devices.allow`; on v2 they compile to a small eBPF program attached to the group.
//! Reads and writes nothing but that attachment. Invariant: what no rule allows is denied.

use std::fs;
use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::path::Path;

use crate::sys;

/// Block or character device.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum DeviceKind {
    Block,
    Char,
}

/// Allows access to some devices.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct DeviceRule {
    pub(crate) kind: DeviceKind,
    /// `None` is every number.
    pub(crate) major: Option<u32>,
    /// `None` is every number.
    pub(crate) minor: Option<u32>,
    /// Any of `r`, `w`, `m`.
    pub(crate) access: String,
}

impl DeviceRule {
    pub(crate) fn char(major: u32, minor: Option<u32>, access: &str) -> Self {
        Self {
            kind: DeviceKind::Char,
            major: Some(major),
            minor,
            access: access.to_owned(),
        }
    }

    /// What every container may use, as runc has it: making any node, and the harmless ones.
    pub(crate) fn defaults() -> Vec<Self> {
        let any = |kind| Self {
            kind,
            major: None,
            minor: None,
            access: "m".to_owned(),
        };
        let mut rules = vec![any(DeviceKind::Char), any(DeviceKind::Block)];
        // null, zero, full, random, urandom, tty, ptmx, and every pty.
        for (major, minor) in [(1, 3), (1, 5), (1, 7), (1, 8), (1, 9), (5, 0), (5, 2)] {
            rules.push(Self::char(major, Some(minor), "rwm"));
        }
        rules.push(Self::char(136, None, "rwm"));
        rules
    }

    pub(super) fn v1(&self) -> String {
        let kind = if self.kind == DeviceKind::Block {
            'b'
        } else {
            'c'
        };
        let number = |n: Option<u32>| n.map_or("*".to_owned(), |n| n.to_string());
        format!(
            "{kind} {}:{} {}",
            number(self.major),
            number(self.minor),
            self.access
        )
    }
}

// Opcodes of eBPF used below.
const LOAD_WORD: u8 = 0x61;
const MOVE: u8 = 0xbc;
const AND: u8 = 0x54;
const SHIFT_RIGHT: u8 = 0x74;
const JUMP_NOT_EQUAL: u8 = 0x56;
const SET: u8 = 0xb7;
const EXIT: u8 = 0x95;

#[repr(C)]
#[derive(Debug, Clone, Copy)]
struct Instruction {
    opcode: u8,
    /// Destination in the low half, source in the high half (both targets are little-endian).
    registers: u8,
    offset: i16,
    value: i32,
}

fn op(opcode: u8, dst: u8, src: u8, offset: i16, value: u32) -> Instruction {
    Instruction {
        opcode,
        registers: dst | src << 4,
        offset,
        value: value.cast_signed(),
    }
}

/// Compiles rules: returns 1 (allow) from the first rule that matches, 0 at the end.
fn program(rules: &[DeviceRule]) -> Vec<Instruction> {
    // The context is three words: access << 16 | kind, major, minor.
    let mut program = vec![
        op(LOAD_WORD, 2, 1, 0, 0),
        op(MOVE, 3, 2, 0, 0),
        op(SHIFT_RIGHT, 3, 0, 0, 16),
        op(AND, 2, 0, 0, 0xffff),
        op(LOAD_WORD, 4, 1, 4, 0),
        op(LOAD_WORD, 5, 1, 8, 0),
    ];
    for rule in rules {
        let kind = if rule.kind == DeviceKind::Block { 1 } else { 2 };
        let bits = [('m', 1), ('r', 2), ('w', 4)];
        let allowed = bits
            .iter()
            .filter(|(c, _)| rule.access.contains(*c))
            .fold(0u32, |a, (_, bit)| a | bit);
        // Each test jumps to the next rule when it fails; the distance is filled in once the length is known.
        let mut block = vec![
            op(JUMP_NOT_EQUAL, 2, 0, 0, kind),
            op(MOVE, 6, 3, 0, 0),
            op(AND, 6, 0, 0, !allowed),
            op(JUMP_NOT_EQUAL, 6, 0, 0, 0),
        ];
        block.extend(rule.major.map(|n| op(JUMP_NOT_EQUAL, 4, 0, 0, n)));
        block.extend(rule.minor.map(|n| op(JUMP_NOT_EQUAL, 5, 0, 0, n)));
        block.extend([op(SET, 0, 0, 0, 1), op(EXIT, 0, 0, 0, 0)]);
        let length = block.len();
        for (i, instruction) in block
            .iter_mut()
            .enumerate()
            .filter(|(_, i)| i.opcode == JUMP_NOT_EQUAL)
        {
            // A block has at most eight instructions.
            instruction.offset = i16::try_from(length - i - 1).unwrap_or(i16::MAX);
        }
        program.extend(block);
    }
    program.extend([op(SET, 0, 0, 0, 0), op(EXIT, 0, 0, 0, 0)]);
    program
}

/// Loads the program and attaches it to the group at `dir`.
pub(super) fn attach(dir: &Path, rules: &[DeviceRule]) -> io::Result<()> {
    #[repr(C)]
    struct Load {
        kind: u32,
        count: u32,
        instructions: u64,
        license: u64,
        log_level: u32,
        log_size: u32,
        log_buffer: u64,
    }
    #[repr(C)]
    struct Attach {
        target: RawFd,
        program: RawFd,
        kind: u32,
        flags: u32,
    }
    const PROG_LOAD: libc::c_int = 5;
    const PROG_ATTACH: libc::c_int = 8;
    const CGROUP_DEVICE_PROGRAM: u32 = 15;
    const CGROUP_DEVICE: u32 = 6;
    const ALLOW_MULTI: u32 = 2;
    let program = program(rules);
    let load = Load {
        kind: CGROUP_DEVICE_PROGRAM,
        count: u32::try_from(program.len()).map_err(io::Error::other)?,
        instructions: program.as_ptr() as u64,
        license: c"Apache-2.0".as_ptr() as u64,
        log_level: 0,
        log_size: 0,
        log_buffer: 0,
    };
    // SAFETY: `load` has the layout of the kernel's union for this command and its size is passed; the
    // instructions and the license outlive the call.
    let fd = sys::check(unsafe {
        libc::syscall(libc::SYS_bpf, PROG_LOAD, &raw const load, size_of::<Load>())
    })?;
    let fd = RawFd::try_from(fd).map_err(io::Error::other)?;
    // SAFETY: the kernel has just returned this descriptor to us.
    let loaded = unsafe { OwnedFd::from_raw_fd(fd) };
    let group = fs::File::open(dir)?;
    let attach = Attach {
        target: group.as_raw_fd(),
        program: loaded.as_raw_fd(),
        kind: CGROUP_DEVICE,
        flags: ALLOW_MULTI,
    };
    // SAFETY: as above; both descriptors are open.
    sys::check(unsafe {
        libc::syscall(
            libc::SYS_bpf,
            PROG_ATTACH,
            &raw const attach,
            size_of::<Attach>(),
        )
    })
    .map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(program: &[Instruction], context: [u32; 3]) -> i32 {
        let mut r = [0u32; 10];
        let mut pc = 0;
        loop {
            let i = program[pc];
            pc += 1;
            let (dst, src) = (usize::from(i.registers & 15), usize::from(i.registers >> 4));
            let value = i.value.cast_unsigned();
            match i.opcode {
                LOAD_WORD => r[dst] = context[usize::try_from(i.offset).unwrap() / 4],
                MOVE => r[dst] = r[src],
                AND => r[dst] &= value,
                SHIFT_RIGHT => r[dst] >>= value,
                JUMP_NOT_EQUAL if r[dst] != value => pc += usize::try_from(i.offset).unwrap(),
                JUMP_NOT_EQUAL => {}
                SET => r[dst] = value,
                EXIT => return r[0].cast_signed(),
                other => panic!("{other:#x}"),
            }
        }
    }

    #[test]
    fn the_program_allows_what_the_rules_allow_and_nothing_else() {
        let program = program(&DeviceRule::defaults());
        let (block, char) = (1, 2);
        let (mknod, read, write) = (1 << 16, 2 << 16, 4 << 16);
        for (context, allowed) in [
            ([char | read | write, 1, 3], 1),
            ([char | read, 136, 77], 1),
            ([block | mknod, 8, 0], 1),
            ([block | read, 8, 0], 0),
            ([block | mknod | read, 8, 0], 0),
            ([char | read, 1, 1], 0),
            ([char | write, 10, 200], 0),
        ] {
            assert_eq!(run(&program, context), allowed, "{context:x?}");
        }
    }

    #[test]
    fn rules_read_as_the_v1_files_want_them() {
        let lines: Vec<_> = DeviceRule::defaults().iter().map(DeviceRule::v1).collect();
        assert_eq!(lines[0], "c *:* m");
        assert_eq!(lines[2], "c 1:3 rwm");
        assert_eq!(lines.last().unwrap(), "c 136:* rwm");
    }

    #[test]
    fn the_kernel_takes_the_program_on_a_unified_hierarchy() {
        let mount = ["/sys/fs/cgroup/unified", "/sys/fs/cgroup"]
            .into_iter()
            .map(Path::new)
            .find(|m| m.join("cgroup.controllers").exists());
        let Some(mount) = mount.filter(|_| nix::unistd::geteuid().is_root()) else {
            println!("skipped: needs root and a cgroup v2 mount");
            return;
        };
        let group = mount.join(format!("kogge-devices-{}", std::process::id()));
        fs::create_dir(&group).unwrap();
        let attached = attach(&group, &DeviceRule::defaults());
        // A shell in the group: the kernel must now refuse it what no rule allows, and only that.
        let open = |device: &str| {
            let script = format!("echo $$ > {}/cgroup.procs && : < {device}", group.display());
            std::process::Command::new("sh")
                .args(["-c", &script])
                .stderr(std::process::Stdio::null())
                .status()
                .unwrap()
                .success()
        };
        let (null, mem) = (open("/dev/null"), open("/dev/kmsg"));
        crate::cgroup::pause(std::time::Duration::from_millis(20));
        fs::remove_dir(&group).unwrap();
        attached.unwrap();
        assert!(null, "/dev/null must stay open to it");
        assert!(!mem, "/dev/kmsg must be denied");
    }
}
