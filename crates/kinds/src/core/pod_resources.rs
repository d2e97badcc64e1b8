//! Amounts that a pod asks for: what limits imply, and the quality-of-service
//! class that follows.
//!
//! Reads quantities; one that does not parse counts as absent here and is
//! refused by validation.

use std::collections::BTreeMap;

use object::Quantity;
use serde_json::{Map, Value};

use crate::fields::{fill, items, items_mut, map_in, member, text, unset};

type Amounts = BTreeMap<String, Quantity>;

/// Requests that are not set are what the limits are, per container; those of
/// the pod are the sum of its containers', or its own limits.
pub(crate) fn default_requests(spec: &mut Map<String, Value>) {
    for list in ["initContainers", "containers"] {
        for container in items_mut(spec, list) {
            if let Some(resources) = map_in(container, "resources") {
                requests_from_limits(resources, |_| true);
            }
        }
    }
    if !spec.get("resources").is_some_and(Value::is_object) {
        return;
    }
    let sums = container_requests(spec);
    let resources = member(spec, "resources");
    let pod_level = |name: &str| matches!(name, "cpu" | "memory") || name.starts_with("hugepages-");
    for (name, sum) in sums.iter().filter(|(name, _)| pod_level(name)) {
        fill(member(resources, "requests"), name, sum.to_string());
    }
    requests_from_limits(resources, pod_level);
}

fn requests_from_limits(resources: &mut Map<String, Value>, which: impl Fn(&str) -> bool) {
    let Some(limits) = resources.get("limits").and_then(Value::as_object).cloned() else {
        return;
    };
    for (name, limit) in limits.into_iter().filter(|(name, _)| which(name)) {
        fill(member(resources, "requests"), &name, limit);
    }
}

/// What all containers together ask for: the running ones with the sidecars, or
/// an init container with the sidecars before it when that is more.
fn container_requests(spec: &Map<String, Value>) -> Amounts {
    let list = |name: &str| {
        spec.get(name)
            .and_then(Value::as_array)
            .cloned()
            .unwrap_or_default()
    };
    let mut sidecars = Amounts::new();
    let mut peak = Amounts::new();
    for container in list("initContainers") {
        let own = amounts(&container, "/resources/requests");
        let with = sum(&sidecars, &own);
        if text(&container, "/restartPolicy") == "Always" {
            sidecars = with.clone();
        }
        for (name, amount) in with {
            let most = peak.entry(name).or_insert(amount);
            *most = (*most).max(amount);
        }
    }
    let mut total = sidecars;
    for container in list("containers") {
        total = sum(&total, &amounts(&container, "/resources/requests"));
    }
    for (name, amount) in peak {
        let most = total.entry(name).or_insert(amount);
        *most = (*most).max(amount);
    }
    total
}

fn sum(a: &Amounts, b: &Amounts) -> Amounts {
    let mut total = a.clone();
    for (name, amount) in b {
        match total.get_mut(name) {
            Some(so_far) => *so_far += *amount,
            None => {
                total.insert(name.clone(), *amount);
            }
        }
    }
    total
}

fn amounts(holder: &Value, pointer: &str) -> Amounts {
    let Some(map) = holder.pointer(pointer).and_then(Value::as_object) else {
        return Amounts::new();
    };
    map.iter()
        .filter_map(|(name, value)| {
            let amount = match value {
                Value::String(text) => Quantity::parse(text).ok()?,
                number => Quantity::parse(&number.to_string()).ok()?,
            };
            Some((name.clone(), amount))
        })
        .collect()
}

/// The quality-of-service class by the rules of the Pod API: guaranteed when
/// every container limits CPU and memory and asks for exactly that much, best
/// effort when none says anything.
pub(crate) fn qos_class(pod: &Value) -> &'static str {
    let counted = |holder: &Value, pointer: &str| -> Amounts {
        let mut found = amounts(holder, pointer);
        found.retain(|name, amount| {
            matches!(name.as_str(), "cpu" | "memory") && *amount > Quantity::default()
        });
        found
    };
    let pod_level = pod.pointer("/spec/resources").filter(|resources| {
        resources
            .as_object()
            .is_some_and(|map| ["requests", "limits"].iter().any(|name| !unset(map, name)))
    });
    let (mut requests, mut limits, mut guaranteed) = (Amounts::new(), Amounts::new(), true);
    let mut take = |holder: &Value, prefix: &str| {
        requests = sum(&requests, &counted(holder, &format!("{prefix}/requests")));
        let own = counted(holder, &format!("{prefix}/limits"));
        guaranteed &= own.len() == 2;
        limits = sum(&limits, &own);
    };
    match pod_level {
        Some(resources) => take(resources, ""),
        None => {
            for list in ["/spec/containers", "/spec/initContainers"] {
                for container in items(pod, list) {
                    take(container, "/resources");
                }
            }
        }
    }
    if requests.is_empty() && limits.is_empty() {
        return "BestEffort";
    }
    if guaranteed && requests == limits {
        return "Guaranteed";
    }
    "Burstable"
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn the_class_follows_requests_and_limits() {
        let both = json!({"cpu": "1", "memory": "1Gi"});
        let rows = [
            (json!([{"resources": {}}]), "BestEffort"),
            (
                json!([{"resources": {"requests": {"x.y/z": "1"}}}]),
                "BestEffort",
            ),
            (
                json!([{"resources": {"requests": {"cpu": "0"}}}]),
                "BestEffort",
            ),
            (
                json!([{"resources": {"requests": {"cpu": "1"}}}]),
                "Burstable",
            ),
            (
                json!([{"resources": {"requests": both, "limits": both}}]),
                "Guaranteed",
            ),
            (
                json!([{"resources": {"requests": both, "limits": both}}, {}]),
                "Burstable",
            ),
            (
                json!([{"resources": {"requests": {"cpu": "1000m", "memory": "1Gi"}, "limits": both}}]),
                "Guaranteed",
            ),
        ];
        for (containers, want) in rows {
            let pod = json!({"spec": {"containers": containers}});
            assert_eq!(qos_class(&pod), want, "{pod}");
        }
    }
}
