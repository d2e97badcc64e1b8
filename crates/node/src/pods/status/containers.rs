//! The status of one container.
//!
//! Pure. Invariants: a run that ended shows as `lastState` of the next; a container that waits says why, with the kubelet's
//! reasons.

use jiff::Timestamp;
use k8s_openapi::api::core::v1::{
    ContainerState, ContainerStateRunning, ContainerStateTerminated, ContainerStateWaiting,
    ContainerStatus, Pod, VolumeMountStatus,
};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use runtime::ContainerState as Run;

use super::{PULL_ERROR_SHOWN, init_done, is_initialized, recorded, whole_second};
use crate::pods::spec::{self, Kind, Slot};
use crate::pods::state::{ImageState, Memory, Op, PodState, time};

/// The status of the container in `slot`. `over`: nothing of the Pod runs any more.
pub(super) fn status(
    pod: &Pod,
    slot: &Slot<'_>,
    slots: &[Slot<'_>],
    state: &PodState,
    over: bool,
    now: Timestamp,
) -> ContainerStatus {
    let name = slot.name();
    let memory = state.memory_of(name);
    let known = recorded(pod, name);
    let starting = state.busy.contains(&Op::Run(name.to_owned()));
    let run = state
        .latest(name)
        .filter(|run| !(starting && run.state != Run::Exited) && run.state != Run::Created);
    let end = |run: &runtime::ContainerStatus| terminated(run, &memory, state);
    let mut last = state
        .previous(name)
        .filter(|run| run.state == Run::Exited)
        .map(end);
    let shown = match run {
        None => waiting_state(slot, slots, state, &memory, over, now),
        Some(run) if run.state == Run::Running => running_state(run),
        Some(run) => match waits_to_restart(pod, slot, run, state, over, now) {
            Some(waiting) => {
                last = Some(end(run));
                waiting
            }
            None => ContainerState {
                terminated: Some(end(run)),
                ..ContainerState::default()
            },
        },
    };
    if run.is_none()
        && let Some(ended) = state.latest(name).filter(|run| run.state == Run::Exited)
    {
        last = Some(end(ended));
    }
    let last = last
        .or(memory.earlier_end.clone())
        .or_else(|| known.and_then(|known| known.last_state.as_ref()?.terminated.clone()));
    let running = shown.running.is_some();
    let ended_well = slot.kind == Kind::Init && run.is_some() && init_done(slot, state);
    let started = running && memory.started(slot);
    let latest = run.or_else(|| state.latest(name));
    let attempt = latest.map_or(memory.first_attempt, |run| run.attempt);
    ContainerStatus {
        name: name.to_owned(),
        image: slot.container.image.clone().unwrap_or_default(),
        image_id: latest
            .and_then(|run| memory.image_ids.get(&run.id).cloned())
            .or_else(|| known.map(|known| known.image_id.clone()))
            .unwrap_or_default(),
        container_id: latest
            .map(|run| container_id(run, state))
            .or_else(|| known.and_then(|known| known.container_id.clone())),
        ready: match slot.kind {
            Kind::Init => ended_well,
            _ => running && memory.ready(slot) && slot.kind != Kind::Ephemeral,
        },
        started: Some(if slot.kind == Kind::Init {
            running
        } else {
            started
        }),
        restart_count: i32::try_from(attempt).unwrap_or(i32::MAX),
        state: Some(shown),
        last_state: Some(ContainerState {
            terminated: last,
            ..ContainerState::default()
        }),
        resources: slot.container.resources.clone(),
        allocated_resources: slot
            .container
            .resources
            .as_ref()
            .and_then(|resources| resources.requests.clone()),
        volume_mounts: volume_mounts(slot),
        ..ContainerStatus::default()
    }
}

fn volume_mounts(slot: &Slot<'_>) -> Option<Vec<VolumeMountStatus>> {
    let mounts = slot.container.volume_mounts.as_ref()?;
    let status = |mount: &k8s_openapi::api::core::v1::VolumeMount| VolumeMountStatus {
        name: mount.name.clone(),
        mount_path: mount.mount_path.clone(),
        read_only: mount.read_only.filter(|read_only| *read_only),
        recursive_read_only: mount.read_only.filter(|read_only| *read_only).map(|_| {
            mount
                .recursive_read_only
                .clone()
                .unwrap_or_else(|| "Disabled".to_owned())
        }),
        ..VolumeMountStatus::default()
    };
    Some(mounts.iter().map(status).collect())
}

fn container_id(run: &runtime::ContainerStatus, state: &PodState) -> String {
    format!("{}://{}", state.node.runtime_name, run.id)
}

fn running_state(run: &runtime::ContainerStatus) -> ContainerState {
    let started_at = time(run.started_at).map(|time| Time(whole_second(time)));
    ContainerState {
        running: Some(ContainerStateRunning { started_at }),
        ..ContainerState::default()
    }
}

fn waiting(reason: impl Into<String>, message: Option<String>) -> ContainerState {
    let waiting = ContainerStateWaiting {
        reason: Some(reason.into()),
        message,
    };
    ContainerState {
        waiting: Some(waiting),
        ..ContainerState::default()
    }
}

/// The end of a run.
pub fn terminated(
    run: &runtime::ContainerStatus,
    memory: &Memory,
    state: &PodState,
) -> ContainerStateTerminated {
    let stamp = |nanoseconds| {
        Some(Time(whole_second(
            time(nanoseconds).unwrap_or(Timestamp::UNIX_EPOCH),
        )))
    };
    let reason = match run {
        run if run.start_error.is_some() => "StartError",
        run if run.oom_killed => "OOMKilled",
        run if run.exit_code == 0 => "Completed",
        _ => "Error",
    };
    ContainerStateTerminated {
        container_id: Some(container_id(run, state)),
        exit_code: run.exit_code,
        reason: Some(reason.to_owned()),
        message: run.start_error.clone().or_else(|| {
            memory
                .messages
                .get(&run.id)
                .filter(|message| !message.is_empty())
                .cloned()
        }),
        started_at: stamp(run.started_at),
        finished_at: stamp(run.finished_at),
        signal: None,
    }
}

/// A container that ended and runs again after a pause.
fn waits_to_restart(
    pod: &Pod,
    slot: &Slot<'_>,
    run: &runtime::ContainerStatus,
    state: &PodState,
    over: bool,
    now: Timestamp,
) -> Option<ContainerState> {
    if over || !slot.restarts_after(run.exit_code) {
        return None;
    }
    let memory = state.memory_of(slot.name());
    if let Some(problem) = &memory.problem {
        return Some(waiting(
            problem.reason.clone(),
            Some(problem.message.clone()),
        ));
    }
    if let ImageState::Failed(problem) = &memory.image {
        return Some(failed_image(slot, problem, now));
    }
    let ended = time(run.finished_at)?;
    memory
        .restart_backoff
        .until(ended)
        .filter(|until| *until > now)?;
    Some(waiting(
        "CrashLoopBackOff",
        Some(crash_loop_message(pod, &memory, slot.name())),
    ))
}

/// What the event and the waiting state say about a container that keeps ending.
pub fn crash_loop_message(pod: &Pod, memory: &Memory, container: &str) -> String {
    let delay = crate::pods::status::duration(memory.restart_backoff.delay());
    format!(
        "back-off {delay} restarting failed container={container} pod={}",
        pod_label(pod)
    )
}

fn failed_image(
    slot: &Slot<'_>,
    problem: &crate::pods::state::Problem,
    now: Timestamp,
) -> ContainerState {
    let transient = !matches!(
        problem.reason.as_str(),
        "InvalidImageName" | "ErrImageNeverPull" | "ImageInspectError"
    );
    if transient && now >= problem.at + PULL_ERROR_SHOWN {
        let image = slot.container.image.as_deref().unwrap_or_default();
        let message = format!(
            "Back-off pulling image \"{image}\": {}: {}",
            problem.reason, problem.message
        );
        return waiting("ImagePullBackOff", Some(message));
    }
    waiting(problem.reason.clone(), Some(problem.message.clone()))
}

/// A container that has no run that could be shown.
fn waiting_state(
    slot: &Slot<'_>,
    slots: &[Slot<'_>],
    state: &PodState,
    memory: &Memory,
    over: bool,
    now: Timestamp,
) -> ContainerState {
    if over {
        // Nothing will come of it: the kubelet reports it as ended without a trace.
        let gone = ContainerStateTerminated {
            exit_code: 137,
            reason: Some("ContainerStatusUnknown".to_owned()),
            message: Some(
                "The container could not be located when the pod was terminated".to_owned(),
            ),
            ..ContainerStateTerminated::default()
        };
        return ContainerState {
            terminated: Some(gone),
            ..ContainerState::default()
        };
    }
    if let Some(problem) = &memory.problem {
        return waiting(problem.reason.clone(), Some(problem.message.clone()));
    }
    if let ImageState::Failed(problem) = &memory.image {
        return failed_image(slot, problem, now);
    }
    let has_init = slots
        .iter()
        .any(|slot| matches!(slot.kind, Kind::Init | Kind::Sidecar));
    let initializing = has_init && !is_initialized(slots, state);
    let first = slots
        .iter()
        .find(|other| matches!(other.kind, Kind::Init | Kind::Sidecar) && !init_done(other, state));
    let waits_its_turn = initializing && first.is_some_and(|first| first.name() != slot.name());
    let init = matches!(slot.kind, Kind::Init | Kind::Sidecar);
    let reason = if waits_its_turn || init || has_init {
        "PodInitializing"
    } else {
        "ContainerCreating"
    };
    waiting(reason, None)
}

/// The Pod as messages name it: `name_namespace(uid)`.
pub fn pod_label(pod: &Pod) -> String {
    format!(
        "{}_{}({})",
        spec::name(pod),
        spec::namespace(pod),
        spec::uid(pod)
    )
}
