//! Pod networks: an address and a namespace for each sandbox.
//!
//! Invariants: an address belongs to one pod; after a restart the addresses of running pods are taken before any is given;
//! what blocks runs on blocking threads.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use net::ipam::Ipam;
use net::pods::{PodLinkSpec, PodNetwork};

/// Why a pod has no network.
#[derive(Debug, thiserror::Error)]
pub enum LinkError {
    /// No address is free.
    #[error(transparent)]
    Address(#[from] net::ipam::IpamError),
    /// The kernel refused.
    #[error("{0}")]
    Network(String),
}

/// A pod's network.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Link {
    /// Where its namespace is pinned; `None` for a network without one, as tests use.
    pub netns: Option<PathBuf>,
    /// The pod's address.
    pub ip: IpAddr,
}

/// Gives networks to sandboxes.
#[async_trait]
pub trait Links: Send + Sync + 'static {
    /// A network for the sandbox `pod_id`.
    async fn set_up(&self, pod_id: String) -> Result<Link, LinkError>;
    /// Takes it back; what is gone is fine.
    async fn tear_down(&self, pod_id: String, ip: Option<IpAddr>) -> Result<(), LinkError>;
    /// Removes the networks of all sandboxes but these.
    async fn keep_only(&self, pod_ids: BTreeSet<String>) -> Result<(), LinkError>;
}

/// Routed links on this machine.
pub struct HostLinks {
    inner: Arc<Mutex<Inner>>,
    node_ip: Option<IpAddr>,
    mtu: u32,
}

struct Inner {
    network: PodNetwork,
    ipam: Ipam,
}

impl HostLinks {
    /// Serves addresses of `range`; those of pods that are there are taken.
    ///
    /// # Errors
    /// When the kernel does not list the pods or the range is too small.
    pub fn new(
        mut network: PodNetwork,
        range: ipnet::Ipv4Net,
        node_ip: Option<IpAddr>,
        mtu: u32,
    ) -> Result<Self, LinkError> {
        let used = network
            .list()
            .map_err(|error| LinkError::Network(describe(&error)))?;
        let ipam = Ipam::new(range, used.iter().filter_map(|link| link.ip))?;
        Ok(Self {
            inner: Arc::new(Mutex::new(Inner { network, ipam })),
            node_ip,
            mtu,
        })
    }

    async fn work<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Inner) -> Result<T, LinkError> + Send + 'static,
    ) -> Result<T, LinkError> {
        let inner = Arc::clone(&self.inner);
        let done = tokio::task::spawn_blocking(move || {
            work(&mut inner.lock().unwrap_or_else(PoisonError::into_inner))
        });
        done.await
            .unwrap_or_else(|error| Err(LinkError::Network(error.to_string())))
    }
}

/// An error with its causes, in one line.
pub(crate) fn describe(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        next = cause.source();
    }
    text
}

#[async_trait]
impl Links for HostLinks {
    async fn set_up(&self, pod_id: String) -> Result<Link, LinkError> {
        let (node_ip, mtu) = (self.node_ip, self.mtu);
        self.work(move |inner| {
            let ip = inner.ipam.allocate()?;
            let wanted = PodLinkSpec {
                pod_id: pod_id.clone(),
                ip,
                mtu,
                node_ip,
            };
            match inner.network.setup_pod(&wanted) {
                Ok(link) => Ok(Link {
                    netns: Some(link.netns),
                    ip,
                }),
                Err(error) => {
                    // Half a link is taken away again; if that fails too, the next clean-up finds it.
                    if let Err(second) = inner.network.teardown_pod(&pod_id) {
                        tracing::warn!(%second, pod_id, "half a pod link stays behind");
                    }
                    inner.ipam.release(ip);
                    Err(LinkError::Network(describe(&error)))
                }
            }
        })
        .await
    }

    async fn tear_down(&self, pod_id: String, ip: Option<IpAddr>) -> Result<(), LinkError> {
        self.work(move |inner| {
            let there = inner
                .network
                .list()
                .map_err(|error| LinkError::Network(describe(&error)))?;
            let known = there.iter().any(|link| link.pod_id == pod_id);
            inner
                .network
                .teardown_pod(&pod_id)
                .map_err(|error| LinkError::Network(describe(&error)))?;
            // A second call for the same sandbox must not free an address that another has got since.
            if let Some(ip) = ip.filter(|_| known) {
                inner.ipam.release(ip);
            }
            Ok(())
        })
        .await
    }

    async fn keep_only(&self, pod_ids: BTreeSet<String>) -> Result<(), LinkError> {
        self.work(move |inner| {
            let there = inner
                .network
                .list()
                .map_err(|error| LinkError::Network(describe(&error)))?;
            inner
                .network
                .remove_leftovers(&pod_ids)
                .map_err(|error| LinkError::Network(describe(&error)))?;
            for gone in there.iter().filter(|link| !pod_ids.contains(&link.pod_id)) {
                if let Some(ip) = gone.ip {
                    inner.ipam.release(ip);
                }
            }
            Ok(())
        })
        .await
    }
}
