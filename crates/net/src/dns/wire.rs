//! Queries in, responses out: what the header says, sizes, truncation.
//!
//! Pure. Invariants: a response never exceeds what the client can take (TC is set
//! and the list of answers cut instead); a query has exactly one question.

use hickory_proto::op::{Edns, Message, MessageType, OpCode, Query, ResponseCode};
use hickory_proto::rr::DNSClass;

/// What a client without EDNS can take (RFC 1035).
const UDP_BYTES_PLAIN: usize = 512;
/// What we send and announce over UDP: fits one unfragmented packet (DNS flag day 2020).
pub(super) const UDP_BYTES_MAX: u16 = 1232;
/// A TCP message has a 16-bit length.
pub(super) const TCP_BYTES_MAX: usize = 65_535;

/// A well-formed query.
pub(super) struct Request {
    pub(super) message: Message,
    pub(super) query: Query,
}

/// What to do with bytes that came in.
pub(super) enum Parsed {
    Query(Box<Request>),
    /// Answer so.
    Reply(Box<Message>),
    /// Not a query at all; answering could start a ping-pong.
    Ignore,
}

pub(super) fn parse(bytes: &[u8]) -> Parsed {
    let Ok(message) = Message::from_vec(bytes) else {
        let Some(id) = bytes.get(..12).map(|h| u16::from_be_bytes([h[0], h[1]])) else {
            return Parsed::Ignore;
        };
        // The top bit of the third byte says that it is a response.
        if bytes[2] & 0x80 != 0 {
            return Parsed::Ignore;
        }
        return Parsed::Reply(Box::new(Message::error_msg(
            id,
            OpCode::Query,
            ResponseCode::FormErr,
        )));
    };
    if message.metadata.message_type != MessageType::Query {
        return Parsed::Ignore;
    }
    let refuse = |code| Parsed::Reply(Box::new(response(&message, code)));
    if message.metadata.op_code != OpCode::Query {
        return refuse(ResponseCode::NotImp);
    }
    if message.edns.as_ref().is_some_and(|e| e.version() > 0) {
        return refuse(ResponseCode::BADVERS);
    }
    match &message.queries[..] {
        [query] if query.query_class() == DNSClass::IN => {
            let query = query.clone();
            Parsed::Query(Box::new(Request { message, query }))
        }
        [_] => refuse(ResponseCode::Refused),
        _ => refuse(ResponseCode::FormErr),
    }
}

/// An empty response to `request` with `code`.
pub(super) fn response(request: &Message, code: ResponseCode) -> Message {
    let mut out = Message::response(request.metadata.id, request.metadata.op_code);
    out.metadata.recursion_desired = request.metadata.recursion_desired;
    out.metadata.recursion_available = true;
    out.metadata.checking_disabled = request.metadata.checking_disabled;
    out.metadata.response_code = code;
    out.queries.clone_from(&request.queries);
    if request.edns.is_some() {
        let mut edns = Edns::new();
        edns.set_max_payload(UDP_BYTES_MAX)
            .set_version(0)
            .set_rcode_high(code.high());
        out.edns = Some(edns);
    }
    out
}

/// How many bytes the sender of `request` takes over UDP.
pub(super) fn udp_limit(request: &Message) -> usize {
    let wanted = request
        .edns
        .as_ref()
        .map_or(UDP_BYTES_PLAIN, |e| usize::from(e.max_payload()));
    wanted.clamp(UDP_BYTES_PLAIN, usize::from(UDP_BYTES_MAX))
}

/// The bytes of `message` in at most `limit`. Additional records are dropped
/// first; then as many answers stay as fit, since some resolvers (musl before
/// 1.2.4) never retry over TCP and make do with these.
pub(super) fn encode(mut message: Message, limit: usize) -> Option<Vec<u8>> {
    let whole = message.to_vec().ok()?;
    if whole.len() <= limit {
        return Some(whole);
    }
    message.additionals.clear();
    let without = message.to_vec().ok()?;
    if without.len() <= limit {
        return Some(without);
    }
    message.metadata.truncation = true;
    message.authorities.clear();
    let all = std::mem::take(&mut message.answers);
    let (mut low, mut high) = (0, all.len());
    let mut best = message.to_vec().ok().filter(|b| b.len() <= limit);
    while low < high {
        let middle = (low + high).div_ceil(2);
        message.answers = all[..middle].to_vec();
        match message.to_vec().ok().filter(|b| b.len() <= limit) {
            Some(bytes) => {
                best = Some(bytes);
                low = middle;
            }
            None => high = middle - 1,
        }
    }
    best
}
