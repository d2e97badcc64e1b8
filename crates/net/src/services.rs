//! Services and host ports as one nf_tables ruleset.
//!
//! Pure: [`ruleset`] is a function of a [`ServiceTable`], which the caller makes
//! of Services and EndpointSlices (it decides which endpoints count as ready).
//! A packet finds its service by one map lookup on address, protocol and port,
//! whatever the number of services; the endpoint is drawn by a random index.
//!
//! Invariants: a connection to a service without endpoints, and any packet to an
//! unassigned address of a service range, is refused at once; only hairpin
//! traffic, outside traffic to a service of policy Cluster, loopback clients and
//! pods that leave the cluster are masqueraded.
//! Addresses that are not IPv4 are left out and named in `Ruleset::conflicts`.

mod chains;
mod ports;

use crate::error::NetError;
use crate::nft::{self, Applier, Atom, Maps, Part, Protocol, Ruleset, Set, Value};
use ipnet::IpNet;
use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, SocketAddrV4};

/// Everything that the ruleset of one node depends on.
#[derive(Debug, Clone, Default)]
pub struct ServiceTable {
    /// The node's surroundings.
    pub network: NetworkRanges,
    /// One entry for each port of each service.
    pub services: Vec<ServicePort>,
    /// Ports of the host that lead to pods of this node.
    pub host_ports: Vec<HostPort>,
}

/// Address ranges and names that the rules refer to.
#[derive(Debug, Clone)]
pub struct NetworkRanges {
    /// All pod ranges of the cluster.
    pub cluster_cidrs: Vec<IpNet>,
    /// All service ranges.
    pub service_cidrs: Vec<IpNet>,
    /// Ranges that know the way back to pods: packets there keep the pod's address.
    pub non_masquerade_cidrs: Vec<IpNet>,
    /// How the host's ends of pod links begin.
    pub link_prefix: String,
    /// The packet mark bit for "masquerade this"; unused by others on the machine.
    pub masquerade_mark: u32,
}

impl Default for NetworkRanges {
    fn default() -> Self {
        Self {
            cluster_cidrs: Vec::new(),
            service_cidrs: Vec::new(),
            non_masquerade_cidrs: Vec::new(),
            link_prefix: "kg".to_owned(),
            // The bit kube-proxy uses for the same purpose (--iptables-masquerade-bit 14).
            masquerade_mark: 0x4000,
        }
    }
}

/// One port of a service.
#[derive(Debug, Clone)]
pub struct ServicePort {
    /// `namespace/name`, for chain names and messages.
    pub service: String,
    /// The port's name; may be empty.
    pub port_name: String,
    /// Its protocol.
    pub protocol: Protocol,
    /// Addresses inside the cluster.
    pub cluster_ips: Vec<IpAddr>,
    /// The port at these addresses.
    pub port: u16,
    /// The port at every address of the node.
    pub node_port: Option<u16>,
    /// `spec.externalIPs`.
    pub external_ips: Vec<IpAddr>,
    /// `status.loadBalancer.ingress` of mode VIP.
    pub load_balancer_ips: Vec<IpAddr>,
    /// `spec.loadBalancerSourceRanges`; empty lets everyone in.
    pub source_ranges: Vec<IpNet>,
    /// `externalTrafficPolicy: Local`.
    pub external_local: bool,
    /// `internalTrafficPolicy: Local`.
    pub internal_local: bool,
    /// Session affinity `ClientIP` for so many seconds.
    pub affinity_secs: Option<u32>,
    /// All endpoints that may serve.
    pub endpoints: Vec<SocketAddr>,
    /// Those on this node; always given, whatever the policy.
    pub local_endpoints: Vec<SocketAddr>,
}

impl Default for ServicePort {
    fn default() -> Self {
        Self {
            service: String::new(),
            port_name: String::new(),
            protocol: Protocol::Tcp,
            cluster_ips: Vec::new(),
            port: 0,
            node_port: None,
            external_ips: Vec::new(),
            load_balancer_ips: Vec::new(),
            source_ranges: Vec::new(),
            external_local: false,
            internal_local: false,
            affinity_secs: None,
            endpoints: Vec::new(),
            local_endpoints: Vec::new(),
        }
    }
}

/// A `hostPort` of a pod on this node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HostPort {
    /// `hostIP`; none (or the unspecified address) means every address of the node.
    pub host_ip: Option<IpAddr>,
    /// The host's port.
    pub host_port: u16,
    /// Its protocol.
    pub protocol: Protocol,
    /// The pod's address and container port.
    pub pod: SocketAddr,
}

/// Compiles the table.
#[must_use]
pub fn ruleset(table: &ServiceTable) -> Ruleset {
    let mut build = Build::new(table);
    build.base_chains();
    for service in &table.services {
        build.service(service);
    }
    for port in &table.host_ports {
        build.host_port(port);
    }
    build.out
}

/// Tries in the calling thread's network namespace whether the kernel can do
/// all that a ruleset may contain, with a scratch table that is gone afterwards.
///
/// # Errors
/// [`NetError::MissingFeature`] with the rule that was refused.
pub fn probe(table: &str) -> Result<(), NetError> {
    // An address for documentation, so that no packet meets the scratch table.
    let ip = IpAddr::from(Ipv4Addr::new(192, 0, 2, 1));
    let endpoint = SocketAddr::new(ip, 1);
    let service = ServicePort {
        service: "probe".to_owned(),
        cluster_ips: vec![ip],
        port: 1,
        external_ips: vec![Ipv4Addr::new(192, 0, 2, 2).into()],
        external_local: true,
        affinity_secs: Some(1),
        endpoints: vec![endpoint],
        local_endpoints: vec![endpoint],
        ..ServicePort::default()
    };
    let scratch = format!("{table}-probe");
    let wanted = ruleset(&ServiceTable {
        services: vec![service],
        ..ServiceTable::default()
    });
    let tried = Applier::open(scratch.as_str(), Vec::new())?
        .apply(&wanted)
        .map(drop);
    tried.and(nft::delete_table(&scratch))
}

/// The ruleset under construction.
struct Build<'a> {
    table: &'a ServiceTable,
    out: Ruleset,
    /// The balancing chain behind each number in the map of endpoints.
    balancers: HashMap<u64, String>,
}

/// A place where clients knock.
#[derive(Debug, Clone, Copy)]
enum Front {
    Address(Ipv4Addr, u16),
    NodePort(u16),
}

// Names of the sets that exist in every ruleset.
const SERVICES: &str = "services";
const NODE_PORTS: &str = "node-ports";
const NO_ENDPOINTS: &str = "no-endpoints";
const NO_ENDPOINT_PORTS: &str = "no-endpoint-ports";
const HOST_PORTS: &str = "host-ports";
const HOST_PORTS_ANY: &str = "host-ports-any";
const HAIRPIN: &str = "hairpin";
const ENDPOINTS: &str = "endpoints";

impl<'a> Build<'a> {
    fn new(table: &'a ServiceTable) -> Self {
        let mut out = Ruleset::default();
        let full = [Part::Address, Part::Protocol, Part::Port];
        let port = [Part::Protocol, Part::Port];
        for (name, key, maps) in [
            (SERVICES, &full[..], Maps::Verdict),
            (NO_ENDPOINTS, &full[..], Maps::Verdict),
            (HOST_PORTS, &full[..], Maps::Endpoint),
            (
                ENDPOINTS,
                &[Part::Balancer, Part::Index][..],
                Maps::Endpoint,
            ),
            (NODE_PORTS, &port[..], Maps::Verdict),
            (NO_ENDPOINT_PORTS, &port[..], Maps::Verdict),
            (HOST_PORTS_ANY, &port[..], Maps::Endpoint),
            (HAIRPIN, &[Part::Address, Part::Address][..], Maps::Nothing),
        ] {
            out.sets.insert(name.to_owned(), set(key, maps));
        }
        Self {
            table,
            out,
            balancers: HashMap::new(),
        }
    }

    /// Adds an element; the first owner of a key keeps it.
    fn claim(&mut self, set: &str, key: Vec<Atom>, value: Value, owner: &str) -> bool {
        let Some(set) = self.out.sets.get_mut(set) else {
            return false;
        };
        match set.elements.entry(key) {
            std::collections::btree_map::Entry::Vacant(free) => {
                free.insert(value);
                true
            }
            std::collections::btree_map::Entry::Occupied(taken) => {
                let key: Vec<String> = taken.key().iter().map(ToString::to_string).collect();
                let by = format!("{owner}: {} is already in use", key.join(" "));
                self.out.conflicts.push(by);
                false
            }
        }
    }

    fn v4(&mut self, ip: IpAddr, owner: &str) -> Option<Ipv4Addr> {
        match ip {
            IpAddr::V4(ip) => Some(ip),
            IpAddr::V6(ip) => {
                self.out
                    .conflicts
                    .push(format!("{owner}: {ip} is not IPv4"));
                None
            }
        }
    }

    /// IPv4 endpoints, each once, in order.
    fn endpoints(&mut self, all: &[SocketAddr], owner: &str) -> Vec<SocketAddrV4> {
        let v4 = |e: &SocketAddr| {
            self.v4(e.ip(), owner)
                .map(|ip| SocketAddrV4::new(ip, e.port()))
        };
        let mut endpoints: Vec<_> = all.iter().filter_map(v4).collect();
        endpoints.sort_unstable();
        endpoints.dedup();
        endpoints
    }

    fn hairpin(&mut self, ip: Ipv4Addr) {
        if let Some(set) = self.out.sets.get_mut(HAIRPIN) {
            set.elements
                .insert(vec![Atom::Address(ip), Atom::Address(ip)], Value::Member);
        }
    }
}

fn set(key: &[Part], maps: Maps) -> Set {
    Set {
        key: key.to_vec(),
        maps,
        dynamic: false,
        elements: std::collections::BTreeMap::new(),
    }
}

/// The IPv4 networks among `nets`.
fn v4_nets(nets: &[IpNet]) -> impl Iterator<Item = ipnet::Ipv4Net> {
    nets.iter().filter_map(|net| match net {
        IpNet::V4(net) => Some(net.trunc()),
        IpNet::V6(_) => None,
    })
}

#[cfg(test)]
mod tests;
