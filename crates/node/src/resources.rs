//! From requests and limits to control groups.
//!
//! Pure. Figures are the kubelet's: CPU shares and quota, quality of service, OOM score.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{Container, Pod};
use k8s_openapi::apimachinery::pkg::api::resource::Quantity as ApiQuantity;
use object::Quantity;
use runtime::Resources;

use crate::pods::spec;

const PERIOD_US: i64 = 100_000;
const SHARES_PER_CPU: i64 = 1024;
const MIN_SHARES: i64 = 2;
const MAX_SHARES: i64 = 262_144;
const MIN_QUOTA_US: i64 = 1_000;

type List = BTreeMap<String, ApiQuantity>;

/// Quality of service.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Qos {
    /// Every container limits CPU and memory and requests the same.
    Guaranteed,
    /// Something is requested or limited.
    Burstable,
    /// Nothing is.
    BestEffort,
}

impl Qos {
    /// As `status.qosClass` has it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Guaranteed => "Guaranteed",
            Self::Burstable => "Burstable",
            Self::BestEffort => "BestEffort",
        }
    }
}

/// A quantity of a list; unreadable ones count as absent, since the API admits none.
fn get(list: Option<&List>, name: &str) -> Option<Quantity> {
    list.and_then(|list| list.get(name))
        .and_then(|quantity| Quantity::parse(&quantity.0).ok())
}

/// A container's limit.
pub fn limit(container: &Container, name: &str) -> Option<Quantity> {
    get(
        container
            .resources
            .as_ref()
            .and_then(|resources| resources.limits.as_ref()),
        name,
    )
}

/// A container's request; a limit without one counts as one.
pub fn request(container: &Container, name: &str) -> Option<Quantity> {
    get(
        container
            .resources
            .as_ref()
            .and_then(|resources| resources.requests.as_ref()),
        name,
    )
    .or_else(|| limit(container, name))
}

/// The Pod's class.
pub fn qos(pod: &Pod) -> Qos {
    let slots: Vec<_> = spec::slots(pod)
        .into_iter()
        .filter(|slot| slot.kind != spec::Kind::Ephemeral)
        .collect();
    let set = |quantity: Option<Quantity>| quantity.filter(|quantity| !quantity.is_zero());
    let names = ["cpu", "memory"];
    let any = slots.iter().any(|slot| {
        names.iter().any(|name| {
            set(limit(&slot.container, name)).is_some()
                || set(request(&slot.container, name)).is_some()
        })
    });
    if !any {
        return Qos::BestEffort;
    }
    let all = slots.iter().all(|slot| {
        names.iter().all(|name| {
            let limit = set(limit(&slot.container, name));
            limit.is_some_and(|limit| {
                set(request(&slot.container, name))
                    .is_some_and(|request| request.milli() == limit.milli())
            })
        })
    });
    if all { Qos::Guaranteed } else { Qos::Burstable }
}

/// The Pod's control group below `root`.
pub fn cgroup_parent(pod: &Pod, root: &str) -> String {
    let uid = spec::uid(pod);
    match qos(pod) {
        Qos::Guaranteed => format!("{root}/pod{uid}"),
        Qos::Burstable => format!("{root}/burstable/pod{uid}"),
        Qos::BestEffort => format!("{root}/besteffort/pod{uid}"),
    }
}

fn shares(milli: i64) -> u64 {
    let shares = (milli.saturating_mul(SHARES_PER_CPU) / 1000).clamp(MIN_SHARES, MAX_SHARES);
    shares.unsigned_abs()
}

fn quota(milli: i64) -> i64 {
    (milli.saturating_mul(PERIOD_US) / 1000).max(MIN_QUOTA_US)
}

/// A container's limits.
pub fn container(container: &Container) -> Resources {
    let cpu = request(container, "cpu").map_or(0, Quantity::milli);
    let mut resources = Resources {
        cpu_shares: Some(shares(cpu)),
        ..Resources::default()
    };
    if let Some(limit) = limit(container, "cpu").filter(|limit| !limit.is_zero()) {
        resources.cpu_quota_us = Some(quota(limit.milli()));
        resources.cpu_period_us = Some(PERIOD_US.unsigned_abs());
    }
    resources.memory_limit_bytes = limit(container, "memory")
        .filter(|limit| !limit.is_zero())
        .map(Quantity::units);
    resources.oom_group = Some(true);
    resources
}

/// The Pod's limits as a whole: sums, where every container has a limit.
pub fn pod(pod: &Pod) -> Resources {
    let slots: Vec<_> = spec::slots(pod)
        .into_iter()
        .filter(|slot| matches!(slot.kind, spec::Kind::Main | spec::Kind::Sidecar))
        .collect();
    let requested: i64 = slots
        .iter()
        .map(|slot| request(&slot.container, "cpu").map_or(0, Quantity::milli))
        .sum();
    let mut resources = Resources {
        cpu_shares: Some(shares(requested)),
        ..Resources::default()
    };
    let inits: Vec<_> = spec::slots(pod)
        .into_iter()
        .filter(|slot| slot.kind == spec::Kind::Init)
        .collect();
    let all = |name: &str, value: fn(Quantity) -> i64| -> Option<i64> {
        let sum = slots
            .iter()
            .map(|slot| limit(&slot.container, name).map(value))
            .sum::<Option<i64>>()?;
        let largest_init = inits
            .iter()
            .map(|slot| limit(&slot.container, name).map(value))
            .collect::<Option<Vec<_>>>()?;
        Some(largest_init.into_iter().fold(sum, i64::max))
    };
    if let Some(milli) = all("cpu", Quantity::milli).filter(|milli| *milli > 0) {
        resources.cpu_quota_us = Some(quota(milli));
        resources.cpu_period_us = Some(PERIOD_US.unsigned_abs());
    }
    resources.memory_limit_bytes = all("memory", Quantity::units).filter(|bytes| *bytes > 0);
    resources
}

/// The OOM killer's preference for a container, on a node with so many bytes of memory.
pub fn oom_score_adj(pod: &Pod, container: &Container, memory_bytes: u64) -> i32 {
    if pod
        .spec
        .as_ref()
        .and_then(|spec| spec.priority)
        .is_some_and(|priority| priority >= 2_000_000_000)
    {
        return -997;
    }
    match qos(pod) {
        Qos::Guaranteed => -997,
        Qos::BestEffort => 1000,
        Qos::Burstable => {
            let requested = request(container, "memory")
                .map_or(0, Quantity::units)
                .max(0);
            let capacity = i64::try_from(memory_bytes).unwrap_or(i64::MAX).max(1);
            let share = i128::from(requested) * 1000 / i128::from(capacity);
            // Within 3..=999 after clamping, so it fits.
            i32::try_from((1000 - share).clamp(3, 999)).unwrap_or(999)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn of(resources: serde_json::Value) -> Pod {
        serde_json::from_value(json!({"metadata": {"uid": "u"}, "spec": {"containers": [{"name": "a", "resources": resources}]}})).unwrap()
    }

    #[test]
    fn classes_and_figures_are_the_kubelets() {
        let rows = [
            (
                json!({}),
                "BestEffort",
                "/kubepods/besteffort/podu",
                2,
                None,
                None,
                1000,
            ),
            (
                json!({"requests": {"cpu": "250m"}}),
                "Burstable",
                "/kubepods/burstable/podu",
                256,
                None,
                None,
                999,
            ),
            (
                json!({"requests": {"memory": "1Gi"}, "limits": {"memory": "2Gi"}}),
                "Burstable",
                "/kubepods/burstable/podu",
                2,
                None,
                Some(2 << 30),
                750,
            ),
            (
                json!({"limits": {"cpu": "1500m", "memory": "64Mi"}}),
                "Guaranteed",
                "/kubepods/podu",
                1536,
                Some(150_000),
                Some(64 << 20),
                -997,
            ),
        ];
        for (resources, class, group, shares, quota, memory, oom) in rows {
            let pod = of(resources.clone());
            let first = &pod.spec.as_ref().unwrap().containers[0];
            let got = container(first);
            assert_eq!(
                (
                    qos(&pod).name(),
                    cgroup_parent(&pod, "/kubepods").as_str(),
                    got.cpu_shares,
                    got.cpu_quota_us,
                    got.memory_limit_bytes,
                    oom_score_adj(&pod, first, 4 << 30)
                ),
                (class, group, Some(shares), quota, memory, oom),
                "{resources}"
            );
        }
    }
}
