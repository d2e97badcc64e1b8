//! Controllers as pure functions, and the one driver that acts for them.
//!
//! A controller looks at a [`World`](world::World) and gives a [`Plan`]; the
//! driver sends the plan's writes through a [`Client`](client::Client), wakes
//! keys when a commit concerns them, and backs off when a write fails.
//!
//! Invariants: a controller holds no state between plans; one key is planned by
//! one task at a time; a key that fails never delays another; a key is not planned
//! again before the world has reached the revision of its own last write.
//!
//! Reading order: [`controller`] → [`plan`] → [`queue`] → [`driver`].

pub mod controller;
pub mod driver;
pub mod plan;
pub mod queue;

pub use controller::{Controller, Cx, EVERY, PlanError, Wake};
pub use driver::{Driver, Metrics};
pub use plan::{Note, NoteType, Plan, Step};
