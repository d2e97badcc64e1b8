//! ImageLocality: nodes that have the pod's images already, the more by size the
//! better; an image that few nodes have counts less, so that it does not draw all
//! pods to them.

use super::MAX_SCORE;
use crate::node::NodeInfo;
use crate::pod::Wanted;
use crate::snapshot::Snapshot;

const MIB: i64 = 1024 * 1024;
/// Less than this on the node is worth nothing.
const MIN_BYTES: i64 = 23 * MIB;
/// More than this for each container is worth nothing more.
const MAX_BYTES_EACH: i64 = 1000 * MIB;

pub(super) fn score(wanted: &Wanted, node: &NodeInfo, snapshot: &Snapshot) -> i64 {
    let nodes = i64::try_from(snapshot.nodes.len())
        .unwrap_or(i64::MAX)
        .max(1);
    let spread = |image: &str| {
        let size = node.images.get(image)?;
        let holders = i64::from(snapshot.holders(image));
        let scaled = i128::from(*size) * i128::from(holders) / i128::from(nodes);
        i64::try_from(scaled).ok()
    };
    let sum: i64 = wanted.images.iter().filter_map(|image| spread(image)).sum();
    let containers = i64::try_from(wanted.images.len()).unwrap_or(i64::MAX);
    let most = MAX_BYTES_EACH.saturating_mul(containers);
    if most <= MIN_BYTES {
        return 0;
    }
    MAX_SCORE * (sum.clamp(MIN_BYTES, most) - MIN_BYTES) / (most - MIN_BYTES)
}
