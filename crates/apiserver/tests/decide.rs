//! The write path on a world in memory: create, update, patch, apply, delete.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

use std::sync::Arc;

use apiserver::write::{Call, DeleteOptions, FieldValidation, Intent, PatchKind, decide};
use jiff::Timestamp;
use object::{Object, Reason, Status};
use serde_json::{Value, json};
use store::Op;
use world::{Commit, Event, World};

/// A world that decisions are committed to, without a store.
struct Lab {
    world: World,
}

impl Lab {
    fn new() -> Self {
        let mut lab = Self {
            world: World::new(&[]),
        };
        let call = lab.call("", "v1", "namespaces", "", "");
        lab.write(&call, &create(&json!({"metadata":{"name":"n"}})))
            .unwrap();
        lab
    }

    fn call(&self, group: &str, version: &str, plural: &str, namespace: &str, name: &str) -> Call {
        Call {
            spec: kinds::find(group, version, plural).unwrap(),
            namespace: namespace.into(),
            name: name.into(),
            subresource: String::new(),
            manager: "test".into(),
            dry_run: false,
            validation: FieldValidation::Strict,
        }
    }

    fn config_map(&self, name: &str) -> Call {
        self.call("", "v1", "configmaps", "n", name)
    }

    /// Decides and commits; gives the object, or `None` when it is gone.
    fn write(&mut self, call: &Call, intent: &Intent) -> Result<Option<Value>, Status> {
        let now = Timestamp::from_second(1_800_000_000).unwrap();
        let decision = decide(&self.world, call, intent, now)?;
        let revision = self.world.revision() + 1;
        let event = match decision.op {
            None => return Ok(decision.live.map(|live| live.value())),
            Some(Op::Put(draft)) => Event::put(Arc::new(draft.seal(revision)), decision.live),
            Some(Op::Delete) => Event::delete(decision.live.unwrap(), revision),
        };
        let object: Option<Arc<Object>> = event.new_state().cloned();
        self.world = self.world.apply(&Commit {
            revision,
            events: vec![Arc::new(event)],
        });
        Ok(object.map(|object| object.value()))
    }
}

fn create(body: &Value) -> Intent {
    Intent::Create(body.to_string().into())
}

fn update(body: &Value) -> Intent {
    Intent::Update(body.to_string().into())
}

#[test]
fn a_created_object_has_what_the_server_fills_in_and_cannot_be_created_twice() {
    let mut lab = Lab::new();
    let call = lab.config_map("");
    let body =
        json!({"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"c"},"data":{"a":"1"}});
    let made = lab.write(&call, &create(&body)).unwrap().unwrap();
    assert_eq!(made["metadata"]["namespace"], "n");
    assert_eq!(
        made["metadata"]["creationTimestamp"],
        "2027-01-15T08:00:00Z"
    );
    assert_eq!(made["metadata"]["uid"].as_str().unwrap().len(), 36);
    assert_eq!(made["metadata"]["resourceVersion"], "2");
    assert_eq!(made["metadata"]["managedFields"][0]["manager"], "test");
    let error = lab.write(&call, &create(&body)).unwrap_err();
    assert_eq!(error.message, "configmaps \"c\" already exists");
    let missing = lab.call("", "v1", "configmaps", "nowhere", "");
    assert_eq!(
        lab.write(&missing, &create(&body)).unwrap_err().reason,
        Reason::NotFound
    );
}

#[test]
fn unknown_fields_are_refused_under_strict_and_told_under_warn() {
    let mut lab = Lab::new();
    let mut call = lab.config_map("");
    let body = create(&json!({"metadata":{"name":"c"},"dta":{}}));
    let error = lab.write(&call, &body).unwrap_err();
    assert!(
        error.message.contains("unknown field \"dta\""),
        "{}",
        error.message
    );
    call.validation = FieldValidation::Warn;
    let decision = decide(&lab.world, &call, &body, Timestamp::UNIX_EPOCH).unwrap();
    assert_eq!(decision.warnings, ["unknown field \"dta\""]);
}

#[test]
fn a_stale_update_loses_and_an_equal_one_keeps_the_revision() {
    let mut lab = Lab::new();
    let made = lab
        .write(
            &lab.config_map(""),
            &create(&json!({"metadata":{"name":"c"},"data":{"a":"1"}})),
        )
        .unwrap()
        .unwrap();
    let call = lab.config_map("c");
    let same = lab.write(&call, &update(&made)).unwrap().unwrap();
    assert_eq!(
        same["metadata"]["resourceVersion"],
        made["metadata"]["resourceVersion"]
    );

    let mut changed = made.clone();
    changed["data"]["a"] = "2".into();
    lab.write(&call, &update(&changed)).unwrap();
    let error = lab.write(&call, &update(&changed)).unwrap_err();
    assert_eq!((error.code, error.reason), (409, Reason::Conflict));
    assert!(
        error.message.contains("the object has been modified"),
        "{}",
        error.message
    );
}

#[test]
fn patches_of_every_kind_change_the_object() {
    let mut lab = Lab::new();
    lab.write(
        &lab.config_map(""),
        &create(&json!({"metadata":{"name":"c"},"data":{"a":"1","b":"1"}})),
    )
    .unwrap();
    let call = lab.config_map("c");
    let rows = [
        (
            PatchKind::Merge,
            json!({"data":{"a":null}}),
            json!({"b":"1"}),
        ),
        (
            PatchKind::Json,
            json!([{"op":"add","path":"/data/c","value":"3"}]),
            json!({"b":"1","c":"3"}),
        ),
        (
            PatchKind::Strategic,
            json!({"data":{"b":"2"}}),
            json!({"b":"2","c":"3"}),
        ),
    ];
    for (kind, patch, want) in rows {
        let made = lab
            .write(&call, &Intent::Patch(kind, patch))
            .unwrap()
            .unwrap();
        assert_eq!(made["data"], want, "{kind:?}");
    }
}

#[test]
fn apply_creates_then_conflicts_with_another_manager() {
    let mut lab = Lab::new();
    let mut call = lab.config_map("c");
    let body = |value: &str| json!({"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"c"},"data":{"a":value}});
    let made = lab
        .write(&call, &Intent::Apply(body("1"), false))
        .unwrap()
        .unwrap();
    assert_eq!(made["metadata"]["managedFields"][0]["operation"], "Apply");
    let again = lab
        .write(&call, &Intent::Apply(body("1"), false))
        .unwrap()
        .unwrap();
    assert_eq!(
        again["metadata"]["resourceVersion"],
        made["metadata"]["resourceVersion"]
    );

    call.manager = "other".into();
    let error = lab
        .write(&call, &Intent::Apply(body("2"), false))
        .unwrap_err();
    assert_eq!(error.code, 409);
    assert!(
        error.message.contains("conflict with \"test\""),
        "{}",
        error.message
    );
    assert_eq!(error.details.unwrap().causes[0].field, ".data.a");
    let forced = lab
        .write(&call, &Intent::Apply(body("2"), true))
        .unwrap()
        .unwrap();
    assert_eq!(forced["data"]["a"], "2");
}

#[test]
fn an_object_with_finalizers_goes_with_the_last_one() {
    let mut lab = Lab::new();
    let body = json!({"metadata":{"name":"c","finalizers":["x.io/y"]}});
    lab.write(&lab.config_map(""), &create(&body)).unwrap();
    let call = lab.config_map("c");
    let marked = lab
        .write(&call, &Intent::Delete(DeleteOptions::default()))
        .unwrap()
        .unwrap();
    assert_eq!(
        marked["metadata"]["deletionTimestamp"],
        "2027-01-15T08:00:00Z"
    );
    let gone = Intent::Patch(PatchKind::Merge, json!({"metadata":{"finalizers":null}}));
    assert_eq!(lab.write(&call, &gone).unwrap(), None);
    let error = lab
        .write(&call, &Intent::Delete(DeleteOptions::default()))
        .unwrap_err();
    assert_eq!(error.message, "configmaps \"c\" not found");
}

#[test]
fn status_and_spec_are_written_apart() {
    let mut lab = Lab::new();
    let template =
        json!({"metadata":{"labels":{"a":"b"}},"spec":{"containers":[{"name":"c","image":"i"}]}});
    let body = json!({"metadata":{"name":"d"},"spec":{"selector":{"matchLabels":{"a":"b"}},"template":template},"status":{"replicas":9}});
    let call = lab.call("apps", "v1", "deployments", "n", "");
    let made = lab.write(&call, &create(&body)).unwrap().unwrap();
    assert_eq!(
        (made["metadata"]["generation"].as_i64(), &made["status"]),
        (Some(1), &json!({}))
    );
    assert_eq!(made["spec"]["replicas"], 1, "a default");

    let mut call = lab.call("apps", "v1", "deployments", "n", "d");
    let scale = Intent::Patch(
        PatchKind::Merge,
        json!({"spec":{"replicas":3},"status":{"replicas":7}}),
    );
    let scaled = lab.write(&call, &scale).unwrap().unwrap();
    assert_eq!(
        (scaled["metadata"]["generation"].as_i64(), &scaled["status"]),
        (Some(2), &json!({}))
    );
    call.subresource = "status".into();
    let told = lab.write(&call, &scale).unwrap().unwrap();
    assert_eq!(told["status"]["replicas"], 7);
    assert_eq!(told["metadata"]["generation"], 2);
}
