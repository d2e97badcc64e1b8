//! Events about Pods and the Node, as `kubectl describe` shows them.
//!
//! Writes Events, at most [`QUEUE`] waiting; more are dropped, for an event is a help and not a promise. An event that
//! repeats within [`SERIES`] counts up instead of making another object.

use std::collections::HashMap;

use client::{Target, Write};
use jiff::Timestamp;
use k8s_openapi::api::core::v1::Pod;
use object::Resource;
use object::time::{SharedClock, rfc3339};
use serde_json::{Value, json};
use tokio::sync::mpsc;

use crate::api::Api;
use crate::pods::spec;

/// Events that may wait to be sent.
pub const QUEUE: usize = 256;
/// For so long a repeated event counts up.
const SERIES: jiff::SignedDuration = jiff::SignedDuration::from_secs(600);
/// Events remembered for counting.
const REMEMBERED: usize = 1024;
const EVENTS: Resource = Resource::new("", "events");

/// One event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    involved: String,
    namespace: String,
    name: String,
    warning: bool,
    reason: &'static str,
    message: String,
    at: Timestamp,
}

/// Takes events; cheap to clone.
#[derive(Clone)]
pub struct Recorder {
    sender: mpsc::Sender<Event>,
    clock: SharedClock,
}

impl Recorder {
    /// A recorder and the queue that [`send_all`] works off.
    pub fn new(clock: SharedClock) -> (Self, mpsc::Receiver<Event>) {
        let (sender, receiver) = mpsc::channel(QUEUE);
        (Self { sender, clock }, receiver)
    }

    /// Notes something about a Pod, perhaps about one of its containers.
    pub fn pod(
        &self,
        pod: &Pod,
        container: Option<(&str, bool)>,
        warning: bool,
        reason: &'static str,
        message: impl Into<String>,
    ) {
        let field = container.map(|(name, init)| {
            format!(
                "spec.{}{{{name}}}",
                if init { "initContainers" } else { "containers" }
            )
        });
        let mut involved = json!({
            "kind": "Pod", "apiVersion": "v1", "namespace": spec::namespace(pod), "name": spec::name(pod),
            "uid": spec::uid(pod), "resourceVersion": pod.metadata.resource_version,
        });
        if let Some(field) = field {
            involved["fieldPath"] = Value::String(field);
        }
        self.put(
            involved,
            spec::namespace(pod),
            spec::name(pod),
            warning,
            reason,
            message.into(),
        );
    }

    /// Notes something about the Node.
    pub fn node(
        &self,
        name: &str,
        warning: bool,
        reason: &'static str,
        message: impl Into<String>,
    ) {
        let involved = json!({"kind": "Node", "name": name, "uid": name});
        self.put(involved, "default", name, warning, reason, message.into());
    }

    fn put(
        &self,
        involved: Value,
        namespace: &str,
        name: &str,
        warning: bool,
        reason: &'static str,
        message: String,
    ) {
        let event = Event {
            involved: involved.to_string(),
            namespace: namespace.to_owned(),
            name: name.to_owned(),
            warning,
            reason,
            message,
            at: self.clock.now(),
        };
        if self.sender.try_send(event).is_err() {
            tracing::debug!(reason, "an event was dropped: too many are waiting");
        }
    }
}

struct Sent {
    name: String,
    count: u32,
    last: Timestamp,
}

/// Sends what the recorders note until all of them are gone.
pub async fn send_all(api: Api, node: String, mut receiver: mpsc::Receiver<Event>) {
    let mut sent: HashMap<(String, &'static str, String), Sent> = HashMap::new();
    while let Some(event) = receiver.recv().await {
        if sent.len() >= REMEMBERED {
            sent.retain(|_, known| event.at.duration_since(known.last) < SERIES);
        }
        if sent.len() >= REMEMBERED {
            sent.clear();
        }
        let key = (event.involved.clone(), event.reason, event.message.clone());
        let collection = Target::collection(EVENTS, "v1", &event.namespace);
        if let Some(known) = sent
            .get_mut(&key)
            .filter(|known| event.at.duration_since(known.last) < SERIES)
        {
            known.count += 1;
            known.last = event.at;
            let body = json!({"count": known.count, "lastTimestamp": rfc3339(event.at)});
            let target = Target {
                name: known.name.clone().into(),
                ..collection.clone()
            };
            if api.send(&Write::merge(target, body)).await.is_ok() {
                continue;
            }
        }
        let name = format!("{}.{:x}", event.name, event.at.as_nanosecond());
        let involved: Value = serde_json::from_str(&event.involved).unwrap_or_default();
        let body = json!({
            "kind": "Event", "apiVersion": "v1",
            "metadata": {"name": name, "namespace": event.namespace},
            "involvedObject": involved, "reason": event.reason, "message": event.message,
            "type": if event.warning { "Warning" } else { "Normal" },
            "source": {"component": "kubelet", "host": node},
            "firstTimestamp": rfc3339(event.at), "lastTimestamp": rfc3339(event.at), "count": 1,
            "reportingComponent": "kubelet", "reportingInstance": node,
        });
        match api.send(&Write::create(collection, body)).await {
            Ok(_) => drop(sent.insert(
                key,
                Sent {
                    name,
                    count: 1,
                    last: event.at,
                },
            )),
            Err(error) => tracing::debug!(%error, reason = event.reason, "an event was not taken"),
        }
    }
}
