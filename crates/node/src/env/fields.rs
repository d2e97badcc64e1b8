//! Fields of a Pod and resources of a container as text: `fieldRef` and `resourceFieldRef`.
//!
//! Pure. Used by variables and by downward API volumes.

use std::net::IpAddr;

use k8s_openapi::api::core::v1::{Container, Pod, ResourceFieldSelector};
use object::Quantity;

use super::EnvError;
use crate::{pods::spec, resources};

/// What a Pod's own fields do not tell yet.
#[derive(Debug, Clone, Default)]
pub struct Facts {
    /// Addresses of the Pod.
    pub pod_ips: Vec<IpAddr>,
    /// Addresses of the node.
    pub host_ips: Vec<IpAddr>,
    /// The node's allocatable CPU in thousandths, for containers without a limit.
    pub node_cpu_milli: i64,
    /// The node's allocatable memory in bytes, for containers without a limit.
    pub node_memory_bytes: i64,
}

/// The field at `path`.
pub fn field(pod: &Pod, path: &str, facts: &Facts) -> Result<String, EnvError> {
    let pod_spec = pod.spec.as_ref();
    if let Some((list, key)) = subscript(path) {
        let map = match list {
            "metadata.labels" => &pod.metadata.labels,
            "metadata.annotations" => &pod.metadata.annotations,
            _ => return Err(unsupported(path)),
        };
        return Ok(map
            .as_ref()
            .and_then(|map| map.get(key))
            .cloned()
            .unwrap_or_default());
    }
    let first = |ips: &[IpAddr]| ips.first().map(ToString::to_string).unwrap_or_default();
    let all = |ips: &[IpAddr]| {
        ips.iter()
            .map(ToString::to_string)
            .collect::<Vec<_>>()
            .join(",")
    };
    Ok(match path {
        "metadata.name" => spec::name(pod).to_owned(),
        "metadata.namespace" => spec::namespace(pod).to_owned(),
        "metadata.uid" => spec::uid(pod).to_owned(),
        "metadata.labels" => format_map(pod.metadata.labels.as_ref()),
        "metadata.annotations" => format_map(pod.metadata.annotations.as_ref()),
        "spec.nodeName" => pod_spec
            .and_then(|spec| spec.node_name.clone())
            .unwrap_or_default(),
        "spec.serviceAccountName" => pod_spec
            .and_then(|spec| spec.service_account_name.clone())
            .unwrap_or_default(),
        "status.podIP" => first(&facts.pod_ips),
        "status.podIPs" => all(&facts.pod_ips),
        "status.hostIP" => first(&facts.host_ips),
        "status.hostIPs" => all(&facts.host_ips),
        _ => return Err(unsupported(path)),
    })
}

fn unsupported(path: &str) -> EnvError {
    EnvError::Unusable(format!("unsupported fieldPath: {path}"))
}

/// `metadata.labels['key']` as list and key.
fn subscript(path: &str) -> Option<(&str, &str)> {
    let (list, rest) = path.split_once("['")?;
    Some((list, rest.strip_suffix("']")?))
}

/// One `key="value"` a line, sorted, quoted as Go quotes.
fn format_map(map: Option<&std::collections::BTreeMap<String, String>>) -> String {
    let lines: Vec<_> = map
        .into_iter()
        .flatten()
        .map(|(key, value)| format!("{key}={value:?}"))
        .collect();
    lines.join("\n")
}

/// The amount that `selector` names, in units of its divisor, rounded up.
pub fn resource(
    pod: &Pod,
    own: &Container,
    selector: &ResourceFieldSelector,
    facts: &Facts,
) -> Result<String, EnvError> {
    let named = selector
        .container_name
        .as_deref()
        .filter(|name| !name.is_empty());
    let other = named
        .map(|name| {
            spec::slot(pod, name)
                .ok_or_else(|| EnvError::Unusable(format!("container {name} not found")))
        })
        .transpose()?;
    let container = other.as_ref().map_or(own, |slot| slot.container.as_ref());
    let unknown = || {
        EnvError::Unusable(format!(
            "unsupported container resource : {}",
            selector.resource
        ))
    };
    let (kind, name) = selector.resource.split_once('.').ok_or_else(unknown)?;
    let found = match kind {
        "limits" => resources::limit(container, name),
        "requests" => resources::request(container, name),
        _ => return Err(unknown()),
    };
    let found = found.filter(|quantity| !quantity.is_zero());
    // CPU may have fractions; units of bytes times 1000 would overflow `milli`.
    let milli = match (name, found) {
        ("cpu", Some(quantity)) => i128::from(quantity.milli()),
        (_, Some(quantity)) => i128::from(quantity.units()) * 1000,
        ("cpu", None) if kind == "limits" => i128::from(facts.node_cpu_milli),
        ("memory", None) if kind == "limits" => i128::from(facts.node_memory_bytes) * 1000,
        _ => 0,
    };
    let divisor = selector
        .divisor
        .as_ref()
        .and_then(|divisor| Quantity::parse(&divisor.0).ok())
        .filter(|divisor| !divisor.is_zero());
    let divisor = divisor.map_or(1000, |divisor| {
        if name == "cpu" {
            i128::from(divisor.milli())
        } else {
            i128::from(divisor.units()) * 1000
        }
    });
    Ok(((milli + divisor - 1) / divisor).to_string())
}
