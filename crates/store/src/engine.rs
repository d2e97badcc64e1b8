//! The engine that every local store shares: one writer thread, group commit,
//! and what readers see.
//!
//! The writer takes what has queued up, checks each transaction on the world as
//! the one before left it, makes the whole batch durable at once, then publishes
//! and answers. A transaction that fails its preconditions changes nothing; a
//! batch that the disk refuses is forgotten whole.

use std::path::Path;
use std::sync::Arc;

use arc_swap::ArcSwap;
use async_trait::async_trait;
use object::{Object, Resource};
use tokio::sync::{mpsc, oneshot};
use world::{Commit, Event, World};

use crate::history::{BYTES_KEPT, COMMITS_KEPT, Commits, Events, Gone, History};
use crate::log::{Log, Nowhere, OpenError, Sqlite};
use crate::{Change, CommitError, Expect, FieldsOf, MAX_OBJECT_BYTES, Op, Store};

/// Transactions that wait for the writer at most; further ones wait to be queued.
pub const QUEUE: usize = 1024;
/// Transactions that become durable at once at most.
pub const BATCH: usize = 256;

type Answer = Result<Arc<Commit>, CommitError>;

struct Request {
    changes: Vec<Change>,
    answer: oneshot::Sender<Answer>,
}

/// What readers see.
struct Shared {
    world: ArcSwap<World>,
    history: Arc<History>,
}

/// A store in this process: durable with [`LocalStore::open`], or not with
/// [`LocalStore::in_memory`].
pub struct LocalStore {
    shared: Arc<Shared>,
    requests: mpsc::Sender<Request>,
}

/// How much of the past a store keeps.
#[derive(Clone, Copy, Debug)]
pub struct Window {
    /// Commits at most.
    pub commits: usize,
    /// Bytes of bodies at most.
    pub bytes: usize,
}

impl Default for Window {
    fn default() -> Self {
        Self {
            commits: COMMITS_KEPT,
            bytes: BYTES_KEPT,
        }
    }
}

impl LocalStore {
    /// A store that forgets everything when the process ends.
    pub fn in_memory(
        indexed: &[(Resource, &'static str)],
        window: Window,
    ) -> Result<Self, OpenError> {
        Self::start(World::new(indexed), Nowhere, window)
    }

    /// The store in a directory, made if it is not there. `fields` gives the
    /// selectable fields of a stored object.
    pub fn open(
        dir: &Path,
        indexed: &[(Resource, &'static str)],
        fields: FieldsOf,
        window: Window,
    ) -> Result<Self, OpenError> {
        let loaded = Sqlite::open(dir, fields)?;
        let events = loaded
            .objects
            .into_iter()
            .map(|o| Arc::new(Event::put(Arc::new(o), None)));
        let commit = Commit {
            revision: loaded.revision,
            events: events.collect(),
        };
        Self::start(World::new(indexed).apply(&commit), loaded.log, window)
    }

    fn start(world: World, log: impl Log, window: Window) -> Result<Self, OpenError> {
        let history = Arc::new(History::new(world.revision(), window.commits, window.bytes));
        let shared = Arc::new(Shared {
            world: ArcSwap::from_pointee(world.clone()),
            history,
        });
        let (requests, queue) = mpsc::channel(QUEUE);
        let writer = Writer {
            world,
            log,
            shared: Arc::clone(&shared),
        };
        std::thread::Builder::new()
            .name("store".into())
            .spawn(move || writer.run(queue))
            .map_err(|source| OpenError::Io {
                path: "the store's thread".into(),
                source,
            })?;
        Ok(Self { shared, requests })
    }
}

#[async_trait]
impl Store for LocalStore {
    fn world(&self) -> World {
        World::clone(&self.shared.world.load())
    }

    async fn commit(&self, changes: Vec<Change>) -> Answer {
        let (answer, answered) = oneshot::channel();
        let request = Request { changes, answer };
        self.requests
            .send(request)
            .await
            .map_err(|_| CommitError::Closed)?;
        answered.await.map_err(|_| CommitError::Closed)?
    }

    fn commits(&self, after: u64) -> Result<Commits, Gone> {
        self.shared.history.follow(after)
    }

    fn watch(&self, resource: Resource, after: u64) -> Result<Events, Gone> {
        self.shared.history.watch(resource, after)
    }

    fn at(&self, revision: u64) -> Result<World, Gone> {
        // The world first: a commit published in between is then undone as well.
        let mut world = self.world();
        if revision >= world.revision() {
            return Ok(world);
        }
        let commits = self.shared.history.since(revision)?;
        let tip = world.revision();
        let undo: Vec<_> = commits
            .into_iter()
            .filter(|commit| commit.revision <= tip)
            .collect();
        for (index, commit) in undo.iter().enumerate() {
            let before = undo
                .get(index + 1)
                .map_or(revision, |earlier| earlier.revision);
            world = world.rewind(commit, before);
        }
        Ok(world)
    }
}

struct Writer<L> {
    world: World,
    log: L,
    shared: Arc<Shared>,
}

impl<L: Log> Writer<L> {
    fn run(mut self, mut queue: mpsc::Receiver<Request>) {
        let mut batch = Vec::with_capacity(BATCH);
        while queue.blocking_recv_many(&mut batch, BATCH) > 0 {
            self.batch(batch.drain(..));
        }
    }

    fn batch(&mut self, requests: impl Iterator<Item = Request>) {
        let mut world = self.world.clone();
        let (mut commits, mut waiting) = (Vec::new(), Vec::new());
        for Request { changes, answer } in requests {
            match step(&world, changes) {
                Ok(commit) => {
                    world = world.apply(&commit);
                    commits.push(commit);
                    waiting.push(answer);
                }
                // Nobody waits for an answer any more: nothing is lost by that.
                Err(error) => drop(answer.send(Err(error))),
            }
        }
        if commits.is_empty() {
            return;
        }
        if let Err(error) = self.log.append(&commits) {
            for answer in waiting {
                drop(answer.send(Err(error.again())));
            }
            return;
        }
        self.world = world.clone();
        self.shared.world.store(Arc::new(world));
        let commits: Vec<Arc<Commit>> = commits.into_iter().map(Arc::new).collect();
        self.shared.history.publish(&commits);
        for (commit, answer) in commits.into_iter().zip(waiting) {
            drop(answer.send(Ok(commit)));
        }
    }
}

/// Checks a transaction on `world` and gives it its revision.
fn step(world: &World, changes: Vec<Change>) -> Result<Commit, CommitError> {
    let revision = world.revision() + 1;
    let mut events = Vec::with_capacity(changes.len());
    for Change { key, expect, op } in changes {
        let found = world.get(&key).cloned();
        let holds = match expect {
            Expect::Any => true,
            Expect::Absent => found.is_none(),
            Expect::Revision(revision) => found.as_ref().is_some_and(|o| o.revision() == revision),
        };
        match (op, found) {
            (_, found) if !holds => return Err(CommitError::Conflict { key, found }),
            (Op::Put(draft), _) if draft.len() > MAX_OBJECT_BYTES => {
                return Err(CommitError::TooLarge {
                    key,
                    bytes: draft.len(),
                    limit: MAX_OBJECT_BYTES,
                });
            }
            (Op::Put(draft), found) => {
                let object: Arc<Object> = Arc::new(draft.seal(revision));
                events.push(Arc::new(Event::put(object, found)));
            }
            (Op::Delete, Some(found)) => events.push(Arc::new(Event::delete(found, revision))),
            (Op::Delete, None) => {}
        }
    }
    Ok(Commit { revision, events })
}
