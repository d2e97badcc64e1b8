//! The cells of a pod's row: the STATUS, READY and RESTARTS that people read.
//!
//! Reads one Pod. The order in which reasons win is upstream's: the pod's own,
//! then init containers in order, then the last container with a reason, then
//! readiness, then deletion.

use jiff::Timestamp;
use serde_json::Value;

use crate::fields::{flag, integer, items, text};
use crate::print;

/// Cells of a pod.
pub(crate) fn cells(pod: &Value, now: Timestamp) -> Vec<Value> {
    let Summary {
        ready,
        total,
        restarts,
        last_restart,
        reason,
    } = summary(pod);
    let restarts = match last_restart {
        Some(then) if restarts > 0 => format!("{restarts} ({} ago)", print::age(now, then)),
        _ => restarts.to_string(),
    };
    let address = match text(pod, "/status/podIPs/0/ip") {
        "" => print::text_or(pod, "/status/podIP", print::NONE),
        first => first.into(),
    };
    vec![
        print::name(pod),
        format!("{ready}/{total}").into(),
        reason.into(),
        restarts.into(),
        print::created(pod, now),
        address,
        print::text_or(pod, "/spec/nodeName", print::NONE),
        print::text_or(pod, "/status/nominatedNodeName", print::NONE),
        gates(pod).into(),
    ]
}

struct Summary {
    ready: i64,
    total: usize,
    restarts: i64,
    last_restart: Option<Timestamp>,
    reason: String,
}

/// Counts restarts and remembers the last one.
#[derive(Default)]
struct Restarts {
    count: i64,
    last: Option<Timestamp>,
}

impl Restarts {
    fn add(&mut self, status: &Value) {
        self.count += integer(status, "/restartCount");
        let ended = print::time_at(status, "/lastState/terminated/finishedAt");
        self.last = self.last.max(ended);
    }
}

fn summary(pod: &Value) -> Summary {
    let sidecars = sidecars(pod);
    let total = items(pod, "/spec/containers").len() + sidecars.len();
    let mut reason = match text(pod, "/status/reason") {
        "" => text(pod, "/status/phase").to_owned(),
        reason => reason.to_owned(),
    };
    if condition(pod, "PodScheduled")
        .is_some_and(|scheduled| text(scheduled, "/reason") == "SchedulingGated")
    {
        reason = "SchedulingGated".to_owned();
    }
    let mut all = Restarts::default();
    let mut side = Restarts::default();
    let mut ready = 0;
    let initializing = initializing(pod, &sidecars, &mut all, &mut side, &mut ready);
    let waits = initializing.is_some();
    if let Some(initializing) = initializing {
        reason = initializing;
    }
    if !waits || condition(pod, "Initialized").is_some_and(is_true) {
        all = Restarts {
            count: side.count,
            last: side.last,
        };
        let (main_ready, main_reason) = running(pod, &reason, &mut all);
        ready += main_ready;
        reason = main_reason;
    }
    if !text(pod, "/metadata/deletionTimestamp").is_empty() {
        if text(pod, "/status/reason") == "NodeLost" {
            reason = "Unknown".to_owned();
        } else if !matches!(text(pod, "/status/phase"), "Succeeded" | "Failed") {
            reason = "Terminating".to_owned();
        }
    }
    Summary {
        ready,
        total,
        restarts: all.count,
        last_restart: all.last,
        reason,
    }
}

/// Names of init containers that go on beside the main ones.
fn sidecars(pod: &Value) -> Vec<&str> {
    items(pod, "/spec/initContainers")
        .iter()
        .filter(|container| text(container, "/restartPolicy") == "Always")
        .map(|container| text(container, "/name"))
        .collect()
}

/// What init containers make of the reason; `None` when all are done.
fn initializing(
    pod: &Value,
    sidecars: &[&str],
    all: &mut Restarts,
    side: &mut Restarts,
    ready: &mut i64,
) -> Option<String> {
    let total = items(pod, "/spec/initContainers").len();
    for (index, status) in items(pod, "/status/initContainerStatuses")
        .iter()
        .enumerate()
    {
        all.add(status);
        let is_sidecar = sidecars.contains(&text(status, "/name"));
        if is_sidecar {
            side.add(status);
        }
        if let Some(ended) = status
            .pointer("/state/terminated")
            .filter(|s| s.is_object())
        {
            if integer(ended, "/exitCode") == 0 {
                continue;
            }
            return Some(format!("Init:{}", ended_reason(ended)));
        }
        if is_sidecar && flag(status, "/started") {
            *ready += i64::from(flag(status, "/ready"));
            continue;
        }
        let waiting = text(status, "/state/waiting/reason");
        return Some(match waiting {
            "" | "PodInitializing" => format!("Init:{index}/{total}"),
            waiting => format!("Init:{waiting}"),
        });
    }
    None
}

/// How many main containers are ready, and the reason they give.
fn running(pod: &Value, so_far: &str, restarts: &mut Restarts) -> (i64, String) {
    let (mut ready, mut runs, mut reason) = (0, false, so_far.to_owned());
    for status in items(pod, "/status/containerStatuses").iter().rev() {
        restarts.add(status);
        let waiting = text(status, "/state/waiting/reason");
        let ended = status
            .pointer("/state/terminated")
            .filter(|s| s.is_object());
        if !waiting.is_empty() {
            reason = waiting.to_owned();
        } else if let Some(ended) = ended {
            reason = ended_reason(ended);
        } else if flag(status, "/ready")
            && status
                .pointer("/state/running")
                .is_some_and(Value::is_object)
        {
            runs = true;
            ready += 1;
        }
    }
    // A container that has ended does not make a pod completed while others run.
    if reason == "Completed" && runs {
        let is_ready = condition(pod, "Ready").is_some_and(is_true);
        reason = if is_ready { "Running" } else { "NotReady" }.to_owned();
    }
    (ready, reason)
}

/// Why a container ended.
fn ended_reason(ended: &Value) -> String {
    match (text(ended, "/reason"), integer(ended, "/signal")) {
        ("", 0) => format!("ExitCode:{}", integer(ended, "/exitCode")),
        ("", signal) => format!("Signal:{signal}"),
        (reason, _) => reason.to_owned(),
    }
}

/// How many readiness gates are open, of how many.
fn gates(pod: &Value) -> String {
    let gates = items(pod, "/spec/readinessGates");
    if gates.is_empty() {
        return print::NONE.to_owned();
    }
    let open = gates
        .iter()
        .filter(|gate| condition(pod, text(gate, "/conditionType")).is_some_and(is_true))
        .count();
    format!("{open}/{}", gates.len())
}

fn condition<'a>(pod: &'a Value, name: &str) -> Option<&'a Value> {
    items(pod, "/status/conditions")
        .iter()
        .find(|condition| text(condition, "/type") == name)
}

fn is_true(condition: &Value) -> bool {
    text(condition, "/status") == "True"
}
