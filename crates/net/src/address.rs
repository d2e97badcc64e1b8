//! Which address the node goes by.
//!
//! In this order: what the user gave; the address of the default route's
//! interface; any other global address; and, so that a machine without any
//! network works, an address on an interface made for it.
//! Reads links, addresses and routes; writes only that interface.

use crate::error::NetError;
use crate::netlink::route::{Address, Link, Route, RouteKind, RouteSocket, VethEnd};
use ipnet::IpNet;
use std::net::{IpAddr, Ipv4Addr};

/// The interface made for a machine without an address is the table's name and this: `kogge0`.
pub(crate) const FALLBACK_LINK_SUFFIX: &str = "0";
/// The address it gets unless the caller names another. Of the block for
/// benchmarks (RFC 2544), which no real network uses.
pub const FALLBACK_ADDRESS: Ipv4Addr = Ipv4Addr::new(198, 18, 0, 1);
/// Interfaces whose addresses belong to other software's private networks.
const FOREIGN_PREFIXES: [&str; 8] = [
    "docker", "br-", "veth", "virbr", "cni", "flannel", "cali", "lxc",
];
const FALLBACK_MTU: u32 = 1500;

/// Where a node address came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    /// The user gave it.
    Given,
    /// The interface of the default route has it.
    DefaultRoute,
    /// Some interface has it.
    AnyInterface,
    /// An interface was made for it.
    Created,
}

/// The node's address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NodeAddress {
    /// The address.
    pub ip: IpAddr,
    /// The interface that has it.
    pub interface: String,
    /// That interface's maximum packet size in bytes.
    pub mtu: u32,
    /// How it was found.
    pub origin: Origin,
}

/// Finds the node's address in the calling thread's network namespace, making
/// an interface `<name>0` when the machine has no usable address.
///
/// # Errors
/// [`NetError::NoNodeAddress`] when `given` is on no interface, or none can be made.
pub fn find_node_address(given: Option<IpAddr>, name: &str) -> Result<NodeAddress, NetError> {
    let mut socket = RouteSocket::open()?;
    let (links, addresses, routes) = (socket.links()?, socket.addresses()?, socket.routes()?);
    if let Some(found) = choose(given, &links, &addresses, &routes)? {
        return Ok(found);
    }
    let interface = format!("{name}{FALLBACK_LINK_SUFFIX}");
    create(&mut socket, &interface).map_err(|e| NetError::NoNodeAddress {
        why: format!(
            "no interface has an address, and {interface} cannot be made: {}",
            with_cause(&e)
        ),
    })
}

/// The error and its cause: the advice to give a flag is the last word, so the cause must be in the text.
fn with_cause(error: &NetError) -> String {
    match std::error::Error::source(error) {
        Some(cause) => format!("{error}: {cause}"),
        None => error.to_string(),
    }
}

/// The pure choice; `None` when an interface must be made.
fn choose(
    given: Option<IpAddr>,
    links: &[Link],
    addresses: &[Address],
    routes: &[Route],
) -> Result<Option<NodeAddress>, NetError> {
    let describe = |a: &Address, origin| {
        let link = links.iter().find(|l| l.index == a.index)?;
        Some(NodeAddress {
            ip: a.ip,
            interface: link.name.clone(),
            mtu: link.mtu,
            origin,
        })
    };
    if let Some(ip) = given {
        let found = addresses
            .iter()
            .find(|a| a.ip == ip)
            .and_then(|a| describe(a, Origin::Given));
        let why = || format!("{ip} is on no interface of this machine");
        return found
            .map(Some)
            .ok_or_else(|| NetError::NoNodeAddress { why: why() });
    }
    let usable = |a: &&Address| {
        let link = links.iter().find(|l| l.index == a.index);
        let (IpAddr::V4(ip), Some(link)) = (a.ip, link) else {
            return false;
        };
        a.global && link.up && !link.loopback && !ip.is_link_local() && !ip.is_loopback()
    };
    let is_default = |r: &&Route| {
        r.dst.prefix_len() == 0 && r.dst.addr().is_ipv4() && r.kind == RouteKind::Unicast
    };
    let mut defaults: Vec<&Route> = routes.iter().filter(is_default).collect();
    defaults.sort_by_key(|r| r.metric);
    for route in defaults {
        let on_it =
            |a: &&Address| Some(a.index) == route.oif && route.source.is_none_or(|s| s == a.ip);
        let found = addresses.iter().filter(usable).find(on_it);
        if let Some(found) = found.and_then(|a| describe(a, Origin::DefaultRoute)) {
            return Ok(Some(found));
        }
    }
    let foreign = |a: &&Address| {
        let name = links
            .iter()
            .find(|l| l.index == a.index)
            .map_or("", |l| l.name.as_str());
        FOREIGN_PREFIXES.iter().any(|p| name.starts_with(p))
    };
    let any = addresses.iter().filter(usable).find(|a| !foreign(a));
    Ok(any.and_then(|a| describe(a, Origin::AnyInterface)))
}

fn create(socket: &mut RouteSocket, name: &str) -> Result<NodeAddress, NetError> {
    if let Err(e) = socket.add_dummy(name) {
        // Kernels without the dummy driver (it is often a module) have veth,
        // without which there would be no pods either.
        if !matches!(
            e.errno(),
            Some(libc::EOPNOTSUPP | libc::ENOENT | libc::ENODEV | libc::EPROTONOSUPPORT)
        ) {
            return Err(e);
        }
        let peer = format!("{name}p");
        let host = VethEnd {
            name,
            mac: [0x0a, 0, 0, 0, 0, 1],
        };
        socket.add_veth(
            &host,
            &VethEnd {
                name: &peer,
                mac: [0x0a, 0, 0, 0, 0, 2],
            },
            None,
            FALLBACK_MTU,
            "",
        )?;
        // Without a partner that is up there is no carrier, and without that no route.
        if let Some(peer) = socket.link(&peer)? {
            socket.set_up(peer.index)?;
        }
    }
    let Some(link) = socket.link(name)? else {
        return Err(NetError::Invalid {
            what: format!("{name} vanished"),
        });
    };
    socket.add_address(link.index, IpNet::from(IpAddr::from(FALLBACK_ADDRESS)))?;
    Ok(NodeAddress {
        ip: FALLBACK_ADDRESS.into(),
        interface: name.to_owned(),
        mtu: link.mtu,
        origin: Origin::Created,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn link(index: u32, name: &str) -> Link {
        let (up, loopback) = (true, name == "lo");
        Link {
            index,
            name: name.to_owned(),
            alias: String::new(),
            mtu: 1500,
            mac: None,
            up,
            loopback,
        }
    }

    fn address(index: u32, ip: &str) -> Address {
        Address {
            index,
            ip: ip.parse().unwrap(),
            global: true,
        }
    }

    fn default_route(oif: u32, metric: u32) -> Route {
        Route {
            metric,
            ..Route::link("0.0.0.0/0".parse().unwrap(), oif, 4)
        }
    }

    fn found(
        given: Option<&str>,
        addresses: &[Address],
        routes: &[Route],
    ) -> Option<(String, Origin)> {
        let links = [
            link(1, "lo"),
            link(2, "docker0"),
            link(3, "eth0"),
            link(4, "eth1"),
        ];
        let given = given.map(|s| s.parse().unwrap());
        choose(given, &links, addresses, routes)
            .unwrap()
            .map(|n| (n.ip.to_string(), n.origin))
    }

    #[test]
    fn the_default_route_of_least_metric_decides() {
        let addresses = [
            address(1, "127.0.0.1"),
            address(3, "10.0.0.5"),
            address(4, "10.1.0.5"),
        ];
        let routes = [default_route(3, 200), default_route(4, 100)];
        assert_eq!(
            found(None, &addresses, &routes),
            Some(("10.1.0.5".to_owned(), Origin::DefaultRoute))
        );
    }

    #[test]
    fn without_a_default_route_any_own_global_address_serves() {
        let addresses = [
            address(2, "172.17.0.1"),
            address(3, "169.254.7.7"),
            address(4, "10.1.0.5"),
        ];
        assert_eq!(
            found(None, &addresses, &[]),
            Some(("10.1.0.5".to_owned(), Origin::AnyInterface))
        );
    }

    #[test]
    fn loopback_link_local_and_foreign_bridges_do_not_serve() {
        let addresses = [
            address(1, "127.0.0.1"),
            address(2, "172.17.0.1"),
            address(3, "169.254.7.7"),
        ];
        assert_eq!(found(None, &addresses, &[]), None);
    }

    #[test]
    fn a_given_address_must_exist_and_the_error_names_the_flag() {
        let addresses = [address(3, "10.0.0.5")];
        assert_eq!(
            found(Some("10.0.0.5"), &addresses, &[]),
            Some(("10.0.0.5".to_owned(), Origin::Given))
        );
        let error = choose(Some("10.9.9.9".parse().unwrap()), &[], &addresses, &[]).unwrap_err();
        assert_eq!(
            error.to_string(),
            "no usable node address (10.9.9.9 is on no interface of this machine); give one with --node-ip ADDRESS"
        );
    }
}
