//! Everything that follows from a configuration and its data, before anything is started.

use super::alarm::Alarm;
use super::folder::DataMark;
use crate::config::{Config, Stages};
use crate::data::{Augment, Loader, Normalization, Sampler, Split, microbatches, open};
use crate::driver::Sets;
use crate::model::Network;
use crate::partition::{self, Cuts, Estimator, LinkRate, Rates, Workload, slices};
use crate::pipeline::{self, Shape};
use crate::rule::KOLEN_POLLACK;
use crate::run_error::RunError;
use proto::lane::{Lane, Phase};
use proto::spec::graph::LayerSpec;
use proto::spec::rule::RuleSpec;
use proto::spec::stage::StageSpec;
use std::collections::HashMap;
use std::ops::Range;
use std::sync::Arc;

/// A run that could start.
pub struct Prepared {
    /// What was asked for.
    pub config: Config,
    /// Inputs and labels.
    pub sets: Sets,
    /// The order of the training samples.
    pub sampler: Sampler,
    /// How many test samples there are.
    pub test_samples: usize,
    /// The network, each weight layer with its rule.
    pub network: Network,
    /// Its stages, as ranges over its layers.
    pub ranges: Vec<Range<usize>>,
}

impl Prepared {
    /// Opens the data of `config`, builds the network and cuts it.
    ///
    /// # Errors
    /// Faults of the data, of the network, or of the cut, each in one sentence.
    pub fn new(config: Config) -> Result<Self, RunError> {
        let data = &config.data;
        let classes = config.model.classes as usize;
        let train = open(data.kind, &data.path, Split::Train, classes, data.limit)?;
        let test = open(data.kind, &data.path, Split::Test, classes, data.test_limit)?;
        train.check_same_shape(&test)?;
        let shape = train.shape().map(|size| size as u64);
        let normalization = Normalization::of(data.kind, &train, data.mean.as_deref(), data.std.as_deref())?;
        let sampler =
            Sampler::new(config.seed, train.len(), config.train.batch as usize, config.train.remainder)?;
        let test_samples = test.len();
        let sets = Sets {
            train: Loader::new(Arc::new(train), &normalization, data.augmentation(), config.seed)?,
            test: Loader::new(Arc::new(test), &normalization, Augment::NONE, config.seed)?,
        };
        let network = config.network(shape).map_err(RunError::configuration)?;
        let smallest = microbatches(sampler.last(), config.pipeline.microbatches as usize);
        let smallest = smallest.iter().map(Range::len).min().unwrap_or(1);
        config.check_microbatches(&network, smallest as u64).map_err(RunError::configuration)?;
        let ranges = cut(&config, &network)?;
        Ok(Self { config, sets, sampler, test_samples, network, ranges })
    }

    /// By which a later start knows the data.
    pub fn data_mark(&self) -> DataMark {
        DataMark { train: self.sets.train.data().into(), test: self.sets.test.data().into() }
    }

    /// Minibatches of the whole run.
    pub fn total_steps(&self) -> u64 {
        self.config.train.steps(self.sampler.minibatches() as u64)
    }

    /// What each node is to become, for a run that is called `run` on the wire.
    ///
    /// # Errors
    /// Shapes that do not fit, by the layer's name.
    pub fn stages(
        &self,
        run: &str,
        incarnation: u32,
        restore: Option<u64>,
    ) -> Result<Vec<StageSpec>, RunError> {
        let minibatches = [self.sampler.minibatches() as u64, self.total_steps()];
        let run = RunStart { run, incarnation, restore };
        stages(&self.config, &self.network, &self.ranges, minibatches, run)
    }

    /// Mirror steps before the first update: the most that a layer's rule asks for.
    pub fn mirror_delay(&self) -> u64 {
        let rules = self.network.layers.iter().filter_map(|layer| layer.rule.mirror());
        rules.map(|mirror| mirror.delay).max().unwrap_or(0)
    }

    /// The alarm on Kolen-Pollack's law, where it is asked for.
    pub fn alarm(&self) -> Option<Alarm> {
        let config = &self.config;
        let (per_epoch, total) = (self.sampler.minibatches() as u64, self.total_steps());
        let follows = |layer: &&LayerSpec| layer.op.is_weight() && layer.rule.name() == KOLEN_POLLACK;
        let layers = self.network.layers.iter().filter(follows).map(|layer| layer.name.clone());
        config
            .alarm
            .kolen_pollack
            .then(|| Alarm::new(config.optimizer.spec(per_epoch, total), layers.collect()))
    }

    /// M for a minibatch of `samples`: as configured, or one sample each where there are fewer.
    pub fn microbatches(&self, samples: usize) -> u32 {
        self.config.pipeline.microbatches.min(samples as u32)
    }
}

/// One start of a run, as its nodes see it.
#[derive(Clone, Copy, Debug)]
pub struct RunStart<'a> {
    /// The run's name on the wire.
    pub run: &'a str,
    /// Counts the starts of the run.
    pub incarnation: u32,
    /// The update whose snapshot is restored; `None` draws the weights from the seed.
    pub restore: Option<u64>,
}

/// What each node is to become where `network` is cut at `ranges`; `minibatches` are those of an epoch and
/// of the whole run.
///
/// # Errors
/// Shapes that do not fit, by the layer's name.
pub fn stages(
    config: &Config,
    network: &Network,
    ranges: &[Range<usize>],
    minibatches: [u64; 2],
    start: RunStart<'_>,
) -> Result<Vec<StageSpec>, RunError> {
    let slices = slices(network, ranges).map_err(RunError::configuration)?;
    let [per_epoch, total] = minibatches;
    let RunStart { run, incarnation, restore } = start;
    let count = slices.len() as u32;
    let course = config.rule.course.spec(per_epoch, total);
    let scheduled = |mut layer: LayerSpec| {
        if let RuleSpec::Learned { alignment, .. } = &mut layer.rule {
            alignment.schedule = course.clone();
        }
        layer
    };
    let stage = |(index, slice): (usize, partition::Slice)| StageSpec {
        run: run.to_owned(),
        incarnation,
        index: index as u32,
        stages: count,
        layers: slice.layers.into_iter().map(scheduled).collect(),
        inputs: slice.inputs,
        outputs: slice.outputs,
        optimizer: config.optimizer.spec(per_epoch, total),
        optimizer_backward: config.optimizer_b.spec(per_epoch, total),
        seed: config.seed,
        max_microbatch: config.train.batch.div_ceil(config.pipeline.microbatches),
        max_microbatches: config.pipeline.microbatches,
        wire: config.network.wire,
        restore,
        keep_snapshots: config.snapshot.keep_last,
        recompute: config.pipeline.recompute,
    };
    Ok(slices.into_iter().enumerate().map(stage).collect())
}

/// What `plan` and the automatic cut reckon with.
///
/// # Errors
/// A network whose shapes do not fit.
pub fn estimator(config: &Config, network: &Network, link: Option<LinkRate>) -> Result<Estimator, RunError> {
    let rates = Rates::default();
    let workload = Workload {
        batch: config.train.batch,
        microbatches: config.pipeline.microbatches.min(config.train.batch),
        schedule: config.pipeline.schedule,
        ahead: config.pipeline.ahead,
        wire: config.network.wire,
        optimizer: config.optimizer.spec(1, 1).method,
        optimizer_backward: config.optimizer_b.spec(1, 1).method,
        recompute: config.pipeline.recompute,
        rates: Rates { link: link.unwrap_or(rates.link), ..rates },
    };
    Estimator::new(network, workload).map_err(RunError::configuration)
}

/// Cuts `network` as `config` says.
///
/// # Errors
/// Cuts that cannot be had.
pub fn cut(config: &Config, network: &Network) -> Result<Vec<Range<usize>>, RunError> {
    cut_by(config, network, &estimator(config, network, None)?)
}

/// Cuts `network` as `config` says, balanced by `estimator` where it says only how often.
///
/// # Errors
/// Cuts that cannot be had.
pub fn cut_by(
    config: &Config,
    network: &Network,
    estimator: &Estimator,
) -> Result<Vec<Range<usize>>, RunError> {
    let cuts = match &config.pipeline.stages {
        Stages::Count(count) => Cuts::Count(*count),
        Stages::PerLayer => Cuts::PerLayer,
        Stages::PerBlock => Cuts::PerBlock,
        Stages::Cuts(names) => Cuts::At(names.clone()),
    };
    partition::cut(network, &cuts, estimator, None).map_err(RunError::configuration)
}

/// The lanes of all stages by phase and number of microbatches, each computed once.
pub struct Lanes {
    schedule: pipeline::Schedule,
    stages: u32,
    ahead: u32,
    known: HashMap<(Phase, u32), Arc<[Lane]>>,
}

impl Lanes {
    /// The lanes of `stages` stages under `config`.
    pub fn new(config: &Config, stages: usize) -> Self {
        let (schedule, ahead) = (config.pipeline.schedule, config.pipeline.ahead);
        Self { schedule, stages: stages as u32, ahead, known: HashMap::new() }
    }

    /// One lane per stage for a minibatch of `microbatches`.
    ///
    /// # Errors
    /// A shape that no pipeline has.
    pub fn of(&mut self, phase: Phase, microbatches: u32) -> Result<Arc<[Lane]>, RunError> {
        if let Some(lanes) = self.known.get(&(phase, microbatches)) {
            return Ok(lanes.clone());
        }
        let lanes: Arc<[Lane]> = match phase {
            Phase::Evaluate => vec![Lane::evaluate(microbatches); self.stages as usize].into(),
            Phase::Train => {
                let shape =
                    Shape::new(self.stages, microbatches, self.ahead).map_err(RunError::configuration)?;
                pipeline::lanes(self.schedule, shape).into()
            }
        };
        self.known.insert((phase, microbatches), lanes.clone());
        Ok(lanes)
    }
}
