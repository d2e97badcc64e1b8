//! What must change in the kernel to get from one ruleset to another.
//!
//! Pure. Invariant: the operations are in an order that the kernel accepts in one
//! transaction: a thing exists before it is referred to, and is referred to no
//! more when it goes. Dynamic sets that stay are not touched, so session
//! affinity survives every update.

use super::{Atom, Chain, Ruleset, Set, Stmt, Value};

/// One step; sets and chains are named, elements belong to the set named.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Op<'a> {
    AddSet(&'a str, &'a Set),
    AddChain(&'a str, &'a Chain),
    FlushChain(&'a str),
    AddRule(&'a str, &'a [Stmt]),
    DeleteElements(&'a str, Vec<&'a [Atom]>),
    AddElements(&'a str, &'a Set, Vec<(&'a [Atom], &'a Value)>),
    DeleteChain(&'a str),
    DeleteSet(&'a str),
}

/// The steps from `old` to `new`; none when they are equal.
pub(crate) fn diff<'a>(old: &'a Ruleset, new: &'a Ruleset) -> Vec<Op<'a>> {
    let mut ops = Vec::new();
    ops.extend(
        new.sets
            .iter()
            .filter(|(n, _)| !old.sets.contains_key(*n))
            .map(|(n, s)| Op::AddSet(n, s)),
    );
    ops.extend(
        new.chains
            .iter()
            .filter(|(n, _)| !old.chains.contains_key(*n))
            .map(|(n, c)| Op::AddChain(n, c)),
    );
    // Old elements first: they may point to chains that go, or have another value now.
    for (name, set) in &old.sets {
        let kept = new.sets.get(name);
        let gone = set
            .elements
            .iter()
            .filter(|(k, v)| kept.is_none_or(|s| s.elements.get(*k) != Some(v)));
        let gone: Vec<_> = gone.map(|(k, _)| k.as_slice()).collect();
        if !gone.is_empty() {
            ops.push(Op::DeleteElements(name, gone));
        }
    }
    for (name, chain) in &old.chains {
        if new.chains.get(name).is_none_or(|c| c.rules != chain.rules) && !chain.rules.is_empty() {
            ops.push(Op::FlushChain(name));
        }
    }
    for (name, chain) in &new.chains {
        if old.chains.get(name).is_none_or(|c| c.rules != chain.rules) {
            ops.extend(chain.rules.iter().map(|rule| Op::AddRule(name, rule)));
        }
    }
    for (name, set) in &new.sets {
        let had = old.sets.get(name);
        let fresh = set
            .elements
            .iter()
            .filter(|(k, v)| had.is_none_or(|s| s.elements.get(*k) != Some(v)));
        let fresh: Vec<_> = fresh.map(|(k, v)| (k.as_slice(), v)).collect();
        if !fresh.is_empty() {
            ops.push(Op::AddElements(name, set, fresh));
        }
    }
    ops.extend(
        old.chains
            .keys()
            .filter(|n| !new.chains.contains_key(*n))
            .map(|n| Op::DeleteChain(n)),
    );
    ops.extend(
        old.sets
            .keys()
            .filter(|n| !new.sets.contains_key(*n))
            .map(|n| Op::DeleteSet(n)),
    );
    ops
}
