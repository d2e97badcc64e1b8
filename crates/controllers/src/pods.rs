//! What the workload controllers ask of pods: is it active, ready, available;
//! and the writes that make, adopt and release one.
//!
//! Pure. Reads Pod views only.

use std::sync::Arc;

use client::{Target, Write};
use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::core::v1::Pod;
use object::names::resources::PODS;
use object::object::DecodeError;
use object::{LabelSelector, Object};
use serde_json::{Value, json};

/// A pod with its typed view.
#[derive(Clone)]
pub(crate) struct PodView {
    pub(crate) object: Arc<Object>,
    pub(crate) pod: Arc<Pod>,
}

impl PodView {
    pub(crate) fn of(object: &Arc<Object>) -> Result<Self, DecodeError> {
        Ok(Self {
            object: Arc::clone(object),
            pod: object.view()?,
        })
    }

    pub(crate) fn phase(&self) -> &str {
        let status = self.pod.status.as_ref();
        status
            .and_then(|status| status.phase.as_deref())
            .unwrap_or("Pending")
    }

    pub(crate) fn is_finished(&self) -> bool {
        matches!(self.phase(), "Succeeded" | "Failed")
    }

    pub(crate) fn is_terminating(&self) -> bool {
        self.object.meta().is_deleting()
    }

    /// Neither finished nor asked to go.
    pub(crate) fn is_active(&self) -> bool {
        !self.is_finished() && !self.is_terminating()
    }

    pub(crate) fn node(&self) -> &str {
        let spec = self.pod.spec.as_ref();
        spec.and_then(|spec| spec.node_name.as_deref())
            .unwrap_or_default()
    }

    pub(crate) fn is_ready(&self) -> bool {
        self.ready_since().is_some()
    }

    /// When it became ready, if it is.
    pub(crate) fn ready_since(&self) -> Option<Timestamp> {
        let conditions = self.pod.status.as_ref()?.conditions.as_ref()?;
        let ready = conditions
            .iter()
            .find(|condition| condition.type_ == "Ready" && condition.status == "True")?;
        let since = ready.last_transition_time.as_ref().map(|time| time.0);
        Some(since.unwrap_or(Timestamp::UNIX_EPOCH))
    }

    /// When it counts as available, if it is ready: `min_ready_seconds` after that.
    pub(crate) fn available_at(&self, min_ready_seconds: i32) -> Option<Timestamp> {
        let wait = SignedDuration::from_secs(i64::from(min_ready_seconds));
        self.ready_since()?.checked_add(wait).ok()
    }

    pub(crate) fn restarts(&self) -> i32 {
        let statuses = self.pod.status.iter();
        statuses
            .flat_map(|status| status.container_statuses.iter().flatten())
            .map(|container| container.restart_count)
            .sum()
    }
}

/// The owner reference that makes `owner` the controller of an object.
pub(crate) fn owner_reference(owner: &Object) -> Value {
    let gvk = owner.gvk();
    json!({
        "apiVersion": gvk.api_version(), "kind": gvk.kind,
        "name": owner.meta().name, "uid": owner.meta().uid,
        "controller": true, "blockOwnerDeletion": true,
    })
}

/// Makes `owner` the controller of `object`, if the object has not changed since.
pub(crate) fn adoption(owner: &Object, object: &Object) -> Write {
    let mut owners = owner_references(object);
    owners.push(owner_reference(owner));
    owner_patch(object, json!(owners))
}

/// Takes `owner` off the owners of `object`, if the object has not changed since.
pub(crate) fn release(owner: &Object, object: &Object) -> Write {
    let mut owners = owner_references(object);
    owners.retain(|entry| entry["uid"] != owner.meta().uid.as_str());
    let owners = if owners.is_empty() {
        Value::Null
    } else {
        json!(owners)
    };
    owner_patch(object, owners)
}

fn owner_references(object: &Object) -> Vec<Value> {
    let value = object.value();
    let owners = value.pointer("/metadata/ownerReferences");
    owners
        .and_then(Value::as_array)
        .cloned()
        .unwrap_or_default()
}

fn owner_patch(object: &Object, owners: Value) -> Write {
    let revision = object.meta().revision.to_string();
    let metadata = json!({
        "uid": object.meta().uid, "resourceVersion": revision, "ownerReferences": owners,
    });
    Write::merge(Target::of(object), json!({ "metadata": metadata }))
}

/// Creates a pod from a template (JSON) that `owner` controls.
pub(crate) fn creation(owner: &Object, template: &Value) -> Write {
    let mut metadata = json!({
        "generateName": format!("{}-", owner.meta().name),
        "namespace": owner.meta().namespace,
        "ownerReferences": [owner_reference(owner)],
    });
    for member in ["labels", "annotations", "finalizers"] {
        if let Some(value) = template.pointer(&format!("/metadata/{member}")) {
            metadata[member] = value.clone();
        }
    }
    let body = json!({
        "apiVersion": "v1", "kind": "Pod", "metadata": metadata,
        "spec": template.get("spec").cloned().unwrap_or_default(),
    });
    Write::create(
        Target::collection(PODS, "v1", &owner.meta().namespace),
        body,
    )
}

/// Whether an object without controller may be adopted by this selector.
pub(crate) fn is_orphan_of(object: &Object, selector: &LabelSelector) -> bool {
    let meta = object.meta();
    meta.controller().is_none() && !meta.is_deleting() && selector.matches(&meta.labels)
}

/// Puts `name` into `status` unless it is zero, as upstream leaves zeros out.
pub(crate) fn count(status: &mut Value, name: &str, number: usize) {
    if number > 0 {
        status[name] = json!(number);
    }
}
