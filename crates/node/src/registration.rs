//! The Node object and its lease.
//!
//! Makes the Node if it is not there, keeps its status and renews the lease. Deciding ([`node_status`]) is pure. Invariants:
//! labels, taints and everything else that others set on the Node stay; a failed write is tried again at the next turn.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use client::{ClientError, Target, Verb, Write};
use jiff::Timestamp;
use k8s_openapi::api::core::v1::{Node as ApiNode, NodeCondition, NodeStatus};
use object::Resource;
use object::time::{rfc3339, rfc3339_micro};
use serde_json::{Value, json};

use crate::images::ImageFacts;
use crate::machine::Machine;
use crate::options::Options;
use crate::pods::worker::Node;

/// Nodes.
pub const NODES: Resource = Resource::new("", "nodes");
const LEASES: Resource = Resource::new("coordination.k8s.io", "leases");
const LEASE_NAMESPACE: &str = "kube-node-lease";
/// The lease is good for so long.
const LEASE_SECS: u64 = 40;
/// It is renewed after so long.
const RENEW: Duration = Duration::from_secs(10);
/// The status is written at least so often, changed or not (the kubelet's report frequency).
const REPORT_SECS: i64 = 300;
/// A first registration that failed is tried again after so long.
const RETRY: Duration = Duration::from_secs(1);
/// Images that the status lists (the kubelet's limit).
const IMAGES_MAX: usize = 50;

/// Registers the node and keeps it up to date, for ever.
pub(crate) async fn keep(node: Arc<Node>, machine: Machine, runtime: runtime::Version) {
    let mut reported: Option<(NodeStatus, Timestamp)> = None;
    let mut registered = false;
    loop {
        if !registered {
            match register(&node, &machine).await {
                Ok(()) => registered = true,
                Err(error) => {
                    tracing::warn!(%error, "registering the node failed; trying again");
                    tokio::time::sleep(RETRY).await;
                    continue;
                }
            }
        }
        if let Err(error) = renew_lease(&node).await {
            tracing::warn!(%error, "renewing the node's lease failed");
        }
        match report(&node, &machine, &runtime, reported.as_ref()).await {
            Ok(Some(latest)) => reported = Some(latest),
            Ok(None) => {}
            Err(ClientError::Status(status)) if status.code == 404 => registered = false,
            Err(error) => tracing::warn!(%error, "writing the node's status failed"),
        }
        tokio::time::sleep(RENEW).await;
    }
}

fn target(options: &Options) -> Target {
    Target {
        name: options.node_name.as_str().into(),
        ..Target::collection(NODES, "v1", "")
    }
}

async fn register(node: &Node, machine: &Machine) -> Result<(), ClientError> {
    let options = &node.options;
    let mut labels = options.labels.clone();
    for (name, value) in [
        ("os", "linux"),
        ("arch", machine.architecture.as_str()),
        ("hostname", options.node_name.as_str()),
    ] {
        labels.insert(format!("kubernetes.io/{name}"), value.to_owned());
        if name != "hostname" {
            labels.insert(format!("beta.kubernetes.io/{name}"), value.to_owned());
        }
    }
    let body = json!({
        "kind": "Node", "apiVersion": "v1",
        "metadata": {"name": options.node_name, "labels": labels},
        "spec": {"podCIDR": options.pod_cidr.to_string(), "podCIDRs": [options.pod_cidr.to_string()]},
    });
    match node
        .api
        .send(&Write::create(Target::collection(NODES, "v1", ""), body))
        .await
    {
        Ok(_) => {
            node.events
                .node(&options.node_name, false, "Starting", "Starting kubelet.");
            Ok(())
        }
        Err(ClientError::Status(status)) if status.code == 409 => {
            let write = Write::merge(target(options), json!({"metadata": {"labels": labels}}));
            node.api.send(&write).await.map(drop)
        }
        Err(error) => Err(error),
    }
}

async fn renew_lease(node: &Node) -> Result<(), ClientError> {
    let name = &node.options.node_name;
    let now = rfc3339_micro(node.clock.now());
    let target = Target {
        name: name.as_str().into(),
        ..Target::collection(LEASES, "v1", LEASE_NAMESPACE)
    };
    let spec =
        json!({"holderIdentity": name, "leaseDurationSeconds": LEASE_SECS, "renewTime": now});
    match node
        .api
        .send(&Write::merge(target, json!({"spec": spec})))
        .await
    {
        Err(ClientError::Status(status)) if status.code == 404 => {}
        other => return other.map(drop),
    }
    let mut metadata = json!({"name": name, "namespace": LEASE_NAMESPACE});
    if let Some(object) = node.feed.world().find(NODES, "", name) {
        metadata["ownerReferences"] =
            json!([{"apiVersion": "v1", "kind": "Node", "name": name, "uid": object.meta().uid}]);
    }
    let body = json!({"kind": "Lease", "apiVersion": "coordination.k8s.io/v1", "metadata": metadata, "spec": spec});
    node.api
        .send(&Write::create(
            Target::collection(LEASES, "v1", LEASE_NAMESPACE),
            body,
        ))
        .await
        .map(drop)
}

async fn report(
    node: &Node,
    machine: &Machine,
    runtime: &runtime::Version,
    last: Option<&(NodeStatus, Timestamp)>,
) -> Result<Option<(NodeStatus, Timestamp)>, ClientError> {
    let now = node.clock.now();
    let health = node.runtime.status().await;
    let trouble = match health {
        Ok(status) if status.ready => None,
        Ok(status) => Some(format!(
            "container runtime is not ready: {}",
            status.message
        )),
        Err(error) => Some(crate::links::describe(&error)),
    };
    let known = node
        .feed
        .world()
        .view::<ApiNode>(NODES, "", &node.options.node_name)
        .ok()
        .flatten();
    let old = known
        .as_ref()
        .and_then(|node| node.status.clone())
        .unwrap_or_default();
    let status = node_status(
        &node.options,
        machine,
        runtime,
        &node.images.list(),
        trouble,
        &old,
        now,
    );
    let same = last.is_some_and(|(reported, at)| {
        without_beats(reported) == without_beats(&status)
            && now.duration_since(*at).as_secs() < REPORT_SECS
    });
    if same {
        return Ok(None);
    }
    let body = json!({"status": serde_json::to_value(&status).unwrap_or(Value::Null)});
    let write = Write {
        target: target(&node.options).subresource("status"),
        verb: Verb::MergePatch,
        body,
    };
    node.api.send(&write).await?;
    Ok(Some((status, now)))
}

fn without_beats(status: &NodeStatus) -> NodeStatus {
    let mut status = status.clone();
    status
        .conditions
        .iter_mut()
        .flatten()
        .for_each(|condition| condition.last_heartbeat_time = None);
    status
}

/// The status of the Node. `trouble` says why the node cannot run pods; `old` gives transition times.
pub fn node_status(
    options: &Options,
    machine: &Machine,
    runtime: &runtime::Version,
    images: &[ImageFacts],
    trouble: Option<String>,
    old: &NodeStatus,
    now: Timestamp,
) -> NodeStatus {
    let amounts: BTreeMap<&str, String> = [
        ("cpu", (machine.cpu_milli / 1000).to_string()),
        ("memory", format!("{}Ki", machine.memory_bytes / 1024)),
        (
            "ephemeral-storage",
            format!("{}Ki", machine.storage_bytes / 1024),
        ),
        ("pods", options.max_pods.to_string()),
        ("hugepages-1Gi", "0".to_owned()),
        ("hugepages-2Mi", "0".to_owned()),
    ]
    .into();
    let mut addresses: Vec<Value> = options
        .node_ips
        .iter()
        .map(|ip| json!({"type": "InternalIP", "address": ip.to_string()}))
        .collect();
    addresses.push(json!({"type": "Hostname", "address": options.node_name}));
    let mut listed: Vec<_> = images
        .iter()
        .filter(|image| !image.names.is_empty())
        .collect();
    listed.sort_by_key(|image| std::cmp::Reverse(image.size));
    let listed: Vec<_> = listed
        .into_iter()
        .take(IMAGES_MAX)
        .map(|image| json!({"names": image.names, "sizeBytes": image.size}))
        .collect();
    let (ready, reason, message) = match trouble {
        None => (
            "True",
            "KubeletReady",
            "kubelet is posting ready status".to_owned(),
        ),
        Some(trouble) => ("False", "KubeletNotReady", trouble),
    };
    let conditions = [
        (
            "MemoryPressure",
            "False",
            "KubeletHasSufficientMemory",
            "kubelet has sufficient memory available".to_owned(),
        ),
        (
            "DiskPressure",
            "False",
            "KubeletHasNoDiskPressure",
            "kubelet has no disk pressure".to_owned(),
        ),
        (
            "PIDPressure",
            "False",
            "KubeletHasSufficientPID",
            "kubelet has sufficient PID available".to_owned(),
        ),
        ("Ready", ready, reason, message),
    ];
    let known = old.conditions.clone().unwrap_or_default();
    let ours: Vec<&str> = conditions.iter().map(|condition| condition.0).collect();
    let others: Vec<NodeCondition> = known
        .iter()
        .filter(|known| !ours.contains(&known.type_.as_str()))
        .cloned()
        .collect();
    let mut shown: Vec<Value> = others
        .iter()
        .filter_map(|condition| serde_json::to_value(condition).ok())
        .collect();
    for (kind, status, reason, message) in conditions {
        let since = known
            .iter()
            .find(|known| known.type_ == kind && known.status == status)
            .and_then(|known| known.last_transition_time.clone());
        let since = since.map_or(now, |since| since.0);
        shown.push(json!({
            "type": kind, "status": status, "reason": reason, "message": message,
            "lastHeartbeatTime": rfc3339(now), "lastTransitionTime": rfc3339(since),
        }));
    }
    let status = json!({
        "capacity": amounts, "allocatable": amounts, "addresses": addresses, "conditions": shown, "images": listed,
        "daemonEndpoints": {"kubeletEndpoint": {"Port": options.kubelet_port}},
        "nodeInfo": {
            "machineID": machine.machine_id, "systemUUID": machine.system_uuid, "bootID": machine.boot_id,
            "kernelVersion": machine.kernel_version, "osImage": machine.os_image, "operatingSystem": "linux",
            "architecture": machine.architecture, "kubeletVersion": options.version, "kubeProxyVersion": "",
            "containerRuntimeVersion": format!("{}://{}", runtime.runtime_name, runtime.runtime_version),
        },
    });
    // Made of literals that have the type's shape; a test decodes it.
    serde_json::from_value(status).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_status_tells_what_the_machine_has_and_keeps_transition_times() {
        let machine = Machine {
            cpu_milli: 2000,
            memory_bytes: 4 << 30,
            ..Machine::default()
        };
        let options = Options {
            node_ips: vec![[192, 0, 2, 7].into()],
            ..Options::new("node", "/x")
        };
        let runtime = runtime::Version {
            runtime_name: "kogge".into(),
            runtime_version: "0.1.0".into(),
        };
        let make = |old: &NodeStatus, trouble: Option<&str>, second| {
            node_status(
                &options,
                &machine,
                &runtime,
                &[],
                trouble.map(str::to_owned),
                old,
                Timestamp::from_second(second).unwrap(),
            )
        };
        let first = make(&NodeStatus::default(), None, 100);
        assert_eq!(first.capacity.as_ref().unwrap()["memory"].0, "4194304Ki");
        assert_eq!(
            first.node_info.as_ref().unwrap().container_runtime_version,
            "kogge://0.1.0"
        );
        let ready = |status: &NodeStatus| {
            status
                .conditions
                .as_ref()
                .unwrap()
                .iter()
                .find(|condition| condition.type_ == "Ready")
                .cloned()
                .unwrap()
        };
        let second = make(&first, None, 200);
        assert_eq!(
            ready(&second).last_transition_time.unwrap().0.as_second(),
            100
        );
        assert_eq!(without_beats(&first), without_beats(&second));
        let third = make(&second, Some("no shim"), 300);
        assert_eq!(
            (
                ready(&third).status.as_str(),
                ready(&third).last_transition_time.unwrap().0.as_second()
            ),
            ("False", 300)
        );
    }
}
