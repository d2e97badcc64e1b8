//! The nf_tables ruleset of a node as plain data, and how it gets into the kernel.
//!
//! `Ruleset` says what one table shall hold; `diff` says what must change;
//! `encode` turns that into netlink; `Applier` commits it as one transaction.
//! Only what services need is expressible: a rule is a list of [`Stmt`].
//! Invariants: sets and chains are addressed by name only; a set whose shape
//! changes is a different set and needs a different name.

mod apply;
mod diff;
mod encode;
mod expression;
mod render;

pub use apply::{Applied, Applier, delete_table, foreign_forward_drops};

use crate::netlink::conntrack::UdpFlow;
use ipnet::Ipv4Net;
use std::collections::{BTreeMap, BTreeSet};
use std::net::{Ipv4Addr, SocketAddrV4};

/// A transport protocol that services know.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Protocol {
    /// TCP.
    Tcp,
    /// UDP.
    Udp,
    /// SCTP.
    Sctp,
}

impl Protocol {
    /// The protocol's number in the IP header.
    #[must_use]
    pub fn number(self) -> u8 {
        match self {
            Self::Tcp => 6,
            Self::Udp => 17,
            Self::Sctp => 132,
        }
    }

    /// The name in lower case.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Tcp => "tcp",
            Self::Udp => "udp",
            Self::Sctp => "sctp",
        }
    }
}

/// Everything in kogge's table. `Display` writes it much as `nft list table` would.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Ruleset {
    pub(crate) sets: BTreeMap<String, Set>,
    pub(crate) chains: BTreeMap<String, Chain>,
    /// Translations of UDP that are right now, to find the stale ones.
    pub(crate) udp_flows: BTreeSet<UdpFlow>,
    /// Demands that could not be met, for instance two services on one port; for the log and events.
    pub conflicts: Vec<String>,
}

/// What a set's key is made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Part {
    Address,
    Protocol,
    Port,
    /// Which balancing chain; two words.
    Balancer,
    Index,
}

/// A key or its part.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Atom {
    Address(Ipv4Addr),
    Protocol(Protocol),
    Port(u16),
    Balancer(u64),
    Index(u32),
}

/// What a set maps its keys to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Maps {
    Nothing,
    Verdict,
    Endpoint,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Value {
    Member,
    Goto(String),
    Endpoint(SocketAddrV4),
}

/// A named set or map.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Set {
    pub(crate) key: Vec<Part>,
    pub(crate) maps: Maps,
    /// Filled by packets, with entries that time out; has no elements of ours.
    pub(crate) dynamic: bool,
    pub(crate) elements: BTreeMap<Vec<Atom>, Value>,
}

/// Where a base chain is hooked in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Base {
    pub(crate) nat: bool,
    pub(crate) hook: Hook,
    pub(crate) priority: i32,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Hook {
    Prerouting,
    Input,
    Forward,
    Output,
    Postrouting,
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Chain {
    pub(crate) base: Option<Base>,
    pub(crate) rules: Vec<Vec<Stmt>>,
}

/// A field of the packet, as part of a lookup key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Field {
    Source,
    Destination,
    Protocol,
    DestinationPort,
}

/// Which end of the packet a match looks at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum End {
    Source,
    Destination,
}

/// One statement of a rule. A match that fails ends the rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Stmt {
    /// The packet is not IPv4.
    NotIpv4,
    /// An address lies in the network (or does not).
    Net {
        end: End,
        net: Ipv4Net,
        inside: bool,
    },
    /// An address belongs to this machine (or does not).
    Local {
        end: End,
        is: bool,
    },
    /// The interface's name begins so.
    InFrom(String),
    /// The interface's name does not begin so.
    OutNotTo(String),
    Protocol(Protocol),
    /// First packet of a connection.
    CtNew,
    /// The connection's destination was translated.
    CtTranslated,
    /// The packet carries the bit.
    HasMark(u32),
    SetMark(u32),
    ClearMark(u32),
    InSet {
        fields: Vec<Field>,
        set: String,
    },
    /// Goes where the map says; without an entry to the next rule.
    Vmap {
        fields: Vec<Field>,
        map: String,
    },
    /// Translates to what the map says; without an entry to the next rule.
    DnatMap {
        fields: Vec<Field>,
        map: String,
    },
    /// Translates to one of the `count` entries that the map has for `balancer`, at random.
    DnatRandom {
        balancer: u64,
        count: u32,
        map: String,
    },
    /// As the client was served before, if that endpoint is still one; refreshes the entry.
    AffinityHit {
        map: String,
        members: String,
        timeout_secs: u32,
    },
    /// Forgets a client whose endpoint has gone.
    AffinityForget {
        map: String,
    },
    /// Chooses at random and remembers it.
    AffinityChoose {
        balancer: u64,
        count: u32,
        endpoints: String,
        map: String,
        timeout_secs: u32,
    },
    Masquerade,
    TcpReset,
    PortUnreachable,
    Drop,
    Return,
    Jump(String),
    Goto(String),
}
