//! What a forward pass is for, and so what it leaves behind.

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
    /// The first of two: the stage keeps its inputs, and nothing else.
    First,
    /// The second of two, just before E: the same values again, from the same inputs.
    Replay,
    /// The forward pass of an evaluation.
    Evaluate,
}

impl Pass {
    /// Whether the layer keeps what E and G need.
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
