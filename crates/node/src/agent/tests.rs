//! The agent under virtual time: a runtime, images and an API server in memory.

#[path = "../../tests/real/cluster.rs"]
mod cluster;

use super::*;
use crate::images::ImageFacts;
use crate::links::{Link, LinkError};
use async_trait::async_trait;
use cluster::Cluster;
use image::{ContainerDefaults, ImageConfig, ImageError, Keyring, Platform};
use jiff::Timestamp;
use object::Resource;
use object::time::Clock;
use runtime::{Behaviour, FakeRuntime, RootFs};
use serde_json::json;
use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::Duration;

const EPOCH_NS: i64 = 1_767_225_600_000_000_000;

struct PausedClock(tokio::time::Instant);

impl Clock for PausedClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_nanosecond(i128::from(EPOCH_NS) + self.0.elapsed().as_nanos() as i128)
            .unwrap()
    }
}

struct FakeImages;

#[async_trait]
impl Images for FakeImages {
    fn present(&self, name: &str) -> Option<ImageFacts> {
        let defaults = ContainerDefaults {
            cmd: vec!["/run".into()],
            ..Default::default()
        };
        let config = Arc::new(ImageConfig::new(&Platform::host(), None, defaults));
        (name == "here").then(|| ImageFacts {
            id: "sha256:1".into(),
            shown: "here@sha256:1".into(),
            config,
            size: 5,
            names: vec!["here".into()],
        })
    }
    async fn pull(&self, name: &str, _: Keyring, _: Timestamp) -> Result<ImageFacts, ImageError> {
        Err(ImageError::NotFound {
            what: name.to_owned(),
            host: "registry".to_owned(),
        })
    }
    async fn prepare(&self, _: &str, dir: PathBuf, _: Timestamp) -> Result<RootFs, ImageError> {
        Ok(RootFs::Directory(dir))
    }
    async fn remove(&self, _: PathBuf) -> Result<(), ImageError> {
        Ok(())
    }
    async fn user(&self, _: &str, _: String) -> Result<image::User, ImageError> {
        Ok(image::User::default())
    }
    fn list(&self) -> Vec<ImageFacts> {
        Vec::new()
    }
}

#[derive(Default)]
struct FakeLinks(AtomicU8);

#[async_trait]
impl Links for FakeLinks {
    async fn set_up(&self, _: String) -> Result<Link, LinkError> {
        Ok(Link {
            netns: None,
            ip: IpAddr::from([10, 42, 0, 2 + self.0.fetch_add(1, Ordering::SeqCst)]),
        })
    }
    async fn tear_down(&self, _: String, _: Option<IpAddr>) -> Result<(), LinkError> {
        Ok(())
    }
    async fn keep_only(&self, _: BTreeSet<String>) -> Result<(), LinkError> {
        Ok(())
    }
}

struct Bench {
    cluster: Arc<Cluster>,
    runtime: FakeRuntime,
    dir: tempfile::TempDir,
    clock: SharedClock,
    end: watch::Sender<bool>,
}

impl Bench {
    fn new() -> Self {
        let clock = Arc::new(PausedClock(tokio::time::Instant::now()));
        let bench = Self {
            cluster: Cluster::new(),
            runtime: FakeRuntime::starting_at(EPOCH_NS),
            dir: tempfile::tempdir().unwrap(),
            clock,
            end: watch::channel(false).0,
        };
        bench.start();
        bench
    }

    fn start(&self) {
        let parts = Parts {
            client: self.cluster.clone(),
            feed: self.cluster.clone(),
            runtime: Arc::new(self.runtime.clone()),
            images: Arc::new(FakeImages),
            links: Arc::new(FakeLinks::default()),
            clock: Arc::clone(&self.clock),
            machine: Machine {
                cpu_milli: 2000,
                memory_bytes: 1 << 30,
                ..Machine::default()
            },
        };
        let options = Options {
            node_ips: vec![[192, 0, 2, 7].into()],
            ..Options::new("node", self.dir.path())
        };
        tokio::spawn(Agent::run(options, parts, self.end.subscribe()));
    }

    async fn until(&self, what: &str, check: impl Fn(&Cluster) -> bool) {
        for _ in 0..4000 {
            if check(&self.cluster) {
                return;
            }
            tokio::time::sleep(Duration::from_millis(250)).await;
        }
        panic!(
            "never {what}: {:#?} {:?}",
            self.cluster.pod("p"),
            self.cluster.events.lock().unwrap()
        );
    }

    async fn phase(&self, phase: &str) {
        self.until(phase, |cluster| {
            cluster
                .pod("p")
                .is_some_and(|pod| pod["status"]["phase"] == phase)
        })
        .await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_pod_runs_is_ready_and_goes_when_deleted() {
    let bench = Bench::new();
    bench.cluster.put_pod("p", json!({"containers": [{"name": "a", "image": "here"}], "terminationGracePeriodSeconds": 30}));
    bench.phase("Running").await;
    let status = bench.cluster.pod("p").unwrap()["status"].clone();
    assert_eq!(
        (&status["podIP"], &status["hostIP"]),
        (&json!("10.42.0.2"), &json!("192.0.2.7"))
    );
    assert_eq!(status["containerStatuses"][0]["imageID"], "here@sha256:1");
    assert_eq!(status["containerStatuses"][0]["ready"], true);
    assert!(bench.cluster.has_event("Started Container started: a"));
    let mut pod = bench.cluster.pod("p").unwrap();
    pod["metadata"]["deletionTimestamp"] =
        json!((bench.clock.now() + jiff::SignedDuration::from_secs(30)).to_string());
    pod["metadata"]["deletionGracePeriodSeconds"] = json!(30);
    bench.cluster.commit(PODS, "n", "p", Some(pod));
    bench
        .until("gone", |cluster| cluster.pod("p").is_none())
        .await;
    assert!(bench.runtime.list_sandboxes().await.unwrap().is_empty());
    assert!(!bench.dir.path().join("pods/uid-p").exists());
}

#[tokio::test(start_paused = true)]
async fn a_container_that_ends_is_restarted_with_longer_pauses() {
    let bench = Bench::new();
    bench
        .runtime
        .behave("a", Behaviour::exits(Duration::from_secs(1), 3));
    bench
        .cluster
        .put_pod("p", json!({"containers": [{"name": "a", "image": "here"}]}));
    let waits = |cluster: &Cluster| {
        cluster.pod("p").is_some_and(|pod| {
            pod["status"]["containerStatuses"][0]["state"]["waiting"]["reason"]
                == "CrashLoopBackOff"
        })
    };
    bench.until("crash loop", waits).await;
    let status = bench.cluster.pod("p").unwrap()["status"]["containerStatuses"][0].clone();
    assert_eq!(
        (
            &status["restartCount"],
            &status["lastState"]["terminated"]["exitCode"]
        ),
        (&json!(1), &json!(3))
    );
    let begun = bench.clock.now();
    bench
        .until("third restart", |cluster| {
            cluster.pod("p").is_some_and(|pod| {
                pod["status"]["containerStatuses"][0]["restartCount"].as_i64() >= Some(3)
            })
        })
        .await;
    let took = bench.clock.now().duration_since(begun).as_secs();
    assert!(
        (30..35).contains(&took),
        "10 and 20 seconds of pause, {took}"
    );
}

#[tokio::test(start_paused = true)]
async fn a_job_pod_succeeds_after_its_init_container() {
    let bench = Bench::new();
    bench
        .runtime
        .behave("i", Behaviour::exits(Duration::from_secs(1), 0));
    bench
        .runtime
        .behave("a", Behaviour::exits(Duration::from_secs(2), 0));
    bench.cluster.put_pod("p", json!({"restartPolicy": "Never", "initContainers": [{"name": "i", "image": "here"}], "containers": [{"name": "a", "image": "here"}]}));
    bench.phase("Succeeded").await;
    let status = bench.cluster.pod("p").unwrap()["status"].clone();
    assert_eq!(status["initContainerStatuses"][0]["ready"], true);
    assert_eq!(
        status["containerStatuses"][0]["state"]["terminated"]["reason"],
        "Completed"
    );
}

#[tokio::test(start_paused = true)]
async fn an_image_that_is_not_there_shows_as_such() {
    let bench = Bench::new();
    bench.cluster.put_pod(
        "p",
        json!({"containers": [{"name": "a", "image": "nowhere"}]}),
    );
    let waits = |cluster: &Cluster| {
        cluster.pod("p").is_some_and(|pod| {
            pod["status"]["containerStatuses"][0]["state"]["waiting"]["reason"]
                == "ImagePullBackOff"
        })
    };
    bench.until("back-off", waits).await;
    assert!(bench.cluster.has_event("Failed Error: ErrImagePull"));
}

#[tokio::test(start_paused = true)]
async fn a_failed_liveness_probe_restarts_and_a_passed_readiness_probe_makes_ready() {
    let bench = Bench::new();
    let answer = |argv: &[String]| i32::from(argv[0] == "bad");
    bench.runtime.behave(
        "a",
        Behaviour::answers(move |_, argv| runtime::ExecOutput {
            exit_code: answer(argv),
            ..Default::default()
        }),
    );
    let probe = |word: &str| json!({"exec": {"command": [word]}, "periodSeconds": 5, "failureThreshold": 3});
    bench.cluster.put_pod("p", json!({"containers": [{"name": "a", "image": "here", "readinessProbe": probe("good"), "livenessProbe": probe("bad")}]}));
    bench
        .until("ready", |cluster| {
            cluster
                .pod("p")
                .is_some_and(|pod| pod["status"]["containerStatuses"][0]["ready"] == true)
        })
        .await;
    bench
        .until("restarted", |cluster| {
            cluster
                .pod("p")
                .is_some_and(|pod| pod["status"]["containerStatuses"][0]["restartCount"] == 1)
        })
        .await;
    assert!(
        bench
            .cluster
            .has_event("Killing Container a failed liveness probe, will be restarted")
    );
    assert!(bench.cluster.has_event("Unhealthy Liveness probe failed: "));
}

#[tokio::test(start_paused = true)]
async fn volumes_follow_their_objects_and_tokens_are_fetched() {
    let bench = Bench::new();
    let map = |value: &str| {
        Some(
            json!({"kind": "ConfigMap", "apiVersion": "v1", "metadata": {"name": "c", "namespace": "n"}, "data": {"k": value}}),
        )
    };
    bench.cluster.put_pod("p", json!({
        "containers": [{"name": "a", "image": "here", "volumeMounts": [{"name": "v", "mountPath": "/v"}]}],
        "volumes": [{"name": "v", "projected": {"sources": [{"configMap": {"name": "c"}}, {"serviceAccountToken": {"path": "token"}}]}}],
    }));
    bench
        .until("missing map told", |cluster| {
            cluster.has_event(
                "FailedMount MountVolume.SetUp failed for volume \"v\" : configmap \"c\" not found",
            )
        })
        .await;
    bench.cluster.commit(CONFIG_MAPS, "n", "c", map("one"));
    bench.phase("Running").await;
    let dir = bench
        .dir
        .path()
        .join("pods/uid-p/volumes/kubernetes.io~projected/v");
    assert_eq!(
        std::fs::read_to_string(dir.join("token")).unwrap(),
        "secret-token"
    );
    bench.cluster.commit(CONFIG_MAPS, "n", "c", map("two"));
    bench
        .until("updated", |_| {
            std::fs::read_to_string(dir.join("k")).is_ok_and(|text| text == "two")
        })
        .await;
}

#[tokio::test(start_paused = true)]
async fn a_new_agent_picks_up_running_pods_and_removes_those_that_went() {
    let bench = Bench::new();
    bench
        .cluster
        .put_pod("p", json!({"containers": [{"name": "a", "image": "here"}]}));
    bench
        .cluster
        .put_pod("q", json!({"containers": [{"name": "a", "image": "here"}]}));
    bench.phase("Running").await;
    bench
        .until("q runs", |cluster| {
            cluster
                .pod("q")
                .is_some_and(|pod| pod["status"]["phase"] == "Running")
        })
        .await;
    bench.end.send_replace(true);
    tokio::time::sleep(Duration::from_secs(1)).await;
    bench.cluster.commit(PODS, "n", "q", None);
    bench.end.send_replace(false);
    let before = bench.runtime.list_containers(None).await.unwrap();
    bench.start();
    tokio::time::sleep(Duration::from_secs(5)).await;
    let after = bench.runtime.list_containers(None).await.unwrap();
    assert_eq!((before.len(), after.len()), (2, 1));
    assert!(before.contains(&after[0]), "the same run goes on");
}

#[tokio::test(start_paused = true)]
async fn the_node_registers_and_renews_its_lease() {
    let bench = Bench::new();
    let nodes = crate::registration::NODES;
    let ready = |cluster: &Cluster| {
        let conditions =
            cluster.value(nodes, "", "node").unwrap_or_default()["status"]["conditions"].clone();
        conditions.as_array().is_some_and(|all| {
            all.iter()
                .any(|one| one["type"] == "Ready" && one["status"] == "True")
        })
    };
    bench.until("ready", ready).await;
    let lease = || {
        bench
            .cluster
            .value(
                Resource::new("coordination.k8s.io", "leases"),
                "kube-node-lease",
                "node",
            )
            .unwrap()["spec"]["renewTime"]
            .clone()
    };
    let first = lease();
    tokio::time::sleep(Duration::from_secs(11)).await;
    assert_ne!(first, lease());
}

/// Lets in whoever says the word.
struct Word;

impl crate::kubelet::Access for Word {
    fn check<'a>(
        &'a self,
        head: &'a http::request::Parts,
    ) -> futures::future::BoxFuture<'a, Result<(), (http::StatusCode, String)>> {
        let known = head
            .headers
            .get("word")
            .is_some_and(|word| word == "friend");
        Box::pin(async move {
            if known {
                Ok(())
            } else {
                Err((http::StatusCode::UNAUTHORIZED, "Unauthorized".to_owned()))
            }
        })
    }
}

#[tokio::test(start_paused = true)]
async fn the_kubelet_api_shows_logs_to_whom_it_knows() {
    let bench = Bench::new();
    bench
        .cluster
        .put_pod("p", json!({"containers": [{"name": "a", "image": "here"}]}));
    bench.phase("Running").await;
    std::fs::write(
        bench.dir.path().join("logs/n_p_uid-p/a/0.log"),
        "2026-01-01T00:00:01Z stdout F one\n2026-01-01T00:00:02Z stdout F two\n",
    )
    .unwrap();
    let kubelet = crate::kubelet::Kubelet {
        node_name: "node".into(),
        feed: bench.cluster.clone(),
        runtime: Arc::new(bench.runtime.clone()),
        access: Arc::new(Word),
        clock: Arc::clone(&bench.clock),
    };
    let ask = |path: &'static str, word: &'static str| {
        let request = http::Request::get(path)
            .header("word", word)
            .body(())
            .unwrap();
        let kubelet = &kubelet;
        async move {
            let answer = kubelet.answer(request).await;
            let code = answer.status().as_u16();
            let body = http_body_util::BodyExt::collect(answer.into_body())
                .await
                .unwrap()
                .to_bytes();
            (code, String::from_utf8(body.to_vec()).unwrap())
        }
    };
    assert_eq!(ask("/healthz", "").await, (200, "ok".to_owned()));
    assert_eq!(ask("/pods", "foe").await.0, 401);
    assert!(ask("/pods", "friend").await.1.contains("uid-p"));
    let rows = [
        ("/containerLogs/n/p/a", (200, "one\ntwo\n")),
        ("/containerLogs/n/p/a?tailLines=1", (200, "two\n")),
        (
            "/containerLogs/n/p/a?tailLines=x",
            (400, "invalid value \"x\" of tailLines"),
        ),
        (
            "/containerLogs/n/p/a?previous=true",
            (
                400,
                "previous terminated container \"a\" in pod \"p\" not found",
            ),
        ),
        ("/containerLogs/n/q/a", (404, "pod \"q\" does not exist")),
    ];
    for (path, (code, text)) in rows {
        assert_eq!(ask(path, "friend").await, (code, text.to_owned()), "{path}");
    }
    let runs = bench.runtime.list_containers(None).await.unwrap();
    let runtime = bench.runtime.clone();
    tokio::spawn(async move {
        tokio::time::sleep(Duration::from_secs(3)).await;
        runtime.exit_container(&runs[0].id, 0);
    });
    let followed = tokio::time::timeout(
        Duration::from_secs(30),
        ask("/containerLogs/n/p/a?follow=true", "friend"),
    )
    .await;
    assert_eq!(
        followed.unwrap(),
        (200, "one\ntwo\n".to_owned()),
        "it ends with the container"
    );
}
