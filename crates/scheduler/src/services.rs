//! The selectors that a pod's Services and its controller give it: what upstream
//! spreads pods by when they say nothing themselves.
//!
//! Reads Services, ReplicaSets, StatefulSets and ReplicationControllers of a
//! [`World`]. Remembers the Services of each namespace for one batch, so that a
//! thousand pods do not read them a thousand times.

use std::collections::HashMap;

use k8s_openapi::api::apps::v1::{ReplicaSet, StatefulSet};
use k8s_openapi::api::core::v1::{ReplicationController, Service};
use object::LabelSelector;
use object::names::resources::{REPLICA_SETS, REPLICATION_CONTROLLERS, SERVICES, STATEFUL_SETS};
use smol_str::SmolStr;
use world::World;

use crate::pod::Wanted;

/// Selectors of one world, for one batch.
#[derive(Debug, Default)]
pub(crate) struct Selectors {
    services: HashMap<SmolStr, Vec<LabelSelector>>,
}

impl Selectors {
    /// All requirements of the Services that select the pod, and of its controller;
    /// `None` when there is neither.
    pub(crate) fn of(&mut self, wanted: &Wanted, world: &World) -> Option<LabelSelector> {
        let meta = wanted.footprint.object.meta();
        let services = self
            .services
            .entry(meta.namespace.clone())
            .or_insert_with(|| services_in(world, &meta.namespace));
        let mut all = LabelSelector::everything();
        for selector in services.iter().filter(|s| s.matches(&meta.labels)) {
            all.requirements.extend_from_slice(&selector.requirements);
        }
        if let Some(selector) = of_controller(wanted, world) {
            all.nothing |= selector.nothing;
            all.requirements.extend(selector.requirements);
        }
        (!all.is_empty()).then_some(all)
    }
}

fn services_in(world: &World, namespace: &str) -> Vec<LabelSelector> {
    let services = world.list_in(SERVICES, namespace);
    let selector = |service: &Service| {
        let selector = service.spec.as_ref()?.selector.as_ref()?;
        (!selector.is_empty()).then(|| LabelSelector::from_labels(selector))
    };
    services
        .filter_map(|object| selector(&*object.view::<Service>().ok()?))
        .collect()
}

fn of_controller(wanted: &Wanted, world: &World) -> Option<LabelSelector> {
    let meta = wanted.footprint.object.meta();
    let owner = meta.controller()?;
    let (namespace, name) = (&*meta.namespace, &*owner.name);
    match (owner.api_version.as_str(), owner.kind.as_str()) {
        ("v1", "ReplicationController") => {
            let rc = world.view::<ReplicationController>(REPLICATION_CONTROLLERS, namespace, name);
            let selector = rc.ok()??.spec.as_ref()?.selector.clone()?;
            Some(LabelSelector::from_labels(selector))
        }
        ("apps/v1", "ReplicaSet") => {
            let set = world
                .view::<ReplicaSet>(REPLICA_SETS, namespace, name)
                .ok()??;
            Some(LabelSelector::from_spec(Some(&set.spec.selector)))
        }
        ("apps/v1", "StatefulSet") => {
            let set = world
                .view::<StatefulSet>(STATEFUL_SETS, namespace, name)
                .ok()??;
            Some(LabelSelector::from_spec(Some(&set.spec.selector)))
        }
        _ => None,
    }
}
