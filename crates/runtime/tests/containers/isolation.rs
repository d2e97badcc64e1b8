//! What containers can see and do.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::time::Duration;

use runtime::{
    ContainerConfig, Mount, Network, Propagation, Runtime, SandboxConfig, SeccompProfile, User,
};

use crate::host::{Host, fields};

fn mount(from: &Path, to: &str) -> Mount {
    Mount {
        host_path: from.to_owned(),
        container_path: to.into(),
        read_only: false,
        propagation: Propagation::None,
    }
}

pub(crate) async fn identity_and_environment_are_as_configured(host: &mut Host) {
    let sandbox = host.sandbox().await;
    let config = ContainerConfig {
        user: User { uid: 1000, gid: 1001, groups: vec![2000, 3000] },
        env: vec![("PATH".into(), "/bin".into()), ("A".into(), "x y".into())],
        cwd: "/made/for/it".into(),
        ..host.shell("id -u; id -g; id -G; env | sort; pwd; hostname; cat /proc/self/cgroup | head -1 > /dev/null; umask")
    };
    let (status, out) = host.run(&sandbox, config).await;
    assert_eq!(status.exit_code, 0, "{out}");
    let expected = "1000\n1001\n1001 2000 3000\nA=x y\nHOME=/home/user\nHOSTNAME=pod-host\nPATH=/bin\nPWD=/made/for/it\nSHLVL=1\n/made/for/it\npod-host\n0022\n";
    assert_eq!(out, expected);
    // Nothing of the shim is left in the program.
    let mut config = host.shell("");
    config.argv = ["/bin/ls", "-l", "/proc/self/fd"]
        .map(str::to_owned)
        .to_vec();
    let (_, out) = host.run(&sandbox, config).await;
    assert_eq!(
        out.lines().filter(|l| l.contains("->")).count(),
        3,
        "standard streams only: {out}"
    );
    assert!(out.contains("0 -> /dev/null"), "{out}");
    let mut config = host.shell("");
    config.argv = ["/bin/cat", "/proc/self/status"]
        .map(str::to_owned)
        .to_vec();
    let (_, out) = host.run(&sandbox, config).await;
    let status = fields(&out);
    for set in ["SigBlk", "SigIgn"] {
        assert_eq!(status[set], "0000000000000000", "{set}");
    }
}

pub(crate) async fn capabilities_seccomp_and_no_new_privs_hold(host: &mut Host) {
    let sandbox = host.sandbox().await;
    type Change = fn(&mut ContainerConfig);
    let rows: [(&str, Change, &str, &str, &str, &str); 6] = [
        (
            "default",
            |_| (),
            "00000000a80425fb",
            "00000000a80425fb",
            "0",
            "0",
        ),
        (
            "filtered",
            |c| c.seccomp = SeccompProfile::RuntimeDefault,
            "00000000a80425fb",
            "00000000a80425fb",
            "2",
            "0",
        ),
        (
            "restricted",
            |c| {
                c.seccomp = SeccompProfile::RuntimeDefault;
                c.no_new_privs = true;
                c.capabilities_drop = vec!["ALL".into()];
                c.user.uid = 1000;
            },
            "0000000000000000",
            "0000000000000000",
            "2",
            "1",
        ),
        (
            "one",
            |c| {
                c.capabilities_drop = vec!["ALL".into()];
                c.capabilities_add = vec!["NET_BIND_SERVICE".into()];
            },
            "0000000000000400",
            "0000000000000400",
            "0",
            "0",
        ),
        (
            "user",
            |c| c.user.uid = 1000,
            "0000000000000000",
            "00000000a80425fb",
            "0",
            "0",
        ),
        (
            "user filtered",
            |c| {
                c.user.uid = 1000;
                c.seccomp = SeccompProfile::RuntimeDefault;
            },
            "0000000000000000",
            "00000000a80425fb",
            "2",
            "0",
        ),
    ];
    for (name, change, effective, bounding, seccomp, nnp) in rows {
        let mut config = host.shell("cat /proc/self/status");
        change(&mut config);
        let (status, out) = host.run(&sandbox, config).await;
        assert_eq!(status.exit_code, 0, "{name}: {out}");
        let f = fields(&out);
        assert_eq!(
            (
                f["CapEff"].as_str(),
                f["CapPrm"].as_str(),
                f["CapBnd"].as_str()
            ),
            (effective, effective, bounding),
            "{name}"
        );
        assert_eq!(
            (f["CapInh"].as_str(), f["CapAmb"].as_str()),
            ("0000000000000000", "0000000000000000"),
            "{name}"
        );
        assert_eq!(
            (f["Seccomp"].as_str(), f["NoNewPrivs"].as_str()),
            (seccomp, nnp),
            "{name}"
        );
    }
    let config = ContainerConfig {
        seccomp: SeccompProfile::RuntimeDefault,
        ..host.shell("unshare -U true 2>&1; mount -t tmpfs x /tmp 2>&1; echo $?")
    };
    let (_, out) = host.run(&sandbox, config).await;
    assert_eq!(
        out.matches("Operation not permitted").count() + out.matches("permission denied").count(),
        2,
        "{out}"
    );
}

pub(crate) async fn commands_are_confined_like_their_container(host: &mut Host) {
    let sandbox = host.sandbox().await;
    let config = ContainerConfig {
        seccomp: SeccompProfile::RuntimeDefault,
        no_new_privs: true,
        capabilities_drop: vec!["ALL".into()],
        user: User {
            uid: 1000,
            gid: 1000,
            groups: vec![5000],
        },
        cwd: "/tmp".into(),
        env: vec![("PATH".into(), "/bin".into()), ("A".into(), "b".into())],
        ..host.shell("sleep 1000")
    };
    let id = host.start(&sandbox, config).await;
    let f = fields(&host.ask(&id, "cat /proc/self/status").await);
    assert_eq!(
        (
            f["Seccomp"].as_str(),
            f["NoNewPrivs"].as_str(),
            f["CapBnd"].as_str()
        ),
        ("2", "1", "0000000000000000")
    );
    assert_eq!(
        host.ask(&id, "id -u; id -G; pwd; echo $A $HOME").await,
        "1000\n1000 5000\n/tmp\nb /home/user\n"
    );
    let same = host.ask(&id, "for n in ipc mnt net pid uts; do [ $(readlink /proc/1/ns/$n) = $(readlink /proc/self/ns/$n) ] || echo $n; done").await;
    assert_eq!(same, "");
    let runtime = host.runtime().await;
    let groups = host.ask(&id, "cat /proc/1/cgroup > /tmp/a; cat /proc/self/cgroup > /tmp/b; sort /tmp/a > /tmp/c; sort /tmp/b | while read l; do grep -q -x \"$l\" /tmp/c || echo $l; done").await;
    assert_eq!(groups, "", "a command joins its container's groups");
    let version = runtime.version().await.unwrap();
    assert_eq!(version.runtime_name, "kogge");
}

pub(crate) async fn a_read_only_root_is_read_only(host: &mut Host) {
    let sandbox = host.sandbox().await;
    let volume = host.dir.join("volume");
    fs::create_dir(&volume).unwrap();
    let config = ContainerConfig {
        read_only_rootfs: true,
        mounts: vec![mount(&volume, "/data")],
        ..host.shell("touch /x 2>&1; touch /bin/x 2>&1; touch /data/x /dev/shm/x && echo writable")
    };
    let (_, out) = host.run(&sandbox, config).await;
    assert_eq!(out.matches("Read-only file system").count(), 2, "{out}");
    assert!(out.ends_with("writable\n"), "{out}");
    assert!(volume.join("x").exists());
}

pub(crate) async fn kernel_files_are_masked_and_protected(host: &mut Host) {
    let sandbox = host.sandbox().await;
    let script = "ls /sys/firmware | wc -l; wc -c < /proc/interrupts
        for f in /proc/sys/kernel/panic /sys/kernel/profiling; do (echo 1 > $f) 2>&1; done
        touch /sys/fs/cgroup/x 2>&1; mkdir /sys/fs/cgroup/memory/x 2>&1; ls /dev | sort | tr '\\n' ' '
        dd if=/dev/mem of=/dev/null count=1 2>&1; mknod /tmp/kmsg c 1 11 && cat /tmp/kmsg 2>&1 | head -1";
    let config = host.shell(script);
    let (_, out) = host.run(&sandbox, config).await;
    assert!(out.starts_with("0\n0\n"), "{out}");
    assert_eq!(out.matches("Read-only file system").count(), 4, "{out}");
    assert!(
        out.contains(
            "core fd full mqueue null ptmx pts random shm stderr stdin stdout tty urandom zero"
        ),
        "{out}"
    );
    assert!(out.contains("can't open '/dev/mem'"), "{out}");
    assert!(
        out.contains("Operation not permitted"),
        "devices are denied even to who makes a node: {out}"
    );
    let config = ContainerConfig {
        masked_paths: Some(Vec::new()),
        readonly_paths: Some(Vec::new()),
        ..host.shell("wc -c < /proc/interrupts; [ -w /proc/sys/kernel/panic ] && echo writable")
    };
    let (_, out) = host.run(&sandbox, config).await;
    assert!(
        !out.starts_with("0\n") && out.ends_with("writable\n"),
        "an unmasked /proc: {out}"
    );
}

pub(crate) async fn volumes_are_mounted_as_configured(host: &mut Host) {
    let mut sandbox = host.sandbox_config();
    sandbox.resolv_conf = Some("nameserver 10.96.0.10\n".into());
    let sandbox = host.runtime().await.run_sandbox(sandbox).await.unwrap();
    let (volume, inner, file, missing) = (
        host.dir.join("v"),
        host.dir.join("v/inner"),
        host.dir.join("hosts"),
        host.dir.join("made"),
    );
    fs::create_dir_all(&inner).unwrap();
    fs::write(&file, "127.0.0.1 localhost\n").unwrap();
    nix::mount::mount(
        Some("tmpfs"),
        &inner,
        Some("tmpfs"),
        nix::mount::MsFlags::empty(),
        None::<&str>,
    )
    .unwrap();
    fs::write(inner.join("deep"), "deep\n").unwrap();
    let config = ContainerConfig {
        mounts: vec![
            Mount { read_only: true, ..mount(&volume, "/ro") },
            mount(&volume, "/rw"),
            mount(&host.dir.join("c-nested"), "/rw/below/it"),
            mount(&file, "/etc/hosts"),
            mount(&missing, "/made"),
            mount(&file, "/dev/termination-log"),
        ],
        ..host.shell("cat /etc/hosts /etc/resolv.conf /ro/inner/deep /dev/termination-log; touch /ro/x /ro/inner/x 2>&1; touch /rw/x /rw/inner/y /made/z /rw/below/it/w; ls /rw")
    };
    let (status, out) = host.run(&sandbox, config).await;
    nix::mount::umount2(&inner, nix::mount::MntFlags::MNT_DETACH).unwrap();
    assert_eq!(status.exit_code, 0, "{out}");
    assert!(
        out.starts_with("127.0.0.1 localhost\nnameserver 10.96.0.10\ndeep\n127.0.0.1 localhost\n"),
        "{out}"
    );
    assert_eq!(
        out.matches("Read-only file system").count(),
        2,
        "also below: {out}"
    );
    assert!(
        volume.join("x").exists()
            && missing.join("z").exists()
            && host.dir.join("c-nested/w").exists()
    );
}

pub(crate) async fn propagation_is_as_configured(host: &mut Host) {
    let sandbox = host.sandbox().await;
    let volume = host.dir.join("v");
    fs::create_dir_all(volume.join("from-host")).unwrap();
    fs::create_dir_all(volume.join("from-pod")).unwrap();
    let with = |propagation| Mount {
        propagation,
        ..mount(&volume, "/v")
    };
    let mut ids = Vec::new();
    for propagation in [
        Propagation::None,
        Propagation::HostToContainer,
        Propagation::Bidirectional,
    ] {
        let config = ContainerConfig {
            privileged: true,
            mounts: vec![with(propagation)],
            ..host.shell("sleep 1000")
        };
        ids.push(host.start(&sandbox, config).await);
    }
    nix::mount::mount(
        Some("tmpfs"),
        &volume.join("from-host"),
        Some("tmpfs"),
        nix::mount::MsFlags::empty(),
        None::<&str>,
    )
    .unwrap();
    fs::write(volume.join("from-host/x"), "").unwrap();
    let mut seen = Vec::new();
    for id in &ids {
        seen.push(host.ask(id, "ls /v/from-host").await);
    }
    host.ask(
        &ids[1],
        "mount -t tmpfs x /v/from-pod; touch /v/from-pod/slave",
    )
    .await;
    let after_slave = fs::read_dir(volume.join("from-pod")).unwrap().count();
    host.ask(
        &ids[2],
        "mount -t tmpfs x /v/from-pod; touch /v/from-pod/peer",
    )
    .await;
    let after_peer = volume.join("from-pod/peer").exists();
    for dir in ["from-pod", "from-host"] {
        let _ = nix::mount::umount2(&volume.join(dir), nix::mount::MntFlags::MNT_DETACH);
    }
    assert_eq!(seen, ["", "x\n", "x\n"]);
    assert_eq!((after_slave, after_peer), (0, true));
    // /proc was made private when this process left the host's mounts.
    let config = ContainerConfig {
        mounts: vec![Mount {
            propagation: Propagation::Bidirectional,
            ..mount(Path::new("/usr"), "/v")
        }],
        ..host.shell("true")
    };
    let runtime = host.runtime().await;
    let id = runtime.create_container(&sandbox, config).await.unwrap();
    let error = runtime.start_container(&id).await.unwrap_err().to_string();
    assert!(error.contains("not on a shared mount"), "{error}");
}

pub(crate) async fn containers_of_a_pod_share_what_they_should(host: &mut Host) {
    let mut config = host.sandbox_config();
    config.sysctls = [
        ("kernel.shm_rmid_forced".to_owned(), "1".to_owned()),
        ("net.ipv4.ip_default_ttl".to_owned(), "99".to_owned()),
    ]
    .into();
    let sandbox = host.runtime().await.run_sandbox(config).await.unwrap();
    let (a, b) = (host.shell("sleep 1000"), host.shell("sleep 1000"));
    let (a, b) = (host.start(&sandbox, a).await, host.start(&sandbox, b).await);
    host.ask(&a, "echo shared > /dev/shm/x").await;
    assert_eq!(
        host.ask(
            &b,
            "cat /dev/shm/x; cat /proc/sys/kernel/shm_rmid_forced /proc/sys/net/ipv4/ip_default_ttl"
        )
        .await,
        "shared\n1\n99\n"
    );
    let spaces = "for n in ipc net uts pid mnt; do readlink /proc/self/ns/$n; done";
    let (of_a, of_b) = (host.ask(&a, spaces).await, host.ask(&b, spaces).await);
    let same: Vec<bool> = of_a
        .lines()
        .zip(of_b.lines())
        .map(|(x, y)| x == y)
        .collect();
    assert_eq!(same, [true, true, true, false, false]);
    for space in ["ipc", "net", "uts", "pid", "mnt"] {
        let of_host = fs::read_link(format!("/proc/self/ns/{space}"))
            .unwrap()
            .display()
            .to_string();
        assert!(!of_a.contains(&of_host), "{space} is the host's");
    }
    assert_eq!(
        host.ask(
            &a,
            "ps -o comm | grep -c '^sleep'; hostname; ifconfig lo | grep -c UP"
        )
        .await,
        "1\npod-host\n1\n",
        "its own processes only"
    );
    assert_eq!(
        host.ask(&a, "cat /proc/sys/net/ipv4/ip_unprivileged_port_start")
            .await,
        "0\n"
    );
    let other = host.sandbox().await;
    let c = host.shell("ls /dev/shm | wc -l");
    assert_eq!(
        host.run(&other, c).await.1,
        "0\n",
        "another pod has its own"
    );
}

pub(crate) async fn a_shared_pid_namespace_reaps_and_hides_the_host(host: &mut Host) {
    let config = SandboxConfig {
        share_process_namespace: true,
        ..host.sandbox_config()
    };
    let sandbox = host.runtime().await.run_sandbox(config).await.unwrap();
    let a = host.shell("sleep 1111");
    let a = host.start(&sandbox, a).await;
    // With every capability, so that only the pause process's own emptiness protects the host.
    let b = ContainerConfig {
        capabilities_add: vec!["ALL".into()],
        ..host.shell("(sleep 0.1 & ) ; sleep 1000")
    };
    let b = host.start(&sandbox, b).await;
    let seen = host.ask(&b, "ps -o args | grep -c '^sleep 1111'; cat /proc/1/comm; ls /proc/1/root | wc -l; grep Uid /proc/1/status").await;
    assert!(seen.starts_with("1\npause\n0\nUid:\t65535"), "{seen}");
    tokio::time::sleep(Duration::from_millis(400)).await;
    assert_eq!(
        host.ask(&b, "ps -o stat,comm | grep -c '^Z' || true").await,
        "0\n",
        "orphans are reaped"
    );
    // Its first process is not the namespace's, yet nothing of a container outlives it.
    let c = host.shell("sleep 2222 & sleep 0.2; exit 0");
    let (status, _) = host.run(&sandbox, c).await;
    assert_eq!(status.exit_code, 0);
    assert_eq!(
        host.ask(&b, "ps -o args | grep -c '^sleep 2222' || true")
            .await,
        "0\n"
    );
    let runtime = host.runtime().await;
    runtime
        .stop_container(&a, Duration::from_secs(5), None)
        .await
        .unwrap();
    assert_eq!(
        runtime.container_status(&a).await.unwrap().exit_code,
        143,
        "not process 1, so TERM ends it"
    );
    let pids = SandboxConfig {
        host_pid: true,
        ..host.sandbox_config()
    };
    let sandbox = runtime.run_sandbox(pids).await.unwrap();
    let d = host.shell("readlink /proc/self/ns/pid");
    let of_host = fs::read_link("/proc/self/ns/pid")
        .unwrap()
        .display()
        .to_string();
    assert_eq!(host.run(&sandbox, d).await.1.trim(), of_host);
}

pub(crate) async fn a_privileged_container_may_do_everything(host: &mut Host) {
    let sandbox = host.sandbox().await;
    let script = "grep -E 'CapEff|Seccomp:' /proc/self/status; mount -t tmpfs x /tmp && echo mounted; ls /dev | wc -l
        [ -w /sys/kernel/profiling ] && touch /sys/fs/cgroup 2>&1; mkdir /sys/fs/cgroup/memory/x 2>/dev/null || mkdir /sys/fs/cgroup/x; echo $?; wc -c < /proc/interrupts; head -c 1 /dev/kmsg | wc -c";
    let config = ContainerConfig {
        privileged: true,
        seccomp: SeccompProfile::RuntimeDefault,
        ..host.shell(script)
    };
    let (_, out) = host.run(&sandbox, config).await;
    let lines: Vec<_> = out.lines().collect();
    let own = fs::read_to_string("/proc/self/status").unwrap();
    let all = format!("CapEff:\t{}", fields(&own)["CapPrm"]);
    assert_eq!(
        lines[..3],
        [all.as_str(), "Seccomp:\t0", "mounted"],
        "{out}"
    );
    assert!(lines[3].parse::<u32>().unwrap() > 20, "{out}");
    assert!(lines.contains(&"0") && !out.contains("Read-only"), "{out}");
}

pub(crate) async fn the_host_network_is_the_hosts(host: &mut Host) {
    let config = SandboxConfig {
        network: Network::Host,
        host_ipc: true,
        ..host.sandbox_config()
    };
    let sandbox = host.runtime().await.run_sandbox(config).await.unwrap();
    let script = host.shell("for n in net uts ipc; do readlink /proc/self/ns/$n; done");
    let (_, out) = host.run(&sandbox, script).await;
    let of_host = ["net", "uts", "ipc"].map(|n| {
        fs::read_link(format!("/proc/self/ns/{n}"))
            .unwrap()
            .display()
            .to_string()
    });
    assert_eq!(out.lines().collect::<Vec<_>>(), of_host);
}

pub(crate) async fn a_given_network_namespace_is_joined(host: &mut Host) {
    let pinned = host.dir.join("netns");
    fs::write(&pinned, "").unwrap();
    let target = pinned.clone();
    let expected = std::thread::spawn(move || {
        nix::sched::unshare(nix::sched::CloneFlags::CLONE_NEWNET).unwrap();
        let own = format!("/proc/self/task/{}/ns/net", nix::unistd::gettid());
        nix::mount::mount(
            Some(own.as_str()),
            &target,
            None::<&str>,
            nix::mount::MsFlags::MS_BIND,
            None::<&str>,
        )
        .unwrap();
        fs::read_link(own).unwrap().display().to_string()
    })
    .join()
    .unwrap();
    let config = SandboxConfig {
        network: Network::Path(pinned.clone()),
        ..host.sandbox_config()
    };
    let runtime = host.runtime().await;
    let sandbox = runtime.run_sandbox(config).await.unwrap();
    let script =
        host.shell("readlink /proc/self/ns/net; ping -c 1 127.0.0.1 > /dev/null && echo up");
    let (_, out) = host.run(&sandbox, script).await;
    runtime.remove_sandbox(&sandbox).await.unwrap();
    nix::mount::umount2(&pinned, nix::mount::MntFlags::MNT_DETACH).unwrap();
    assert_eq!(out, format!("{expected}\nup\n"));
}

pub(crate) async fn a_localhost_profile_is_enforced(host: &mut Host) {
    let sandbox = host.sandbox().await;
    let path = host.dir.join("profile.json");
    fs::write(&path, r#"{"defaultAction":"SCMP_ACT_ALLOW","syscalls":[{"names":["mkdir","mkdirat"],"action":"SCMP_ACT_ERRNO","errnoRet":13}]}"#).unwrap();
    let config = ContainerConfig {
        seccomp: SeccompProfile::Localhost(path),
        ..host.shell("mkdir /tmp/x 2>&1; touch /tmp/y && echo fine")
    };
    let (_, out) = host.run(&sandbox, config).await;
    assert!(
        out.contains("Permission denied") && out.ends_with("fine\n"),
        "{out}"
    );
    let config = ContainerConfig {
        seccomp: SeccompProfile::Localhost(host.dir.join("none.json")),
        ..host.shell("true")
    };
    let error = host
        .runtime()
        .await
        .create_container(&sandbox, config)
        .await
        .unwrap_err()
        .to_string();
    assert!(error.contains("none.json"), "{error}");
}

pub(crate) async fn links_in_an_image_do_not_lead_out(host: &mut Host) {
    let sandbox = host.sandbox().await;
    let outside = host.dir.join("outside");
    fs::create_dir(&outside).unwrap();
    let volume = host.dir.join("volume");
    fs::create_dir(&volume).unwrap();
    fs::write(volume.join("mine"), "").unwrap();
    let evil = host.dir.join("evil");
    fs::create_dir(&evil).unwrap();
    symlink(&outside, evil.join("data")).unwrap();
    symlink("../../../../../../../../tmp", evil.join("up")).unwrap();
    symlink("/etc", evil.join("proc")).unwrap();
    let mut config = host.shell("ls /data; cat /proc/self/comm");
    config.mounts = vec![mount(&volume, "/data/sub"), mount(&volume, "/up/sub")];
    if let runtime::RootFs::Overlay { lower, .. } = &mut config.rootfs {
        lower.insert(0, evil);
    }
    let runtime = host.runtime().await;
    let id = runtime.create_container(&sandbox, config).await.unwrap();
    let _ = runtime.start_container(&id).await;
    host.exited(&id).await;
    assert_eq!(fs::read_dir(&outside).unwrap().count(), 0);
    assert!(!Path::new("/tmp/sub").exists());
}
