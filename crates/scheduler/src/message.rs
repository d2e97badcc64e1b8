//! What people read when a pod cannot be placed: the text of the PodScheduled
//! condition and of the FailedScheduling event, word for word as upstream says it,
//! because tools match on it.

use std::borrow::Cow;
use std::collections::BTreeMap;

/// Said when there is no node at all.
pub(crate) const NO_NODES: &str = "no nodes available to schedule pods";
/// Of nodes from which taking pods away would not help.
pub(crate) const NOT_HELPFUL: &str = "Preemption is not helpful for scheduling";
/// Of nodes that hold no pod of lower priority.
pub(crate) const NO_VICTIMS: &str = "No preemption victims found for incoming pod";
/// Of a pod that may not preempt.
pub(crate) const NEVER: &str = "not eligible due to preemptionPolicy=Never.";
/// Of a pod for which victims are going already.
pub(crate) const WAITING: &str = "not eligible due to a terminating pod on the nominated node.";

/// How often each reason was given.
#[derive(Debug, Default)]
pub(crate) struct Reasons(BTreeMap<Cow<'static, str>, usize>);

impl Reasons {
    pub(crate) fn add(&mut self, reason: impl Into<Cow<'static, str>>, nodes: usize) {
        if nodes > 0 {
            *self.0.entry(reason.into()).or_default() += nodes;
        }
    }

    /// `0/3 nodes are available: 1 …, 2 ….`, sorted as texts, so 10 comes before 2.
    pub(crate) fn text(&self, nodes: usize) -> String {
        let mut said: Vec<String> = self
            .0
            .iter()
            .map(|(reason, n)| format!("{n} {reason}"))
            .collect();
        said.sort();
        let mut text = format!("0/{nodes} nodes are available:");
        if !said.is_empty() {
            text.push(' ');
            text.push_str(&said.join(", "));
            text.push('.');
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reasons_are_counted_and_sorted_as_texts() {
        let mut reasons = Reasons::default();
        reasons.add("Insufficient cpu", 2);
        reasons.add("node(s) had untolerated taint(s)", 10);
        reasons.add("Insufficient cpu", 1);
        reasons.add("Too many pods", 0);
        assert_eq!(
            reasons.text(13),
            "0/13 nodes are available: 10 node(s) had untolerated taint(s), 3 Insufficient cpu."
        );
    }
}
