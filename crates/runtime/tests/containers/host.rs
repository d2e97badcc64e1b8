//! What the tests share: a state directory, a busybox root, and the check for leftovers.
//!
//! Reads `/proc`; writes below a private tmpfs.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::time::Duration;

use runtime::{
    ContainerConfig, ContainerId, ContainerState, ContainerStatus, EmbeddedRuntime, ExecOutput,
    Network, Options, RootFs, Runtime, SandboxConfig, SandboxId,
};

/// Programs the tests use; all are busybox.
const APPLETS: &[&str] = &[
    "sh", "cat", "echo", "sleep", "id", "env", "ls", "touch", "mount", "umount", "grep", "head",
    "tail", "tr", "wc", "stty", "kill", "true", "false", "hostname", "ps", "nc", "mkdir", "dd",
    "seq", "pwd", "test", "readlink", "tty", "mknod", "chroot", "cut", "sort", "unshare", "ping",
    "ifconfig", "ipcs", "date", "stat", "rm", "printf", "yes",
];

/// Moves this process to a mount namespace of its own, with a shared tmpfs to work in.
pub(crate) fn private_tmp() -> tempfile::TempDir {
    use nix::mount::{MsFlags, mount};
    let none = None::<&str>;
    nix::sched::unshare(nix::sched::CloneFlags::CLONE_NEWNS).expect("unshare mounts");
    mount(none, "/", none, MsFlags::MS_REC | MsFlags::MS_PRIVATE, none)
        .expect("make mounts private");
    let tmp = tempfile::Builder::new()
        .prefix("kogge-runtime-")
        .tempdir()
        .expect("temporary directory");
    mount(
        Some("tmpfs"),
        tmp.path(),
        Some("tmpfs"),
        MsFlags::empty(),
        none,
    )
    .expect("mount tmpfs");
    mount(none, tmp.path(), none, MsFlags::MS_SHARED, none).expect("share tmpfs");
    make_root(&tmp.path().join("busybox"));
    tmp
}

fn make_root(root: &Path) {
    for dir in ["bin", "etc", "tmp", "proc", "sys", "dev", "root"] {
        fs::create_dir_all(root.join(dir)).unwrap();
    }
    fs::copy("/bin/busybox", root.join("bin/busybox")).unwrap();
    for applet in APPLETS {
        symlink("busybox", root.join("bin").join(applet)).unwrap();
    }
    fs::write(
        root.join("etc/passwd"),
        "root:x:0:0:root:/root:/bin/sh\nuser:x:1000:1000::/home/user:/bin/sh\n",
    )
    .unwrap();
    fs::set_permissions(
        root.join("tmp"),
        std::os::unix::fs::PermissionsExt::from_mode(0o1777),
    )
    .unwrap();
}

pub(crate) struct Host {
    pub(crate) dir: PathBuf,
    pub(crate) root: PathBuf,
    pub(crate) group: String,
    next: u32,
    runtime: Option<EmbeddedRuntime>,
}

impl Host {
    pub(crate) fn new(tmp: &Path, name: &str) -> Self {
        let dir = tmp.join(name.replace("::", "-"));
        fs::create_dir(&dir).unwrap();
        Self {
            dir,
            root: tmp.join("busybox"),
            group: format!(
                "/kogge-test-{}/{}",
                std::process::id(),
                name.replace("::", "-")
            ),
            next: 0,
            runtime: None,
        }
    }

    pub(crate) fn state_dir(&self) -> PathBuf {
        self.dir.join("state")
    }

    /// The runtime, opened on first use.
    pub(crate) async fn runtime(&mut self) -> EmbeddedRuntime {
        while self.runtime.is_none() {
            let options = Options {
                state_dir: self.state_dir(),
                ..Options::default()
            };
            match EmbeddedRuntime::open_with(options).await {
                // A task of the runtime before this one still handles an event; an agent that ends has no such tasks.
                Err(runtime::RuntimeError::InUse { .. }) => pause(),
                opened => self.runtime = Some(opened.expect("runtime opens")),
            }
        }
        self.runtime.clone().unwrap()
    }

    /// Forgets the runtime, as if the agent had ended.
    pub(crate) fn close(&mut self) {
        self.runtime = None;
    }

    pub(crate) fn sandbox_config(&mut self) -> SandboxConfig {
        self.next += 1;
        SandboxConfig {
            name: "pod".into(),
            namespace: "default".into(),
            uid: format!("uid-{}", self.next),
            hostname: "pod-host".into(),
            network: Network::Isolated,
            cgroup_parent: format!("{}/pod{}", self.group, self.next),
            labels: [("app".to_owned(), "test".to_owned())].into(),
            ..SandboxConfig::default()
        }
    }

    pub(crate) async fn sandbox(&mut self) -> SandboxId {
        let config = self.sandbox_config();
        self.runtime()
            .await
            .run_sandbox(config)
            .await
            .expect("sandbox runs")
    }

    /// A container that runs a shell script on a fresh overlay over busybox.
    pub(crate) fn shell(&mut self, script: &str) -> ContainerConfig {
        self.next += 1;
        let base = self.dir.join(format!("c{}", self.next));
        for dir in ["upper", "work", "merged"] {
            fs::create_dir_all(base.join(dir)).unwrap();
        }
        ContainerConfig {
            name: format!("c{}", self.next),
            argv: vec!["/bin/sh".into(), "-c".into(), script.into()],
            env: vec![("PATH".into(), "/bin".into())],
            rootfs: RootFs::Overlay {
                lower: vec![self.root.clone()],
                upper: base.join("upper"),
                work: base.join("work"),
                merged: base.join("merged"),
            },
            log_path: Some(base.join("0.log")),
            ..ContainerConfig::default()
        }
    }

    pub(crate) async fn start(
        &mut self,
        sandbox: &SandboxId,
        config: ContainerConfig,
    ) -> ContainerId {
        let runtime = self.runtime().await;
        let id = runtime
            .create_container(sandbox, config)
            .await
            .expect("container is created");
        runtime
            .start_container(&id)
            .await
            .expect("container starts");
        id
    }

    /// Runs a container to its end: its status and what it wrote to stdout.
    pub(crate) async fn run(
        &mut self,
        sandbox: &SandboxId,
        config: ContainerConfig,
    ) -> (ContainerStatus, String) {
        let log = config.log_path.clone().unwrap();
        let id = self.start(sandbox, config).await;
        let status = self.exited(&id).await;
        (status, stdout(&log))
    }

    /// Runs a script in a sandbox of its own.
    pub(crate) async fn run_script(&mut self, script: &str) -> (ContainerStatus, String) {
        let sandbox = self.sandbox().await;
        let config = self.shell(script);
        self.run(&sandbox, config).await
    }

    /// Waits for the end of a container.
    pub(crate) async fn exited(&mut self, id: &ContainerId) -> ContainerStatus {
        let runtime = self.runtime().await;
        let mut events = runtime.events();
        loop {
            let status = runtime.container_status(id).await.unwrap();
            if status.state == ContainerState::Exited {
                return status;
            }
            events.recv().await.unwrap();
        }
    }

    pub(crate) async fn exec(&mut self, id: &ContainerId, script: &str) -> ExecOutput {
        let argv = vec!["/bin/sh".into(), "-c".into(), script.into()];
        self.runtime()
            .await
            .exec_sync(id, argv, Duration::from_secs(20))
            .await
            .expect("command runs")
    }

    /// What a script prints in a container.
    pub(crate) async fn ask(&mut self, id: &ContainerId, script: &str) -> String {
        let output = self.exec(id, script).await;
        assert_eq!(String::from_utf8_lossy(&output.stderr), "", "{script}");
        String::from_utf8(output.stdout).unwrap()
    }

    /// Ends everything; returns what is still there.
    pub(crate) fn clean_up(&mut self) -> Vec<String> {
        self.runtime = None;
        let mut left = Vec::new();
        // The listening tasks let go of the lock within a moment.
        for _ in 0..200 {
            match runtime::purge(&self.state_dir()) {
                Err(runtime::RuntimeError::InUse { .. }) => pause(),
                Err(error) => {
                    left.push(format!("{error:?}"));
                    break;
                }
                Ok(_) => break,
            }
        }
        left.extend(self.leftovers());
        // The tests' own groups above the pods', which a node would keep.
        for group in [self.group.as_str(), self.group.rsplit_once('/').unwrap().0] {
            groups(group).iter().for_each(|g| drop(fs::remove_dir(g)));
        }
        left
    }

    /// Shims, mounts, groups and files of this test that exist now.
    pub(crate) fn leftovers(&self) -> Vec<String> {
        let state = self.state_dir().display().to_string();
        let mut left: Vec<String> = processes(&state)
            .into_iter()
            .map(|p| format!("process {p}"))
            .collect();
        let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap();
        let dir = format!("{}/", self.dir.display());
        left.extend(
            mounts
                .lines()
                .filter(|l| l.contains(&dir))
                .map(|l| format!("mount {l}")),
        );
        let pods = groups(&self.group)
            .into_iter()
            .flat_map(|g| fs::read_dir(g).unwrap().flatten().collect::<Vec<_>>());
        left.extend(
            pods.filter(|e| e.path().is_dir())
                .map(|e| format!("group {}", e.path().display())),
        );
        left.extend(
            fs::read_dir(self.state_dir())
                .into_iter()
                .flatten()
                .flatten()
                .map(|e| format!("file {:?}", e.path())),
        );
        left
    }
}

fn pause() {
    let _ = nix::poll::poll(&mut [], 10u8);
}

/// Processes whose command line has this text.
pub(crate) fn processes(text: &str) -> Vec<i32> {
    let pids = fs::read_dir("/proc")
        .unwrap()
        .flatten()
        .filter_map(|e| e.file_name().to_str()?.parse::<i32>().ok());
    pids.filter(|p| {
        let line = fs::read(format!("/proc/{p}/cmdline")).unwrap_or_default();
        *p != std::process::id().cast_signed() && String::from_utf8_lossy(&line).contains(text)
    })
    .collect()
}

/// Directories of a control group in all hierarchies.
pub(crate) fn groups(path: &str) -> Vec<PathBuf> {
    let hierarchies = fs::read_dir("/sys/fs/cgroup")
        .unwrap()
        .flatten()
        .map(|e| e.path());
    hierarchies
        .chain([PathBuf::from("/sys/fs/cgroup")])
        .map(|h| PathBuf::from(format!("{}{path}", h.display())))
        .filter(|p| p.exists())
        .collect()
}

/// The text of the stdout records of a log.
pub(crate) fn stdout(log: &Path) -> String {
    records(log)
        .into_iter()
        .filter(|r| r.0 == "stdout")
        .map(|r| r.1)
        .collect()
}

/// (stream, text) of each record; full records end in a newline.
pub(crate) fn records(log: &Path) -> Vec<(String, String)> {
    fs::read_to_string(log)
        .unwrap_or_default()
        .lines()
        .map(|line| {
            let mut parts = line.splitn(4, ' ');
            let (_, stream, tag) = (
                parts.next().unwrap(),
                parts.next().unwrap(),
                parts.next().unwrap(),
            );
            let newline = if tag == "F" { "\n" } else { "" };
            (
                stream.to_owned(),
                format!("{}{newline}", parts.next().unwrap_or_default()),
            )
        })
        .collect()
}

/// `Key: value` lines of a proc status file.
pub(crate) fn fields(text: &str) -> BTreeMap<String, String> {
    text.lines()
        .filter_map(|l| l.split_once(':'))
        .map(|(k, v)| (k.to_owned(), v.trim().to_owned()))
        .collect()
}
