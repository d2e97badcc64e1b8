//! The fields of a struct while it is read.
//!
//! Fields that come in Go's order go straight into the printed map; the first one
//! that does not makes the rest wait to be sorted.

use serde_json::{Map, Value};

use super::zero::{omitted, unset};
use crate::node::{Field, Node, Omit, Struct};

/// Words of 64 fields; the largest built-in struct has 44.
const SEEN_WORDS: usize = 4;

pub(super) struct Slots<'s> {
    of: &'s Struct,
    /// Fields printed so far, in order.
    out: Map<String, Value>,
    /// The field printed last.
    last: Option<usize>,
    /// How many of `Struct::printed` were passed.
    passed: usize,
    /// Values that wait to be sorted; used once `disordered`.
    values: Vec<(usize, Value)>,
    disordered: bool,
    /// Some values are those of an earlier duplicate of the struct.
    inherits: bool,
    /// Fields whose key stood, as bits.
    seen: [u64; SEEN_WORDS],
    /// Empty lists and maps that are always printed become `null`.
    settle: bool,
}

impl<'s> Slots<'s> {
    pub(super) fn new(of: &'s Struct, prior: Option<Value>, settle: bool) -> Self {
        let inherits = prior.is_some();
        let values = match prior {
            Some(Value::Object(map)) => map
                .into_iter()
                .filter_map(|(key, value)| Some((of.position(&key)?, value)))
                .collect(),
            _ => Vec::new(),
        };
        Self {
            of,
            out: Map::new(),
            last: None,
            passed: 0,
            values,
            disordered: inherits || of.fields.len() > SEEN_WORDS * 64,
            inherits,
            seen: [0; SEEN_WORDS],
            settle,
        }
    }

    /// Notes that the key of a field stands; whether it stood before. Fields
    /// beyond the bits are looked up among the values.
    pub(super) fn mark(&mut self, at: usize) -> bool {
        match self.seen.get_mut(at / 64) {
            Some(word) => {
                let bit = 1 << (at % 64);
                let stood = *word & bit != 0;
                *word |= bit;
                stood
            }
            None => self.values.iter().any(|(place, _)| *place == at),
        }
    }

    /// Takes out what an earlier duplicate left for a field.
    pub(super) fn take(&mut self, at: usize, stood: bool) -> Option<Value> {
        if !stood && !self.inherits {
            return None;
        }
        self.disorder();
        let found = self.values.iter().position(|(place, _)| *place == at)?;
        Some(self.values.swap_remove(found).1)
    }

    pub(super) fn put(&mut self, at: usize, value: Value) {
        if !self.disordered {
            if self.last.is_none_or(|last| last < at) {
                self.print(at, value);
                return;
            }
            self.disorder();
        }
        self.values.push((at, value));
    }

    /// Takes back what was printed, except for fields that were printed unset.
    fn disorder(&mut self) {
        if self.disordered {
            return;
        }
        self.disordered = true;
        (self.last, self.passed) = (None, 0);
        for (name, value) in std::mem::take(&mut self.out) {
            if let Some(at) = self.of.position(&name)
                && self.seen[at / 64] & (1 << (at % 64)) != 0
            {
                self.values.push((at, value));
            }
        }
    }

    fn print(&mut self, at: usize, mut value: Value) {
        self.print_unset(at);
        self.last = Some(at);
        let field = &self.of.fields[at];
        if omitted(field, &value) {
            return;
        }
        if self.settle && settles(field, &value) {
            value = Value::Null;
        }
        self.out.insert(field.name.clone().into_owned(), value);
    }

    /// Prints the unset fields before `limit`, and passes the one there.
    fn print_unset(&mut self, limit: usize) {
        while let Some(at) = self.of.printed.get(self.passed).map(|at| usize::from(*at)) {
            if at > limit {
                return;
            }
            self.passed += 1;
            if at == limit {
                return;
            }
            let field = &self.of.fields[at];
            if let Some(value) = unset(field) {
                self.out.insert(field.name.clone().into_owned(), value);
            }
        }
    }

    /// The fields as Go prints them.
    pub(super) fn finish(mut self) -> Map<String, Value> {
        let mut values = std::mem::take(&mut self.values);
        values.sort_by_key(|(at, _)| *at);
        for (at, value) in values {
            self.print(at, value);
        }
        self.print_unset(usize::MAX);
        self.out
    }
}

/// An empty list or map that storing makes unset.
fn settles(field: &Field, value: &Value) -> bool {
    field.omit == Omit::Never
        && match (&field.node, value) {
            (Node::List(_), Value::Array(items)) => items.is_empty(),
            (Node::Map(_), Value::Object(map)) => map.is_empty(),
            _ => false,
        }
}
