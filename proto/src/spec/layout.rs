//! The memory order of values with planes, such as a convolution's input.

use serde::{Deserialize, Serialize};
use std::fmt;

/// The memory order of a value of shape `(N, C, H, W)`, within a stage and on the links. Values of other shapes are
/// row-major, and so is the network's input, which crosses in bytes.
///
/// Both orders give the same numbers but for rounding, since kernels add in other orders.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Layout {
    /// N, H, W, C: the channels of a position lie side by side, as the fast kernels of convolutions, norms and poolings
    /// read them.
    #[default]
    ChannelsLast,
    /// N, C, H, W.
    RowMajor,
}

impl fmt::Display for Layout {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.serialize(f)
    }
}
