//! NodeResourcesBalancedAllocation: CPU and memory of a node should be used up
//! alike. Since 1.36 the change that the pod makes is what counts: no change is
//! 75, the best 100, the worst 50.

use crate::node::NodeInfo;
use crate::pod::Wanted;

/// A pod that asks for nothing changes no balance, so it gets no score.
pub(super) fn score(wanted: &Wanted, node: &NodeInfo) -> i64 {
    let (needs, used) = (&wanted.footprint.needs, &node.used);
    if needs.cpu_milli == 0 && needs.memory == 0 {
        return 0;
    }
    let before = deviation(node, used.cpu_milli, used.memory);
    let after = deviation(
        node,
        used.cpu_milli.saturating_add(needs.cpu_milli),
        used.memory.saturating_add(needs.memory),
    );
    #[expect(clippy::cast_possible_truncation, reason = "between 50 and 100")]
    let score = (75.0 + (before - after) * 50.0) as i64;
    score
}

/// How far the used fractions of CPU and memory are apart, halved: 0 to 0.5.
fn deviation(node: &NodeInfo, cpu_milli: i64, memory: i64) -> f64 {
    let has = &node.allocatable;
    if has.cpu_milli == 0 || has.memory == 0 {
        return 0.0;
    }
    #[expect(clippy::cast_precision_loss, reason = "a score needs no more")]
    let fraction = |taken: i64, has: i64| (taken as f64 / has as f64).min(1.0);
    (fraction(cpu_milli, has.cpu_milli) - fraction(memory, has.memory)).abs() / 2.0
}
