//! Pod links: a pinned network namespace per pod, joined by a routed veth pair.
//!
//! There is no bridge: the pod has a /32 and sends everything to the link-local
//! gateway 169.254.1.1, a fixed neighbour entry for the host's end; the host has
//! a /32 route and a fixed neighbour entry for the pod. So every packet crosses
//! the inet hooks (where services are), and nothing ever waits for ARP.
//!
//! Reads and writes links, routes and neighbours, pin files below `netns_dir`,
//! and these settings: `ip_forward`; on each host end `rp_filter=1` (a pod
//! cannot send from another's address) and `route_localnet=1` (so that NodePorts
//! answer on 127.0.0.1; the ruleset drops what pods themselves send to 127/8).
//! Invariants: whatever is made carries the link prefix, the route protocol or
//! lies below `netns_dir`; every function can be repeated after a crash.

use crate::address::FALLBACK_LINK_SUFFIX;
use crate::error::{NetError, gone_is_fine};
use crate::netlink::route::{Link, Mac, Route, RouteKind, RouteSocket, VethEnd};
use crate::netns::{Netns, is_pinned};
use crate::sysctl;
use ipnet::IpNet;
use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr};
use std::path::{Path, PathBuf};

/// What a pod's default route points to; every host end answers for it.
pub const GATEWAY: Ipv4Addr = Ipv4Addr::new(169, 254, 1, 1);
/// The name of the interface inside a pod.
pub const POD_LINK: &str = "eth0";
/// Linux keeps 15 characters of an interface name.
const LINK_NAME_MAX: usize = 15;
/// Hexadecimal digits of the pod's hash in its link name.
const LINK_HASH_DIGITS: usize = 10;

/// The names under which one cluster keeps its things on a machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Names {
    /// How the host's interfaces begin (`kg`); at most 5 characters.
    pub link_prefix: String,
    /// The nf_tables table (`kogge`).
    pub table: String,
    /// The routing protocol number that marks kogge's routes.
    pub route_protocol: u8,
    /// The directory of the pinned namespaces.
    pub netns_dir: PathBuf,
}

impl Names {
    /// The usual names, with namespaces below `netns_dir`.
    #[must_use]
    pub fn new(netns_dir: impl Into<PathBuf>) -> Self {
        Self {
            link_prefix: "kg".to_owned(),
            table: "kogge".to_owned(),
            // Free in rt_protos; 'K'.
            route_protocol: 75,
            netns_dir: netns_dir.into(),
        }
    }

    /// The host's end of a pod's link.
    #[must_use]
    pub fn pod_link(&self, pod_id: &str) -> String {
        let hash = format!("{:016x}", fnv(pod_id));
        let mut name = format!("{}{}", self.link_prefix, &hash[..LINK_HASH_DIGITS]);
        name.truncate(LINK_NAME_MAX);
        name
    }

    /// Where a pod's namespace is pinned.
    #[must_use]
    pub fn pod_netns(&self, pod_id: &str) -> PathBuf {
        self.netns_dir.join(pod_id)
    }

    fn check(&self) -> Result<(), NetError> {
        let prefix = &self.link_prefix;
        if prefix.is_empty()
            || prefix.len() > LINK_NAME_MAX - LINK_HASH_DIGITS
            || !prefix.is_ascii()
        {
            return Err(NetError::Invalid {
                what: format!("link prefix {prefix:?} must have 1 to 5 ASCII characters"),
            });
        }
        Ok(())
    }
}

/// What a pod's link shall be.
#[derive(Debug, Clone)]
pub struct PodLinkSpec {
    /// The sandbox's id: a file name.
    pub pod_id: String,
    /// The pod's address.
    pub ip: IpAddr,
    /// The link's maximum packet size in bytes.
    pub mtu: u32,
    /// The source address of packets from the node to the pod, if one shall be preferred.
    pub node_ip: Option<IpAddr>,
}

/// A pod's link as it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PodLink {
    /// The sandbox's id.
    pub pod_id: String,
    /// Where its namespace is pinned.
    pub netns: PathBuf,
    /// The host's end, if it is there.
    pub host_link: Option<String>,
    /// The address routed to it, if one is.
    pub ip: Option<IpAddr>,
}

/// The node-wide routes of the datapath.
#[derive(Debug, Clone, Default)]
pub struct NodeRoutes {
    /// The pod range of this node: unassigned addresses are answered as unreachable.
    pub pod_cidrs: Vec<IpNet>,
    /// Service ranges: routed to the loopback, so that even without a default
    /// route the node's own packets get as far as the translation.
    pub service_cidrs: Vec<IpNet>,
    /// The source address of the node's packets to services.
    pub node_ip: Option<IpAddr>,
    /// Pod ranges of other nodes with the node's address.
    pub peers: Vec<(IpNet, IpAddr)>,
}

/// Maintains pod links in the network namespace of the thread that opened it.
#[derive(Debug)]
pub struct PodNetwork {
    names: Names,
    host: Netns,
    route: RouteSocket,
}

impl PodNetwork {
    /// Opens the calling thread's network namespace as the host side.
    ///
    /// # Errors
    /// When the names are unusable or netlink is not available.
    pub fn open(names: Names) -> Result<Self, NetError> {
        names.check()?;
        Ok(Self {
            names,
            host: Netns::current()?,
            route: RouteSocket::open()?,
        })
    }

    /// The names it works under.
    #[must_use]
    pub fn names(&self) -> &Names {
        &self.names
    }

    /// Enables forwarding and sets the node-wide routes; removes those that are no longer wanted.
    ///
    /// # Errors
    /// When the kernel refuses one.
    pub fn sync_node(&mut self, wanted: &NodeRoutes) -> Result<(), NetError> {
        self.host
            .run(|| sysctl::set("net/ipv4/ip_forward", "1"))??;
        let links = self.route.links()?;
        let Some(lo) = links.iter().find(|l| l.loopback) else {
            return Err(NetError::Invalid {
                what: "this network namespace has no loopback interface".to_owned(),
            });
        };
        if !lo.up {
            self.route.set_up(lo.index)?;
        }
        let protocol = self.names.route_protocol;
        let mut routes = Vec::new();
        for net in &wanted.pod_cidrs {
            let kind = RouteKind::Unreachable;
            routes.push(Route {
                kind,
                oif: None,
                ..Route::link(net.trunc(), 0, protocol)
            });
        }
        for net in &wanted.service_cidrs {
            routes.push(Route {
                source: wanted.node_ip,
                ..Route::link(net.trunc(), lo.index, protocol)
            });
        }
        for (net, via) in &wanted.peers {
            let base = Route::link(net.trunc(), 0, protocol);
            routes.push(Route {
                oif: None,
                gateway: Some(*via),
                source: wanted.node_ip,
                ..base
            });
        }
        for route in &routes {
            self.route.add_route(route)?;
        }
        let pod_links = self.pod_link_indexes(&links);
        for old in self
            .route
            .routes()?
            .into_iter()
            .filter(|r| r.protocol == protocol)
        {
            let to_pod = old.oif.is_some_and(|oif| pod_links.contains(&oif));
            if !to_pod
                && !routes
                    .iter()
                    .any(|r| r.dst == old.dst && r.kind == old.kind)
            {
                gone_is_fine(self.route.delete_route(&old))?;
            }
        }
        Ok(())
    }

    fn pod_link_indexes(&self, links: &[Link]) -> BTreeSet<u32> {
        links
            .iter()
            .filter(|l| self.is_pod_link(&l.name))
            .map(|l| l.index)
            .collect()
    }

    fn is_pod_link(&self, name: &str) -> bool {
        name.strip_prefix(&self.names.link_prefix)
            .is_some_and(|rest| {
                rest.len() == LINK_HASH_DIGITS && rest.bytes().all(|b| b.is_ascii_hexdigit())
            })
    }

    /// Gives a pod its namespace and link; repairs or completes what is there.
    ///
    /// # Errors
    /// When the id is no file name, the address is not IPv4, or the kernel refuses.
    /// What was made before the error stays for `teardown_pod` or the next attempt.
    pub fn setup_pod(&mut self, spec: &PodLinkSpec) -> Result<PodLink, NetError> {
        check_id(&spec.pod_id)?;
        if !spec.ip.is_ipv4() {
            return Err(NetError::Invalid {
                what: format!("pod address {} is not IPv4", spec.ip),
            });
        }
        let path = self.names.pod_netns(&spec.pod_id);
        let ns = if is_pinned(&path) {
            Netns::open(&path)?
        } else {
            Netns::create(&path)?
        };
        let host_name = self.names.pod_link(&spec.pod_id);
        let (host_mac, pod_mac) = (mac(&spec.pod_id, 0), mac(&spec.pod_id, 1));
        let inside = ns.run(|| RouteSocket::open()?.link(POD_LINK))??;
        let outside = self.route.link(&host_name)?;
        if inside.is_none() || outside.is_none() {
            // Half a pair cannot be mended; its other half leads nowhere.
            if outside.is_some() {
                gone_is_fine(self.route.delete_link(&host_name))?;
            } else if inside.is_some() {
                gone_is_fine(ns.run(|| RouteSocket::open()?.delete_link(POD_LINK))?)?;
            }
            let host = VethEnd {
                name: &host_name,
                mac: host_mac,
            };
            let pod = VethEnd {
                name: POD_LINK,
                mac: pod_mac,
            };
            let ns_fd = std::os::fd::AsFd::as_fd(&ns);
            self.route
                .add_veth(&host, &pod, Some(ns_fd), spec.mtu, &spec.pod_id)?;
        }
        self.host.run(|| set_link_sysctls(&host_name))??;
        ns.run(|| set_inside(spec.ip, host_mac))??;
        let Some(link) = self.route.link(&host_name)? else {
            return Err(NetError::Invalid {
                what: format!("link {host_name} vanished while it was set up"),
            });
        };
        self.route.add_neighbour(link.index, spec.ip, pod_mac)?;
        let base = Route::link(IpNet::from(spec.ip), link.index, self.names.route_protocol);
        self.route.add_route(&Route {
            source: spec.node_ip,
            ..base
        })?;
        Ok(PodLink {
            pod_id: spec.pod_id.clone(),
            netns: path,
            host_link: Some(host_name),
            ip: Some(spec.ip),
        })
    }

    /// Removes a pod's link and namespace; what is not there is fine.
    ///
    /// # Errors
    /// When the kernel refuses.
    pub fn teardown_pod(&mut self, pod_id: &str) -> Result<(), NetError> {
        check_id(pod_id)?;
        // The link goes first: its routes and neighbours go with it, at once,
        // while the end of a namespace is worked off later.
        gone_is_fine(self.route.delete_link(&self.names.pod_link(pod_id)))?;
        Netns::remove(&self.names.pod_netns(pod_id))
    }

    /// All pods that have a pinned namespace or a link here, by id.
    ///
    /// # Errors
    /// When the kernel does not list them.
    pub fn list(&mut self) -> Result<Vec<PodLink>, NetError> {
        let links = self.route.links()?;
        let routes = self.route.routes()?;
        let mut ids: BTreeSet<String> = pinned(&self.names.netns_dir)?.into_iter().collect();
        let ours = links
            .iter()
            .filter(|l| self.is_pod_link(&l.name) && !l.alias.is_empty());
        ids.extend(ours.map(|l| l.alias.clone()));
        let describe = |pod_id: String| {
            let name = self.names.pod_link(&pod_id);
            let link = links.iter().find(|l| l.name == name);
            let route = link.and_then(|l| {
                routes
                    .iter()
                    .find(|r| r.oif == Some(l.index) && r.protocol == self.names.route_protocol)
            });
            PodLink {
                netns: self.names.pod_netns(&pod_id),
                host_link: link.map(|l| l.name.clone()),
                ip: route.map(|r| r.dst.addr()),
                pod_id,
            }
        };
        Ok(ids.into_iter().map(describe).collect())
    }

    /// Removes links and namespaces of pods that are not in `keep`; returns the ids removed.
    ///
    /// # Errors
    /// When the kernel refuses.
    pub fn remove_leftovers(&mut self, keep: &BTreeSet<String>) -> Result<Vec<String>, NetError> {
        let mut removed = Vec::new();
        for pod in self.list()? {
            if !keep.contains(&pod.pod_id) {
                self.teardown_pod(&pod.pod_id)?;
                removed.push(pod.pod_id);
            }
        }
        let kept: BTreeSet<String> = keep.iter().map(|id| self.names.pod_link(id)).collect();
        for link in self.route.links()? {
            if self.is_pod_link(&link.name) && !kept.contains(&link.name) {
                gone_is_fine(self.route.delete_link(&link.name))?;
                removed.push(link.name);
            }
        }
        Ok(removed)
    }

    /// Removes every link, route, namespace and table made under these names.
    /// Forwarding stays enabled: others may have come to rely on it.
    ///
    /// # Errors
    /// When the kernel refuses.
    pub fn purge(&mut self) -> Result<(), NetError> {
        let table = self.names.table.clone();
        self.host.run(|| crate::nft::delete_table(&table))??;
        self.remove_leftovers(&BTreeSet::new())?;
        for route in self.route.routes()? {
            if route.protocol == self.names.route_protocol {
                gone_is_fine(self.route.delete_route(&route))?;
            }
        }
        let node_link = format!("{}{FALLBACK_LINK_SUFFIX}", self.names.table);
        gone_is_fine(self.route.delete_link(&node_link))?;
        match std::fs::remove_dir(&self.names.netns_dir) {
            // Something of others in it is not ours to remove.
            Ok(()) | Err(_) => Ok(()),
        }
    }
}

/// Removes everything made under `names` in the calling thread's network namespace.
///
/// # Errors
/// When the kernel refuses.
pub fn purge(names: &Names) -> Result<(), NetError> {
    PodNetwork::open(names.clone())?.purge()
}

fn set_link_sysctls(host_link: &str) -> Result<(), NetError> {
    sysctl::set(&format!("net/ipv4/conf/{host_link}/rp_filter"), "1")?;
    sysctl::set(&format!("net/ipv4/conf/{host_link}/route_localnet"), "1")
}

/// Address, routes and gateway inside the pod; runs on a thread in its namespace.
fn set_inside(ip: IpAddr, gateway_mac: Mac) -> Result<(), NetError> {
    // Boot: written by the administrator (ip route calls it "static").
    const PROTOCOL_STATIC: u8 = 4;
    let gateway = IpAddr::from(GATEWAY);
    let mut route = RouteSocket::open()?;
    let Some(link) = route.link(POD_LINK)? else {
        return Err(NetError::Invalid {
            what: format!("the pod has no {POD_LINK}"),
        });
    };
    if !link.up {
        route.set_up(link.index)?;
    }
    route.add_address(link.index, IpNet::from(ip))?;
    route.add_neighbour(link.index, gateway, gateway_mac)?;
    route.add_route(&Route::link(
        IpNet::from(gateway),
        link.index,
        PROTOCOL_STATIC,
    ))?;
    let any = IpNet::new_assert(Ipv4Addr::UNSPECIFIED.into(), 0);
    route.add_route(&Route {
        gateway: Some(gateway),
        ..Route::link(any, link.index, PROTOCOL_STATIC)
    })
}

fn check_id(pod_id: &str) -> Result<(), NetError> {
    let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.');
    let fits = (1..=128).contains(&pod_id.len()) && !pod_id.starts_with('.');
    if fits && pod_id.bytes().all(plain) {
        return Ok(());
    }
    let what = format!("pod id {pod_id:?} must be 1 to 128 letters, digits, `-`, `_` or `.`");
    Err(NetError::Invalid { what })
}

fn pinned(dir: &Path) -> Result<Vec<String>, NetError> {
    let fail = |source| NetError::Namespace {
        op: "list the pins in",
        path: dir.to_owned(),
        source,
    };
    let entries = match std::fs::read_dir(dir) {
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        other => other.map_err(fail)?,
    };
    let mut found = Vec::new();
    for entry in entries {
        let name = entry.map_err(fail)?.file_name();
        found.extend(
            name.into_string()
                .ok()
                .filter(|name| check_id(name).is_ok()),
        );
    }
    Ok(found)
}

/// FNV-1a: names must be the same in every build, and need no secrecy.
pub(crate) fn fnv(text: &str) -> u64 {
    text.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    })
}

/// A locally administered address derived from the pod, so that udev leaves it
/// alone and a repaired link keeps it.
fn mac(pod_id: &str, end: u8) -> Mac {
    let h = fnv(pod_id).to_be_bytes();
    [0x0a, h[0] ^ end, h[1], h[2], h[3], h[4]]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn link_names_fit_the_kernel_and_differ_by_pod() {
        let names = Names::new("/run/kogge/netns");
        let (a, b) = (names.pod_link("pod-a"), names.pod_link("pod-b"));
        assert!(a.starts_with("kg") && a.len() <= LINK_NAME_MAX, "{a}");
        assert_ne!(a, b);
        assert_ne!(mac("pod-a", 0), mac("pod-a", 1));
    }

    #[test]
    fn pod_ids_that_are_no_file_names_are_refused() {
        for id in ["", "..", "a/b", ".x", "a b", &"x".repeat(129)] {
            assert!(check_id(id).is_err(), "{id:?}");
        }
        assert!(check_id("0f3e-abc_1.2").is_ok());
    }

    #[test]
    fn a_link_prefix_that_leaves_no_room_for_the_hash_is_refused() {
        let names = Names {
            link_prefix: "toolong".to_owned(),
            ..Names::new("/x")
        };
        assert!(names.check().is_err());
    }
}
