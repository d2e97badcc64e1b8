//! A small synchronous netlink client: what kogge needs of rtnetlink, nf_tables and conntrack.
//!
//! The kernel answers these requests before `send` returns, so nothing here
//! blocks for longer than the kernel works, and no executor is involved.
//! A socket belongs for ever to the namespace of the thread that opened it.
//! Reads and writes kernel state only.

pub(crate) mod conntrack;
pub(crate) mod route;
pub(crate) mod socket;
pub(crate) mod wire;
