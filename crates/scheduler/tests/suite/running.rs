//! The whole loop against a small API server made of a world, under virtual time.

use std::sync::{Arc, Mutex};

use bytes::Bytes;
use client::{Client, ClientError, Feed, Lagged};
use futures::future::BoxFuture;
use futures::stream::BoxStream;
use futures::{FutureExt, StreamExt};
use jiff::{SignedDuration, Timestamp};
use object::names::resources::{NODES, PODS};
use object::time::Clock;
use reconcile::Note;
use reconcile::driver::Recorder;
use scheduler::{Metrics, Scheduler};
use serde_json::{Value, json};
use tokio::sync::broadcast;
use tokio::time::{Duration, Instant, sleep};
use world::{Commit, World};

use crate::lab::{asking, bound, cx, delete, key, merged, node, pod, put, world};

/// A clock that goes with tokio's.
struct Virtual(Instant);

impl Clock for Virtual {
    fn now(&self) -> Timestamp {
        cx().now + SignedDuration::try_from(self.0.elapsed()).unwrap()
    }
}

struct Lab {
    world: Mutex<World>,
    commits: broadcast::Sender<Arc<Commit>>,
    /// Requests and events in order, with the second they came in.
    seen: Mutex<Vec<String>>,
    /// Answers 500 to this many bindings.
    broken: Mutex<u32>,
    /// A change made to pod `p` just before its next status is written.
    meddling: Mutex<Option<Value>>,
    start: Instant,
}

impl Lab {
    fn start(nodes: &[Value], pods: &[Value]) -> Arc<Self> {
        let lab = Self::idle(nodes, pods);
        let handle = Arc::new(Handle(Arc::clone(&lab)));
        let scheduler = Scheduler {
            client: handle.clone(),
            feed: handle.clone(),
            recorder: handle,
            clock: Arc::new(Virtual(lab.start)),
            random: Arc::new(|| 3),
            metrics: Metrics::default(),
        };
        tokio::spawn(scheduler.run());
        lab
    }

    fn idle(nodes: &[Value], pods: &[Value]) -> Arc<Self> {
        Arc::new(Self {
            world: Mutex::new(world(nodes, pods)),
            commits: broadcast::channel(256).0,
            seen: Mutex::default(),
            broken: Mutex::default(),
            meddling: Mutex::default(),
            start: Instant::now(),
        })
    }

    fn put(&self, resource: object::Resource, value: &Value) {
        let commit = put(&mut self.world.lock().unwrap(), resource, value);
        let _nobody_listens = self.commits.send(commit);
    }

    fn delete(&self, name: &str) {
        let commit = delete(&mut self.world.lock().unwrap(), &key(name));
        let _nobody_listens = self.commits.send(commit);
    }

    fn see(&self, text: String) {
        let line = format!("{}s {text}", self.start.elapsed().as_secs());
        self.seen.lock().unwrap().push(line);
    }

    fn take_seen(&self) -> Vec<String> {
        std::mem::take(&mut *self.seen.lock().unwrap())
    }

    fn stored(&self, name: &str) -> Value {
        let world = self.world.lock().unwrap();
        world
            .get(&key(name))
            .map(|object| object.value())
            .unwrap_or_default()
    }

    /// What the API server would do with a request, and its answer.
    fn serve(&self, method: &str, path: &str, body: &Value) -> (u16, Value) {
        let parts: Vec<&str> = path.split('/').collect();
        let (name, subresource) = (parts[6], parts.get(7).copied().unwrap_or_default());
        let mut pod = self.stored(name);
        if pod.is_null() {
            return (
                404,
                json!({"kind":"Status","reason":"NotFound","message":"gone","code":404}),
            );
        }
        match (method, subresource) {
            ("POST", "binding") => {
                let mut broken = self.broken.lock().unwrap();
                if *broken > 0 {
                    *broken -= 1;
                    return (
                        500,
                        json!({"kind":"Status","reason":"InternalError","message":"it broke","code":500}),
                    );
                }
                let node = body["target"]["name"].as_str().unwrap();
                self.see(format!("bind {name} {node}"));
                pod["spec"]["nodeName"] = json!(node);
            }
            ("PATCH", "status") => {
                if let Some(change) = self.meddling.lock().unwrap().take() {
                    pod = merged(pod, &change);
                    self.put(PODS, &pod);
                }
                if body["metadata"]["resourceVersion"]
                    != self.stored(name)["metadata"]["resourceVersion"]
                {
                    self.see(format!("conflict {name}"));
                    return (
                        409,
                        json!({"kind":"Status","reason":"Conflict","message":"changed","code":409}),
                    );
                }
                pod = merged(pod, &json!({"status":body["status"]}));
                let condition = &body["status"]["conditions"];
                self.see(format!(
                    "status {name} {}",
                    condition[condition.as_array().map_or(0, |c| c.len() - 1)]["reason"]
                ));
            }
            ("DELETE", "") => {
                self.see(format!("delete {name}"));
                pod["metadata"]["deletionTimestamp"] = json!("2027-01-15T08:00:30Z");
            }
            _ => panic!("{method} {path}"),
        }
        self.put(PODS, &pod);
        (201, pod)
    }
}

struct Handle(Arc<Lab>);

impl Feed for Handle {
    fn world(&self) -> World {
        self.0.world.lock().unwrap().clone()
    }

    fn commits(&self) -> BoxStream<'static, Result<Arc<Commit>, Lagged>> {
        let receiver = self.0.commits.subscribe();
        futures::stream::unfold(receiver, |mut receiver| async move {
            match receiver.recv().await {
                Ok(commit) => Some((Ok(commit), receiver)),
                Err(broadcast::error::RecvError::Lagged(_)) => Some((Err(Lagged), receiver)),
                Err(broadcast::error::RecvError::Closed) => None,
            }
        })
        .boxed()
    }
}

impl Client for Handle {
    fn call(
        &self,
        request: http::Request<Bytes>,
    ) -> BoxFuture<'_, Result<http::Response<Bytes>, ClientError>> {
        let body = serde_json::from_slice(request.body()).unwrap();
        let (code, answer) = self
            .0
            .serve(request.method().as_str(), request.uri().path(), &body);
        let answer = http::Response::builder()
            .status(code)
            .body(answer.to_string().into());
        async move { Ok(answer?) }.boxed()
    }
}

impl Recorder for Handle {
    fn record(&self, controller: &'static str, note: Note) {
        assert_eq!(controller, "default-scheduler");
        let name = note.about.name.unwrap();
        self.0
            .see(format!("{} {name}: {}", note.reason, note.message));
    }
}

async fn settle() {
    sleep(Duration::from_millis(1)).await;
}

const LACKING: &str = "0/1 nodes are available: 1 Insufficient cpu. preemption: 0/1 nodes are available: 1 No preemption victims found for incoming pod.";

#[tokio::test(start_paused = true)]
async fn pending_pods_are_bound_by_priority() {
    let low = pod("a", &json!({}));
    let high = pod("b", &json!({"spec":{"priority":5}}));
    let lab = Lab::start(&[node("n1", &json!({}))], &[low, high]);
    settle().await;
    assert_eq!(
        lab.take_seen(),
        [
            "0s bind b n1",
            "0s Scheduled b: Successfully assigned n/b to n1",
            "0s bind a n1",
            "0s Scheduled a: Successfully assigned n/a to n1"
        ]
    );
    lab.put(PODS, &pod("c", &json!({})));
    settle().await;
    assert_eq!(lab.take_seen()[0], "0s bind c n1");
}

#[tokio::test(start_paused = true)]
async fn a_pod_without_a_node_is_woken_only_by_what_may_help() {
    let standing = bound("x", "n1", &asking("3", "1Gi"));
    let lab = Lab::start(
        &[node("n1", &json!({}))],
        &[standing.clone(), pod("p", &asking("2", "1Gi"))],
    );
    settle().await;
    assert_eq!(
        lab.take_seen(),
        [
            format!("0s FailedScheduling p: {LACKING}"),
            "0s status p \"Unschedulable\"".to_owned()
        ]
    );
    let condition = &lab.stored("p")["status"]["conditions"][0];
    assert_eq!(
        (&condition["status"], &condition["message"]),
        (&json!("False"), &json!(LACKING))
    );

    sleep(Duration::from_secs(600)).await;
    lab.put(NODES, &node("n1", &json!({"status":{"conditions":[{"type":"Ready","status":"True","lastHeartbeatTime":"2026-01-01T00:00:00Z"}]}})));
    lab.put(
        NODES,
        &node("n1", &json!({"metadata":{"labels":{"new":"label"}}})),
    );
    lab.put(
        NODES,
        &node("n2", &json!({"status":{"allocatable":{"cpu":"1"}}})),
    );
    lab.put(
        PODS,
        &merged(standing, &json!({"status":{"message":"still there"}})),
    );
    settle().await;
    assert_eq!(lab.take_seen(), [""; 0], "none of these makes room");

    lab.delete("x");
    settle().await;
    assert_eq!(lab.take_seen()[0], "600s bind p n1");
}

#[tokio::test(start_paused = true)]
async fn a_new_node_helps_whoever_fits_it() {
    let lab = Lab::start(
        &[],
        &[
            pod("p", &asking("2", "1Gi")),
            pod("q", &json!({"spec":{"nodeSelector":{"disk":"ssd"}}})),
        ],
    );
    settle().await;
    assert_eq!(
        lab.take_seen()[0],
        "0s FailedScheduling p: no nodes available to schedule pods"
    );
    lab.put(NODES, &node("n1", &json!({})));
    settle().await;
    let seen = lab.take_seen();
    assert!(seen.contains(&"0s bind p n1".to_owned()), "{seen:?}");
    assert!(!seen.iter().any(|line| line.contains("bind q")), "{seen:?}");
    lab.put(
        NODES,
        &node("n1", &json!({"metadata":{"labels":{"disk":"ssd"}}})),
    );
    settle().await;
    assert_eq!(lab.take_seen()[0], "0s bind q n1");
}

#[tokio::test(start_paused = true)]
async fn a_failed_binding_is_tried_again_with_back_off_and_its_room_is_free_meanwhile() {
    let lab = Lab::idle(&[node("n1", &json!({}))], &[pod("p", &asking("3", "1Gi"))]);
    *lab.broken.lock().unwrap() = 2;
    let handle = Arc::new(Handle(Arc::clone(&lab)));
    let scheduler = Scheduler {
        client: handle.clone(),
        feed: handle.clone(),
        recorder: handle,
        clock: Arc::new(Virtual(lab.start)),
        random: Arc::new(|| 3),
        metrics: Metrics::default(),
    };
    tokio::spawn(scheduler.run());
    settle().await;
    assert_eq!(
        lab.take_seen(),
        [
            "0s FailedScheduling p: binding rejected: running Bind plugin \"DefaultBinder\": it broke",
            "0s status p \"SchedulerError\""
        ]
    );
    lab.put(PODS, &pod("q", &asking("1500m", "1Gi")));
    sleep(Duration::from_millis(10)).await;
    lab.take_seen();
    *lab.broken.lock().unwrap() = 0;
    lab.put(PODS, &pod("r", &asking("1500m", "1Gi")));
    settle().await;
    assert_eq!(lab.take_seen()[0], "0s bind r n1", "the room is not held");
    sleep(Duration::from_secs(20)).await;
    let seen = lab.take_seen();
    for want in [
        format!("1s FailedScheduling p: {LACKING}"),
        "1s bind q n1".to_owned(),
    ] {
        assert!(seen.contains(&want), "{seen:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn gates_keep_a_pod_back_until_they_open() {
    let gated = pod("p", &json!({"spec":{"schedulingGates":[{"name":"g"}]}}));
    let lab = Lab::start(&[node("n1", &json!({}))], &[gated]);
    settle().await;
    assert_eq!(lab.take_seen(), [""; 0]);
    lab.put(PODS, &pod("p", &json!({})));
    settle().await;
    assert_eq!(lab.take_seen()[0], "0s bind p n1");
}

#[tokio::test(start_paused = true)]
async fn a_status_that_meets_a_conflict_is_written_for_the_latest_revision() {
    let lab = Lab::start(&[node("n1", &json!({}))], &[]);
    settle().await;
    *lab.meddling.lock().unwrap() = Some(json!({"metadata":{"annotations":{"by":"another"}}}));
    lab.put(PODS, &pod("p", &asking("5", "1Gi")));
    settle().await;
    let seen = lab.take_seen();
    assert_eq!(
        seen[1..],
        ["0s conflict p", "0s status p \"Unschedulable\""],
        "{seen:?}"
    );
    assert_eq!(lab.stored("p")["metadata"]["annotations"]["by"], "another");
}

#[tokio::test(start_paused = true)]
async fn a_pod_of_high_priority_takes_the_place_of_a_lower_one() {
    let low = |name: &str, priority: i64| {
        bound(
            name,
            "n1",
            &merged(asking("2", "1Gi"), &json!({"spec":{"priority":priority}})),
        )
    };
    let lab = Lab::start(&[node("n1", &json!({}))], &[low("x", 1), low("y", 2)]);
    settle().await;
    lab.put(
        PODS,
        &pod(
            "p",
            &merged(asking("2", "1Gi"), &json!({"spec":{"priority":9}})),
        ),
    );
    settle().await;
    assert_eq!(
        lab.take_seen(),
        [
            "0s FailedScheduling p: 0/1 nodes are available: 1 Insufficient cpu. preemption: found a potential placement for pod on node n1, preempting 1 victims",
            "0s status p \"Unschedulable\"",
            "0s status x \"PreemptionByScheduler\"",
            "0s delete x",
            "0s Preempted x: Preempted by pod u-p on node n1",
        ]
    );
    assert_eq!(lab.stored("p")["status"]["nominatedNodeName"], "n1");
    // A pod that comes meanwhile does not get the room.
    lab.put(
        PODS,
        &pod(
            "thief",
            &merged(asking("1", "1Gi"), &json!({"spec":{"priority":3}})),
        ),
    );
    settle().await;
    lab.delete("x");
    settle().await;
    let seen = lab.take_seen();
    assert!(seen.contains(&"0s bind p n1".to_owned()), "{seen:?}");
    assert!(
        !seen.iter().any(|line| line.contains("bind thief")),
        "{seen:?}"
    );
}

#[tokio::test(start_paused = true)]
async fn missed_commits_are_made_up_for() {
    let lab = Lab::start(&[node("n1", &json!({}))], &[pod("p", &asking("5", "1Gi"))]);
    settle().await;
    lab.take_seen();
    lab.put(
        NODES,
        &node("n1", &json!({"status":{"allocatable":{"cpu":"8"}}})),
    );
    for i in 0..300 {
        lab.put(
            PODS,
            &pod(
                "q",
                &json!({"metadata":{"annotations":{"n":i.to_string()}}}),
            ),
        );
    }
    settle().await;
    let seen = lab.take_seen();
    for want in ["0s bind q n1", "0s bind p n1"] {
        assert!(seen.contains(&want.to_owned()), "{seen:?}");
    }
}
