//! The network of a kogge node: pod links, services, and cluster DNS.
//!
//! Everything is done by system calls and netlink; no program of the host is
//! run. Inputs are plain structs of this crate: it knows no Kubernetes objects.
//! Deciding (`services::ruleset`, `dns::Zone`, `ipam::Ipam`) is pure; acting
//! (`pods`, `nft::Applier`, `dns::DnsServer`) is separate.

pub mod address;
pub mod dns;
mod error;
pub mod ipam;
mod netlink;
pub mod netns;
pub mod nft;
pub mod pods;
pub mod services;
mod sysctl;

pub use error::NetError;
