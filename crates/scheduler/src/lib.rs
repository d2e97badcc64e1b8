//! The scheduler: gives every pending pod a node.
//!
//! The decision is a pure function over a snapshot of nodes and pods; a loop in the
//! spirit of `reconcile`'s driver feeds it and sends what it decides. Reads Pods,
//! Nodes, Namespaces, Services, workload controllers and disruption budgets;
//! writes `pods/binding`, `pods/status`, and deletes pods that it preempts.
//!
//! Invariants: no node is given more than it has; a required rule is never broken
//! by a decision; a pod that found no node waits until something happens that may
//! help it.
//!
//! Reading order: [`requests`] → `pod` → `terms` → `node` → `snapshot` → `plugins` →
//! `schedule` → `preempt` → `queue` → `wake` → `work` → `run`.

mod counts;
mod message;
mod metrics;
mod node;
mod plugins;
mod pod;
mod preempt;
mod queue;
pub mod requests;
mod run;
mod schedule;
mod services;
mod snapshot;
mod status;
mod terms;
mod wake;
mod work;

pub use counts::COUNTERS;
pub use metrics::Metrics;
pub use plugins::{Plugin, Plugins};
pub use pod::{Footprint, NotPending, SCHEDULER_NAME, Wanted};
pub use preempt::{CANDIDATES, Preemption};
pub use queue::{BACKOFF_LIMIT, BACKOFF_START};
pub use run::{COMMITS_AT_ONCE, PENDING_WRITES, STATUS_TRIES, Scheduler, USER, WRITES_AT_ONCE};
pub use schedule::{Decision, Outcome, Unschedulable, schedule};
pub use snapshot::Snapshot;
pub use work::BATCH;
