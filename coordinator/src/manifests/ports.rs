//! The ports of all pods. The manifests use their numbers everywhere, since a gRPC probe does not take a port's name.

/// The data plane of a node.
pub const DATA: u16 = 7100;
/// The control plane of a node.
pub const CONTROL: u16 = 7101;
/// The health of a node, in plaintext.
pub const HEALTH: u16 = 7102;
/// The metrics of a node or of the coordinator, in plaintext.
pub const METRICS: u16 = 7103;
