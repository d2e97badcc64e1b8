//! A connection against a peer that writes its frames by hand.

use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};

use super::*;
use crate::pipe::STREAM_BUFFER;
use crate::spdy::frame::{HEAD, Head, data_head};
use crate::spdy::headers::{Packer, Unpacker};

#[derive(Debug, PartialEq)]
enum Frame {
    Data(u32, usize, bool),
    Control(Control),
}

struct Peer {
    io: DuplexStream,
    packer: Packer,
    unpacker: Unpacker,
}

impl Peer {
    fn new(manner: Manner) -> (Self, Connection) {
        let (io, other) = tokio::io::duplex(1 << 20);
        let connection = Connection::start(other, manner, &Limits::default());
        let peer = Self {
            io,
            packer: Packer::new().unwrap(),
            unpacker: Unpacker::new(),
        };
        (peer, connection)
    }

    async fn send(&mut self, control: Control) {
        let frame = control.encode(&mut self.packer).unwrap();
        self.io.write_all(&frame).await.unwrap();
    }

    async fn syn(&mut self, stream: u32) {
        let headers = Headers::new(&[("n", &stream.to_string())]);
        let fin = false;
        self.send(Control::SynStream {
            stream,
            headers,
            fin,
        })
        .await;
    }

    async fn data(&mut self, stream: u32, bytes: &[u8]) {
        let head = data_head(stream, false, bytes.len());
        self.io.write_all(&head).await.unwrap();
        self.io.write_all(bytes).await.unwrap();
    }

    /// The next frame; `None` when none comes any more.
    async fn next(&mut self) -> Option<Frame> {
        let read = tokio::time::timeout(Duration::from_secs(1), self.read());
        read.await.ok().flatten()
    }

    async fn read(&mut self) -> Option<Frame> {
        let mut head = [0; HEAD];
        self.io.read_exact(&mut head).await.ok()?;
        let (size, head) = match Head::parse(head).unwrap() {
            head @ (Head::Data { size, .. } | Head::Control { size, .. }) => (size, head),
        };
        let mut payload = vec![0; size];
        self.io.read_exact(&mut payload).await.ok()?;
        Some(match head {
            Head::Data { stream, fin, size } => Frame::Data(stream, size, fin),
            Head::Control { kind, fin, .. } => {
                Frame::Control(Control::parse(kind, fin, &payload, &mut self.unpacker).unwrap())
            }
        })
    }

    async fn greeted(manner: Manner) -> (Self, Connection) {
        let (mut peer, connection) = Self::new(manner);
        let settings = peer.next().await.unwrap();
        assert!(matches!(settings, Frame::Control(Control::Settings { .. })));
        (peer, connection)
    }
}

fn all() -> Manner {
    Manner::server(|_| true)
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_never_counts_gets_no_credit_and_no_limit() {
    let (mut peer, mut connection) = Peer::greeted(all()).await;
    peer.syn(1).await;
    let mut stream = connection.accept().await.unwrap().duplex;
    peer.data(1, &[1; STREAM_BUFFER]).await;
    stream.read_exact(&mut [0; STREAM_BUFFER]).await.unwrap();
    let send = async {
        stream.write_all(&[2; 3 * STREAM_BUFFER]).await.unwrap();
        stream.shutdown().await.unwrap();
    };
    let receive = async {
        let mut size = 0;
        loop {
            match peer.next().await.unwrap() {
                Frame::Data(1, n, fin) => {
                    size += n;
                    if fin {
                        return size;
                    }
                }
                Frame::Control(Control::SynReply { stream: 1, .. }) => {}
                frame => panic!("{frame:?}"),
            }
        }
    };
    let ((), size) = tokio::join!(send, receive);
    assert_eq!(size, 3 * STREAM_BUFFER);
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_counts_gets_credit_and_is_sent_no_more_than_its_window() {
    let (mut peer, mut connection) = Peer::greeted(all()).await;
    let settings = Control::Settings {
        window: Some(1000),
        max_streams: None,
    };
    peer.send(settings).await;
    peer.syn(1).await;
    let mut stream = connection.accept().await.unwrap().duplex;
    stream.write_all(&[2; 5000]).await.unwrap();
    assert!(matches!(
        peer.next().await,
        Some(Frame::Control(Control::SynReply { stream: 1, .. }))
    ));
    assert_eq!(peer.next().await, Some(Frame::Data(1, 1000, false)));
    assert_eq!(peer.next().await, None);
    let (stream_id, delta) = (1, 700);
    peer.send(Control::WindowUpdate {
        stream: stream_id,
        delta,
    })
    .await;
    assert_eq!(peer.next().await, Some(Frame::Data(1, 700, false)));
    peer.data(1, &[1; STREAM_BUFFER]).await;
    stream.read_exact(&mut [0; STREAM_BUFFER]).await.unwrap();
    let mut credit = [0, 0];
    while let Some(frame) = peer.next().await {
        let Frame::Control(Control::WindowUpdate { stream, delta }) = frame else {
            panic!("{frame:?}");
        };
        credit[stream as usize] += delta as usize;
    }
    assert_eq!(credit, [STREAM_BUFFER, STREAM_BUFFER]);
}

#[tokio::test(start_paused = true)]
async fn streams_that_are_not_wanted_or_wrongly_numbered_are_reset() {
    let (mut peer, mut connection) =
        Peer::greeted(Manner::server(|headers| headers.get("n") != Some("3"))).await;
    for stream in [3, 4, 7, 5, 7] {
        peer.syn(stream).await;
    }
    let mut resets = Vec::new();
    while let Some(frame) = peer.next().await {
        if let Frame::Control(Control::RstStream { stream, status }) = frame {
            resets.push((stream, status));
        }
    }
    // Denied; even; past; twice.
    assert_eq!(resets, [(3, 5), (4, 1), (5, 1), (7, 1)]);
    assert_eq!(connection.accept().await.unwrap().id, 7);
}

#[tokio::test(start_paused = true)]
async fn streams_past_the_limit_are_refused() {
    let (mut peer, mut connection) = Peer::greeted(all()).await;
    let mut held = Vec::new();
    let last = u32::try_from(MAX_STREAMS).unwrap();
    for index in 0..last {
        peer.syn(2 * index + 1).await;
        held.push(connection.accept().await.unwrap());
        peer.next().await.unwrap();
    }
    peer.syn(2 * last + 1).await;
    let refused = reset(2 * last + 1, Reset::Refused);
    assert_eq!(peer.next().await, Some(Frame::Control(refused)));
}

#[tokio::test(start_paused = true)]
async fn a_reset_is_a_cut_or_an_end_as_the_manner_has_it() {
    for reset_ends in [false, true] {
        let manner = Manner {
            reset_ends,
            ..Manner::client()
        };
        let (mut peer, connection) = Peer::greeted(manner).await;
        let opened = connection.opener().open(Headers::default()).await;
        let mut stream = opened.unwrap();
        peer.data(1, b"last words").await;
        peer.send(reset(1, Reset::Cancel)).await;
        let mut text = Vec::new();
        let read = stream.read_to_end(&mut text).await;
        assert_eq!(text, b"last words");
        assert_eq!(read.is_ok(), reset_ends);
        assert!(stream.write_all(b"x").await.is_err());
    }
}

#[tokio::test(start_paused = true)]
async fn closing_sends_what_was_written_and_then_goodbye() {
    let (mut peer, mut connection) = Peer::greeted(all()).await;
    peer.syn(1).await;
    let mut stream = connection.accept().await.unwrap().duplex;
    stream.write_all(&[0; 100]).await.unwrap();
    let close = connection.close();
    let read = async {
        peer.next().await;
        let data = peer.next().await;
        let goodbye = peer.next().await;
        drop(peer);
        (data, goodbye)
    };
    let (closed, (data, goodbye)) = tokio::join!(close, read);
    assert!(closed.is_ok(), "{closed:?}");
    // The end may come with the bytes or behind them.
    assert!(matches!(data, Some(Frame::Data(1, 100, _))), "{data:?}");
    let bye = Control::Goaway {
        last_stream: 1,
        status: 0,
    };
    let end = Frame::Data(1, 0, true);
    assert!(
        goodbye == Some(Frame::Control(bye)) || goodbye == Some(end),
        "{goodbye:?}"
    );
}

#[tokio::test(start_paused = true)]
async fn after_a_goodbye_nothing_can_be_opened() {
    let (mut peer, connection) = Peer::greeted(Manner::client()).await;
    peer.send(Control::Goaway {
        last_stream: 0,
        status: 0,
    })
    .await;
    assert!(matches!(
        peer.next().await,
        Some(Frame::Control(Control::Goaway { .. }))
    ));
    let opened = connection.opener().open(Headers::default()).await;
    assert!(matches!(opened.err(), Some(StreamError::Closed)));
}

#[tokio::test(start_paused = true)]
async fn a_connection_on_which_nothing_moves_ends_after_the_idle_timeout() {
    let (_peer, mut connection) = Peer::greeted(all()).await;
    let start = tokio::time::Instant::now();
    assert!(connection.accept().await.is_none());
    let idle = Limits::default().idle_timeout;
    assert!(start.elapsed() >= idle - Duration::from_secs(1));
    assert!(matches!(connection.why(), Some(StreamError::Idle(limit)) if limit == idle));
}
