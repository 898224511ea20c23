//! The warnings of a plan: links that slow the stages down, stages that wait, and stages with much more work than
//! others.

use super::{Plan, PlannedStage};

/// The bubble beyond which more microbatches would help.
const BUBBLE: f64 = 0.5;
/// The share of a step that a stage waits for its backward node, beyond which the plan warns.
const ASKING: f64 = 0.5;
/// The ratio of the busiest stage to the mean beyond which the plan warns.
const UNEVEN: f64 = 1.5;

/// The warnings, one sentence each.
pub(super) fn of(plan: &Plan) -> Vec<String> {
    let busiest = plan.stages.iter().map(|stage| stage.compute_s).fold(0.0, f64::max);
    let links = plan.stages.iter().filter_map(|stage| slow_link(plan, stage, busiest));
    let asking = plan.stages.iter().filter_map(|stage| asking(plan, stage));
    links.chain(asking).chain(bubble(plan)).chain(uneven(plan, busiest)).collect()
}

/// Warns of a stage that waits for its backward node for most of a step.
fn asking(plan: &Plan, stage: &PlannedStage) -> Option<String> {
    let half = stage.backward.as_ref()?;
    let (s, waits, step) = (stage.stage, half.asking_s, plan.step_seconds);
    (waits > ASKING * step).then(|| {
        let trips = half.round_trips;
        let plural = if trips == 1 { "" } else { "s" };
        format!(
            "stage {s} waits for its backward node for {waits:.3} s of a step of {step:.3} s, with {trips} round \
             trip{plural} per microbatch: fewer layers per stage or in pipeline.placement, or a faster link between the \
             two, would shorten the step"
        )
    })
}

/// Warns of a host whose messages occupy its link for longer than any stage computes: the link decides the time of a
/// step.
fn slow_link(plan: &Plan, stage: &PlannedStage, busiest: f64) -> Option<String> {
    let half = stage.backward.as_ref();
    let seconds = stage.link_forward_s + stage.link_backward_s + half.map_or(0.0, |half| half.link_to_s);
    let s = stage.stage as usize;
    let above = if s + 1 < plan.stages.len() { format!("stage {}", s + 1) } else { "the coordinator".into() };
    let below = s.checked_sub(1).map(|below| format!("stage {below}")).unwrap_or_default();
    let sent = [(stage.bytes_forward, "activations", above), (stage.bytes_backward, "errors", below)];
    let said = |bytes: u64, what: &str, to: &str| {
        let mib = bytes as f64 / f64::from(1 << 20);
        format!("{mib:.1} MiB of {what} to {to}")
    };
    let samples = u64::from(plan.batch);
    let ring = sent.into_iter().filter(|(bytes, ..)| *bytes > 0);
    let ring = ring.map(|(bytes, what, to)| said(bytes * samples, what, &to));
    let split = half.map(|half| said(half.bytes_to, "layers' values", "its backward node"));
    let sent = ring.chain(split).collect::<Vec<_>>().join(" and ");
    (seconds > busiest).then(|| {
        format!(
            "the link of stage {s} is the bottleneck: {sent} per step take {seconds:.3} s at {}, and no stage \
             computes for more than {busiest:.3} s; cut elsewhere, send bf16, or use a faster link",
            plan.rates.link
        )
    })
}

fn bubble(plan: &Plan) -> Option<String> {
    let percent = plan.bubble * 100.0;
    let asynchronous = plan.stages.iter().any(|stage| stage.delay.is_some());
    let plural = if plan.microbatches == 1 { "" } else { "es" };
    let remedy = match asynchronous {
        true => "a more even cut, or a higher pipeline.ahead where links are slow, would keep them busy"
            .to_owned(),
        false => {
            format!("more than {} microbatch{plural} or fewer stages would keep them busy", plan.microbatches)
        }
    };
    (plan.bubble > BUBBLE && plan.stages.len() > 1)
        .then(|| format!("stages wait for {percent:.0} % of the time: {remedy}"))
}

fn uneven(plan: &Plan, busiest: f64) -> Option<String> {
    let mean = plan.stages.iter().map(|stage| stage.compute_s).sum::<f64>() / plan.stages.len() as f64;
    let stage = plan.stages.iter().find(|stage| stage.compute_s == busiest)?;
    (busiest > UNEVEN * mean).then(|| {
        format!(
            "stage {} computes {:.1} times as long as the mean stage: all others wait for it",
            stage.stage,
            busiest / mean
        )
    })
}
