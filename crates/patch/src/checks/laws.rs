//! Laws that hold for any input, checked against small models.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use proptest::prelude::*;
use serde_json::{Map, Value, json};

use super::builtin;
use crate::fields::{Element, FieldSet};
use crate::managed::{self, ApplyError, ManagedFields, OneShape, Write, apply, update};
use crate::typed::{check, compare, field_set, merge, remove};
use crate::{Shape, json_patch, merge_patch, strategic};

/// Any JSON, with a leaning to names that mean something to patches.
fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        (-3i64..90).prop_map(Value::from),
        prop_oneof!["a", "b", "replace", "delete", "merge", "TCP", "x"].prop_map(Value::from),
    ];
    leaf.prop_recursive(6, 60, 5, |inner| {
        let name = prop_oneof![
            "[a-c]",
            "name",
            "spec",
            "metadata",
            "containers",
            "ports",
            "env",
            "labels",
            "containerPort",
            "\\$patch",
            "\\$retainKeys",
            "\\$setElementOrder/containers",
            "\\$deleteFromPrimitiveList/finalizers",
            "finalizers",
            "volumes",
            "status",
            "conditions",
            "type"
        ];
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::vec((name, inner), 0..5)
                .prop_map(|members| Value::Object(members.into_iter().collect::<Map<_, _>>())),
        ]
    })
}

/// A set of paths over few names.
fn paths() -> impl Strategy<Value = BTreeSet<Vec<&'static str>>> {
    prop::collection::btree_set(
        prop::collection::vec(prop::sample::select(vec!["a", "b", "c"]), 1..4),
        0..12,
    )
}

fn set(paths: &BTreeSet<Vec<&'static str>>) -> FieldSet {
    FieldSet::of(&paths.iter().map(Vec::as_slice).collect::<Vec<_>>())
}

fn below(path: &[&'static str], others: &BTreeSet<Vec<&'static str>>) -> bool {
    others.iter().any(|other| path.starts_with(other))
}

proptest! {
    #[test]
    fn field_sets_are_sets_of_paths(a in paths(), b in paths()) {
        let (sa, sb) = (set(&a), set(&b));
        prop_assert_eq!(sa.union(&sb), set(&a.union(&b).cloned().collect()));
        prop_assert_eq!(sa.intersection(&sb), set(&a.intersection(&b).cloned().collect()));
        prop_assert_eq!(sa.difference(&sb), set(&a.difference(&b).cloned().collect()));
        prop_assert_eq!(sa.clone().into_union(sb.clone()), sa.union(&sb));
        let mut left = sa.clone();
        left.subtract(&sb);
        prop_assert_eq!(left, sa.difference(&sb));
        prop_assert_eq!(
            sa.recursive_difference(&sb),
            set(&a.iter().filter(|path| !below(path, &b)).cloned().collect())
        );
        prop_assert_eq!(sa.intersects(&sb), a.intersection(&b).next().is_some());
        prop_assert_eq!(sa.len(), a.len());
        let wire = sa.to_fields_v1();
        prop_assert_eq!(FieldSet::from_fields_v1(&wire).unwrap(), sa);
    }

    #[test]
    fn patches_of_anything_onto_anything_end(doc in any_json(), patch in any_json()) {
        let _ = merge_patch(doc.clone(), &patch);
        let _ = json_patch(doc.clone(), &patch);
        for kind in ["Pod", "ConfigMap", "Service"] {
            let _ = strategic(builtin("v1", kind).unwrap(), doc.clone(), &patch);
        }
    }

    #[test]
    fn types_take_anything(old in any_json(), new in any_json()) {
        for shape in [builtin("v1", "Pod").unwrap(), builtin("apps/v1", "Deployment").unwrap(), Shape::DEDUCED] {
            let _ = check(shape, &new, false);
            let _ = merge(shape, old.clone(), &new);
            let _ = compare(shape, &old, &new);
            let _ = remove(shape, old.clone(), &field_set(shape, &new));
            let _ = ManagedFields::parse(&new);
            let mut after = new.clone();
            let reset = FieldSet::new();
            let versions = OneShape { shape, group: "" };
            let write = write(&versions, "m", &reset);
            let _ = update(&write, Some(&old), &mut after);
            let _ = apply(&write, Some(&old), &new, true);
        }
    }

    /// Where nothing of the server's own ways is touched, RFC 6902 holds.
    #[test]
    fn json_patches_agree_with_the_rfc(
        doc in prop::collection::btree_map("[a-c]", prop::collection::vec(0..3i64, 0..3), 1..4),
        operations in prop::collection::vec(("(add|remove|test|move)", "[a-c]", "[a-c]", 0..3usize, 0..3i64), 1..5),
    ) {
        let doc = json!(doc);
        let patch: Value = operations
            .into_iter()
            .map(|(op, path, from, index, value)| {
                json!({"op": op, "path": format!("/{path}/{index}"), "from": format!("/{from}/{index}"), "value": value})
            })
            .collect();
        let mut theirs = doc.clone();
        let model: json_patch::Patch = serde_json::from_value(patch.clone()).unwrap();
        let want = json_patch::patch_unsafe(&mut theirs, &model).ok().map(|()| theirs);
        prop_assert_eq!(json_patch(doc, &patch).ok(), want);
    }
}

fn write<'a>(versions: &'a OneShape<'a>, manager: &'a str, reset: &'a FieldSet) -> Write<'a> {
    Write {
        versions,
        api_version: "v1",
        kind: "ConfigMap",
        manager,
        subresource: "",
        reset,
        now: Timestamp::UNIX_EPOCH,
    }
}

/// What the model knows: the data, and who owns which key by applying.
#[derive(Default, Debug)]
struct Model {
    data: BTreeMap<String, String>,
    owners: BTreeMap<String, BTreeSet<String>>,
}

impl Model {
    fn owned(&self, key: &str) -> BTreeSet<&str> {
        self.owners
            .iter()
            .filter(|(_, keys)| keys.contains(key))
            .map(|(manager, _)| manager.as_str())
            .collect()
    }

    /// Whether the apply went through.
    fn apply(&mut self, manager: &str, config: &BTreeMap<String, String>, force: bool) -> bool {
        let clash = |key: &str, value: &str| {
            self.data.get(key).is_some_and(|live| live != value)
                && self.owned(key).iter().any(|owner| *owner != manager)
        };
        let clashes: Vec<String> = config
            .iter()
            .filter(|(key, value)| clash(key, value))
            .map(|(key, _)| key.clone())
            .collect();
        if !force && !clashes.is_empty() {
            return false;
        }
        for key in clashes {
            self.owners.values_mut().for_each(|keys| {
                keys.remove(&key);
            });
        }
        let before = self.owners.remove(manager).unwrap_or_default();
        for key in before.iter().filter(|key| !config.contains_key(*key)) {
            if self.owned(key).is_empty() {
                self.data.remove(key);
            }
        }
        self.data.extend(config.clone());
        self.owners
            .insert(manager.to_owned(), config.keys().cloned().collect());
        true
    }
}

fn steps() -> impl Strategy<Value = Vec<(String, BTreeMap<String, String>, bool)>> {
    let config = prop::collection::btree_map("[a-d]", "[0-1]", 1..4);
    prop::collection::vec(("(one|two|three)", config, any::<bool>()), 1..14)
}

proptest! {
    #[test]
    fn applies_lose_nothing_that_somebody_owns(steps in steps()) {
        let shape = builtin("v1", "ConfigMap").unwrap();
        let versions = OneShape { shape, group: "" };
        let reset = FieldSet::new();
        let mut model = Model::default();
        let mut live: Option<Value> = None;
        for (manager, config, force) in steps {
            let applied = json!({"apiVersion": "v1", "kind": "ConfigMap",
                "metadata": {"name": "c"}, "data": config});
            let write = write(&versions, &manager, &reset);
            match apply(&write, live.as_ref(), &applied, force) {
                Err(ApplyError::Conflicts(conflicts)) => {
                    prop_assert!(!model.apply(&manager, &config, force), "{conflicts}");
                    continue;
                }
                result => {
                    let object = result.unwrap();
                    prop_assert!(model.apply(&manager, &config, force));
                    // A second time changes nothing.
                    let mut again = apply(&write, Some(&object), &applied, false).unwrap();
                    prop_assert!(managed::keep_times(&object, &mut again));
                    live = Some(object);
                }
            }
            let object = live.as_ref().unwrap();
            prop_assert_eq!(&object["data"], &json!(model.data));
            let record = ManagedFields::parse(&object["metadata"]["managedFields"]).unwrap();
            for entry in record.entries() {
                let mut want = FieldSet::new();
                for key in &model.owners[&entry.manager] {
                    want.insert(&[Element::field("data"), Element::field(key)]);
                }
                prop_assert_eq!(entry.fields(), &want, "{}", entry.manager);
            }
            prop_assert_eq!(
                record.entries().len(),
                model.owners.values().filter(|keys| !keys.is_empty()).count()
            );
        }
    }

    /// Every key that is there has an owner, whoever wrote it how.
    #[test]
    fn updates_leave_no_field_without_owner(
        writes in prop::collection::vec(("[a-z]", prop::collection::btree_map("[a-d]", "[0-2]", 1..4)), 1..20)
    ) {
        let shape = builtin("v1", "ConfigMap").unwrap();
        let versions = OneShape { shape, group: "" };
        let reset = FieldSet::new();
        let mut live: Option<Value> = None;
        for (manager, data) in writes {
            let mut after = json!({"apiVersion": "v1", "kind": "ConfigMap",
                "metadata": {"name": "c", "uid": "u"}, "data": data});
            update(&write(&versions, &manager, &reset), live.as_ref(), &mut after).unwrap();
            let record = ManagedFields::parse(&after["metadata"]["managedFields"]).unwrap();
            let owned = record.entries().iter().fold(FieldSet::new(), |set, entry| set.union(entry.fields()));
            let mut want = FieldSet::of(&[&["data"]]);
            for key in data.keys() {
                want.insert(&[Element::field("data"), Element::field(key)]);
            }
            prop_assert_eq!(owned, want);
            prop_assert!(record.entries().len() <= managed::MAX_UPDATE_MANAGERS);
            live = Some(after);
        }
    }
}
