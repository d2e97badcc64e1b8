//! The loop: takes commits, decides, writes. The only part that does I/O.
//!
//! Reads the feed; writes through the client, whose identity is
//! `system:kube-scheduler`. Decisions are made between commits; bindings are
//! written side by side, up to [`WRITES_AT_ONCE`]. No more is decided while
//! [`PENDING_WRITES`] wait, so a slow server slows the scheduler and nothing piles up.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use client::{Client, ClientError, Feed, Lagged, Write, send};
use futures::future::BoxFuture;
use futures::stream::FuturesUnordered;
use futures::{FutureExt, StreamExt};
use jiff::Timestamp;
use object::time::SharedClock;
use object::{Name, Object, Reason};
use reconcile::driver::Recorder;
use reconcile::{Cx, Note, NoteType};
use smol_str::SmolStr;
use tokio::time::{Instant, sleep_until};
use world::World;

use crate::metrics::{Attempt, Metrics};
use crate::pod::SCHEDULER_NAME;
use crate::schedule::{Decision, Outcome};
use crate::status::{Said, binding, preempted, unscheduled};
use crate::work::Work;

/// Writes under way at the same time.
pub const WRITES_AT_ONCE: usize = 64;
/// Writes that may wait for their turn before deciding pauses.
pub const PENDING_WRITES: usize = 1024;
/// How often a status is made anew after a conflict.
pub const STATUS_TRIES: u32 = 3;
/// Commits taken in a row before deciding.
pub const COMMITS_AT_ONCE: usize = 1024;

/// The user whose rights the scheduler has.
pub const USER: &str = "system:kube-scheduler";

/// Everything the scheduler needs from outside.
pub struct Scheduler {
    /// Acts as [`USER`].
    pub client: Arc<dyn Client>,
    /// Where the world comes from.
    pub feed: Arc<dyn Feed>,
    /// Where events go, reported by `default-scheduler`.
    pub recorder: Arc<dyn Recorder>,
    /// Tells the time.
    pub clock: SharedClock,
    /// Draws one random number per batch.
    pub random: Arc<dyn Fn() -> u64 + Send + Sync>,
    /// Counts.
    pub metrics: Metrics,
}

/// One thing to write.
enum Job {
    Bind {
        pod: Arc<Object>,
        node: SmolStr,
    },
    Say {
        pod: Arc<Object>,
        said: Said,
        tries: u32,
    },
    Evict {
        victim: Arc<Object>,
        preemptor: Arc<Object>,
        node: SmolStr,
    },
}

type Done = (Job, Result<(), ClientError>);

impl Scheduler {
    /// Schedules until the feed ends.
    pub async fn run(self) {
        let mut commits = self.feed.commits();
        let mut work = Work::default();
        let mut jobs: VecDeque<Job> = VecDeque::new();
        let mut writes: FuturesUnordered<BoxFuture<'static, Done>> = FuturesUnordered::new();
        work.look_at_all(&self.feed.world(), self.clock.now());
        loop {
            let mut ended = false;
            for _ in 0..COMMITS_AT_ONCE {
                match commits.next().now_or_never() {
                    Some(commit) => ended |= self.commit(&mut work, commit),
                    None => break,
                }
                if ended {
                    return;
                }
            }
            let now = self.clock.now();
            if jobs.len() < PENDING_WRITES && work.queue.has_work(now) {
                self.decide(&mut work, &mut jobs, now);
            }
            while writes.len() < WRITES_AT_ONCE
                && let Some(job) = jobs.pop_front()
            {
                writes.push(self.start(job));
            }
            self.metrics.depths(work.queue.depths());
            // With no room for more writes, only a write that ends lets it go on.
            let room = jobs.len() < PENDING_WRITES;
            let more = room && work.queue.has_work(now);
            let deadline = work.queue.next_deadline().filter(|_| room);
            tokio::select! {
                // Writes first: what they say is the older news.
                biased;
                Some((job, result)) = writes.next() => self.done(&mut work, &mut jobs, job, result),
                commit = commits.next() => if self.commit(&mut work, commit) { return },
                () = wait(more, deadline, now) => {}
            }
        }
    }

    /// Takes in a commit. Gives whether the feed has ended.
    fn commit(&self, work: &mut Work, commit: Option<Result<Arc<world::Commit>, Lagged>>) -> bool {
        let (world, now) = (self.feed.world(), self.clock.now());
        match commit {
            None => return true,
            Some(Err(Lagged)) => work.look_at_all(&world, now),
            Some(Ok(commit)) => work.observe(&world, &commit, now),
        }
        false
    }

    /// Decides the next pods and queues what follows.
    fn decide(&self, work: &mut Work, jobs: &mut VecDeque<Job>, now: Timestamp) {
        let cx = Cx {
            now,
            random: (self.random)(),
        };
        for Decision { outcome, .. } in work.plan(&cx, &self.feed.world()) {
            match outcome {
                Outcome::Bind { pod, node } => jobs.push_back(Job::Bind { pod, node }),
                Outcome::NotPending(_) | Outcome::Gone => {}
                Outcome::Unreadable(pod, error) => {
                    self.metrics.attempt(Attempt::Error);
                    self.say(jobs, pod, "SchedulerError", error, None);
                }
                Outcome::Unschedulable(no) => {
                    self.metrics.attempt(Attempt::Unschedulable);
                    let pod = no.object();
                    let target = no.preemption.as_ref().map(|p| p.node.to_string());
                    let nominated = target.or(no.clear_nomination.then(String::new));
                    self.say(
                        jobs,
                        Arc::clone(pod),
                        "Unschedulable",
                        no.message.clone(),
                        nominated,
                    );
                    if let Some(preemption) = &no.preemption {
                        self.metrics.preemption();
                        jobs.extend(preemption.victims.iter().map(|victim| Job::Evict {
                            victim: Arc::clone(victim),
                            preemptor: Arc::clone(pod),
                            node: preemption.node.clone(),
                        }));
                    }
                }
            }
        }
    }

    fn say(
        &self,
        jobs: &mut VecDeque<Job>,
        pod: Arc<Object>,
        reason: &'static str,
        message: String,
        nominated: Option<String>,
    ) {
        self.note(&pod, NoteType::Warning, "FailedScheduling", message.clone());
        jobs.push_back(Job::Say {
            pod,
            said: Said {
                reason,
                message,
                nominated,
            },
            tries: 1,
        });
    }

    fn note(&self, pod: &Object, kind: NoteType, reason: &str, message: String) {
        let note = Note::new(pod, kind, reason, message);
        self.recorder.record(SCHEDULER_NAME, note);
    }

    fn start(&self, job: Job) -> BoxFuture<'static, Done> {
        let client = Arc::clone(&self.client);
        let now = self.clock.now();
        async move {
            let writes: Vec<Write> = match &job {
                Job::Bind { pod, node } => vec![binding(pod, node)],
                Job::Say { pod, said, .. } => unscheduled(pod, said, now).into_iter().collect(),
                Job::Evict { victim, .. } if victim.meta().is_deleting() => Vec::new(),
                Job::Evict { victim, .. } => {
                    let marked = preempted(victim, now).into_iter();
                    marked.chain([Write::delete(victim)]).collect()
                }
            };
            for write in writes {
                match send(&*client, &write).await {
                    Ok(_) => {}
                    // The mark on a victim is for people; the deletion counts.
                    Err(error)
                        if write.verb == client::Verb::MergePatch
                            && matches!(job, Job::Evict { .. }) =>
                    {
                        tracing::debug!(path = write.target.path(), %error, "victim not marked");
                    }
                    Err(error) => return (job, Err(error)),
                }
            }
            (job, Ok(()))
        }
        .boxed()
    }

    fn done(
        &self,
        work: &mut Work,
        jobs: &mut VecDeque<Job>,
        job: Job,
        result: Result<(), ClientError>,
    ) {
        let (world, now) = (self.feed.world(), self.clock.now());
        match (job, result) {
            (Job::Bind { pod, node }, Ok(())) => {
                self.metrics.attempt(Attempt::Scheduled);
                work.bound(&pod);
                let message = format!("Successfully assigned {} to {node}", pod.name());
                self.note(&pod, NoteType::Normal, "Scheduled", message);
            }
            (Job::Bind { pod, .. }, Err(error)) => {
                self.metrics.attempt(Attempt::Error);
                work.bind_failed(&pod, &world, now);
                let settled = [Reason::NotFound, Reason::Conflict];
                if error
                    .status()
                    .is_some_and(|status| settled.contains(&status.reason))
                {
                    // Gone, or bound by another hand: the commit that says so comes.
                    tracing::debug!(pod = %pod.name(), %error, "not bound");
                    return;
                }
                let message =
                    format!("binding rejected: running Bind plugin \"DefaultBinder\": {error}");
                let latest = world.get(&pod.key()).cloned().unwrap_or(pod);
                self.say(jobs, latest, "SchedulerError", message, None);
            }
            (Job::Say { .. }, Ok(())) => {}
            (Job::Say { pod, said, tries }, Err(error)) => {
                let job = again(work, &world, &pod, said, tries, &error);
                if job.is_none() {
                    tracing::debug!(pod = %pod.name(), %error, "status not written");
                }
                jobs.extend(job);
            }
            (
                Job::Evict {
                    victim,
                    preemptor,
                    node,
                },
                Ok(()),
            ) => {
                let uid = &preemptor.meta().uid;
                let message = format!("Preempted by pod {uid} on node {node}");
                self.note(&victim, NoteType::Normal, "Preempted", message);
            }
            (
                Job::Evict {
                    victim, preemptor, ..
                },
                Err(error),
            ) => {
                let gone = error
                    .status()
                    .is_some_and(|status| status.reason == Reason::NotFound);
                if !gone {
                    tracing::warn!(pod = %victim.name(), %error, "victim not deleted");
                    work.eviction_failed(&preemptor.name(), now);
                }
            }
        }
    }
}

/// The status once more, for the pod's latest revision, if it met a conflict and is
/// still true.
fn again(
    work: &Work,
    world: &World,
    pod: &Object,
    said: Said,
    tries: u32,
    error: &ClientError,
) -> Option<Job> {
    let conflict = error.status()?.reason == Reason::Conflict;
    let name: Name = pod.name();
    let latest = world.get(&pod.key())?;
    let newer = latest.meta().uid == pod.meta().uid && latest.revision() > pod.revision();
    let retry = conflict && newer && tries < STATUS_TRIES && work.queue.has(&name);
    retry.then(|| Job::Say {
        pod: Arc::clone(latest),
        said,
        tries: tries + 1,
    })
}

/// Ends at once when there is more to do, at `deadline`, or never.
async fn wait(more: bool, deadline: Option<Timestamp>, now: Timestamp) {
    if more {
        return tokio::task::yield_now().await;
    }
    match deadline {
        Some(deadline) => {
            let left = Duration::try_from(deadline.duration_since(now)).unwrap_or_default();
            sleep_until(Instant::now() + left).await;
        }
        None => std::future::pending().await,
    }
}
