//! The snapshot itself: tables by resource, and the owner index over all.

use std::ops::Bound;
use std::sync::Arc;

use imbl::{HashMap, OrdSet};
use object::object::DecodeError;
use object::{Key, Name, Object, Resource};
use serde::de::DeserializeOwned;
use smol_str::SmolStr;

use crate::commit::{Commit, Event};
use crate::table::Table;

/// Everything at one revision. Cheap to clone.
#[derive(Clone)]
pub struct World(Arc<Inner>);

#[derive(Clone)]
struct Inner {
    revision: u64,
    indexed: Arc<[(Resource, &'static str)]>,
    tables: HashMap<Resource, Table>,
    /// (owner uid, dependent), over all resources.
    owned: OrdSet<(SmolStr, Key)>,
}

static EMPTY: std::sync::LazyLock<Table> = std::sync::LazyLock::new(Table::default);

impl World {
    /// The empty world. `indexed` names the fields, among those that kinds
    /// declare selectable, that are looked up often enough for an index.
    pub fn new(indexed: &[(Resource, &'static str)]) -> Self {
        Self(Arc::new(Inner {
            revision: 0,
            indexed: indexed.into(),
            tables: HashMap::new(),
            owned: OrdSet::new(),
        }))
    }

    /// The revision this is the state of.
    pub fn revision(&self) -> u64 {
        self.0.revision
    }

    /// The objects of a resource; empty for one that has none.
    pub fn table(&self, resource: Resource) -> &Table {
        self.0.tables.get(&resource).unwrap_or(&EMPTY)
    }

    /// All resources that have or had objects.
    pub fn tables(&self) -> impl Iterator<Item = (Resource, &Table)> {
        self.0
            .tables
            .iter()
            .map(|(resource, table)| (*resource, table))
    }

    /// One object.
    pub fn get(&self, key: &Key) -> Option<&Arc<Object>> {
        self.table(key.resource).get(&key.name)
    }

    /// One object by its parts.
    pub fn find(&self, resource: Resource, namespace: &str, name: &str) -> Option<&Arc<Object>> {
        self.table(resource).get(&Name::new(namespace, name))
    }

    /// The typed view of one object.
    pub fn view<T>(
        &self,
        resource: Resource,
        namespace: &str,
        name: &str,
    ) -> Result<Option<Arc<T>>, DecodeError>
    where
        T: DeserializeOwned + Send + Sync + 'static,
    {
        self.find(resource, namespace, name)
            .map(|object| object.view())
            .transpose()
    }

    /// All objects of a resource, ordered by namespace and name.
    pub fn list(&self, resource: Resource) -> impl Iterator<Item = &Arc<Object>> {
        self.table(resource).iter()
    }

    /// All objects of a resource in one namespace.
    pub fn list_in<'a>(
        &'a self,
        resource: Resource,
        namespace: &'a str,
    ) -> impl Iterator<Item = &'a Arc<Object>> {
        self.table(resource).range(Some(namespace), None)
    }

    /// Objects of any resource that name this owner.
    pub fn dependents<'a>(&'a self, uid: &'a str) -> impl Iterator<Item = &'a Arc<Object>> {
        let start = (SmolStr::from(uid), Key::new(Resource::new("", ""), "", ""));
        self.0
            .owned
            .range((Bound::Included(start), Bound::Unbounded))
            .take_while(move |(owner, _)| owner == uid)
            .filter_map(|(_, key)| self.get(key))
    }

    /// Objects of one resource that this owner controls.
    pub fn owned<'a>(
        &'a self,
        resource: Resource,
        uid: &'a str,
    ) -> impl Iterator<Item = &'a Arc<Object>> {
        self.dependents(uid).filter(move |object| {
            object.resource() == resource
                && object.meta().controller().is_some_and(|o| o.uid == uid)
        })
    }

    /// The world after `commit`, which must follow this revision.
    #[must_use]
    pub fn apply(&self, commit: &Commit) -> Self {
        let mut next = Inner::clone(&self.0);
        for event in &commit.events {
            next.step(event.old.as_ref(), event.new_state(), event.revision);
        }
        next.revision = commit.revision;
        Self(Arc::new(next))
    }

    /// The world before `commit`, the last one applied; `revision` is that of the
    /// commit before it.
    #[must_use]
    pub fn rewind(&self, commit: &Commit, revision: u64) -> Self {
        let mut next = Inner::clone(&self.0);
        for event in commit.events.iter().rev() {
            let Event { old, .. } = &**event;
            next.step(event.new_state(), old.as_ref(), revision);
        }
        next.revision = revision;
        Self(Arc::new(next))
    }

    /// The same world at a later revision: nothing changed between them.
    #[must_use]
    pub fn advanced_to(&self, revision: u64) -> Self {
        let mut next = Inner::clone(&self.0);
        next.revision = next.revision.max(revision);
        Self(Arc::new(next))
    }
}

impl Inner {
    fn step(&mut self, old: Option<&Arc<Object>>, new: Option<&Arc<Object>>, revision: u64) {
        let Some(resource) = old.or(new).map(|object| object.resource()) else {
            return;
        };
        let indexed: Vec<&'static str> = self
            .indexed
            .iter()
            .filter(|(r, _)| *r == resource)
            .map(|(_, field)| *field)
            .collect();
        let table = self.tables.entry(resource).or_default();
        if let Some(old) = old {
            table.remove(old, &indexed);
        }
        if let Some(new) = new {
            table.insert(new, &indexed);
        }
        table.revision = revision;
        for owner in old.iter().flat_map(|object| &object.meta().owners) {
            // The key is that of the old state; both states have the same one.
            if let Some(key) = old.map(|object| object.key()) {
                self.owned.remove(&(owner.uid.clone(), key));
            }
        }
        if let Some(new) = new {
            for owner in &new.meta().owners {
                self.owned.insert((owner.uid.clone(), new.key()));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use object::Draft;
    use object::names::resources::{PODS, REPLICA_SETS};
    use serde_json::json;

    fn pod(name: &str, node: &str, owner: Option<&str>, revision: u64) -> Arc<Object> {
        let owners: Vec<_> = owner
            .map(|uid| json!({"apiVersion":"apps/v1","kind":"ReplicaSet","name":"r","uid":uid,"controller":true}))
            .into_iter()
            .collect();
        let (namespace, name) = name.split_once('/').unwrap();
        let value = json!({"metadata":{"name":name,"namespace":namespace,"ownerReferences":owners},"spec":{"nodeName":node}});
        let fields = |_: &serde_json::Value| [("spec.nodeName", SmolStr::from(node))].into();
        Arc::new(Draft::new(PODS, &value, fields).unwrap().seal(revision))
    }

    fn put(world: &World, object: Arc<Object>) -> (World, Commit) {
        let old = world.get(&object.key()).cloned();
        let commit = Commit {
            revision: object.revision(),
            events: vec![Arc::new(Event::put(object, old))],
        };
        (world.apply(&commit), commit)
    }

    fn names<'a>(objects: impl Iterator<Item = &'a Arc<Object>>) -> Vec<String> {
        objects.map(|object| object.name().to_string()).collect()
    }

    #[test]
    fn indexes_follow_every_change_and_rewinding_undoes_it() {
        let empty = World::new(&[(PODS, "spec.nodeName")]);
        let (one, _) = put(&empty, pod("b/x", "n1", Some("u1"), 1));
        let (two, _) = put(&one, pod("a/y", "n1", Some("u1"), 2));
        let (three, commit) = put(&two, pod("b/x", "n2", Some("u2"), 3));

        assert_eq!(
            names(three.table(PODS).by_field("spec.nodeName", "n1")),
            ["a/y"]
        );
        assert_eq!(
            names(three.table(PODS).by_field("spec.nodeName", "n2")),
            ["b/x"]
        );
        assert_eq!(names(three.owned(PODS, "u1")), ["a/y"]);
        assert_eq!(names(three.owned(REPLICA_SETS, "u1")), Vec::<String>::new());
        assert_eq!(
            names(two.owned(PODS, "u1")),
            ["a/y", "b/x"],
            "the older world is untouched"
        );

        let back = three.rewind(&commit, 2);
        assert_eq!(
            names(back.table(PODS).by_field("spec.nodeName", "n1")),
            ["a/y", "b/x"]
        );
        assert_eq!(names(back.owned(PODS, "u1")), ["a/y", "b/x"]);
        assert_eq!(
            (back.revision(), back.table(PODS).bytes()),
            (2, two.table(PODS).bytes())
        );
    }

    #[test]
    fn a_deleted_object_is_in_no_index() {
        let (one, _) = put(
            &World::new(&[(PODS, "spec.nodeName")]),
            pod("a/x", "n", Some("u"), 1),
        );
        let old = one.find(PODS, "a", "x").unwrap().clone();
        let event = Event::delete(old, 2);
        assert_eq!(event.object.revision(), 2);
        let two = one.apply(&Commit {
            revision: 2,
            events: vec![Arc::new(event)],
        });
        assert!(two.table(PODS).is_empty());
        assert_eq!(
            two.dependents("u").count() + two.table(PODS).by_field("spec.nodeName", "n").count(),
            0
        );
        assert_eq!(two.table(PODS).bytes(), 0);
        assert_eq!(two.table(PODS).revision(), 2);
    }

    #[test]
    fn ranges_stay_in_their_namespace_and_go_on_after_a_name() {
        let mut world = World::new(&[]);
        for (index, name) in ["a/1", "a/2", "ab/1", "b/1"].into_iter().enumerate() {
            world = put(&world, pod(name, "", None, index as u64 + 1)).0;
        }
        assert_eq!(names(world.list_in(PODS, "a")), ["a/1", "a/2"]);
        let after = Name::new("a", "2");
        assert_eq!(
            names(world.table(PODS).range(None, Some(&after))),
            ["ab/1", "b/1"]
        );
        assert_eq!(
            names(world.table(PODS).range(Some("a"), Some(&after))),
            Vec::<String>::new()
        );
    }
}
