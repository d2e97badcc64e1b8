//! The scheduler's picture of the cluster: nodes with everything on them.
//!
//! Reads Nodes and Pods of a [`World`]; writes nothing. It is a cache that any
//! world rebuilds ([`Snapshot::sync`]) and commits keep up to date
//! ([`Snapshot::apply`]), plus the pods that are assumed: decided, but not yet
//! seen bound. Invariants: nodes are sorted by name, so that the picture does not
//! depend on the order of events; a pod stands on at most one node; an assumed pod
//! counts until its binding is seen or it is forgotten.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use object::names::resources::{NODES, PODS};
use object::{Name, Object};
use smol_str::SmolStr;
use world::{Commit, Event, World};

use crate::counts::{Counts, Domains, Predicate};
use crate::node::NodeInfo;
use crate::pod::{Footprint, Standing, Wanted};

/// Nodes, and the pods on them.
#[derive(Debug, Default)]
pub struct Snapshot {
    pub(crate) nodes: Vec<NodeInfo>,
    placed: HashMap<Name, Placed>,
    /// Pods that preempted others and wait for them to go: their node's room is
    /// kept for them.
    pub(crate) nominated: BTreeMap<Name, Reserved>,
    counts: Counts,
    /// On how many nodes each image is.
    images: HashMap<SmolStr, u32>,
    revision: u64,
}

/// A node whose room is kept, and the pod it is kept for.
pub(crate) type Reserved = (SmolStr, Arc<Footprint>);

#[derive(Debug)]
struct Placed {
    node: SmolStr,
    pod: Arc<Footprint>,
    assumed: bool,
}

impl Snapshot {
    /// The picture of `world`.
    pub fn of(world: &World) -> Self {
        let mut snapshot = Self::default();
        snapshot.sync(world);
        snapshot
    }

    /// The revision it has seen.
    pub fn revision(&self) -> u64 {
        self.revision
    }

    /// How many nodes there are.
    pub fn node_count(&self) -> usize {
        self.nodes.len()
    }

    /// Looks at the whole world; objects of a known revision cost a comparison.
    pub fn sync(&mut self, world: &World) {
        let gone: Vec<SmolStr> = self
            .nodes
            .iter()
            .filter(|node| world.find(NODES, "", node.name()).is_none())
            .map(|node| node.name().clone())
            .collect();
        for name in gone {
            self.remove_node(&name);
        }
        for object in world.list(NODES) {
            self.put_node(object);
        }
        let still = |name: &Name, placed: &Placed| {
            let found = world.table(PODS).get(name);
            found.is_some_and(|object| object.meta().uid == placed.pod.object.meta().uid)
        };
        let gone: Vec<Name> = self
            .placed
            .iter()
            .filter(|(name, placed)| !still(name, placed))
            .map(|(name, _)| name.clone())
            .collect();
        for name in gone {
            self.remove_pod(&name);
        }
        for object in world.list(PODS) {
            self.put_pod(object);
        }
        let waiting = |name: &Name| world.table(PODS).get(name).is_some();
        self.nominated.retain(|name, _| waiting(name));
        self.revision = world.revision();
    }

    /// Takes in one commit, which must be the next one after those seen.
    pub fn apply(&mut self, commit: &Commit) {
        if commit.revision <= self.revision {
            return;
        }
        for event in &commit.events {
            self.event(event);
        }
        self.revision = commit.revision;
    }

    fn event(&mut self, event: &Event) {
        let resource = event.resource();
        match event.new_state() {
            Some(object) if resource == NODES => self.put_node(object),
            Some(object) if resource == PODS => self.put_pod(object),
            None if resource == NODES => self.remove_node(&event.object.meta().name),
            None if resource == PODS => {
                self.remove_pod(&event.object.name());
                self.nominated.remove(&event.object.name());
            }
            _ => {}
        }
    }

    /// Counts a decided pod on its node before its binding is seen.
    pub(crate) fn assume(&mut self, pod: &Arc<Footprint>, node: &SmolStr) {
        self.nominated.remove(&pod.name());
        self.place(node.clone(), Arc::clone(pod), true);
    }

    /// Whether this very pod stands on a node already, seen or assumed.
    pub(crate) fn has_placed(&self, object: &Object) -> bool {
        let placed = self.placed.get(&object.name());
        placed.is_some_and(|placed| placed.pod.object.meta().uid == object.meta().uid)
    }

    /// Takes back an assumption whose binding failed. A pod seen bound stays, and so
    /// does another pod of the same name.
    pub(crate) fn forget(&mut self, object: &Object) -> Option<Arc<Footprint>> {
        let name = object.name();
        if self.placed.get(&name)?.assumed && self.has_placed(object) {
            return self.remove_pod(&name).map(|(_, pod)| pod);
        }
        None
    }

    /// Builds the picture anew after a fault, but keeps the assumptions that `keep`
    /// says are still being written.
    pub(crate) fn rebuild(&mut self, world: &World, keep: impl Fn(&Name) -> bool) {
        let old = std::mem::take(self);
        self.sync(world);
        for (name, placed) in old.placed {
            if placed.assumed && keep(&name) && !self.has_placed(&placed.pod.object) {
                self.place(placed.node, placed.pod, true);
            }
        }
    }

    /// Takes a pod off its node, to see what would be; [`Snapshot::put_back`] undoes it.
    pub(crate) fn lift(&mut self, name: &Name) -> Option<Lifted> {
        let assumed = self.placed.get(name)?.assumed;
        let (node, pod) = self.remove_pod(name)?;
        Some(Lifted { node, pod, assumed })
    }

    pub(crate) fn put_back(&mut self, lifted: Lifted) {
        self.place(lifted.node, lifted.pod, lifted.assumed);
    }

    /// The pods for which room is kept that this one may not take.
    pub(crate) fn reserved_before(&self, wanted: &Wanted) -> Vec<Reserved> {
        let name = wanted.name();
        let mine =
            |other: &Name, pod: &Footprint| *other == name || pod.priority < wanted.priority();
        self.nominated
            .iter()
            .filter(|(other, (_, pod))| !mine(other, pod))
            .map(|(_, reserved)| reserved.clone())
            .collect()
    }

    /// Puts pods where they are not yet, to see what would be, until
    /// [`Snapshot::pretend_no_more`].
    pub(crate) fn pretend(&mut self, reserved: &[Reserved]) {
        for (node, pod) in reserved {
            self.place(node.clone(), Arc::clone(pod), true);
        }
    }

    pub(crate) fn pretend_no_more(&mut self, reserved: &[Reserved]) {
        for (_, pod) in reserved {
            self.remove_pod(&pod.name());
        }
    }

    /// Keeps a node's room for a pod. Weaker pods it was kept for must look anew.
    pub(crate) fn nominate(&mut self, pod: &Arc<Footprint>, node: &SmolStr) {
        self.nominated
            .retain(|_, (on, other)| on != node || other.priority >= pod.priority);
        self.nominated
            .insert(pod.name(), (node.clone(), Arc::clone(pod)));
    }

    pub(crate) fn find(&self, name: &str) -> Option<&NodeInfo> {
        self.position(name).ok().map(|at| &self.nodes[at])
    }

    pub(crate) fn domains(&mut self, key: &SmolStr) -> Arc<Domains> {
        self.counts.domains(&self.nodes, key)
    }

    pub(crate) fn count(&mut self, predicate: &Predicate) -> Arc<Vec<u32>> {
        self.counts.of(&self.nodes, predicate)
    }

    /// On how many nodes the image is.
    pub(crate) fn holders(&self, image: &str) -> u32 {
        self.images.get(image).copied().unwrap_or(0)
    }

    fn position(&self, name: &str) -> Result<usize, usize> {
        self.nodes
            .binary_search_by(|node| node.name().as_str().cmp(name))
    }

    fn put_node(&mut self, object: &Arc<Object>) {
        let at = self.position(&object.meta().name);
        if let Ok(at) = at
            && self.nodes[at].object.revision() == object.revision()
        {
            return;
        }
        let mut info = match NodeInfo::new(object) {
            Ok(info) => info,
            Err(error) => {
                // The API server decodes what it stores, so this is a fault of ours.
                tracing::error!(node = %object.meta().name, %error, "node cannot be read");
                return;
            }
        };
        self.hold_images(&info, true);
        match at {
            Ok(at) => {
                let labels = self.nodes[at].labels() != info.labels();
                let old = std::mem::replace(&mut self.nodes[at], info);
                self.hold_images(&old, false);
                self.nodes[at].inherit(old);
                if labels {
                    self.counts.labels_changed();
                }
            }
            Err(at) => {
                let name = info.name().clone();
                for placed in self.placed.values().filter(|p| p.node == name) {
                    info.add(Arc::clone(&placed.pod));
                }
                self.nodes.insert(at, info);
                self.counts.nodes_changed();
            }
        }
    }

    /// The node goes; its pods stay known, for it may come back.
    fn remove_node(&mut self, name: &str) {
        if let Ok(at) = self.position(name) {
            let old = self.nodes.remove(at);
            self.hold_images(&old, false);
            self.counts.nodes_changed();
        }
    }

    fn hold_images(&mut self, node: &NodeInfo, here: bool) {
        for name in node.images.keys() {
            if here {
                *self.images.entry(name.clone()).or_default() += 1;
            } else if let Some(holders) = self.images.get_mut(name) {
                *holders -= 1;
                if *holders == 0 {
                    self.images.remove(name);
                }
            }
        }
    }

    fn put_pod(&mut self, object: &Arc<Object>) {
        let name = object.name();
        let known = self.placed.get(&name);
        if known.is_some_and(|p| !p.assumed && p.pod.object.revision() == object.revision()) {
            return;
        }
        match Footprint::standing(object) {
            Ok(Standing::On(node, pod)) => {
                self.nominated.remove(&name);
                self.place(node, Arc::new(pod), false);
            }
            // An assumed pod is still unbound in the world until its binding is
            // seen; another pod of the same name is another matter.
            Ok(Standing::Unbound(nominated)) => {
                let keep = known.is_some_and(|p| {
                    p.assumed
                        && p.pod.object.meta().uid == object.meta().uid
                        && !object.meta().is_deleting()
                });
                if !keep {
                    self.remove_pod(&name);
                    if let Some((node, pod)) = nominated {
                        self.nominated.insert(name, (node, Arc::new(pod)));
                    }
                }
            }
            Ok(Standing::Ended) => {
                self.remove_pod(&name);
            }
            Err(error) => tracing::error!(pod = %name, %error, "pod cannot be read"),
        }
    }

    fn place(&mut self, node: SmolStr, pod: Arc<Footprint>, assumed: bool) {
        let name = pod.name();
        self.remove_pod(&name);
        if let Ok(at) = self.position(&node) {
            self.counts.add(at, &pod);
            self.nodes[at].add(Arc::clone(&pod));
        }
        self.placed.insert(name, Placed { node, pod, assumed });
    }

    fn remove_pod(&mut self, name: &Name) -> Option<(SmolStr, Arc<Footprint>)> {
        let Placed { node, pod, .. } = self.placed.remove(name)?;
        if let Ok(at) = self.position(&node)
            && self.nodes[at].remove(name).is_some()
        {
            self.counts.remove(at, &pod);
        }
        Some((node, pod))
    }
}

/// A pod taken off its node.
#[derive(Debug)]
pub(crate) struct Lifted {
    node: SmolStr,
    pub(crate) pod: Arc<Footprint>,
    assumed: bool,
}
