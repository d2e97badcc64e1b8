//! The chains, maps and elements of one service port or host port.
//!
//! Pure. For a port there are up to four chains, each only where needed:
//! `svc/…` balances over all endpoints, `local/…` over those of this node,
//! `ext/…` decides for traffic from outside, and `fw/…` admits its sources.

use super::chains::{MARK, REJECT};
use super::{
    Build, ENDPOINTS, Front, HOST_PORTS, HOST_PORTS_ANY, HostPort, NO_ENDPOINT_PORTS, NO_ENDPOINTS,
};
use super::{NODE_PORTS, SERVICES, ServicePort, set, v4_nets};
use crate::netlink::conntrack::UdpFlow;
use crate::nft::{Atom, End, Maps, Part, Protocol, Set, Stmt, Value};
use crate::pods::fnv;
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4};

/// nf_tables names have at most 255 bytes; ours add a prefix of up to 12.
const NAME_MAX: usize = 200;

/// What a client at a front gets.
enum Target {
    /// The chain that balances.
    Chain(String),
    /// Refused at once.
    Refuse,
}

impl Build<'_> {
    pub(super) fn service(&mut self, service: &ServicePort) {
        let id = identity(service);
        let all = self.endpoints(&service.endpoints, &id);
        let local = self.endpoints(&service.local_endpoints, &id);
        for endpoint in &local {
            self.hairpin(*endpoint.ip());
        }
        let cluster_chain = self.balancer("svc", &id, &all, service.affinity_secs);
        let wants_local = service.internal_local || service.external_local;
        let local_chain = if wants_local {
            self.balancer("local", &id, &local, service.affinity_secs)
        } else {
            None
        };

        let internal = if service.internal_local {
            &local_chain
        } else {
            &cluster_chain
        };
        let internal_endpoints = if service.internal_local { &local } else { &all };
        let target = internal.clone().map_or(Target::Refuse, Target::Chain);
        for ip in &service.cluster_ips {
            if let Some(ip) = self.v4(*ip, &id) {
                self.front(
                    Front::Address(ip, service.port),
                    service.protocol,
                    &target,
                    &id,
                    internal_endpoints,
                );
            }
        }
        self.external_fronts(service, &id, &all, cluster_chain, local_chain);
    }

    fn external_fronts(
        &mut self,
        service: &ServicePort,
        id: &str,
        all: &[SocketAddrV4],
        cluster_chain: Option<String>,
        local_chain: Option<String>,
    ) {
        let has_external = service.node_port.is_some()
            || !service.external_ips.is_empty()
            || !service.load_balancer_ips.is_empty();
        if !has_external {
            return;
        }
        let target = match &cluster_chain {
            None if local_chain.is_none() => Target::Refuse,
            _ => Target::Chain(self.external_chain(service, id, cluster_chain, local_chain)),
        };
        for ip in &service.external_ips {
            if let Some(ip) = self.v4(*ip, id) {
                self.front(
                    Front::Address(ip, service.port),
                    service.protocol,
                    &target,
                    id,
                    all,
                );
            }
        }
        if let Some(port) = service.node_port {
            self.front(Front::NodePort(port), service.protocol, &target, id, all);
        }
        let guarded = match target {
            Target::Chain(ext) if !service.source_ranges.is_empty() => {
                let goto = |net| {
                    vec![
                        Stmt::Net {
                            end: End::Source,
                            net,
                            inside: true,
                        },
                        Stmt::Goto(ext.clone()),
                    ]
                };
                let mut rules: Vec<Vec<Stmt>> = v4_nets(&service.source_ranges).map(goto).collect();
                rules.push(vec![Stmt::Drop]);
                let name = format!("fw/{id}");
                self.chain(&name, None, rules);
                Target::Chain(name)
            }
            other => other,
        };
        for ip in &service.load_balancer_ips {
            if let Some(ip) = self.v4(*ip, id) {
                self.front(
                    Front::Address(ip, service.port),
                    service.protocol,
                    &guarded,
                    id,
                    all,
                );
            }
        }
    }

    /// Traffic from outside. With policy Local, pods and the node itself are
    /// served as if they had used the cluster address; others get the node's own
    /// endpoints unchanged, or no answer (so that load balancers look elsewhere).
    fn external_chain(
        &mut self,
        service: &ServicePort,
        id: &str,
        cluster_chain: Option<String>,
        local_chain: Option<String>,
    ) -> String {
        let name = format!("ext/{id}");
        let mut rules = Vec::new();
        if let Some(cluster) = cluster_chain {
            let marked = |mut first: Vec<Stmt>| {
                first.push(Stmt::Jump(MARK.to_owned()));
                first
            };
            if service.external_local {
                for net in v4_nets(&self.table.network.cluster_cidrs) {
                    let from = Stmt::Net {
                        end: End::Source,
                        net,
                        inside: true,
                    };
                    rules.push(vec![from, Stmt::Goto(cluster.clone())]);
                }
                let own = Stmt::Local {
                    end: End::Source,
                    is: true,
                };
                rules.push(marked(vec![own.clone()]));
                rules.push(vec![own, Stmt::Goto(cluster)]);
            } else {
                rules.push(marked(Vec::new()));
                rules.push(vec![Stmt::Goto(cluster)]);
            }
        }
        if service.external_local {
            rules.push(vec![local_chain.map_or(Stmt::Drop, Stmt::Goto)]);
        }
        self.chain(&name, None, rules);
        name
    }

    fn front(
        &mut self,
        front: Front,
        protocol: Protocol,
        target: &Target,
        id: &str,
        endpoints: &[SocketAddrV4],
    ) {
        let (p, served, unserved, key) = match front {
            Front::Address(ip, port) => (port, SERVICES, NO_ENDPOINTS, Some(Atom::Address(ip))),
            Front::NodePort(port) => (port, NODE_PORTS, NO_ENDPOINT_PORTS, None),
        };
        let key: Vec<Atom> = key
            .into_iter()
            .chain([Atom::Protocol(protocol), Atom::Port(p)])
            .collect();
        let (map, other, chain) = match target {
            Target::Chain(chain) => (served, unserved, chain.clone()),
            Target::Refuse => (unserved, served, REJECT.to_owned()),
        };
        if self
            .out
            .sets
            .get(other)
            .is_some_and(|set| set.elements.contains_key(&key))
        {
            let key: Vec<String> = key.iter().map(ToString::to_string).collect();
            self.out
                .conflicts
                .push(format!("{id}: {} is already in use", key.join(" ")));
            return;
        }
        let claimed = self.claim(map, key, Value::Goto(chain), id);
        if claimed && protocol == Protocol::Udp {
            match front {
                Front::Address(ip, port) => self.flows(ip, port, endpoints),
                Front::NodePort(port) => self.flows(Ipv4Addr::UNSPECIFIED, port, endpoints),
            }
        }
    }

    fn flows(&mut self, ip: Ipv4Addr, port: u16, endpoints: &[SocketAddrV4]) {
        let original = SocketAddr::new(ip.into(), port);
        self.out.udp_flows.extend(endpoints.iter().map(|e| UdpFlow {
            original,
            endpoint: (*e).into(),
        }));
    }

    /// The chain that sends a packet to one of `endpoints`; none without any.
    fn balancer(
        &mut self,
        kind: &str,
        id: &str,
        endpoints: &[SocketAddrV4],
        affinity_secs: Option<u32>,
    ) -> Option<String> {
        let count = u32::try_from(endpoints.len()).ok().filter(|n| *n > 0)?;
        let chain = format!("{kind}/{id}");
        let balancer = self.balancer_id(&chain);
        for (i, endpoint) in (0..count).zip(endpoints) {
            let key = vec![Atom::Balancer(balancer), Atom::Index(i)];
            self.claim(ENDPOINTS, key, Value::Endpoint(*endpoint), id);
        }
        let endpoint_map = ENDPOINTS.to_owned();
        let random = vec![Stmt::DnatRandom {
            balancer,
            count,
            map: endpoint_map.clone(),
        }];
        let rules = match affinity_secs {
            None => vec![random],
            Some(timeout_secs) => {
                let (map, members) = (format!("{chain}/aff"), format!("{chain}/in"));
                let mut member_set = set(&[Part::Address, Part::Port], Maps::Nothing);
                let key = |e: &SocketAddrV4| vec![Atom::Address(*e.ip()), Atom::Port(e.port())];
                member_set.elements = endpoints.iter().map(|e| (key(e), Value::Member)).collect();
                self.out.sets.insert(members.clone(), member_set);
                self.out.sets.insert(
                    map.clone(),
                    Set {
                        dynamic: true,
                        ..set(&[Part::Address], Maps::Endpoint)
                    },
                );
                vec![
                    vec![Stmt::AffinityHit {
                        map: map.clone(),
                        members,
                        timeout_secs,
                    }],
                    vec![Stmt::AffinityForget { map: map.clone() }],
                    vec![Stmt::AffinityChoose {
                        balancer,
                        count,
                        endpoints: endpoint_map,
                        map,
                        timeout_secs,
                    }],
                    // When the map is full, clients are served all the same.
                    random,
                ]
            }
        };
        self.chain(&chain, None, rules);
        Some(chain)
    }

    /// A number for the chain within the one map of endpoints. (A map for each
    /// service would do, but the kernel finds sets by walking a list: thousands
    /// of them make every transaction slow.) Names are chosen by users, so that a
    /// collision is possible and must do no harm.
    fn balancer_id(&mut self, chain: &str) -> u64 {
        let mut id = fnv(chain);
        while self.balancers.get(&id).is_some_and(|owner| owner != chain) {
            id = id.wrapping_add(1);
        }
        self.balancers.insert(id, chain.to_owned());
        id
    }

    pub(super) fn host_port(&mut self, port: &HostPort) {
        let owner = format!("hostPort {}", port.host_port);
        let Some(ip) = self.v4(port.pod.ip(), &owner) else {
            return;
        };
        let pod = SocketAddrV4::new(ip, port.pod.port());
        let tail = [Atom::Protocol(port.protocol), Atom::Port(port.host_port)];
        let value = Value::Endpoint(pod);
        match port.host_ip.filter(|ip| !ip.is_unspecified()) {
            None => {
                if self.claim(HOST_PORTS_ANY, tail.to_vec(), value, &owner)
                    && port.protocol == Protocol::Udp
                {
                    self.flows(Ipv4Addr::UNSPECIFIED, port.host_port, &[pod]);
                }
            }
            Some(host) => {
                let Some(host) = self.v4(host, &owner) else {
                    return;
                };
                let key = std::iter::once(Atom::Address(host)).chain(tail).collect();
                if self.claim(HOST_PORTS, key, value, &owner) && port.protocol == Protocol::Udp {
                    self.flows(host, port.host_port, &[pod]);
                }
            }
        }
        self.hairpin(ip);
    }
}

/// A name for the port that is unique in the cluster and fits the kernel's limit.
fn identity(service: &ServicePort) -> String {
    let port = if service.port_name.is_empty() {
        service.port.to_string()
    } else {
        service.port_name.clone()
    };
    let full = format!("{}/{}/{port}", service.service, service.protocol.name());
    if full.len() <= NAME_MAX {
        return full;
    }
    let hash = fnv(&full);
    let start: String = full.chars().take(NAME_MAX / 4).collect();
    format!("{start}-{hash:016x}")
}
