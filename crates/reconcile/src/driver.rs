//! The driver: the only part that writes on a controller's behalf.
//!
//! Reads the feed of commits, keeps a queue per controller, plans on the latest
//! world and sends the plan's writes. One task per controller; each key in hand is
//! a task of its own, so a slow write delays only its key.

use std::sync::Arc;

use client::{Client, ClientError, Feed, Lagged, Write, send};
use futures::StreamExt;
use futures::stream::FuturesUnordered;
use object::time::SharedClock;
use object::{Key, Reason};
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until};
use world::World;

use crate::controller::{Controller, Cx, Wake};
use crate::plan::{Note, Plan, Step};
use crate::queue::Queue;

/// Keys of one controller that are planned and written at the same time.
pub const KEYS_AT_ONCE: usize = 16;
/// Writes of one stage that are under way at the same time.
pub const WRITES_AT_ONCE: usize = 64;

/// Label of the per-controller metrics, under upstream's name.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Labels {
    name: &'static str,
}

/// Metrics of all controllers, named as client-go's work queue names them.
#[derive(Clone, Debug, Default)]
pub struct Metrics {
    depth: Family<Labels, Gauge>,
    adds: Family<Labels, Counter>,
    retries: Family<Labels, Counter>,
}

impl Metrics {
    /// Makes and registers them.
    pub fn register(registry: &mut Registry) -> Self {
        let metrics = Self::default();
        registry.register("workqueue_depth", "Keys waiting", metrics.depth.clone());
        registry.register("workqueue_adds", "Keys woken", metrics.adds.clone());
        registry.register("workqueue_retries", "Keys retried", metrics.retries.clone());
        metrics
    }
}

/// Records the events that plans ask for.
pub trait Recorder: Send + Sync + 'static {
    /// Records `note` in the name of `controller`. Must not block; a recorder with
    /// a full queue drops the note.
    fn record(&self, controller: &'static str, note: Note);
}

/// Gives the client that acts as a controller's service account.
pub type ClientFor = Arc<dyn Fn(&Controller) -> Arc<dyn Client> + Send + Sync>;

/// Runs controllers.
#[derive(Clone)]
pub struct Driver {
    /// Gives the client that acts as the controller's service account.
    pub client: ClientFor,
    /// Where the world comes from.
    pub feed: Arc<dyn Feed>,
    /// Where events go.
    pub recorder: Arc<dyn Recorder>,
    /// Tells the time.
    pub clock: SharedClock,
    /// Draws one random number per plan.
    pub random: Arc<dyn Fn() -> u64 + Send + Sync>,
    /// Counts.
    pub metrics: Metrics,
}

/// How one key went.
struct Outcome {
    key: Key,
    failed: bool,
    written_revision: u64,
    plan_at: Option<Instant>,
    also: Vec<Key>,
}

impl Driver {
    /// Runs one controller until the feed ends.
    pub async fn run(self, controller: Controller) {
        let mut commits = self.feed.commits();
        let labels = Labels {
            name: controller.name,
        };
        let (adds, depth) = (
            self.metrics.adds.get_or_create_owned(&labels),
            self.metrics.depth.get_or_create_owned(&labels),
        );
        let retries = self.metrics.retries.get_or_create_owned(&labels);
        let client = (self.client)(&controller);
        let mut queue = Queue::default();
        let mut tasks: JoinSet<Outcome> = JoinSet::new();
        let mut keys: std::collections::HashMap<tokio::task::Id, Key> = Default::default();
        let mut floor: std::collections::HashMap<Key, u64> = Default::default();
        wake_all(&controller, &self.feed.world(), &mut queue);
        loop {
            let world = self.feed.world();
            while tasks.len() < KEYS_AT_ONCE
                && let Some(key) = queue.take()
            {
                if floor
                    .get(&key)
                    .is_some_and(|revision| *revision > world.revision())
                {
                    // Its own write is not in this world: wait for the commit that
                    // brings it, which wakes the key.
                    queue.finish(&key, Instant::now(), false);
                    queue.wake_at(key, Instant::now() + crate::queue::BACKOFF_START);
                    continue;
                }
                floor.remove(&key);
                let task =
                    self.clone()
                        .one(controller, Arc::clone(&client), world.clone(), key.clone());
                keys.insert(tasks.spawn(task).id(), key);
            }
            depth.set(i64::try_from(queue.depth()).unwrap_or(i64::MAX));
            let deadline = queue.next_deadline();
            tokio::select! {
                commit = commits.next() => match commit {
                    None => break,
                    Some(Err(Lagged)) => wake_all(&controller, &self.feed.world(), &mut queue),
                    Some(Ok(commit)) => {
                        let world = self.feed.world();
                        for key in commit.events.iter().flat_map(|event| controller.woken_by(&world, event)) {
                            adds.inc();
                            queue.wake(key);
                        }
                    }
                },
                Some(joined) = tasks.join_next_with_id() => {
                    let now = Instant::now();
                    match joined {
                        Ok((id, outcome)) => {
                            keys.remove(&id);
                            if outcome.failed { retries.inc(); }
                            if outcome.written_revision > 0 {
                                floor.insert(outcome.key.clone(), outcome.written_revision);
                            }
                            queue.finish(&outcome.key, now, outcome.failed);
                            if let Some(when) = outcome.plan_at { queue.wake_at(outcome.key, when); }
                            outcome.also.into_iter().for_each(|key| queue.wake(key));
                        }
                        Err(error) => if let Some(key) = keys.remove(&error.id()) {
                            tracing::error!(controller = controller.name, %key, %error, "plan panicked");
                            retries.inc();
                            queue.finish(&key, now, true);
                        }
                    }
                },
                () = async {
                    match deadline {
                        Some(when) => sleep_until(when).await,
                        None => std::future::pending().await,
                    }
                } => queue.advance(Instant::now()),
            }
        }
        tasks.shutdown().await;
    }

    /// Plans one key and does what the plan says.
    async fn one(
        self,
        controller: Controller,
        client: Arc<dyn Client>,
        world: World,
        key: Key,
    ) -> Outcome {
        let now = self.clock.now();
        let cx = Cx {
            now,
            random: (self.random)(),
        };
        let mut outcome = Outcome {
            key,
            failed: false,
            written_revision: 0,
            plan_at: None,
            also: Vec::new(),
        };
        let plan = match (controller.plan)(&cx, &world, &outcome.key) {
            Ok(plan) => plan,
            Err(error) => {
                tracing::warn!(controller = controller.name, key = %outcome.key, %error, "plan failed");
                outcome.failed = true;
                return outcome;
            }
        };
        let Plan {
            stages,
            notes,
            requeue_at,
            also,
            if_failed,
        } = plan;
        for stage in stages {
            let (revision, failed) = self.stage(controller.name, &*client, stage).await;
            outcome.written_revision = outcome.written_revision.max(revision);
            if let Some(error) = failed {
                if let Some(mut write) = if_failed {
                    fill(&mut write.body, &error);
                    match send(&*client, &write).await {
                        Ok(body) => {
                            outcome.written_revision =
                                outcome.written_revision.max(revision_of(&body));
                        }
                        // The key is planned again, and would say it again.
                        Err(error) => tracing::debug!(
                            controller = controller.name,
                            path = write.target.path(),
                            %error,
                            "failure could not be told"
                        ),
                    }
                }
                outcome.failed = true;
                return outcome;
            }
        }
        for note in notes {
            self.recorder.record(controller.name, note);
        }
        outcome.plan_at = requeue_at.map(|time| {
            let wait = std::time::Duration::try_from(time.duration_since(now)).unwrap_or_default();
            Instant::now() + wait
        });
        outcome.also = also;
        outcome
    }

    /// Sends the writes of a stage. Gives the highest revision written, and the
    /// message of the first write that failed.
    async fn stage(
        &self,
        name: &'static str,
        client: &dyn Client,
        stage: Vec<Step>,
    ) -> (u64, Option<String>) {
        let mut pending = stage.into_iter();
        let mut under_way = FuturesUnordered::new();
        let (mut revision, mut failed) = (0, None);
        loop {
            while under_way.len() < WRITES_AT_ONCE
                && let Some(step) = pending.next()
            {
                under_way.push(async move { (send(client, &step.write).await, step) });
            }
            let Some((result, step)) = under_way.next().await else {
                break;
            };
            match result {
                Ok(body) => {
                    revision = revision.max(revision_of(&body));
                    if let Some(note) = step.on_success {
                        self.recorder
                            .record(name, filled(note, "{name}", name_of(&body)));
                    }
                }
                Err(error) if is_settled(&step.write, &error) => {}
                Err(error) => {
                    failed.get_or_insert_with(|| error.to_string());
                    tracing::debug!(controller = name, path = step.write.target.path(), %error, "write failed");
                    if let Some(note) = step.on_failure {
                        self.recorder
                            .record(name, filled(note, "{error}", &error.to_string()));
                    }
                }
            }
        }
        (revision, failed)
    }
}

/// A deletion of what is gone already has reached its end.
fn is_settled(write: &Write, error: &ClientError) -> bool {
    write.verb == client::Verb::Delete
        && error
            .status()
            .is_some_and(|status| status.reason == Reason::NotFound)
}

fn wake_all(controller: &Controller, world: &World, queue: &mut Queue) {
    for object in world.list(controller.reconciles) {
        queue.wake(object.key());
    }
    for wake in controller.wakes_on {
        if let Wake::Every(keys_of) = wake {
            let objects = world.tables().flat_map(|(_, table)| table.iter());
            objects
                .flat_map(|object| keys_of(world, object))
                .for_each(|key| queue.wake(key));
        }
    }
}

/// Puts the message into every text of `body` that has its mark.
fn fill(body: &mut serde_json::Value, error: &str) {
    use serde_json::Value;
    match body {
        Value::String(text) if text == "{error}" => error.clone_into(text),
        Value::Array(items) => items.iter_mut().for_each(|item| fill(item, error)),
        Value::Object(members) => members.values_mut().for_each(|member| fill(member, error)),
        _ => {}
    }
}

fn filled(mut note: Note, mark: &str, with: &str) -> Note {
    note.message = note.message.replace(mark, with);
    note
}

fn revision_of(body: &serde_json::Value) -> u64 {
    let text = body
        .pointer("/metadata/resourceVersion")
        .and_then(serde_json::Value::as_str);
    text.and_then(|text| text.parse().ok()).unwrap_or(0)
}

fn name_of(body: &serde_json::Value) -> &str {
    body.pointer("/metadata/name")
        .and_then(serde_json::Value::as_str)
        .unwrap_or_default()
}
