//! The result of a minibatch: joins its parts, and finds the reason why a run has diverged.

use super::loss_task::BatchLoss;
use super::{Minibatch, Outcome};
use crate::run_error::{Cause, RunError};
use proto::control::{Overflow, StepDone};
use proto::link::Carried;
use proto::link::{Peer, Role};
use proto::microbatch::Phase;
use proto::tensor::Kind;

/// The facts beyond a minibatch's own parts that explain a loss that is not finite.
pub(super) struct Around<'a, P> {
    /// The node at a place among all nodes.
    pub peer: P,
    /// The number format of the links.
    pub wire: Kind,
    /// The first value of the training steps before that the number format does not hold: [`lost_signal`].
    pub before: Option<&'a str>,
}

/// Joins the parts of a result; the reports are in the order of the nodes, stages first.
///
/// # Errors
/// A node that has lost or doubled an update, and a loss that is not finite.
pub(super) fn outcome<'p>(
    minibatch: Minibatch,
    batch: BatchLoss,
    reports: Vec<StepDone>,
    around: &Around<'_, impl Fn(usize) -> &'p Peer>,
) -> Result<Outcome, RunError> {
    let Minibatch { step, phase, epoch, indices, .. } = minibatch;
    let miscounted = |(_, done): &(usize, &StepDone)| phase == Phase::Train && done.updates != step;
    if let Some((node, done)) = reports.iter().enumerate().find(miscounted) {
        let (peer, updates) = ((around.peer)(node), done.updates);
        return Err(RunError::new(
            Cause::Violation,
            format!(
                "{peer} has made {updates} updates after {phase} step {step}: an update was lost or doubled; go back to a snapshot before it with --resume STEP"
            ),
        ));
    }
    let (mut stages, mut backward) = (Vec::new(), Vec::new());
    for (node, done) in reports.into_iter().enumerate() {
        match (around.peer)(node).role {
            Role::Backward(stage) => backward.push((stage, done)),
            Role::Stage(_) | Role::Coordinator | Role::Node => stages.push(done),
        }
    }
    if batch.finite && batch.loss.is_finite() {
        let (top1, top5) = batch.accuracy;
        let (samples, BatchLoss { loss, guesses, .. }) = (indices.len(), batch);
        return Ok(Outcome {
            step,
            phase,
            epoch,
            samples,
            loss,
            top1,
            top5,
            guesses,
            stages,
            backward,
            own: None,
        });
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
    let output = done.overflow.filter(|overflow| overflow.of == Carried::Activations);
    let output = output.map(|overflow| format!("{peer} had an output of {}", shown(overflow.largest)));
    let Some(beyond) = output.or_else(|| around.before.map(str::to_owned)) else {
        return format!("{peer} was the first whose output was not finite: {advice}");
    };
    format!("{beyond}, and {} in a new run, or {advice}", wider(around.wire))
}

/// The end of the links' number format, and the formats that hold larger numbers.
fn wider(wire: Kind) -> String {
    let end = shown(f64::from(wire.largest()));
    let others = match wire {
        Kind::F16 => "\"bf16\" or \"f32\"",
        Kind::Bf16 | Kind::F32 | Kind::U8 | Kind::Int8(_) => "\"f32\"",
    };
    format!("{wire}, the number format of the links, ends at {end}: set network.wire to {others}")
}

/// The value of a training step that is no output and that the links' number format does not hold. Of several, it is
/// that of the highest stage, where error signals begin. The updates from it are not finite, and a later loss shows
/// that.
pub(super) fn lost_signal<'p>(
    reports: &[StepDone],
    step: u64,
    peer: impl Fn(usize) -> &'p Peer,
) -> Option<String> {
    let lost = |(node, done): (usize, &StepDone)| {
        let Overflow { largest, of } = done.overflow?;
        let what = match of {
            Carried::Activations => return None,
            Carried::ErrorSignals => "an error signal",
            Carried::LayerValues => "a layer's value for its backward node",
        };
        Some((peer(node), what, largest))
    };
    // A stage hands the error at y to its backward node, which returns the error at x.
    let height = |role: Role| match role {
        Role::Stage(index) => (index, true),
        Role::Backward(index) => (index, false),
        Role::Coordinator | Role::Node => (0, false),
    };
    let lost = reports.iter().enumerate().filter_map(lost).max_by_key(|(peer, ..)| height(peer.role));
    lost.map(|(peer, what, largest)| {
        let largest = shown(largest);
        format!("{peer} had {what} of {largest} in train step {step}")
    })
}

/// A magnitude, readable for people.
fn shown(magnitude: f64) -> String {
    if magnitude < 1e7 { format!("{magnitude:.0}") } else { format!("{magnitude:.2e}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The reason why step 12 diverged, if the stages' outputs were finite or had these overflows.
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
        let over = |largest, of| Some(Overflow { largest, of });
        let output = Carried::Activations;
        let (good, bad) = ((true, None), (false, None));
        let why = said(&[good, (false, over(71_234.4, output)), bad], Kind::F16, None);
        assert!(why.starts_with("stage 1 at a:1 had an output of 71234, and f16, "), "{why}");
        assert!(why.contains("ends at 65504: set network.wire to \"bf16\" or \"f32\""), "{why}");
        let brain = said(&[(false, over(3.4e38, output))], Kind::Bf16, None);
        assert!(brain.contains("an output of 3.40e38, and bf16") && brain.contains("ends at 3.39e38"));
        let first = said(&[bad, (false, over(7e4, output))], Kind::F16, None);
        assert!(first.starts_with("stage 0 at a:1 was the first whose output was not finite: "), "{first}");
        let signal = said(&[bad, bad], Kind::F16, Some("stage 1 had an error signal of 1e9 in step 11"));
        assert!(signal.starts_with("stage 1 had an error signal of 1e9 in step 11, and f16"), "{signal}");
        let backward = said(&[(false, over(7e4, Carried::ErrorSignals))], Kind::F16, None);
        assert!(backward.contains("lower optimizer.lr"), "an error signal comes after the loss: {backward}");
        assert!(said(&[good], Kind::F32, None).starts_with("every stage's output was finite"));
    }

    #[test]
    fn the_error_signal_that_was_lost_first_is_that_of_the_highest_stage() {
        let peers = [Role::Stage(0), Role::Stage(1), Role::Backward(0), Role::Backward(1)]
            .map(|role| Peer::of(role).at("a:1"));
        let lost = |overflows: [f64; 4]| {
            let reports = overflows.map(|largest| StepDone {
                overflow: (largest > 0.0).then_some(Overflow { largest, of: Carried::ErrorSignals }),
                ..StepDone::nothing(Phase::Train)
            });
            let lost = lost_signal(&reports, 7, |node| &peers[node]);
            lost.map(|sentence| sentence.split(" had").next().unwrap().to_owned()).unwrap_or_default()
        };
        assert_eq!(lost([0.0; 4]), "");
        assert_eq!(lost([1.0, 0.0, 0.0, 2.0]), "stage 1, backward at a:1");
        assert_eq!(lost([1.0, 3.0, 0.0, 2.0]), "stage 1 at a:1");
        assert_eq!(lost([0.0, 0.0, 2.0, 0.0]), "stage 0, backward at a:1");
        let sent = |of| StepDone {
            overflow: Some(Overflow { largest: 7e4, of }),
            ..StepDone::nothing(Phase::Train)
        };
        let noise = lost_signal(&[sent(Carried::LayerValues)], 7, |_| &peers[1]);
        let due = "stage 1 at a:1 had a layer's value for its backward node of 70000 in train step 7";
        assert_eq!(noise.as_deref(), Some(due));
        assert_eq!(lost_signal(&[sent(Carried::Activations)], 7, |_| &peers[1]), None);
    }
}
