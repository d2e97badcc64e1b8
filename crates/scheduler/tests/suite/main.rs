//! The scheduler through its public face: decisions as tables, batches, and the
//! whole loop on a world that a test changes by hand, under virtual time.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

mod batch;
mod filters;
mod incremental;
mod lab;
mod preemption;
mod running;
mod scores;
mod topology;
