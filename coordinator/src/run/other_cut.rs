//! The refusal of a run whose nodes hold its state for other layers: in another cut, or in another order.

use proto::link::Peer;

/// The sentence about `node`, which holds snapshots of the run for other layers than those of its stage. The nodes
/// are on hosts of their own, where the coordinator cannot carry the state over.
pub fn other_cut(node: &Peer) -> String {
    format!(
        "{node} holds the snapshots of this run for other layers: give the addresses in the order of the stages, give the cut that the nodes have, or carry the state over: layer-node export --with-optimizer at every node of that cut, coordinator split --init with all these files and the configuration of the new cut, and layer-node import of its part at every node of the new cut (docs/weights.md has the commands)"
    )
}
