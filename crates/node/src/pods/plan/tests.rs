//! Tables: a Pod, what is there, and the actions that follow.

use super::*;
use crate::pods::probes::Tally;
use crate::pods::state::{Problem, Sandbox};
use serde_json::json;

const NOW: i64 = 1_000;

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap()
}

fn pod(spec: serde_json::Value) -> Pod {
    serde_json::from_value(json!({
        "metadata": {"name": "p", "namespace": "n", "uid": "u", "generation": 1},
        "spec": spec,
    }))
    .unwrap()
}

fn run(name: &str, attempt: u32, state: ContainerState, exit_code: i32) -> ContainerStatus {
    let ended = state == ContainerState::Exited;
    ContainerStatus {
        id: ContainerId(format!("{name}-{attempt}")),
        sandbox: SandboxId("s".into()),
        name: name.into(),
        attempt,
        state,
        created_at: 900_000_000_000,
        started_at: 900_000_000_000,
        finished_at: if ended { 999_000_000_000 } else { 0 },
        exit_code,
        oom_killed: false,
        start_error: None,
        pid: None,
        labels: Default::default(),
        annotations: Default::default(),
        log_path: None,
        cgroup: String::new(),
        revision: 1,
    }
}

/// A sandbox, volumes, images for runs 0 and 1.
fn state(runs: Vec<ContainerStatus>) -> PodState {
    let sandbox = Sandbox {
        id: SandboxId("s".into()),
        ready: true,
        attempt: 0,
        ip: Some([10, 42, 0, 2].into()),
    };
    PodState {
        sandbox: Some(sandbox),
        volumes: Volumes::Mounted,
        containers: runs,
        ..PodState::default()
    }
}

fn with_image(mut state: PodState, name: &str, attempt: u32) -> PodState {
    state.memory.entry(name.into()).or_default().image = ImageState::Ready {
        attempt,
        id: "img".into(),
    };
    state
}

/// The actions but for status writes, in short.
fn short(actions: &[Action]) -> Vec<String> {
    actions
        .iter()
        .filter_map(|action| {
            Some(match action {
                Action::MountVolumes => "mount".to_owned(),
                Action::MakeSandbox { attempt, replaces } => format!(
                    "sandbox {attempt}{}",
                    if replaces.is_some() { " anew" } else { "" }
                ),
                Action::StopSandbox(_) => "stop sandbox".to_owned(),
                Action::RemoveSandbox(id) => format!("remove sandbox {id}"),
                Action::PullImage { container, attempt } => format!("pull {container} {attempt}"),
                Action::RunContainer {
                    container, attempt, ..
                } => format!("run {container} {attempt}"),
                Action::StopContainer {
                    container,
                    grace_secs,
                    ..
                } => format!("stop {container} in {grace_secs}"),
                Action::KillContainer(id) => format!("kill {id}"),
                Action::RemoveContainer(id) => format!("forget {id}"),
                Action::Probe {
                    container, kind, ..
                } => format!("{} {container}", kind.name()),
                Action::Fail { reason, .. } => format!("fail {reason}"),
                Action::Teardown => "teardown".to_owned(),
                Action::DeletePod => "delete".to_owned(),
                Action::WakeAt(time) => format!("wake {}", time.as_second()),
                Action::WriteStatus(_) => return None,
            })
        })
        .collect()
}

fn check(name: &str, pod: &Pod, state: &PodState, want: &[&str]) {
    assert_eq!(short(&step(pod, state, at(NOW))), want, "{name}");
}

use ContainerState::{Exited, Running};

fn plain() -> Pod {
    pod(json!({"containers": [{"name": "a", "image": "i"}]}))
}

#[test]
fn a_pod_comes_up_step_by_step() {
    let pod = plain();
    check("nothing there", &pod, &PodState::default(), &["mount"]);
    let mounted = PodState {
        volumes: Volumes::Mounted,
        ..PodState::default()
    };
    check("volumes", &pod, &mounted, &["sandbox 0"]);
    check("sandbox", &pod, &state(vec![]), &["pull a 0"]);
    check(
        "image",
        &pod,
        &with_image(state(vec![]), "a", 0),
        &["run a 0"],
    );
    check("running", &pod, &state(vec![run("a", 0, Running, 0)]), &[]);
    let mut busy = with_image(state(vec![]), "a", 0);
    busy.busy.insert(Op::Run("a".into()));
    check("under way", &pod, &busy, &[]);
    let mut lost = state(vec![]);
    lost.sandbox.as_mut().unwrap().ready = false;
    check("sandbox died", &pod, &lost, &["sandbox 1 anew"]);
}

#[test]
fn init_containers_and_sidecars_come_in_order() {
    let pod = pod(json!({
        "initContainers": [
            {"name": "i1"},
            {"name": "s", "restartPolicy": "Always", "startupProbe": {"tcpSocket": {"port": 1}, "periodSeconds": 10}},
            {"name": "i2"},
        ],
        "containers": [{"name": "a"}, {"name": "b"}],
    }));
    check("first", &pod, &state(vec![]), &["pull i1 0"]);
    check(
        "first runs",
        &pod,
        &state(vec![run("i1", 0, Running, 0)]),
        &[],
    );
    check(
        "first failed",
        &pod,
        &state(vec![run("i1", 0, Exited, 1)]),
        &["pull i1 1"],
    );
    let first_done = || vec![run("i1", 0, Exited, 0)];
    check("sidecar", &pod, &state(first_done()), &["pull s 0"]);
    let mut runs = first_done();
    runs.push(run("s", 0, Running, 0));
    let mut waiting = state(runs.clone());
    check("sidecar starts", &pod, &waiting, &["Startup s"]);
    let started = Tally::decided(true);
    waiting
        .memory
        .entry("s".into())
        .or_default()
        .tallies
        .insert(ProbeKind::Startup, started);
    check("sidecar started", &pod, &waiting, &["pull i2 0"]);
    waiting.containers.push(run("i2", 0, Exited, 0));
    check("all done", &pod, &waiting, &["pull a 0", "pull b 0"]);
    waiting
        .containers
        .extend([run("a", 0, Running, 0), run("b", 0, Running, 0)]);
    waiting.containers[1] = run("s", 0, Exited, 1);
    check("sidecar died later", &pod, &waiting, &["pull s 1"]);
}

#[test]
fn restart_policies_and_the_back_off_decide_on_restarts() {
    for (policy, code, want) in [
        ("Always", 0, vec!["pull a 1"]),
        ("Always", 1, vec!["pull a 1"]),
        ("OnFailure", 1, vec!["pull a 1"]),
        ("OnFailure", 0, vec!["stop sandbox"]),
        ("Never", 1, vec!["stop sandbox"]),
    ] {
        let pod = pod(json!({"restartPolicy": policy, "containers": [{"name": "a"}]}));
        check(
            &format!("{policy} {code}"),
            &pod,
            &state(vec![run("a", 0, Exited, code)]),
            &want,
        );
    }
    let mut looping = state(vec![run("a", 1, Exited, 1)]);
    looping
        .memory
        .entry("a".into())
        .or_default()
        .restart_backoff
        .repeat(at(980), at(980));
    check("in back-off", &plain(), &looping, &["wake 1009"]);
    let status = step(&plain(), &looping, at(NOW))
        .into_iter()
        .find_map(|action| match action {
            Action::WriteStatus(status) => Some(status),
            _ => None,
        });
    let status = status.unwrap().container_statuses.unwrap().remove(0);
    let waiting = status.state.unwrap().waiting.unwrap();
    assert_eq!(waiting.reason.as_deref(), Some("CrashLoopBackOff"));
    assert_eq!(
        waiting.message.as_deref(),
        Some("back-off 10s restarting failed container=a pod=p_n(u)")
    );
    let ended = status.last_state.unwrap().terminated.unwrap();
    assert_eq!(
        (
            ended.exit_code,
            ended.reason.as_deref(),
            status.restart_count
        ),
        (1, Some("Error"), 1)
    );
}

#[test]
fn a_failed_pull_waits_and_says_so() {
    let mut failed = state(vec![]);
    let problem = Problem {
        reason: "ErrImagePull".into(),
        message: "no such image".into(),
        at: at(990),
        retry_at: at(1005),
    };
    failed.memory.entry("a".into()).or_default().image = ImageState::Failed(problem);
    check("waits", &plain(), &failed, &["wake 1005"]);
    let show = |now| {
        let status = status::pod_status(&plain(), &failed, at(now));
        let waiting = status
            .container_statuses
            .unwrap()
            .remove(0)
            .state
            .unwrap()
            .waiting
            .unwrap();
        (waiting.reason.unwrap(), waiting.message.unwrap())
    };
    assert_eq!(
        show(990),
        ("ErrImagePull".to_owned(), "no such image".to_owned())
    );
    assert_eq!(
        show(992),
        (
            "ImagePullBackOff".to_owned(),
            "Back-off pulling image \"i\": ErrImagePull: no such image".to_owned()
        )
    );
}

#[test]
fn a_deleted_pod_ends_mains_first_then_sidecars_from_the_last() {
    let mut pod = pod(json!({
        "initContainers": [{"name": "s1", "restartPolicy": "Always"}, {"name": "s2", "restartPolicy": "Always"}],
        "containers": [{"name": "a"}, {"name": "b"}],
    }));
    pod.metadata.deletion_timestamp = Some(k8s_openapi::apimachinery::pkg::apis::meta::v1::Time(
        at(NOW + 30),
    ));
    pod.metadata.deletion_grace_period_seconds = Some(30);
    let all = |states: [ContainerState; 4]| {
        state(
            ["s1", "s2", "a", "b"]
                .into_iter()
                .zip(states)
                .map(|(name, of)| run(name, 0, of, 0))
                .collect(),
        )
    };
    check(
        "mains",
        &pod,
        &all([Running; 4]),
        &["stop a in 30", "stop b in 30"],
    );
    check(
        "last sidecar",
        &pod,
        &all([Running, Running, Exited, Exited]),
        &["stop s2 in 30"],
    );
    check(
        "first sidecar",
        &pod,
        &all([Running, Exited, Exited, Exited]),
        &["stop s1 in 30"],
    );
    let mut done = all([Exited; 4]);
    check("sandbox", &pod, &done, &["stop sandbox"]);
    done.sandbox.as_mut().unwrap().ready = false;
    check("status first", &pod, &done, &[]);
    pod.status = Some(status::pod_status(&pod, &done, at(NOW)));
    assert_eq!(
        pod.status.as_ref().unwrap().phase.as_deref(),
        Some("Succeeded")
    );
    check("remove", &pod, &done, &["teardown"]);
    done.torn_down = true;
    check("tell", &pod, &done, &["delete"]);
    let mut hurried = all([Exited, Exited, Running, Exited]);
    hurried.busy.insert(Op::Stop(ContainerId("a-0".into())));
    pod.metadata.deletion_timestamp = Some(k8s_openapi::apimachinery::pkg::apis::meta::v1::Time(
        at(NOW - 3),
    ));
    check("hurried", &pod, &hurried, &["kill a-0"]);
}

#[test]
fn probes_are_due_by_their_period_and_end_what_fails() {
    let pod = pod(json!({"containers": [{"name": "a",
        "livenessProbe": {"tcpSocket": {"port": 1}, "initialDelaySeconds": 150, "periodSeconds": 10},
        "readinessProbe": {"tcpSocket": {"port": 1}, "periodSeconds": 10}}]}));
    let mut state = state(vec![run("a", 0, Running, 0)]);
    check("readiness now", &pod, &state, &["Readiness a", "wake 1050"]);
    let ready = |state: &PodState| {
        status::pod_status(&pod, state, at(NOW))
            .conditions
            .unwrap()
            .into_iter()
            .find(|condition| condition.type_ == "Ready")
            .unwrap()
    };
    assert_eq!(
        ready(&state).message.as_deref(),
        Some("containers with unready status: [a]")
    );
    let tallies = &mut state.memory.entry("a".into()).or_default().tallies;
    let probe = k8s_openapi::api::core::v1::Probe::default();
    tallies
        .entry(ProbeKind::Readiness)
        .or_default()
        .record(&probe, true, at(995));
    assert_eq!(ready(&state).status, "True");
    check("later", &pod, &state, &["wake 1005", "wake 1050"]);
    let dead = Tally::decided(false);
    state
        .memory
        .entry("a".into())
        .or_default()
        .tallies
        .insert(ProbeKind::Liveness, dead);
    check("dead", &pod, &state, &["stop a in 30"]);
}

#[test]
fn a_pod_past_its_deadline_fails() {
    let mut pod = pod(json!({"activeDeadlineSeconds": 5, "containers": [{"name": "a"}]}));
    pod.status =
        Some(serde_json::from_value(json!({"startTime": "1970-01-01T00:16:30Z"})).unwrap());
    check(
        "over",
        &pod,
        &state(vec![run("a", 0, Running, 0)]),
        &["fail DeadlineExceeded"],
    );
}

#[test]
fn a_status_is_written_once() {
    let mut pod = plain();
    let state = state(vec![run("a", 0, Running, 0)]);
    let Some(Action::WriteStatus(status)) = step(&pod, &state, at(NOW)).pop() else {
        panic!("a status is due")
    };
    assert_eq!(status.phase.as_deref(), Some("Running"));
    assert_eq!(status.pod_ip.as_deref(), Some("10.42.0.2"));
    pod.status = Some(*status);
    assert_eq!(step(&pod, &state, at(NOW + 60)), []);
}
