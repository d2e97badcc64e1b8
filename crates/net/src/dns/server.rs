//! The DNS server: sockets, and which of zone and upstream answers.
//!
//! Reads the current zone (swapped whole by the caller) and the network; writes
//! responses. Invariants: tasks, connections and idle time are bounded; a
//! malformed packet costs one parse.

use super::forward::{ForwardError, Forwarder, IN_FLIGHT_MAX};
use super::wire::{self, Parsed, Request, TCP_BYTES_MAX};
use super::zone::{Answer, Zone};
use arc_swap::ArcSwap;
use hickory_proto::op::{Message, ResponseCode};
use hickory_proto::rr::Name;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream, UdpSocket};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::timeout;

/// TCP connections at once; more wait in the listen queue.
const CONNECTIONS_MAX: usize = 256;
/// A TCP client that says nothing for so long is disconnected.
const IDLE_TIMEOUT: Duration = Duration::from_secs(10);
/// The largest query taken over UDP.
const QUERY_BYTES_MAX: usize = 4096;
/// After an error of a socket (out of descriptors, say) it rests so long.
const ERROR_PAUSE: Duration = Duration::from_millis(50);

/// The sockets to answer on, bound by the caller: each to an address of its own,
/// since a UDP socket bound to all addresses may answer from another one.
#[derive(Debug, Default)]
pub struct Listeners {
    /// UDP sockets.
    pub udp: Vec<UdpSocket>,
    /// TCP listeners.
    pub tcp: Vec<TcpListener>,
}

impl Listeners {
    /// UDP and TCP at `at`.
    ///
    /// # Errors
    /// What binding says.
    pub async fn bind(at: SocketAddr) -> io::Result<Self> {
        let tcp = TcpListener::bind(at).await?;
        // With port 0 both shall have the same.
        let udp = UdpSocket::bind(tcp.local_addr()?).await?;
        Ok(Self {
            udp: vec![udp],
            tcp: vec![tcp],
        })
    }

    /// All addresses listened on.
    #[must_use]
    pub fn addresses(&self) -> Vec<SocketAddr> {
        let udp = self.udp.iter().filter_map(|s| s.local_addr().ok());
        udp.chain(self.tcp.iter().filter_map(|s| s.local_addr().ok()))
            .collect()
    }
}

/// The server's state; zone and upstreams may be changed while it runs.
pub struct DnsServer {
    zone: ArcSwap<Zone>,
    forwarder: Forwarder,
    /// Varies the order of addresses from answer to answer.
    counter: AtomicU64,
    udp_tasks: Arc<Semaphore>,
    connections: Arc<Semaphore>,
}

impl std::fmt::Debug for DnsServer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("DnsServer")
            .field("domain", self.zone.load().domain())
            .finish_non_exhaustive()
    }
}

impl DnsServer {
    /// A server for `zone` that forwards the rest to `upstreams`, in their order.
    #[must_use]
    pub fn new(zone: Zone, upstreams: Vec<SocketAddr>) -> Arc<Self> {
        Arc::new(Self {
            zone: ArcSwap::from_pointee(zone),
            forwarder: Forwarder::new(upstreams),
            counter: AtomicU64::new(0),
            udp_tasks: Arc::new(Semaphore::new(2 * IN_FLIGHT_MAX)),
            connections: Arc::new(Semaphore::new(CONNECTIONS_MAX)),
        })
    }

    /// Answers from `zone` from now on.
    pub fn set_zone(&self, zone: Zone) {
        self.zone.store(Arc::new(zone));
    }

    /// Forwards to `upstreams` from now on.
    pub fn set_upstreams(&self, upstreams: Vec<SocketAddr>) {
        self.forwarder.upstreams.store(Arc::new(upstreams));
    }

    /// Serves until the future is dropped. Upstreams that are our own listeners are ignored.
    pub async fn run(self: Arc<Self>, listeners: Listeners) {
        let own = listeners.addresses();
        let upstreams = self.forwarder.upstreams.load_full();
        if upstreams.iter().any(|u| own.contains(u)) {
            tracing::warn!("an upstream resolver is this server itself; not forwarding to it");
            self.set_upstreams(
                upstreams
                    .iter()
                    .filter(|u| !own.contains(u))
                    .copied()
                    .collect(),
            );
        }
        let mut tasks = JoinSet::new();
        for socket in listeners.udp {
            tasks.spawn(Arc::clone(&self).serve_udp(Arc::new(socket)));
        }
        for listener in listeners.tcp {
            tasks.spawn(Arc::clone(&self).serve_tcp(listener));
        }
        while let Some(ended) = tasks.join_next().await {
            if let Err(error) = ended {
                tracing::error!(%error, "a DNS listener failed");
            }
        }
    }

    async fn serve_udp(self: Arc<Self>, socket: Arc<UdpSocket>) {
        let mut buf = vec![0; QUERY_BYTES_MAX];
        let mut waiting = JoinSet::new();
        loop {
            while waiting.try_join_next().is_some() {}
            let (len, from) = match socket.recv_from(&mut buf).await {
                Ok(received) => received,
                Err(error) => {
                    // A client's port that is closed comes back as an error here.
                    tracing::debug!(%error, "receiving a DNS query failed");
                    if error.kind() != io::ErrorKind::ConnectionRefused {
                        tokio::time::sleep(ERROR_PAUSE).await;
                    }
                    continue;
                }
            };
            let request = match wire::parse(&buf[..len]) {
                Parsed::Ignore => continue,
                Parsed::Reply(reply) => {
                    send_udp(&socket, from, *reply, usize::from(wire::UDP_BYTES_MAX)).await;
                    continue;
                }
                Parsed::Query(request) => request,
            };
            let limit = wire::udp_limit(&request.message);
            if let Some(reply) = self.answer_now(&request) {
                send_udp(&socket, from, reply, limit).await;
                continue;
            }
            let Ok(permit) = Arc::clone(&self.udp_tasks).try_acquire_owned() else {
                send_udp(
                    &socket,
                    from,
                    wire::response(&request.message, ResponseCode::ServFail),
                    limit,
                )
                .await;
                continue;
            };
            let (server, socket) = (Arc::clone(&self), Arc::clone(&socket));
            waiting.spawn(async move {
                let reply = server.answer(&request).await;
                send_udp(&socket, from, reply, limit).await;
                drop(permit);
            });
        }
    }

    async fn serve_tcp(self: Arc<Self>, listener: TcpListener) {
        let mut open = JoinSet::new();
        loop {
            while open.try_join_next().is_some() {}
            // The semaphore is never closed, so this waits and does not fail.
            let Ok(permit) = Arc::clone(&self.connections).acquire_owned().await else {
                return;
            };
            match listener.accept().await {
                Ok((stream, _)) => {
                    let server = Arc::clone(&self);
                    open.spawn(async move {
                        // A client that goes away has no one left to tell.
                        let _ = server.serve_connection(stream).await;
                        drop(permit);
                    });
                }
                Err(error) => {
                    tracing::debug!(%error, "accepting a DNS connection failed");
                    tokio::time::sleep(ERROR_PAUSE).await;
                }
            }
        }
    }

    async fn serve_connection(&self, mut stream: TcpStream) -> io::Result<()> {
        loop {
            let query = timeout(IDLE_TIMEOUT, async {
                let len = usize::from(stream.read_u16().await?);
                let mut buf = vec![0; len];
                stream.read_exact(&mut buf).await.map(|_| buf)
            });
            let query = query
                .await
                .map_err(|_| io::Error::from(io::ErrorKind::TimedOut))??;
            let reply = match wire::parse(&query) {
                Parsed::Ignore => return Ok(()),
                Parsed::Reply(reply) => *reply,
                Parsed::Query(request) => self.answer(&request).await,
            };
            let Some(bytes) = wire::encode(reply, TCP_BYTES_MAX) else {
                return Ok(());
            };
            let len = u16::try_from(bytes.len()).map_err(io::Error::other)?;
            let write = async {
                stream
                    .write_all(&[&len.to_be_bytes()[..], &bytes].concat())
                    .await
            };
            timeout(IDLE_TIMEOUT, write)
                .await
                .map_err(|_| io::Error::from(io::ErrorKind::TimedOut))??;
        }
    }

    fn zone_answer(&self, request: &Request) -> Option<Answer> {
        let seed = self.counter.fetch_add(0x9e37_79b9, Ordering::Relaxed)
            ^ u64::from(request.message.metadata.id);
        self.zone
            .load()
            .answer(request.query.name(), request.query.query_type(), seed)
    }

    /// The response, if no other server has to be asked.
    fn answer_now(&self, request: &Request) -> Option<Message> {
        let answer = self.zone_answer(request)?;
        answer
            .continue_at
            .is_none()
            .then(|| authoritative(&request.message, answer))
    }

    async fn answer(&self, request: &Request) -> Message {
        match self.zone_answer(request) {
            None => self.forward(request).await,
            Some(mut answer) => match answer.continue_at.take() {
                None => authoritative(&request.message, answer),
                Some(target) => self.follow(request, answer, &target).await,
            },
        }
    }

    async fn forward(&self, request: &Request) -> Message {
        match self
            .forwarder
            .resolve(request.query.name(), &request.message)
            .await
        {
            Ok(upstream) => {
                let mut reply = wire::response(&request.message, upstream.metadata.response_code);
                reply.metadata.authentic_data = upstream.metadata.authentic_data;
                reply.answers = upstream.answers;
                reply.authorities = upstream.authorities;
                reply.additionals = upstream.additionals;
                reply
            }
            Err(error) => failure(request, request.query.name(), &error),
        }
    }

    /// Appends what upstream knows of an alias' target.
    async fn follow(&self, request: &Request, answer: Answer, target: &Name) -> Message {
        let mut reply = authoritative(&request.message, answer);
        match self.forwarder.resolve(target, &request.message).await {
            Ok(upstream) => {
                reply.metadata.response_code = upstream.metadata.response_code;
                reply.answers.extend(upstream.answers);
                reply.authorities.extend(upstream.authorities);
            }
            Err(error) => {
                reply.metadata.response_code =
                    failure(request, target, &error).metadata.response_code;
            }
        }
        reply
    }
}

fn authoritative(request: &Message, answer: Answer) -> Message {
    let mut reply = wire::response(request, answer.code);
    reply.metadata.authoritative = true;
    reply.answers = answer.answers;
    reply.authorities = answer.authorities;
    reply.additionals = answer.additionals;
    reply
}

fn failure(request: &Request, name: &Name, error: &ForwardError) -> Message {
    tracing::debug!(%name, %error, "a question was not forwarded");
    let code = match error {
        ForwardError::NoUpstream => ResponseCode::Refused,
        ForwardError::NoAnswer | ForwardError::Busy => ResponseCode::ServFail,
    };
    wire::response(&request.message, code)
}

async fn send_udp(socket: &UdpSocket, to: SocketAddr, reply: Message, limit: usize) {
    let Some(bytes) = wire::encode(reply, limit) else {
        return;
    };
    if let Err(error) = socket.send_to(&bytes, to).await {
        tracing::debug!(%to, %error, "sending a DNS response failed");
    }
}
