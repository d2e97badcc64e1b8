//! From Services, EndpointSlices and Pods to the tables of the datapath and of cluster DNS.
//!
//! [`service_table`] and [`zone`] are pure functions of the world; [`keep`] applies them on commits, several at once where
//! they come fast. Invariants: only ready endpoints get traffic, unless none is ready and some still serve while they end;
//! an object that cannot be read is left out and named in the log.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use client::Feed;
use futures::StreamExt;
use k8s_openapi::api::core::v1::{Pod, Service, ServicePort as ApiPort, ServiceSpec};
use k8s_openapi::api::discovery::v1::{Endpoint, EndpointSlice};
use net::dns::{DnsEndpoint, DnsPort, DnsServer, DnsService, ServiceKind, ZoneSource};
use net::nft::{Applier, Protocol};
use net::services::{HostPort, NetworkRanges, ServicePort, ServiceTable};
use object::Resource;
use world::World;

use crate::api::PODS;
use crate::links::describe;
use crate::options::Options;
use crate::pods::spec;

/// Services.
pub const SERVICES: Resource = Resource::new("", "services");
/// EndpointSlices.
pub const ENDPOINT_SLICES: Resource = Resource::new("discovery.k8s.io", "endpointslices");
const NAMESPACES: Resource = Resource::new("", "namespaces");
const SERVICE_NAME: &str = "kubernetes.io/service-name";
const DEFAULT_AFFINITY_SECS: u32 = 10_800;
/// Commits that come within so long are applied together.
const GATHER: Duration = Duration::from_millis(10);
/// A ruleset that the kernel refused is tried again after so long.
const RETRY: Duration = Duration::from_secs(5);

type Slices = BTreeMap<(String, String), Vec<Arc<EndpointSlice>>>;

fn read<T: serde::de::DeserializeOwned + Send + Sync + 'static>(
    object: &object::Object,
) -> Option<Arc<T>> {
    object
        .view::<T>()
        .map_err(|error| tracing::warn!(%error, "an object is left out"))
        .ok()
}

fn slices(world: &World) -> Slices {
    let mut all = Slices::new();
    for object in world.list(ENDPOINT_SLICES) {
        let (Some(service), Some(slice)) = (
            object.meta().label(SERVICE_NAME),
            read::<EndpointSlice>(object),
        ) else {
            continue;
        };
        all.entry((object.meta().namespace.to_string(), service.to_owned()))
            .or_default()
            .push(slice);
    }
    all
}

fn protocol(name: Option<&str>) -> Protocol {
    match name {
        Some("UDP") => Protocol::Udp,
        Some("SCTP") => Protocol::Sctp,
        _ => Protocol::Tcp,
    }
}

fn addresses<'a>(list: impl IntoIterator<Item = &'a String>) -> Vec<IpAddr> {
    list.into_iter().filter_map(|ip| ip.parse().ok()).collect()
}

fn cluster_ips(spec: &ServiceSpec) -> Vec<IpAddr> {
    match &spec.cluster_ips {
        Some(ips) if !ips.is_empty() => addresses(ips),
        _ => addresses(&spec.cluster_ip),
    }
}

fn port_number(number: i32) -> Option<u16> {
    u16::try_from(number).ok().filter(|port| *port > 0)
}

/// The datapath's table for this node.
pub fn service_table(world: &World, options: &Options) -> ServiceTable {
    let slices = slices(world);
    let mut table = ServiceTable {
        network: NetworkRanges {
            cluster_cidrs: options.cluster_cidrs.clone(),
            service_cidrs: options.service_cidrs.clone(),
            ..NetworkRanges::default()
        },
        ..ServiceTable::default()
    };
    for object in world.list(SERVICES) {
        let Some(service) = read::<Service>(object) else {
            continue;
        };
        let Some(spec) = service
            .spec
            .as_ref()
            .filter(|spec| spec.type_.as_deref() != Some("ExternalName"))
        else {
            continue;
        };
        let ips = cluster_ips(spec);
        if ips.is_empty() {
            continue;
        }
        let key = (
            object.meta().namespace.to_string(),
            object.meta().name.to_string(),
        );
        let own = slices.get(&key).map(Vec::as_slice).unwrap_or_default();
        for port in spec.ports.iter().flatten() {
            if let Some(port) = service_port(&service, spec, port, &key, own, ips.clone(), options)
            {
                table.services.push(port);
            }
        }
    }
    table.host_ports = host_ports(world, options);
    table
}

fn service_port(
    service: &Service,
    spec: &ServiceSpec,
    port: &ApiPort,
    key: &(String, String),
    slices: &[Arc<EndpointSlice>],
    cluster_ips: Vec<IpAddr>,
    options: &Options,
) -> Option<ServicePort> {
    let ingress = service
        .status
        .iter()
        .flat_map(|status| status.load_balancer.iter())
        .flat_map(|balancer| balancer.ingress.iter().flatten());
    let vip = ingress
        .filter(|ingress| ingress.ip_mode.as_deref() != Some("Proxy"))
        .filter_map(|ingress| ingress.ip.as_ref());
    let affinity = (spec.session_affinity.as_deref() == Some("ClientIP")).then(|| {
        let config = spec
            .session_affinity_config
            .as_ref()
            .and_then(|config| config.client_ip.as_ref()?.timeout_seconds);
        config
            .and_then(|seconds| u32::try_from(seconds).ok())
            .unwrap_or(DEFAULT_AFFINITY_SECS)
    });
    let (endpoints, local_endpoints) = endpoints(port, slices, &options.node_name);
    Some(ServicePort {
        service: format!("{}/{}", key.0, key.1),
        port_name: port.name.clone().unwrap_or_default(),
        protocol: protocol(port.protocol.as_deref()),
        cluster_ips,
        port: port_number(port.port)?,
        node_port: port.node_port.and_then(port_number),
        external_ips: addresses(spec.external_ips.iter().flatten()),
        load_balancer_ips: addresses(vip),
        source_ranges: spec
            .load_balancer_source_ranges
            .iter()
            .flatten()
            .filter_map(|range| range.trim().parse().ok())
            .collect(),
        external_local: spec.external_traffic_policy.as_deref() == Some("Local"),
        internal_local: spec.internal_traffic_policy.as_deref() == Some("Local"),
        affinity_secs: affinity,
        endpoints,
        local_endpoints,
    })
}

/// Endpoints of a port that get traffic, and those of them on this node.
fn endpoints(
    port: &ApiPort,
    slices: &[Arc<EndpointSlice>],
    node: &str,
) -> (Vec<SocketAddr>, Vec<SocketAddr>) {
    let name = port.name.as_deref().unwrap_or_default();
    let mut all: Vec<(SocketAddr, bool, bool, bool)> = Vec::new();
    for slice in slices {
        let ports = slice
            .ports
            .iter()
            .flatten()
            .filter(|port| port.name.as_deref().unwrap_or_default() == name);
        for number in ports.filter_map(|port| port.port.and_then(port_number)) {
            for endpoint in slice.endpoints.iter().flatten() {
                let Some(ip) = endpoint
                    .addresses
                    .first()
                    .and_then(|ip| ip.parse::<IpAddr>().ok())
                else {
                    continue;
                };
                let local = endpoint.node_name.as_deref() == Some(node);
                all.push((
                    SocketAddr::new(ip, number),
                    is_ready(endpoint),
                    serves_while_ending(endpoint),
                    local,
                ));
            }
        }
    }
    // Each policy falls back by itself: a node may have only ending endpoints while others have ready ones.
    let choose = |only_local: bool| {
        let considered = || all.iter().filter(|entry| !only_local || entry.3);
        let ready = considered().any(|entry| entry.1);
        let mut chosen: Vec<SocketAddr> = considered()
            .filter(|entry| if ready { entry.1 } else { entry.2 })
            .map(|entry| entry.0)
            .collect();
        chosen.sort();
        chosen.dedup();
        chosen
    };
    (choose(false), choose(true))
}

fn is_ready(endpoint: &Endpoint) -> bool {
    endpoint
        .conditions
        .as_ref()
        .and_then(|conditions| conditions.ready)
        .unwrap_or(true)
}

fn serves_while_ending(endpoint: &Endpoint) -> bool {
    endpoint.conditions.as_ref().is_some_and(|conditions| {
        conditions.serving == Some(true) && conditions.terminating == Some(true)
    })
}

fn host_ports(world: &World, options: &Options) -> Vec<HostPort> {
    let mut all = Vec::new();
    for object in world.list(PODS) {
        let Some(pod) = read::<Pod>(object) else {
            continue;
        };
        let here = pod.spec.as_ref().and_then(|spec| spec.node_name.as_deref())
            == Some(options.node_name.as_str());
        if !here || spec::host_network(&pod) || spec::is_terminal(&pod) {
            continue;
        }
        let Some(ip) = pod
            .status
            .as_ref()
            .and_then(|status| status.pod_ip.as_deref()?.parse::<IpAddr>().ok())
        else {
            continue;
        };
        for slot in spec::slots(&pod) {
            for port in slot.container.ports.iter().flatten() {
                let (Some(host_port), Some(container_port)) = (
                    port.host_port.and_then(port_number),
                    port_number(port.container_port),
                ) else {
                    continue;
                };
                all.push(HostPort {
                    host_ip: port.host_ip.as_deref().and_then(|ip| ip.parse().ok()),
                    host_port,
                    protocol: protocol(port.protocol.as_deref()),
                    pod: SocketAddr::new(ip, container_port),
                });
            }
        }
    }
    all
}

/// What cluster DNS answers from.
pub fn zone(world: &World, options: &Options) -> ZoneSource {
    let slices = slices(world);
    let services = world.list(SERVICES).filter_map(|object| {
        let service = read::<Service>(object)?;
        let spec = service.spec.as_ref()?;
        let key = (
            object.meta().namespace.to_string(),
            object.meta().name.to_string(),
        );
        let kind = if spec.type_.as_deref() == Some("ExternalName") {
            ServiceKind::External {
                target: spec.external_name.clone()?,
            }
        } else if spec.cluster_ip.as_deref() == Some("None") {
            let all = spec.publish_not_ready_addresses == Some(true);
            ServiceKind::Headless {
                endpoints: published(slices.get(&key).map(Vec::as_slice).unwrap_or_default(), all),
            }
        } else {
            let ports = spec.ports.iter().flatten().filter_map(|port| {
                dns_port(port.name.as_deref(), port.protocol.as_deref(), port.port)
            });
            ServiceKind::Cluster {
                ips: cluster_ips(spec),
                ports: ports.collect(),
            }
        };
        Some(DnsService {
            namespace: key.0,
            name: key.1,
            kind,
        })
    });
    ZoneSource {
        domain: options.cluster_domain.clone(),
        name_servers: options.cluster_dns.clone(),
        namespaces: world
            .list(NAMESPACES)
            .map(|namespace| namespace.meta().name.to_string())
            .collect(),
        services: services.collect(),
        reverse: options
            .service_cidrs
            .iter()
            .chain(&options.cluster_cidrs)
            .copied()
            .collect(),
        // Serial numbers wrap by design (RFC 1982), so the lower bits are enough.
        serial: u32::try_from(world.revision() & u64::from(u32::MAX)).unwrap_or(0),
    }
}

fn dns_port(name: Option<&str>, kind: Option<&str>, number: i32) -> Option<DnsPort> {
    Some(DnsPort {
        name: name.unwrap_or_default().to_owned(),
        protocol: protocol(kind),
        port: port_number(number)?,
    })
}

fn published(slices: &[Arc<EndpointSlice>], all: bool) -> Vec<DnsEndpoint> {
    let mut endpoints = Vec::new();
    for slice in slices {
        let ports: Vec<_> = slice
            .ports
            .iter()
            .flatten()
            .filter_map(|port| dns_port(port.name.as_deref(), port.protocol.as_deref(), port.port?))
            .collect();
        for endpoint in slice
            .endpoints
            .iter()
            .flatten()
            .filter(|endpoint| all || is_ready(endpoint))
        {
            let ips = addresses(&endpoint.addresses);
            endpoints.extend(ips.into_iter().map(|ip| DnsEndpoint {
                ip,
                hostname: endpoint.hostname.clone(),
                ports: ports.clone(),
            }));
        }
    }
    endpoints
}

/// Where tables go.
pub struct Outputs {
    /// The kernel's ruleset, if this node does services.
    pub applier: Option<Applier>,
    /// The DNS server, if this node has one.
    pub dns: Option<Arc<DnsServer>>,
}

/// Keeps ruleset and zone equal to the world until the feed ends.
pub async fn keep(feed: Arc<dyn Feed>, options: Options, outputs: Outputs) {
    let mut commits = feed.commits();
    let applier = outputs.applier.map(|applier| Arc::new(Mutex::new(applier)));
    let (mut rules_stale, mut zone_stale) = (true, true);
    loop {
        let world = feed.world();
        if zone_stale && let Some(dns) = &outputs.dns {
            match zone(&world, &options).build() {
                Ok(zone) => dns.set_zone(zone),
                Err(error) => tracing::error!(%error, "cluster DNS keeps its old zone"),
            }
        }
        zone_stale = false;
        if rules_stale && let Some(applier) = &applier {
            rules_stale = !apply(Arc::clone(applier), service_table(&world, &options)).await;
        } else {
            rules_stale = false;
        }
        let retry = tokio::time::sleep(RETRY);
        tokio::pin!(retry);
        loop {
            let commit = tokio::select! {
                commit = commits.next() => commit,
                () = &mut retry, if rules_stale => break,
            };
            match commit {
                None => return,
                Some(Err(client::Lagged)) => (rules_stale, zone_stale) = (true, true),
                Some(Ok(commit)) => {
                    let touches = |resource: Resource| {
                        commit
                            .events
                            .iter()
                            .any(|event| event.resource() == resource)
                    };
                    let both = touches(SERVICES) || touches(ENDPOINT_SLICES);
                    let (rules, names) = (both || touches(PODS), both || touches(NAMESPACES));
                    if !rules && !names {
                        continue;
                    }
                    rules_stale |= rules;
                    zone_stale |= names;
                }
            }
            // What else is on its way comes along: the tables are made from the world as it is then.
            tokio::time::sleep(GATHER).await;
            break;
        }
    }
}

async fn apply(applier: Arc<Mutex<Applier>>, table: ServiceTable) -> bool {
    let work = tokio::task::spawn_blocking(move || {
        let rules = net::services::ruleset(&table);
        rules
            .conflicts
            .iter()
            .for_each(|conflict| tracing::debug!(conflict, "a part of a service is not served"));
        applier
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .apply(&rules)
            .map(drop)
            .map_err(|error| describe(&error))
    });
    match work.await {
        Ok(Ok(())) => true,
        Ok(Err(error)) => {
            tracing::error!(error, "the service rules were not applied; trying again");
            false
        }
        Err(error) => {
            tracing::error!(%error, "applying the service rules was cut off; trying again");
            false
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use object::Draft;
    use serde_json::json;
    use world::{Commit, Event};

    fn sample() -> World {
        let endpoint = |ip: &str, node: &str, ready: bool, ending: bool| json!({"addresses": [ip], "nodeName": node, "conditions": {"ready": ready, "serving": true, "terminating": ending}});
        let rows = [
            (NAMESPACES, json!({"metadata": {"name": "n"}})),
            (
                SERVICES,
                json!({"metadata": {"name": "web", "namespace": "n"}, "spec": {"clusterIP": "10.43.0.5", "clusterIPs": ["10.43.0.5"], "type": "NodePort", "sessionAffinity": "ClientIP",
                "ports": [{"name": "http", "port": 80, "nodePort": 30080, "protocol": "TCP"}]}}),
            ),
            (
                SERVICES,
                json!({"metadata": {"name": "db", "namespace": "n"}, "spec": {"clusterIP": "None", "ports": [{"port": 5432}]}}),
            ),
            (
                SERVICES,
                json!({"metadata": {"name": "out", "namespace": "n"}, "spec": {"type": "ExternalName", "externalName": "x.example"}}),
            ),
            (
                ENDPOINT_SLICES,
                json!({"metadata": {"name": "web-1", "namespace": "n", "labels": {SERVICE_NAME: "web"}}, "addressType": "IPv4",
                "endpoints": [endpoint("10.42.0.2", "node", true, false), endpoint("10.42.1.2", "other", true, false), endpoint("10.42.0.3", "node", false, true)],
                "ports": [{"name": "http", "port": 8080}]}),
            ),
            (
                ENDPOINT_SLICES,
                json!({"metadata": {"name": "db-1", "namespace": "n", "labels": {SERVICE_NAME: "db"}}, "addressType": "IPv4",
                "endpoints": [{"addresses": ["10.42.0.9"], "hostname": "db-0"}, endpoint("10.42.0.10", "node", false, false)], "ports": [{"port": 5432}]}),
            ),
            (
                PODS,
                json!({"metadata": {"name": "p", "namespace": "n"}, "spec": {"nodeName": "node", "containers": [{"name": "a", "ports": [{"containerPort": 80, "hostPort": 8000}]}]}, "status": {"podIP": "10.42.0.7"}}),
            ),
        ];
        let events = rows
            .iter()
            .map(|(resource, value)| {
                Arc::new(Event::put(
                    Arc::new(
                        Draft::new(*resource, value, |_| Default::default())
                            .unwrap()
                            .seal(1),
                    ),
                    None,
                ))
            })
            .collect();
        World::new(&[]).apply(&Commit {
            revision: 1,
            events,
        })
    }

    #[test]
    fn services_lead_to_their_ready_endpoints() {
        let table = service_table(&sample(), &Options::new("node", "/x"));
        let [web] = &table.services[..] else {
            panic!("only one service has an address: {table:?}")
        };
        assert_eq!(
            (web.port, web.node_port, web.affinity_secs),
            (80, Some(30080), Some(10_800))
        );
        assert_eq!(
            web.endpoints,
            [
                "10.42.0.2:8080".parse().unwrap(),
                "10.42.1.2:8080".parse().unwrap()
            ]
        );
        assert_eq!(web.local_endpoints, ["10.42.0.2:8080".parse().unwrap()]);
        assert_eq!(
            table.host_ports,
            [HostPort {
                host_ip: None,
                host_port: 8000,
                protocol: Protocol::Tcp,
                pod: "10.42.0.7:80".parse().unwrap()
            }]
        );
    }

    #[test]
    fn names_lead_to_addresses_endpoints_and_aliases() {
        let source = zone(&sample(), &Options::new("node", "/x"));
        let kind = |name: &str| {
            format!(
                "{:?}",
                source
                    .services
                    .iter()
                    .find(|service| service.name == name)
                    .unwrap()
                    .kind
            )
        };
        assert!(kind("web").contains("Cluster { ips: [10.43.0.5]"));
        assert!(
            kind("db").contains("db-0") && !kind("db").contains("10.42.0.10"),
            "only what is ready"
        );
        assert!(kind("out").contains("x.example"));
        assert!(source.build().is_ok());
    }
}
