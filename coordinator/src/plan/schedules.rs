//! The schedules of one plan beside each other: which is the fastest for this network, cut and these rates, and what it
//! costs in memory.

use super::PlanError;
use crate::partition::{Estimator, Workload};
use crate::pipeline::timing::{Costs, pace};
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
    /// Seconds of one step of N samples among consecutive steps.
    pub step_seconds: f64,
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
    let others = Schedule::ALL.into_iter().filter(|schedule| *schedule != configured);
    let predicted = |schedule: Schedule| {
        let workload = Workload { schedule, ..estimator.workload().clone() };
        let lanes = workload.lanes(ranges.len() as u32)?;
        let pace = pace(&workload.strides(ranges.len() as u32)?, costs)?;
        let memory = ranges.iter().zip(&lanes).map(|(range, lane)| {
            let held = Held::of(lane);
            let backward = estimator.backward_memory(range.clone(), &held).map_or(0, |memory| memory.total());
            estimator.stage(range.clone(), &held).memory.total().max(backward)
        });
        Ok(PlannedSchedule {
            schedule: schedule.to_string(),
            step_seconds: pace.step,
            bubble: pace.bubble(),
            memory_bytes: memory.max().unwrap_or(0),
        })
    };
    std::iter::once(configured).chain(others).map(predicted).collect()
}

/// One sentence on the schedule that pays, from the predictions of [`planned`]. Of schedules that are equally fast the one
/// with the least memory pays.
pub(super) fn advice(schedules: &[PlannedSchedule]) -> String {
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
