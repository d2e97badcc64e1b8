//! What the scheduler counts, under upstream's names.

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

use crate::pod::SCHEDULER_NAME;
use crate::queue::Depths;

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct InQueue {
    queue: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct WithResult {
    profile: &'static str,
    result: &'static str,
}

/// How an attempt to schedule a pod ended.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Attempt {
    Scheduled,
    Unschedulable,
    Error,
}

/// Metrics of the scheduler.
#[derive(Clone, Debug, Default)]
pub struct Metrics {
    pending: Family<InQueue, Gauge>,
    attempts: Family<WithResult, Counter>,
    preemptions: Counter,
}

impl Metrics {
    /// Makes and registers them.
    pub fn register(registry: &mut Registry) -> Self {
        let metrics = Self::default();
        let (pending, attempts) = (metrics.pending.clone(), metrics.attempts.clone());
        registry.register(
            "scheduler_pending_pods",
            "Pods that wait, by queue",
            pending,
        );
        registry.register(
            "scheduler_schedule_attempts",
            "Attempts to schedule, by result",
            attempts,
        );
        let preemptions = metrics.preemptions.clone();
        registry.register(
            "scheduler_preemption_attempts",
            "Preemptions begun",
            preemptions,
        );
        metrics
    }

    pub(crate) fn depths(&self, depths: Depths) {
        for (queue, depth) in [
            ("active", depths.active),
            ("backoff", depths.backoff),
            ("unschedulable", depths.unschedulable),
        ] {
            let depth = i64::try_from(depth).unwrap_or(i64::MAX);
            self.pending.get_or_create(&InQueue { queue }).set(depth);
        }
    }

    pub(crate) fn attempt(&self, attempt: Attempt) {
        let result = match attempt {
            Attempt::Scheduled => "scheduled",
            Attempt::Unschedulable => "unschedulable",
            Attempt::Error => "error",
        };
        let labels = WithResult {
            profile: SCHEDULER_NAME,
            result,
        };
        self.attempts.get_or_create(&labels).inc();
    }

    pub(crate) fn preemption(&self) {
        self.preemptions.inc();
    }
}
