//! The schedules of one plan beside each other: which is the fastest for this network, cut and these rates, and what it
//! costs in memory.

use super::{PlanError, pace_of};
use crate::partition::{Estimator, Workload};
use crate::pipeline::timing::Costs;
use crate::pipeline::{Held, Schedule};
use proto::host::Bytes;
use serde::Serialize;
use std::ops::Range;

/// Shares of the time by which a schedule must be faster to be called so: predictions are no more exact.
const ALIKE: f64 = 0.005;

/// The prediction of one schedule.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct PlannedSchedule {
    /// The schedule's name in a configuration.
    pub schedule: String,
    /// Seconds of one step among consecutive steps. An asynchronous step may have other samples than N.
    pub step_seconds: f64,
    /// Samples of a step over those seconds.
    pub images_per_s: f64,
    /// The share of all stages' time in which they wait, 0 to 1.
    pub bubble: f64,
    /// The predicted peak of the largest node, in bytes.
    pub memory_bytes: u64,
}

/// The predictions of all schedules for the stages `ranges` with `costs`, the configured one first.
///
/// # Errors
/// A size that no pipeline has.
pub(super) fn planned(
    ranges: &[Range<usize>],
    estimator: &Estimator,
    costs: &Costs,
) -> Result<Vec<PlannedSchedule>, PlanError> {
    let configured = estimator.workload().schedule;
    // Asynchronous lanes cannot compute a forward pass again.
    let fits = |schedule: Schedule| schedule != Schedule::Asynchronous || !estimator.workload().recompute;
    let others = Schedule::ALL.into_iter().filter(|schedule| *schedule != configured && fits(*schedule));
    let predicted = |schedule: Schedule| {
        let workload = Workload { schedule, ..estimator.workload().clone() };
        let lanes = workload.lanes(ranges.len() as u32)?;
        let pace = pace_of(&workload, ranges.len(), costs)?;
        let memory = ranges.iter().zip(&lanes).map(|(range, lane)| {
            let held = Held::of(lane);
            let backward = estimator.backward_memory(range.clone(), &held).map_or(0, |memory| memory.total());
            estimator.stage(range.clone(), &held).memory.total().max(backward)
        });
        Ok(PlannedSchedule {
            schedule: schedule.to_string(),
            step_seconds: pace.step,
            images_per_s: f64::from(workload.step_samples()) / pace.step,
            bubble: pace.bubble(),
            memory_bytes: memory.max().unwrap_or(0),
        })
    };
    std::iter::once(configured).chain(others).map(predicted).collect()
}

/// The predicted speed of every schedule, in one line.
pub(super) fn speeds(schedules: &[PlannedSchedule]) -> String {
    let told = |one: &PlannedSchedule| format!("{} {:.1}", one.schedule, one.images_per_s);
    format!("images/s by schedule: {}\n", schedules.iter().map(told).collect::<Vec<_>>().join(", "))
}

/// A sentence on the schedule that pays, and one on what the asynchronous one would change, from the predictions of
/// [`planned`], where `delay` is the longest delay of a stage under it, in updates.
pub(super) fn advice(schedules: &[PlannedSchedule], delay: f64) -> String {
    let is_flushed = |one: &&PlannedSchedule| one.schedule != Schedule::Asynchronous.to_string();
    let flushed: Vec<PlannedSchedule> = schedules.iter().filter(is_flushed).cloned().collect();
    let configured = schedules.first().is_some_and(|one| is_flushed(&one));
    let asynchronous = schedules.iter().find(|one| !is_flushed(one));
    let sentences = [
        configured.then(|| flushed_advice(&flushed)),
        asynchronous.and_then(|one| asynchronous_advice(one, &flushed, delay)),
    ];
    sentences.into_iter().flatten().collect::<Vec<_>>().join("\n")
}

/// What the asynchronous schedule changes beside the fastest one that flushes.
fn asynchronous_advice(one: &PlannedSchedule, flushed: &[PlannedSchedule], delay: f64) -> Option<String> {
    let best = flushed.iter().max_by(|a, b| a.images_per_s.total_cmp(&b.images_per_s))?;
    let faster = 100.0 * (one.images_per_s / best.images_per_s - 1.0);
    let (speed, other) = (one.images_per_s, best.images_per_s);
    Some(match faster >= 100.0 * ALIKE {
        true => format!(
            "asynchrony pays {faster:.1} %: {speed:.1} images/s under \"asynchronous\" and {other:.1} under \"{}\", for delays \
             of up to {delay:.2} updates, by which the numbers of the run differ",
            best.schedule
        ),
        false => format!(
            "asynchrony does not pay: {speed:.1} images/s under \"asynchronous\" and {other:.1} under \"{}\", which changes no \
             number of the run",
            best.schedule
        ),
    })
}

/// One sentence on the schedule that pays, of those that change no number. Of schedules that are equally fast the one with
/// the least memory pays.
fn flushed_advice(schedules: &[PlannedSchedule]) -> String {
    let [configured, ..] = schedules else { return String::new() };
    let least = schedules.iter().map(|one| one.step_seconds).fold(f64::INFINITY, f64::min);
    let fast = schedules.iter().filter(|one| one.step_seconds <= least * (1.0 + ALIKE));
    let Some(best) = fast.min_by_key(|one| one.memory_bytes) else { return String::new() };
    let told = |one: &PlannedSchedule| {
        let PlannedSchedule { schedule, step_seconds, memory_bytes, .. } = one;
        format!("{schedule} {step_seconds:.3} s and {}", Bytes(*memory_bytes))
    };
    if best.schedule == configured.schedule {
        let others: Vec<String> = schedules[1..].iter().map(told).collect();
        return format!(
            "no schedule pays more than {}: a step takes {:.3} s with it, and the largest node {} ({})",
            best.schedule,
            best.step_seconds,
            Bytes(best.memory_bytes),
            others.join(", ")
        );
    }
    let faster = 100.0 * (configured.step_seconds / best.step_seconds - 1.0);
    let speed = match faster >= 100.0 * ALIKE {
        true => format!("is {faster:.1} % faster than"),
        false => "is as fast as".to_owned(),
    };
    let memory = match best.memory_bytes.cmp(&configured.memory_bytes) {
        std::cmp::Ordering::Equal => format!("in the same {}", Bytes(best.memory_bytes)),
        _ => format!("with {} instead of {}", Bytes(best.memory_bytes), Bytes(configured.memory_bytes)),
    };
    format!(
        "pipeline.schedule = \"{}\" pays: it {speed} {}, {memory} in the largest node",
        best.schedule, configured.schedule
    )
}
