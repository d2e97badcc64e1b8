//! Starting, stopping, dying, being found again.

use std::io::Write;
use std::os::unix::net::UnixStream;
use std::time::Duration;

use runtime::{
    ContainerState, EmbeddedRuntime, LogRotation, Resources, Runtime, RuntimeError, RuntimeEvent,
    SandboxState, purge,
};
use tokio::time::Instant;

use crate::host::{Host, groups, processes, records, stdout};

pub(crate) async fn a_program_runs_and_its_output_is_logged(host: &mut Host) {
    let sandbox = host.sandbox().await;
    let config = host.shell("echo out; echo err >&2; printf tail; exit 3");
    let log = config.log_path.clone().unwrap();
    let mut events = host.runtime().await.events();
    let (status, _) = host.run(&sandbox, config).await;
    assert_eq!(
        (
            status.exit_code,
            status.oom_killed,
            status.start_error.clone()
        ),
        (3, false, None)
    );
    assert!(status.created_at <= status.started_at && status.started_at <= status.finished_at);
    let mut records = records(&log);
    records.sort();
    let expected = [
        ("stderr", "err\n"),
        ("stdout", "out\n"),
        ("stdout", "tail\n"),
    ];
    assert_eq!(records, expected.map(|(s, t)| (s.to_owned(), t.to_owned())));
    assert!(matches!(events.recv().await, Ok(RuntimeEvent::Started(s)) if s.id == status.id));
    assert!(matches!(events.recv().await, Ok(RuntimeEvent::Exited(s)) if s == status));
    let killed = host.run_script("kill -9 $$; sleep 9").await.0;
    // The first process of a PID namespace cannot kill itself; it sleeps on and would end with 0.
    assert_eq!(killed.exit_code, 0);
}

pub(crate) async fn a_program_that_cannot_start_says_why(host: &mut Host) {
    let sandbox = host.sandbox().await;
    let runtime = host.runtime().await;
    for (argv, message) in [
        (
            vec!["no-such-program"],
            "exec: \"no-such-program\": executable file not found in $PATH",
        ),
        (
            vec!["/no/such"],
            "exec: \"/no/such\": stat /no/such: no such file or directory",
        ),
        (
            vec!["/etc/passwd"],
            "exec: \"/etc/passwd\": permission denied",
        ),
    ] {
        let mut config = host.shell("");
        config.argv = argv.into_iter().map(str::to_owned).collect();
        let id = runtime.create_container(&sandbox, config).await.unwrap();
        let error = runtime.start_container(&id).await.unwrap_err();
        assert!(
            matches!(&error, RuntimeError::Start(m) if m == message),
            "{error:?}"
        );
        let status = runtime.container_status(&id).await.unwrap();
        assert_eq!(
            (status.state, status.exit_code),
            (ContainerState::Exited, 128)
        );
        assert_eq!(status.start_error.as_deref(), Some(message));
        runtime.remove_container(&id).await.unwrap();
    }
    let mut config = host.shell("true");
    config.devices = vec![runtime::Device {
        host_path: "/dev/no-such".into(),
        container_path: "/dev/x".into(),
        permissions: "rw".into(),
    }];
    let id = runtime.create_container(&sandbox, config).await.unwrap();
    let error = runtime.start_container(&id).await.unwrap_err();
    assert!(error.to_string().contains("/dev/no-such"), "{error}");
    let again = runtime.start_container(&id).await.unwrap_err();
    assert!(matches!(again, RuntimeError::State(_)), "{again:?}");
}

pub(crate) async fn stopping_signals_first_and_kills_after_the_grace(host: &mut Host) {
    let sandbox = host.sandbox().await;
    let runtime = host.runtime().await;
    let second = Duration::from_secs(1);
    for (script, signal, grace, code) in [
        (
            "trap 'exit 5' TERM; echo ready; while :; do sleep 0.05; done",
            None,
            20 * second,
            5,
        ),
        (
            "trap 'exit 6' INT; echo ready; while :; do sleep 0.05; done",
            Some("SIGINT"),
            20 * second,
            6,
        ),
        (
            "trap '' TERM; echo ready; while :; do sleep 0.05; done",
            None,
            second,
            137,
        ),
        ("echo ready; sleep 1000", None, Duration::ZERO, 137),
    ] {
        let config = host.shell(script);
        let log = config.log_path.clone().unwrap();
        let id = host.start(&sandbox, config).await;
        while stdout(&log).is_empty() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        let before = Instant::now();
        runtime.stop_container(&id, grace, signal).await.unwrap();
        let status = runtime.container_status(&id).await.unwrap();
        assert_eq!(
            (status.state, status.exit_code),
            (ContainerState::Exited, code),
            "{script}"
        );
        assert!(
            before.elapsed() < 5 * second,
            "{script} took {:?}",
            before.elapsed()
        );
        assert!(code != 137 || before.elapsed() >= grace);
        runtime.stop_container(&id, grace, signal).await.unwrap();
    }
    let config = host.shell("true");
    let id = runtime.create_container(&sandbox, config).await.unwrap();
    let error = runtime
        .stop_container(&id, second, Some("SIGNOPE"))
        .await
        .unwrap_err();
    assert!(matches!(
        error,
        RuntimeError::Invalid {
            field: "signal",
            ..
        }
    ));
    runtime.stop_container(&id, second, None).await.unwrap();
    assert_eq!(
        runtime.container_status(&id).await.unwrap().state,
        ContainerState::Exited
    );
}

pub(crate) async fn an_oom_kill_is_reported(host: &mut Host) {
    let sandbox = host.sandbox().await;
    let mut config = host.shell("");
    config.argv = ["/bin/dd", "if=/dev/zero", "of=/dev/null", "bs=64M"]
        .map(str::to_owned)
        .to_vec();
    config.resources = Resources {
        memory_limit_bytes: Some(16 << 20),
        ..Resources::default()
    };
    let (status, _) = host.run(&sandbox, config).await;
    assert_eq!((status.exit_code, status.oom_killed), (137, true));
    let (status, _) = host.run_script("true").await;
    assert!(!status.oom_killed);
}

pub(crate) async fn an_oom_kill_of_a_child_is_an_event(host: &mut Host) {
    let sandbox = host.sandbox().await;
    let mut events = host.runtime().await.events();
    let mut config = host.shell("dd if=/dev/zero of=/dev/null bs=64M; echo survived; sleep 1000");
    config.resources = Resources {
        memory_limit_bytes: Some(16 << 20),
        ..Resources::default()
    };
    let id = host.start(&sandbox, config).await;
    loop {
        if let RuntimeEvent::Oom(status) = events.recv().await.unwrap() {
            assert_eq!(
                (status.id, status.state, status.oom_killed),
                (id.clone(), ContainerState::Running, true)
            );
            break;
        }
    }
}

pub(crate) async fn logs_rotate_without_losing_a_line(host: &mut Host) {
    let sandbox = host.sandbox().await;
    let mut config = host.shell("seq 1 20000");
    config.log_rotation = LogRotation {
        max_size_bytes: 64 << 10,
        max_files: 1000,
    };
    let log = config.log_path.clone().unwrap();
    let id = host.start(&sandbox, config).await;
    host.exited(&id).await;
    let mut files: Vec<_> = std::fs::read_dir(log.parent().unwrap())
        .unwrap()
        .map(|e| e.unwrap().path())
        .filter(|p| p.display().to_string().contains("0.log"))
        .collect();
    files.sort();
    assert!(files.len() > 10, "{}", files.len());
    files.rotate_left(1);
    assert!(
        files
            .iter()
            .all(|f| f.metadata().unwrap().len() <= 64 << 10)
    );
    let lines: String = files.iter().map(|f| stdout(f)).collect();
    let expected: String = (1..=20000).map(|n| format!("{n}\n")).collect();
    assert!(lines == expected, "lines are lost, doubled or out of order");

    // The other way: somebody else renames the file and asks for a new one.
    let config = host.shell("echo one; read x < /tmp/go; echo two");
    let log = config.log_path.clone().unwrap();
    let mut config = config;
    config.argv[2] = "echo one; while [ ! -e /tmp/go ]; do sleep 0.02; done; echo two".into();
    let id = host.start(&sandbox, config).await;
    while stdout(&log).is_empty() {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let moved = log.with_file_name("moved");
    std::fs::rename(&log, &moved).unwrap();
    host.runtime().await.reopen_log(&id).await.unwrap();
    host.exec(&id, "touch /tmp/go").await;
    host.exited(&id).await;
    assert_eq!(
        (stdout(&moved), stdout(&log)),
        ("one\n".into(), "two\n".into())
    );
}

pub(crate) async fn limits_can_be_read_and_changed(host: &mut Host) {
    let sandbox = host.sandbox().await;
    let runtime = host.runtime().await;
    let mut config = host.shell("while :; do :; done");
    config.resources = Resources {
        cpu_shares: Some(512),
        cpu_quota_us: Some(50_000),
        cpu_period_us: Some(100_000),
        memory_limit_bytes: Some(64 << 20),
        pids_limit: Some(50),
        ..Resources::default()
    };
    config.oom_score_adj = 321;
    let id = host.start(&sandbox, config).await;
    assert_eq!(
        host.ask(&id, "cat /proc/1/oom_score_adj /proc/self/oom_score_adj")
            .await,
        "321\n321\n"
    );
    tokio::time::sleep(Duration::from_millis(400)).await;
    let stats = runtime.container_stats(&id).await.unwrap();
    assert!(stats.cpu_usage_ns > 50_000_000, "{stats:?}");
    assert!(stats.memory_usage_bytes > 0 && stats.pids >= 1, "{stats:?}");
    let pod = runtime.sandbox_stats(&sandbox).await.unwrap();
    assert!(
        pod.cpu_usage_ns >= stats.cpu_usage_ns && pod.pids >= stats.pids,
        "{pod:?}"
    );
    let change = Resources {
        memory_limit_bytes: Some(32 << 20),
        pids_limit: Some(60),
        ..Resources::default()
    };
    runtime.update_resources(&id, change).await.unwrap();
    let group = runtime.container_status(&id).await.unwrap().cgroup;
    if runtime.cgroups().version() == 1 {
        let read = |c: &str, f: &str| {
            std::fs::read_to_string(format!("/sys/fs/cgroup/{c}{group}/{f}"))
                .unwrap()
                .trim()
                .to_owned()
        };
        assert_eq!(
            read("memory", "memory.limit_in_bytes"),
            (32 << 20).to_string()
        );
        assert_eq!(
            (read("pids", "pids.max"), read("cpu", "cpu.shares")),
            ("60".into(), "512".into())
        );
        assert_eq!(read("cpu", "cpu.cfs_quota_us"), "50000");
    } else {
        println!("skipped: reading back limits needs cgroup v1");
    }
    runtime.remove_container(&id).await.unwrap();
    assert!(groups(&group).is_empty());
    assert!(
        runtime
            .container_status(&id)
            .await
            .unwrap_err()
            .is_not_found()
    );
}

pub(crate) async fn sandboxes_can_be_stopped_and_removed_twice(host: &mut Host) {
    let config = host.sandbox_config();
    let runtime = host.runtime().await;
    let sandbox = runtime.run_sandbox(config.clone()).await.unwrap();
    let script = host.shell("sleep 1000");
    let id = host.start(&sandbox, script).await;
    let status = runtime.sandbox_status(&sandbox).await.unwrap();
    assert_eq!(
        (status.state, status.name, status.labels),
        (SandboxState::Ready, config.name, config.labels)
    );
    for _ in 0..2 {
        runtime.stop_sandbox(&sandbox).await.unwrap();
        assert_eq!(
            runtime.sandbox_status(&sandbox).await.unwrap().state,
            SandboxState::NotReady
        );
    }
    assert_eq!(runtime.container_status(&id).await.unwrap().exit_code, 137);
    let late = host.shell("true");
    assert!(matches!(
        runtime.create_container(&sandbox, late).await,
        Err(RuntimeError::State(_))
    ));
    for _ in 0..2 {
        runtime.remove_sandbox(&sandbox).await.unwrap();
        assert!(runtime.list_sandboxes().await.unwrap().is_empty());
        assert!(runtime.list_containers(None).await.unwrap().is_empty());
    }
    assert!(groups(&config.cgroup_parent).is_empty());
    assert!(processes(&host.state_dir().display().to_string()).is_empty());
    assert_eq!(
        std::fs::read_dir(host.state_dir().join("sandboxes"))
            .unwrap()
            .count(),
        0
    );
    let bad = runtime::SandboxConfig {
        network: runtime::Network::Path("/no/such/netns".into()),
        ..host.sandbox_config()
    };
    let error = runtime.run_sandbox(bad).await.unwrap_err();
    assert!(error.to_string().contains("/no/such/netns"), "{error}");
    assert_eq!(
        std::fs::read_dir(host.state_dir().join("sandboxes"))
            .unwrap()
            .count(),
        0
    );
}

pub(crate) async fn containers_survive_the_agent(host: &mut Host) {
    let sandbox = host.sandbox().await;
    let stays = host.shell("while :; do sleep 0.05; done");
    let stays = host.start(&sandbox, stays).await;
    let ends = host.shell("while [ ! -e /tmp/go ]; do sleep 0.02; done; echo bye; exit 9");
    let log = ends.log_path.clone().unwrap();
    let ends = host.start(&sandbox, ends).await;
    let pid = host
        .runtime()
        .await
        .container_status(&stays)
        .await
        .unwrap()
        .pid;
    // Ends once the agent is away.
    host.exec(&ends, "(sleep 0.3; touch /tmp/go) > /dev/null 2>&1 &")
        .await;
    host.close();
    tokio::time::sleep(Duration::from_millis(700)).await;
    let runtime = host.runtime().await;
    let listed = runtime.list_containers(Some(&sandbox)).await.unwrap();
    assert_eq!(listed.len(), 2);
    let status = runtime.container_status(&ends).await.unwrap();
    assert_eq!(
        (status.state, status.exit_code, stdout(&log)),
        (ContainerState::Exited, 9, "bye\n".into())
    );
    let status = runtime.container_status(&stays).await.unwrap();
    assert_eq!((status.state, status.pid), (ContainerState::Running, pid));
    assert_eq!(host.ask(&stays, "echo hello").await, "hello\n");
    let mut events = runtime.events();
    runtime
        .stop_container(&stays, Duration::ZERO, None)
        .await
        .unwrap();
    assert!(matches!(events.recv().await, Ok(RuntimeEvent::Exited(s)) if s.id == stays));
}

pub(crate) async fn a_killed_shim_takes_its_containers_along(host: &mut Host) {
    let config = host.sandbox_config();
    let runtime = host.runtime().await;
    let sandbox = runtime.run_sandbox(config.clone()).await.unwrap();
    let mut daemon = host.shell("sleep 1000 & sleep 1000");
    // Such a process would outlive its shim, were it not for its group.
    daemon.privileged = true;
    let id = host.start(&sandbox, daemon).await;
    let done = host.shell("exit 4");
    let (done, _) = host.run(&sandbox, done).await;
    let pid = runtime.container_status(&id).await.unwrap().pid.unwrap();
    let mut events = runtime.events();
    let shims = processes(&host.state_dir().display().to_string());
    assert_eq!(shims.len(), 1);
    nix::sys::signal::kill(
        nix::unistd::Pid::from_raw(shims[0]),
        nix::sys::signal::Signal::SIGKILL,
    )
    .unwrap();
    let Ok(RuntimeEvent::Exited(status)) = events.recv().await else {
        panic!("exit expected")
    };
    assert_eq!((status.id.clone(), status.exit_code), (id.clone(), 137));
    assert!(matches!(events.recv().await, Ok(RuntimeEvent::SandboxStopped(s)) if s == sandbox));
    assert_eq!(
        runtime.sandbox_status(&sandbox).await.unwrap().state,
        SandboxState::NotReady
    );
    assert_eq!(
        runtime.container_status(&done.id).await.unwrap().exit_code,
        4
    );
    // Out of its group it may still be on its way out, and then wait for init to reap it.
    let stat = || std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    while !stat().is_empty() && !stat().contains(") Z ") {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    assert!(groups(&status.cgroup).is_empty());
    runtime
        .stop_container(&id, Duration::from_secs(1), None)
        .await
        .unwrap();
    runtime.stop_sandbox(&sandbox).await.unwrap();
    runtime.remove_container(&id).await.unwrap();
    runtime.remove_sandbox(&sandbox).await.unwrap();
    assert!(groups(&config.cgroup_parent).is_empty());
}

pub(crate) async fn a_shim_that_died_unseen_is_noticed_on_opening(host: &mut Host) {
    let sandbox = host.sandbox().await;
    let sleeper = host.shell("sleep 1000");
    let id = host.start(&sandbox, sleeper).await;
    let shims = processes(&host.state_dir().display().to_string());
    host.close();
    nix::sys::signal::kill(
        nix::unistd::Pid::from_raw(shims[0]),
        nix::sys::signal::Signal::SIGKILL,
    )
    .unwrap();
    for _ in 0..2 {
        let runtime = host.runtime().await;
        let status = runtime.container_status(&id).await.unwrap();
        assert_eq!(
            (status.state, status.exit_code),
            (ContainerState::Exited, 137)
        );
        assert_eq!(
            runtime.sandbox_status(&sandbox).await.unwrap().state,
            SandboxState::NotReady
        );
        drop(runtime);
        host.close();
    }
    // A directory whose sandbox never came to life goes away.
    let orphan = host.state_dir().join("sandboxes/0123");
    std::fs::create_dir(&orphan).unwrap();
    host.runtime().await;
    assert!(!orphan.exists());
}

pub(crate) async fn purging_leaves_nothing(host: &mut Host) {
    for share in [false, true] {
        let mut config = host.sandbox_config();
        config.share_process_namespace = share;
        let sandbox = host.runtime().await.run_sandbox(config).await.unwrap();
        for _ in 0..2 {
            let script = host.shell("mkdir /sys/fs/cgroup/memory/nested; sleep 1000 & sleep 1000");
            let config = runtime::ContainerConfig {
                privileged: true,
                ..script
            };
            host.start(&sandbox, config).await;
        }
    }
    let in_use = purge(&host.state_dir());
    assert!(
        matches!(in_use, Err(RuntimeError::InUse { .. })),
        "{in_use:?}"
    );
    host.close();
    assert!(!host.leftovers().is_empty(), "pods go on without the agent");
    let purged = loop {
        match purge(&host.state_dir()) {
            // A task of the closed runtime still handles an event; an agent that ends has no such tasks.
            Err(RuntimeError::InUse { .. }) => tokio::time::sleep(Duration::from_millis(5)).await,
            purged => break purged.unwrap(),
        }
    };
    assert_eq!(purged.sandboxes, 2);
    assert_eq!(host.leftovers(), Vec::<String>::new());
    assert!(
        groups(host.group.rsplit_once('/').unwrap().0).is_empty(),
        "empty parents go too"
    );
    assert_eq!(purge(&host.state_dir()).unwrap().sandboxes, 0);
    assert_eq!(purge(&host.dir.join("never-was")).unwrap().sandboxes, 0);
}

pub(crate) async fn a_state_directory_has_one_user(host: &mut Host) {
    host.runtime().await;
    match EmbeddedRuntime::open(&host.state_dir()).await {
        Err(RuntimeError::InUse { pid, .. }) => assert_eq!(pid, std::process::id().to_string()),
        other => panic!("{:?}", other.err()),
    }
}

pub(crate) async fn the_binary_is_out_of_a_containers_reach(host: &mut Host) {
    host.sandbox().await;
    let shims = processes(&host.state_dir().display().to_string());
    let line = std::fs::read(format!("/proc/{}/cmdline", shims[0])).unwrap();
    assert!(
        line.ends_with(b"\0sealed\0"),
        "{}",
        String::from_utf8_lossy(&line)
    );
    // While it runs it is busy anyway; once it does not, this is what keeps it from being written.
    let exe = format!("/proc/{}/exe", shims[0]);
    let flags = nix::sys::statvfs::statvfs(exe.as_str()).unwrap().flags();
    assert!(
        flags.contains(nix::sys::statvfs::FsFlags::ST_RDONLY),
        "{flags:?}"
    );
    assert!(std::fs::OpenOptions::new().write(true).open(&exe).is_err());
}

pub(crate) async fn nonsense_on_the_socket_harms_nobody(host: &mut Host) {
    let sandbox = host.sandbox().await;
    let sleeper = host.shell("sleep 1000");
    let id = host.start(&sandbox, sleeper).await;
    let dir = std::fs::File::open(host.state_dir().join("sandboxes").join(&sandbox.0)).unwrap();
    let name = format!(
        "/proc/self/fd/{}/shim.sock",
        std::os::fd::AsRawFd::as_raw_fd(&dir)
    );
    for bytes in [
        &b"GET / HTTP/1.1\r\n\r\n"[..],
        &[0xff; 64],
        &[4, 0, 0, 0, b'n', b'u', b'l', b'l'],
        &[],
    ] {
        let mut stream = UnixStream::connect(&name).unwrap();
        stream.write_all(bytes).unwrap();
    }
    let version = br#"{"version":99,"request":"sockets"}"#;
    let mut stream = UnixStream::connect(&name).unwrap();
    stream
        .write_all(
            &[
                &u32::try_from(version.len()).unwrap().to_le_bytes()[..],
                version,
            ]
            .concat(),
        )
        .unwrap();
    let mut answer = [0; 256];
    let n = std::io::Read::read(&mut stream, &mut answer).unwrap();
    assert!(String::from_utf8_lossy(&answer[..n]).contains("protocol 1, not 99"));
    assert_eq!(host.ask(&id, "echo fine").await, "fine\n");
    let mode = std::os::unix::fs::PermissionsExt::mode(
        &std::fs::metadata(host.state_dir()).unwrap().permissions(),
    );
    assert_eq!(mode & 0o777, 0o700, "nobody else reaches the socket");
}

pub(crate) async fn many_containers_run_at_once(host: &mut Host) {
    let sandbox = host.sandbox().await;
    let runtime = host.runtime().await;
    let configs: Vec<_> = (0..30)
        .map(|i| host.shell(&format!("echo {i}; exit {i}")))
        .collect();
    let logs: Vec<_> = configs
        .iter()
        .map(|c| c.log_path.clone().unwrap())
        .collect();
    let started = futures::future::join_all(configs.into_iter().map(|config| async {
        let id = runtime.create_container(&sandbox, config).await.unwrap();
        runtime.start_container(&id).await.unwrap();
        id
    }))
    .await;
    for (i, id) in started.iter().enumerate() {
        let status = host.exited(id).await;
        assert_eq!(
            (status.exit_code, stdout(&logs[i])),
            (i32::try_from(i).unwrap(), format!("{i}\n"))
        );
    }
    let commands = host.shell("sleep 1000");
    let id = host.start(&sandbox, commands).await;
    let outputs = futures::future::join_all((0..30).map(|i| {
        let argv = vec![
            "/bin/sh".to_owned(),
            "-c".to_owned(),
            format!("echo {i}; exit {i}"),
        ];
        runtime.exec_sync(&id, argv, Duration::from_secs(20))
    }))
    .await;
    for (i, output) in outputs.into_iter().enumerate() {
        let output = output.unwrap();
        assert_eq!(
            (output.exit_code, output.stdout),
            (i32::try_from(i).unwrap(), format!("{i}\n").into_bytes())
        );
    }
}

pub(crate) async fn starting_is_fast(host: &mut Host) {
    let runtime = host.runtime().await;
    let (mut sandboxes, mut containers, mut commands) = (Vec::new(), Vec::new(), Vec::new());
    let mut memory = 0;
    for _ in 0..20 {
        let (config, script) = (host.sandbox_config(), host.shell("sleep 1000"));
        let begun = Instant::now();
        let sandbox = runtime.run_sandbox(config).await.unwrap();
        sandboxes.push(begun.elapsed());
        let begun = Instant::now();
        let id = runtime.create_container(&sandbox, script).await.unwrap();
        runtime.start_container(&id).await.unwrap();
        containers.push(begun.elapsed());
        let begun = Instant::now();
        runtime
            .exec_sync(&id, vec!["/bin/true".into()], Duration::ZERO)
            .await
            .unwrap();
        commands.push(begun.elapsed());
        let shim = processes(&sandbox.0)[0];
        let status = std::fs::read_to_string(format!("/proc/{shim}/status")).unwrap();
        memory = crate::host::fields(&status)["VmRSS"]
            .trim_end_matches(" kB")
            .parse::<u64>()
            .unwrap();
        runtime.remove_sandbox(&sandbox).await.unwrap();
    }
    let median = |times: &mut Vec<Duration>| {
        times.sort();
        times[times.len() / 2]
    };
    let (sandbox, container, command) = (
        median(&mut sandboxes),
        median(&mut containers),
        median(&mut commands),
    );
    println!(
        "medians: sandbox {sandbox:?}, create and start {container:?}, exec_sync {command:?}; shim {memory} kB resident"
    );
    assert!(
        sandbox + container < Duration::from_millis(150),
        "a pod must start in less"
    );
}
