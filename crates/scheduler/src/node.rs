//! One node as the scheduler sees it: what it has, and what is taken.
//!
//! Pure; reads one stored Node and the footprints put on it. Invariant: what is
//! taken is the sum over `pods`, kept as pods come and go.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use k8s_openapi::api::core::v1::{Node, Taint};
use object::meta::StringMap;
use object::object::DecodeError;
use object::{Name, Object};
use smol_str::SmolStr;

use crate::pod::{Footprint, HostPort, Needs};
use crate::requests::parsed;

/// A node with its pods.
#[derive(Debug)]
pub(crate) struct NodeInfo {
    pub(crate) object: Arc<Object>,
    pub(crate) unschedulable: bool,
    pub(crate) taints: Vec<Taint>,
    pub(crate) allocatable: Needs,
    pub(crate) max_pods: i64,
    /// Size of every image on the node, under each of its names.
    pub(crate) images: HashMap<SmolStr, i64>,
    pub(crate) used: Needs,
    pub(crate) ports: Vec<HostPort>,
    pub(crate) pods: BTreeMap<Name, Arc<Footprint>>,
    /// Those of `pods` that have any affinity to pods.
    pub(crate) with_terms: BTreeMap<Name, Arc<Footprint>>,
}

impl NodeInfo {
    pub(crate) fn new(object: &Arc<Object>) -> Result<Self, DecodeError> {
        let node = object.view::<Node>()?;
        let mut allocatable = Needs::default();
        let mut max_pods = 0;
        let mut images = HashMap::new();
        if let Some(status) = &node.status {
            let amounts = parsed(status.allocatable.as_ref());
            allocatable = Needs::from_amounts(&amounts);
            max_pods = amounts.get("pods").map_or(0, |pods| pods.units());
            for image in status.images.iter().flatten() {
                for name in image.names.iter().flatten() {
                    images.insert(name.into(), image.size_bytes.unwrap_or(0));
                }
            }
        }
        let spec = node.spec.as_ref();
        Ok(Self {
            object: Arc::clone(object),
            unschedulable: spec.and_then(|s| s.unschedulable).unwrap_or(false),
            taints: spec.and_then(|s| s.taints.clone()).unwrap_or_default(),
            allocatable,
            max_pods,
            images,
            used: Needs::default(),
            ports: Vec::new(),
            pods: BTreeMap::new(),
            with_terms: BTreeMap::new(),
        })
    }

    pub(crate) fn name(&self) -> &SmolStr {
        &self.object.meta().name
    }

    pub(crate) fn labels(&self) -> &StringMap {
        &self.object.meta().labels
    }

    pub(crate) fn add(&mut self, pod: Arc<Footprint>) {
        self.count(&pod.needs, 1);
        self.ports.extend(pod.ports.iter().cloned());
        if !pod.terms.is_empty() {
            self.with_terms.insert(pod.name(), Arc::clone(&pod));
        }
        self.pods.insert(pod.name(), pod);
    }

    pub(crate) fn remove(&mut self, name: &Name) -> Option<Arc<Footprint>> {
        let pod = self.pods.remove(name)?;
        self.with_terms.remove(name);
        self.count(&pod.needs, -1);
        for port in &pod.ports {
            if let Some(at) = self.ports.iter().position(|taken| taken == port) {
                self.ports.swap_remove(at);
            }
        }
        Some(pod)
    }

    /// Takes over the pods of the node's earlier revision.
    pub(crate) fn inherit(&mut self, old: Self) {
        self.used = old.used;
        self.ports = old.ports;
        self.pods = old.pods;
        self.with_terms = old.with_terms;
    }

    fn count(&mut self, needs: &Needs, sign: i64) {
        let used = &mut self.used;
        let add = |to: &mut i64, amount: i64| *to = to.saturating_add(amount.saturating_mul(sign));
        add(&mut used.cpu_milli, needs.cpu_milli);
        add(&mut used.memory, needs.memory);
        add(&mut used.ephemeral, needs.ephemeral);
        add(&mut used.scored_cpu_milli, needs.scored_cpu_milli);
        add(&mut used.scored_memory, needs.scored_memory);
        for (name, amount) in &needs.others {
            match used.others.iter_mut().find(|(known, _)| known == name) {
                Some((_, taken)) => add(taken, *amount),
                None => used
                    .others
                    .push((name.clone(), amount.saturating_mul(sign))),
            }
        }
    }
}

/// The amount of an extended resource, 0 where it is unknown.
pub(crate) fn amount(of: &Needs, name: &str) -> i64 {
    let found = of.others.iter().find(|(known, _)| known == name);
    found.map_or(0, |(_, amount)| *amount)
}
