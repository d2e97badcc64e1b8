//! The built-in controllers: one file each, pure plans on the world.
//!
//! Each file has a `CONTROLLER`, constant data for the driver of `reconcile`;
//! [`all`] lists them. Adding one is a file and a line.
//!
//! Invariants: no I/O, no clock, no state between plans; a controller touches
//! only what it owns or what its doc names.

mod pods;
#[cfg(test)]
mod scene;

pub mod deployment;
pub mod endpoints;
pub mod event_ttl;
pub mod garbage;
pub mod job;
pub mod namespace;
pub mod pod_gc;
pub mod replica_set;
pub mod root_ca;
pub mod service_account;

use reconcile::Controller;

/// Every controller of the control plane.
pub fn all() -> &'static [Controller] {
    const ALL: &[Controller] = &[
        deployment::CONTROLLER,
        endpoints::SLICES,
        endpoints::LEGACY,
        event_ttl::CONTROLLER,
        garbage::CONTROLLER,
        job::CONTROLLER,
        job::TTL,
        namespace::CONTROLLER,
        pod_gc::CONTROLLER,
        replica_set::CONTROLLER,
        root_ca::CONTROLLER,
        service_account::CONTROLLER,
    ];
    ALL
}
