//! The node agent: turns the Pods of one node into containers, and tells the API server about it.
//!
//! Reads the world through [`client::Feed`], acts through [`runtime`], [`image`] and [`net`], writes through
//! [`client::Client`]. Deciding is pure ([`pods::plan`], [`services`], [`zone`], [`volumes::payload`]); tasks observe,
//! ask, and carry out.
//!
//! Invariants: what runs is found again from the runtime's labels after a restart of the agent; every task, queue and
//! retry has a named limit; a Pod's secrets stay in files of mode 0600 below the agent's directory and out of logs.

pub mod api;
pub mod env;
pub mod events;
pub mod files;
pub mod images;
pub mod links;
pub mod options;
pub mod pods;
pub mod resources;
pub mod volumes;
