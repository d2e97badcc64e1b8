//! Pods on this node: what is wanted and what is there become actions, and the actions are carried out.
//!
//! [`plan`] decides, purely; [`worker`] is the one task of one pod that observes, asks the plan and performs.
//! Reading order: [`spec`] → [`state`] → [`plan`] → [`status`] → [`worker`].

pub mod backoff;
pub mod create;
pub mod plan;
pub mod probes;
pub mod spec;
pub mod state;
pub mod status;
pub mod worker;
