//! The shape of a pipeline: the number of stages, the number of microbatches, and how far the forwards run ahead.

use proto::microbatch::MAX_MICROBATCHES;

/// A pipeline's size, checked: at least one stage, and 1 to [`MAX_MICROBATCHES`] microbatches.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Shape {
    stages: u32,
    microbatches: u32,
    ahead: u32,
}

/// The reason why no pipeline has this size, in one sentence.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ShapeError {
    /// The number of stages is 0.
    #[error("a pipeline has at least one stage")]
    NoStages,
    /// The requested number of microbatches is out of range.
    #[error("a minibatch is cut into 1 to {MAX_MICROBATCHES} microbatches, not {0}")]
    Microbatches(u32),
}

impl Shape {
    /// A shape of `stages` n, `microbatches` M, and `ahead`, the stages' worth of forwards beyond n that may be
    /// under way. An `ahead` of 1 counts the coordinator as a stage, so that the last stage need not idle while the
    /// loss is computed.
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

    /// n, the number of stages.
    pub fn stages(self) -> u32 {
        self.stages
    }

    /// M, the number of microbatches in a minibatch.
    pub fn microbatches(self) -> u32 {
        self.microbatches
    }

    /// The number of stages' worth of forwards that run ahead of the network's n.
    pub fn ahead(self) -> u32 {
        self.ahead
    }

    /// n − s + ahead: the forwards that stage s may run before its first error, if the microbatches suffice.
    ///
    /// # Panics
    /// If `stage` is not below `stages`.
    pub fn lead(self, stage: u32) -> u32 {
        assert!(stage < self.stages, "stage {stage} of {} stages", self.stages);
        (self.stages - stage).saturating_add(self.ahead)
    }

    /// The steps after a step of which stage 0 runs forwards before the update of that step, in an asynchronous pipeline
    /// with M microbatches in every step.
    pub fn lookahead(self) -> u32 {
        (self.lead(0) - 1).div_ceil(self.microbatches)
    }

    /// The delay of stage s in an asynchronous pipeline, in updates: so many stand between the forward and the backward pass
    /// of a microbatch, in the mean.
    ///
    /// # Panics
    /// If `stage` is not below `stages`.
    pub fn delay(self, stage: u32) -> f64 {
        f64::from(self.lead(stage) - 1) / f64::from(self.microbatches)
    }

    /// w = min(n − s + ahead, M): the forwards that stage s runs before its first error, and the
    /// most activations that it holds under one_f_one_b.
    ///
    /// # Panics
    /// If `stage` is not below `stages`.
    pub fn warm_up(self, stage: u32) -> u32 {
        self.lead(stage).min(self.microbatches)
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
