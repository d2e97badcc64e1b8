//! A Pod's status, as a function of what is wanted and what is there.
//!
//! Pure. Phases, conditions, reasons and messages are those of the kubelet. Invariants: conditions of others
//! (readiness gates, disruption) stay; a transition time changes only with its status; a phase never leaves
//! Succeeded or Failed.

mod containers;

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::core::v1::{ContainerStatus, HostIP, Pod, PodCondition, PodIP, PodStatus};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use runtime::ContainerState as Run;

use super::spec::{self, Kind, Slot};
use super::state::PodState;

/// For so long a failed pull is shown as failed; then the container is shown as waiting to try again.
pub const PULL_ERROR_SHOWN: SignedDuration = SignedDuration::from_secs(1);

/// What the recorded status says about a container.
pub fn recorded<'a>(pod: &'a Pod, name: &str) -> Option<&'a ContainerStatus> {
    let status = pod.status.as_ref()?;
    let lists = [
        &status.container_statuses,
        &status.init_container_statuses,
        &status.ephemeral_container_statuses,
    ];
    lists
        .into_iter()
        .flatten()
        .flatten()
        .find(|known| known.name == name)
}

/// Whether an init container is done, or a sidecar has started.
pub fn init_done(slot: &Slot<'_>, state: &PodState) -> bool {
    let Some(run) = state.latest(slot.name()) else {
        return false;
    };
    let starting = state
        .busy
        .contains(&super::state::Op::Run(slot.name().to_owned()));
    match slot.kind {
        Kind::Sidecar => {
            run.state == Run::Running && !starting && state.memory_of(slot.name()).started(slot)
        }
        _ => run.state == Run::Exited && run.exit_code == 0,
    }
}

/// Whether all init containers are done: also once a main container was made, whatever became of sidecars since.
pub fn is_initialized(slots: &[Slot<'_>], state: &PodState) -> bool {
    let begun = slots
        .iter()
        .any(|slot| slot.kind == Kind::Main && state.latest(slot.name()).is_some());
    begun
        || slots
            .iter()
            .filter(|slot| matches!(slot.kind, Kind::Init | Kind::Sidecar))
            .all(|slot| init_done(slot, state))
}

/// Whether the Pod has come to its end by itself.
pub fn is_finished(slots: &[Slot<'_>], state: &PodState) -> bool {
    let ended_for_good = |slot: &Slot<'_>| {
        state
            .latest(slot.name())
            .is_some_and(|run| run.state == Run::Exited && !slot.restarts_after(run.exit_code))
    };
    let init_failed = slots
        .iter()
        .any(|slot| slot.kind == Kind::Init && ended_for_good(slot) && !init_done(slot, state));
    let mut mains = slots
        .iter()
        .filter(|slot| slot.kind == Kind::Main)
        .peekable();
    init_failed || (mains.peek().is_some() && mains.all(ended_for_good))
}

/// Whether nothing of the Pod runs any more and nothing shall.
fn is_over(pod: &Pod, slots: &[Slot<'_>], state: &PodState) -> bool {
    let ending = pod.metadata.deletion_timestamp.is_some()
        || state.failure.is_some()
        || is_finished(slots, state);
    let starting = state
        .busy
        .iter()
        .any(|op| matches!(op, super::state::Op::Run(_) | super::state::Op::Sandbox));
    ending && !starting && state.containers.iter().all(|run| run.state == Run::Exited)
}

/// The status that the Pod should show.
pub fn pod_status(pod: &Pod, state: &PodState, now: Timestamp) -> PodStatus {
    let old = pod.status.clone().unwrap_or_default();
    let slots = spec::slots(pod);
    let over = is_over(pod, &slots, state);
    let statuses = |kinds: &[Kind]| {
        let list: Vec<_> = slots
            .iter()
            .filter(|slot| kinds.contains(&slot.kind))
            .map(|slot| containers::status(pod, slot, &slots, state, over, now))
            .collect();
        (!list.is_empty()).then_some(list)
    };
    let phase = phase(&old, &slots, state, over);
    let mut new = PodStatus {
        observed_generation: pod.metadata.generation,
        phase: Some(phase.to_owned()),
        init_container_statuses: statuses(&[Kind::Init, Kind::Sidecar]),
        container_statuses: statuses(&[Kind::Main]),
        ephemeral_container_statuses: statuses(&[Kind::Ephemeral]),
        start_time: old
            .start_time
            .clone()
            .or_else(|| Some(Time(whole_second(now)))),
        ..old.clone()
    };
    if let Some(failure) = &state.failure {
        new.reason = Some(failure.reason.clone());
        new.message = Some(failure.message.clone());
    }
    addresses(pod, state, &mut new);
    let rows = conditions(pod, &slots, state, &new);
    new.conditions = Some(merge_conditions(
        old.conditions.as_deref().unwrap_or_default(),
        rows,
        pod.metadata.generation,
        now,
    ));
    new
}

/// API times have whole seconds.
pub(crate) fn whole_second(time: Timestamp) -> Timestamp {
    Timestamp::from_second(time.as_second()).unwrap_or(time)
}

fn addresses(pod: &Pod, state: &PodState, status: &mut PodStatus) {
    let host: Vec<String> = state
        .node
        .host_ips
        .iter()
        .map(ToString::to_string)
        .collect();
    status.host_ip = host.first().cloned().or(status.host_ip.take());
    if !host.is_empty() {
        status.host_ips = Some(host.iter().map(|ip| HostIP { ip: ip.clone() }).collect());
    }
    let ips = if spec::host_network(pod) {
        host
    } else {
        let ip = state
            .sandbox
            .as_ref()
            .filter(|sandbox| sandbox.ready)
            .and_then(|sandbox| sandbox.ip);
        ip.iter().map(ToString::to_string).collect()
    };
    // The last known address stays when the sandbox has ended.
    if !ips.is_empty() {
        status.pod_ip = ips.first().cloned();
        status.pod_ips = Some(ips.into_iter().map(|ip| PodIP { ip }).collect());
    }
}

fn phase(old: &PodStatus, slots: &[Slot<'_>], state: &PodState, over: bool) -> &'static str {
    match old.phase.as_deref() {
        Some("Succeeded") => return "Succeeded",
        Some("Failed") => return "Failed",
        _ => {}
    }
    if over {
        if state.failure.is_some() {
            return "Failed";
        }
        let mut mains = slots.iter().filter(|slot| slot.kind == Kind::Main);
        let good = mains.all(|slot| {
            let run = state.latest(slot.name());
            run.is_some_and(|run| run.exit_code == 0 && run.state == Run::Exited)
        });
        return if good { "Succeeded" } else { "Failed" };
    }
    let begun = |slot: &Slot<'_>| {
        state
            .latest(slot.name())
            .is_some_and(|run| run.started_at != 0)
            || state.memory_of(slot.name()).earlier_end.is_some()
    };
    let mut mains = slots.iter().filter(|slot| slot.kind == Kind::Main);
    if is_initialized(slots, state) && mains.all(begun) {
        "Running"
    } else {
        "Pending"
    }
}

struct Row {
    kind: &'static str,
    status: bool,
    reason: Option<&'static str>,
    message: Option<String>,
}

fn row(
    kind: &'static str,
    status: bool,
    reason: Option<&'static str>,
    message: Option<String>,
) -> Row {
    Row {
        kind,
        status,
        reason,
        message,
    }
}

fn conditions(pod: &Pod, slots: &[Slot<'_>], state: &PodState, new: &PodStatus) -> Vec<Row> {
    let network = spec::host_network(pod);
    let sandbox = state
        .sandbox
        .as_ref()
        .is_some_and(|sandbox| sandbox.ready && (network || sandbox.ip.is_some()));
    let (initialized, ready) = match new.phase.as_deref() {
        Some("Succeeded") => {
            let done = Some("PodCompleted");
            return vec![
                row("PodReadyToStartContainers", sandbox, None, None),
                row("Initialized", true, done, None),
                row("Ready", false, done, None),
                row("ContainersReady", false, done, None),
                row("PodScheduled", true, None, None),
            ];
        }
        Some("Failed") => (
            initialized_row(slots, state),
            row("ContainersReady", false, Some("PodFailed"), None),
        ),
        _ => (initialized_row(slots, state), containers_ready(new, slots)),
    };
    let gates = failed_gates(pod);
    let pod_ready = if !ready.status {
        row("Ready", false, ready.reason, ready.message.clone())
    } else if gates.is_empty() {
        row("Ready", true, None, None)
    } else {
        row(
            "Ready",
            false,
            Some("ReadinessGatesNotReady"),
            Some(gates.join(", ")),
        )
    };
    vec![
        row("PodReadyToStartContainers", sandbox, None, None),
        initialized,
        pod_ready,
        ready,
        row("PodScheduled", true, None, None),
    ]
}

fn initialized_row(slots: &[Slot<'_>], state: &PodState) -> Row {
    if is_initialized(slots, state) {
        return row("Initialized", true, None, None);
    }
    let inits = slots
        .iter()
        .filter(|slot| matches!(slot.kind, Kind::Init | Kind::Sidecar));
    let open: Vec<_> = inits
        .filter(|slot| !init_done(slot, state))
        .map(|slot| slot.name().to_owned())
        .collect();
    let message = format!("containers with incomplete status: [{}]", open.join(" "));
    row(
        "Initialized",
        false,
        Some("ContainersNotInitialized"),
        Some(message),
    )
}

fn containers_ready(new: &PodStatus, slots: &[Slot<'_>]) -> Row {
    let sidecar = |name: &str| {
        slots
            .iter()
            .any(|slot| slot.kind == Kind::Sidecar && slot.name() == name)
    };
    let sidecars = new
        .init_container_statuses
        .iter()
        .flatten()
        .filter(|status| sidecar(&status.name));
    let unready: Vec<_> = sidecars
        .chain(new.container_statuses.iter().flatten())
        .filter(|status| !status.ready)
        .map(|status| status.name.clone())
        .collect();
    if unready.is_empty() {
        return row("ContainersReady", true, None, None);
    }
    let message = format!("containers with unready status: [{}]", unready.join(" "));
    row(
        "ContainersReady",
        false,
        Some("ContainersNotReady"),
        Some(message),
    )
}

fn failed_gates(pod: &Pod) -> Vec<String> {
    let known = pod
        .status
        .as_ref()
        .and_then(|status| status.conditions.as_deref())
        .unwrap_or_default();
    let gates = pod
        .spec
        .iter()
        .flat_map(|spec| spec.readiness_gates.iter().flatten());
    gates
        .filter_map(|gate| {
            let gate = &gate.condition_type;
            match known.iter().find(|condition| condition.type_ == *gate) {
                None => Some(format!(
                    "corresponding condition of pod readiness gate \"{gate}\" does not exist."
                )),
                Some(found) if found.status != "True" => Some(format!(
                    "the status of pod readiness gate \"{gate}\" is not \"True\", but {}",
                    found.status
                )),
                Some(_) => None,
            }
        })
        .collect()
}

/// Our conditions in upstream's order, then those of others as they were.
fn merge_conditions(
    old: &[PodCondition],
    rows: Vec<Row>,
    generation: Option<i64>,
    now: Timestamp,
) -> Vec<PodCondition> {
    let ours: Vec<&str> = rows.iter().map(|row| row.kind).collect();
    let others: Vec<_> = old
        .iter()
        .filter(|known| !ours.contains(&known.type_.as_str()))
        .cloned()
        .collect();
    let mut merged = Vec::new();
    for row in rows {
        let known = old.iter().find(|known| known.type_ == row.kind);
        if let (Some(known), "PodScheduled") = (known, row.kind) {
            // The scheduler's word stands.
            merged.push(known.clone());
            continue;
        }
        let status = if row.status { "True" } else { "False" };
        let since = known
            .filter(|known| known.status == status)
            .and_then(|known| known.last_transition_time.clone())
            .unwrap_or_else(|| Time(whole_second(now)));
        merged.push(PodCondition {
            type_: row.kind.to_owned(),
            status: status.to_owned(),
            reason: row.reason.map(str::to_owned),
            message: row.message,
            last_transition_time: Some(since),
            last_probe_time: None,
            observed_generation: generation,
        });
    }
    merged.extend(others);
    merged
}

/// A duration as Go prints it, in whole seconds: `10s`, `2m40s`, `5m0s`.
pub(crate) fn duration(duration: SignedDuration) -> String {
    let seconds = duration.as_secs();
    match (seconds / 60, seconds % 60) {
        (0, seconds) => format!("{seconds}s"),
        (minutes, seconds) => format!("{minutes}m{seconds}s"),
    }
}

pub use containers::{crash_loop_message, pod_label, terminated};
