//! The purposes of a forward pass, which decide the state that it leaves behind.

/// Why a layer's forward function is called.
///
/// | | norms use | running statistics | kept for E and G |
/// |---|---|---|---|
/// | `Train` | the microbatch's own statistics | move | yes |
/// | `First` | the microbatch's own statistics | move | no |
/// | `Replay` | the microbatch's own statistics | stay | yes |
/// | `Evaluate` | the running statistics | stay | no |
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pass {
    /// The one forward pass of a microbatch that is trained on.
    Train,
    /// The first of two forward passes: the stage keeps its inputs, and no other value.
    First,
    /// The second of two forward passes, just before E: it computes the same values again, from the same inputs.
    Replay,
    /// The forward pass of an evaluation.
    Evaluate,
}

impl Pass {
    /// Whether the layer keeps the values that E and G need.
    pub fn keeps(self) -> bool {
        matches!(self, Self::Train | Self::Replay)
    }

    /// Whether running statistics move.
    pub fn moves(self) -> bool {
        matches!(self, Self::Train | Self::First)
    }

    /// Whether norms use the statistics of the microbatch.
    pub fn trains(self) -> bool {
        self != Self::Evaluate
    }
}
