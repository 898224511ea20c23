//! Runs for tests, with the ledgers of honest processes.

use super::check::{Allowed, Evidence, check};
use super::findings::Findings;
use super::prediction::{Budget, Prediction, learning};
use crate::config::{self, Config, Environment};
use crate::data::Sampler;
use crate::prepare::{Course, Lanes, RunStart, cut, stages};
use proto::ledger::{ControlMessage, ControlRecord, LayerReads, Ledger, LinkRecord};
use proto::link::{Carried, Role};
use proto::microbatch::Phase;
use proto::spec::graph::LayerSpec;
use proto::spec::input::InputSpec;
use proto::spec::stage::StageSpec;

/// A residual network over three stages: `skip` spans the first cut between stages.
const NETWORK: &str = r#"
[train]
batch = 8
max_steps = 3
[pipeline]
microbatches = 3
stages = ["a", "classes"]
[[layer]]
name = "skip"
kind = "conv2d"
out = 2
kernel = 3
padding = 1
[[layer]]
name = "relu"
kind = "relu"
[[layer]]
name = "a"
kind = "conv2d"
out = 2
kernel = 3
padding = 1
[[layer]]
name = "sum"
kind = "add"
inputs = ["a", "skip"]
[[layer]]
name = "flat"
kind = "flatten"
[[layer]]
name = "classes"
kind = "linear"
out = 10
"#;

/// A run that was counted honestly.
pub(super) struct Run {
    pub stages: Vec<StageSpec>,
    pub prediction: Prediction,
    pub coordinator: Ledger,
    pub nodes: Vec<(Role, Ledger)>,
    pub complete: bool,
}

impl Run {
    /// A run of three steps by `rule`, an evaluation and a snapshot.
    pub fn of(rule: &str) -> Self {
        Self::honest(&config(&[format!("rule.name={rule}")]), &[], 0)
    }

    /// The same run over two stages, after `delay` mirror steps: `a` of stage 0 and `classes` of stage 1 are split, and
    /// `skip` of stage 0 is not.
    pub fn split(rule: &[&str], delay: u64) -> Self {
        let sets =
            rule.iter().map(|set| format!("rule.{set}")).chain(["pipeline.stages=[\"classes\"]".into()]);
        Self::honest(&config(&sets.collect::<Vec<_>>()), &["a", "classes"], delay)
    }

    fn honest(config: &Config, split: &[&str], delay: u64) -> Self {
        let network = config.network([1, 4, 4]).unwrap();
        let ranges = cut(config, &network).unwrap();
        let start = RunStart { run: &"r".repeat(32), incarnation: 1, restore: None, begin: None };
        let mut stages = stages(config, &network, &InputSpec::plain(1), &ranges, [3, 3], start).unwrap();
        for layer in stages.iter_mut().flat_map(|spec| &mut spec.layers) {
            layer.split = split.contains(&layer.name.as_str());
        }
        let sampler = Sampler::new(0, 20, 8, config.train.remainder).unwrap();
        let course = Course::new(config, sampler, 11, delay, 0);
        let mut lanes = Lanes::new(config, stages.len());
        let prediction = Prediction::of(&stages, &mut lanes, course.items(0), 0).unwrap();
        let ledger = |of, layers| honest(of, layers, &stages, &prediction);
        let halves = stages.iter().filter_map(StageSpec::backward_half);
        let nodes = stages.iter().cloned().chain(halves);
        let nodes = nodes.map(|spec| (spec.role(), ledger(spec.role(), reads(&spec)))).collect();
        let coordinator = ledger(Role::Coordinator, Vec::new());
        Self { coordinator, nodes, stages, prediction, complete: true }
    }

    pub fn findings(&self, allowed: Allowed) -> Findings {
        let Self { stages, prediction, coordinator, nodes, complete } = self;
        check(&Evidence { stages, prediction, coordinator, nodes, complete: *complete }, allowed)
    }

    /// Both ends of the first link record from `from` in this phase, by the index of the ledger.
    pub fn both(&mut self, from: Role, carried: Carried, phase: Phase, change: impl Fn(&mut LinkRecord)) {
        let of =
            |record: &&mut LinkRecord| (record.from, record.carried, record.phase) == (from, carried, phase);
        let ledgers = self.nodes.iter_mut().map(|(_, ledger)| ledger).chain([&mut self.coordinator]);
        ledgers.flat_map(|ledger| &mut ledger.crossed).filter(of).for_each(change);
    }

    /// Both ends' records of the messages between the halves of `stage` that have a tensor of this name.
    pub fn halves(&mut self, stage: u32, tensor: &str, change: impl Fn(&mut LinkRecord)) {
        let of = |record: &&mut LinkRecord| record.tensors.iter().any(|value| value.name == tensor);
        for role in [Role::Stage(stage), Role::Backward(stage)] {
            self.node(role).crossed.iter_mut().filter(of).for_each(&change);
        }
    }

    pub fn stage(&mut self, stage: u32) -> &mut Ledger {
        self.node(Role::Stage(stage))
    }

    pub fn node(&mut self, node: Role) -> &mut Ledger {
        self.nodes.iter_mut().find(|(role, _)| *role == node).map(|(_, ledger)| ledger).unwrap()
    }

    pub fn control(&mut self, node: Role, message: ControlMessage, change: impl Fn(&mut ControlRecord)) {
        let nodes = self.nodes.iter_mut().find(|(role, _)| *role == node).unwrap();
        let all = self.coordinator.control.iter_mut().chain(&mut nodes.1.control);
        let found =
            all.filter(|record| record.message == message && (record.from == node || record.to == node));
        found.for_each(change);
    }
}

fn config(sets: &[String]) -> Config {
    config::parse(NETWORK, "c.toml", sets, &Environment::empty()).unwrap()
}

/// The values that the rules of a node's layers read: all values that they declare.
fn reads(node: &StageSpec) -> Vec<LayerReads> {
    let reads = |layer: &LayerSpec| LayerReads { layer: layer.name.clone(), read: layer.rule.reads() };
    learning(node).map(reads).collect()
}

/// The ledger of a process that did what the plan predicts, and used its whole budgets.
fn honest(of: Role, layers: Vec<LayerReads>, stages: &[StageSpec], prediction: &Prediction) -> Ledger {
    let own = |from: Role, to: Role| from == of || to == of;
    let crossed: Vec<LinkRecord> =
        prediction.links.iter().filter(|link| own(link.from, link.to)).cloned().collect();
    let trained = |link: &&LinkRecord| link.phase == Phase::Train && of != Role::Coordinator;
    let counted = |message| {
        use ControlMessage as M;
        of == Role::Coordinator || !matches!(message, M::Describe | M::Description | M::Audit | M::Ledger)
    };
    let control =
        prediction.control.iter().filter(|budget| own(budget.from, budget.to) && counted(budget.message));
    Ledger {
        of,
        run: stages[0].run.clone(),
        incarnation: 1,
        consumed: crossed.iter().filter(trained).cloned().collect(),
        crossed,
        consumed_since: 0,
        control: control.map(Budget::used).collect(),
        layers,
        refusals: Vec::new(),
    }
}
