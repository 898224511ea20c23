//! The prediction of a recorded step: the simulation behind `plan`, with the times that the step's actions and messages
//! took.

use crate::driver::Task;
use crate::pipeline::timing::{Costs, LinkCost, Pace, StageCost, pace};
use crate::pipeline::{Schedule, Shape, strides};
use crate::record::{Message, ProcessLane, StepTimeline};
use proto::lane::{Action, Lane, WeightVersion};
use proto::link::Role;
use proto::microbatch::Phase;

/// The pace of a pipeline whose actions and messages take as long as those of `step`; `None` where a stage's W and B are
/// on two hosts, since the times between them are not known one by one, or where the record does not hold a whole step.
///
/// `asynchronous` is the `ahead` of a pipeline that flushes no step.
pub fn predicted(step: &StepTimeline, asynchronous: Option<u32>) -> Option<Pace> {
    if step.lanes.iter().any(|lane| matches!(lane.of, Role::Backward(_))) {
        return None;
    }
    let lanes = step.stages().map(lane).collect::<Option<Vec<Lane>>>()?;
    let stages: Vec<StageCost> = step.stages().map(cost).collect();
    let top = u32::try_from(stages.len().checked_sub(1)?).ok()?;
    let ends = |at: u32| {
        let below = at.checked_sub(1).map_or(Role::Coordinator, Role::Stage);
        let above = if at <= top { Role::Stage(at) } else { Role::Coordinator };
        [below, above]
    };
    let link = |at: u32| {
        let [below, above] = ends(at);
        LinkCost { forward: way(step, below, above), error: way(step, above, below), ..LinkCost::default() }
    };
    let losses = step.lanes.iter().flat_map(|lane| &lane.tasks).filter(|task| task.task == Task::Loss);
    let loss = mean(losses.map(|task| task.end_s - task.start_s));
    let links = (0..=top + 1).map(link).collect();
    let lanes = match asynchronous {
        None => lanes,
        Some(ahead) => {
            let microbatches = *lanes.first()?.microbatches().first()?;
            strides(Schedule::Asynchronous, Shape::new(top + 1, microbatches, ahead).ok()?, 0)
        }
    };
    let costs = Costs { stages, links, loss, backward: Vec::new(), at_once: None };
    pace(&lanes, &costs).ok()
}

/// The order of a stage's actions.
fn lane(stage: &ProcessLane) -> Option<Lane> {
    let whole = stage.actions.iter().filter(|action| !action.backward);
    let actions = whole.map(|action| action.action.parse::<Action>().ok()).collect::<Option<Vec<_>>>()?;
    Lane::new(Phase::Train, WeightVersion::OfForward, actions).ok()
}

/// The mean times of a stage's actions.
fn cost(stage: &ProcessLane) -> StageCost {
    let of = |first: char, backward: bool| {
        let spans = stage.actions.iter().filter(move |action| action.backward == backward);
        let spans = spans.filter(move |action| action.action.starts_with(first));
        spans.map(|action| action.end_s - action.start_s)
    };
    let [forward, error, gradient, update] = ['F', 'E', 'G', 'U'].map(|first| mean(of(first, false)));
    let follow = of('U', true).map(|seconds| seconds.max(0.0)).sum();
    StageCost { forward, error, gradient, update, follow, followers: u32::from(follow > 0.0) }
}

/// The mean time of the messages between two processes for which the receiver waited already when they left. Others may
/// have lain before a receiver without room, and hold nobody up.
fn way(step: &StepTimeline, from: Role, to: Role) -> f64 {
    let messages = step.messages.iter().filter(|message| (message.from, message.to) == (from, to));
    let took = |message: &Message| {
        let left = message.left_s()?;
        message.awaited_s.filter(|awaited| *awaited <= left).and(Some(message.came_s()? - left))
    };
    mean(messages.filter_map(took))
}

fn mean(times: impl Iterator<Item = f64>) -> f64 {
    let (sum, count) = times.fold((0.0, 0_u32), |(sum, count), time| (sum + time.max(0.0), count + 1));
    if count > 0 { sum / f64::from(count) } else { 0.0 }
}
