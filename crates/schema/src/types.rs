//! The built-in types of Kubernetes 1.37: an embedded table, read lazily.
//!
//! Reads only `types/table.txt`, which is part of the binary; `examples/compact.rs`
//! makes it. Invariant: the text is indexed once, a type is parsed at its first
//! use and then lives as long as the process.

use std::collections::HashMap;
use std::sync::{LazyLock, OnceLock};

use crate::node::{Node, Struct, StructRef};

mod rows;

/// A type's place in the table.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub struct TypeId(u16);

/// The table.
pub struct Types {
    by_name: HashMap<&'static str, TypeId>,
    by_gvk: HashMap<&'static str, TypeId>,
    entries: Vec<Entry>,
}

struct Entry {
    name: &'static str,
    /// The type's line and those of its fields.
    lines: &'static str,
    node: OnceLock<Node>,
    parsed: OnceLock<Struct>,
}

static TABLE: &str = include_str!("types/table.txt");

/// The built-in types.
pub fn types() -> &'static Types {
    static TYPES: LazyLock<Types> = LazyLock::new(|| Types::index(TABLE));
    &TYPES
}

impl Types {
    fn index(table: &'static str) -> Self {
        let mut types = Self {
            by_name: HashMap::with_capacity(1024),
            by_gvk: HashMap::with_capacity(512),
            entries: Vec::with_capacity(1024),
        };
        let mut rest = table;
        while let Some(body) = rest.strip_prefix('=') {
            let end = body.find("\n=").map_or(body.len(), |at| at + 1);
            let (lines, tail) = body.split_at(end);
            types.add(lines);
            rest = tail;
        }
        types
    }

    fn add(&mut self, lines: &'static str) {
        // The table is part of the binary and has about a thousand types.
        let id = TypeId(u16::try_from(self.entries.len()).unwrap_or(u16::MAX));
        let head = rows::Head::read(lines);
        self.by_name.insert(head.name, id);
        for gvk in head.gvks() {
            self.by_gvk.insert(gvk, id);
        }
        self.entries.push(Entry {
            name: head.name,
            lines,
            node: OnceLock::new(),
            parsed: OnceLock::new(),
        });
    }

    /// The type of this name, such as `core/v1.Pod`.
    pub fn get(&self, name: &str) -> Option<&Node> {
        let id = *self.by_name.get(name)?;
        Some(self.node(id))
    }

    /// The root type of a kind.
    pub fn by_gvk(&self, group: &str, version: &str, kind: &str) -> Option<&Node> {
        let id = *self
            .by_gvk
            .get(format!("{group}/{version}/{kind}").as_str())?;
        Some(self.node(id))
    }

    /// The type of an `apiVersion` and `kind`.
    pub fn by_api_version(&self, api_version: &str, kind: &str) -> Option<&Node> {
        let (group, version) = object::names::split_api_version(api_version);
        self.by_gvk(group, version, kind)
    }

    /// All types with their names, in the order of the table (by name).
    pub fn iter(&self) -> impl Iterator<Item = (&'static str, &Node)> {
        self.entries.iter().enumerate().map(|(at, entry)| {
            // As in `add`.
            let id = TypeId(u16::try_from(at).unwrap_or(u16::MAX));
            (entry.name, self.node(id))
        })
    }

    /// Names of all types, without parsing them.
    pub fn names(&self) -> impl Iterator<Item = &'static str> {
        self.entries.iter().map(|entry| entry.name)
    }

    fn node(&self, id: TypeId) -> &Node {
        let entry = &self.entries[usize::from(id.0)];
        entry
            .node
            .get_or_init(|| rows::node_of(&rows::Head::read(entry.lines), id))
    }

    pub(crate) fn by_id(&self, id: TypeId) -> &Struct {
        let entry = &self.entries[usize::from(id.0)];
        entry.parsed.get_or_init(|| rows::parse(self, entry.lines))
    }

    fn id(&self, name: &str) -> Option<TypeId> {
        self.by_name.get(name).copied()
    }

    /// The node that a reference to the type `name` stands for.
    fn reference(&self, name: &'static str) -> Node {
        match self.id(name) {
            Some(id) => self.node(id).clone(),
            // A test walks the whole table: every name in it is known.
            None => Node::Struct(StructRef::Owned(std::sync::Arc::new(Struct::new(
                name,
                Vec::new(),
            )))),
        }
    }
}
