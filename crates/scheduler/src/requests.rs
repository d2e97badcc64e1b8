//! What a pod asks for: the effective requests and limits of a pod from its
//! containers, init containers, sidecars, pod-level resources and overhead.
//!
//! Pure; knows nothing of nodes. The scheduler, the node agent and quotas share
//! it, so all three agree on what fits. Sources: the documentation of "Resource
//! management for pods and containers", KEP-753 (sidecars), KEP-688 (overhead),
//! KEP-1287 (resizing in place) and KEP-2837 (pod-level resources).

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{Container, ContainerStatus, Pod, ResourceRequirements};
use k8s_openapi::apimachinery::pkg::api::resource::Quantity as ApiQuantity;
use object::Quantity;
use smol_str::SmolStr;

/// Amounts by resource name.
pub type Amounts = BTreeMap<SmolStr, Quantity>;

/// CPU that a container without a request counts for when nodes are compared.
pub const DEFAULT_CPU_MILLI: i64 = 100;
/// Memory that a container without a request counts for when nodes are compared.
pub const DEFAULT_MEMORY_BYTES: i64 = 200 * 1024 * 1024;

/// The resources that `spec.resources` of a pod may name, besides huge pages.
const POD_LEVEL: [&str; 2] = ["cpu", "memory"];
const HUGE_PAGES: &str = "hugepages-";

/// How to count.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counting {
    /// Containers without a request count for [`DEFAULT_CPU_MILLI`] and
    /// [`DEFAULT_MEMORY_BYTES`].
    pub defaults: bool,
    /// While a resize is under way, the larger of wish, allocation and actual
    /// resources counts.
    pub status: bool,
}

/// What the scheduler must find free on a node for this pod.
pub fn pod_requests(pod: &Pod, counting: Counting) -> Amounts {
    let of = |container: &Container| container_requests(pod, container, counting);
    let mut total = over_containers(pod, of);
    if let Some(resources) = pod.spec.as_ref().and_then(|spec| spec.resources.as_ref()) {
        pod_level(&mut total, resources.requests.as_ref());
        if counting.status {
            larger_of_status(&mut total, pod, resources);
        }
    }
    let overhead = pod.spec.as_ref().and_then(|spec| spec.overhead.as_ref());
    add(&mut total, &parsed(overhead));
    total
}

/// The pod's limits. A resource that some container leaves unlimited still shows
/// the sum of the others, as upstream's does; overhead is added to what is limited.
pub fn pod_limits(pod: &Pod) -> Amounts {
    let of = |container: &Container| {
        parsed(
            container
                .resources
                .as_ref()
                .and_then(|resources| resources.limits.as_ref()),
        )
    };
    let mut total = over_containers(pod, of);
    let spec = pod.spec.as_ref();
    if let Some(resources) = spec.and_then(|spec| spec.resources.as_ref()) {
        pod_level(&mut total, resources.limits.as_ref());
    }
    for (name, amount) in parsed(spec.and_then(|spec| spec.overhead.as_ref())) {
        if let Some(limit) = total.get_mut(&name).filter(|limit| !limit.is_zero()) {
            *limit += amount;
        }
    }
    total
}

/// Amounts as the API writes them; what is no quantity is left out, as validation
/// keeps such values from being stored.
pub fn parsed(list: Option<&BTreeMap<String, ApiQuantity>>) -> Amounts {
    list.into_iter()
        .flatten()
        .filter_map(|(name, text)| Some((name.into(), Quantity::parse(&text.0).ok()?)))
        .collect()
}

/// Whether an init container is a sidecar: it keeps running beside the containers.
pub fn is_sidecar(container: &Container) -> bool {
    container.restart_policy.as_deref() == Some("Always")
}

/// Containers and sidecars run together; every other init container runs alone
/// with the sidecars started before it. The larger of all these moments counts.
fn over_containers(pod: &Pod, of: impl Fn(&Container) -> Amounts) -> Amounts {
    let Some(spec) = &pod.spec else {
        return Amounts::new();
    };
    let mut running = Amounts::new();
    for container in &spec.containers {
        add(&mut running, &of(container));
    }
    let (mut sidecars, mut starting) = (Amounts::new(), Amounts::new());
    for container in spec.init_containers.iter().flatten() {
        let mut amounts = of(container);
        if is_sidecar(container) {
            add(&mut running, &amounts);
            add(&mut sidecars, &amounts);
            amounts.clone_from(&sidecars);
        } else {
            add(&mut amounts, &sidecars);
        }
        maximum(&mut starting, &amounts);
    }
    maximum(&mut running, &starting);
    running
}

fn container_requests(pod: &Pod, container: &Container, counting: Counting) -> Amounts {
    let mut amounts = parsed(
        container
            .resources
            .as_ref()
            .and_then(|resources| resources.requests.as_ref()),
    );
    if counting.status
        && let Some(status) = container_status(pod, &container.name)
    {
        let actual = parsed(
            status
                .resources
                .as_ref()
                .and_then(|resources| resources.requests.as_ref()),
        );
        let allocated = parsed(status.allocated_resources.as_ref());
        if is_infeasible(pod) && !(actual.is_empty() && allocated.is_empty()) {
            // The node has refused the wish, so only what is there counts.
            amounts = actual;
        } else {
            maximum(&mut amounts, &actual);
        }
        maximum(&mut amounts, &allocated);
    }
    if counting.defaults {
        let cpu = || Quantity::from_milli(DEFAULT_CPU_MILLI);
        let memory = || Quantity::from_bytes(DEFAULT_MEMORY_BYTES);
        amounts.entry("cpu".into()).or_insert_with(cpu);
        amounts.entry("memory".into()).or_insert_with(memory);
    }
    amounts
}

fn container_status<'a>(pod: &'a Pod, name: &str) -> Option<&'a ContainerStatus> {
    let status = pod.status.as_ref()?;
    status
        .container_statuses
        .iter()
        .flatten()
        .chain(status.init_container_statuses.iter().flatten())
        .find(|status| status.name == name)
}

fn is_infeasible(pod: &Pod) -> bool {
    let conditions = pod
        .status
        .iter()
        .flat_map(|s| s.conditions.iter().flatten());
    conditions.into_iter().any(|condition| {
        condition.type_ == "PodResizePending" && condition.reason.as_deref() == Some("Infeasible")
    })
}

fn pod_level(total: &mut Amounts, list: Option<&BTreeMap<String, ApiQuantity>>) {
    for (name, amount) in parsed(list) {
        if is_pod_level(&name) {
            total.insert(name, amount);
        }
    }
}

fn is_pod_level(name: &str) -> bool {
    POD_LEVEL.contains(&name) || name.starts_with(HUGE_PAGES)
}

/// Pod-level resources being resized: what is allocated or actual counts if larger.
fn larger_of_status(total: &mut Amounts, pod: &Pod, wished: &ResourceRequirements) {
    let Some(status) = &pod.status else { return };
    let actual = status.resources.as_ref().and_then(|r| r.requests.as_ref());
    for list in [actual, status.allocated_resources.as_ref()] {
        for (name, amount) in parsed(list) {
            let named = wished.requests.iter().flatten().any(|(n, _)| *n == name);
            if named && is_pod_level(&name) {
                raise(total, name, amount);
            }
        }
    }
}

fn add(to: &mut Amounts, more: &Amounts) {
    for (name, amount) in more {
        *to.entry(name.clone()).or_insert(Quantity::ZERO) += *amount;
    }
}

fn maximum(of: &mut Amounts, other: &Amounts) {
    for (name, amount) in other {
        raise(of, name.clone(), *amount);
    }
}

fn raise(of: &mut Amounts, name: SmolStr, amount: Quantity) {
    let entry = of.entry(name).or_insert(amount);
    if *entry < amount {
        *entry = amount;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn pod(spec: Value, status: Value) -> Pod {
        serde_json::from_value(json!({"metadata":{"name":"p"},"spec":spec,"status":status}))
            .unwrap()
    }

    fn container(name: &str, cpu: &str, extra: Value) -> Value {
        let mut value = json!({"name":name,"image":"i","resources":{"requests":{"cpu":cpu}}});
        for (key, member) in extra.as_object().unwrap() {
            value[key] = member.clone();
        }
        value
    }

    fn cpu(spec: Value) -> i64 {
        pod_requests(&pod(spec, json!({})), Counting::default())
            .get("cpu")
            .map_or(0, |cpu| cpu.milli())
    }

    #[test]
    fn the_largest_moment_of_a_pods_life_counts() {
        let c = |name, amount| container(name, amount, json!({}));
        let sidecar = |name, amount| container(name, amount, json!({"restartPolicy":"Always"}));
        let rows = [
            (
                "containers add up",
                json!({"containers":[c("a","1"),c("b","500m")]}),
                1500,
            ),
            (
                "a small init container hides behind them",
                json!({"containers":[c("a","1")],"initContainers":[c("i","900m")]}),
                1000,
            ),
            (
                "a large one counts",
                json!({"containers":[c("a","1")],"initContainers":[c("i","3"),c("j","2")]}),
                3000,
            ),
            (
                "a sidecar runs beside the containers",
                json!({"containers":[c("a","1")],"initContainers":[sidecar("s","1")]}),
                2000,
            ),
            (
                "an init container after a sidecar runs beside it",
                json!({"containers":[c("a","1")],"initContainers":[sidecar("s","1"),c("i","3")]}),
                4000,
            ),
            (
                "one before it does not",
                json!({"containers":[c("a","1")],"initContainers":[c("i","3"),sidecar("s","1")]}),
                3000,
            ),
            (
                "overhead is on top",
                json!({"containers":[c("a","1")],"overhead":{"cpu":"250m"}}),
                1250,
            ),
            (
                "pod-level requests replace the sum",
                json!({"containers":[c("a","1"),c("b","1")],"resources":{"requests":{"cpu":"5"}},"overhead":{"cpu":"1"}}),
                6000,
            ),
        ];
        for (why, spec, want) in rows {
            assert_eq!(cpu(spec), want, "{why}");
        }
    }

    #[test]
    fn containers_without_requests_count_for_the_defaults_when_asked() {
        let spec = json!({"containers":[{"name":"a","image":"i"},container("b","1",json!({}))]});
        let counting = Counting {
            defaults: true,
            status: false,
        };
        let amounts = pod_requests(&pod(spec, json!({})), counting);
        assert_eq!(amounts["cpu"].milli(), 1100);
        assert_eq!(amounts["memory"].units(), 2 * DEFAULT_MEMORY_BYTES);
    }

    #[test]
    fn a_resize_counts_for_the_larger_until_it_is_refused() {
        let spec = json!({"containers":[container("a","2",json!({}))]});
        let statuses = json!([{"name":"a","image":"i","imageID":"","ready":true,"restartCount":0,
            "allocatedResources":{"cpu":"1"},"resources":{"requests":{"cpu":"1"}}}]);
        let counting = Counting {
            defaults: false,
            status: true,
        };
        let growing = pod(spec.clone(), json!({"containerStatuses":statuses}));
        assert_eq!(pod_requests(&growing, counting)["cpu"].milli(), 2000);
        let refused = pod(
            spec,
            json!({"containerStatuses":statuses,"conditions":[
                {"type":"PodResizePending","status":"True","reason":"Infeasible"}]}),
        );
        assert_eq!(pod_requests(&refused, counting)["cpu"].milli(), 1000);
    }

    #[test]
    fn overhead_raises_only_limits_that_exist() {
        let limited = json!({"containers":[{"name":"a","image":"i","resources":{"limits":{"memory":"1Gi"}}}],
            "overhead":{"cpu":"1","memory":"1Gi"}});
        let limits = pod_limits(&pod(limited, json!({})));
        assert_eq!(limits["memory"].to_string(), "2Gi");
        assert!(!limits.contains_key("cpu"));
    }
}
