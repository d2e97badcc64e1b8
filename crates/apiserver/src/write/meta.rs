//! What the server itself keeps in `metadata`, whoever writes.

use jiff::Timestamp;
use object::{Object, Status, time};
use serde_json::{Map, Value};

use super::Call;

/// Characters of a generated suffix: no vowels, so that no word is formed.
const SUFFIX: &[u8] = b"bcdfghjklmnpqrstvwxz2456789";
/// Length of a generated suffix.
const SUFFIX_LENGTH: usize = 5;
/// Longest prefix that is kept before a generated suffix.
const PREFIX_LENGTH: usize = 63 - SUFFIX_LENGTH;

/// The `metadata` of a tree, made if absent.
pub(super) fn of(value: &mut Value) -> &mut Map<String, Value> {
    if !value.is_object() {
        *value = Value::Object(Map::new());
    }
    let slot = &mut value["metadata"];
    if !slot.is_object() {
        *slot = Value::Object(Map::new());
    }
    slot.as_object_mut()
        .unwrap_or_else(|| unreachable!("it was just made an object"))
}

/// A text member, empty if absent.
pub(super) fn text<'v>(value: &'v Value, pointer: &str) -> &'v str {
    value
        .pointer(pointer)
        .and_then(Value::as_str)
        .unwrap_or_default()
}

/// Fills in what a new object gets: name, namespace, uid, creation time. Tells
/// whether the name was generated.
pub(super) fn start(value: &mut Value, call: &Call, now: Timestamp) -> Result<bool, Status> {
    if !matches!(text(value, "/metadata/resourceVersion"), "" | "0") {
        return Err(Status {
            code: 500,
            ..Status::new(
                object::Reason::Unknown,
                "resourceVersion should not be set on objects to be created",
            )
        });
    }
    let namespace = text(value, "/metadata/namespace");
    if call.spec.namespaced && !namespace.is_empty() && namespace != call.namespace {
        return Err(Status::bad_request(
            "the namespace of the provided object does not match the namespace sent on the request",
        ));
    }
    let generated = text(value, "/metadata/name").is_empty()
        && !text(value, "/metadata/generateName").is_empty();
    let prefix = text(value, "/metadata/generateName").to_owned();
    let meta = of(value);
    if generated {
        meta.insert("name".into(), generate(&prefix).into());
    }
    if call.spec.namespaced {
        meta.insert("namespace".into(), call.namespace.clone().into());
    } else {
        meta.shift_remove("namespace");
    }
    for name in [
        "deletionTimestamp",
        "deletionGracePeriodSeconds",
        "selfLink",
        "resourceVersion",
    ] {
        meta.shift_remove(name);
    }
    meta.insert("uid".into(), uuid::Uuid::new_v4().to_string().into());
    meta.insert("creationTimestamp".into(), time::rfc3339(now).into());
    Ok(generated)
}

fn generate(prefix: &str) -> String {
    let mut end = prefix.len().min(PREFIX_LENGTH);
    while !prefix.is_char_boundary(end) {
        end -= 1;
    }
    let mut name = prefix[..end].to_owned();
    for _ in 0..SUFFIX_LENGTH {
        name.push(char::from(SUFFIX[rand::random_range(0..SUFFIX.len())]));
    }
    name
}

/// Keeps in an update what only the server changes.
pub(super) fn keep(value: &mut Value, old: &Value) {
    let kept = |name: &str| old.pointer(&format!("/metadata/{name}")).cloned();
    let meta = of(value);
    for name in [
        "uid",
        "creationTimestamp",
        "deletionTimestamp",
        "deletionGracePeriodSeconds",
        "generateName",
        "generation",
    ] {
        match kept(name) {
            Some(value) => meta.insert(name.into(), value),
            None => meta.shift_remove(name),
        };
    }
    for name in ["resourceVersion", "selfLink"] {
        meta.shift_remove(name);
    }
}

/// Checks the name, uid and revision that an update's body claims. An absent
/// revision claims nothing.
pub(super) fn check_claims(value: &Value, live: &Object, call: &Call) -> Result<(), Status> {
    let name = text(value, "/metadata/name");
    if !name.is_empty() && name != call.name {
        return Err(Status::bad_request(format!(
            "the name of the object ({name}) does not match the name on the URL ({})",
            call.name
        )));
    }
    let namespace = text(value, "/metadata/namespace");
    if call.spec.namespaced && !namespace.is_empty() && namespace != call.namespace {
        return Err(Status::bad_request(
            "the namespace of the provided object does not match the namespace sent on the request",
        ));
    }
    let uid = text(value, "/metadata/uid");
    if !uid.is_empty() && uid != live.meta().uid {
        return Err(Status::conflict(
            call.resource(),
            &call.name,
            format!(
                "Precondition failed: UID in precondition: {uid}, UID in object meta: {}",
                live.meta().uid
            ),
        ));
    }
    match text(value, "/metadata/resourceVersion") {
        "" | "0" => Ok(()),
        claimed => match claimed.parse::<u64>() {
            Ok(revision) if revision == live.revision() => Ok(()),
            Ok(_) => Err(Status::stale(call.resource(), &call.name)),
            Err(_) => Err(Status {
                code: 500,
                ..Status::new(
                    object::Reason::Unknown,
                    format!(
                        "Invalid value: {claimed:?}: resourceVersion must be an unsigned integer"
                    ),
                )
            }),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn generated_names_keep_their_prefix_and_stay_short() {
        let name = generate("web-");
        assert_eq!((&name[..4], name.len()), ("web-", 9));
        assert_eq!(
            generate(&"é".repeat(60))
                .chars()
                .rev()
                .take(5)
                .filter(char::is_ascii)
                .count(),
            5
        );
        assert!(generate(&"a".repeat(300)).len() <= 63);
    }
}
