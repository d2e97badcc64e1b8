//! Tables of writes and what they leave in `managedFields`.

use std::borrow::Cow;

use jiff::Timestamp;
use serde_json::{Value, json};

use super::*;
use crate::Shape;
use crate::shape::model::{Model, structural};

const CORE: fn() -> OneShape<'static> = || OneShape {
    shape: Shape::new(schema::types().by_api_version("v1", "ConfigMap").unwrap()),
    group: "",
};

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(1_767_000_000 + second).unwrap()
}

struct By<'a> {
    manager: &'a str,
    subresource: &'a str,
    reset: FieldSet,
    second: i64,
}

fn by(manager: &str) -> By<'_> {
    By {
        manager,
        subresource: "",
        reset: FieldSet::new(),
        second: 0,
    }
}

impl By<'_> {
    fn write<'w>(&'w self, versions: &'w dyn Versions) -> Write<'w> {
        Write {
            versions,
            api_version: "v1",
            kind: "ConfigMap",
            manager: self.manager,
            subresource: self.subresource,
            reset: &self.reset,
            now: at(self.second),
        }
    }

    fn update(&self, before: Option<&Value>, mut after: Value) -> Value {
        update(&self.write(&CORE()), before, &mut after).unwrap();
        after
    }

    fn apply(
        &self,
        live: Option<&Value>,
        applied: &Value,
        force: bool,
    ) -> Result<Value, ApplyError> {
        apply(&self.write(&CORE()), live, applied, force)
    }
}

fn config_map(data: Value) -> Value {
    json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "c", "uid": "u"}, "data": data})
}

/// Owners and what they own: `manager operation[/subresource] fields`.
fn owners(object: &Value) -> Vec<String> {
    let Some(record) = object["metadata"].get("managedFields") else {
        return Vec::new();
    };
    record
        .as_array()
        .unwrap()
        .iter()
        .map(|entry| {
            let text = |name: &str| entry[name].as_str().unwrap_or_default();
            let mut operation = text("operation").to_owned();
            if !text("subresource").is_empty() {
                operation = format!("{operation}/{}", text("subresource"));
            }
            format!("{} {operation} {}", text("manager"), entry["fieldsV1"])
        })
        .collect()
}

fn with_record(mut object: Value, record: Value) -> Value {
    object["metadata"]["managedFields"] = record;
    object
}

fn record_of(object: &Value) -> Value {
    object["metadata"]["managedFields"].clone()
}

#[test]
fn a_user_agent_names_the_manager() {
    assert_eq!(
        manager_of_user_agent("my agent (x)/2.0 y/3"),
        "my agent (x)"
    );
    assert_eq!(manager_of_user_agent("a\u{7}b"), "ab");
    assert_eq!(
        manager_of_user_agent(&"é".repeat(100)).len(),
        MAX_MANAGER_BYTES
    );
    let object = by(&manager_of_user_agent("")).update(None, config_map(json!({"a": "1"})));
    assert_eq!(
        owners(&object),
        [r#"unknown Update {"f:data":{".":{},"f:a":{}}}"#]
    );
}

#[test]
fn an_update_takes_what_it_changes_and_drops_what_is_gone() {
    let first = by("one").update(None, config_map(json!({"a": "1", "b": "1"})));
    let second = by("two").update(Some(&first), config_map(json!({"a": "2"})));
    assert_eq!(
        owners(&second),
        [
            r#"one Update {"f:data":{}}"#,
            r#"two Update {"f:data":{"f:a":{}}}"#
        ]
    );
}

#[test]
fn fields_that_the_endpoint_does_not_write_are_not_booked() {
    let writer = By {
        reset: FieldSet::of(&[&["data"]]),
        ..by("one")
    };
    let object = writer.update(None, config_map(json!({"a": "1"})));
    assert_eq!(owners(&object), [] as [&str; 0]);
}

#[test]
fn a_subresource_has_an_entry_of_its_own_and_cannot_rewrite_the_record() {
    let first = by("one").update(None, config_map(json!({"a": "1"})));
    let writer = By {
        subresource: "status",
        ..by("one")
    };
    let sent = with_record(config_map(json!({"a": "1", "b": "2"})), json!([{}]));
    assert_eq!(
        owners(&writer.update(Some(&first), sent)),
        [
            r#"one Update {"f:data":{".":{},"f:a":{}}}"#,
            r#"one Update/status {"f:data":{"f:b":{}}}"#
        ]
    );
}

#[test]
fn a_record_that_is_sent_counts_unless_it_is_garbled() {
    let first = by("one").update(None, config_map(json!({"a": "1"})));
    let mut renamed = record_of(&first);
    renamed[0]["manager"] = "new".into();
    let kept = owners(&first);
    let rows = [
        (
            renamed,
            vec![r#"new Update {"f:data":{".":{},"f:a":{}}}"#.to_owned()],
        ),
        (json!([]), vec![]),
        (json!([{}]), vec![]),
        (json!(null), kept.clone()),
        (
            json!([{"manager": "x", "operation": "Steal"}]),
            kept.clone(),
        ),
        (json!("text"), kept.clone()),
        (
            json!([{"manager": "x", "operation": "Apply", "apiVersion": "v1", "fieldsType": "FieldsV1",
            "fieldsV1": {"broken": {}}}]),
            kept,
        ),
    ];
    for (record, want) in rows {
        let sent = with_record(config_map(json!({"a": "1"})), record.clone());
        assert_eq!(
            owners(&by("two").update(Some(&first), sent)),
            want,
            "{record}"
        );
    }
}

#[test]
fn an_object_without_record_gets_none_by_an_update() {
    let live = config_map(json!({"a": "1"}));
    assert_eq!(
        owners(&by("two").update(Some(&live), config_map(json!({"a": "2"})))),
        [] as [&str; 0]
    );
}

#[test]
fn entries_of_versions_that_are_gone_are_dropped() {
    let record = json!([{"manager": "x", "operation": "Apply", "apiVersion": "extinct/v1",
        "fieldsType": "FieldsV1", "fieldsV1": {"f:data": {"f:a": {}}}}]);
    let live = with_record(config_map(json!({"a": "1"})), record.clone());
    let next = by("two").update(
        Some(&live),
        with_record(config_map(json!({"a": "1", "b": "2"})), record),
    );
    assert_eq!(owners(&next), [r#"two Update {"f:data":{"f:b":{}}}"#]);
}

#[test]
fn the_oldest_updaters_become_one() {
    let mut live = by("0").update(None, config_map(json!({"0": "x"})));
    for n in 1..14 {
        let (name, mut data) = (n.to_string(), live["data"].clone());
        data[&name] = "x".into();
        let writer = By {
            second: n,
            ..by(&name)
        };
        live = writer.update(Some(&live), config_map(data));
    }
    let owners = owners(&live);
    assert_eq!(owners.len(), MAX_UPDATE_MANAGERS);
    assert_eq!(
        owners[0],
        r#"ancient-changes Update {"f:data":{".":{},"f:0":{},"f:1":{},"f:2":{},"f:3":{},"f:4":{}}}"#
    );
    assert_eq!(record_of(&live)[0]["time"], object::time::rfc3339(at(4)));
}

#[test]
fn merging_updaters_loses_no_field() {
    // The bucket exists, in the middle of the others.
    let entries: Vec<Value> = (0..14)
        .map(|n| {
            let manager = if n == 3 { "ancient-changes".to_owned() } else { n.to_string() };
            json!({"manager": manager, "operation": "Update", "apiVersion": "v1", "time": object::time::rfc3339(at(n)),
                "fieldsType": "FieldsV1", "fieldsV1": {"f:data": {format!("f:{n}"): {}}}})
        })
        .collect();
    let data: Value = (0..14)
        .map(|n| (n.to_string(), Value::from("x")))
        .collect::<serde_json::Map<_, _>>()
        .into();
    let live = with_record(config_map(data.clone()), entries.into());
    let mut next = live.clone();
    next["data"]["13"] = "y".into();
    let next = by("13").update(Some(&live), next);
    let record = ManagedFields::parse(&record_of(&next)).unwrap();
    assert!(record.entries().len() <= MAX_UPDATE_MANAGERS);
    let owned = record
        .entries()
        .iter()
        .fold(FieldSet::new(), |set, entry| set.union(entry.fields()));
    assert_eq!(owned.len(), 14);
}

#[test]
fn what_cannot_be_compared_keeps_the_old_record() {
    let first = by("one").update(None, config_map(json!({"a": "1"})));
    let mut after = config_map(json!({"a": "1"}));
    after["zebra"] = 1.into();
    assert!(update(&by("two").write(&CORE()), Some(&first), &mut after).is_err());
    assert_eq!(record_of(&after), record_of(&first));
}

#[test]
fn client_side_applies_of_kubectl_are_taken_over_without_conflict() {
    let annotation = |data: &str| {
        format!(
            "{{\"apiVersion\":\"v1\",\"data\":{data},\"kind\":\"ConfigMap\",\"metadata\":{{\"name\":\"c\"}}}}\n"
        )
    };
    let mut created = config_map(json!({"a": "1", "b": "2"}));
    created["metadata"]["annotations"] = json!({"kubectl.kubernetes.io/last-applied-configuration": annotation(r#"{"a":"1","b":"2"}"#)});
    let live = by("kubectl-client-side-apply").update(None, created);
    let applied = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "c"}, "data": {"a": "9"}});
    assert!(matches!(
        by("other").apply(Some(&live), &applied, false),
        Err(ApplyError::Conflicts(_))
    ));
    let next = by("kubectl").apply(Some(&live), &applied, false).unwrap();
    assert_eq!(next["data"], json!({"a": "9", "b": "2"}));
    assert_eq!(
        next["metadata"]["annotations"]["kubectl.kubernetes.io/last-applied-configuration"],
        annotation(r#"{"a":"9"}"#)
    );
    // What somebody else changed since is a conflict all the same.
    let changed = by("other").update(Some(&live), {
        let mut object = live.clone();
        object["data"]["a"] = "5".into();
        object
    });
    assert!(matches!(
        by("kubectl").apply(Some(&changed), &applied, false),
        Err(ApplyError::Conflicts(_))
    ));
}

#[test]
fn what_nobody_owns_stays_when_its_neighbours_go() {
    let versions = OneShape {
        shape: Shape::new(schema::types().by_api_version("v1", "Pod").unwrap()),
        group: "",
    };
    let one = by("one");
    let write = Write {
        kind: "Pod",
        ..one.write(&versions)
    };
    let pod = |spec: Value| json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p"}, "spec": spec});
    let mut live = apply(
        &write,
        None,
        &pod(json!({"activeDeadlineSeconds": 5, "securityContext": {"runAsUser": 1}})),
        false,
    )
    .unwrap();
    // Filled in by the server: owned by nobody.
    live["spec"]["dnsPolicy"] = "ClusterFirst".into();
    live["spec"]["securityContext"]["fsGroup"] = 7.into();
    live["metadata"]["uid"] = "u".into();
    let next = apply(&write, Some(&live), &pod(json!({})), false).unwrap();
    // A struct goes with what was defaulted inside it, as a probe would.
    assert_eq!(next["spec"], json!({"dnsPolicy": "ClusterFirst"}));
}

#[test]
fn conflicts_are_told_by_owner() {
    let first = by("one")
        .apply(None, &config_map(json!({"a": "1", "b": "1"})), false)
        .unwrap();
    let second = by("two").update(Some(&first), {
        let mut object = first.clone();
        object["data"]["b"] = "2".into();
        object["data"]["c"] = "2".into();
        object
    });
    let error = by("three")
        .apply(
            Some(&second),
            &config_map(json!({"a": "3", "b": "3", "c": "3"})),
            false,
        )
        .unwrap_err();
    assert_eq!(
        error.to_string(),
        "Apply failed with 3 conflicts: conflicts with \"one\":\n- .data.a\nconflicts with \"two\" using v1:\n- .data.b\n- .data.c"
    );
    assert_eq!(
        (error.code(), error.reason()),
        (409, object::Reason::Conflict)
    );
}

/// Two versions of a kind: the second calls `spec.a` `spec.b`.
struct Renamed(Model);

impl Renamed {
    fn new() -> Self {
        let version = |name: &str| {
            structural(&json!({"type": "object", "properties": {
                "apiVersion": {"type": "string"}, "kind": {"type": "string"}, "metadata": {"is": "ObjectMeta"},
                "spec": {"type": "object", "properties": {name: {"type": "string"}, "other": {"type": "string"}}}}}))
        };
        let mut model = Model::default();
        model.types.insert("v1".into(), version("a"));
        model.types.insert("v2".into(), version("b"));
        Self(model)
    }
}

impl Versions for Renamed {
    fn shape(&self, api_version: &str) -> Option<Shape<'_>> {
        let version = api_version.strip_prefix("x.dev/")?;
        self.0
            .types
            .contains_key(version)
            .then(|| self.0.named(version))
    }

    fn convert<'o>(
        &self,
        object: &'o Value,
        from: &str,
        to: &str,
    ) -> Result<Cow<'o, Value>, String> {
        if from == to {
            return Ok(Cow::Borrowed(object));
        }
        let (from, to_field) = if from == "x.dev/v1" {
            ("a", "b")
        } else {
            ("b", "a")
        };
        let mut object = object.clone();
        object["apiVersion"] = to.into();
        if let Some(spec) = object.get_mut("spec").and_then(Value::as_object_mut)
            && let Some(value) = spec.shift_remove(from)
        {
            spec.insert(to_field.into(), value);
        }
        Ok(Cow::Owned(object))
    }
}

#[test]
fn ownership_is_compared_in_the_version_it_was_written_in() {
    let versions = Renamed::new();
    let reset = FieldSet::new();
    let write = |api_version: &'static str, manager: &'static str| Write {
        versions: &versions,
        api_version,
        kind: "Thing",
        manager,
        subresource: "",
        reset: &reset,
        now: at(0),
    };
    let thing = |version: &str, spec: Value| json!({"apiVersion": version, "kind": "Thing", "metadata": {"name": "t"}, "spec": spec});
    let live = apply(
        &write("x.dev/v1", "one"),
        None,
        &thing("x.dev/v1", json!({"a": "1", "other": "1"})),
        false,
    )
    .unwrap();
    let mut live = versions
        .convert(&live, "x.dev/v1", "x.dev/v2")
        .unwrap()
        .into_owned();
    live["metadata"]["uid"] = "u".into();
    let error = apply(
        &write("x.dev/v2", "two"),
        Some(&live),
        &thing("x.dev/v2", json!({"b": "2"})),
        false,
    )
    .unwrap_err();
    assert_eq!(
        error.to_string(),
        "Apply failed with 1 conflict: conflict with \"one\": .spec.a"
    );
    // The first goes on in the new version and gives a field up.
    let next = apply(
        &write("x.dev/v2", "one"),
        Some(&live),
        &thing("x.dev/v2", json!({"b": "1"})),
        false,
    )
    .unwrap();
    assert_eq!(next["spec"], json!({"b": "1"}));
    assert_eq!(owners(&next), [r#"one Apply {"f:spec":{"f:b":{}}}"#]);
}

#[test]
fn what_was_granular_and_is_atomic_now_is_owned_whole() {
    let schema = |map_type: &str| {
        let mut model = Model::default();
        model.types.insert("v1".into(), structural(&json!({"type": "object", "properties": {
            "apiVersion": {"type": "string"}, "kind": {"type": "string"}, "metadata": {"is": "ObjectMeta"},
            "spec": {"type": "object", "x-kubernetes-map-type": map_type,
                "properties": {"a": {"type": "string"}, "b": {"type": "string"}}}}})));
        model
    };
    let (granular, atomic) = (schema("granular"), schema("atomic"));
    let reset = FieldSet::new();
    let thing = |spec: Value| json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "t", "uid": "u"}, "spec": spec});
    let run = |model: &Model, manager: &str, live: Option<&Value>, spec: Value, force: bool| {
        let versions = OneShape {
            shape: model.named("v1"),
            group: "",
        };
        let write = Write {
            versions: &versions,
            api_version: "v1",
            kind: "ConfigMap",
            manager,
            subresource: "",
            reset: &reset,
            now: at(0),
        };
        apply(&write, live, &thing(spec), force)
    };
    let live = run(&granular, "one", None, json!({"a": "1"}), false).unwrap();
    let error = run(&atomic, "two", Some(&live), json!({"b": "1"}), false).unwrap_err();
    assert_eq!(
        error.to_string(),
        "Apply failed with 1 conflict: conflict with \"one\": .spec"
    );
    let versions = OneShape {
        shape: atomic.named("v1"),
        group: "",
    };
    let write = Write {
        versions: &versions,
        api_version: "v1",
        kind: "ConfigMap",
        manager: "two",
        subresource: "",
        reset: &reset,
        now: at(0),
    };
    let mut after = with_record(thing(json!({"a": "2"})), record_of(&live));
    update(&write, Some(&live), &mut after).unwrap();
    assert_eq!(owners(&after), [r#"two Update {"f:spec":{}}"#]);
}

#[test]
fn a_huge_map_in_the_worst_order_is_booked_in_reasonable_time() {
    let data = |value: &str| -> Value {
        (0..60_000)
            .rev()
            .map(|n| (format!("{n:06}"), Value::from(value)))
            .collect::<serde_json::Map<_, _>>()
            .into()
    };
    let first = by("one").update(None, config_map(data("1")));
    let second = by("two").update(Some(&first), config_map(data("2")));
    assert_eq!(owners(&second)[0], r#"one Update {"f:data":{}}"#);
    let applied = by("three")
        .apply(Some(&second), &config_map(data("3")), true)
        .unwrap();
    let last = by("three")
        .apply(Some(&applied), &config_map(json!({"000001": "3"})), false)
        .unwrap();
    assert_eq!(last["data"], json!({"000001": "3"}));
}
