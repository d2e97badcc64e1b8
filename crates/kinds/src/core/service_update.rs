//! What an update of a Service keeps of the addresses and ports it was given.
//!
//! Reads the old Service, writes the new one. Invariant: a value that the new
//! object sets is never replaced; a client that leaves out what it does not
//! know does not lose its address.

use serde_json::{Map, Value, json};

use crate::fields::{integer, items, object, put_member, text, text_in};

/// Keeps what was allocated, and drops what the new type has no use for.
pub(crate) fn prepare_update(new: &mut Value, old: &Value) {
    if needs_address(new) && needs_address(old) {
        keep_addresses(object(new, "spec"), old);
    }
    if needs_node_ports(new) && needs_node_ports(old) {
        keep_node_ports(object(new, "spec"), old);
    }
    if needs_health_port(new) && needs_health_port(old) {
        let spec = object(new, "spec");
        if spec
            .get("healthCheckNodePort")
            .and_then(Value::as_i64)
            .unwrap_or_default()
            == 0
        {
            let kept = old.pointer("/spec/healthCheckNodePort").cloned();
            put_member(spec, "healthCheckNodePort", kept);
        }
    }
    follow_single_address(object(new, "spec"), old);
    drop_unused(new, old);
}

fn kind(service: &Value) -> &str {
    text(service, "/spec/type")
}

fn needs_address(service: &Value) -> bool {
    matches!(kind(service), "ClusterIP" | "NodePort" | "LoadBalancer")
}

fn needs_node_ports(service: &Value) -> bool {
    match kind(service) {
        "NodePort" => true,
        "LoadBalancer" => service
            .pointer("/spec/allocateLoadBalancerNodePorts")
            .and_then(Value::as_bool)
            .unwrap_or(true),
        _ => false,
    }
}

fn needs_health_port(service: &Value) -> bool {
    kind(service) == "LoadBalancer" && text(service, "/spec/externalTrafficPolicy") == "Local"
}

fn keep_addresses(spec: &mut Map<String, Value>, old: &Value) {
    if text_in(spec, "clusterIP").is_empty() {
        let kept = old.pointer("/spec/clusterIP").cloned();
        put_member(spec, "clusterIP", kept);
    }
    if spec
        .get("clusterIPs")
        .and_then(Value::as_array)
        .is_none_or(Vec::is_empty)
        && text_in(spec, "clusterIP") == text(old, "/spec/clusterIP")
    {
        let kept = old.pointer("/spec/clusterIPs").cloned();
        put_member(spec, "clusterIPs", kept);
    }
    for name in ["ipFamilies", "ipFamilyPolicy"] {
        if spec.get(name).is_none_or(Value::is_null) {
            let kept = old.pointer(&format!("/spec/{name}")).cloned();
            put_member(spec, name, kept);
        }
    }
}

fn keep_node_ports(spec: &mut Map<String, Value>, old: &Value) {
    let same = |a: &Value, b: &Value| {
        integer(a, "/port") == integer(b, "/port") && text(a, "/protocol") == text(b, "/protocol")
    };
    let Some(ports) = spec.get_mut("ports").and_then(Value::as_array_mut) else {
        return;
    };
    for port in ports
        .iter_mut()
        .filter(|port| integer(port, "/nodePort") == 0)
    {
        let before = items(old, "/spec/ports")
            .iter()
            .find(|before| same(before, port));
        if let (Some(before), Some(port)) = (
            before.map(|b| integer(b, "/nodePort")),
            port.as_object_mut(),
        ) && before != 0
        {
            port.insert("nodePort".into(), before.into());
        }
    }
}

/// The single address leads: a client that knows only that one may change it.
fn follow_single_address(spec: &mut Map<String, Value>, old: &Value) {
    let unchanged = spec.get("clusterIPs") == old.pointer("/spec/clusterIPs");
    let address = text_in(spec, "clusterIP").to_owned();
    let list_empty = spec
        .get("clusterIPs")
        .and_then(Value::as_array)
        .is_none_or(Vec::is_empty);
    if address != text(old, "/spec/clusterIP") && unchanged {
        match address.is_empty() {
            true => spec.shift_remove("clusterIPs"),
            false => spec.insert("clusterIPs".into(), json!([address])),
        };
    } else if list_empty && !address.is_empty() {
        spec.insert("clusterIPs".into(), json!([address]));
    }
}

/// Values of the old type that the client did not touch go with that type.
fn drop_unused(new: &mut Value, old: &Value) {
    let mut unused: Vec<&str> = Vec::new();
    if needs_address(old) && !needs_address(new) {
        unused.extend([
            "clusterIP",
            "clusterIPs",
            "ipFamilies",
            "ipFamilyPolicy",
            "internalTrafficPolicy",
        ]);
    }
    if needs_health_port(old) && !needs_health_port(new) {
        unused.push("healthCheckNodePort");
    }
    if kind(old) == "LoadBalancer" && kind(new) != "LoadBalancer" {
        unused.extend(["allocateLoadBalancerNodePorts", "loadBalancerClass"]);
    }
    let outside = |service: &Value| {
        matches!(kind(service), "NodePort" | "LoadBalancer")
            || !items(service, "/spec/externalIPs").is_empty()
    };
    if outside(old) && !outside(new) {
        unused.push("externalTrafficPolicy");
    }
    let node_ports = needs_node_ports(old) && !needs_node_ports(new);
    let spec = object(new, "spec");
    for name in unused {
        if spec.get(name) == old.pointer(&format!("/spec/{name}")) {
            spec.shift_remove(name);
        }
    }
    if node_ports {
        drop_node_ports(spec, old);
    }
}

fn drop_node_ports(spec: &mut Map<String, Value>, old: &Value) {
    let before: Vec<i64> = items(old, "/spec/ports")
        .iter()
        .map(|port| integer(port, "/nodePort"))
        .collect();
    let ports = spec.get_mut("ports").and_then(Value::as_array_mut);
    for port in ports.into_iter().flatten() {
        let number = integer(port, "/nodePort");
        if let Some(port) = port.as_object_mut()
            && before.contains(&number)
        {
            port.shift_remove("nodePort");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_update_that_leaves_addresses_out_keeps_them() {
        let old = json!({"spec": {"type": "NodePort", "clusterIP": "10.0.0.1", "clusterIPs": ["10.0.0.1"],
            "ports": [{"port": 80, "protocol": "TCP", "nodePort": 30080}]}});
        let mut new =
            json!({"spec": {"type": "NodePort", "ports": [{"port": 80, "protocol": "TCP"}]}});
        prepare_update(&mut new, &old);
        assert_eq!(new["spec"]["clusterIPs"], json!(["10.0.0.1"]));
        assert_eq!(new["spec"]["ports"][0]["nodePort"], 30080);
    }

    #[test]
    fn another_type_drops_what_it_does_not_use() {
        let old = json!({"spec": {"type": "NodePort", "clusterIP": "10.0.0.1", "clusterIPs": ["10.0.0.1"],
            "externalTrafficPolicy": "Cluster", "ports": [{"port": 80, "protocol": "TCP", "nodePort": 30080}]}});
        let mut new = old.clone();
        new["spec"]["type"] = json!("ClusterIP");
        prepare_update(&mut new, &old);
        assert_eq!(
            new["spec"],
            json!({"type": "ClusterIP", "clusterIP": "10.0.0.1", "clusterIPs": ["10.0.0.1"],
                "ports": [{"port": 80, "protocol": "TCP"}]})
        );
        new["spec"]["type"] = json!("ExternalName");
        prepare_update(&mut new, &old);
        assert!(new["spec"].get("clusterIP").is_none());
    }
}
