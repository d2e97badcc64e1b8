//! What the caller tells the agent about its node.
//!
//! Plain data; reads nothing. Invariant: everything that differs between machines comes in here.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::path::PathBuf;

use ipnet::{IpNet, Ipv4Net};

/// Pods a node takes unless told otherwise (the kubelet's default).
pub const MAX_PODS: usize = 110;
/// The port of the kubelet API.
pub const KUBELET_PORT: u16 = 10250;

/// The node's surroundings.
#[derive(Debug, Clone)]
pub struct Options {
    /// Name of the Node object.
    pub node_name: String,
    /// Addresses of the node, the main one first.
    pub node_ips: Vec<IpAddr>,
    /// Labels of the Node object beyond the usual ones.
    pub labels: BTreeMap<String, String>,
    /// Range of this node's pods, used until the Node object names one.
    pub pod_cidr: Ipv4Net,
    /// All pod ranges of the cluster.
    pub cluster_cidrs: Vec<IpNet>,
    /// All service ranges.
    pub service_cidrs: Vec<IpNet>,
    /// Where cluster DNS answers.
    pub cluster_dns: Vec<IpAddr>,
    /// The cluster's domain.
    pub cluster_domain: String,
    /// Text of the machine's resolv.conf.
    pub resolv_conf: String,
    /// Volumes, container files and other state of pods.
    pub root_dir: PathBuf,
    /// Logs of containers.
    pub log_dir: PathBuf,
    /// The control group above those of all pods, such as `/kubepods`.
    pub cgroup_root: String,
    /// Most pods at once.
    pub max_pods: usize,
    /// Where the kubelet API answers.
    pub kubelet_port: u16,
    /// Version of Kubernetes, such as `v1.37.0`.
    pub version: String,
    /// Largest packet of pod links in bytes.
    pub mtu: u32,
}

impl Options {
    /// Usual values for a node of this name below `root_dir`.
    pub fn new(node_name: impl Into<String>, root_dir: impl Into<PathBuf>) -> Self {
        let root_dir = root_dir.into();
        // Constants of the right form.
        let net = |a, b, len| Ipv4Net::new([a, b, 0, 0].into(), len).unwrap_or_default();
        Self {
            node_name: node_name.into(),
            node_ips: Vec::new(),
            labels: BTreeMap::new(),
            pod_cidr: net(10, 42, 24),
            cluster_cidrs: vec![net(10, 42, 16).into()],
            service_cidrs: vec![net(10, 43, 16).into()],
            cluster_dns: vec![[10, 43, 0, 10].into()],
            cluster_domain: "cluster.local".to_owned(),
            resolv_conf: String::new(),
            log_dir: root_dir.join("logs"),
            root_dir,
            cgroup_root: "/kubepods".to_owned(),
            max_pods: MAX_PODS,
            kubelet_port: KUBELET_PORT,
            version: "v1.37.0".to_owned(),
            mtu: 1500,
        }
    }

    /// Where a Pod's files are.
    pub fn pod_dir(&self, uid: &str) -> PathBuf {
        self.root_dir.join("pods").join(uid)
    }

    /// Where a Pod's logs are, as upstream names the directory.
    pub fn pod_log_dir(&self, namespace: &str, name: &str, uid: &str) -> PathBuf {
        self.log_dir.join(format!("{namespace}_{name}_{uid}"))
    }
}
