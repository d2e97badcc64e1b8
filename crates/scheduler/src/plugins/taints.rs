//! TaintToleration and NodeUnschedulable: nodes that repel pods.

use k8s_openapi::api::core::v1::{Taint, Toleration};

use super::normalise;
use crate::node::NodeInfo;
use crate::pod::Wanted;

/// Whether the pod tolerates every taint that keeps pods away.
pub(crate) fn tolerates(wanted: &Wanted, node: &NodeInfo) -> bool {
    let repels = |taint: &&Taint| matches!(taint.effect.as_str(), "NoSchedule" | "NoExecute");
    let mut repelling = node.taints.iter().filter(repels);
    repelling.all(|taint| {
        wanted
            .tolerations
            .iter()
            .any(|one| tolerates_taint(one, taint))
    })
}

/// A cordoned node counts as if it had the taint that cordoning gives it.
pub(super) fn tolerates_unschedulable(wanted: &Wanted) -> bool {
    let cordon = Taint {
        key: "node.kubernetes.io/unschedulable".to_owned(),
        effect: "NoSchedule".to_owned(),
        ..Taint::default()
    };
    wanted
        .tolerations
        .iter()
        .any(|one| tolerates_taint(one, &cordon))
}

/// Fewer untolerated `PreferNoSchedule` taints are better.
pub(super) fn score<'a>(wanted: &Wanted, nodes: impl Iterator<Item = &'a NodeInfo>) -> Vec<i64> {
    let effect = |one: &&Toleration| {
        let effect = one.effect.as_deref().unwrap_or_default();
        effect.is_empty() || effect == "PreferNoSchedule"
    };
    let tolerations: Vec<&Toleration> = wanted.tolerations.iter().filter(effect).collect();
    let untolerated = |node: &NodeInfo| {
        let soft = node
            .taints
            .iter()
            .filter(|t| t.effect == "PreferNoSchedule");
        let bad = soft.filter(|taint| !tolerations.iter().any(|one| tolerates_taint(one, taint)));
        i64::try_from(bad.count()).unwrap_or(i64::MAX)
    };
    normalise(nodes.map(untolerated).collect(), true)
}

fn tolerates_taint(toleration: &Toleration, taint: &Taint) -> bool {
    let effect = toleration.effect.as_deref().unwrap_or_default();
    let key = toleration.key.as_deref().unwrap_or_default();
    if (!effect.is_empty() && effect != taint.effect) || (!key.is_empty() && key != taint.key) {
        return false;
    }
    match toleration.operator.as_deref() {
        None | Some("" | "Equal") => {
            // Without a key only `Exists` may stand; validation sees to it.
            toleration.value.as_deref().unwrap_or_default()
                == taint.value.as_deref().unwrap_or_default()
        }
        Some("Exists") => true,
        Some(_) => false,
    }
}
