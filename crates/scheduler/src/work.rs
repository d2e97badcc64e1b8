//! The scheduler's state between events: the snapshot and the queue, and how
//! commits, decisions and the outcome of writes change them.
//!
//! Pure: no I/O, time is passed in. `run` is the loop around it.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use jiff::Timestamp;
use k8s_openapi::api::core::v1::Pod;
use object::names::resources::PODS;
use object::{Name, Object};
use reconcile::Cx;
use world::{Commit, Event, World};

use crate::pod::not_pending;
use crate::queue::Queue;
use crate::schedule::{Decision, Outcome, schedule};
use crate::snapshot::Snapshot;
use crate::wake::Change;

/// Pods decided in one go. Commits are taken in between.
pub const BATCH: usize = 64;

#[derive(Debug, Default)]
pub(crate) struct Work {
    pub(crate) queue: Queue,
    snapshot: Snapshot,
    /// Pods still to be decided one by one, to find the one that cannot be.
    singly: usize,
}

impl Work {
    /// Looks at everything: at the start, and after commits were missed.
    pub(crate) fn look_at_all(&mut self, world: &World, now: Timestamp) {
        self.snapshot.sync(world);
        let gone: Vec<Name> = self
            .queue
            .names()
            .filter(|name| {
                !world
                    .table(PODS)
                    .get(name)
                    .is_some_and(|pod| is_pending(pod))
            })
            .cloned()
            .collect();
        for name in gone {
            self.queue.remove(&name);
        }
        // This wakes those that wait, too: what was missed may have helped anyone.
        for object in world.list(PODS).filter(|object| is_pending(object)) {
            self.enqueue(object, now);
        }
    }

    /// Takes in one commit.
    pub(crate) fn observe(&mut self, world: &World, commit: &Commit, now: Timestamp) {
        if commit.revision <= self.snapshot.revision() {
            return;
        }
        self.snapshot.apply(commit);
        for event in &commit.events {
            if self.queue.has_waiting()
                && let Some(change) = Change::of(event)
            {
                self.wake(&change, world, now);
            }
            if event.resource() == PODS {
                self.pod_event(event, now);
            }
        }
    }

    fn pod_event(&mut self, event: &Event, now: Timestamp) {
        let name = event.object.name();
        match event.new_state() {
            Some(new) if is_pending(new) => {
                if !self.queue.has(&name) || event.old.as_ref().is_none_or(|old| differs(old, new))
                {
                    self.enqueue(new, now);
                }
            }
            _ => self.queue.remove(&name),
        }
    }

    fn enqueue(&mut self, object: &Arc<Object>, now: Timestamp) {
        let view = object.view::<Pod>().ok();
        let priority = view
            .and_then(|pod| pod.spec.as_ref()?.priority)
            .unwrap_or(0);
        self.queue
            .put(&object.name(), &object.meta().uid, priority, now);
    }

    fn wake(&mut self, change: &Change, world: &World, now: Timestamp) {
        self.queue
            .wake_if(now, |wanted, plugins| change.helps(wanted, plugins, world));
    }

    /// Decides the next pods. What is to be written follows from the decisions.
    pub(crate) fn plan(&mut self, cx: &Cx, world: &World) -> Vec<Decision> {
        let limit = if self.singly > 0 { 1 } else { BATCH };
        let keys = self.queue.take(limit, cx.now);
        self.singly = self.singly.saturating_sub(keys.len());
        let snapshot = &mut self.snapshot;
        let decided = catch_unwind(AssertUnwindSafe(|| schedule(cx, world, snapshot, &keys)));
        let Ok(decisions) = decided else {
            // One of them trips us up: the others must not suffer for it.
            self.snapshot
                .rebuild(world, |name| !keys.iter().any(|key| key.name == *name));
            if let [key] = keys.as_slice() {
                tracing::error!(pod = %key.name, "deciding panicked");
                self.queue.fail(&key.name, cx.now);
            } else {
                self.singly = keys.len();
                keys.iter().for_each(|key| self.queue.again(&key.name));
            }
            return Vec::new();
        };
        for Decision { key, outcome } in &decisions {
            match outcome {
                Outcome::Bind { .. } => {}
                Outcome::Unschedulable(no) => {
                    self.queue.wait(Arc::clone(&no.pod), no.plugins, cx.now);
                }
                Outcome::NotPending(_) | Outcome::Gone => self.queue.remove(&key.name),
                Outcome::Unreadable(..) => self.queue.fail(&key.name, cx.now),
            }
        }
        decisions
    }

    /// The binding of this pod is written.
    pub(crate) fn bound(&mut self, object: &Object) {
        let name = object.name();
        if self.queue.is(&name, &object.meta().uid) {
            self.queue.remove(&name);
        }
    }

    /// The binding of this pod failed, so it does not stand where it was assumed.
    pub(crate) fn bind_failed(&mut self, object: &Object, world: &World, now: Timestamp) {
        let name = object.name();
        if let Some(pod) = self.snapshot.forget(object) {
            self.wake(&Change::gone(pod), world, now);
        }
        if self.queue.is(&name, &object.meta().uid) {
            self.queue.fail(&name, now);
        }
    }

    /// A victim could not be deleted: its pod must look anew.
    pub(crate) fn eviction_failed(&mut self, name: &Name, now: Timestamp) {
        self.snapshot.nominated.remove(name);
        if self.queue.is_waiting(name) {
            self.queue.fail(name, now);
        }
    }
}

fn is_pending(object: &Object) -> bool {
    // A pod that cannot be read is decided all the same: the decision says so.
    object
        .view::<Pod>()
        .map_or(true, |pod| not_pending(object, &pod).is_none())
}

/// Whether a pod changed in what decides where it may run.
fn differs(old: &Object, new: &Object) -> bool {
    if old.meta().labels != new.meta().labels {
        return true;
    }
    match (old.view::<Pod>(), new.view::<Pod>()) {
        (Ok(old), Ok(new)) => old.spec != new.spec,
        _ => true,
    }
}
