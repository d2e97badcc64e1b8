//! Peers that misbehave, on raw WebSockets and raw SPDY frames; and the older
//! spellings that only other clients speak.

use std::time::Duration;

use futures::{SinkExt, StreamExt};
use http::Request;
use streams::Limits;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::handshake::client::generate_key;

use crate::server::{PATIENCE, Server, pattern};

async fn websocket(server: &Server, path: &str, protocol: &str) -> WebSocketStream<TcpStream> {
    let mut request = Request::get(format!("ws://{}{path}", server.address))
        .header("host", "node")
        .header("connection", "Upgrade")
        .header("upgrade", "websocket")
        .header("sec-websocket-version", "13")
        .header("sec-websocket-key", generate_key());
    if !protocol.is_empty() {
        request = request.header("sec-websocket-protocol", protocol);
    }
    let io = server.connect().await;
    let connected = tokio_tungstenite::client_async(request.body(()).unwrap(), io).await;
    connected.unwrap().0
}

/// All messages until the close, and its code.
async fn drain(socket: &mut WebSocketStream<TcpStream>) -> (Vec<Message>, Option<u16>) {
    let mut messages = Vec::new();
    let mut code = None;
    let all = async {
        while let Some(Ok(message)) = socket.next().await {
            match message {
                Message::Close(frame) => code = frame.map(|frame| frame.code.into()),
                message => messages.push(message),
            }
        }
    };
    tokio::time::timeout(PATIENCE, all).await.unwrap();
    (messages, code)
}

fn binary(channel: u8, data: &[u8]) -> Message {
    Message::Binary([&[channel], data].concat().into())
}

#[tokio::test]
async fn every_websocket_spelling_of_exec_works() {
    let server = Server::start(Limits::default()).await;
    let failed = r#"{"metadata":{},"status":"Failure","message":"command terminated with exit code 3","reason":"NonZeroExitCode","details":{"causes":[{"reason":"ExitCode","message":"3"}]}}"#;
    let old = "command terminated with exit code 3";
    for (protocol, text) in [
        ("v5.channel.k8s.io", failed),
        ("v4.channel.k8s.io", failed),
        ("channel.k8s.io", old),
        ("", old),
    ] {
        let mut socket = websocket(&server, "/exec?do=big&size=5&stdout=1&code=3", protocol).await;
        let (messages, code) = drain(&mut socket).await;
        let expected = [
            binary(1, b""),
            binary(1, &pattern(5)),
            binary(3, text.as_bytes()),
        ];
        assert_eq!(messages, expected, "{protocol}");
        assert_eq!(code, Some(1000), "{protocol}");
    }
    for protocol in ["v4.base64.channel.k8s.io", "base64.channel.k8s.io"] {
        let path = "/exec?do=sizes&stdout=1&tty=1";
        let mut socket = websocket(&server, path, protocol).await;
        // {"Width":0,"Height":9}
        let size = Message::text("4eyJXaWR0aCI6MCwiSGVpZ2h0Ijo5fQ==");
        socket.send(size).await.unwrap();
        let (messages, _) = drain(&mut socket).await;
        assert_eq!(messages[0], Message::text("1"), "{protocol}");
        // 0x9 and a line end.
        assert_eq!(messages[1], Message::text("1MHg5Cg=="), "{protocol}");
    }
    server.becomes_idle().await;
}

#[tokio::test]
async fn older_port_forward_names_ports_in_the_query() {
    let server = Server::start(Limits::default()).await;
    let mut socket = websocket(&server, "/portforward?ports=7,19", "v4.channel.k8s.io").await;
    socket.send(binary(0, b"ping")).await.unwrap();
    let mut channels = vec![Vec::new(); 4];
    let all = async {
        while channels[0].len() < 6 || channels[2].len() < 2 + (1 << 20) {
            let message = socket.next().await.unwrap().unwrap().into_data();
            channels[usize::from(message[0])].extend_from_slice(&message[1..]);
        }
    };
    tokio::time::timeout(PATIENCE, all).await.unwrap();
    assert_eq!(channels[0], b"\x07\x00ping");
    assert_eq!(channels[1], b"\x07\x00");
    assert_eq!(channels[2][..2], [19, 0]);
    assert!(channels[2][2..] == pattern(1 << 20));
    drop(socket);
    server.becomes_idle().await;
    assert_eq!(status(&server, "/portforward?ports=0").await, 400);
}

/// The status of a WebSocket request that is refused.
async fn status(server: &Server, path: &str) -> u16 {
    let mut io = server.connect().await;
    let request = format!(
        "GET {path} HTTP/1.1\r\nHost: node\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
    );
    io.write_all(request.as_bytes()).await.unwrap();
    let mut head = [0; 12];
    io.read_exact(&mut head).await.unwrap();
    String::from_utf8_lossy(&head[9..]).parse().unwrap()
}

#[tokio::test]
async fn messages_that_break_the_protocol_close_it_with_a_reason() {
    let server = Server::start(Limits::default()).await;
    let cases = [
        ("v5.channel.k8s.io", binary(255, b""), 1002),
        ("v5.channel.k8s.io", binary(255, &[0, 0]), 1002),
        ("v5.channel.k8s.io", binary(255, &[77]), 1002),
        ("v4.base64.channel.k8s.io", Message::text("0&&&&"), 1002),
        ("v5.channel.k8s.io", binary(0, &vec![0; 33 << 20]), 1009),
    ];
    for (protocol, message, expected) in cases {
        let path = "/exec?do=hang&stdin=1&stdout=1";
        let mut socket = websocket(&server, path, protocol).await;
        let text = format!("{protocol} {} bytes", message.len());
        // The server may hang up in the middle of a long one.
        let _ = socket.send(message).await;
        let (_, code) = drain(&mut socket).await;
        assert!(
            code == Some(expected) || expected == 1009,
            "{text}: {code:?}"
        );
        server.becomes_idle().await;
    }
}

#[tokio::test]
async fn messages_to_channels_that_nobody_reads_are_dropped() {
    let server = Server::start(Limits::default()).await;
    let path = "/exec?do=echo&stdin=1&stdout=1";
    let mut socket = websocket(&server, path, "v5.channel.k8s.io").await;
    for message in [
        Message::Binary(Vec::new().into()),
        binary(1, b"to stdout"),
        binary(4, b"no terminal"),
        binary(200, b"no channel"),
        Message::Ping(b"are you there".to_vec().into()),
        binary(0, b"input"),
        binary(255, &[0]),
    ] {
        socket.send(message).await.unwrap();
    }
    let (messages, code) = drain(&mut socket).await;
    assert!(messages.contains(&binary(1, b"input")), "{messages:?}");
    let pong = Message::Pong(b"are you there".to_vec().into());
    assert!(messages.contains(&pong), "{messages:?}");
    assert_eq!(code, Some(1000));
}

#[tokio::test]
async fn bytes_that_are_no_websocket_end_the_command() {
    let server = Server::start(Limits::default()).await;
    let path = "/exec?do=hang&stdin=1";
    let socket = websocket(&server, path, "v5.channel.k8s.io").await;
    let mut io = socket.into_inner();
    io.write_all(&[0xff; 64]).await.unwrap();
    server.becomes_idle().await;
}

/// A bare SPDY connection for exec.
async fn spdy(server: &Server, query: &str) -> TcpStream {
    let mut io = server.connect().await;
    let request = format!(
        "POST /exec?{query} HTTP/1.1\r\nHost: node\r\nConnection: Upgrade\r\nUpgrade: SPDY/3.1\r\n\
         X-Stream-Protocol-Version: v4.channel.k8s.io\r\n\r\n"
    );
    io.write_all(request.as_bytes()).await.unwrap();
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(io.read_u8().await.unwrap());
    }
    let head = String::from_utf8(head).unwrap();
    assert!(head.starts_with("HTTP/1.1 101"), "{head}");
    io
}

/// The kinds of the control frames that come until the end.
async fn control_frames(io: &mut TcpStream) -> Vec<(u16, Vec<u8>)> {
    let mut all = Vec::new();
    let read = tokio::time::timeout(PATIENCE, io.read_to_end(&mut all)).await;
    // A reset is an end, too.
    let _ = read.unwrap();
    let mut frames = Vec::new();
    let mut rest = &all[..];
    while rest.len() >= 8 {
        let size = u32::from_be_bytes([0, rest[5], rest[6], rest[7]]) as usize;
        let kind = u16::from_be_bytes([rest[2], rest[3]]);
        frames.push((kind, rest[8..8 + size].to_vec()));
        rest = &rest[8 + size..];
    }
    frames
}

const GOAWAY: u16 = 7;

#[tokio::test]
async fn spdy_frames_that_break_the_draft_are_answered_with_goaway() {
    let limits = Limits {
        stream_creation_timeout: Duration::from_secs(3),
        ..Limits::default()
    };
    let server = Server::start(limits).await;
    let cases: [&[u8]; 6] = [
        // Version 2.
        &[0x80, 2, 0, 1, 0, 0, 0, 0],
        // A control frame of 16 MiB.
        &[0x80, 3, 0, 1, 0, 0xff, 0xff, 0xff],
        // SYN_STREAM without headers.
        &[0x80, 3, 0, 1, 0, 0, 0, 4, 0, 0, 0, 1],
        // SYN_STREAM with headers that do not unpack.
        &[
            0x80, 3, 0, 1, 0, 0, 0, 14, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 1, 2, 3, 4,
        ],
        // PING that is too short.
        &[0x80, 3, 0, 6, 0, 0, 0, 1, 9],
        // Data on stream 0.
        &[0, 0, 0, 0, 0, 0, 0, 1, 9],
    ];
    for frame in cases {
        let mut io = spdy(&server, "do=hang&stdin=1").await;
        io.write_all(frame).await.unwrap();
        let frames = control_frames(&mut io).await;
        let (kind, payload) = frames.last().unwrap();
        assert_eq!((*kind, payload[7]), (GOAWAY, 1), "{frame:?}: {frames:?}");
        server.becomes_idle().await;
    }
}

#[tokio::test]
async fn a_spdy_ping_is_answered_and_data_for_no_stream_is_reset() {
    let limits = Limits {
        stream_creation_timeout: Duration::from_millis(400),
        ..Limits::default()
    };
    let server = Server::start(limits).await;
    let mut io = spdy(&server, "do=hang&stdin=1").await;
    let ping = [0x80, 3, 0, 6, 0, 0, 0, 4, 0, 0, 0, 1];
    io.write_all(&ping).await.unwrap();
    io.write_all(&[0, 0, 0, 5, 0, 0, 0, 2, 9, 9]).await.unwrap();
    // Nobody opens the streams, so that it ends.
    let frames = control_frames(&mut io).await;
    assert!(frames.contains(&(6, vec![0, 0, 0, 1])), "{frames:?}");
    let reset = (3, vec![0, 0, 0, 5, 0, 0, 0, 2]);
    assert!(frames.contains(&reset), "{frames:?}");
    server.becomes_idle().await;
}

#[tokio::test]
async fn a_client_that_opens_no_streams_is_cut() {
    let limits = Limits {
        stream_creation_timeout: Duration::from_millis(200),
        ..Limits::default()
    };
    let server = Server::start(limits).await;
    let _io = spdy(&server, "do=hang&stdin=1").await;
    server.becomes_idle().await;
}

#[tokio::test]
async fn a_cut_in_the_middle_of_a_frame_ends_the_command() {
    let server = Server::start(Limits::default()).await;
    for cut in [1, 9, 15] {
        let mut io = spdy(&server, "do=hang&stdin=1").await;
        let frame = [0x80, 3, 0, 3, 0, 0, 0, 8, 0, 0, 0, 1, 0, 0, 0, 1];
        io.write_all(&frame[..cut]).await.unwrap();
        drop(io);
        server.becomes_idle().await;
    }
}
