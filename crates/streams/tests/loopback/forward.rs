//! Port-forward in a tunnel and over bare SPDY, directly, through a proxy and through a bridge.

use std::time::Duration;

use http::Request;
use streams::{ForwardClient, Limits, connect_port_forward, connect_port_forward_spdy};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::server::{PATIENCE, Server, pattern};

const WAYS: [(&str, bool); 6] = [
    ("/portforward", true),
    ("/portforward", false),
    ("/proxy/portforward", true),
    ("/proxy/portforward", false),
    ("/bridge/portforward", true),
    ("/bridge/portforward", false),
];

async fn forward(server: &Server, (path, tunnelled): (&str, bool)) -> ForwardClient {
    let request = Request::get(path).body(()).unwrap();
    let io = server.connect().await;
    let client = if tunnelled {
        connect_port_forward(io, request, Limits::default()).await
    } else {
        connect_port_forward_spdy(io, request, Limits::default()).await
    };
    client.unwrap()
}

#[tokio::test]
async fn connections_carry_bytes_both_ways_and_end_one_way_at_a_time() {
    let server = Server::start(Limits::default()).await;
    for way in WAYS {
        let client = forward(&server, way).await;
        for round in 0..3 {
            let connection = client.open(7).await.unwrap();
            let (mut reader, mut writer) = connection.data.split();
            let sent = pattern(300_000 + round);
            let send = async {
                writer.write_all(&sent).await.unwrap();
                writer.shutdown().await.unwrap();
            };
            let mut got = Vec::new();
            let (_, read) = tokio::join!(send, reader.read_to_end(&mut got));
            read.unwrap();
            assert!(got == sent, "{way:?}: {} bytes", got.len());
            assert_eq!(connection.error.message().await, "");
        }
        client.close().await.unwrap();
        server.becomes_idle().await;
    }
}

#[tokio::test]
async fn a_connection_that_is_refused_says_why_and_the_others_go_on() {
    let server = Server::start(Limits::default()).await;
    for way in WAYS {
        let client = forward(&server, way).await;
        let mut good = client.open(7).await.unwrap();
        let bad = client.open(9).await.unwrap();
        assert_eq!(
            bad.error.message().await,
            "error forwarding port 9: connection refused"
        );
        let (mut reader, _) = bad.data.split();
        assert!(reader.read(&mut [0; 8]).await.is_err(), "{way:?}");
        good.data.write_all(b"still there").await.unwrap();
        let mut text = [0; 11];
        good.data.read_exact(&mut text).await.unwrap();
        assert_eq!(&text, b"still there");
    }
    server.becomes_idle().await;
}

#[tokio::test]
async fn a_slow_connection_does_not_hold_up_the_others() {
    let server = Server::start(Limits::default()).await;
    for way in WAYS {
        let client = forward(&server, way).await;
        // Nobody reads this one, on either side.
        let _unread = client.open(19).await.unwrap();
        let mut stuck = client.open(1).await.unwrap();
        let stall = stuck.data.write_all(&[0; 1 << 20]);
        assert!(
            tokio::time::timeout(Duration::from_millis(300), stall)
                .await
                .is_err(),
            "{way:?}"
        );
        let mut live = client.open(7).await.unwrap();
        let (sent, mut got) = (vec![5; 20_000], vec![0; 20_000]);
        let exchange = async {
            for _ in 0..20 {
                live.data.write_all(&sent).await.unwrap();
                live.data.read_exact(&mut got).await.unwrap();
            }
        };
        tokio::time::timeout(PATIENCE, exchange).await.unwrap();
    }
}

#[tokio::test]
async fn many_connections_at_a_time_all_work() {
    let server = Server::start(Limits::default()).await;
    for way in WAYS {
        let client = forward(&server, way).await;
        let mut tasks = tokio::task::JoinSet::new();
        for index in 0..60_u8 {
            let mut connection = client.open(7).await.unwrap();
            tasks.spawn(async move {
                connection.data.write_all(&[index; 10_000]).await.unwrap();
                connection.data.shutdown().await.unwrap();
                let mut got = Vec::new();
                connection.data.read_to_end(&mut got).await.unwrap();
                assert!(got == [index; 10_000]);
            });
        }
        while let Some(done) = tasks.join_next().await {
            done.unwrap();
        }
    }
}

#[tokio::test]
async fn a_client_that_vanishes_ends_its_connections() {
    let server = Server::start(Limits::default()).await;
    for way in WAYS {
        let client = forward(&server, way).await;
        let mut connection = client.open(7).await.unwrap();
        connection.data.write_all(b"x").await.unwrap();
        connection.data.read_exact(&mut [0]).await.unwrap();
        drop(client);
        let gone = tokio::time::timeout(PATIENCE, connection.data.read(&mut [0])).await;
        assert!(gone.unwrap().is_err(), "{way:?}");
        server.becomes_idle().await;
    }
}
