//! NodeResourcesFit: whether the node has room, and (LeastAllocated) how much
//! would be left.

use std::borrow::Cow;

use super::{MAX_SCORE, Plugin, Refusal};
use crate::node::{NodeInfo, amount};
use crate::pod::{Needs, Wanted};

pub(super) fn filter(wanted: &Wanted, node: &NodeInfo) -> Result<(), Refusal> {
    let pods = i64::try_from(node.pods.len()).unwrap_or(i64::MAX);
    let (reasons, never) = lacking(wanted, node, &node.used, pods);
    if reasons.is_empty() {
        return Ok(());
    }
    Err(Refusal {
        plugin: Plugin::NodeResourcesFit,
        reasons,
        resolvable: !never,
    })
}

/// Whether the pod would fit on the node if nothing else were there.
pub(crate) fn fits_empty(wanted: &Wanted, node: &NodeInfo) -> bool {
    lacking(wanted, node, &Needs::default(), 0).0.is_empty()
}

/// What is lacking, and whether even an empty node would not do.
fn lacking(
    wanted: &Wanted,
    node: &NodeInfo,
    used: &Needs,
    pods: i64,
) -> (Vec<Cow<'static, str>>, bool) {
    let mut reasons: Vec<Cow<'static, str>> = Vec::new();
    if pods.saturating_add(1) > node.max_pods {
        reasons.push("Too many pods".into());
    }
    let needs = &wanted.footprint.needs;
    let has = &node.allocatable;
    if needs.is_none() {
        return (reasons, false);
    }
    let mut never = false;
    let mut check = |name: Cow<'static, str>, need: i64, has: i64, used: i64| {
        if need > 0 && need > has.saturating_sub(used) {
            reasons.push(name);
            never |= need > has;
        }
    };
    let said = |name| Cow::Borrowed(name);
    check(
        said("Insufficient cpu"),
        needs.cpu_milli,
        has.cpu_milli,
        used.cpu_milli,
    );
    check(
        said("Insufficient memory"),
        needs.memory,
        has.memory,
        used.memory,
    );
    check(
        said("Insufficient ephemeral-storage"),
        needs.ephemeral,
        has.ephemeral,
        used.ephemeral,
    );
    for (name, need) in &needs.others {
        let text = format!("Insufficient {name}");
        check(text.into(), *need, amount(has, name), amount(used, name));
    }
    (reasons, never)
}

/// The share of CPU and memory that would be left, of 100.
pub(super) fn score(wanted: &Wanted, node: &NodeInfo) -> i64 {
    let (needs, used, has) = (&wanted.footprint.needs, &node.used, &node.allocatable);
    let cpu = used.scored_cpu_milli.saturating_add(needs.scored_cpu_milli);
    let memory = used.scored_memory.saturating_add(needs.scored_memory);
    let (mut sum, mut weight) = (0, 0);
    for (taken, has) in [(cpu, has.cpu_milli), (memory, has.memory)] {
        if has > 0 {
            sum += left(taken, has);
            weight += 1;
        }
    }
    if weight == 0 { 0 } else { sum / weight }
}

fn left(taken: i64, has: i64) -> i64 {
    if taken > has {
        return 0;
    }
    let share = i128::from(has - taken) * i128::from(MAX_SCORE) / i128::from(has);
    // At most MAX_SCORE, since 0 <= has - taken <= has.
    i64::try_from(share).unwrap_or(MAX_SCORE)
}
