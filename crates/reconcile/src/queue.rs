//! The queue of one controller: keys to plan now, and keys to plan later.
//!
//! Holds each key at most once in each state, so it is bounded by the number of
//! objects. Pure: the caller passes the time.

use std::collections::{BTreeSet, HashMap, HashSet, VecDeque};

use object::Key;
use tokio::time::{Duration, Instant};

/// First delay after a failure; doubles with each failure in a row.
pub const BACKOFF_START: Duration = Duration::from_millis(5);
/// Longest delay after failures.
pub const BACKOFF_LIMIT: Duration = Duration::from_secs(1000);

/// Keys waiting for their turn.
#[derive(Debug, Default)]
pub struct Queue {
    ready: VecDeque<Key>,
    queued: HashSet<Key>,
    running: HashSet<Key>,
    /// Woken while running: to be planned once more.
    again: HashSet<Key>,
    later: BTreeSet<(Instant, Key)>,
    deadline: HashMap<Key, Instant>,
    failures: HashMap<Key, u32>,
}

impl Queue {
    /// Wakes a key: it is planned as soon as there is room.
    pub fn wake(&mut self, key: Key) {
        if self.running.contains(&key) {
            self.again.insert(key);
        } else if self.queued.insert(key.clone()) {
            self.ready.push_back(key);
        }
    }

    /// Wakes a key at `when`, or at the earlier time it already waits for.
    pub fn wake_at(&mut self, key: Key, when: Instant) {
        if let Some(set) = self.deadline.get(&key).copied() {
            if set <= when {
                return;
            }
            self.later.remove(&(set, key.clone()));
        }
        self.deadline.insert(key.clone(), when);
        self.later.insert((when, key));
    }

    /// When the next waiting key is due.
    pub fn next_deadline(&self) -> Option<Instant> {
        self.later.first().map(|(when, _)| *when)
    }

    /// Wakes what is due.
    pub fn advance(&mut self, now: Instant) {
        while let Some((when, key)) = self.later.first().cloned() {
            if when > now {
                break;
            }
            self.later.remove(&(when, key.clone()));
            self.deadline.remove(&key);
            self.wake(key);
        }
    }

    /// The next key to plan; it counts as running until [`Queue::finish`].
    pub fn take(&mut self) -> Option<Key> {
        let key = self.ready.pop_front()?;
        self.queued.remove(&key);
        self.running.insert(key.clone());
        Some(key)
    }

    /// The key was planned and acted on, or failed.
    pub fn finish(&mut self, key: &Key, now: Instant, failed: bool) {
        self.running.remove(key);
        if failed {
            let failures = self.failures.entry(key.clone()).or_default();
            let factor = 1_u32.checked_shl(*failures).unwrap_or(u32::MAX);
            let delay = BACKOFF_START.saturating_mul(factor).min(BACKOFF_LIMIT);
            *failures = failures.saturating_add(1).min(31);
            self.again.remove(key);
            self.wake_at(key.clone(), now + delay);
            return;
        }
        self.failures.remove(key);
        if self.again.remove(key) {
            self.wake(key.clone());
        }
    }

    /// Keys that are ready to be planned.
    pub fn depth(&self) -> usize {
        self.ready.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use object::names::resources::PODS;

    fn key(name: &str) -> Key {
        Key::new(PODS, "n", name)
    }

    #[tokio::test(start_paused = true)]
    async fn a_key_is_queued_once_and_never_planned_twice_at_a_time() {
        let mut queue = Queue::default();
        queue.wake(key("a"));
        queue.wake(key("a"));
        assert_eq!(queue.take(), Some(key("a")));
        queue.wake(key("a"));
        assert_eq!(queue.take(), None, "it is running");
        queue.finish(&key("a"), Instant::now(), false);
        assert_eq!(queue.take(), Some(key("a")), "it was woken meanwhile");
    }

    #[tokio::test(start_paused = true)]
    async fn failures_back_off_per_key_and_success_forgets_them() {
        let mut queue = Queue::default();
        let start = Instant::now();
        for expected_ms in [5, 10, 20, 40] {
            queue.wake(key("bad"));
            queue.take();
            queue.finish(&key("bad"), start, true);
            assert_eq!(
                queue.next_deadline(),
                Some(start + Duration::from_millis(expected_ms))
            );
            queue.wake(key("good"));
            assert_eq!(
                queue.take(),
                Some(key("good")),
                "another key is not delayed"
            );
            queue.finish(&key("good"), start, false);
            queue.advance(start + Duration::from_millis(expected_ms));
            queue.take();
            queue.running.clear();
        }
        queue.wake(key("bad"));
        queue.take();
        queue.finish(&key("bad"), start, false);
        queue.wake(key("bad"));
        queue.take();
        queue.finish(&key("bad"), start, true);
        assert_eq!(queue.next_deadline(), Some(start + BACKOFF_START));
    }

    #[tokio::test(start_paused = true)]
    async fn the_earlier_of_two_deadlines_counts() {
        let mut queue = Queue::default();
        let now = Instant::now();
        let at = |s| now + Duration::from_secs(s);
        queue.wake_at(key("a"), at(10));
        queue.wake_at(key("a"), at(5));
        queue.wake_at(key("a"), at(7));
        queue.advance(at(4));
        assert_eq!(queue.take(), None);
        queue.advance(at(5));
        assert_eq!(queue.take(), Some(key("a")));
        assert_eq!(queue.next_deadline(), None);
    }
}
