//! A set of field paths and its algebra.
//!
//! Invariants: the nodes of a level are sorted and unique; no node is neither a
//! member nor the parent of one.

use std::cmp::Ordering;

use super::element::Element;

/// A set of field paths.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FieldSet {
    pub(super) nodes: Vec<Node>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Node {
    pub(super) element: Element,
    /// Whether the path to here is itself in the set.
    pub(super) member: bool,
    pub(super) children: FieldSet,
}

impl Node {
    fn is_void(&self) -> bool {
        !self.member && self.children.is_empty()
    }
}

static EMPTY: FieldSet = FieldSet { nodes: Vec::new() };

impl FieldSet {
    /// The empty set.
    pub const fn new() -> Self {
        Self { nodes: Vec::new() }
    }

    /// A set of paths made of member names: `of(&[&["metadata", "name"]])`.
    pub fn of(paths: &[&[&str]]) -> Self {
        let mut set = Self::new();
        for path in paths {
            let path: Vec<_> = path.iter().map(|name| Element::field(name)).collect();
            set.insert(&path);
        }
        set
    }

    /// Whether it holds no path.
    pub fn is_empty(&self) -> bool {
        self.nodes.is_empty()
    }

    /// Number of paths.
    pub fn len(&self) -> usize {
        self.nodes
            .iter()
            .map(|node| usize::from(node.member) + node.children.len())
            .sum()
    }

    /// Adds a path. The empty path, the object itself, is never owned.
    pub fn insert(&mut self, path: &[Element]) {
        let Some((first, rest)) = path.split_first() else {
            return;
        };
        let node = self.node_mut(first);
        if rest.is_empty() {
            node.member = true;
        } else {
            node.children.insert(rest);
        }
    }

    /// A level from its nodes, in any order: step, whether it is a member, what is
    /// below.
    pub(crate) fn from_steps(steps: impl Iterator<Item = (Element, bool, FieldSet)>) -> Self {
        let mut nodes: Vec<Node> = steps
            .map(|(element, member, children)| Node {
                element,
                member,
                children,
            })
            .filter(|node| !node.is_void())
            .collect();
        if !nodes.is_sorted_by(|a, b| a.element < b.element) {
            nodes.sort_by(|a, b| a.element.cmp(&b.element));
            nodes.dedup_by(|later, first| {
                let same = later.element == first.element;
                if same {
                    first.member |= later.member;
                    first.children.absorb(std::mem::take(&mut later.children));
                }
                same
            });
        }
        Self { nodes }
    }

    /// Adds all paths of another set.
    pub fn absorb(&mut self, other: Self) {
        if self.is_empty() {
            *self = other;
            return;
        }
        let mut fresh = Vec::new();
        for theirs in other.nodes {
            match self.find(&theirs.element) {
                Ok(at) => {
                    let node = &mut self.nodes[at];
                    node.member |= theirs.member;
                    node.children.absorb(theirs.children);
                }
                Err(_) => fresh.push(theirs),
            }
        }
        if !fresh.is_empty() {
            self.nodes.append(&mut fresh);
            self.nodes.sort_by(|a, b| a.element.cmp(&b.element));
        }
    }

    /// Adds a path and everything of a set below it.
    pub(crate) fn graft(&mut self, path: &[Element], children: FieldSet) {
        match path {
            [] => *self = self.union(&children),
            [last] => self.insert_node(last.clone(), true, children),
            [first, rest @ ..] => self.node_mut(first).children.graft(rest, children),
        }
    }

    /// Puts a subtree below a step, and the step itself if `member`.
    pub(crate) fn insert_node(&mut self, element: Element, member: bool, children: FieldSet) {
        if !member && children.is_empty() {
            return;
        }
        let node = Node {
            element,
            member,
            children,
        };
        match self.find(&node.element) {
            Ok(at) => {
                let merged = union_node(&self.nodes[at], &node);
                self.nodes[at] = merged;
            }
            Err(at) => self.nodes.insert(at, node),
        }
    }

    fn node_mut(&mut self, element: &Element) -> &mut Node {
        let at = match self.find(element) {
            Ok(at) => at,
            Err(at) => {
                self.nodes.insert(
                    at,
                    Node {
                        element: element.clone(),
                        member: false,
                        children: FieldSet::new(),
                    },
                );
                at
            }
        };
        &mut self.nodes[at]
    }

    fn find(&self, element: &Element) -> Result<usize, usize> {
        // Most inserts come in order: look at the end first.
        match self.nodes.last() {
            Some(last) if last.element < *element => Err(self.nodes.len()),
            None => Err(0),
            _ => self
                .nodes
                .binary_search_by(|node| node.element.cmp(element)),
        }
    }

    /// Whether the path is in the set.
    pub fn has(&self, path: &[Element]) -> bool {
        match path.split_first() {
            None => false,
            Some((first, [])) => self.has_member(first),
            Some((first, rest)) => self.below(first).has(rest),
        }
    }

    /// Whether the step is a member of this level.
    pub fn has_member(&self, element: &Element) -> bool {
        self.find(element).is_ok_and(|at| self.nodes[at].member)
    }

    /// The paths below a step.
    pub fn below(&self, element: &Element) -> &FieldSet {
        match self.find(element) {
            Ok(at) => &self.nodes[at].children,
            Err(_) => &EMPTY,
        }
    }

    /// The steps of this level: step, whether it is a member, what is below.
    pub fn steps(&self) -> impl Iterator<Item = (&Element, bool, &FieldSet)> {
        self.nodes
            .iter()
            .map(|node| (&node.element, node.member, &node.children))
    }

    /// Calls `visit` with every path: the members of a level first, then what is
    /// below, in the order in which upstream tells conflicts.
    pub fn for_each(&self, visit: &mut impl FnMut(&[Element])) {
        self.walk(&mut Vec::new(), visit);
    }

    fn walk(&self, path: &mut Vec<Element>, visit: &mut impl FnMut(&[Element])) {
        for node in self.nodes.iter().filter(|node| node.member) {
            path.push(node.element.clone());
            visit(path);
            path.pop();
        }
        for node in self.nodes.iter().filter(|node| !node.children.is_empty()) {
            path.push(node.element.clone());
            node.children.walk(path, visit);
            path.pop();
        }
    }

    /// Every path.
    pub fn paths(&self) -> Vec<Vec<Element>> {
        let mut paths = Vec::with_capacity(self.len());
        self.for_each(&mut |path| paths.push(path.to_vec()));
        paths
    }

    /// Paths in either set.
    #[must_use]
    pub fn union(&self, other: &Self) -> Self {
        if self.is_empty() {
            return other.clone();
        }
        if other.is_empty() {
            return self.clone();
        }
        let mut nodes = Vec::with_capacity(self.nodes.len().max(other.nodes.len()));
        zip(self, other, |left, right| {
            nodes.extend(match (left, right) {
                (Some(left), Some(right)) => Some(union_node(left, right)),
                (Some(node), None) | (None, Some(node)) => Some(node.clone()),
                (None, None) => None,
            });
        });
        Self { nodes }
    }

    /// Paths in both sets.
    #[must_use]
    pub fn intersection(&self, other: &Self) -> Self {
        let mut nodes = Vec::new();
        if self.is_empty() || other.is_empty() {
            return Self { nodes };
        }
        zip(self, other, |left, right| {
            if let (Some(left), Some(right)) = (left, right) {
                nodes.push(Node {
                    element: left.element.clone(),
                    member: left.member && right.member,
                    children: left.children.intersection(&right.children),
                });
            }
        });
        nodes.retain(|node| !node.is_void());
        Self { nodes }
    }

    /// Paths of this set that are not in the other.
    #[must_use]
    pub fn difference(&self, other: &Self) -> Self {
        let mut left = self.clone();
        left.subtract(other);
        left
    }

    /// Paths of this set that are neither in the other nor below one of it.
    #[must_use]
    pub fn recursive_difference(&self, other: &Self) -> Self {
        let mut left = self.clone();
        left.subtract_recursively(other);
        left
    }

    /// Takes the paths of the other set out of this one.
    pub fn subtract(&mut self, other: &Self) {
        self.take_out(other, false);
    }

    /// Takes the paths of the other set, and all below them, out of this one.
    pub fn subtract_recursively(&mut self, other: &Self) {
        self.take_out(other, true);
    }

    fn take_out(&mut self, other: &Self, recursive: bool) {
        let mut void = false;
        for theirs in &other.nodes {
            if let Ok(at) = self.find(&theirs.element) {
                let node = &mut self.nodes[at];
                node.member &= !theirs.member;
                if recursive && theirs.member {
                    node.children.nodes.clear();
                } else {
                    node.children.take_out(&theirs.children, recursive);
                }
                void |= node.is_void();
            }
        }
        if void {
            self.nodes.retain(|node| !node.is_void());
        }
    }

    /// Paths in either set.
    #[must_use]
    pub fn into_union(mut self, other: Self) -> Self {
        self.absorb(other);
        self
    }

    /// Whether a path of the other set is in this one, or above one that is.
    pub(crate) fn is_touched_by(&self, other: &Self) -> bool {
        other.nodes.iter().any(|theirs| {
            self.find(&theirs.element).is_ok_and(|at| {
                theirs.member || self.nodes[at].children.is_touched_by(&theirs.children)
            })
        })
    }

    /// Whether a path is in both sets.
    pub fn intersects(&self, other: &Self) -> bool {
        self.nodes.iter().any(|node| {
            other.find(&node.element).is_ok_and(|at| {
                let theirs = &other.nodes[at];
                (node.member && theirs.member) || node.children.intersects(&theirs.children)
            })
        })
    }

    /// The paths that have no other path of the set below them.
    #[must_use]
    pub fn leaves(&self) -> Self {
        let nodes = self
            .nodes
            .iter()
            .map(|node| Node {
                element: node.element.clone(),
                member: node.member && node.children.is_empty(),
                children: node.children.leaves(),
            })
            .collect();
        Self { nodes }
    }
}

fn union_node(left: &Node, right: &Node) -> Node {
    Node {
        element: left.element.clone(),
        member: left.member || right.member,
        children: left.children.union(&right.children),
    }
}

/// Walks two levels side by side in order.
fn zip<'s>(
    left: &'s FieldSet,
    right: &'s FieldSet,
    mut visit: impl FnMut(Option<&'s Node>, Option<&'s Node>),
) {
    let (mut left, mut right) = (left.nodes.iter().peekable(), right.nodes.iter().peekable());
    loop {
        let order = match (left.peek(), right.peek()) {
            (None, None) => return,
            (Some(_), None) => Ordering::Less,
            (None, Some(_)) => Ordering::Greater,
            (Some(a), Some(b)) => a.element.cmp(&b.element),
        };
        match order {
            Ordering::Less => visit(left.next(), None),
            Ordering::Greater => visit(None, right.next()),
            Ordering::Equal => visit(left.next(), right.next()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parents_are_not_implied() {
        let set = FieldSet::of(&[&["a", "b"]]);
        assert!(set.has(&[Element::field("a"), Element::field("b")]));
        assert!(!set.has(&[Element::field("a")]));
    }

    #[test]
    fn a_difference_leaves_children_and_a_recursive_one_takes_them() {
        let set = FieldSet::of(&[&["a"], &["a", "b"], &["a", "b", "c"], &["d"]]);
        let taken = FieldSet::of(&[&["a", "b"]]);
        assert_eq!(
            set.difference(&taken),
            FieldSet::of(&[&["a"], &["a", "b", "c"], &["d"]])
        );
        assert_eq!(
            set.recursive_difference(&taken),
            FieldSet::of(&[&["a"], &["d"]])
        );
    }

    #[test]
    fn leaves_have_nothing_below() {
        let set = FieldSet::of(&[&["a"], &["a", "b"], &["c"]]);
        assert_eq!(set.leaves(), FieldSet::of(&[&["a", "b"], &["c"]]));
        assert_eq!(set.len(), 3);
    }
}
