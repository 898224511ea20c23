//! The size of a pipeline: how many stages, how many microbatches, how far ahead the forwards run.

use proto::microbatch::MAX_MICROBATCHES;

/// A pipeline's size, checked: at least one stage, and 1 to [`MAX_MICROBATCHES`] microbatches.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Shape {
    stages: u32,
    microbatches: u32,
    ahead: u32,
}

/// Why no pipeline has this size, in one sentence.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ShapeError {
    /// There is nothing to run.
    #[error("a pipeline has at least one stage")]
    NoStages,
    /// The number of microbatches that was asked for is out of range.
    #[error("a minibatch is cut into 1 to {MAX_MICROBATCHES} microbatches, not {0}")]
    Microbatches(u32),
}

impl Shape {
    /// `stages` n, `microbatches` M, and `ahead`, the stages' worth of forwards beyond n that may be
    /// under way; 1 counts the coordinator, so that the last stage need not idle while the loss is made.
    ///
    /// # Errors
    /// No stages, no microbatches, or more than [`MAX_MICROBATCHES`] of them.
    pub fn new(stages: u32, microbatches: u32, ahead: u32) -> Result<Self, ShapeError> {
        if stages == 0 {
            return Err(ShapeError::NoStages);
        }
        if microbatches == 0 || microbatches > MAX_MICROBATCHES {
            return Err(ShapeError::Microbatches(microbatches));
        }
        Ok(Self { stages, microbatches, ahead })
    }

    /// n, how many stages the network is cut into.
    pub fn stages(self) -> u32 {
        self.stages
    }

    /// M, how many microbatches a minibatch is cut into.
    pub fn microbatches(self) -> u32 {
        self.microbatches
    }

    /// How many stages' worth of forwards run ahead of the n that the network has.
    pub fn ahead(self) -> u32 {
        self.ahead
    }

    /// w = min(n − s + ahead, M): the forwards that stage s runs before its first error, and the
    /// most activations that it holds under one_f_one_b.
    ///
    /// # Panics
    /// If `stage` is not below `stages`.
    pub fn warm_up(self, stage: u32) -> u32 {
        assert!(stage < self.stages, "stage {stage} of {} stages", self.stages);
        (self.stages - stage).saturating_add(self.ahead).min(self.microbatches)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_no_pipeline_has_is_refused_in_a_sentence() {
        let refusal = |stages, microbatches| Shape::new(stages, microbatches, 1).unwrap_err().to_string();
        assert_eq!(refusal(0, 4), "a pipeline has at least one stage");
        assert_eq!(refusal(3, 0), "a minibatch is cut into 1 to 4096 microbatches, not 0");
        assert_eq!(refusal(3, 4097), "a minibatch is cut into 1 to 4096 microbatches, not 4097");
    }

    #[test]
    fn the_warm_up_shrinks_towards_the_loss_and_never_exceeds_the_minibatch() {
        let warm_ups = |microbatches, ahead| {
            let shape = Shape::new(3, microbatches, ahead).unwrap();
            [0, 1, 2].map(|stage| shape.warm_up(stage))
        };
        assert_eq!(warm_ups(6, 1), [4, 3, 2]);
        assert_eq!(warm_ups(6, 0), [3, 2, 1]);
        assert_eq!(warm_ups(2, 1), [2, 2, 2]);
        assert_eq!(warm_ups(4096, u32::MAX), [4096; 3]);
    }
}
