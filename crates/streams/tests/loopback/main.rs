//! Every protocol over real sockets on loopback: clients of this crate against
//! servers of this crate, and peers that misbehave.
#![expect(clippy::unwrap_used, reason = "a test may panic")]

mod command;
mod forward;
mod hostile;
mod server;
