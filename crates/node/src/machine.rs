//! What the machine has: processors, memory, system names.
//!
//! Reads /proc, /etc and the file system of the agent's directory.

use std::path::Path;

/// Facts about the machine, as the Node object shows them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Machine {
    /// Processors in thousandths.
    pub cpu_milli: i64,
    /// Bytes of memory.
    pub memory_bytes: u64,
    /// Bytes of the file system that holds pods and images.
    pub storage_bytes: u64,
    /// Sizes of huge pages, as the kernel names them in kilobytes, are not offered; swap is not used.
    pub machine_id: String,
    /// Of this boot.
    pub boot_id: String,
    /// Of the hardware.
    pub system_uuid: String,
    /// Of the kernel.
    pub kernel_version: String,
    /// Of the distribution, for people.
    pub os_image: String,
    /// As Go and container images name it.
    pub architecture: String,
}

impl Machine {
    /// Looks at this machine; `root_dir` names the file system to measure. What cannot be read stays empty.
    pub fn detect(root_dir: &Path) -> Self {
        let read = |path: &str| {
            std::fs::read_to_string(path)
                .map(|text| text.trim().to_owned())
                .unwrap_or_default()
        };
        let cpus = std::thread::available_parallelism().map_or(1, usize::from);
        let storage = nix::sys::statvfs::statvfs(root_dir)
            .map_or(0, |stat| stat.blocks().saturating_mul(stat.fragment_size()));
        Self {
            cpu_milli: i64::try_from(cpus).unwrap_or(1) * 1000,
            memory_bytes: memory_bytes(&read("/proc/meminfo")),
            storage_bytes: storage,
            machine_id: read("/etc/machine-id"),
            boot_id: read("/proc/sys/kernel/random/boot_id"),
            system_uuid: read("/sys/class/dmi/id/product_uuid"),
            kernel_version: read("/proc/sys/kernel/osrelease"),
            os_image: os_image(&read("/etc/os-release")),
            architecture: image::Platform::host().architecture,
        }
    }
}

fn memory_bytes(meminfo: &str) -> u64 {
    let line = meminfo
        .lines()
        .find_map(|line| line.strip_prefix("MemTotal:"));
    let kilobytes = line
        .and_then(|line| line.split_whitespace().next())
        .and_then(|number| number.parse::<u64>().ok());
    kilobytes.unwrap_or(0) * 1024
}

fn os_image(os_release: &str) -> String {
    let name = os_release
        .lines()
        .find_map(|line| line.strip_prefix("PRETTY_NAME="));
    name.map_or_else(
        || "Linux".to_owned(),
        |name| name.trim_matches('"').to_owned(),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_read_from_the_kernels_text() {
        assert_eq!(
            memory_bytes("MemTotal:       1024 kB\nMemFree: 1 kB"),
            1 << 20
        );
        assert_eq!(
            os_image("ID=debian\nPRETTY_NAME=\"Debian GNU/Linux 13 (trixie)\"\n"),
            "Debian GNU/Linux 13 (trixie)"
        );
    }
}
