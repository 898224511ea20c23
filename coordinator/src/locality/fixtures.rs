//! Runs for tests, with the ledgers of processes that are honest.

use super::check::{Allowed, Evidence, check};
use super::findings::Findings;
use super::prediction::{Budget, Prediction};
use crate::config::{self, Config, Environment};
use crate::data::Sampler;
use crate::prepare::{Course, Lanes, RunStart, cut, stages};
use proto::ledger::{ControlMessage, ControlRecord, LayerReads, Ledger, LinkRecord};
use proto::link::{Carried, Role};
use proto::microbatch::Phase;
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
    pub nodes: Vec<(u32, Ledger)>,
    pub complete: bool,
}

impl Run {
    /// A run of three steps by `rule`, an evaluation and a snapshot.
    pub fn of(rule: &str) -> Self {
        let sets = [format!("rule.name={rule}"), "rule.amp=0".into()];
        let sets = if rule == "custom" { &sets[..] } else { &sets[..1] };
        let config = config::parse(NETWORK, "c.toml", sets, &Environment::empty()).unwrap();
        Self::honest(&config)
    }

    fn honest(config: &Config) -> Self {
        let network = config.network([1, 4, 4]).unwrap();
        let ranges = cut(config, &network).unwrap();
        let start = RunStart { run: &"r".repeat(32), incarnation: 1, restore: None };
        let stages = stages(config, &network, &ranges, [3, 3], start).unwrap();
        let sampler = Sampler::new(0, 20, 8, config.train.remainder).unwrap();
        let course = Course::new(config, sampler, 11, 0);
        let mut lanes = Lanes::new(config, stages.len());
        let prediction = Prediction::of(&stages, &mut lanes, course.items(0), 0).unwrap();
        let ledger = |of| honest(of, &stages, &prediction);
        let nodes = (0..3).map(|stage| (stage, ledger(Role::Stage(stage)))).collect();
        Self { coordinator: ledger(Role::Coordinator), nodes, stages, prediction, complete: true }
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

    pub fn stage(&mut self, stage: usize) -> &mut Ledger {
        &mut self.nodes[stage].1
    }

    pub fn control(&mut self, stage: u32, message: ControlMessage, change: impl Fn(&mut ControlRecord)) {
        let node = Role::Stage(stage);
        let own = self.coordinator.control.iter_mut();
        let all = own.chain(&mut self.nodes[stage as usize].1.control);
        let found =
            all.filter(|record| record.message == message && (record.from == node || record.to == node));
        found.for_each(change);
    }
}

/// The ledger of a process that did what the plan predicts, and used its whole budgets.
fn honest(of: Role, stages: &[StageSpec], prediction: &Prediction) -> Ledger {
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
    let spec = stages.iter().filter(|spec| Role::Stage(spec.index) == of);
    let layers = spec.flat_map(|spec| &spec.layers).filter(|layer| layer.op.is_weight());
    Ledger {
        of,
        run: stages[0].run.clone(),
        incarnation: 1,
        consumed: crossed.iter().filter(trained).cloned().collect(),
        crossed,
        consumed_since: 0,
        control: control.map(Budget::used).collect(),
        layers: layers
            .map(|layer| LayerReads { layer: layer.name.clone(), read: layer.rule.reads() })
            .collect(),
        refusals: Vec::new(),
    }
}
