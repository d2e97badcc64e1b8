//! Exec over WebSocket and SPDY, directly, through a proxy and through a bridge.

use std::time::Duration;

use http::Request;
use streams::{
    CommandClient, CommandOptions, ConnectError, Limits, Outcome, StreamError, TerminalSize,
    connect_command, connect_command_spdy,
};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::server::{PATIENCE, Server, pattern};

#[derive(Clone, Copy, Debug, PartialEq)]
enum Way {
    WebSocket,
    Spdy,
    ProxiedWebSocket,
    ProxiedSpdy,
    BridgedWebSocket,
    BridgedSpdy,
}

const WAYS: [Way; 6] = [
    Way::WebSocket,
    Way::Spdy,
    Way::ProxiedWebSocket,
    Way::ProxiedSpdy,
    Way::BridgedWebSocket,
    Way::BridgedSpdy,
];

async fn exec(server: &Server, way: Way, query: &str) -> Result<CommandClient, ConnectError> {
    let prefix = match way {
        Way::WebSocket | Way::Spdy => "",
        Way::ProxiedWebSocket | Way::ProxiedSpdy => "/proxy",
        Way::BridgedWebSocket | Way::BridgedSpdy => "/bridge",
    };
    let options = CommandOptions::from_query(query).unwrap();
    let request = Request::get(format!("{prefix}/exec?{query}"))
        .body(())
        .unwrap();
    let io = server.connect().await;
    match way {
        Way::WebSocket | Way::ProxiedWebSocket | Way::BridgedWebSocket => {
            connect_command(io, request, options, Limits::default()).await
        }
        Way::Spdy | Way::ProxiedSpdy | Way::BridgedSpdy => {
            connect_command_spdy(io, request, options, Limits::default()).await
        }
    }
}

async fn outcome(client: &mut CommandClient) -> Outcome {
    let outcome = tokio::time::timeout(PATIENCE, client.outcome()).await;
    outcome.unwrap().unwrap()
}

#[tokio::test]
async fn input_comes_back_and_its_end_is_seen() {
    let server = Server::start(Limits::default()).await;
    for way in WAYS {
        let mut client = exec(&server, way, "do=echo&stdin=true&stdout=true&code=3")
            .await
            .unwrap();
        let mut stdin = client.stdin.take().unwrap();
        let mut stdout = client.stdout.take().unwrap();
        stdin.write_all(b"hello").await.unwrap();
        let mut text = [0; 5];
        stdout.read_exact(&mut text).await.unwrap();
        assert_eq!(&text, b"hello", "{way:?}");
        stdin.write_all(b" world").await.unwrap();
        stdin.shutdown().await.unwrap();
        let mut rest = String::new();
        stdout.read_to_string(&mut rest).await.unwrap();
        assert_eq!(rest, " world", "{way:?}");
        assert_eq!(outcome(&mut client).await, Outcome::Exit(3), "{way:?}");
    }
    server.becomes_idle().await;
}

#[tokio::test]
async fn much_output_reaches_a_slow_reader_whole_and_before_the_outcome() {
    const SIZE: usize = 2_000_000;
    let server = Server::start(Limits::default()).await;
    let expected = pattern(SIZE);
    for way in WAYS {
        let query = format!("do=big&size={SIZE}&stdout=true&stderr=true");
        let mut client = exec(&server, way, &query).await.unwrap();
        let mut stdout = client.stdout.take().unwrap();
        let mut stderr = client.stderr.take().unwrap();
        let slow = async {
            let mut all = Vec::new();
            let mut buffer = vec![0; 30_000];
            loop {
                let size = stdout.read(&mut buffer).await.unwrap();
                if size == 0 {
                    return all;
                }
                all.extend_from_slice(&buffer[..size]);
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        };
        let mut errors = Vec::new();
        let (output, _) = tokio::join!(slow, stderr.read_to_end(&mut errors));
        assert!(output == expected, "{way:?}: {} bytes", output.len());
        assert!(errors == expected, "{way:?}: {} bytes", errors.len());
        assert_eq!(outcome(&mut client).await, Outcome::Success, "{way:?}");
    }
    server.becomes_idle().await;
}

#[tokio::test]
async fn a_command_that_does_not_read_stops_its_writer() {
    let server = Server::start(Limits::default()).await;
    for way in WAYS {
        let mut client = exec(&server, way, "do=hang&stdin=true").await.unwrap();
        let mut stdin = client.stdin.take().unwrap();
        let much = async {
            let mut written = 0_usize;
            loop {
                stdin.write_all(&[0; 64 * 1024]).await.unwrap();
                written += 64 * 1024;
                assert!(written < 256 << 20, "{way:?}: {written} bytes buffered");
            }
        };
        // Whatever the sockets hold, it is not endless.
        let stalled = tokio::time::timeout(Duration::from_millis(700), much).await;
        assert!(stalled.is_err(), "{way:?}");
        drop(client);
    }
}

#[tokio::test]
async fn a_lot_of_input_is_all_read() {
    const SIZE: usize = 1_500_000;
    let server = Server::start(Limits::default()).await;
    for way in WAYS {
        let mut client = exec(&server, way, "do=count&stdin=true&stdout=true")
            .await
            .unwrap();
        let mut stdin = client.stdin.take().unwrap();
        stdin.write_all(&pattern(SIZE)).await.unwrap();
        drop(stdin);
        let mut text = String::new();
        let mut stdout = client.stdout.take().unwrap();
        stdout.read_to_string(&mut text).await.unwrap();
        assert_eq!(text.trim(), SIZE.to_string(), "{way:?}");
        assert_eq!(outcome(&mut client).await, Outcome::Success, "{way:?}");
    }
}

#[tokio::test]
async fn terminal_sizes_arrive() {
    let server = Server::start(Limits::default()).await;
    for way in WAYS {
        let query = "do=sizes&stdin=true&stdout=true&tty=true";
        let mut client = exec(&server, way, query).await.unwrap();
        assert!(client.stderr.is_none());
        let resize = client.resize.as_mut().unwrap();
        for (width, height) in [(80, 24), (200, 50), (0, 0)] {
            resize.send(TerminalSize { width, height }).await.unwrap();
        }
        let mut text = String::new();
        let mut stdout = client.stdout.take().unwrap();
        stdout.read_to_string(&mut text).await.unwrap();
        assert_eq!(text, "80x24\n200x50\n0x0\n", "{way:?}");
        assert_eq!(outcome(&mut client).await, Outcome::Success, "{way:?}");
    }
}

#[tokio::test]
async fn a_command_that_cannot_run_says_why() {
    let server = Server::start(Limits::default()).await;
    for way in WAYS {
        let mut client = exec(&server, way, "do=fail&stdout=true").await.unwrap();
        let Outcome::Failed(status) = outcome(&mut client).await else {
            panic!("{way:?}: not failed");
        };
        assert!(status.message.contains("no such file"), "{status}");
        assert_eq!(status.code, 500);
    }
}

#[tokio::test]
async fn a_client_that_vanishes_ends_the_command() {
    let server = Server::start(Limits::default()).await;
    for way in WAYS {
        let client = exec(&server, way, "do=hang&stdin=true&stdout=true")
            .await
            .unwrap();
        tokio::time::sleep(Duration::from_millis(50)).await;
        drop(client);
        server.becomes_idle().await;
    }
}

#[tokio::test]
async fn a_connection_on_which_nothing_moves_is_closed() {
    let limits = Limits {
        idle_timeout: Duration::from_millis(300),
        ..Limits::default()
    };
    let server = Server::start(limits).await;
    for way in WAYS {
        let mut client = exec(&server, way, "do=hang&stdin=true").await.unwrap();
        let ended = tokio::time::timeout(PATIENCE, client.outcome()).await;
        match ended.unwrap() {
            // The side that waited is the other one.
            Err(error) => assert!(!matches!(error, StreamError::Idle(_)), "{way:?}: {error}"),
            // A bridge can still tell its client, if its backend side was first.
            Ok(Outcome::Failed(status)) => {
                let text = "stream connection to the node";
                assert!(status.message.contains(text), "{way:?}: {status}");
            }
            Ok(outcome) => panic!("{way:?}: {outcome:?}"),
        }
        server.becomes_idle().await;
    }
}

#[tokio::test]
async fn a_refusal_comes_back_as_the_server_gave_it() {
    let server = Server::start(Limits::default()).await;
    for prefix in ["", "/proxy"] {
        let request = Request::get(format!("{prefix}/exec?tty=true"))
            .body(())
            .unwrap();
        let options = CommandOptions::default();
        let io = server.connect().await;
        let result = connect_command(io, request, options, Limits::default()).await;
        let Some(ConnectError::Refused(response)) = result.err() else {
            panic!("not refused");
        };
        assert_eq!(response.status(), 400);
        let text = String::from_utf8_lossy(response.body());
        assert!(text.contains("at least 1 of stdin"), "{text}");
    }
    server.becomes_idle().await;
}

#[tokio::test]
async fn a_server_that_is_no_server_is_told_apart() {
    // Answers 101 to anything.
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        loop {
            let (mut io, _) = listener.accept().await.unwrap();
            let mut buffer = [0; 2048];
            let _ = io.read(&mut buffer).await.unwrap();
            let answer =
                b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n";
            io.write_all(answer).await.unwrap();
        }
    });
    let options = CommandOptions::default();
    for spdy in [true, false] {
        let io = tokio::net::TcpStream::connect(address).await.unwrap();
        let request = Request::get("/exec").body(()).unwrap();
        let result = if spdy {
            connect_command_spdy(io, request, options, Limits::default()).await
        } else {
            connect_command(io, request, options, Limits::default()).await
        };
        assert!(matches!(result.err(), Some(ConnectError::Answer(_))));
    }
}
