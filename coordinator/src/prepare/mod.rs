//! Preparation: from a configuration and its data to everything that a run needs before any node is started.
//!
//! ```text
//! Config ─▶ Prepared: data, network, cut (ranges) ─▶ stages (a StageSpec each), lanes, course, doubts
//! ```
//!
//! Every function except the opening of the data is pure.

mod course;
mod cut;
mod doubts;
mod drains;
mod lanes;
mod placement;
mod sizes;
mod stages;

pub use course::{Course, Item, Items};
pub use cut::{cut, cut_by, estimator, estimator_at};
pub use doubts::{Doubt, Facts, Lead, Topic, doubts};
pub use drains::drains;
pub use lanes::Lanes;
pub use placement::Placement;
pub use sizes::network;
pub use stages::{RunStart, delays, file_stem, nodes, roles, stages};

use crate::config::Config;
use crate::data::{Augment, Loader, Normalization, Sampler, Samples, Split, microbatches, open};
use crate::driver::Sets;
use crate::model::Network;
use crate::pipeline::Shape;
use crate::run_error::RunError;
use proto::link::Role;
use proto::spec::begin::Begin;
use proto::spec::fingerprint::fingerprint;
use proto::spec::input::InputSpec;
use proto::spec::stage::StageSpec;
use proto::spec::state::state_of;
use std::collections::{BTreeMap, HashSet};
use std::ops::Range;

/// A prepared run.
pub struct Prepared {
    /// The checked configuration.
    pub config: Config,
    /// The data, for inputs and labels.
    pub sets: Sets,
    /// The normalisation of the inputs.
    pub input: InputSpec,
    /// The order of the training samples.
    pub sampler: Sampler,
    /// The facts of the training data.
    pub facts: Facts,
    /// The number of test samples.
    pub test_samples: usize,
    /// The network, each weight layer with its rule.
    pub network: Network,
    /// The stages, as ranges over the network's layers.
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
        let train = open(data.kind, &data.choice(Split::Train, classes, config.seed))?;
        let test = open(data.kind, &data.choice(Split::Test, classes, config.seed))?;
        train.check_same_shape(&*test)?;
        train.check_same_classes(&*test)?;
        let shape = train.shape().map(|size| size as u64);
        let input = Normalization::of(data.kind, &*train, data.mean.as_deref(), data.std.as_deref())?.input();
        let sampler =
            Sampler::new(config.seed, train.len(), config.step().samples as usize, config.train.remainder)?;
        let facts = facts(&*train, &sampler)?;
        let test_samples = test.len();
        let sets = Sets {
            train: Loader::new(train, data.augmentation(), config.seed),
            test: Loader::new(test, Augment::NONE, config.seed),
            workers: data.workers,
            prefetch: data.prefetch(),
        };
        let network = config.network(shape).map_err(RunError::configuration)?;
        let smallest = microbatches(sampler.last(), config.step().cut_into(sampler.last()) as usize);
        let smallest = smallest.iter().map(Range::len).min().unwrap_or(1);
        config.check_microbatches(&network, smallest as u64).map_err(RunError::configuration)?;
        let ranges = cut(&config, &network)?;
        Ok(Self { config, sets, input, sampler, facts, test_samples, network, ranges })
    }

    /// Minibatches of an epoch, and of the whole run.
    pub fn minibatches(&self) -> [u64; 2] {
        let per_epoch = self.sampler.minibatches() as u64;
        [per_epoch, self.config.train.steps(per_epoch)]
    }

    /// The specification of each stage, for a run with the name `run` on the wire, which restores a snapshot or begins as
    /// `begin` says.
    ///
    /// # Errors
    /// Shapes that do not fit, by the layer's name.
    pub fn stages(
        &self,
        run: &str,
        incarnation: u32,
        restore: Option<u64>,
        begin: Option<&Begin>,
    ) -> Result<Vec<StageSpec>, RunError> {
        let start = RunStart { run, incarnation, restore, begin };
        stages(&self.config, &self.network, &self.input, &self.ranges, self.minibatches(), start)
    }

    /// The fingerprint of each node's state, in the order of the roles.
    ///
    /// # Errors
    /// Shapes that do not fit, by the layer's name.
    pub fn fingerprints(&self) -> Result<Vec<u64>, RunError> {
        let stages = self.stages("", 1, None, None)?;
        let of = |spec: &StageSpec| {
            let state = state_of(spec).map_err(RunError::configuration)?;
            Ok(fingerprint(state.iter().map(|tensor| (tensor.name.as_str(), tensor.shape.as_slice()))))
        };
        nodes(&stages).iter().map(of).collect()
    }

    /// The delay of the stage of each layer in updates, by the layer's name.
    ///
    /// # Errors
    /// A size that no pipeline has.
    pub fn delays(&self) -> Result<BTreeMap<String, f64>, RunError> {
        let delays = delays(&self.config, self.ranges.len())?;
        let of_stage = |(range, delay): (&Range<usize>, f64)| {
            let layers = self.network.layers[range.clone()].iter();
            layers.map(move |layer| (layer.name.clone(), delay)).collect::<Vec<_>>()
        };
        Ok(self.ranges.iter().zip(delays).flat_map(of_stage).collect())
    }

    /// The network as another configuration of the same run cuts it.
    ///
    /// # Errors
    /// A network or a cut that the configuration cannot have.
    pub fn cut_by(&self, other: &Config) -> Result<(Network, Vec<Range<usize>>), RunError> {
        let shape = <[u64; 3]>::try_from(self.network.input.shape.as_slice()).map_err(RunError::internal)?;
        let network = other.network(shape).map_err(RunError::configuration)?;
        let ranges = cut(other, &network)?;
        Ok((network, ranges))
    }

    /// The roles of all nodes of a training, the stages first.
    pub fn roles(&self) -> Vec<Role> {
        roles(&self.network, &self.ranges)
    }

    /// The steps after a step of which stages run forwards before its update; 0 where every step is flushed.
    fn lookahead(&self) -> u64 {
        let (config, stages) = (&self.config, self.ranges.len() as u32);
        let shape = Shape::new(stages, config.step().microbatches, config.pipeline.ahead);
        shape.ok().filter(|_| config.is_asynchronous()).map_or(0, |shape| shape.lookahead().into())
    }

    /// The lanes of the run's minibatches.
    pub fn lanes(&self) -> Lanes {
        Lanes::new(&self.config, self.ranges.len())
    }

    /// The names of the first classes; those without a name have a number.
    pub fn class_names(&self) -> &[String] {
        self.sets.test.data().class_names().unwrap_or_default()
    }

    /// The doubts about the run.
    pub fn doubts(&self) -> Vec<Doubt> {
        doubts(&self.config, Some(&self.network), Some(&self.facts))
    }

    /// The course of the run.
    pub fn course(&self) -> Course {
        let rules = self.network.layers.iter().filter_map(|layer| layer.rule.mirror());
        let delay = rules.map(|mirror| mirror.delay).max().unwrap_or(0);
        Course::new(&self.config, self.sampler, self.test_samples, delay, self.lookahead())
    }
}

fn facts(train: &dyn Samples, sampler: &Sampler) -> Result<Facts, RunError> {
    let labels = (0..train.len()).map(|index| train.label(index)).collect::<Result<HashSet<u32>, _>>()?.len();
    Ok(Facts { samples: train.len(), labels, minibatches: sampler.minibatches() as u64 })
}
