//! Links, addresses, routes and neighbours by rtnetlink.
//!
//! Additions are "create or replace", so that repeating one is harmless.

use super::socket::{Protocol, Socket};
use super::wire::{self, Message, NLM_F_CREATE, NLM_F_EXCL, NLM_F_REPLACE, attrs, find};
use crate::error::NetError;
use ipnet::IpNet;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::os::fd::{AsRawFd, BorrowedFd};

const RTM_NEWLINK: u16 = 16;
const RTM_DELLINK: u16 = 17;
const RTM_GETLINK: u16 = 18;
const RTM_NEWADDR: u16 = 20;
const RTM_GETADDR: u16 = 22;
const RTM_NEWROUTE: u16 = 24;
const RTM_DELROUTE: u16 = 25;
const RTM_GETROUTE: u16 = 26;
const RTM_NEWNEIGH: u16 = 28;

const IFLA_ADDRESS: u16 = 1;
const IFLA_IFNAME: u16 = 3;
const IFLA_MTU: u16 = 4;
const IFLA_LINKINFO: u16 = 18;
const IFLA_IFALIAS: u16 = 20;
const IFLA_NET_NS_FD: u16 = 28;
const IFLA_INFO_KIND: u16 = 1;
const IFLA_INFO_DATA: u16 = 2;
const VETH_INFO_PEER: u16 = 1;

const RTA_DST: u16 = 1;
const RTA_OIF: u16 = 4;
const RTA_GATEWAY: u16 = 5;
const RTA_PRIORITY: u16 = 6;
const RTA_PREFSRC: u16 = 7;
const RTA_TABLE: u16 = 15;

const IFF_UP: u32 = 1;
const IFF_LOOPBACK: u32 = 8;
const RT_TABLE_MAIN: u8 = 254;
const RT_SCOPE_UNIVERSE: u8 = 0;
const RT_SCOPE_LINK: u8 = 253;
const NUD_PERMANENT: u16 = 0x80;

/// A link-layer address.
pub(crate) type Mac = [u8; 6];

/// A network interface as the kernel describes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Link {
    pub(crate) index: u32,
    pub(crate) name: String,
    pub(crate) alias: String,
    pub(crate) mtu: u32,
    pub(crate) mac: Option<Mac>,
    pub(crate) up: bool,
    pub(crate) loopback: bool,
}

/// An address of an interface.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Address {
    pub(crate) index: u32,
    pub(crate) ip: IpAddr,
    /// Whether other machines may use it (scope global).
    pub(crate) global: bool,
}

/// What a route does with a packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum RouteKind {
    Unicast,
    /// Answer at once that the host cannot be reached.
    Unreachable,
    Other(u8),
}

/// A route of the main table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Route {
    pub(crate) dst: IpNet,
    pub(crate) kind: RouteKind,
    pub(crate) oif: Option<u32>,
    pub(crate) gateway: Option<IpAddr>,
    pub(crate) source: Option<IpAddr>,
    pub(crate) metric: u32,
    pub(crate) protocol: u8,
}

impl Route {
    /// A route to `dst` out of interface `oif`.
    pub(crate) fn link(dst: IpNet, oif: u32, protocol: u8) -> Self {
        Self {
            dst,
            kind: RouteKind::Unicast,
            oif: Some(oif),
            gateway: None,
            source: None,
            metric: 0,
            protocol,
        }
    }
}

/// One end of a veth pair to be made.
pub(crate) struct VethEnd<'a> {
    pub(crate) name: &'a str,
    pub(crate) mac: Mac,
}

/// An rtnetlink socket.
#[derive(Debug)]
pub(crate) struct RouteSocket(Socket);

impl RouteSocket {
    pub(crate) fn open() -> Result<Self, NetError> {
        Ok(Self(Socket::open(Protocol::Route)?))
    }

    pub(crate) fn links(&mut self) -> Result<Vec<Link>, NetError> {
        let mut m = Message::new(RTM_GETLINK, 0, "list links");
        m.raw(&ifinfomsg(0, 0));
        self.0.dump(&m, |kind, body| {
            (kind == RTM_NEWLINK).then(|| read_link(body)).flatten()
        })
    }

    pub(crate) fn link(&mut self, name: &str) -> Result<Option<Link>, NetError> {
        Ok(self.links()?.into_iter().find(|l| l.name == name))
    }

    /// Makes a veth pair; the peer is born in `peer_ns` if given. The host's end
    /// is set up, the peer (which cannot be before it has a partner) is not.
    pub(crate) fn add_veth(
        &mut self,
        host: &VethEnd<'_>,
        peer: &VethEnd<'_>,
        peer_ns: Option<BorrowedFd<'_>>,
        mtu: u32,
        alias: &str,
    ) -> Result<(), NetError> {
        let mut m = Message::new(
            RTM_NEWLINK,
            NLM_F_CREATE | NLM_F_EXCL,
            format!("add link {}", host.name),
        );
        m.raw(&ifinfomsg(0, 0));
        m.text(IFLA_IFNAME, host.name)
            .attr(IFLA_ADDRESS, &host.mac)
            .u32(IFLA_MTU, mtu);
        m.nest(IFLA_LINKINFO, |m| {
            m.text(IFLA_INFO_KIND, "veth").nest(IFLA_INFO_DATA, |m| {
                m.nest(VETH_INFO_PEER, |m| {
                    m.raw(&ifinfomsg(0, 0));
                    m.text(IFLA_IFNAME, peer.name)
                        .attr(IFLA_ADDRESS, &peer.mac)
                        .u32(IFLA_MTU, mtu);
                    if let Some(ns) = peer_ns {
                        m.u32(IFLA_NET_NS_FD, ns.as_raw_fd().cast_unsigned());
                    }
                });
            });
        });
        self.0.request(m)?;
        self.bring_up(host.name, alias)
    }

    fn bring_up(&mut self, name: &str, alias: &str) -> Result<(), NetError> {
        let mut m = Message::new(RTM_NEWLINK, 0, format!("set link {name} up"));
        m.raw(&ifinfomsg(0, IFF_UP)).text(IFLA_IFNAME, name);
        if !alias.is_empty() {
            m.text(IFLA_IFALIAS, alias);
        }
        self.0.request(m)
    }

    pub(crate) fn add_dummy(&mut self, name: &str) -> Result<(), NetError> {
        let mut m = Message::new(
            RTM_NEWLINK,
            NLM_F_CREATE | NLM_F_EXCL,
            format!("add dummy link {name}"),
        );
        m.raw(&ifinfomsg(0, IFF_UP)).text(IFLA_IFNAME, name);
        m.nest(IFLA_LINKINFO, |m| {
            m.text(IFLA_INFO_KIND, "dummy");
        });
        self.0.request(m)
    }

    pub(crate) fn set_up(&mut self, index: u32) -> Result<(), NetError> {
        let mut m = Message::new(RTM_NEWLINK, 0, format!("set link {index} up"));
        m.raw(&ifinfomsg(index, IFF_UP));
        self.0.request(m)
    }

    pub(crate) fn delete_link(&mut self, name: &str) -> Result<(), NetError> {
        let mut m = Message::new(RTM_DELLINK, 0, format!("delete link {name}"));
        m.raw(&ifinfomsg(0, 0)).text(IFLA_IFNAME, name);
        self.0.request(m)
    }

    pub(crate) fn addresses(&mut self) -> Result<Vec<Address>, NetError> {
        let mut m = Message::new(RTM_GETADDR, 0, "list addresses");
        m.raw(&[0; 8]);
        self.0.dump(&m, |kind, body| {
            (kind == RTM_NEWADDR).then(|| read_address(body)).flatten()
        })
    }

    pub(crate) fn add_address(&mut self, index: u32, net: IpNet) -> Result<(), NetError> {
        const IFA_ADDRESS: u16 = 1;
        const IFA_LOCAL: u16 = 2;
        let mut m = Message::new(
            RTM_NEWADDR,
            NLM_F_CREATE | NLM_F_REPLACE,
            format!("add address {net}"),
        );
        let mut body = vec![family(net.addr()), net.prefix_len(), 0, RT_SCOPE_UNIVERSE];
        body.extend(index.to_ne_bytes());
        m.raw(&body)
            .attr(IFA_LOCAL, &octets(net.addr()))
            .attr(IFA_ADDRESS, &octets(net.addr()));
        self.0.request(m)
    }

    pub(crate) fn routes(&mut self) -> Result<Vec<Route>, NetError> {
        let mut m = Message::new(RTM_GETROUTE, 0, "list routes");
        m.raw(&[0; 12]);
        self.0.dump(&m, |kind, body| {
            (kind == RTM_NEWROUTE).then(|| read_route(body)).flatten()
        })
    }

    pub(crate) fn add_route(&mut self, route: &Route) -> Result<(), NetError> {
        let op = format!("add route to {}", route.dst);
        self.0.request(route_message(
            RTM_NEWROUTE,
            NLM_F_CREATE | NLM_F_REPLACE,
            op,
            route,
        ))
    }

    pub(crate) fn delete_route(&mut self, route: &Route) -> Result<(), NetError> {
        self.0.request(route_message(
            RTM_DELROUTE,
            0,
            format!("delete route to {}", route.dst),
            route,
        ))
    }

    /// A neighbour entry that never has to be asked for on the wire.
    pub(crate) fn add_neighbour(
        &mut self,
        index: u32,
        ip: IpAddr,
        mac: Mac,
    ) -> Result<(), NetError> {
        const NDA_DST: u16 = 1;
        const NDA_LLADDR: u16 = 2;
        let mut m = Message::new(
            RTM_NEWNEIGH,
            NLM_F_CREATE | NLM_F_REPLACE,
            format!("add neighbour {ip}"),
        );
        let mut body = vec![family(ip), 0, 0, 0];
        body.extend(index.to_ne_bytes());
        body.extend(NUD_PERMANENT.to_ne_bytes());
        body.extend([0, 0]);
        m.raw(&body)
            .attr(NDA_DST, &octets(ip))
            .attr(NDA_LLADDR, &mac);
        self.0.request(m)
    }
}

fn route_message(kind: u16, flags: u16, op: String, route: &Route) -> Message {
    let mut m = Message::new(kind, flags, op);
    let scope = if route.gateway.is_none() && route.kind == RouteKind::Unicast {
        RT_SCOPE_LINK
    } else {
        RT_SCOPE_UNIVERSE
    };
    let kind = match route.kind {
        RouteKind::Unicast => libc::RTN_UNICAST,
        RouteKind::Unreachable => libc::RTN_UNREACHABLE,
        RouteKind::Other(kind) => kind,
    };
    let fam = family(route.dst.addr());
    m.raw(&[
        fam,
        route.dst.prefix_len(),
        0,
        0,
        RT_TABLE_MAIN,
        route.protocol,
        scope,
        kind,
        0,
        0,
        0,
        0,
    ]);
    if route.dst.prefix_len() > 0 {
        m.attr(RTA_DST, &octets(route.dst.addr()));
    }
    if let Some(oif) = route.oif {
        m.u32(RTA_OIF, oif);
    }
    if let Some(via) = route.gateway {
        m.attr(RTA_GATEWAY, &octets(via));
    }
    if let Some(source) = route.source {
        m.attr(RTA_PREFSRC, &octets(source));
    }
    if route.metric != 0 {
        m.u32(RTA_PRIORITY, route.metric);
    }
    m
}

/// `struct ifinfomsg`; `up` are the flags to set.
fn ifinfomsg(index: u32, up: u32) -> [u8; 16] {
    let mut body = [0; 16];
    body[4..8].copy_from_slice(&index.to_ne_bytes());
    body[8..12].copy_from_slice(&up.to_ne_bytes());
    body[12..16].copy_from_slice(&up.to_ne_bytes());
    body
}

fn family(ip: IpAddr) -> u8 {
    // Both constants are below 256 (2 and 10).
    match ip {
        IpAddr::V4(_) => 2,
        IpAddr::V6(_) => 10,
    }
}

fn octets(ip: IpAddr) -> Vec<u8> {
    match ip {
        IpAddr::V4(ip) => ip.octets().to_vec(),
        IpAddr::V6(ip) => ip.octets().to_vec(),
    }
}

fn ip_of(bytes: &[u8]) -> Option<IpAddr> {
    if let Ok(v4) = <[u8; 4]>::try_from(bytes) {
        return Some(Ipv4Addr::from(v4).into());
    }
    <[u8; 16]>::try_from(bytes)
        .ok()
        .map(|v6| Ipv6Addr::from(v6).into())
}

fn read_link(body: &[u8]) -> Option<Link> {
    let flags = wire::u32_at(body, 8)?;
    let mut link = Link {
        index: wire::u32_at(body, 4)?,
        name: String::new(),
        alias: String::new(),
        mtu: 0,
        mac: None,
        up: flags & IFF_UP != 0,
        loopback: flags & IFF_LOOPBACK != 0,
    };
    for (kind, value) in attrs(body.get(16..)?) {
        match kind {
            IFLA_IFNAME => link.name = wire::string(value),
            IFLA_IFALIAS => link.alias = wire::string(value),
            IFLA_MTU => link.mtu = wire::u32_at(value, 0)?,
            IFLA_ADDRESS => link.mac = value.try_into().ok(),
            _ => {}
        }
    }
    Some(link)
}

fn read_address(body: &[u8]) -> Option<Address> {
    let index = wire::u32_at(body, 4)?;
    let rest = body.get(8..)?;
    // IFA_LOCAL is the own address; IFA_ADDRESS is the peer's on point-to-point links.
    let ip = find(rest, 2).or_else(|| find(rest, 1)).and_then(ip_of)?;
    Some(Address {
        index,
        ip,
        global: body.get(3) == Some(&RT_SCOPE_UNIVERSE),
    })
}

fn read_route(body: &[u8]) -> Option<Route> {
    let rest = body.get(12..)?;
    let table = find(rest, RTA_TABLE).and_then(|v| wire::u32_at(v, 0));
    if table.unwrap_or(u32::from(body[4])) != u32::from(RT_TABLE_MAIN) {
        return None;
    }
    let any: IpAddr = match body[0] {
        2 => Ipv4Addr::UNSPECIFIED.into(),
        10 => Ipv6Addr::UNSPECIFIED.into(),
        _ => return None,
    };
    let dst = find(rest, RTA_DST).and_then(ip_of).unwrap_or(any);
    let number = |kind| find(rest, kind).and_then(|v| wire::u32_at(v, 0));
    let kind = match body[7] {
        libc::RTN_UNICAST => RouteKind::Unicast,
        libc::RTN_UNREACHABLE => RouteKind::Unreachable,
        other => RouteKind::Other(other),
    };
    Some(Route {
        dst: IpNet::new(dst, body[1]).ok()?,
        kind,
        oif: number(RTA_OIF),
        gateway: find(rest, RTA_GATEWAY).and_then(ip_of),
        source: find(rest, RTA_PREFSRC).and_then(ip_of),
        metric: number(RTA_PRIORITY).unwrap_or(0),
        protocol: body[5],
    })
}
