//! Cluster DNS: authoritative for the cluster domain, forwarding for the rest.
//!
//! `Zone` is made from plain structs and answers purely; `DnsServer` holds the
//! current zone (swapped whole) and upstreams, and speaks UDP and TCP. Records
//! follow the "Kubernetes DNS-Based Service Discovery" specification, version
//! 1.1.0. That text prescribes no TTL; it is 5 seconds here, the default of
//! CoreDNS' kubernetes plugin.

mod cache;
mod forward;
mod resolv;
mod server;
mod wire;
mod zone;
mod zone_build;

pub use resolv::{ResolvConf, parse_resolv_conf};
pub use server::{DnsServer, Listeners};
pub use zone::{Answer, Zone};
pub use zone_build::{DnsEndpoint, DnsPort, DnsService, ServiceKind, ZoneSource};

/// Time to live of cluster records, in seconds.
pub const CLUSTER_TTL_SECS: u32 = 5;
/// The version of the specification, as `dns-version` answers.
pub const SPECIFICATION: &str = "1.1.0";
