//! The replica sets of a deployment: which is new, how large each is to be, and
//! the writes that make it so.

use std::sync::Arc;

use client::{Target, Write};
use k8s_openapi::api::apps::v1::{Deployment, ReplicaSet, ReplicaSetStatus};
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use object::names::resources::REPLICA_SETS;
use object::{LabelSelector, Object};
use reconcile::{Note, NoteType, Plan, PlanError};
use serde_json::{Value, json};
use world::World;

use crate::pods;

pub(super) const REVISION: &str = "deployment.kubernetes.io/revision";
const HISTORY: &str = "deployment.kubernetes.io/revision-history";
const DESIRED: &str = "deployment.kubernetes.io/desired-replicas";
const MAX: &str = "deployment.kubernetes.io/max-replicas";
const HASH: &str = "pod-template-hash";
/// Annotations of the deployment that are about itself and not handed down.
const OWN: [&str; 6] = [
    "kubectl.kubernetes.io/last-applied-configuration",
    REVISION,
    HISTORY,
    DESIRED,
    MAX,
    "deprecated.deployment.rollback.to",
];
/// Letters of names that spell no words; part of the API, as names are.
const ALPHABET: &[u8; 27] = b"bcdfghjklmnpqrstvwxz2456789";

/// One replica set and the size it shall have.
pub(super) struct Set {
    pub(super) object: Arc<Object>,
    pub(super) view: Arc<ReplicaSet>,
    pub(super) target: i64,
}

impl Set {
    /// The size it has in its spec now.
    pub(super) fn size(&self) -> i64 {
        i64::from(self.view.spec.replicas.unwrap_or(1))
    }

    pub(super) fn count(&self, field: impl Fn(&ReplicaSetStatus) -> Option<i32>) -> i64 {
        let status = self.view.status.as_ref();
        i64::from(status.and_then(field).unwrap_or(0))
    }

    pub(super) fn available(&self) -> i64 {
        self.count(|status| status.available_replicas)
    }

    fn revision(&self) -> i64 {
        let text = self.object.meta().annotation(REVISION);
        text.and_then(|text| text.parse().ok()).unwrap_or(0)
    }
}

/// All of them.
pub(super) struct Sets {
    deployment: Arc<Object>,
    /// The deployment's template as it is stored.
    template: Value,
    pub(super) replicas: i64,
    pub(super) max_surge: i64,
    pub(super) max_unavailable: i64,
    min_ready_seconds: i32,
    paused: bool,
    history_limit: usize,
    collisions: i32,
    /// The set whose template is the deployment's.
    pub(super) new: Option<Set>,
    /// The others, oldest first.
    pub(super) old: Vec<Set>,
    /// Size of the new set, if it is to be made.
    pub(super) make: Option<i64>,
}

impl Sets {
    /// Claims the deployment's sets. Orphans that fit are adopted, those that no
    /// longer fit are released.
    pub(super) fn of(
        world: &World,
        object: &Arc<Object>,
        deployment: &Deployment,
        plan: &mut Plan,
    ) -> Result<Self, PlanError> {
        let selector = LabelSelector::from_spec(Some(&deployment.spec.selector));
        let deleting = object.meta().is_deleting();
        let mut found: Vec<Arc<Object>> = Vec::new();
        for set in world.owned(REPLICA_SETS, &object.meta().uid) {
            if selector.matches(&set.meta().labels) {
                found.push(Arc::clone(set));
            } else if !deleting {
                plan.write(pods::release(object, set));
            }
        }
        if !deleting {
            for set in world.list_in(REPLICA_SETS, &object.meta().namespace) {
                // It counts when the adoption has come back.
                if pods::is_orphan_of(set, &selector) {
                    plan.write(pods::adoption(object, set));
                }
            }
        }
        found.sort_by_key(|set| (set.meta().created, set.meta().name.clone()));
        let value = object.value();
        let template = value.pointer("/spec/template").cloned();
        let template = template.unwrap_or(Value::Null);
        let (mut new, mut old) = (None, Vec::new());
        for object in found {
            let view: Arc<ReplicaSet> = object.view()?;
            let is_new = new.is_none() && without_hash(&object) == bare(template.clone());
            let target = i64::from(view.spec.replicas.unwrap_or(1));
            let set = Set {
                object,
                view,
                target,
            };
            match is_new {
                true => new = Some(set),
                false => old.push(set),
            }
        }
        let (max_surge, max_unavailable) = limits(deployment);
        let spec = &deployment.spec;
        let status = deployment.status.as_ref();
        Ok(Self {
            deployment: Arc::clone(object),
            template,
            replicas: i64::from(spec.replicas.unwrap_or(1)),
            max_surge,
            max_unavailable,
            min_ready_seconds: spec.min_ready_seconds.unwrap_or(0),
            paused: spec.paused == Some(true),
            history_limit: usize::try_from(spec.revision_history_limit.unwrap_or(10)).unwrap_or(0),
            collisions: status
                .and_then(|status| status.collision_count)
                .unwrap_or(0),
            new,
            old,
            make: None,
        })
    }

    pub(super) fn all(&self) -> impl Iterator<Item = &Set> {
        self.old.iter().chain(&self.new)
    }

    pub(super) fn all_mut(&mut self) -> impl Iterator<Item = &mut Set> {
        self.old.iter_mut().chain(&mut self.new)
    }

    /// Whether the name for the new set is taken by a set that is not ours.
    pub(super) fn collides(&self, world: &World) -> bool {
        let namespace = &self.deployment.meta().namespace;
        let taken = world.find(REPLICA_SETS, namespace, &self.new_name());
        self.new.is_none() && !self.paused && taken.is_some()
    }

    /// Whether the deployment was given another size since its sets were last sized.
    pub(super) fn was_scaled(&self) -> bool {
        self.all().filter(|set| set.size() > 0).any(|set| {
            let desired = set.object.meta().annotation(DESIRED);
            desired.is_some_and(|text| text != self.replicas.to_string())
        })
    }

    pub(super) fn hash(&self) -> String {
        let mut hash = 0x811c_9dc5_u32;
        let text = self.template.to_string();
        let mut take = |bytes: &[u8]| {
            for byte in bytes {
                hash = (hash ^ u32::from(*byte)).wrapping_mul(0x0100_0193);
            }
        };
        take(text.as_bytes());
        if self.collisions > 0 {
            take(&self.collisions.to_le_bytes());
        }
        let letter = |digit: u8| char::from(ALPHABET[usize::from(digit) % ALPHABET.len()]);
        hash.to_string().bytes().map(letter).collect()
    }

    pub(super) fn new_name(&self) -> String {
        match &self.new {
            Some(set) => set.object.meta().name.to_string(),
            None => format!("{}-{}", self.deployment.meta().name, self.hash()),
        }
    }

    /// The revision of the new set, if there is or will be one.
    pub(super) fn new_revision(&self) -> Option<String> {
        let above_old = self.old.iter().map(Set::revision).max().unwrap_or(0) + 1;
        match &self.new {
            Some(set) => Some(set.revision().max(above_old).to_string()),
            None => self.make.map(|_| above_old.to_string()),
        }
    }

    /// Writes what differs from what is to be.
    pub(super) fn write(&self, plan: &mut Plan) {
        if let Some(size) = self.make {
            let step = plan.write(self.creation(size));
            if size > 0 {
                step.on_success(self.scaled(&self.new_name(), 0, size));
            }
        }
        for set in self.all() {
            self.resize(set, plan);
        }
    }

    fn resize(&self, set: &Set, plan: &mut Plan) {
        let meta = set.object.meta();
        let mut value = set.object.value();
        let is_new = self
            .new
            .as_ref()
            .is_some_and(|new| new.object.meta().uid == meta.uid);
        if is_new {
            self.hand_down(set, &mut value);
        }
        if set.target != set.size() {
            value["spec"]["replicas"] = json!(set.target);
        }
        if set.target != set.size() || (set.target > 0 && self.was_scaled()) {
            value["metadata"]["annotations"][DESIRED] = json!(self.replicas.to_string());
            value["metadata"]["annotations"][MAX] = json!(self.max().to_string());
        }
        if value == set.object.value() {
            return;
        }
        let step = plan.write(Write::update(Target::of(&set.object), value));
        if set.target != set.size() {
            step.on_success(self.scaled(&meta.name, set.size(), set.target));
        }
    }

    /// What the new set takes from the deployment: its annotations, the revision,
    /// and the revisions it had before.
    fn hand_down(&self, set: &Set, value: &mut Value) {
        for (name, text) in &self.deployment.meta().annotations {
            if !OWN.contains(&name.as_str()) {
                value["metadata"]["annotations"][name.as_str()] = json!(text);
            }
        }
        let meta = set.object.meta();
        let revision = self.new_revision().unwrap_or_default();
        if let Some(before) = meta.annotation(REVISION)
            && before != revision
        {
            let history = meta.annotation(HISTORY).filter(|text| !text.is_empty());
            let history = history.map_or(before.to_owned(), |text| format!("{text},{before}"));
            value["metadata"]["annotations"][HISTORY] = json!(history);
        }
        value["metadata"]["annotations"][REVISION] = json!(revision);
        if set.view.spec.min_ready_seconds.unwrap_or(0) != self.min_ready_seconds {
            value["spec"]["minReadySeconds"] = json!(self.min_ready_seconds);
        }
    }

    fn max(&self) -> i64 {
        self.replicas + self.max_surge
    }

    fn creation(&self, size: i64) -> Write {
        let meta = self.deployment.meta();
        let hash = self.hash();
        let mut annotations = json!({});
        for (name, text) in &meta.annotations {
            if !OWN.contains(&name.as_str()) {
                annotations[name.as_str()] = json!(text);
            }
        }
        annotations[REVISION] = json!(self.new_revision());
        annotations[DESIRED] = json!(self.replicas.to_string());
        annotations[MAX] = json!(self.max().to_string());
        let mut template = self.template.clone();
        template["metadata"]["labels"][HASH] = json!(hash);
        let mut selector = self.deployment.value()["spec"]["selector"].clone();
        selector["matchLabels"][HASH] = json!(hash);
        let mut body = json!({
            "apiVersion": "apps/v1", "kind": "ReplicaSet",
            "metadata": {
                "name": self.new_name(), "namespace": meta.namespace,
                "labels": template["metadata"]["labels"], "annotations": annotations,
                "ownerReferences": [pods::owner_reference(&self.deployment)],
            },
            "spec": {"replicas": size, "selector": selector, "template": template},
        });
        if self.min_ready_seconds > 0 {
            body["spec"]["minReadySeconds"] = json!(self.min_ready_seconds);
        }
        let target = Target::collection(REPLICA_SETS, "v1", &meta.namespace);
        Write::create(target, body)
    }

    fn scaled(&self, name: &str, from: i64, to: i64) -> Note {
        let direction = if to > from { "up" } else { "down" };
        let message = format!("Scaled {direction} replica set {name} from {from} to {to}");
        Note::new(
            &self.deployment,
            NoteType::Normal,
            "ScalingReplicaSet",
            message,
        )
    }

    /// Deletes empty old sets beyond the history limit, lowest revision first.
    pub(super) fn clean_up(&self, plan: &mut Plan) {
        let surplus = self.old.len().saturating_sub(self.history_limit);
        let mut by_revision: Vec<&Set> = self.old.iter().collect();
        by_revision.sort_by_key(|set| set.revision());
        for set in by_revision.into_iter().take(surplus) {
            let pods = set.count(|status| Some(status.replicas));
            let seen = set.count(|status| status.observed_generation.map(|_| 1)) == 1;
            if pods == 0 && set.size() == 0 && seen && !set.object.meta().is_deleting() {
                plan.write(Write::delete(&set.object));
            }
        }
    }
}

/// A template without the label that tells replica sets apart.
fn without_hash(set: &Object) -> Value {
    let value = set.value();
    let template = value.pointer("/spec/template").cloned();
    bare(template.unwrap_or(Value::Null))
}

fn bare(mut template: Value) -> Value {
    if let Some(Value::Object(labels)) = template.pointer_mut("/metadata/labels") {
        labels.shift_remove(HASH);
    }
    template
}

/// How many pods may be too many, and too few.
fn limits(deployment: &Deployment) -> (i64, i64) {
    let replicas = i64::from(deployment.spec.replicas.unwrap_or(1));
    if super::is_recreate(deployment) {
        return (0, 0);
    }
    let strategy = deployment.spec.strategy.as_ref();
    let rolling = strategy.and_then(|strategy| strategy.rolling_update.as_ref());
    let surge = rolling.and_then(|rolling| rolling.max_surge.as_ref());
    let unavailable = rolling.and_then(|rolling| rolling.max_unavailable.as_ref());
    let surge = resolve(surge, replicas, true);
    let unavailable = resolve(unavailable, replicas, false).min(replicas);
    if surge == 0 && unavailable == 0 {
        return (0, replicas.min(1));
    }
    (surge, unavailable)
}

/// A number, or a percentage of `of`; a quarter if not given.
fn resolve(value: Option<&IntOrString>, of: i64, up: bool) -> i64 {
    let percent = match value {
        Some(IntOrString::Int(number)) => return i64::from(*number),
        Some(IntOrString::String(text)) => text.trim_end_matches('%').parse().unwrap_or(0),
        None => 25,
    };
    (percent * of + if up { 99 } else { 0 }) / 100
}
