//! The node agent: turns the Pods of one node into containers, and tells the API server about it.
//!
//! Reads the world through [`client::Feed`], acts through [`runtime`], [`image`] and [`net`], writes through
//! [`client::Client`]. Deciding is pure ([`pods::plan`], [`services`], [`volumes::payload`]); tasks observe,
//! ask, and carry out.
//!
//! Invariants: what runs is found again from the runtime's labels after a restart of the agent; every task, queue and
//! retry has a named limit; a Pod's secrets stay in files of mode 0600 below the agent's directory and out of logs.

pub mod agent;
pub mod api;
pub mod env;
pub mod events;
pub mod files;
pub mod handler;
pub mod images;
pub mod kubelet;
pub mod links;
pub mod logs;
pub mod machine;
pub mod options;
pub mod pods;
pub mod registration;
pub mod resources;
pub mod services;
pub mod volumes;

pub use agent::{Agent, AgentError, Parts};
pub use options::Options;
