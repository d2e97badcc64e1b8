//! Making a zone from services and endpoints.
//!
//! Pure. The caller decides which endpoints are published (ready ones, or all
//! with `publishNotReadyAddresses`). Names that DNS cannot hold are skipped: the
//! API admits none.

use super::SPECIFICATION;
use super::zone::{Node, Zone, key};
use crate::nft::Protocol;
use hickory_proto::ProtoError;
use hickory_proto::rr::Name;
use ipnet::IpNet;
use std::collections::{BTreeSet, HashMap};
use std::net::IpAddr;

/// Everything that the zone depends on.
#[derive(Debug, Clone)]
pub struct ZoneSource {
    /// The cluster domain, `cluster.local`.
    pub domain: String,
    /// Where cluster DNS answers (the address of the `kube-dns` service).
    pub name_servers: Vec<IpAddr>,
    /// All namespaces that exist.
    pub namespaces: Vec<String>,
    /// All services.
    pub services: Vec<DnsService>,
    /// Service and pod ranges, whose reverse names are answered here.
    pub reverse: Vec<IpNet>,
    /// The zone's serial number, for instance the lower bits of the revision it was made at.
    pub serial: u32,
}

impl Default for ZoneSource {
    fn default() -> Self {
        Self {
            domain: "cluster.local".to_owned(),
            name_servers: Vec::new(),
            namespaces: Vec::new(),
            services: Vec::new(),
            reverse: Vec::new(),
            serial: 1,
        }
    }
}

/// One service.
#[derive(Debug, Clone)]
pub struct DnsService {
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// What its name leads to.
    pub kind: ServiceKind,
}

/// The kinds of services, as far as DNS is concerned.
#[derive(Debug, Clone)]
pub enum ServiceKind {
    /// With addresses of its own.
    Cluster {
        /// `spec.clusterIPs`.
        ips: Vec<IpAddr>,
        /// The ports at these addresses.
        ports: Vec<DnsPort>,
    },
    /// `clusterIP: None`: leads to its endpoints.
    Headless {
        /// The published endpoints.
        endpoints: Vec<DnsEndpoint>,
    },
    /// `type: ExternalName`.
    External {
        /// `spec.externalName`.
        target: String,
    },
}

/// A port of a service.
#[derive(Debug, Clone)]
pub struct DnsPort {
    /// Its name; ports without one have no SRV record.
    pub name: String,
    /// Its protocol.
    pub protocol: Protocol,
    /// Its number.
    pub port: u16,
}

/// An endpoint of a headless service.
#[derive(Debug, Clone)]
pub struct DnsEndpoint {
    /// Its address.
    pub ip: IpAddr,
    /// Its name within the service, if it has one.
    pub hostname: Option<String>,
    /// Its ports.
    pub ports: Vec<DnsPort>,
}

impl ZoneSource {
    /// Makes the zone.
    ///
    /// # Errors
    /// When `domain` is no domain name.
    pub fn build(&self) -> Result<Zone, ProtoError> {
        let mut domain = Name::from_ascii(self.domain.to_ascii_lowercase())?;
        domain.set_fqdn(true);
        let name_server = domain.prepend_label("dns")?.prepend_label("ns")?;
        let mut build = Builder {
            domain_key: key(&domain),
            nodes: HashMap::new(),
        };
        build.node(&domain);
        build
            .node(&name_server)
            .addresses
            .clone_from(&self.name_servers);
        build.node(&domain.prepend_label("dns-version")?).text = Some(SPECIFICATION.to_owned());
        let (svc, pod) = (domain.prepend_label("svc")?, domain.prepend_label("pod")?);
        for namespace in &self.namespaces {
            for parent in [&svc, &pod] {
                if let Ok(name) = parent.prepend_label(namespace.as_str()) {
                    build.node(&name);
                }
            }
        }
        for service in &self.services {
            // A name that does not fit is left out; the others stay right.
            let _ = build.service(&svc, service);
        }
        for node in build.nodes.values_mut() {
            node.addresses.sort_unstable();
            node.addresses.dedup();
            node.pointers.sort_unstable();
            node.pointers.dedup();
            node.services.sort_unstable();
            node.services.dedup();
        }
        Ok(Zone {
            domain_key: build.domain_key,
            nodes: build.nodes,
            domain,
            name_server,
            serial: self.serial,
            namespaces: self.namespaces.iter().cloned().collect::<BTreeSet<_>>(),
            reverse: self.reverse.clone(),
        })
    }
}

struct Builder {
    domain_key: String,
    nodes: HashMap<String, Node>,
}

impl Builder {
    /// The node at `name`; the names above it come to exist with it.
    fn node(&mut self, name: &Name) -> &mut Node {
        let own = key(name);
        let mut parent = own.as_str();
        while let Some((_, rest)) = parent.split_once('.') {
            if rest.len() < self.domain_key.len() || self.nodes.contains_key(rest) {
                break;
            }
            self.nodes.insert(rest.to_owned(), Node::default());
            parent = rest;
        }
        self.nodes.entry(own).or_default()
    }

    fn service(&mut self, svc: &Name, service: &DnsService) -> Result<(), ProtoError> {
        let name = svc
            .prepend_label(service.namespace.as_str())?
            .prepend_label(service.name.as_str())?;
        match &service.kind {
            ServiceKind::Cluster { ips, ports } => {
                self.node(&name).addresses.extend(ips);
                for ip in ips {
                    self.pointer(*ip, &name);
                }
                for port in ports {
                    self.port(&name, port, &name)?;
                }
            }
            ServiceKind::Headless { endpoints } => {
                self.node(&name);
                for endpoint in endpoints {
                    let label = endpoint
                        .hostname
                        .clone()
                        .unwrap_or_else(|| dashed(endpoint.ip));
                    let own = name.prepend_label(label.as_str())?;
                    self.node(&name).addresses.push(endpoint.ip);
                    self.node(&own).addresses.push(endpoint.ip);
                    self.pointer(endpoint.ip, &own);
                    for port in &endpoint.ports {
                        self.port(&name, port, &own)?;
                    }
                }
            }
            ServiceKind::External { target } => {
                let mut target = Name::from_utf8(target)?;
                target.set_fqdn(true);
                self.node(&name).alias = Some(target);
            }
        }
        Ok(())
    }

    fn port(&mut self, service: &Name, port: &DnsPort, target: &Name) -> Result<(), ProtoError> {
        if port.name.is_empty() {
            return Ok(());
        }
        let protocol = format!("_{}", port.protocol.name());
        let name = service
            .prepend_label(protocol.as_str())?
            .prepend_label(format!("_{}", port.name).as_str())?;
        self.node(&name).services.push((port.port, target.clone()));
        Ok(())
    }

    fn pointer(&mut self, ip: IpAddr, target: &Name) {
        self.nodes
            .entry(key(&Name::from(ip)))
            .or_default()
            .pointers
            .push(target.clone());
    }
}

/// `10.0.0.1` as the label `10-0-0-1`.
fn dashed(ip: IpAddr) -> String {
    ip.to_string().replace(['.', ':'], "-")
}
