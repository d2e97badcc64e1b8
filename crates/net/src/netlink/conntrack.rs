//! Removing connection-tracking entries of UDP flows whose endpoint is gone.
//!
//! A UDP client that keeps its socket would be sent to a dead endpoint for as
//! long as it goes on sending, since its entry is refreshed by every packet.

use super::socket::{Protocol, Socket};
use super::wire::{self, Message, find};
use crate::error::{NetError, gone_is_fine};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

const SUBSYSTEM: u16 = 1 << 8;
const CT_GET: u16 = SUBSYSTEM | 1;
const CT_DELETE: u16 = SUBSYSTEM | 2;
const CTA_TUPLE_ORIG: u16 = 1;
const CTA_TUPLE_REPLY: u16 = 2;
const CTA_TUPLE_IP: u16 = 1;
const CTA_TUPLE_PROTO: u16 = 2;
const NFPROTO_IPV4: u8 = 2;

/// A translated UDP flow: where the client sends to and who answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct UdpFlow {
    pub(crate) original: SocketAddr,
    pub(crate) endpoint: SocketAddr,
}

impl UdpFlow {
    /// The same flow as a node port knows it: to whichever address of the node.
    pub(crate) fn at_any_address(&self) -> Self {
        let original = SocketAddr::new(Ipv4Addr::UNSPECIFIED.into(), self.original.port());
        Self {
            original,
            endpoint: self.endpoint,
        }
    }
}

struct Entry {
    flow: UdpFlow,
    original_tuple: Vec<u8>,
}

/// Deletes every translated IPv4 UDP flow that `stale` picks; returns how many.
pub(crate) fn delete_udp(stale: impl Fn(&UdpFlow) -> bool) -> Result<usize, NetError> {
    let mut socket = Socket::open(Protocol::Netfilter)?;
    let mut list = Message::new(CT_GET, 0, "list connection-tracking entries");
    list.raw(&[NFPROTO_IPV4, 0, 0, 0]);
    let entries = socket.dump(&list, |_, body| read_udp(body.get(4..)?))?;
    let mut deleted = 0;
    for entry in entries.into_iter().filter(|e| stale(&e.flow)) {
        let op = format!("delete the tracked UDP flow to {}", entry.flow.original);
        let mut m = Message::new(CT_DELETE, 0, op);
        m.raw(&[NFPROTO_IPV4, 0, 0, 0]);
        m.nest(CTA_TUPLE_ORIG, |m| {
            m.raw(&entry.original_tuple);
        });
        gone_is_fine(socket.request(m))?;
        deleted += 1;
    }
    Ok(deleted)
}

fn read_udp(attributes: &[u8]) -> Option<Entry> {
    let original_tuple = find(attributes, CTA_TUPLE_ORIG)?;
    let original = tuple(original_tuple)?;
    let reply = tuple(find(attributes, CTA_TUPLE_REPLY)?)?;
    // The reply comes from where the packet was really sent.
    let flow = UdpFlow {
        original: original.destination,
        endpoint: reply.source,
    };
    (original.protocol == libc::IPPROTO_UDP && flow.original != flow.endpoint).then(|| Entry {
        flow,
        original_tuple: original_tuple.to_vec(),
    })
}

struct Tuple {
    protocol: i32,
    source: SocketAddr,
    destination: SocketAddr,
}

fn tuple(bytes: &[u8]) -> Option<Tuple> {
    let ips = find(bytes, CTA_TUPLE_IP)?;
    let proto = find(bytes, CTA_TUPLE_PROTO)?;
    let ip = |kind| {
        find(ips, kind)
            .and_then(|v| <[u8; 4]>::try_from(v).ok())
            .map(|v| IpAddr::from(Ipv4Addr::from(v)))
    };
    let port = |kind| {
        find(proto, kind)
            .and_then(|v| wire::u16_at(v, 0))
            .map(u16::from_be)
    };
    Some(Tuple {
        protocol: i32::from(*find(proto, 1)?.first()?),
        source: SocketAddr::new(ip(1)?, port(2)?),
        destination: SocketAddr::new(ip(2)?, port(3)?),
    })
}
