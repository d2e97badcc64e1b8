//! Garbage collector: ends dependents whose owners are gone, and does what the
//! finalizers `foregroundDeletion` and `orphan` stand for.
//!
//! Reads and writes objects of every resource. Invariants: an object goes only
//! when none of its owners exists in this world, by uid; an owner is absent only
//! if no object of its kind has that uid where the reference may point: the
//! dependent's namespace, or the cluster.

use client::{Target, Write};
use object::names::resources::EVENTS;
use object::names::split_api_version;
use object::{Key, Object};
use reconcile::controller::EVERY;
use reconcile::{Controller, Cx, Note, NoteType, Plan, PlanError, Wake};
use serde_json::{Value, json};
use std::sync::Arc;
use world::World;

use object::meta::OwnerRef;

const FOREGROUND: &str = "foregroundDeletion";
const ORPHAN: &str = "orphan";

/// The controller.
pub const CONTROLLER: Controller = Controller {
    name: "garbage-collector-controller",
    account: "generic-garbage-collector",
    reconciles: EVERY,
    wakes_on: &[Wake::Every(concerned)],
    plan,
};

/// An object that depends or is being deleted concerns itself; its dependents
/// when it goes, and its owners when they wait for it.
fn concerned(world: &World, object: &Object) -> Vec<Key> {
    if object.resource() == EVENTS {
        return Vec::new();
    }
    let meta = object.meta();
    let mut keys = Vec::new();
    if !meta.owners.is_empty() || meta.is_deleting() {
        keys.push(object.key());
    }
    let gone = world
        .get(&object.key())
        .is_none_or(|now| now.meta().uid != meta.uid);
    if gone || meta.is_deleting() {
        keys.extend(world.dependents(&meta.uid).map(|dependent| dependent.key()));
    }
    for owner in &meta.owners {
        let found = find_owner(world, &meta.namespace, owner);
        keys.extend(
            found
                .filter(|owner| owner.meta().is_deleting())
                .map(|owner| owner.key()),
        );
    }
    keys
}

/// The owner where the reference may point.
fn find_owner<'a>(world: &'a World, namespace: &str, owner: &OwnerRef) -> Option<&'a Arc<Object>> {
    let (group, _) = split_api_version(&owner.api_version);
    let mut tables = world
        .tables()
        .filter(|(resource, _)| resource.group == group);
    tables.find_map(|(resource, _)| {
        let here = world.find(resource, namespace, &owner.name);
        let found = here.or_else(|| world.find(resource, "", &owner.name))?;
        let same = found.meta().uid == owner.uid && found.gvk().kind == owner.kind.as_str();
        same.then_some(found)
    })
}

fn plan(_: &Cx, world: &World, key: &Key) -> Result<Plan, PlanError> {
    let mut plan = Plan::default();
    let Some(object) = world.get(key) else {
        return Ok(plan);
    };
    let meta = object.meta();
    if meta.is_deleting() && meta.has_finalizer(ORPHAN) {
        orphan(world, object, &mut plan);
        return Ok(plan);
    }
    if meta.is_deleting() && meta.has_finalizer(FOREGROUND) {
        foreground(world, object, &mut plan);
        return Ok(plan);
    }
    if !meta.is_deleting() && !meta.owners.is_empty() {
        dependent(world, object, &mut plan);
    }
    Ok(plan)
}

/// Takes the owner off its dependents, then lets the owner go.
fn orphan(world: &World, owner: &Object, plan: &mut Plan) {
    for dependent in world.dependents(&owner.meta().uid) {
        plan.write(crate::pods::release(owner, dependent));
    }
    plan.then();
    plan.write(without_finalizer(owner, ORPHAN));
}

/// Deletes the dependents, and lets the owner go when none is left that blocks it.
fn foreground(world: &World, owner: &Object, plan: &mut Plan) {
    let uid = &owner.meta().uid;
    let mut blocked = false;
    for dependent in world.dependents(uid) {
        let meta = dependent.meta();
        let mut references = meta.owners.iter();
        blocked |= references.any(|r| r.uid == *uid && r.block_owner_deletion == Some(true));
        // Who has another owner that stays is only released, by its own plan.
        let kept = meta.owners.iter().any(|reference| {
            let other = find_owner(world, &meta.namespace, reference);
            other.is_some_and(|other| !is_foreground(other))
        });
        if !meta.is_deleting() && !kept {
            plan.write(deletion(dependent, "Foreground"));
        }
    }
    if !blocked {
        plan.then();
        plan.write(without_finalizer(owner, FOREGROUND));
    }
}

fn is_foreground(object: &Object) -> bool {
    object.meta().is_deleting() && object.meta().has_finalizer(FOREGROUND)
}

fn dependent(world: &World, object: &Object, plan: &mut Plan) {
    let meta = object.meta();
    let (mut solid, mut waiting, mut dangling) = (0, Vec::new(), Vec::new());
    for reference in &meta.owners {
        match find_owner(world, &meta.namespace, reference) {
            Some(owner) if is_foreground(owner) => waiting.push(reference.uid.as_str()),
            Some(_) => solid += 1,
            None => {
                warn_of_namespace(world, object, reference, plan);
                dangling.push(reference.uid.as_str());
            }
        }
    }
    let leaving: Vec<&str> = dangling.iter().chain(&waiting).copied().collect();
    if solid > 0 {
        if !leaving.is_empty() {
            plan.write(without_owners(object, &leaving));
        }
        return;
    }
    if !waiting.is_empty() {
        plan.write(deletion(object, "Foreground"));
        return;
    }
    // Finalizers that an earlier deletion left say how the cascade goes on.
    let policy = if meta.has_finalizer(ORPHAN) {
        "Orphan"
    } else if meta.has_finalizer(FOREGROUND) {
        "Foreground"
    } else {
        "Background"
    };
    plan.write(deletion(object, policy));
}

/// An owner of this uid in another namespace is a mistake that people make.
fn warn_of_namespace(world: &World, object: &Object, reference: &OwnerRef, plan: &mut Plan) {
    let meta = object.meta();
    let (group, _) = split_api_version(&reference.api_version);
    let elsewhere = world
        .tables()
        .filter(|(resource, _)| resource.group == group)
        .flat_map(|(_, table)| table.iter())
        .any(|other| other.meta().uid == reference.uid);
    if !elsewhere {
        return;
    }
    let namespace = &meta.namespace;
    let message = format!(
        "ownerRef [{}/{}, namespace: {namespace}, name: {}, uid: {}] does not exist in namespace \"{namespace}\"",
        reference.api_version, reference.kind, reference.name, reference.uid
    );
    plan.note(Note::new(
        object,
        NoteType::Warning,
        "OwnerRefInvalidNamespace",
        message,
    ));
}

/// Deletes this very state of an object: an owner added since would be lost.
fn deletion(object: &Object, policy: &str) -> Write {
    let mut write = Write::delete(object);
    write.body["propagationPolicy"] = json!(policy);
    write.body["preconditions"]["resourceVersion"] = json!(object.meta().revision.to_string());
    write
}

fn without_finalizer(object: &Object, name: &str) -> Write {
    let finalizers = object.meta().finalizers.iter().filter(|f| *f != name);
    let finalizers: Vec<_> = finalizers.collect();
    patch(object, json!({ "finalizers": finalizers }))
}

fn without_owners(object: &Object, uids: &[&str]) -> Write {
    let value = object.value();
    let owners = value["metadata"]["ownerReferences"].as_array();
    let kept = owners.into_iter().flatten();
    let kept: Vec<&Value> = kept
        .filter(|entry| !uids.iter().any(|uid| entry["uid"] == *uid))
        .collect();
    patch(object, json!({ "ownerReferences": kept }))
}

fn patch(object: &Object, mut metadata: Value) -> Write {
    metadata["uid"] = json!(object.meta().uid);
    metadata["resourceVersion"] = json!(object.meta().revision.to_string());
    Write::merge(Target::of(object), json!({ "metadata": metadata }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scene;
    use object::Resource;
    use object::names::resources::CONFIG_MAPS;

    fn map(namespace: &str, name: &str, extra: Value) -> (Resource, Value) {
        let mut value = json!({"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":name,"namespace":namespace,"uid":name}});
        for (member, given) in extra.as_object().unwrap() {
            value["metadata"][member] = given.clone();
        }
        (CONFIG_MAPS, value)
    }

    fn owned_by(owners: &[&str], block: bool) -> Value {
        let reference = |uid: &&str| json!({"apiVersion":"v1","kind":"ConfigMap","name":uid,"uid":uid,"blockOwnerDeletion":block});
        json!({"ownerReferences": owners.iter().map(reference).collect::<Vec<_>>()})
    }

    fn deleting(finalizer: &str) -> Value {
        json!({"deletionTimestamp":"2026-01-01T00:00:00Z","finalizers":[finalizer]})
    }

    fn plan_of(objects: &[(Resource, Value)], name: &str) -> Plan {
        scene::plan(&CONTROLLER, &scene::world(objects), CONFIG_MAPS, "n", name)
    }

    const CHILD: &str = "/api/v1/namespaces/n/configmaps/child";
    const OWNER: &str = "/api/v1/namespaces/n/configmaps/owner";

    #[test]
    fn a_dependent_goes_with_its_last_owner_only() {
        let child = |owners: &[&str]| map("n", "child", owned_by(owners, false));
        let owner = map("n", "owner", json!({}));
        let rows = [
            (vec![child(&["owner"]), owner.clone()], vec![]),
            (vec![child(&["ghost"])], vec![format!("Delete {CHILD}")]),
            (
                vec![child(&["owner", "ghost"]), owner],
                vec![format!("MergePatch {CHILD}")],
            ),
        ];
        for (objects, expected) in rows {
            assert_eq!(scene::lines(&plan_of(&objects, "child")), expected);
        }
    }

    #[test]
    fn an_owner_of_the_same_name_and_another_uid_does_not_count() {
        let owner = map("n", "owner", json!({"uid":"other"}));
        let child = map("n", "child", owned_by(&["owner"], false));
        assert_eq!(
            scene::lines(&plan_of(&[owner, child], "child")),
            [format!("Delete {CHILD}")]
        );
    }

    #[test]
    fn an_owner_in_another_namespace_is_told_and_does_not_count() {
        let objects = [
            map("m", "far", json!({})),
            map("n", "child", owned_by(&["far"], false)),
        ];
        let plan = plan_of(&objects, "child");
        assert_eq!(scene::lines(&plan), [format!("Delete {CHILD}")]);
        assert_eq!(plan.notes[0].reason, "OwnerRefInvalidNamespace");
        let told = "ownerRef [v1/ConfigMap, namespace: n, name: far, uid: far] does not exist in namespace \"n\"";
        assert_eq!(plan.notes[0].message, told);
    }

    #[test]
    fn a_foreground_deletion_waits_for_what_blocks_it() {
        let owner = map("n", "owner", deleting(FOREGROUND));
        let delete = format!("Delete {CHILD}");
        let release = format!("MergePatch {OWNER}");
        let rows = [
            (
                vec![map("n", "child", owned_by(&["owner"], true))],
                vec![delete.clone()],
            ),
            (
                vec![map("n", "child", owned_by(&["owner"], false))],
                vec![delete, release.clone()],
            ),
            (vec![], vec![release]),
        ];
        for (mut objects, expected) in rows {
            objects.push(owner.clone());
            assert_eq!(scene::lines(&plan_of(&objects, "owner")), expected);
        }
    }

    #[test]
    fn orphaning_frees_the_dependents_before_the_owner_goes() {
        let owner = map("n", "owner", deleting(ORPHAN));
        let child = map("n", "child", owned_by(&["owner"], false));
        let plan = plan_of(&[owner, child], "owner");
        assert_eq!(plan.stages.len(), 2);
        assert_eq!(
            scene::lines(&plan),
            [format!("MergePatch {CHILD}"), format!("MergePatch {OWNER}")]
        );
    }

    #[test]
    fn a_vanished_owner_wakes_its_dependents() {
        let world = scene::world(&[map("n", "child", owned_by(&["owner"], false))]);
        let before = scene::world(&[map("n", "owner", json!({}))]);
        let owner = before.find(CONFIG_MAPS, "n", "owner").unwrap();
        assert_eq!(
            concerned(&world, owner),
            [Key::new(CONFIG_MAPS, "n", "child")]
        );
    }
}
