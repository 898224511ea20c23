//! The result of a minibatch: joins its parts, and says why a run has diverged.

use super::loss_task::BatchLoss;
use super::{Minibatch, Outcome};
use crate::run_error::{Cause, RunError};
use proto::control::StepDone;
use proto::link::Peer;
use proto::microbatch::Phase;
use proto::tensor::Kind;

/// The facts beyond a minibatch's own parts that explain a loss that is not finite.
pub(super) struct Around<'a, P> {
    /// The node of a stage.
    pub peer: P,
    /// The number format of the links.
    pub wire: Kind,
    /// The error signal of the training step before that the number format does not hold: [`lost_signal`].
    pub before: Option<&'a str>,
}

/// Joins the parts of a result.
///
/// # Errors
/// A stage that has lost or doubled an update, and a loss that is not finite.
pub(super) fn outcome<'p>(
    minibatch: Minibatch,
    batch: BatchLoss,
    stages: Vec<StepDone>,
    around: &Around<'_, impl Fn(usize) -> &'p Peer>,
) -> Result<Outcome, RunError> {
    let Minibatch { step, phase, epoch, indices, .. } = minibatch;
    let miscounted = |(_, done): &(usize, &StepDone)| phase == Phase::Train && done.updates != step;
    if let Some((stage, done)) = stages.iter().enumerate().find(miscounted) {
        let (peer, updates) = ((around.peer)(stage), done.updates);
        return Err(RunError::new(
            Cause::Violation,
            format!(
                "{peer} has made {updates} updates after {phase} step {step}: an update was lost or doubled; go back to a snapshot before it with --resume STEP"
            ),
        ));
    }
    if batch.finite && batch.loss.is_finite() {
        let (top1, top5) = batch.accuracy;
        let (samples, loss) = (indices.len(), batch.loss);
        return Ok(Outcome { step, phase, epoch, samples, loss, top1, top5, stages });
    }
    let why = diverged(&stages, around);
    Err(RunError::new(Cause::Diverged, format!("the loss of {phase} step {step} is not finite; {why}")))
}

/// The first output that was not finite, and the remedy.
fn diverged<'p>(stages: &[StepDone], around: &Around<'_, impl Fn(usize) -> &'p Peer>) -> String {
    let advice = "lower optimizer.lr or the rule's coefficients";
    let first = stages.iter().enumerate().find(|(_, done)| !done.finite);
    let Some((stage, done)) = first else {
        return format!("every stage's output was finite, so the loss itself overflowed: {advice}");
    };
    let peer = (around.peer)(stage);
    let output = done.overflow.filter(|overflow| !overflow.backward);
    let output = output.map(|overflow| format!("{peer} had an output of {}", shown(overflow.largest)));
    let Some(beyond) = output.or_else(|| around.before.map(str::to_owned)) else {
        return format!("{peer} was the first whose output was not finite: {advice}");
    };
    format!("{beyond}, and {} in a new run, or {advice}", wider(around.wire))
}

/// The end of the links' number format, and the formats that hold larger numbers.
pub fn wider(wire: Kind) -> String {
    let end = shown(f64::from(wire.largest()));
    let others = match wire {
        Kind::F16 => "\"bf16\" or \"f32\"",
        Kind::Bf16 | Kind::F32 => "\"f32\"",
    };
    format!("{wire}, the number format of the links, ends at {end}: set network.wire to {others}")
}

/// The error signal of a training step that the links' number format does not hold: that of the highest stage, where
/// error signals begin. The updates of the stages below are not finite then, and the next loss shows it.
pub(super) fn lost_signal<'p>(
    stages: &[StepDone],
    step: u64,
    peer: impl Fn(usize) -> &'p Peer,
) -> Option<String> {
    let lost = |(stage, done): (usize, &StepDone)| {
        let overflow = done.overflow.filter(|overflow| overflow.backward)?;
        let (peer, largest) = (peer(stage), shown(overflow.largest));
        Some(format!("{peer} had an error signal of {largest} in train step {step}"))
    };
    stages.iter().enumerate().rev().find_map(lost)
}

/// A magnitude for people.
pub fn shown(magnitude: f64) -> String {
    if magnitude < 1e7 { format!("{magnitude:.0}") } else { format!("{magnitude:.2e}") }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proto::control::Overflow;

    /// Why step 12 diverged, where the stages' outputs were finite or had these overflows.
    fn said(stages: &[(bool, Option<Overflow>)], wire: Kind, before: Option<&str>) -> String {
        let done = |&(finite, overflow): &(bool, Option<Overflow>)| StepDone {
            finite,
            overflow,
            ..StepDone::nothing(Phase::Train)
        };
        let peers: Vec<Peer> = (0..3).map(|index| Peer::stage(index).at("a:1")).collect();
        let stages: Vec<StepDone> = stages.iter().map(done).collect();
        diverged(&stages, &Around { peer: |stage: usize| &peers[stage], wire, before })
    }

    #[test]
    fn the_format_is_blamed_where_a_value_was_beyond_it_and_the_learning_rate_elsewhere() {
        let over = |largest, backward| Some(Overflow { largest, backward });
        let (good, bad) = ((true, None), (false, None));
        let output = said(&[good, (false, over(71_234.4, false)), bad], Kind::F16, None);
        assert!(output.starts_with("stage 1 at a:1 had an output of 71234, and f16, "), "{output}");
        assert!(output.contains("ends at 65504: set network.wire to \"bf16\" or \"f32\""), "{output}");
        let brain = said(&[(false, over(3.4e38, false))], Kind::Bf16, None);
        assert!(brain.contains("an output of 3.40e38, and bf16") && brain.contains("ends at 3.39e38"));
        let first = said(&[bad, (false, over(7e4, false))], Kind::F16, None);
        assert!(first.starts_with("stage 0 at a:1 was the first whose output was not finite: "), "{first}");
        let signal = said(&[bad, bad], Kind::F16, Some("stage 1 had an error signal of 1e9 in step 11"));
        assert!(signal.starts_with("stage 1 had an error signal of 1e9 in step 11, and f16"), "{signal}");
        let backward = said(&[(false, over(7e4, true))], Kind::F16, None);
        assert!(backward.contains("lower optimizer.lr"), "an error signal comes after the loss: {backward}");
        assert!(said(&[good], Kind::F32, None).starts_with("every stage's output was finite"));
    }
}
