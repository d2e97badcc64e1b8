//! The recent past: commits kept in memory for watches and exact reads.
//!
//! Bounded by count and by bytes. A reader holds a cursor and is told to start
//! over when what it has not read yet has been dropped, so a slow reader costs
//! no memory.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};

use object::Resource;
use tokio::sync::watch;
use world::{Commit, Event};

/// Commits that are kept at most.
pub const COMMITS_KEPT: usize = 20_000;
/// Bytes of old and new bodies that are kept at most.
pub const BYTES_KEPT: usize = 64 << 20;

/// The revision asked for is not kept any more.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("too old resource version: {asked} ({oldest})")]
pub struct Gone {
    /// Asked for.
    pub asked: u64,
    /// The oldest that is kept.
    pub oldest: u64,
}

#[derive(Default)]
struct Kept {
    commits: VecDeque<Arc<Commit>>,
    /// The events of the same commits by resource, so that a watcher is neither
    /// woken by nor looks at others.
    events: HashMap<Resource, Ring>,
    bytes: usize,
    /// Everything after this revision is kept.
    floor: u64,
}

struct Ring {
    events: VecDeque<Arc<Event>>,
    /// Revision of the last event.
    tip: watch::Sender<u64>,
}

impl Default for Ring {
    fn default() -> Self {
        Self {
            events: VecDeque::new(),
            tip: watch::Sender::new(0),
        }
    }
}

/// The commits kept, and who waits for more.
pub(crate) struct History {
    kept: Mutex<Kept>,
    /// The last revision published; closed when the store is.
    tip: watch::Sender<u64>,
    limits: (usize, usize),
}

impl History {
    pub(crate) fn new(revision: u64, commits: usize, bytes: usize) -> Self {
        let kept = Mutex::new(Kept {
            floor: revision,
            ..Kept::default()
        });
        Self {
            kept,
            tip: watch::Sender::new(revision),
            limits: (commits, bytes),
        }
    }

    fn kept(&self) -> std::sync::MutexGuard<'_, Kept> {
        // Nothing in a critical section panics half-way through a change.
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds what was just made durable.
    pub(crate) fn publish(&self, commits: &[Arc<Commit>]) {
        let Some(last) = commits.last() else { return };
        let mut kept = self.kept();
        for commit in commits {
            kept.add(commit);
        }
        while kept.commits.len() > self.limits.0 || kept.bytes > self.limits.1 {
            if !kept.drop_oldest() {
                break;
            }
        }
        for event in commits.iter().flat_map(|commit| &commit.events) {
            if let Some(ring) = kept.events.get(&event.resource()) {
                ring.tip.send_replace(event.revision);
            }
        }
        drop(kept);
        self.tip.send_replace(last.revision);
    }

    /// Commits after `revision`, at most `limit`, in order.
    fn after(&self, revision: u64, limit: usize) -> Result<Vec<Arc<Commit>>, Gone> {
        let kept = self.kept();
        kept.check(revision)?;
        let start = kept
            .commits
            .partition_point(|commit| commit.revision <= revision);
        Ok(kept.commits.range(start..).take(limit).cloned().collect())
    }

    /// Commits after `revision`, newest first: what rewinding undoes.
    pub(crate) fn since(&self, revision: u64) -> Result<Vec<Arc<Commit>>, Gone> {
        let mut commits = self.after(revision, usize::MAX)?;
        commits.reverse();
        Ok(commits)
    }

    /// Every commit after `revision`; ends with an error when the reader fell
    /// behind, and without one when the store closes.
    pub(crate) fn follow(self: &Arc<Self>, revision: u64) -> Result<Commits, Gone> {
        self.kept().check(revision)?;
        Ok(Commits {
            history: Arc::downgrade(self),
            tip: self.tip.subscribe(),
            revision,
            ready: VecDeque::new(),
        })
    }

    /// Every event of one resource after `revision`.
    pub(crate) fn watch(
        self: &Arc<Self>,
        resource: Resource,
        revision: u64,
    ) -> Result<Events, Gone> {
        let mut kept = self.kept();
        kept.check(revision)?;
        let tip = kept.events.entry(resource).or_default().tip.subscribe();
        Ok(Events {
            history: Arc::downgrade(self),
            tip,
            resource,
            revision,
        })
    }

    /// Events of one resource after `revision`: about `limit`, whole revisions.
    fn events(
        &self,
        resource: Resource,
        revision: u64,
        limit: usize,
    ) -> Result<Vec<Arc<Event>>, Gone> {
        let kept = self.kept();
        kept.check(revision)?;
        let Some(ring) = kept.events.get(&resource) else {
            return Ok(Vec::new());
        };
        let start = ring
            .events
            .partition_point(|event| event.revision <= revision);
        let mut events: Vec<Arc<Event>> = Vec::new();
        for event in ring.events.range(start..) {
            if events.len() >= limit
                && events
                    .last()
                    .is_some_and(|last| last.revision != event.revision)
            {
                break;
            }
            events.push(Arc::clone(event));
        }
        Ok(events)
    }
}

impl Kept {
    fn check(&self, revision: u64) -> Result<(), Gone> {
        if revision < self.floor {
            return Err(Gone {
                asked: revision,
                oldest: self.floor,
            });
        }
        Ok(())
    }

    fn add(&mut self, commit: &Arc<Commit>) {
        self.bytes += size(commit);
        for event in &commit.events {
            self.events
                .entry(event.resource())
                .or_default()
                .events
                .push_back(Arc::clone(event));
        }
        self.commits.push_back(Arc::clone(commit));
    }

    /// Forgets the oldest commit, and with it the oldest events of its resources.
    fn drop_oldest(&mut self) -> bool {
        let Some(dropped) = self.commits.pop_front() else {
            return false;
        };
        self.bytes -= size(&dropped);
        self.floor = dropped.revision;
        for event in &dropped.events {
            if let Some(ring) = self.events.get_mut(&event.resource()) {
                ring.events.pop_front();
            }
        }
        true
    }
}

fn size(commit: &Commit) -> usize {
    let of = |event: &Arc<Event>| {
        event.object.body().len() + event.old.as_ref().map_or(0, |old| old.body().len())
    };
    commit.events.iter().map(of).sum()
}

/// Commits handed to a reader in one turn.
const TURN: usize = 256;

/// A reader of commits.
pub struct Commits {
    history: std::sync::Weak<History>,
    tip: watch::Receiver<u64>,
    revision: u64,
    ready: VecDeque<Arc<Commit>>,
}

impl Commits {
    /// The next commit; `None` when the store is closed.
    pub async fn next(&mut self) -> Option<Result<Arc<Commit>, Gone>> {
        loop {
            if let Some(commit) = self.ready.pop_front() {
                self.revision = commit.revision;
                return Some(Ok(commit));
            }
            // Marked as seen before looking, so that no commit is missed between.
            self.tip.borrow_and_update();
            match self.history.upgrade()?.after(self.revision, TURN) {
                Err(gone) => return Some(Err(gone)),
                Ok(commits) => self.ready.extend(commits),
            }
            if self.ready.is_empty() {
                self.tip.changed().await.ok()?;
            }
        }
    }

    /// The revision of the last commit read.
    pub fn revision(&self) -> u64 {
        self.revision
    }

    /// Goes on after `revision`: what a reader does that looked at the whole
    /// world again.
    pub fn skip_to(&mut self, revision: u64) {
        self.revision = self.revision.max(revision);
        self.ready.clear();
    }
}

/// A reader of one resource's events: what a watch is made of.
pub struct Events {
    history: std::sync::Weak<History>,
    tip: watch::Receiver<u64>,
    resource: Resource,
    revision: u64,
}

impl Events {
    /// The next events, at least one, in order; `None` when the store is closed.
    pub async fn next(&mut self) -> Option<Result<Vec<Arc<Event>>, Gone>> {
        loop {
            // Marked as seen before looking, so that no event is missed between.
            self.tip.borrow_and_update();
            match self
                .history
                .upgrade()?
                .events(self.resource, self.revision, TURN)
            {
                Err(gone) => return Some(Err(gone)),
                Ok(events) => {
                    if let Some(last) = events.last() {
                        self.revision = last.revision;
                        return Some(Ok(events));
                    }
                }
            }
            self.tip.changed().await.ok()?;
        }
    }

    /// The last revision up to which everything was read; the store's own when
    /// nothing happened to the resource since.
    pub fn revision(&self) -> u64 {
        self.revision
    }
}
