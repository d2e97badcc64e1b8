//! Control groups, version 2: one hierarchy.
//!
//! Reads and writes the files of one group and `cgroup.subtree_control` of its ancestors. Invariant: [`plan`] is pure.

use std::fs;
use std::io;
use std::path::Path;

use super::{Result, Setting, fail, field};
use crate::api::Stats;
use crate::config::Resources;

/// Controllers that groups use, as far as the host has them.
const CONTROLLERS: &[&str] = &["cpu", "cpuset", "hugetlb", "io", "memory", "pids"];

/// What to write for `resources`.
pub(super) fn plan(resources: &Resources) -> Vec<Setting> {
    let mut plan = Vec::new();
    let mut set = |controller: &str, file: &str, value: Option<String>| {
        plan.extend(value.map(|v| Setting::new(controller, file, v)));
    };
    set(
        "cpu",
        "cpu.weight",
        resources.cpu_shares.map(|s| weight(s).to_string()),
    );
    set(
        "cpu",
        "cpu.max",
        cpu_max(resources.cpu_quota_us, resources.cpu_period_us),
    );
    set(
        "memory",
        "memory.max",
        resources.memory_limit_bytes.map(limit),
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
            &format!("hugetlb.{size}.max"),
            Some(bytes.to_string()),
        );
    }
    // The kubelet's default is no swap for containers with a limit; kernels without swap lack the file.
    if resources.memory_limit_bytes.is_some_and(|l| l >= 0) {
        plan.push(Setting::new("memory", "memory.swap.max", "0").optional());
    }
    if let Some(group) = resources.oom_group {
        plan.push(
            Setting::new("memory", "memory.oom.group", if group { "1" } else { "0" }).optional(),
        );
    }
    for (file, value) in &resources.unified {
        plan.push(Setting::new("", file, value));
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

fn cpu_max(quota: Option<i64>, period: Option<u64>) -> Option<String> {
    const DEFAULT_PERIOD_US: u64 = 100_000;
    if quota.is_none() && period.is_none() {
        return None;
    }
    let quota = quota
        .filter(|q| *q > 0)
        .map_or("max".to_owned(), |q| q.to_string());
    Some(format!("{quota} {}", period.unwrap_or(DEFAULT_PERIOD_US)))
}

/// The v2 weight of v1 shares.
///
/// The quadratic formula that runc and crun use since 2025: the ends of both ranges meet, and the default of one
/// (1024) is the default of the other (100).
fn weight(shares: u64) -> u64 {
    match shares {
        0..=2 => 1,
        262_144.. => 10_000,
        _ => {
            // At most 262143, which a double holds exactly.
            #[expect(clippy::cast_precision_loss, reason = "see above")]
            let log = (shares as f64).log2();
            let exponent = (log * log + 125.0 * log) / 612.0 - 7.0 / 34.0;
            #[expect(
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                reason = "between 1 and 10000"
            )]
            let weight = 10f64.powf(exponent).ceil() as u64;
            weight.clamp(1, 10_000)
        }
    }
}

/// Makes the directory level by level and turns the controllers on for it in every ancestor.
pub(super) fn make(mount: &Path, path: &str) -> Result<()> {
    let mut dir = mount.to_owned();
    for part in path.split('/').filter(|p| !p.is_empty()) {
        enable_controllers(&dir)?;
        dir.push(part);
        match fs::create_dir(&dir) {
            Err(e) if e.kind() == io::ErrorKind::AlreadyExists => {}
            result => result.map_err(fail("create", &dir))?,
        }
    }
    Ok(())
}

fn enable_controllers(dir: &Path) -> Result<()> {
    let read = |file: &str| {
        let file = dir.join(file);
        fs::read_to_string(&file).map_err(fail("read", &file))
    };
    let (available, enabled) = (read("cgroup.controllers")?, read("cgroup.subtree_control")?);
    let has = |list: &str, name: &str| list.split_whitespace().any(|c| c == name);
    for controller in CONTROLLERS
        .iter()
        .filter(|c| has(&available, c) && !has(&enabled, c))
    {
        let file = dir.join("cgroup.subtree_control");
        fs::write(&file, format!("+{controller}")).map_err(fail("write", &file))?;
    }
    Ok(())
}

pub(super) fn stats(read: &dyn Fn(&str, &str) -> Result<String>) -> Result<Stats> {
    let usage = read("memory", "memory.current")?
        .trim()
        .parse()
        .unwrap_or(0);
    let memory = read("memory", "memory.stat")?;
    let of = |key: &str| field(&memory, key).unwrap_or(0);
    Ok(Stats {
        timestamp: 0,
        cpu_usage_ns: field(&read("cpu", "cpu.stat")?, "usage_usec")
            .unwrap_or(0)
            .saturating_mul(1000),
        memory_usage_bytes: usage,
        memory_working_set_bytes: usage.saturating_sub(of("inactive_file")),
        memory_rss_bytes: of("anon"),
        page_faults: of("pgfault"),
        major_page_faults: of("pgmajfault"),
        pids: read("pids", "pids.current")?.trim().parse().unwrap_or(0),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_become_weights_with_both_ends_and_the_default_in_place() {
        for (shares, expected) in [
            (0, 1),
            (2, 1),
            (1024, 100),
            (262_144, 10_000),
            (u64::MAX, 10_000),
        ] {
            assert_eq!(weight(shares), expected, "{shares}");
        }
        assert!(
            (2..262_143)
                .step_by(97)
                .all(|s| weight(s) <= weight(s + 97))
        );
    }

    #[test]
    fn limits_become_files() {
        let plan = plan(&Resources {
            cpu_shares: Some(1024),
            cpu_quota_us: Some(-1),
            cpu_period_us: None,
            memory_limit_bytes: Some(1 << 20),
            pids_limit: Some(10),
            oom_group: Some(true),
            hugepage_limits: [("2MB".to_owned(), 4 << 20)].into(),
            unified: [("memory.high".to_owned(), "900000".to_owned())].into(),
            ..Resources::default()
        });
        let shown: Vec<_> = plan
            .iter()
            .map(|s| format!("{}={}", s.file, s.value))
            .collect();
        assert_eq!(
            shown,
            [
                "cpu.weight=100",
                "cpu.max=max 100000",
                "memory.max=1048576",
                "pids.max=10",
                "hugetlb.2MB.max=4194304",
                "memory.swap.max=0",
                "memory.oom.group=1",
                "memory.high=900000",
            ]
        );
    }

    #[test]
    fn groups_are_made_with_controllers_on_in_every_ancestor() {
        let root = tempfile::tempdir().unwrap();
        for dir in ["", "a"] {
            let dir = root.path().join(dir);
            fs::create_dir_all(&dir).unwrap();
            fs::write(dir.join("cgroup.controllers"), "cpu memory\n").unwrap();
            fs::write(dir.join("cgroup.subtree_control"), "cpu\n").unwrap();
        }
        make(root.path(), "/a/b").unwrap();
        assert!(root.path().join("a/b").is_dir());
        for dir in ["", "a"] {
            let written =
                fs::read_to_string(root.path().join(dir).join("cgroup.subtree_control")).unwrap();
            assert_eq!(written, "+memory");
        }
    }

    #[test]
    fn counters_are_read_in_their_units() {
        let read = |_: &str, file: &str| -> Result<String> {
            Ok(match file {
                "memory.current" => "1000\n",
                "memory.stat" => "anon 200\ninactive_file 300\npgfault 7\npgmajfault 1\n",
                "cpu.stat" => "usage_usec 12\nuser_usec 5\n",
                "pids.current" => "3\n",
                other => panic!("{other}"),
            }
            .to_owned())
        };
        let stats = stats(&read).unwrap();
        assert_eq!(
            (
                stats.cpu_usage_ns,
                stats.memory_working_set_bytes,
                stats.memory_rss_bytes
            ),
            (12_000, 700, 200)
        );
    }
}
