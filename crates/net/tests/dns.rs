//! The DNS server over real sockets on the loopback.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on shall stop")]

use hickory_proto::op::{Edns, Message, MessageType, OpCode, Query, ResponseCode};
use hickory_proto::rr::rdata::A;
use hickory_proto::rr::{Name, RData, Record, RecordType};
use net::dns::{DnsEndpoint, DnsServer, DnsService, Listeners, ServiceKind, Zone, ZoneSource};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream, UdpSocket};
use tokio::time::{Instant, timeout};

fn loopback() -> SocketAddr {
    (Ipv4Addr::LOCALHOST, 0).into()
}

fn zone(endpoints: u8) -> Zone {
    let endpoint = |i| DnsEndpoint {
        ip: IpAddr::from([10, 42, 0, i]),
        hostname: None,
        ports: vec![],
    };
    let endpoints = (1..=endpoints).map(endpoint).collect();
    let service = |name: &str, kind| DnsService {
        namespace: "default".to_owned(),
        name: name.to_owned(),
        kind,
    };
    ZoneSource {
        namespaces: vec!["default".to_owned()],
        services: vec![
            service("db", ServiceKind::Headless { endpoints }),
            service(
                "out",
                ServiceKind::External {
                    target: "www.example.com".to_owned(),
                },
            ),
        ],
        ..ZoneSource::default()
    }
    .build()
    .unwrap()
}

/// Starts a server; answers its address.
async fn serve(zone: Zone, upstreams: Vec<SocketAddr>) -> (Arc<DnsServer>, SocketAddr) {
    let server = DnsServer::new(zone, upstreams);
    let listeners = Listeners::bind(loopback()).await.unwrap();
    let at = listeners.addresses()[0];
    tokio::spawn(Arc::clone(&server).run(listeners));
    (server, at)
}

fn query(name: &str, kind: RecordType) -> Message {
    let mut m = Message::new(7, MessageType::Query, OpCode::Query);
    m.metadata.recursion_desired = true;
    m.add_query(Query::query(Name::from_ascii(name).unwrap(), kind));
    m
}

async fn send(at: SocketAddr, bytes: &[u8]) -> Vec<u8> {
    let socket = UdpSocket::bind(loopback()).await.unwrap();
    socket.send_to(bytes, at).await.unwrap();
    let mut buf = vec![0; 65_535];
    let len = timeout(Duration::from_secs(8), socket.recv(&mut buf))
        .await
        .expect("an answer")
        .unwrap();
    buf.truncate(len);
    buf
}

async fn ask(at: SocketAddr, message: &Message) -> Message {
    Message::from_vec(&send(at, &message.to_vec().unwrap()).await).unwrap()
}

async fn ask_tcp(at: SocketAddr, message: &Message) -> Message {
    let mut stream = TcpStream::connect(at).await.unwrap();
    let bytes = message.to_vec().unwrap();
    stream
        .write_u16(u16::try_from(bytes.len()).unwrap())
        .await
        .unwrap();
    stream.write_all(&bytes).await.unwrap();
    let len = stream.read_u16().await.unwrap();
    let mut buf = vec![0; usize::from(len)];
    stream.read_exact(&mut buf).await.unwrap();
    Message::from_vec(&buf).unwrap()
}

/// An upstream that answers every name with 203.0.113.7 and counts; over UDP cut off if asked to.
async fn upstream(cut: bool) -> (SocketAddr, Arc<AtomicUsize>) {
    let tcp = TcpListener::bind(loopback()).await.unwrap();
    let at = tcp.local_addr().unwrap();
    let udp = UdpSocket::bind(at).await.unwrap();
    let count = Arc::new(AtomicUsize::new(0));
    let reply = |bytes: &[u8]| {
        let query = Message::from_vec(bytes).unwrap();
        let mut reply = Message::response(query.metadata.id, OpCode::Query);
        reply.queries.clone_from(&query.queries);
        let name = query.queries[0].name().clone();
        reply.add_answer(Record::from_rdata(
            name,
            60,
            RData::A(A::new(203, 0, 113, 7)),
        ));
        reply
    };
    let counted = Arc::clone(&count);
    tokio::spawn(async move {
        let mut buf = vec![0; 2048];
        loop {
            let (len, from) = udp.recv_from(&mut buf).await.unwrap();
            counted.fetch_add(1, Ordering::Relaxed);
            let mut reply = reply(&buf[..len]);
            if cut {
                reply.metadata.truncation = true;
                reply.answers.clear();
            }
            // A forged answer first: another id.
            let mut forged = reply.clone();
            forged.metadata.id = forged.metadata.id.wrapping_add(1);
            udp.send_to(&forged.to_vec().unwrap(), from).await.unwrap();
            udp.send_to(&reply.to_vec().unwrap(), from).await.unwrap();
        }
    });
    tokio::spawn(async move {
        loop {
            let (mut stream, _) = tcp.accept().await.unwrap();
            let len = stream.read_u16().await.unwrap();
            let mut buf = vec![0; usize::from(len)];
            stream.read_exact(&mut buf).await.unwrap();
            let bytes = reply(&buf).to_vec().unwrap();
            stream
                .write_u16(u16::try_from(bytes.len()).unwrap())
                .await
                .unwrap();
            stream.write_all(&bytes).await.unwrap();
        }
    });
    (at, count)
}

#[tokio::test]
async fn a_cluster_name_is_answered_with_authority_over_udp_and_tcp() {
    let (_, at) = serve(zone(2), vec![]).await;
    let question = query("DB.default.svc.cluster.local.", RecordType::A);
    for reply in [ask(at, &question).await, ask_tcp(at, &question).await] {
        assert_eq!(reply.metadata.id, 7);
        assert!(
            reply.metadata.authoritative
                && reply.metadata.recursion_available
                && reply.metadata.recursion_desired
        );
        assert_eq!(reply.answers.len(), 2);
        assert_eq!(
            reply.queries[0].name().to_string(),
            "DB.default.svc.cluster.local.",
            "case is kept"
        );
        assert!(reply.edns.is_none(), "no EDNS unless asked");
    }
}

#[tokio::test]
async fn too_long_an_answer_is_cut_to_what_fits_and_whole_over_tcp() {
    let (_, at) = serve(zone(200), vec![]).await;
    let plain = query("db.default.svc.cluster.local.", RecordType::A);
    let bytes = send(at, &plain.to_vec().unwrap()).await;
    assert!(bytes.len() <= 512);
    let cut = Message::from_vec(&bytes).unwrap();
    assert!(cut.metadata.truncation);
    assert!(
        cut.answers.len() > 20,
        "what fits is there: {}",
        cut.answers.len()
    );
    let mut wide = plain.clone();
    let mut edns = Edns::new();
    edns.set_max_payload(4096);
    wide.edns = Some(edns);
    let bytes = send(at, &wide.to_vec().unwrap()).await;
    assert!((513..=1232).contains(&bytes.len()), "{}", bytes.len());
    assert!(Message::from_vec(&bytes).unwrap().edns.is_some());
    let whole = ask_tcp(at, &plain).await;
    assert!(!whole.metadata.truncation);
    assert_eq!(whole.answers.len(), 200);
}

#[tokio::test]
async fn foreign_names_are_forwarded_once_and_then_cached() {
    let (up, count) = upstream(false).await;
    let (_, at) = serve(zone(1), vec![up]).await;
    for _ in 0..3 {
        let reply = ask(at, &query("www.example.com.", RecordType::A)).await;
        assert_eq!(reply.answers[0].data.to_string(), "203.0.113.7");
        assert!(!reply.metadata.authoritative);
    }
    assert_eq!(count.load(Ordering::Relaxed), 1);
}

#[tokio::test]
async fn an_answer_cut_by_upstream_is_fetched_over_tcp() {
    let (up, _) = upstream(true).await;
    let (_, at) = serve(zone(1), vec![up]).await;
    let reply = ask(at, &query("www.example.com.", RecordType::A)).await;
    assert_eq!(reply.answers.len(), 1);
}

#[tokio::test]
async fn an_external_name_is_followed_upstream() {
    let (up, _) = upstream(false).await;
    let (_, at) = serve(zone(1), vec![up]).await;
    let reply = ask(at, &query("out.default.svc.cluster.local.", RecordType::A)).await;
    let data: Vec<_> = reply.answers.iter().map(|r| r.data.to_string()).collect();
    assert_eq!(data, ["www.example.com.", "203.0.113.7"]);
}

#[tokio::test]
async fn without_upstream_foreign_names_are_refused_at_once() {
    let (server, at) = serve(zone(1), vec![]).await;
    let started = Instant::now();
    let reply = ask(at, &query("www.example.com.", RecordType::A)).await;
    assert_eq!(reply.metadata.response_code, ResponseCode::Refused);
    assert!(started.elapsed() < Duration::from_millis(500));
    let (up, _) = upstream(false).await;
    server.set_upstreams(vec![up]);
    let reply = ask(at, &query("www.example.com.", RecordType::A)).await;
    assert_eq!(reply.metadata.response_code, ResponseCode::NoError);
}

#[tokio::test]
async fn a_dead_upstream_is_passed_over() {
    let (up, _) = upstream(false).await;
    let silent = UdpSocket::bind(loopback()).await.unwrap();
    let (_, at) = serve(zone(1), vec![silent.local_addr().unwrap(), up]).await;
    let reply = ask(at, &query("www.example.com.", RecordType::A)).await;
    assert_eq!(reply.answers.len(), 1);
}

#[tokio::test]
async fn servers_that_forward_to_each_other_end_in_a_failure_not_a_storm() {
    let (first, a) = serve(zone(1), vec![]).await;
    let (_, b) = serve(zone(1), vec![a]).await;
    first.set_upstreams(vec![b]);
    let reply = ask(a, &query("www.example.com.", RecordType::A)).await;
    assert_eq!(reply.metadata.response_code, ResponseCode::ServFail);
    // And to itself: the upstream is dropped when it starts.
    let listeners = Listeners::bind(loopback()).await.unwrap();
    let at = listeners.addresses()[0];
    tokio::spawn(DnsServer::new(zone(1), vec![at]).run(listeners));
    let reply = ask(at, &query("www.example.com.", RecordType::A)).await;
    assert_eq!(reply.metadata.response_code, ResponseCode::Refused);
}

#[tokio::test]
async fn a_new_zone_is_answered_from_at_once() {
    let (server, at) = serve(zone(1), vec![]).await;
    let question = query("db.default.svc.cluster.local.", RecordType::A);
    assert_eq!(ask(at, &question).await.answers.len(), 1);
    server.set_zone(zone(3));
    assert_eq!(ask(at, &question).await.answers.len(), 3);
}

#[tokio::test]
async fn bad_packets_get_an_error_or_silence_and_hurt_no_one() {
    let (_, at) = serve(zone(1), vec![]).await;
    let code = |bytes: Vec<u8>| Message::from_vec(&bytes).unwrap().metadata.response_code;
    // A header that promises a question which is not there.
    let cut = [0, 9, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0];
    assert_eq!(code(send(at, &cut).await), ResponseCode::FormErr);
    let two = {
        let mut m = query("a.", RecordType::A);
        m.add_query(Query::query(Name::root(), RecordType::A));
        m
    };
    assert_eq!(
        ask(at, &two).await.metadata.response_code,
        ResponseCode::FormErr
    );
    let mut notify = query("a.", RecordType::A);
    notify.metadata.op_code = OpCode::Notify;
    assert_eq!(
        ask(at, &notify).await.metadata.response_code,
        ResponseCode::NotImp
    );
    // Responses and scraps are not answered: the next answer is to the real question.
    let socket = UdpSocket::bind(loopback()).await.unwrap();
    let mut response = query("a.", RecordType::A);
    response.metadata.message_type = MessageType::Response;
    for scrap in [
        response.to_vec().unwrap(),
        vec![],
        vec![1, 2, 3],
        vec![0xff; 100],
    ] {
        socket.send_to(&scrap, at).await.unwrap();
    }
    let question = query("db.default.svc.cluster.local.", RecordType::A);
    socket
        .send_to(&question.to_vec().unwrap(), at)
        .await
        .unwrap();
    let mut buf = vec![0; 512];
    let len = timeout(Duration::from_secs(5), socket.recv(&mut buf))
        .await
        .unwrap()
        .unwrap();
    assert_eq!(Message::from_vec(&buf[..len]).unwrap().answers.len(), 1);
}
