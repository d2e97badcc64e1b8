//! An API server in memory, enough for a node: objects, merge patches, deletions, events.
//!
//! Shared by the agent's tests under virtual time and those with real containers.

use std::sync::{Arc, Mutex};

use bytes::Bytes;
use client::{Client, ClientError, Feed};
use futures::future::BoxFuture;
use futures::stream::BoxStream;
use object::{Draft, Name, Resource};
use serde_json::{Value, json};
use tokio::sync::broadcast;
use world::{Commit, Event, World};

const PODS: Resource = Resource::new("", "pods");

/// An API server of sorts: objects by path, merge patches, deletions.
pub(crate) struct Cluster {
    world: Mutex<World>,
    commits: broadcast::Sender<Arc<Commit>>,
    pub(crate) events: Mutex<Vec<String>>,
}

impl Cluster {
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Self {
            world: Mutex::new(World::new(&[])),
            commits: broadcast::channel(1024).0,
            events: Mutex::default(),
        })
    }

    pub(crate) fn commit(
        &self,
        resource: Resource,
        namespace: &str,
        name: &str,
        value: Option<Value>,
    ) {
        let mut world = self.world.lock().unwrap();
        let revision = world.revision() + 1;
        let old = world
            .table(resource)
            .get(&Name::new(namespace, name))
            .cloned();
        let event = match value {
            Some(value) => Event::put(
                Arc::new(
                    Draft::new(resource, &value, |_| Default::default())
                        .unwrap()
                        .seal(revision),
                ),
                old,
            ),
            None => Event::delete(old.unwrap(), revision),
        };
        let commit = Arc::new(Commit {
            revision,
            events: vec![Arc::new(event)],
        });
        *world = world.apply(&commit);
        // Nobody listening is fine.
        let _ = self.commits.send(commit);
    }

    pub(crate) fn value(&self, resource: Resource, namespace: &str, name: &str) -> Option<Value> {
        self.world
            .lock()
            .unwrap()
            .find(resource, namespace, name)
            .map(|object| object.value())
    }

    pub(crate) fn pod(&self, name: &str) -> Option<Value> {
        self.value(PODS, "n", name)
    }

    pub(crate) fn put_pod(&self, name: &str, mut pod_spec: Value) {
        pod_spec["nodeName"] = json!("node");
        self.commit(PODS, "n", name, Some(json!({
            "kind": "Pod", "apiVersion": "v1",
            "metadata": {"name": name, "namespace": "n", "uid": format!("uid-{name}"), "generation": 1},
            "spec": pod_spec, "status": {"phase": "Pending", "qosClass": "BestEffort"},
        })));
    }

    pub(crate) fn has_event(&self, text: &str) -> bool {
        self.events
            .lock()
            .unwrap()
            .iter()
            .any(|event| event.contains(text))
    }

    fn answer(&self, request: &http::Request<Bytes>) -> http::Response<Bytes> {
        let body: Value = serde_json::from_slice(request.body()).unwrap_or_default();
        let path: Vec<&str> = request
            .uri()
            .path()
            .split('/')
            .filter(|part| !part.is_empty())
            .collect();
        let reply = |code: u16, body: Value| {
            http::Response::builder()
                .status(code)
                .body(Bytes::from(body.to_string()))
                .unwrap()
        };
        let (namespace, rest) = match path.iter().position(|part| *part == "namespaces") {
            Some(at) => (path[at + 1], &path[at + 2..]),
            None => ("", &path[2..]),
        };
        let resource = Resource::interned(if path[0] == "apis" { path[1] } else { "" }, rest[0]);
        match (request.method().as_str(), rest) {
            ("POST", ["events"]) => {
                self.events.lock().unwrap().push(format!(
                    "{} {}",
                    body["reason"].as_str().unwrap(),
                    body["message"].as_str().unwrap()
                ));
                reply(201, body)
            }
            ("POST", [_, _, "token"]) => reply(
                201,
                json!({"status": {"token": "secret-token", "expirationTimestamp": "2026-01-01T01:00:00Z"}}),
            ),
            ("POST", [_]) => {
                let name = body["metadata"]["name"].as_str().unwrap().to_owned();
                self.commit(resource, namespace, &name, Some(body.clone()));
                reply(201, body)
            }
            ("PATCH", [_, name, ..]) => match self.value(resource, namespace, name) {
                Some(mut value) => {
                    merge(&mut value, &body);
                    self.commit(resource, namespace, name, Some(value.clone()));
                    reply(200, value)
                }
                None => reply(
                    404,
                    json!({"kind": "Status", "code": 404, "reason": "NotFound"}),
                ),
            },
            ("DELETE", [_, name]) if self.value(resource, namespace, name).is_none() => reply(
                404,
                json!({"kind": "Status", "code": 404, "reason": "NotFound", "message": name}),
            ),
            ("DELETE", [_, name]) => {
                assert_eq!(
                    (
                        &body["gracePeriodSeconds"],
                        body["preconditions"]["uid"].is_string()
                    ),
                    (&json!(0), true)
                );
                self.commit(resource, namespace, name, None);
                reply(200, json!({}))
            }
            other => panic!("unexpected {other:?}"),
        }
    }
}

fn merge(into: &mut Value, patch: &Value) {
    let Some(patch) = patch.as_object() else {
        *into = patch.clone();
        return;
    };
    if !into.is_object() {
        *into = json!({});
    }
    for (name, value) in patch {
        if value.is_null() {
            into.as_object_mut().unwrap().remove(name);
        } else {
            merge(&mut into[name.as_str()], value);
        }
    }
}

impl Client for Cluster {
    fn call(
        &self,
        request: http::Request<Bytes>,
    ) -> BoxFuture<'_, Result<http::Response<Bytes>, ClientError>> {
        Box::pin(async move { Ok(self.answer(&request)) })
    }
}

impl Feed for Cluster {
    fn world(&self) -> World {
        self.world.lock().unwrap().clone()
    }

    fn commits(&self) -> BoxStream<'static, Result<Arc<Commit>, client::Lagged>> {
        let receiver = self.commits.subscribe();
        Box::pin(futures::stream::unfold(
            receiver,
            |mut receiver| async move {
                receiver
                    .recv()
                    .await
                    .ok()
                    .map(|commit| (Ok(commit), receiver))
            },
        ))
    }
}
