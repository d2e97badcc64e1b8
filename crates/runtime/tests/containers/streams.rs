//! Commands, attached clients, terminals, ports.

use std::time::Duration;

use runtime::{AttachRequest, ContainerConfig, ExecRequest, Runtime, RuntimeError};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::Instant;

use crate::host::{Host, stdout};

fn script(text: &str) -> Vec<String> {
    vec!["/bin/sh".into(), "-c".into(), text.into()]
}

async fn until(reader: &mut runtime::Reader, wanted: &str) -> String {
    let mut seen = Vec::new();
    let mut buffer = [0; 4096];
    while !String::from_utf8_lossy(&seen).contains(wanted) {
        let read = tokio::time::timeout(Duration::from_secs(15), reader.read(&mut buffer)).await;
        let seen_text = String::from_utf8_lossy(&seen).into_owned();
        let n = read
            .unwrap_or_else(|_| panic!("no {wanted:?} in {seen_text:?}"))
            .unwrap();
        assert!(
            n > 0,
            "ended before {wanted:?}: {:?}",
            String::from_utf8_lossy(&seen)
        );
        seen.extend_from_slice(&buffer[..n]);
    }
    String::from_utf8_lossy(&seen).into_owned()
}

async fn rest(reader: Option<runtime::Reader>) -> String {
    let mut text = String::new();
    reader.unwrap().read_to_string(&mut text).await.unwrap();
    text
}

pub(crate) async fn commands_return_their_code_and_output(host: &mut Host) {
    let sandbox = host.sandbox().await;
    let config = host.shell("sleep 1000");
    let id = host.start(&sandbox, config).await;
    let output = host.exec(&id, "echo out; echo err >&2; exit 42").await;
    assert_eq!(
        (output.exit_code, &output.stdout[..], &output.stderr[..]),
        (42, &b"out\n"[..], &b"err\n"[..])
    );
    assert_eq!(host.exec(&id, "kill -9 $$").await.exit_code, 137);
    let big = host.exec(&id, "head -c 20000000 /dev/zero").await;
    assert_eq!(
        big.stdout.len(),
        runtime::EXEC_SYNC_OUTPUT_LIMIT_BYTES,
        "the rest is read but not kept"
    );
    let runtime = host.runtime().await;
    let error = runtime
        .exec_sync(&id, vec!["nope".into()], Duration::ZERO)
        .await
        .unwrap_err();
    assert!(
        matches!(&error, RuntimeError::Exec(m) if m.contains("executable file not found in $PATH")),
        "{error:?}"
    );
    assert!(matches!(
        runtime.exec_sync(&id, vec![], Duration::ZERO).await,
        Err(RuntimeError::Invalid { .. })
    ));
    // Something it leaves behind with its output open does not hold the answer up.
    let begun = Instant::now();
    assert_eq!(
        host.exec(&id, "sleep 100 & echo left").await.stdout,
        b"left\n"
    );
    assert!(begun.elapsed() < Duration::from_secs(10));
    runtime
        .stop_container(&id, Duration::ZERO, None)
        .await
        .unwrap();
    assert!(matches!(
        runtime.exec_sync(&id, script("true"), Duration::ZERO).await,
        Err(RuntimeError::State(_))
    ));
}

pub(crate) async fn commands_that_take_too_long_are_killed(host: &mut Host) {
    let sandbox = host.sandbox().await;
    let config = host.shell("sleep 1000");
    let id = host.start(&sandbox, config).await;
    let limit = Duration::from_millis(300);
    let error = host
        .runtime()
        .await
        .exec_sync(&id, vec!["/bin/sleep".into(), "777".into()], limit)
        .await
        .unwrap_err();
    assert!(
        matches!(error, RuntimeError::ExecTimeout { after_ms: 300, .. }),
        "{error:?}"
    );
    assert_eq!(
        host.ask(
            &id,
            "sleep 0.1; ps -o args | grep -c '^/bin/sleep 777' || true"
        )
        .await,
        "0\n"
    );
}

pub(crate) async fn commands_get_their_input(host: &mut Host) {
    let sandbox = host.sandbox().await;
    let config = host.shell("sleep 1000");
    let id = host.start(&sandbox, config).await;
    let request = ExecRequest {
        argv: script("tr a-z A-Z; exit 3"),
        stdin: true,
        stdout: true,
        ..ExecRequest::default()
    };
    let mut streams = host.runtime().await.exec(&id, request).await.unwrap();
    let mut stdin = streams.stdin.take().unwrap();
    // More than a pipe holds, so that writing has to wait for reading.
    let text = "abcdefg\n".repeat(50_000);
    let writing = async {
        stdin.write_all(text.as_bytes()).await.unwrap();
        stdin.shutdown().await.unwrap();
    };
    let (out, ()) = tokio::join!(rest(streams.stdout.take()), writing);
    assert!(out == text.to_uppercase());
    assert_eq!(streams.exit.await.unwrap(), 3);
    assert!(streams.stderr.is_none() && streams.resize.is_none());
}

pub(crate) async fn a_terminal_can_be_resized(host: &mut Host) {
    let sandbox = host.sandbox().await;
    let config = host.shell("sleep 1000");
    let id = host.start(&sandbox, config).await;
    let request = ExecRequest {
        argv: vec!["/bin/sh".into()],
        tty: true,
        stdin: true,
        stdout: true,
        stderr: true,
    };
    let mut streams = host.runtime().await.exec(&id, request).await.unwrap();
    assert!(streams.stderr.is_none(), "a terminal has one output");
    let resize = streams.resize.clone().unwrap();
    let (mut stdin, mut out) = (
        streams.stdin.take().unwrap(),
        streams.stdout.take().unwrap(),
    );
    resize(123, 45).unwrap();
    stdin
        .write_all(b"stty size; tty; echo $TERM-end\n")
        .await
        .unwrap();
    let seen = until(&mut out, "xterm-end").await;
    assert!(
        seen.contains("45 123") && seen.contains("/dev/pts/"),
        "{seen}"
    );
    stdin.write_all(b"sleep 999\n").await.unwrap();
    until(&mut out, "sleep 999").await;
    // Typed before the shell has handed the terminal over, ^C is just a character; and a shell that is interrupted drops
    // what was typed ahead. So this may need saying again.
    let mut last = Vec::new();
    let mut ended = std::pin::pin!(out.read_to_end(&mut last));
    while tokio::time::timeout(Duration::from_millis(200), &mut ended)
        .await
        .is_err()
    {
        let _ = stdin.write_all(b"\x03").await;
        tokio::time::sleep(Duration::from_millis(50)).await;
        let _ = stdin.write_all(b"exit 7\n").await;
    }
    assert_eq!(streams.exit.await.unwrap(), 7);
    let text = "trap 'stty size; echo changed' WINCH; echo armed; while :; do sleep 0.05; done";
    let request = ExecRequest {
        argv: script(text),
        tty: true,
        stdin: true,
        stdout: true,
        ..ExecRequest::default()
    };
    let mut streams = host.runtime().await.exec(&id, request).await.unwrap();
    let mut out = streams.stdout.take().unwrap();
    until(&mut out, "armed").await;
    streams.resize.as_ref().unwrap()(80, 24).unwrap();
    assert!(until(&mut out, "changed").await.contains("24 80"));
    streams
        .stdin
        .take()
        .unwrap()
        .write_all(b"\x03")
        .await
        .unwrap();
    assert_eq!(
        streams.exit.await.unwrap(),
        130,
        "the terminal turns ^C into SIGINT"
    );
    // Closing the terminal ends what runs on it.
    let request = ExecRequest {
        argv: script("sleep 888"),
        tty: true,
        stdin: true,
        stdout: true,
        ..ExecRequest::default()
    };
    let streams = host.runtime().await.exec(&id, request).await.unwrap();
    drop(streams);
    assert_eq!(
        host.ask(&id, "sleep 0.2; ps -o args | grep -c '^sleep 888' || true")
            .await,
        "0\n"
    );
}

pub(crate) async fn attached_clients_get_output_and_give_input(host: &mut Host) {
    let sandbox = host.sandbox().await;
    let config = ContainerConfig {
        stdin: true,
        ..host.shell("while read l; do echo got $l; echo err $l >&2; [ $l = end ] && exit 6; done")
    };
    let log = config.log_path.clone().unwrap();
    let id = host.start(&sandbox, config).await;
    let runtime = host.runtime().await;
    let all = AttachRequest {
        stdin: true,
        stdout: true,
        stderr: true,
    };
    let mut first = runtime.attach(&id, all).await.unwrap();
    let mut watcher = runtime
        .attach(
            &id,
            AttachRequest {
                stdout: true,
                ..AttachRequest::default()
            },
        )
        .await
        .unwrap();
    assert!(watcher.stdin.is_none() && watcher.stderr.is_none());
    first
        .stdin
        .as_mut()
        .unwrap()
        .write_all(b"one\n")
        .await
        .unwrap();
    assert_eq!(
        until(first.stdout.as_mut().unwrap(), "\n").await,
        "got one\n"
    );
    assert_eq!(
        until(first.stderr.as_mut().unwrap(), "\n").await,
        "err one\n"
    );
    assert_eq!(
        until(watcher.stdout.as_mut().unwrap(), "\n").await,
        "got one\n"
    );
    drop(first);
    let mut second = runtime.attach(&id, all).await.unwrap();
    second
        .stdin
        .as_mut()
        .unwrap()
        .write_all(b"end\n")
        .await
        .unwrap();
    assert_eq!(rest(second.stdout.take()).await, "got end\n");
    assert_eq!(second.exit.await.unwrap(), 6);
    assert_eq!(
        (
            rest(watcher.stdout.take()).await,
            watcher.exit.await.unwrap()
        ),
        ("got end\n".into(), 6)
    );
    assert_eq!(stdout(&log), "got one\ngot end\n");
    assert!(matches!(
        runtime.attach(&id, all).await,
        Err(RuntimeError::State(_))
    ));
}

pub(crate) async fn input_ends_with_the_first_client_if_asked(host: &mut Host) {
    let sandbox = host.sandbox().await;
    let config = ContainerConfig {
        stdin: true,
        stdin_once: true,
        ..host.shell("cat; echo end")
    };
    let log = config.log_path.clone().unwrap();
    let id = host.start(&sandbox, config).await;
    let mut client = host
        .runtime()
        .await
        .attach(
            &id,
            AttachRequest {
                stdin: true,
                ..AttachRequest::default()
            },
        )
        .await
        .unwrap();
    client
        .stdin
        .as_mut()
        .unwrap()
        .write_all(b"text\n")
        .await
        .unwrap();
    drop(client.stdin.take());
    assert_eq!(client.exit.await.unwrap(), 0);
    assert_eq!(stdout(&log), "text\nend\n");
}

pub(crate) async fn a_container_with_a_terminal_can_be_attached(host: &mut Host) {
    let sandbox = host.sandbox().await;
    let config = ContainerConfig {
        tty: true,
        stdin: true,
        argv: vec!["/bin/sh".into()],
        ..host.shell("")
    };
    let log = config.log_path.clone().unwrap();
    let id = host.start(&sandbox, config).await;
    let all = AttachRequest {
        stdin: true,
        stdout: true,
        stderr: true,
    };
    let mut client = host.runtime().await.attach(&id, all).await.unwrap();
    client.resize.as_ref().unwrap()(100, 50).unwrap();
    let mut out = client.stdout.take().unwrap();
    let stdin = client.stdin.as_mut().unwrap();
    stdin
        .write_all(b"stty size; tty; ls -l /dev/console; [ -t 0 ] && echo is-$((40+2))\n")
        .await
        .unwrap();
    let seen = until(&mut out, "is-42").await;
    assert!(
        seen.contains("50 100") && seen.contains("/dev/pts/0") && seen.contains("/dev/console"),
        "{seen}"
    );
    stdin.write_all(b"exit 4\n").await.unwrap();
    assert_eq!(client.exit.await.unwrap(), 4);
    assert!(stdout(&log).contains("is-42"));
}

pub(crate) async fn a_slow_client_loses_nothing(host: &mut Host) {
    let sandbox = host.sandbox().await;
    let config = ContainerConfig {
        stdin: true,
        log_path: None,
        ..host.shell("read go; seq 1 300000; exit 0")
    };
    let id = host.start(&sandbox, config).await;
    let mut client = host
        .runtime()
        .await
        .attach(
            &id,
            AttachRequest {
                stdin: true,
                stdout: true,
                stderr: false,
            },
        )
        .await
        .unwrap();
    client
        .stdin
        .as_mut()
        .unwrap()
        .write_all(b"go\n")
        .await
        .unwrap();
    tokio::time::sleep(Duration::from_millis(500)).await;
    let text = rest(client.stdout.take()).await;
    assert_eq!(
        (text.lines().count(), text.lines().last()),
        (300_000, Some("300000"))
    );
    assert_eq!(client.exit.await.unwrap(), 0);
    // One that has gone does not hold the container up.
    let config = ContainerConfig {
        stdin: true,
        log_path: None,
        ..host.shell("read go; seq 1 300000; exit 0")
    };
    let id = host.start(&sandbox, config).await;
    let mut client = host
        .runtime()
        .await
        .attach(
            &id,
            AttachRequest {
                stdin: true,
                stdout: true,
                stderr: false,
            },
        )
        .await
        .unwrap();
    client
        .stdin
        .as_mut()
        .unwrap()
        .write_all(b"go\n")
        .await
        .unwrap();
    drop(client);
    assert_eq!(host.exited(&id).await.exit_code, 0);
}

pub(crate) async fn ports_are_forwarded_into_the_pod(host: &mut Host) {
    let sandbox = host.sandbox().await;
    let config = host.shell("while :; do nc -l -p 8080 -e cat; done");
    host.start(&sandbox, config).await;
    let runtime = host.runtime().await;
    let mut stream = loop {
        // Between two connections nobody listens.
        match runtime.port_forward(&sandbox, 8080).await {
            Ok(stream) => break stream,
            Err(_) => tokio::time::sleep(Duration::from_millis(10)).await,
        }
    };
    stream.write_all(b"hello").await.unwrap();
    let mut answer = [0; 5];
    stream.read_exact(&mut answer).await.unwrap();
    assert_eq!(&answer, b"hello");
    let error = runtime
        .port_forward(&sandbox, 9)
        .await
        .map(drop)
        .unwrap_err();
    assert!(error.to_string().contains("port 9"), "{error}");
}
