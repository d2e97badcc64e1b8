//! Variables that tell a container of the services of its namespace.
//!
//! Pure. The form is Docker's links, as the kubelet makes them; the API server's service comes from namespace `default`.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{Service, ServicePort};
use object::Resource;
use world::World;

const SERVICES: Resource = Resource::new("", "services");
const API_SERVICE: (&str, &str) = ("default", "kubernetes");

/// All variables; without `links` only those of the API server.
pub(super) fn variables(world: &World, namespace: &str, links: bool) -> BTreeMap<String, String> {
    let mut all = BTreeMap::new();
    if let Some(api) = world.find(SERVICES, API_SERVICE.0, API_SERVICE.1) {
        add(&mut all, api);
    }
    if links {
        world
            .list_in(SERVICES, namespace)
            .for_each(|service| add(&mut all, service));
    }
    all
}

fn add(all: &mut BTreeMap<String, String>, object: &object::Object) {
    // A service that cannot be read has no variables; whoever serves it says so.
    let Ok(service) = object.view::<Service>() else {
        return;
    };
    let Some(spec) = &service.spec else {
        return;
    };
    let (Some(ip), Some(ports)) = (
        spec.cluster_ip
            .as_deref()
            .filter(|ip| !ip.is_empty() && *ip != "None"),
        &spec.ports,
    ) else {
        return;
    };
    let host = if ip.contains(':') {
        format!("[{ip}]")
    } else {
        ip.to_owned()
    };
    let name = upper(&object.meta().name);
    let Some(first) = ports.first() else {
        return;
    };
    all.insert(format!("{name}_SERVICE_HOST"), ip.to_owned());
    all.insert(format!("{name}_SERVICE_PORT"), first.port.to_string());
    for port in ports {
        if let Some(port_name) = port.name.as_deref().filter(|name| !name.is_empty()) {
            all.insert(
                format!("{name}_SERVICE_PORT_{}", upper(port_name)),
                port.port.to_string(),
            );
        }
        let protocol = protocol(port);
        let url = format!("{}://{host}:{}", protocol.to_lowercase(), port.port);
        let prefix = format!("{name}_PORT_{}_{}", port.port, protocol);
        all.insert(format!("{prefix}_PROTO"), protocol.to_lowercase());
        all.insert(format!("{prefix}_PORT"), port.port.to_string());
        all.insert(format!("{prefix}_ADDR"), ip.to_owned());
        all.insert(prefix, url);
    }
    all.insert(
        format!("{name}_PORT"),
        format!("{}://{host}:{}", protocol(first).to_lowercase(), first.port),
    );
}

fn protocol(port: &ServicePort) -> &str {
    port.protocol.as_deref().unwrap_or("TCP")
}

fn upper(name: &str) -> String {
    name.to_uppercase().replace('-', "_")
}
