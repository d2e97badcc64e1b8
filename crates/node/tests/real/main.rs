//! A node with real containers, in a network and mount namespace of its own, as root.
//!
//! Reads `/bin/busybox` of the host; writes to a tmpfs that only this process sees and to control groups of its own. Has its
//! own `main`, since shims are re-executions of this binary.

#![expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

mod cluster;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use cluster::Cluster;
use image::{
    ContainerDefaults, FileContent, ImageConfig, ImageFile, ImageStore, Platform, Puller,
    Reference, RegistryOptions, StoreOptions,
};
use net::pods::{Names, NodeRoutes, PodNetwork};
use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, unshare};
use node::images::StoreImages;
use node::links::HostLinks;
use node::machine::Machine;
use node::{Agent, Options, Parts};
use object::time::{Clock, SystemClock};
use runtime::{EmbeddedRuntime, Runtime};
use serde_json::json;

const IMAGE: &str = "test.example/busybox:1";
const APPLETS: [&str; 5] = ["sh", "sleep", "cat", "httpd", "mkdir"];

fn main() {
    if let Some(code) = runtime::dispatch(std::env::args_os()) {
        end(code);
    }
    if std::env::args().any(|argument| argument == "--list") {
        return println!("a_real_pod_runs_answers_and_leaves_nothing: test");
    }
    if !nix::unistd::geteuid().is_root() {
        return println!("skipped: needs root");
    }
    if !Path::new("/bin/busybox").exists() {
        return println!("skipped: needs busybox-static");
    }
    // Before any other thread is there, so that all of them live in the new namespaces.
    unshare(CloneFlags::CLONE_NEWNET | CloneFlags::CLONE_NEWNS).unwrap();
    mount(
        None::<&str>,
        "/",
        None::<&str>,
        MsFlags::MS_PRIVATE | MsFlags::MS_REC,
        None::<&str>,
    )
    .unwrap();
    let dir = tempfile::tempdir().unwrap();
    mount(
        Some("tmpfs"),
        dir.path(),
        Some("tmpfs"),
        MsFlags::empty(),
        None::<&str>,
    )
    .unwrap();
    let tokio = tokio::runtime::Runtime::new().unwrap();
    let base = format!("/kogge-node-test-{}", std::process::id());
    tokio.block_on(async {
        let work = tokio::time::timeout(Duration::from_secs(120), scenario(dir.path(), &base));
        work.await.unwrap();
    });
    drop(tokio);
    runtime::purge(&dir.path().join("runtime")).unwrap();
    remove_groups(&base);
    nix::mount::umount2(dir.path(), nix::mount::MntFlags::MNT_DETACH).unwrap();
    println!("test a_real_pod_runs_answers_and_leaves_nothing ... ok");
}

#[expect(
    clippy::disallowed_methods,
    clippy::exit,
    reason = "a test binary ends its own process, as kogge does"
)]
fn end(code: i32) -> ! {
    std::process::exit(code)
}

/// The groups above those of pods stay for the next pod; here there is none.
fn remove_groups(base: &str) {
    fn remove(dir: &Path) {
        for entry in std::fs::read_dir(dir).into_iter().flatten().flatten() {
            if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                remove(&entry.path());
            }
        }
        std::fs::remove_dir(dir).unwrap();
    }
    let name = base.trim_start_matches('/');
    let entries = std::fs::read_dir("/sys/fs/cgroup").unwrap().flatten();
    let roots = entries
        .filter(|entry| !entry.path().is_symlink())
        .map(|entry| entry.path().join(name));
    let all = roots.chain([Path::new("/sys/fs/cgroup").join(name)]);
    all.filter(|dir| dir.is_dir()).for_each(|dir| remove(&dir));
}

fn build(store: &ImageStore) {
    let file = |path: &str, content| ImageFile {
        path: path.into(),
        mode: 0o755,
        content,
    };
    let mut files = vec![
        file("bin/busybox", FileContent::FromPath("/bin/busybox".into())),
        file("tmp", FileContent::Directory),
    ];
    files.extend(APPLETS.iter().map(|name| {
        file(
            &format!("bin/{name}"),
            FileContent::Symlink("busybox".into()),
        )
    }));
    let config = ImageConfig::new(
        &Platform::host(),
        None,
        ContainerDefaults {
            cmd: vec!["sh".into()],
            env: vec!["PATH=/bin".into()],
            ..Default::default()
        },
    );
    store
        .build_image(
            &Reference::parse(IMAGE).unwrap(),
            &files,
            config,
            SystemClock.now(),
        )
        .unwrap();
}

async fn until(what: &str, cluster: &Cluster, check: impl Fn(&Cluster) -> bool) {
    for _ in 0..600 {
        if check(cluster) {
            return;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!(
        "never {what}: {:#?} {:#?} {:#?}",
        cluster.pod("p"),
        cluster.pod("q"),
        cluster.events.lock().unwrap()
    );
}

async fn scenario(dir: &Path, base: &str) {
    let store = ImageStore::open(
        &dir.join("images"),
        StoreOptions {
            ephemeral: true,
            ..Default::default()
        },
    )
    .unwrap();
    build(&store);
    let options = runtime::Options {
        state_dir: dir.join("runtime"),
        cgroup_base: base.to_owned(),
    };
    let containers = Arc::new(EmbeddedRuntime::open_with(options).await.unwrap());
    // This namespace has no link to anywhere, so the node gets the address for machines without one.
    let address = net::address::find_node_address(None, "kogge").unwrap();
    let mut network = PodNetwork::open(Names::new(dir.join("netns"))).unwrap();
    network
        .sync_node(&NodeRoutes {
            pod_cidrs: vec!["10.42.0.0/24".parse().unwrap()],
            ..NodeRoutes::default()
        })
        .unwrap();
    let options = Options {
        node_ips: vec![address.ip],
        ..Options::new("node", dir.join("node"))
    };
    let links = HostLinks::new(network, options.pod_cidr, Some(address.ip), address.mtu).unwrap();
    let puller = Arc::new(Puller::new(store.clone(), RegistryOptions::default()).unwrap());
    let cluster = Cluster::new();
    let (end, shutdown) = tokio::sync::watch::channel(false);
    let parts = Parts {
        client: cluster.clone(),
        feed: cluster.clone(),
        runtime: containers.clone(),
        images: Arc::new(StoreImages::new(store, puller)),
        links: Arc::new(links),
        clock: Arc::new(SystemClock),
        machine: Machine::detect(dir),
    };
    let agent = tokio::spawn(Agent::run(options.clone(), parts, shutdown));
    let maps = object::Resource::new("", "configmaps");
    cluster.commit(
        maps,
        "n",
        "c",
        Some(json!({"metadata": {"name": "c", "namespace": "n"}, "data": {"k": "from-map"}})),
    );
    let script = "echo $GREETING $(cat /etc/c/k); mkdir -p /tmp/www; echo hi > /tmp/www/ok; trap 'exit 0' TERM; httpd -f -p 8080 -h /tmp/www & wait";
    let begun = tokio::time::Instant::now();
    cluster.put_pod("p", json!({
        "containers": [{"name": "a", "image": IMAGE, "command": ["sh", "-c", script],
            "env": [{"name": "GREETING", "value": "hello"}],
            "readinessProbe": {"httpGet": {"path": "/ok", "port": 8080}, "periodSeconds": 1},
            "volumeMounts": [{"name": "c", "mountPath": "/etc/c"}, {"name": "e", "mountPath": "/scratch"}]}],
        "volumes": [{"name": "c", "configMap": {"name": "c"}}, {"name": "e", "emptyDir": {"medium": "Memory"}}],
        "terminationGracePeriodSeconds": 5,
    }));
    until("running", &cluster, |cluster| {
        cluster
            .pod("p")
            .is_some_and(|pod| pod["status"]["phase"] == "Running")
    })
    .await;
    println!("running after {} ms", begun.elapsed().as_millis());
    until("ready", &cluster, |cluster| {
        cluster
            .pod("p")
            .is_some_and(|pod| pod["status"]["containerStatuses"][0]["ready"] == true)
    })
    .await;
    let log = options.pod_log_dir("n", "p", "uid-p").join("a/0.log");
    let text = std::fs::read_to_string(&log).unwrap();
    assert!(text.contains(" stdout F hello from-map"), "{text}");
    assert!(cluster.has_event("Started Container started: a"));

    cluster.put_pod("q", json!({"restartPolicy": "Never", "containers": [{"name": "b", "image": IMAGE, "command": ["sh", "-c", "echo why > /dev/termination-log; exit 3"]}]}));
    until("failed", &cluster, |cluster| {
        cluster
            .pod("q")
            .is_some_and(|pod| pod["status"]["phase"] == "Failed")
    })
    .await;
    let ended =
        cluster.pod("q").unwrap()["status"]["containerStatuses"][0]["state"]["terminated"].clone();
    assert_eq!(
        (&ended["exitCode"], &ended["message"]),
        (&json!(3), &json!("why\n"))
    );

    for name in ["p", "q"] {
        let mut pod = cluster.pod(name).unwrap();
        pod["metadata"]["deletionTimestamp"] =
            json!((SystemClock.now() + jiff::SignedDuration::from_secs(5)).to_string());
        pod["metadata"]["deletionGracePeriodSeconds"] = json!(5);
        cluster.commit(object::Resource::new("", "pods"), "n", name, Some(pod));
    }
    until("gone", &cluster, |cluster| {
        cluster.pod("p").is_none() && cluster.pod("q").is_none()
    })
    .await;
    assert!(containers.list_sandboxes().await.unwrap().is_empty());
    assert!(!log.exists() && !options.pod_dir("uid-p").exists());
    let mounts = std::fs::read_to_string("/proc/self/mountinfo").unwrap();
    assert!(!mounts.contains("uid-p"), "{mounts}");
    end.send_replace(true);
    agent.await.unwrap().unwrap();
}
