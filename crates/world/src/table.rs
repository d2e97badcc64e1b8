//! All objects of one resource, ordered by namespace and name.

use std::ops::Bound;
use std::sync::Arc;

use imbl::{OrdMap, OrdSet};
use object::{Name, Object};
use smol_str::SmolStr;

/// Objects of one resource at one revision.
#[derive(Clone, Default)]
pub struct Table {
    pub(crate) objects: OrdMap<Name, Arc<Object>>,
    /// (field, value, name) for the indexed fields.
    pub(crate) by_field: OrdSet<(&'static str, SmolStr, Name)>,
    pub(crate) revision: u64,
    pub(crate) bytes: usize,
}

impl Table {
    /// The revision of the last change of any object here.
    pub fn revision(&self) -> u64 {
        self.revision
    }

    /// How many objects there are.
    pub fn len(&self) -> usize {
        self.objects.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.objects.is_empty()
    }

    /// Bytes of all bodies.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// One object.
    pub fn get(&self, name: &Name) -> Option<&Arc<Object>> {
        self.objects.get(name)
    }

    /// All objects in order.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<Object>> {
        self.objects.values()
    }

    /// Objects in order from just after `after`, in one namespace if given.
    pub fn range<'a>(
        &'a self,
        namespace: Option<&'a str>,
        after: Option<&Name>,
    ) -> impl Iterator<Item = &'a Arc<Object>> {
        let start = match (after, namespace) {
            (Some(after), _) => Bound::Excluded(after.clone()),
            (None, Some(namespace)) => Bound::Included(Name::new(namespace, "")),
            (None, None) => Bound::Unbounded,
        };
        self.objects
            .range((start, Bound::Unbounded))
            .take_while(move |(name, _)| namespace.is_none_or(|ns| name.namespace == ns))
            .map(|(_, object)| object)
    }

    /// Objects whose indexed field has this value.
    pub fn by_field<'a>(
        &'a self,
        field: &'static str,
        value: &'a str,
    ) -> impl Iterator<Item = &'a Arc<Object>> {
        let start = (field, SmolStr::from(value), Name::new("", ""));
        self.by_field
            .range((Bound::Included(start), Bound::Unbounded))
            .take_while(move |(f, v, _)| *f == field && v == value)
            .filter_map(|(_, _, name)| self.objects.get(name))
    }

    pub(crate) fn remove(&mut self, object: &Object, indexed: &[&'static str]) {
        let name = object.name();
        if let Some(old) = self.objects.remove(&name) {
            self.bytes -= old.body().len();
            for field in indexed {
                if let Some(value) = old.field(field) {
                    self.by_field.remove(&(*field, value.into(), name.clone()));
                }
            }
        }
    }

    pub(crate) fn insert(&mut self, object: &Arc<Object>, indexed: &[&'static str]) {
        let name = object.name();
        self.bytes += object.body().len();
        for field in indexed {
            if let Some(value) = object.field(field) {
                self.by_field.insert((*field, value.into(), name.clone()));
            }
        }
        self.objects.insert(name, Arc::clone(object));
    }
}
