//! Seccomp profiles in the JSON form of the OCI runtime specification (and Docker's superset of it).
//!
//! Reads one file named by the Pod (`Localhost` profiles). Invariants: names this architecture does not have are
//! skipped, as libseccomp does; an action or operator that cannot be honoured is an error, never ignored.

use std::collections::BTreeMap;
use std::path::Path;

use seccompiler::{SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompRule};
use serde::Deserialize;

use super::{Filters, Rules, SeccompError, compile, syscalls};
use crate::caps::{Cap, CapSet};

/// Largest profile that is read, in bytes.
const MAX_PROFILE_BYTES: u64 = 1 << 20;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Profile {
    default_action: String,
    default_errno_ret: Option<u32>,
    #[serde(default)]
    syscalls: Vec<Entry>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Entry {
    #[serde(default)]
    names: Vec<String>,
    name: Option<String>,
    action: String,
    errno_ret: Option<u32>,
    #[serde(default)]
    args: Option<Vec<Arg>>,
    #[serde(default)]
    includes: Option<Filter>,
    #[serde(default)]
    excludes: Option<Filter>,
}

/// Docker's conditions on an entry. Kernel versions are taken as met: kogge needs a newer kernel anyway.
#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase")]
struct Filter {
    #[serde(default)]
    caps: Vec<String>,
    #[serde(default)]
    arches: Vec<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Arg {
    index: u8,
    value: u64,
    #[serde(default)]
    value_two: u64,
    op: String,
}

pub(super) fn load(path: &Path, caps: CapSet) -> Result<Filters, SeccompError> {
    let shown = path.display().to_string();
    let read = |source| SeccompError::Read {
        path: shown.clone(),
        source,
    };
    let size = std::fs::metadata(path).map_err(read)?.len();
    if size > MAX_PROFILE_BYTES {
        let reason = format!("{size} bytes, the limit is {MAX_PROFILE_BYTES}");
        return Err(SeccompError::Parse {
            path: shown,
            reason,
        });
    }
    let text = std::fs::read(path).map_err(read)?;
    parse(&text, caps).map_err(|reason| SeccompError::Parse {
        path: shown,
        reason,
    })
}

/// Compiles a profile. The error is a reason for people; the caller adds the file's name.
fn parse(text: &[u8], caps: CapSet) -> Result<Filters, String> {
    let profile: Profile = serde_json::from_slice(text).map_err(|e| e.to_string())?;
    let default = action(&profile.default_action, profile.default_errno_ret)?;
    // Grouped by action. The action's debug form is the key, since the type has no order of its own.
    let mut groups: BTreeMap<String, (SeccompAction, Rules)> = BTreeMap::new();
    for entry in &profile.syscalls {
        if !applies(entry, caps) {
            continue;
        }
        let action = action(&entry.action, entry.errno_ret)?;
        let rule = rule(entry.args.as_deref().unwrap_or_default())?;
        let group = groups
            .entry(format!("{action:?}"))
            .or_insert_with(|| (action, Rules::new()));
        for name in entry.names.iter().chain(&entry.name) {
            let Some(number) = syscalls::number(name) else {
                continue;
            };
            add(&mut group.1, number, rule.clone());
        }
    }
    assemble(default, groups).map_err(|e| e.to_string())
}

/// One filter for the default with exceptions for everything listed, and one filter per other action.
fn assemble(
    default: SeccompAction,
    groups: BTreeMap<String, (SeccompAction, Rules)>,
) -> Result<Filters, SeccompError> {
    let mut programs = Vec::new();
    let mut listed = Rules::new();
    for (action, rules) in groups.into_values() {
        if action == default {
            continue;
        }
        for (number, alternatives) in &rules {
            match alternatives.as_slice() {
                [] => add(&mut listed, *number, None),
                some => some
                    .iter()
                    .for_each(|r| add(&mut listed, *number, Some(r.clone()))),
            }
        }
        if action != SeccompAction::Allow {
            programs.push(compile(rules, action, SeccompAction::Allow)?);
        }
    }
    if default != SeccompAction::Allow {
        programs.push(compile(listed, SeccompAction::Allow, default)?);
    }
    Ok(Filters(programs))
}

/// Adds an alternative; "always" absorbs every condition.
fn add(rules: &mut Rules, number: i64, rule: Option<SeccompRule>) {
    match (rules.get_mut(&number), rule) {
        (Some(existing), Some(_)) if existing.is_empty() => {}
        (Some(existing), Some(rule)) => existing.push(rule),
        (_, None) => drop(rules.insert(number, Vec::new())),
        (None, Some(rule)) => drop(rules.insert(number, vec![rule])),
    }
}

fn applies(entry: &Entry, caps: CapSet) -> bool {
    let arch = if cfg!(target_arch = "aarch64") {
        "arm64"
    } else {
        "amd64"
    };
    let holds = |name: &String| Cap::parse(name).is_some_and(|c| caps.contains(c));
    let here = |a: &String| a == arch;
    let included = entry.includes.as_ref().is_none_or(|f| {
        f.caps.iter().all(holds) && (f.arches.is_empty() || f.arches.iter().any(here))
    });
    let excluded = entry
        .excludes
        .as_ref()
        .is_some_and(|f| f.caps.iter().any(holds) || f.arches.iter().any(here));
    included && !excluded
}

fn action(name: &str, errno: Option<u32>) -> Result<SeccompAction, String> {
    Ok(match name {
        "SCMP_ACT_ALLOW" => SeccompAction::Allow,
        "SCMP_ACT_ERRNO" => SeccompAction::Errno(errno.unwrap_or(libc::EPERM.cast_unsigned())),
        "SCMP_ACT_KILL" | "SCMP_ACT_KILL_THREAD" => SeccompAction::KillThread,
        "SCMP_ACT_KILL_PROCESS" => SeccompAction::KillProcess,
        "SCMP_ACT_LOG" => SeccompAction::Log,
        "SCMP_ACT_TRAP" => SeccompAction::Trap,
        "SCMP_ACT_TRACE" => SeccompAction::Trace(errno.unwrap_or(libc::EPERM.cast_unsigned())),
        other => return Err(format!("action {other:?} is not supported")),
    })
}

fn rule(args: &[Arg]) -> Result<Option<SeccompRule>, String> {
    if args.is_empty() {
        return Ok(None);
    }
    let conditions: Result<Vec<_>, String> = args
        .iter()
        .map(|arg| {
            let (op, value) = match arg.op.as_str() {
                "SCMP_CMP_EQ" => (SeccompCmpOp::Eq, arg.value),
                "SCMP_CMP_NE" => (SeccompCmpOp::Ne, arg.value),
                "SCMP_CMP_LT" => (SeccompCmpOp::Lt, arg.value),
                "SCMP_CMP_LE" => (SeccompCmpOp::Le, arg.value),
                "SCMP_CMP_GT" => (SeccompCmpOp::Gt, arg.value),
                "SCMP_CMP_GE" => (SeccompCmpOp::Ge, arg.value),
                "SCMP_CMP_MASKED_EQ" => (SeccompCmpOp::MaskedEq(arg.value), arg.value_two),
                other => return Err(format!("operator {other:?} is not supported")),
            };
            SeccompCondition::new(arg.index, SeccompCmpArgLen::Qword, op, value)
                .map_err(|e| e.to_string())
        })
        .collect();
    SeccompRule::new(conditions?)
        .map(Some)
        .map_err(|e| e.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::caps;
    use crate::seccomp::tests::call;

    const ALLOW: u32 = libc::SECCOMP_RET_ALLOW;
    const ERRNO: u32 = libc::SECCOMP_RET_ERRNO;

    fn build(json: &str) -> Result<Filters, String> {
        parse(json.as_bytes(), caps::default_set())
    }

    #[test]
    fn a_deny_list_blocks_only_what_it_names() {
        let f = build(
            r#"{"defaultAction":"SCMP_ACT_ALLOW","architectures":["SCMP_ARCH_X86_64"],
                "syscalls":[{"names":["mkdirat","no_such"],"action":"SCMP_ACT_ERRNO","errnoRet":13}]}"#,
        )
        .unwrap();
        assert_eq!(call(&f, "mkdirat", &[]), ERRNO | 13);
        assert_eq!(call(&f, "read", &[]), ALLOW);
    }

    #[test]
    fn an_allow_list_may_mix_actions_and_conditions() {
        let f = build(
            r#"{"defaultAction":"SCMP_ACT_ERRNO","defaultErrnoRet":38,"syscalls":[
                {"names":["read","kill"],"action":"SCMP_ACT_ALLOW"},
                {"names":["socket"],"action":"SCMP_ACT_ALLOW","args":[{"index":0,"value":2,"op":"SCMP_CMP_EQ"}]},
                {"names":["ptrace"],"action":"SCMP_ACT_KILL_PROCESS"}]}"#,
        )
        .unwrap();
        assert_eq!(call(&f, "read", &[]), ALLOW);
        assert_eq!(call(&f, "socket", &[2]), ALLOW);
        assert_eq!(call(&f, "socket", &[40]), ERRNO | 38);
        assert_eq!(call(&f, "ptrace", &[]), libc::SECCOMP_RET_KILL_PROCESS);
        assert_eq!(call(&f, "write", &[]), ERRNO | 38);
    }

    #[test]
    fn docker_conditions_on_capabilities_are_honoured() {
        let f = build(
            r#"{"defaultAction":"SCMP_ACT_ERRNO","syscalls":[
                {"names":["mount"],"action":"SCMP_ACT_ALLOW","includes":{"caps":["CAP_SYS_ADMIN"]}},
                {"names":["kill"],"action":"SCMP_ACT_ALLOW","includes":{"caps":["CAP_KILL"]}}]}"#,
        )
        .unwrap();
        assert_eq!(call(&f, "mount", &[]), ERRNO | 1);
        assert_eq!(call(&f, "kill", &[]), ALLOW);
    }

    #[test]
    fn what_cannot_be_honoured_is_refused() {
        for (json, part) in [
            (r#"{"defaultAction":"SCMP_ACT_NOTIFY"}"#, "SCMP_ACT_NOTIFY"),
            (
                r#"{"defaultAction":"SCMP_ACT_ALLOW","syscalls":[{"names":["read"],"action":"SCMP_ACT_ERRNO","args":[{"index":0,"value":1,"op":"X"}]}]}"#,
                "\"X\"",
            ),
            (
                r#"{"defaultAction":"SCMP_ACT_ALLOW","syscalls":[{"names":["read"],"action":"SCMP_ACT_ERRNO","args":[{"index":9,"value":1,"op":"SCMP_CMP_EQ"}]}]}"#,
                "index",
            ),
            ("[]", "expected"),
        ] {
            let error = build(json).unwrap_err();
            assert!(error.contains(part), "{error}");
        }
    }
}
