//! Deleting: grace, finalizers and what becomes of dependents.
//!
//! Source: the API concepts page ("Resource deletion") and the garbage-collection
//! page ("Cascading deletion").

use jiff::{Span, Timestamp};
use object::names::resources::{NAMESPACES, PODS};
use object::{Object, Status, time};
use serde_json::{Value, json};

use super::{Call, meta};

/// Keeps an owner until its dependents are gone.
pub(super) const FOREGROUND: &str = "foregroundDeletion";
/// Keeps an owner until its dependents are cut loose.
pub(super) const ORPHAN: &str = "orphan";

/// What becomes of dependents.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Propagation {
    /// They are deleted after the owner.
    Background,
    /// They are deleted before the owner.
    Foreground,
    /// They stay.
    Orphan,
}

/// `DeleteOptions`, as far as one object is concerned.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct DeleteOptions {
    /// Seconds of grace; the kind's default if absent.
    pub grace_seconds: Option<i64>,
    /// What becomes of dependents; by the object's finalizers if absent.
    pub propagation: Option<Propagation>,
    /// Only if the object has this uid.
    pub uid: Option<String>,
    /// Only if the object has this revision.
    pub revision: Option<String>,
}

/// What a deletion does to the object.
pub(super) enum Step {
    /// It goes now.
    Remove,
    /// It stays, marked.
    Mark(Value),
    /// It is marked already.
    Nothing,
}

pub(super) fn check(options: &DeleteOptions, live: &Object, call: &Call) -> Result<(), Status> {
    let differs = |what: &str, wanted: &str, found: &str| {
        Status::conflict(
            call.resource(),
            &call.name,
            format!(
                "Precondition failed: {what} in precondition: {wanted}, {what} in object meta: {found}"
            ),
        )
    };
    if let Some(uid) = options.uid.as_deref()
        && uid != live.meta().uid
    {
        return Err(differs("UID", uid, &live.meta().uid));
    }
    if let Some(revision) = options.revision.as_deref()
        && revision != live.revision().to_string()
    {
        return Err(differs(
            "ResourceVersion",
            revision,
            &live.revision().to_string(),
        ));
    }
    Ok(())
}

/// Decides what a deletion does.
pub(super) fn step(options: &DeleteOptions, live: &Object, now: Timestamp) -> Step {
    let mut value = live.value();
    let grace = grace_seconds(options, live, &value);
    let finalizers = finalizers(options, live);
    let namespace_held = live.resource() == NAMESPACES
        && value
            .pointer("/spec/finalizers")
            .and_then(Value::as_array)
            .is_some_and(|f| !f.is_empty());
    if grace == 0 && finalizers.is_empty() && !namespace_held {
        return Step::Remove;
    }
    let fields = meta::of(&mut value);
    if finalizers.is_empty() {
        fields.shift_remove("finalizers");
    } else {
        fields.insert("finalizers".into(), json!(finalizers));
    }
    let shorter = live
        .meta()
        .deletion_grace_seconds
        .is_none_or(|set| grace < set);
    if live.meta().deletion.is_none() {
        let generation = live.meta().generation;
        if generation > 0 {
            fields.insert("generation".into(), (generation + 1).into());
        }
    }
    if shorter {
        // The grace counts from the first request, and is only ever shortened.
        let asked = match (live.meta().deletion, live.meta().deletion_grace_seconds) {
            (Some(deadline), Some(set)) => deadline
                .checked_sub(Span::new().seconds(set))
                .unwrap_or(now),
            _ => now,
        };
        let deadline = asked.checked_add(Span::new().seconds(grace)).unwrap_or(now);
        fields.insert("deletionTimestamp".into(), time::rfc3339(deadline).into());
        fields.insert("deletionGracePeriodSeconds".into(), grace.into());
    }
    if live.resource() == NAMESPACES {
        value["status"]["phase"] = "Terminating".into();
    }
    if value == live.value() {
        Step::Nothing
    } else {
        Step::Mark(value)
    }
}

/// Longest grace that is counted with; a longer one is cut to it.
const GRACE_LIMIT_SECONDS: i64 = i32::MAX as i64;

/// Only pods that run on a node have a grace: somebody must stop them first.
fn grace_seconds(options: &DeleteOptions, live: &Object, value: &Value) -> i64 {
    let runs = live.resource() == PODS
        && !meta::text(value, "/spec/nodeName").is_empty()
        && !matches!(meta::text(value, "/status/phase"), "Succeeded" | "Failed");
    if !runs {
        return 0;
    }
    let own = value
        .pointer("/spec/terminationGracePeriodSeconds")
        .and_then(Value::as_i64);
    let wanted = options.grace_seconds.or(own).unwrap_or(30);
    // A negative grace means one second, as upstream treats it.
    let wanted = if wanted < 0 {
        1
    } else {
        wanted.min(GRACE_LIMIT_SECONDS)
    };
    live.meta()
        .deletion_grace_seconds
        .map_or(wanted, |set| wanted.min(set))
}

fn finalizers(options: &DeleteOptions, live: &Object) -> Vec<String> {
    let mut finalizers: Vec<String> = live
        .meta()
        .finalizers
        .iter()
        .map(ToString::to_string)
        .collect();
    let keep = match options.propagation {
        None => return finalizers,
        Some(Propagation::Background) => None,
        Some(Propagation::Foreground) => Some(FOREGROUND),
        Some(Propagation::Orphan) => Some(ORPHAN),
    };
    finalizers.retain(|name| ![FOREGROUND, ORPHAN].contains(&name.as_str()));
    finalizers.extend(keep.map(str::to_owned));
    finalizers
}

#[cfg(test)]
mod tests {
    use super::*;
    use object::{Draft, Resource};

    fn object(resource: Resource, value: &Value) -> Object {
        Draft::new(resource, value, |_| Box::default())
            .unwrap()
            .seal(5)
    }

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn marked(step: Step) -> Value {
        match step {
            Step::Mark(value) => value,
            Step::Remove => panic!("it was removed"),
            Step::Nothing => panic!("nothing was done"),
        }
    }

    #[test]
    fn a_running_pod_gets_its_grace_and_it_is_only_shortened() {
        let pod = json!({"metadata":{"name":"p","generation":1},"spec":{"nodeName":"n","terminationGracePeriodSeconds":20}});
        let first = marked(step(
            &DeleteOptions::default(),
            &object(PODS, &pod),
            at(1000),
        ));
        assert_eq!(first["metadata"]["deletionGracePeriodSeconds"], 20);
        assert_eq!(
            first["metadata"]["deletionTimestamp"],
            "1970-01-01T00:17:00Z"
        );
        assert_eq!(first["metadata"]["generation"], 2);

        let live = object(PODS, &first);
        let longer = DeleteOptions {
            grace_seconds: Some(60),
            ..DeleteOptions::default()
        };
        assert!(matches!(step(&longer, &live, at(1005)), Step::Nothing));
        let shorter = DeleteOptions {
            grace_seconds: Some(5),
            ..DeleteOptions::default()
        };
        let second = marked(step(&shorter, &live, at(1005)));
        assert_eq!(
            second["metadata"]["deletionTimestamp"],
            "1970-01-01T00:16:45Z"
        );
        assert_eq!(second["metadata"]["generation"], 2);
        let now = DeleteOptions {
            grace_seconds: Some(0),
            ..DeleteOptions::default()
        };
        assert!(matches!(step(&now, &live, at(1005)), Step::Remove));
    }

    #[test]
    fn what_nobody_holds_goes_at_once() {
        let pending = json!({"metadata":{"name":"p"},"spec":{"terminationGracePeriodSeconds":30}});
        assert!(matches!(
            step(&DeleteOptions::default(), &object(PODS, &pending), at(0)),
            Step::Remove
        ));
    }

    #[test]
    fn propagation_becomes_a_finalizer() {
        let set = Resource::new("apps", "replicasets");
        let value = json!({"metadata":{"name":"r","finalizers":["x/y","orphan"]}});
        for (propagation, want) in [
            (
                Some(Propagation::Foreground),
                json!(["x/y", "foregroundDeletion"]),
            ),
            (Some(Propagation::Background), json!(["x/y"])),
            (None, json!(["x/y", "orphan"])),
        ] {
            let options = DeleteOptions {
                propagation,
                ..DeleteOptions::default()
            };
            let marked = marked(step(&options, &object(set, &value), at(0)));
            assert_eq!(marked["metadata"]["finalizers"], want);
            assert_eq!(marked["metadata"]["deletionGracePeriodSeconds"], 0);
        }
    }

    #[test]
    fn a_namespace_waits_for_its_content() {
        let value = json!({"metadata":{"name":"n"},"spec":{"finalizers":["kubernetes"]},"status":{"phase":"Active"}});
        let marked = marked(step(
            &DeleteOptions::default(),
            &object(NAMESPACES, &value),
            at(0),
        ));
        assert_eq!(marked["status"]["phase"], "Terminating");
    }
}
