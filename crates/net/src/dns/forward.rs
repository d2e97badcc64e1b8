//! Forwarding questions to upstream resolvers.
//!
//! Speaks UDP, and TCP where the answer was cut, from a fresh random port with a
//! random id each time. Invariants: bounded in flight, in time and in tries;
//! equal questions share one forward, so a loop among resolvers cannot multiply:
//! a question that comes back waits for itself and ends with the time limit.

use super::cache::{Cache, Question};
use super::wire::{TCP_BYTES_MAX, UDP_BYTES_MAX};
use arc_swap::ArcSwap;
use hickory_proto::op::{Edns, Message, MessageType, OpCode, Query};
use hickory_proto::rr::Name;
use std::collections::HashMap;
use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpStream, UdpSocket};
use tokio::sync::{OnceCell, Semaphore};
use tokio::time::{Instant, timeout};

/// Questions being forwarded at once; more are answered SERVFAIL.
pub(super) const IN_FLIGHT_MAX: usize = 512;
/// How long one resolver may take.
const TRY_TIMEOUT: Duration = Duration::from_millis(1500);
/// How long all tries together may take: less than the 5 s after which clients give up.
const TOTAL_TIMEOUT: Duration = Duration::from_secs(4);
/// Every resolver is asked this often.
const ROUNDS: usize = 2;

/// Why there is no answer from upstream.
#[derive(Debug, Clone, thiserror::Error, PartialEq, Eq)]
pub(super) enum ForwardError {
    #[error("no upstream resolver is configured")]
    NoUpstream,
    #[error("no upstream resolver answered in time")]
    NoAnswer,
    #[error("more than {IN_FLIGHT_MAX} questions are being forwarded")]
    Busy,
}

type Shared = Arc<OnceCell<Result<Message, ForwardError>>>;

pub(super) struct Forwarder {
    pub(super) upstreams: ArcSwap<Vec<SocketAddr>>,
    cache: Mutex<Cache>,
    in_flight: Mutex<HashMap<Question, Shared>>,
    permits: Semaphore,
}

impl Forwarder {
    pub(super) fn new(upstreams: Vec<SocketAddr>) -> Self {
        Self {
            upstreams: ArcSwap::from_pointee(upstreams),
            cache: Mutex::default(),
            in_flight: Mutex::default(),
            permits: Semaphore::new(IN_FLIGHT_MAX),
        }
    }

    /// What upstream says to `name`; from the cache if it is known.
    pub(super) async fn resolve(
        &self,
        name: &Name,
        request: &Message,
    ) -> Result<Message, ForwardError> {
        let kind = request
            .queries
            .first()
            .map_or(hickory_proto::rr::RecordType::A, Query::query_type);
        let dnssec = request.edns.as_ref().is_some_and(|e| e.flags().dnssec_ok);
        let flags = (dnssec, request.metadata.checking_disabled);
        let question = Question {
            name: super::zone::key(name),
            kind,
            flags,
        };
        if let Some(known) = lock(&self.cache).get(&question, Instant::now()) {
            return Ok(known);
        }
        let upstreams = self.upstreams.load_full();
        if upstreams.is_empty() {
            return Err(ForwardError::NoUpstream);
        }
        let _permit = self.permits.try_acquire().map_err(|_| ForwardError::Busy)?;
        let shared = Arc::clone(lock(&self.in_flight).entry(question.clone()).or_default());
        let work = async {
            timeout(TOTAL_TIMEOUT, ask_all(&upstreams, name, &question))
                .await
                .ok()
                .flatten()
        };
        let result = shared
            .get_or_init(|| async { work.await.ok_or(ForwardError::NoAnswer) })
            .await
            .clone();
        let mut in_flight = lock(&self.in_flight);
        if in_flight
            .get(&question)
            .is_some_and(|now| Arc::ptr_eq(now, &shared))
        {
            in_flight.remove(&question);
            drop(in_flight);
            if let Ok(message) = &result {
                lock(&self.cache).put(question, message, Instant::now());
            }
        }
        result
    }
}

/// A panic while the lock was held leaves a map that is still a valid map.
fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

async fn ask_all(upstreams: &[SocketAddr], name: &Name, question: &Question) -> Option<Message> {
    use hickory_proto::op::ResponseCode::{NXDomain, NoError};
    let mut poor = None;
    for upstream in upstreams.iter().cycle().take(upstreams.len() * ROUNDS) {
        match timeout(TRY_TIMEOUT, ask(*upstream, name, question)).await {
            Ok(Ok(message)) if matches!(message.metadata.response_code, NoError | NXDomain) => {
                return Some(message);
            }
            // SERVFAIL, REFUSED: another resolver may know better.
            Ok(Ok(message)) => {
                if poor.is_some() && upstreams.len() == 1 {
                    break;
                }
                poor = Some(message);
            }
            Ok(Err(error)) => tracing::debug!(%upstream, %error, "upstream resolver failed"),
            Err(_) => tracing::debug!(%upstream, "upstream resolver did not answer in time"),
        }
    }
    poor
}

async fn ask(upstream: SocketAddr, name: &Name, question: &Question) -> io::Result<Message> {
    let id = rand::random::<u16>();
    let mut query = Message::new(id, MessageType::Query, OpCode::Query);
    query.metadata.recursion_desired = true;
    query.metadata.checking_disabled = question.flags.1;
    query.add_query(Query::query(name.clone(), question.kind));
    let mut edns = Edns::new();
    edns.set_max_payload(UDP_BYTES_MAX)
        .set_dnssec_ok(question.flags.0);
    query.edns = Some(edns);
    let bytes = query.to_vec().map_err(io::Error::other)?;
    let answer = ask_udp(upstream, &bytes, id, question).await?;
    if answer.metadata.truncation {
        ask_tcp(upstream, &bytes, id, question).await
    } else {
        Ok(answer)
    }
}

async fn ask_udp(
    upstream: SocketAddr,
    query: &[u8],
    id: u16,
    question: &Question,
) -> io::Result<Message> {
    let any: SocketAddr = match upstream {
        SocketAddr::V4(_) => (Ipv4Addr::UNSPECIFIED, 0).into(),
        SocketAddr::V6(_) => (Ipv6Addr::UNSPECIFIED, 0).into(),
    };
    let socket = UdpSocket::bind(any).await?;
    socket.connect(upstream).await?;
    socket.send(query).await?;
    let mut buf = vec![0; usize::from(UDP_BYTES_MAX) * 2];
    loop {
        // What does not fit the question is forged or late; the time limit ends the wait.
        let len = socket.recv(&mut buf).await?;
        if let Some(answer) = check(&buf[..len], id, question) {
            return Ok(answer);
        }
    }
}

async fn ask_tcp(
    upstream: SocketAddr,
    query: &[u8],
    id: u16,
    question: &Question,
) -> io::Result<Message> {
    let mut stream = TcpStream::connect(upstream).await?;
    let len = u16::try_from(query.len()).map_err(io::Error::other)?;
    stream
        .write_all(&[&len.to_be_bytes(), query].concat())
        .await?;
    let len = usize::from(stream.read_u16().await?);
    debug_assert!(len <= TCP_BYTES_MAX);
    let mut buf = vec![0; len];
    stream.read_exact(&mut buf).await?;
    check(&buf, id, question)
        .ok_or_else(|| io::Error::other("the answer does not fit the question"))
}

fn check(bytes: &[u8], id: u16, question: &Question) -> Option<Message> {
    let message = Message::from_vec(bytes).ok()?;
    let [query] = &message.queries[..] else {
        return None;
    };
    let fits = message.metadata.id == id
        && message.metadata.message_type == MessageType::Response
        && query.query_type() == question.kind
        && super::zone::key(query.name()) == question.name;
    fits.then_some(message)
}
