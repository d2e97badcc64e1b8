//! Control groups, version 1: one hierarchy per controller.
//!
//! Reads and writes the files of one group. Invariant: [`plan`] is pure and names the controller of every file.

use std::fs;
use std::io;
use std::os::fd::AsRawFd;
use std::path::Path;

use super::devices::DeviceRule;
use super::{CgroupError, OomWatch, Result, Setting, fail, field};
use crate::api::Stats;
use crate::config::Resources;
use crate::sys;

/// What to write for `resources`.
pub(super) fn plan(resources: &Resources) -> Vec<Setting> {
    let mut plan = Vec::new();
    let mut set = |controller: &str, file: &str, value: Option<String>| {
        plan.extend(value.map(|v| Setting::new(controller, file, v)));
    };
    set(
        "cpu",
        "cpu.shares",
        resources
            .cpu_shares
            .map(|v| v.clamp(2, 262_144).to_string()),
    );
    set(
        "cpu",
        "cpu.cfs_period_us",
        resources.cpu_period_us.map(|v| v.to_string()),
    );
    set(
        "cpu",
        "cpu.cfs_quota_us",
        resources.cpu_quota_us.map(|v| v.to_string()),
    );
    set(
        "memory",
        "memory.limit_in_bytes",
        resources.memory_limit_bytes.map(|v| v.to_string()),
    );
    set("pids", "pids.max", resources.pids_limit.map(limit));
    set(
        "cpuset",
        "cpuset.cpus",
        resources.cpuset_cpus.clone().filter(|v| !v.is_empty()),
    );
    set(
        "cpuset",
        "cpuset.mems",
        resources.cpuset_mems.clone().filter(|v| !v.is_empty()),
    );
    for (size, bytes) in &resources.hugepage_limits {
        set(
            "hugetlb",
            &format!("hugetlb.{size}.limit_in_bytes"),
            Some(bytes.to_string()),
        );
    }
    plan
}

fn limit(value: i64) -> String {
    if value < 0 {
        "max".to_owned()
    } else {
        value.to_string()
    }
}

/// Makes the directory in one hierarchy, level by level.
pub(super) fn make(controller: &str, mount: &Path, path: &str) -> Result<()> {
    let mut dir = mount.to_owned();
    for part in path.split('/').filter(|p| !p.is_empty()) {
        let parent = dir.clone();
        dir.push(part);
        match fs::create_dir(&dir) {
            Err(e) if e.kind() == io::ErrorKind::AlreadyExists => {}
            result => result.map_err(fail("create", &dir))?,
        }
        // A cpuset group starts empty, and no task may enter one without CPUs and memory nodes.
        if controller == "cpuset" {
            for file in ["cpuset.cpus", "cpuset.mems"] {
                inherit(&parent.join(file), &dir.join(file))?;
            }
        }
    }
    Ok(())
}

fn inherit(from: &Path, to: &Path) -> Result<()> {
    let present = fs::read_to_string(to).map_err(fail("read", to))?;
    if present.trim().is_empty() {
        let value = fs::read_to_string(from).map_err(fail("read", from))?;
        fs::write(to, value.trim()).map_err(fail("write", to))?;
    }
    Ok(())
}

pub(super) fn restrict_devices(dir: &Path, rules: &[DeviceRule]) -> Result<()> {
    let deny = dir.join("devices.deny");
    fs::write(&deny, "a").map_err(fail("write", &deny))?;
    let allow = dir.join("devices.allow");
    for rule in rules {
        fs::write(&allow, rule.v1()).map_err(fail("write", &allow))?;
    }
    Ok(())
}

pub(super) fn stats(read: &dyn Fn(&str, &str) -> Result<String>) -> Result<Stats> {
    let number = |controller: &str, file: &str| -> Result<u64> {
        Ok(read(controller, file)?.trim().parse().unwrap_or(0))
    };
    let usage = number("memory", "memory.usage_in_bytes")?;
    let memory = read("memory", "memory.stat")?;
    let of = |key: &str| field(&memory, key).unwrap_or(0);
    Ok(Stats {
        timestamp: 0,
        cpu_usage_ns: number("cpuacct", "cpuacct.usage")?,
        memory_usage_bytes: usage,
        memory_working_set_bytes: usage.saturating_sub(of("total_inactive_file")),
        memory_rss_bytes: of("total_rss"),
        page_faults: of("total_pgfault"),
        major_page_faults: of("total_pgmajfault"),
        pids: number("pids", "pids.current")?,
    })
}

pub(super) fn watch_oom(dir: &Path) -> std::result::Result<OomWatch, CgroupError> {
    let control = dir.join("memory.oom_control");
    let file = fs::File::open(&control).map_err(fail("open", &control))?;
    let fd = sys::eventfd().map_err(fail("watch", &control))?;
    let register = dir.join("cgroup.event_control");
    fs::write(
        &register,
        format!("{} {}", fd.as_raw_fd(), file.as_raw_fd()),
    )
    .map_err(fail("write", &register))?;
    Ok(OomWatch {
        fd,
        _keep: Some(file),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_become_files() {
        let plan = plan(&Resources {
            cpu_shares: Some(1),
            cpu_quota_us: Some(50_000),
            cpu_period_us: Some(100_000),
            memory_limit_bytes: Some(1 << 20),
            pids_limit: Some(-1),
            cpuset_cpus: Some("0-1".into()),
            cpuset_mems: Some(String::new()),
            hugepage_limits: [("2MB".to_owned(), 4 << 20)].into(),
            oom_group: Some(true),
            unified: [("memory.high".to_owned(), "1".to_owned())].into(),
        });
        let shown: Vec<_> = plan
            .iter()
            .map(|s| format!("{}={}", s.file, s.value))
            .collect();
        assert_eq!(
            shown,
            [
                "cpu.shares=2",
                "cpu.cfs_period_us=100000",
                "cpu.cfs_quota_us=50000",
                "memory.limit_in_bytes=1048576",
                "pids.max=max",
                "cpuset.cpus=0-1",
                "hugetlb.2MB.limit_in_bytes=4194304",
            ]
        );
    }

    #[test]
    fn working_set_leaves_out_inactive_files() {
        let read = |_: &str, file: &str| -> Result<String> {
            Ok(match file {
                "memory.usage_in_bytes" => "1000\n",
                "memory.stat" => {
                    "total_inactive_file 300\ntotal_rss 200\ntotal_pgfault 7\ntotal_pgmajfault 1\n"
                }
                "cpuacct.usage" => "12345\n",
                "pids.current" => "3\n",
                other => panic!("{other}"),
            }
            .to_owned())
        };
        let stats = stats(&read).unwrap();
        assert_eq!(
            (stats.cpu_usage_ns, stats.pids, stats.page_faults),
            (12345, 3, 7)
        );
        assert_eq!(
            (stats.memory_working_set_bytes, stats.memory_rss_bytes),
            (700, 200)
        );
    }
}
