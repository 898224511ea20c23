//! `plan --measure --local`: the time and memory of layers and stages on this host, each stage alone on its own
//! node.
//!
//! ```text
//! every weight layer alone ─spans─▶ times of the layers ─▶ cut ─▶ every stage alone ─▶ peaks of memory
//! ```

use super::signals;
use crate::config::{Config, Pipeline, Stages};
use crate::data;
use crate::driver::{Alone, FailureCollector, alone};
use crate::model::Network;
use crate::node::{LocalNodes, Rooms, temporary};
use crate::partition::{self, Cuts, Estimator, LayerTime};
use crate::pipeline::{Schedule, Shape, lane};
use crate::prepare::{RunStart, cut_by, stages};
use crate::record::RunIdentity;
use crate::run_error::{Cause, RunError};
use proto::control::{Span, StepDone};
use proto::lane::Action;
use proto::microbatch::MicrobatchId;
use proto::spec::input::InputSpec;
use proto::spec::stage::StageSpec;
use std::ops::Range;
use std::path::Path;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// Steps that are not timed, because memory and caches are cold.
const WARM_UP: u64 = 1;
/// Steps that are timed.
const STEPS: u64 = 3;
/// Microbatches of a timed step: more microbatches take longer and tell no more.
const MICROBATCHES: u32 = 4;

/// The measurements of a network.
pub struct Measured {
    /// The estimator with the measured times.
    pub estimator: Estimator,
    /// The stages: as configured, or balanced by the measured times if the configuration gives only their number.
    pub ranges: Vec<Range<usize>>,
    /// The peak memory of each stage's process, in bytes, if the system reports it.
    pub peaks: Vec<Option<u64>>,
}

/// Measures the layers of `network`, cuts it, and measures its stages.
///
/// Nodes keep their files in a temporary folder. The folder is removed, unless a node failed: its log is there.
///
/// # Errors
/// The layers under measurement, and the reason why their node failed; or an interrupt.
pub async fn measure(config: &Config, network: &Network, estimator: Estimator) -> Result<Measured, RunError> {
    let stop = signals::listen(signals::GIVING_UP)?;
    let folder = temporary("measure")?;
    let bench = Bench { config, network, run: RunIdentity::draw()?.id, stop };
    let result = bench.measure(folder.path(), estimator).await;
    if matches!(&result, Err(failure) if failure.cause.is_of_a_node()) {
        let _ = folder.keep();
    }
    result
}

/// Measures stages of one network.
struct Bench<'a> {
    config: &'a Config,
    network: &'a Network,
    run: String,
    stop: CancellationToken,
}

/// The measurements of one stage.
struct Found {
    /// The times per sample, and of U per step.
    time: LayerTime,
    peak: Option<u64>,
}

impl Bench<'_> {
    async fn measure(&self, folder: &Path, estimator: Estimator) -> Result<Measured, RunError> {
        let pipeline = &self.config.pipeline;
        let fine = partition::cut(self.network, &Cuts::PerLayer, &estimator, None)
            .map_err(RunError::configuration)?;
        let once = pipeline.stages == Stages::PerLayer && !pipeline.recompute;
        let all = estimator.workload().microbatches;
        let microbatches = if once { all } else { all.min(MICROBATCHES) };
        let found = self.every(folder, &fine, microbatches, false).await?;
        let times = fine.iter().cloned().zip(found.iter().map(|found| found.time)).collect::<Vec<_>>();
        let times = estimator.share_out(&times);
        let estimator = estimator.measured(times).map_err(RunError::configuration)?;
        let ranges = cut_by(self.config, self.network, &estimator)?;
        let found = if once { found } else { self.every(folder, &ranges, all, pipeline.recompute).await? };
        Ok(Measured { estimator, ranges, peaks: found.into_iter().map(|found| found.peak).collect() })
    }

    /// Measures the stages at `ranges`, one after the other.
    async fn every(
        &self,
        folder: &Path,
        ranges: &[Range<usize>],
        microbatches: u32,
        recompute: bool,
    ) -> Result<Vec<Found>, RunError> {
        let start = RunStart { run: &self.run, incarnation: 1, restore: None, begin: None };
        let input = InputSpec::plain(self.network.input.shape[0] as usize);
        let mut specs = stages(self.config, self.network, &input, ranges, [1, 1], start)?;
        // A stage is measured alone: one process computes what its two halves do.
        specs.iter_mut().flat_map(|spec| &mut spec.layers).for_each(|layer| layer.split = false);
        let Pipeline { ahead, schedule, .. } = self.config.pipeline;
        // A stage alone has no neighbours whose pace would tell asynchronous lanes from these.
        let schedule = if schedule == Schedule::Asynchronous { Schedule::OneFOneB } else { schedule };
        let shape = Shape::new(ranges.len() as u32, microbatches, ahead).map_err(RunError::configuration)?;
        let size = self.config.train.batch.div_ceil(self.config.pipeline.microbatches);
        let minibatch = self.config.train.batch.min(size * microbatches);
        let mut found = Vec::with_capacity(ranges.len());
        for (spec, range) in specs.into_iter().zip(ranges) {
            let layers = &self.network.layers[range.clone()];
            let names = format!("{} … {}", layers[0].name, layers[layers.len() - 1].name);
            tracing::info!(stage = spec.index, of = ranges.len(), layers = %names, "measuring");
            let trial = Alone {
                lane: lane(schedule, spec.index, shape),
                spec: StageSpec { recompute, ..spec },
                minibatch,
                steps: WARM_UP + STEPS,
                connect_deadline: Duration::from_secs_f64(self.config.network.connect_deadline),
                message_deadline: Duration::from_secs_f64(self.config.network.message_deadline),
            };
            let done = self.one(folder, &trial).await;
            let (steps, peak) = done.map_err(|RunError { cause, sentence }| {
                RunError::new(cause, format!("while {names} were measured: {sentence}"))
            })?;
            let sizes = data::microbatches(minibatch as usize, microbatches as usize);
            let time = time(&steps[WARM_UP as usize..], &sizes.iter().map(Range::len).collect::<Vec<_>>());
            found.push(Found { time, peak });
        }
        Ok(found)
    }

    /// Runs one stage on a node that ends with the trial.
    async fn one(&self, folder: &Path, trial: &Alone) -> Result<(Vec<StepDone>, Option<u64>), RunError> {
        let failures = FailureCollector::default();
        let role = trial.spec.role();
        let nodes = LocalNodes::start(&[role], &Rooms::within(folder), &self.config.node, &failures).await?;
        let done = tokio::select! {
            biased;
            () = self.stop.cancelled() => Err(RunError::new(Cause::Interrupted, "the measurement was interrupted")),
            done = alone(trial, &nodes.addresses[0], &failures) => done,
        };
        let peak = nodes.peaks().into_iter().next().flatten();
        nodes.kill().await;
        done.map(|steps| (steps, peak))
    }
}

/// The median times of a stage's actions over all `steps`, per sample; microbatch m has `sizes[m]` samples.
fn time(steps: &[StepDone], sizes: &[usize]) -> LayerTime {
    let middle = |mut found: Vec<f64>| {
        found.sort_unstable_by(f64::total_cmp);
        found.get(found.len() / 2).copied().unwrap_or(0.0)
    };
    let seconds = |span: &Span| (span.end_ns - span.start_ns) as f64 / 1e9;
    let median = |of: &dyn Fn(Action) -> Option<usize>| {
        let per_sample = |span: &Span| Some(seconds(span) / of(span.action)? as f64);
        middle(steps.iter().flat_map(|step| step.spans.iter().filter_map(per_sample)).collect())
    };
    // U has a second span where B follows.
    let is_update = |span: &&Span| matches!(span.action, Action::Update(_));
    let update = |step: &StepDone| step.spans.iter().filter(is_update).map(seconds).sum();
    let size = |m: MicrobatchId| sizes.get(m.index as usize).copied();
    LayerTime {
        forward: median(&|action| if let Action::Forward(m) = action { size(m) } else { None }),
        error: median(&|action| if let Action::Error(m) = action { size(m) } else { None }),
        gradient: median(&|action| if let Action::Gradient(m) = action { size(m) } else { None }),
        update: middle(steps.iter().map(update).collect()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proto::microbatch::Phase;

    #[test]
    fn times_are_medians_per_sample_and_of_u_per_step() {
        let step = |seconds: f64, spans: &str| {
            let mut end_ns = 0;
            let span = |word: &str| {
                let action: Action = word.parse().unwrap();
                let samples = if action.to_string() == "F1" { 2.0 } else { 3.0 };
                let start_ns = end_ns;
                end_ns += (seconds * samples * 1e9) as u64;
                Span::of(action, start_ns, end_ns)
            };
            let spans = spans.split(' ').map(span).collect();
            StepDone { step: 1, updates: 1, spans, ..StepDone::nothing(Phase::Train) }
        };
        let lane = "F0 F1 E0 G0 U U";
        let steps = [step(2.0, lane), step(70.0, lane), step(5.0, lane)];
        let found = time(&steps, &[3, 2]);
        assert_eq!(found, LayerTime { forward: 5.0, error: 5.0, gradient: 5.0, update: 30.0 });
    }
}
