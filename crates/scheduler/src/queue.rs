//! The pods that wait for a node: ready, backing off, without hope until something
//! changes, or on their way to a node.
//!
//! Pure; the caller passes the time. Holds each pending pod once, so it is bounded
//! by the number of pods. Ready pods come out by priority, then by the time they
//! were queued. Invariant: a pod that found no node becomes ready only by an event
//! that may help it or by a change of its own.

use std::cmp::Reverse;
use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use object::names::resources::PODS;
use object::{Key, Name};
use smol_str::SmolStr;

use crate::plugins::Plugins;
use crate::pod::Wanted;

/// Wait after the first failure; doubles with each.
pub const BACKOFF_START: SignedDuration = SignedDuration::from_secs(1);
/// The longest wait.
pub const BACKOFF_LIMIT: SignedDuration = SignedDuration::from_secs(10);

/// Order of ready pods.
type Rank = (Reverse<i32>, Timestamp, Name);

#[derive(Debug, Default)]
pub(crate) struct Queue {
    entries: HashMap<Name, Entry>,
    /// Those of `entries` in state `Waiting`, for events look at nobody else.
    waiting: HashSet<Name>,
    ready: BTreeSet<Rank>,
    /// Pods that something may have helped, waiting for their back-off to end.
    backing_off: BTreeSet<(Timestamp, Rank)>,
    /// Pods whose writes failed, likewise.
    failed: BTreeSet<(Timestamp, Rank)>,
}

#[derive(Debug)]
struct Entry {
    uid: SmolStr,
    priority: i32,
    queued: Timestamp,
    attempts: u32,
    /// No sooner than this, after the last failure.
    not_before: Timestamp,
    state: State,
}

#[derive(Debug)]
enum State {
    Ready,
    BackingOff,
    Failed,
    /// In hand: being decided, or its binding is being written.
    InHand,
    Waiting(Arc<Wanted>, Plugins),
}

/// How many pods are in which state.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Depths {
    pub(crate) active: usize,
    pub(crate) backoff: usize,
    pub(crate) unschedulable: usize,
}

impl Queue {
    /// A pending pod came, or changed in a way that matters to where it may run.
    pub(crate) fn put(&mut self, name: &Name, uid: &SmolStr, priority: i32, now: Timestamp) {
        if self
            .entries
            .get(name)
            .is_some_and(|entry| entry.uid != *uid)
        {
            self.remove(name);
        }
        let Some(entry) = self.entries.get_mut(name) else {
            let entry = Entry {
                uid: uid.clone(),
                priority,
                queued: now,
                attempts: 0,
                not_before: now,
                state: State::Ready,
            };
            self.ready.insert((Reverse(priority), now, name.clone()));
            self.entries.insert(name.clone(), entry);
            return;
        };
        if matches!(entry.state, State::Waiting(..)) {
            self.wake(name, now);
        }
    }

    /// The pod has a node, is gone, or is no longer ours.
    pub(crate) fn remove(&mut self, name: &Name) {
        if let Some(entry) = self.entries.remove(name) {
            let rank = (Reverse(entry.priority), entry.queued, name.clone());
            match entry.state {
                State::Ready => {
                    self.ready.remove(&rank);
                }
                State::BackingOff => {
                    self.backing_off.remove(&(entry.not_before, rank));
                }
                State::Failed => {
                    self.failed.remove(&(entry.not_before, rank));
                }
                State::Waiting(..) => {
                    self.waiting.remove(name);
                }
                State::InHand => {}
            }
        }
    }

    /// Whether a pod of this name is known.
    pub(crate) fn has(&self, name: &Name) -> bool {
        self.entries.contains_key(name)
    }

    /// Whether this very pod is known, not another of its name.
    pub(crate) fn is(&self, name: &Name, uid: &SmolStr) -> bool {
        self.entries
            .get(name)
            .is_some_and(|entry| entry.uid == *uid)
    }

    /// The names it knows.
    pub(crate) fn names(&self) -> impl Iterator<Item = &Name> {
        self.entries.keys()
    }

    /// The next pods to decide, at most `limit`; they are in hand until something
    /// else is said of them. When none is ready, pods that only back off come out
    /// early, as upstream's do: something helped them, and there is time.
    pub(crate) fn take(&mut self, limit: usize, now: Timestamp) -> Vec<Key> {
        self.advance(now);
        if self.ready.is_empty() {
            while self.ready.len() < limit
                && let Some((_, rank)) = self.backing_off.pop_first()
            {
                self.make_ready(rank);
            }
        }
        let mut keys = Vec::new();
        while keys.len() < limit
            && let Some((_, _, name)) = self.ready.pop_first()
        {
            if let Some(entry) = self.entries.get_mut(&name) {
                entry.state = State::InHand;
                keys.push(Key {
                    resource: PODS,
                    name,
                });
            }
        }
        keys
    }

    /// No node would have it.
    pub(crate) fn wait(&mut self, wanted: Arc<Wanted>, plugins: Plugins, now: Timestamp) {
        if let Some(entry) = self.entries.get_mut(&wanted.name()) {
            entry.attempts = entry.attempts.saturating_add(1);
            entry.not_before = now + backoff(entry.attempts);
            self.waiting.insert(wanted.name());
            entry.state = State::Waiting(wanted, plugins);
        }
    }

    /// A write for it failed, or it could not be decided: again after a while.
    pub(crate) fn fail(&mut self, name: &Name, now: Timestamp) {
        if let Some(entry) = self.entries.get_mut(name) {
            entry.attempts = entry.attempts.saturating_add(1);
            entry.not_before = now + backoff(entry.attempts);
            entry.state = State::Failed;
            self.waiting.remove(name);
            let rank = (Reverse(entry.priority), entry.queued, name.clone());
            self.failed.insert((entry.not_before, rank));
        }
    }

    /// It was taken in hand for nothing: ready again, at its old place.
    pub(crate) fn again(&mut self, name: &Name) {
        if let Some(entry) = self.entries.get(name) {
            self.make_ready((Reverse(entry.priority), entry.queued, name.clone()));
        }
    }

    /// Whether no node would have it, and nothing has woken it since.
    pub(crate) fn is_waiting(&self, name: &Name) -> bool {
        self.waiting.contains(name)
    }

    /// Whether any pod waits for something to help it.
    pub(crate) fn has_waiting(&self) -> bool {
        !self.waiting.is_empty()
    }

    /// Wakes the waiting pods for which `helps` holds.
    pub(crate) fn wake_if(&mut self, now: Timestamp, helps: impl Fn(&Wanted, Plugins) -> bool) {
        let helped = |name: &&Name| match self.entries.get(*name).map(|entry| &entry.state) {
            Some(State::Waiting(wanted, plugins)) => helps(wanted, *plugins),
            _ => false,
        };
        let names: Vec<Name> = self.waiting.iter().filter(helped).cloned().collect();
        for name in names {
            self.wake(&name, now);
        }
    }

    fn wake(&mut self, name: &Name, now: Timestamp) {
        self.waiting.remove(name);
        if let Some(entry) = self.entries.get_mut(name) {
            let rank = (Reverse(entry.priority), entry.queued, name.clone());
            if entry.not_before > now {
                entry.state = State::BackingOff;
                self.backing_off.insert((entry.not_before, rank));
            } else {
                self.make_ready(rank);
            }
        }
    }

    fn make_ready(&mut self, rank: Rank) {
        if let Some(entry) = self.entries.get_mut(&rank.2) {
            entry.state = State::Ready;
            self.ready.insert(rank);
        }
    }

    fn advance(&mut self, now: Timestamp) {
        while let Some((_, rank)) = pop_due(&mut self.backing_off, now) {
            self.make_ready(rank);
        }
        while let Some((_, rank)) = pop_due(&mut self.failed, now) {
            self.make_ready(rank);
        }
    }

    /// When the next pod becomes ready by itself; `None` if one is ready, or none
    /// will be.
    pub(crate) fn next_deadline(&self) -> Option<Timestamp> {
        let first = |set: &BTreeSet<(Timestamp, Rank)>| set.first().map(|(when, _)| *when);
        first(&self.backing_off)
            .into_iter()
            .chain(first(&self.failed))
            .min()
    }

    /// Whether [`Queue::take`] would give something.
    pub(crate) fn has_work(&self, now: Timestamp) -> bool {
        let due = self.failed.first().is_some_and(|(when, _)| *when <= now);
        due || !self.ready.is_empty() || !self.backing_off.is_empty()
    }

    pub(crate) fn depths(&self) -> Depths {
        Depths {
            active: self.ready.len(),
            backoff: self.backing_off.len() + self.failed.len(),
            unschedulable: self.waiting.len(),
        }
    }
}

fn pop_due(set: &mut BTreeSet<(Timestamp, Rank)>, now: Timestamp) -> Option<(Timestamp, Rank)> {
    if set.first()?.0 > now {
        return None;
    }
    set.pop_first()
}

fn backoff(attempts: u32) -> SignedDuration {
    let doublings = attempts.saturating_sub(1).min(8);
    (BACKOFF_START * (1 << doublings)).min(BACKOFF_LIMIT)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn name(name: &str) -> Name {
        Name::new("n", name)
    }

    fn taken(queue: &mut Queue, now: i64) -> Vec<String> {
        let keys = queue.take(10, at(now));
        keys.iter().map(|key| key.name.name.to_string()).collect()
    }

    #[test]
    fn pods_come_out_by_priority_then_by_age_then_by_name() {
        let mut queue = Queue::default();
        for (pod, priority, queued) in [("d", 0, 2), ("b", 0, 1), ("a", 0, 2), ("c", 9, 3)] {
            queue.put(&name(pod), &"u".into(), priority, at(queued));
        }
        assert_eq!(taken(&mut queue, 4), ["c", "b", "a", "d"]);
        assert_eq!(taken(&mut queue, 4), [""; 0], "they are in hand");
    }

    #[test]
    fn failures_back_off_from_one_second_to_ten() {
        let mut queue = Queue::default();
        queue.put(&name("a"), &"u".into(), 0, at(0));
        let mut now = 0;
        for wait in [1, 2, 4, 8, 10, 10] {
            assert_eq!(taken(&mut queue, now), ["a"]);
            queue.fail(&name("a"), at(now));
            assert_eq!(queue.next_deadline(), Some(at(now + wait)));
            assert_eq!(taken(&mut queue, now + wait - 1), [""; 0]);
            now += wait;
        }
    }

    #[test]
    fn another_pod_of_the_same_name_starts_anew() {
        let mut queue = Queue::default();
        queue.put(&name("a"), &"u1".into(), 0, at(0));
        taken(&mut queue, 0);
        queue.fail(&name("a"), at(0));
        queue.put(&name("a"), &"u2".into(), 0, at(0));
        assert_eq!(taken(&mut queue, 0), ["a"]);
        queue.remove(&name("a"));
        assert_eq!(queue.next_deadline(), None);
    }
}
