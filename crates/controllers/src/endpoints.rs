//! EndpointSlice and Endpoints: where the pods of a Service answer.
//!
//! Reads Service, Pod. [`SLICES`] writes EndpointSlice, [`LEGACY`] writes Endpoints.
//! Invariants: a slice has at most [`PER_SLICE`] endpoints, an Endpoints object
//! at most [`CAPACITY`]; only objects labelled as ours are touched.

use std::collections::BTreeMap;

use client::{Target, Write};
use k8s_openapi::api::core::v1::{Service, ServicePort};
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use object::names::resources::{ENDPOINT_SLICES, ENDPOINTS, PODS, SERVICES};
use object::{Key, LabelSelector, Object};
use reconcile::{Controller, Cx, Plan, PlanError, Wake};
use serde_json::{Value, json};
use world::World;

use crate::pods::{PodView, owner_reference};

/// Endpoints in one slice, as upstream's default is.
pub const PER_SLICE: usize = 100;
/// Addresses in one Endpoints object; the rest is left out and the annotation
/// `endpoints.kubernetes.io/over-capacity` says so.
pub const CAPACITY: usize = 1000;

const MANAGED_BY: &str = "endpointslice.kubernetes.io/managed-by";
const MANAGER: &str = "endpointslice-controller.k8s.io";
const SERVICE_NAME: &str = "kubernetes.io/service-name";
const HEADLESS: &str = "service.kubernetes.io/headless";
const OVER_CAPACITY: &str = "endpoints.kubernetes.io/over-capacity";

/// The controller of slices.
pub const SLICES: Controller = Controller {
    name: "endpointslice-controller",
    account: "endpointslice-controller",
    reconciles: SERVICES,
    wakes_on: &[
        Wake::Owned(ENDPOINT_SLICES),
        Wake::Mapped(PODS, services_of),
    ],
    plan: plan_slices,
};

/// The controller of the older Endpoints.
pub const LEGACY: Controller = Controller {
    name: "endpoint-controller",
    account: "endpoint-controller",
    reconciles: SERVICES,
    wakes_on: &[
        Wake::Mapped(ENDPOINTS, namesake),
        Wake::Mapped(PODS, services_of),
    ],
    plan: plan_legacy,
};

fn services_of(world: &World, pod: &Object) -> Vec<Key> {
    let services = world.list_in(SERVICES, &pod.meta().namespace);
    let selects = |service: &Service| {
        selector_of(service).is_some_and(|selector| selector.matches(&pod.meta().labels))
    };
    services
        .filter(|object| object.view::<Service>().is_ok_and(|s| selects(&s)))
        .map(|object| object.key())
        .collect()
}

fn namesake(_: &World, endpoints: &Object) -> Vec<Key> {
    let meta = endpoints.meta();
    vec![Key::new(
        SERVICES,
        meta.namespace.clone(),
        meta.name.clone(),
    )]
}

/// A Service without selector has its endpoints from someone else.
fn selector_of(service: &Service) -> Option<LabelSelector> {
    let spec = service.spec.as_ref()?;
    let labels = spec.selector.as_ref().filter(|labels| !labels.is_empty())?;
    (spec.type_.as_deref() != Some("ExternalName")).then(|| LabelSelector::from_labels(labels))
}

/// A pod that has an address of the family and is not done.
struct Endpoint {
    pod: PodView,
    address: String,
}

impl Endpoint {
    fn hostname(&self, service: &str) -> Option<&str> {
        let spec = self.pod.pod.spec.as_ref()?;
        let matches = spec.subdomain.as_deref() == Some(service);
        spec.hostname.as_deref().filter(|_| matches)
    }

    fn target(&self) -> Value {
        let meta = self.pod.object.meta();
        json!({"kind": "Pod", "namespace": meta.namespace, "name": meta.name, "uid": meta.uid})
    }
}

fn endpoints_of(
    world: &World,
    namespace: &str,
    selector: &LabelSelector,
    family: &str,
) -> Result<Vec<Endpoint>, PlanError> {
    let mut found = Vec::new();
    for object in world.list_in(PODS, namespace) {
        if !selector.matches(&object.meta().labels) {
            continue;
        }
        let pod = PodView::of(object)?;
        let ips = pod
            .pod
            .status
            .iter()
            .flat_map(|status| status.pod_ips.iter().flatten());
        let address = ips
            .map(|ip| ip.ip.clone())
            .find(|ip| ip.contains(':') == (family == "IPv6"));
        if let (Some(address), false) = (address, pod.is_finished()) {
            found.push(Endpoint { pod, address });
        }
    }
    Ok(found)
}

/// The ports of the Service as this pod serves them; a named port may differ
/// between pods, and is left out where the pod has none of that name.
fn ports_of(service: &Service, pod: &PodView, slices: bool) -> Value {
    let ports = service
        .spec
        .iter()
        .flat_map(|spec| spec.ports.iter().flatten());
    let one = |port: &ServicePort| {
        let number = match &port.target_port {
            None => port.port,
            Some(IntOrString::Int(0)) => port.port,
            Some(IntOrString::Int(number)) => *number,
            Some(IntOrString::String(name)) => named_port(pod, name, port)?,
        };
        let protocol = port.protocol.as_deref().unwrap_or("TCP");
        let mut value = json!({});
        match port.name.as_deref() {
            Some(name) => value["name"] = json!(name),
            None if slices => value["name"] = json!(""),
            None => {}
        }
        value["port"] = json!(number);
        value["protocol"] = json!(protocol);
        if let Some(application) = &port.app_protocol {
            value["appProtocol"] = json!(application);
        }
        Some(value)
    };
    Value::Array(ports.filter_map(one).collect())
}

fn named_port(pod: &PodView, name: &str, port: &ServicePort) -> Option<i32> {
    let protocol = port.protocol.as_deref().unwrap_or("TCP");
    let containers = pod.pod.spec.iter().flat_map(|spec| &spec.containers);
    let mut ports = containers.flat_map(|container| container.ports.iter().flatten());
    let found = ports.find(|port| {
        port.name.as_deref() == Some(name) && port.protocol.as_deref().unwrap_or("TCP") == protocol
    });
    found.map(|port| port.container_port)
}

fn plan_slices(_: &Cx, world: &World, key: &Key) -> Result<Plan, PlanError> {
    let mut plan = Plan::default();
    let Some(object) = world.get(key).filter(|o| !o.meta().is_deleting()) else {
        // Its slices have it as owner and go with it.
        return Ok(plan);
    };
    let service = object.view::<Service>()?;
    let Some(selector) = selector_of(&service) else {
        return Ok(plan);
    };
    let meta = object.meta();
    let mut wanted: Vec<Value> = Vec::new();
    let families = service
        .spec
        .as_ref()
        .and_then(|spec| spec.ip_families.clone());
    for family in families.unwrap_or_else(|| vec!["IPv4".to_owned()]) {
        let mut groups: BTreeMap<String, (Value, Vec<Value>)> = BTreeMap::new();
        for endpoint in endpoints_of(world, &meta.namespace, &selector, &family)? {
            let ports = ports_of(&service, &endpoint.pod, true);
            let group = groups
                .entry(ports.to_string())
                .or_insert((ports, Vec::new()));
            group
                .1
                .push(slice_endpoint(&service, &meta.name, &endpoint));
        }
        if groups.is_empty() {
            wanted.push(slice(object, &service, &family, &Value::Null, None));
        }
        for (ports, endpoints) in groups.values() {
            for chunk in endpoints.chunks(PER_SLICE) {
                wanted.push(slice(object, &service, &family, ports, Some(chunk)));
            }
        }
    }
    replace_slices(world, object, wanted, &mut plan);
    Ok(plan)
}

fn slice_endpoint(service: &Service, name: &str, endpoint: &Endpoint) -> Value {
    let spec = service.spec.as_ref();
    let publish = spec.and_then(|spec| spec.publish_not_ready_addresses) == Some(true);
    let (serving, terminating) = (endpoint.pod.is_ready(), endpoint.pod.is_terminating());
    let ready = publish || (serving && !terminating);
    let mut value = json!({
        "addresses": [endpoint.address],
        "conditions": {"ready": ready, "serving": serving, "terminating": terminating},
    });
    if let Some(hostname) = endpoint.hostname(name) {
        value["hostname"] = json!(hostname);
    }
    value["targetRef"] = endpoint.target();
    if !endpoint.pod.node().is_empty() {
        value["nodeName"] = json!(endpoint.pod.node());
    }
    value
}

fn slice(
    owner: &Object,
    service: &Service,
    family: &str,
    ports: &Value,
    endpoints: Option<&[Value]>,
) -> Value {
    let meta = owner.meta();
    let mut labels = json!(meta.labels);
    labels[MANAGED_BY] = json!(MANAGER);
    labels[SERVICE_NAME] = json!(meta.name);
    let ip = service
        .spec
        .as_ref()
        .and_then(|spec| spec.cluster_ip.as_deref());
    if ip == Some("None") {
        labels[HEADLESS] = json!("");
    }
    json!({
        "apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice",
        "metadata": {
            "generateName": format!("{}-", meta.name), "namespace": meta.namespace,
            "labels": labels, "ownerReferences": [owner_reference(owner)],
        },
        "addressType": family, "endpoints": endpoints, "ports": ports,
    })
}

/// Keeps slices that are as wanted, rewrites others of the family, makes and
/// deletes what is left over.
fn replace_slices(world: &World, owner: &Object, mut wanted: Vec<Value>, plan: &mut Plan) {
    let parts = ["addressType", "endpoints", "ports"];
    let mut stale = Vec::new();
    for there in world.owned(ENDPOINT_SLICES, &owner.meta().uid) {
        if there.meta().label(MANAGED_BY) != Some(MANAGER) || there.meta().is_deleting() {
            continue;
        }
        let value = there.value();
        let same = |wish: &Value| {
            // None and an empty list are the same wish.
            let list = |value: &Value| value.as_array().is_none_or(Vec::is_empty);
            let part = |part: &str| {
                let there = value.get(part).unwrap_or(&Value::Null);
                there == &wish[part] || (part != "addressType" && list(there) && list(&wish[part]))
            };
            parts.iter().all(|name| part(name))
                && value["metadata"]["labels"] == wish["metadata"]["labels"]
        };
        match wanted.iter().position(same) {
            Some(index) => drop(wanted.remove(index)),
            None => stale.push((there, value)),
        }
    }
    for (there, mut value) in stale {
        let family = |wish: &Value| wish["addressType"] == value["addressType"];
        let Some(index) = wanted.iter().position(family) else {
            plan.write(Write::delete(there));
            continue;
        };
        let wish = wanted.remove(index);
        parts
            .iter()
            .for_each(|part| value[*part] = wish[*part].clone());
        value["metadata"]["labels"] = wish["metadata"]["labels"].clone();
        plan.write(Write::update(Target::of(there), value));
    }
    for wish in wanted {
        let target = Target::collection(ENDPOINT_SLICES, "v1", &owner.meta().namespace);
        plan.write(Write::create(target, wish));
    }
}

fn plan_legacy(_: &Cx, world: &World, key: &Key) -> Result<Plan, PlanError> {
    let mut plan = Plan::default();
    let (namespace, name) = (&key.name.namespace, &key.name.name);
    let there = world.find(ENDPOINTS, namespace, name);
    let Some(object) = world.get(key).filter(|o| !o.meta().is_deleting()) else {
        let ours = there.filter(|there| there.meta().label(LABEL).is_some());
        if let Some(there) = ours {
            plan.write(Write::delete(there));
        }
        return Ok(plan);
    };
    let service = object.view::<Service>()?;
    let Some(selector) = selector_of(&service) else {
        return Ok(plan);
    };
    let (subsets, over) = subsets(world, object, &service, &selector)?;
    let mut labels = json!(object.meta().labels);
    labels[LABEL] = json!("endpoint-controller");
    let ip = service
        .spec
        .as_ref()
        .and_then(|spec| spec.cluster_ip.as_deref());
    if ip == Some("None") {
        labels[HEADLESS] = json!("");
    }
    let mut value = there.map_or_else(
        || json!({"apiVersion": "v1", "kind": "Endpoints", "metadata": {"name": name, "namespace": namespace}}),
        |there| there.value(),
    );
    value["metadata"]["labels"] = labels;
    if over {
        value["metadata"]["annotations"][OVER_CAPACITY] = json!("truncated");
    } else if let Some(Value::Object(notes)) = value.pointer_mut("/metadata/annotations") {
        notes.shift_remove(OVER_CAPACITY);
    }
    match (subsets.is_empty(), value.as_object_mut()) {
        (true, Some(members)) => drop(members.shift_remove("subsets")),
        _ => value["subsets"] = json!(subsets),
    }
    match there {
        None => {
            let target = Target::collection(ENDPOINTS, "v1", namespace);
            plan.write(Write::create(target, value));
        }
        Some(there) if there.value() != value => {
            plan.write(Write::update(Target::of(there), value));
        }
        Some(_) => {}
    }
    Ok(plan)
}

const LABEL: &str = "endpoints.kubernetes.io/managed-by";

/// Subsets by ports, and whether addresses were left out.
fn subsets(
    world: &World,
    object: &Object,
    service: &Service,
    selector: &LabelSelector,
) -> Result<(Vec<Value>, bool), PlanError> {
    let meta = object.meta();
    let spec = service.spec.as_ref();
    let families = spec.and_then(|spec| spec.ip_families.as_ref());
    let family = families.and_then(|families| families.first());
    let family = family.map_or("IPv4", String::as_str);
    let publish = spec.and_then(|spec| spec.publish_not_ready_addresses) == Some(true);
    let mut endpoints = endpoints_of(world, &meta.namespace, selector, family)?;
    endpoints.retain(|endpoint| publish || !endpoint.pod.is_terminating());
    let over = endpoints.len() > CAPACITY;
    // Addresses that serve are kept before those that do not.
    endpoints.sort_by_key(|endpoint| !endpoint.pod.is_ready());
    endpoints.truncate(CAPACITY);
    let mut groups: BTreeMap<String, Value> = BTreeMap::new();
    for endpoint in &endpoints {
        let ports = ports_of(service, &endpoint.pod, false);
        let mut address = json!({ "ip": endpoint.address });
        if let Some(hostname) = endpoint.hostname(&meta.name) {
            address["hostname"] = json!(hostname);
        }
        if !endpoint.pod.node().is_empty() {
            address["nodeName"] = json!(endpoint.pod.node());
        }
        address["targetRef"] = endpoint.target();
        let ready = publish || endpoint.pod.is_ready();
        let list = if ready {
            "addresses"
        } else {
            "notReadyAddresses"
        };
        let subset = groups
            .entry(ports.to_string())
            .or_insert(json!({ "ports": ports }));
        match subset[list].as_array_mut() {
            Some(addresses) => addresses.push(address),
            None => subset[list] = json!([address]),
        }
    }
    Ok((groups.into_values().collect(), over))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scene;
    use object::Resource;

    fn service() -> (Resource, Value) {
        let value = json!({"apiVersion":"v1","kind":"Service","metadata":{"name":"s","namespace":"n","uid":"u"},
            "spec":{"selector":{"app":"x"},"clusterIP":"10.0.0.1","ipFamilies":["IPv4"],
                "ports":[{"port":80,"targetPort":"http","protocol":"TCP"}]}});
        (SERVICES, value)
    }

    fn pod(name: &str, ready: bool) -> (Resource, Value) {
        let status = if ready { "True" } else { "False" };
        let value = json!({"apiVersion":"v1","kind":"Pod","metadata":{"name":name,"namespace":"n","uid":name,"labels":{"app":"x"}},
            "spec":{"nodeName":"m","containers":[{"name":"c","ports":[{"name":"http","containerPort":8080}]}]},
            "status":{"phase":"Running","podIPs":[{"ip":"10.9.8.7"}],"conditions":[{"type":"Ready","status":status}]}});
        (PODS, value)
    }

    fn plan_of(controller: &Controller, objects: &[(Resource, Value)]) -> Vec<Value> {
        let plan = scene::plan(controller, &scene::world(objects), SERVICES, "n", "s");
        plan.steps().map(|step| step.write.body.clone()).collect()
    }

    #[test]
    fn a_pod_stands_in_slice_and_endpoints_as_ready_as_it_is() {
        for ready in [true, false] {
            let objects = [service(), pod("p", ready)];
            let slice = &plan_of(&SLICES, &objects)[0];
            assert_eq!(
                slice["ports"],
                json!([{"name":"","port":8080,"protocol":"TCP"}])
            );
            let conditions = json!({"ready":ready,"serving":ready,"terminating":false});
            assert_eq!(slice["endpoints"][0]["conditions"], conditions);
            let list = if ready {
                "addresses"
            } else {
                "notReadyAddresses"
            };
            let address = json!([{"ip":"10.9.8.7","nodeName":"m","targetRef":{"kind":"Pod","name":"p","namespace":"n","uid":"p"}}]);
            let expected = json!([{"ports":[{"port":8080,"protocol":"TCP"}], list: address}]);
            assert_eq!(plan_of(&LEGACY, &objects)[0]["subsets"], expected);
        }
    }

    #[test]
    fn a_terminating_pod_serves_on_in_slices_only() {
        let mut ending = pod("p", true);
        ending.1["metadata"]["deletionTimestamp"] = json!("2026-01-01T12:00:30Z");
        let objects = [service(), ending];
        let conditions = json!({"ready":false,"serving":true,"terminating":true});
        assert_eq!(
            plan_of(&SLICES, &objects)[0]["endpoints"][0]["conditions"],
            conditions
        );
        assert_eq!(plan_of(&LEGACY, &objects)[0].get("subsets"), None);
    }

    #[test]
    fn slices_are_split_at_their_limit_and_empty_without_pods() {
        let mut objects = vec![service()];
        objects.extend((0..PER_SLICE + 1).map(|index| pod(&format!("p{index}"), true)));
        assert_eq!(plan_of(&SLICES, &objects).len(), 2);
        let empty = plan_of(&SLICES, &[service()]);
        assert_eq!((empty.len(), &empty[0]["endpoints"]), (1, &Value::Null));
    }

    #[test]
    fn what_is_as_wanted_is_not_written_again() {
        let objects = vec![service(), pod("p", true)];
        let mut slice = plan_of(&SLICES, &objects).remove(0);
        slice["metadata"]["name"] = json!("s-abc");
        let legacy = plan_of(&LEGACY, &objects).remove(0);
        let objects = [objects, vec![(ENDPOINT_SLICES, slice), (ENDPOINTS, legacy)]].concat();
        assert_eq!(plan_of(&SLICES, &objects), Vec::<Value>::new());
        assert_eq!(plan_of(&LEGACY, &objects), Vec::<Value>::new());
    }
}
