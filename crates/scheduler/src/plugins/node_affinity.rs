//! NodeAffinity: the pod's node selector, required and preferred node affinity.

use smol_str::SmolStr;

use super::normalise;
use crate::node::NodeInfo;
use crate::pod::Wanted;

/// Whether the node satisfies selector and required affinity.
pub(crate) fn required_matches(wanted: &Wanted, node: &NodeInfo) -> bool {
    let labels = node.labels();
    wanted.node_selector.matches(labels)
        && wanted
            .node_terms
            .as_ref()
            .is_none_or(|terms| terms.iter().any(|term| term.matches(node.name(), labels)))
}

/// The only nodes that come into question, when every term of the required
/// affinity names its nodes, as those of daemon sets do. Sorted.
pub(crate) fn allowed_names(wanted: &Wanted) -> Option<Vec<SmolStr>> {
    let terms = wanted
        .node_terms
        .as_ref()
        .filter(|terms| !terms.is_empty())?;
    let mut names = Vec::new();
    for term in terms {
        names.extend_from_slice(term.only_names()?);
    }
    names.sort();
    names.dedup();
    Some(names)
}

/// The weights of the preferences that hold.
pub(super) fn score<'a>(wanted: &Wanted, nodes: impl Iterator<Item = &'a NodeInfo>) -> Vec<i64> {
    let sum = |node: &NodeInfo| {
        let hold = wanted.preferred_nodes.iter();
        hold.filter(|(_, term)| term.matches(node.name(), node.labels()))
            .map(|(weight, _)| weight)
            .sum()
    };
    normalise(nodes.map(sum).collect(), false)
}
