//! Event TTL: events go an hour after they last happened.
//!
//! Reads and deletes Event. Invariant: deletes no event before [`TTL`] has passed
//! since its last write that can be told from the object.

use client::Write;
use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::core::v1::Event;
use object::Key;
use object::names::resources::EVENTS;
use reconcile::{Controller, Cx, Plan, PlanError};
use world::World;

/// How long an event is kept, as upstream keeps it.
pub const TTL: SignedDuration = SignedDuration::from_hours(1);

/// The controller.
pub const CONTROLLER: Controller = Controller {
    name: "event-ttl",
    account: "namespace-controller",
    reconciles: EVENTS,
    wakes_on: &[],
    plan,
};

fn plan(cx: &Cx, world: &World, key: &Key) -> Result<Plan, PlanError> {
    let mut plan = Plan::default();
    let Some(object) = world.get(key) else {
        return Ok(plan);
    };
    let event = object.view::<Event>()?;
    let series = event.series.as_ref();
    let times: [Option<Timestamp>; 4] = [
        object.meta().created,
        event.last_timestamp.as_ref().map(|time| time.0),
        event.event_time.as_ref().map(|time| time.0),
        series.and_then(|series| series.last_observed_time.as_ref().map(|time| time.0)),
    ];
    // An event may claim a future time; it is not kept the longer for it.
    let last = times
        .into_iter()
        .flatten()
        .filter(|time| *time <= cx.now)
        .max();
    let due = last.and_then(|last| last.checked_add(TTL).ok());
    match due {
        Some(due) if due > cx.now => plan.requeue_at(Some(due)),
        _ => {
            plan.write(Write::delete(object));
        }
    }
    Ok(plan)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scene;
    use serde_json::json;

    #[test]
    fn an_event_goes_an_hour_after_it_last_happened() {
        let rows = [
            ("2026-01-01T11:30:00Z", "2026-01-01T11:30:00Z", false),
            ("2026-01-01T10:00:00Z", "2026-01-01T11:30:00Z", false),
            ("2026-01-01T10:00:00Z", "2026-01-01T11:00:00Z", true),
            ("2026-01-01T10:00:00Z", "2027-01-01T00:00:00Z", true),
        ];
        for (created, last, gone) in rows {
            let event = json!({"apiVersion":"v1","kind":"Event","metadata":{"name":"e","namespace":"n","creationTimestamp":created},
                "involvedObject":{},"lastTimestamp":last});
            let world = scene::world(&[(EVENTS, event)]);
            let plan = scene::plan(&CONTROLLER, &world, EVENTS, "n", "e");
            assert_eq!(plan.steps().count() == 1, gone, "{created} {last}");
            assert_eq!(plan.requeue_at.is_some(), !gone);
        }
    }
}
