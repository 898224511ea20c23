//! The specification of a stage: a slice of the graph, and the rules by which it learns.

use super::begin::Begin;
use super::contract::{Contract, Form};
use crate::error::ProtocolError;
use crate::microbatch::MAX_MICROBATCHES;
use crate::role::Role;
use crate::spec::graph::{self, LayerSpec, Value};
use crate::spec::input::InputSpec;
use crate::spec::layout::Layout;
pub use crate::spec::limits::{MAX_MICROBATCH, MAX_VALUES};
use crate::spec::optimizer::OptimizerSpec;
use crate::spec::precision::Precision;
use crate::spec::rule::RuleSpec;
use crate::spec::transport::Transport;
use crate::tensor::Kind;
use serde::{Deserialize, Serialize};
use std::collections::{HashMap, HashSet};

/// A stage: everything that a node needs to build its layers. The specification describes the drawing of the
/// weights, and never contains a weight.
#[derive(Clone, Debug, PartialEq)]
pub struct StageSpec {
    /// The run's name on the wire.
    pub run: String,
    /// The number of this start among all starts of the run.
    pub incarnation: u32,
    /// This stage's place, 0 being nearest the input.
    pub index: u32,
    /// The number of stages.
    pub stages: u32,
    /// The slice of the graph, in order.
    pub layers: Vec<LayerSpec>,
    /// The values that arrive from below.
    pub inputs: Vec<Value>,
    /// The normalisation of the network's input, exactly where it is among `inputs`.
    pub input: Option<InputSpec>,
    /// The names of the values that go above.
    pub outputs: Vec<String>,
    /// The optimizer for W, biases and norms.
    pub optimizer: OptimizerSpec,
    /// The optimizer for B.
    pub optimizer_backward: OptimizerSpec,
    /// The run's seed.
    pub seed: u64,
    /// The most samples in a microbatch.
    pub max_microbatch: u32,
    /// The most microbatches in a minibatch.
    pub max_microbatches: u32,
    /// The number format between neighbours of all values but the network's input, which is in bytes.
    pub wire: Kind,
    /// The update whose snapshot the node restores; `None` draws the weights from the seed.
    pub restore: Option<u64>,
    /// The snapshot of another run from which the drawn layers are filled, where `restore` is `None`.
    pub begin: Option<Begin>,
    /// The number of snapshots that the node keeps.
    pub keep_snapshots: u32,
    /// Whether the stage keeps only its inputs between F and E, and computes all other tensors again before E.
    pub recompute: bool,
    /// The source of the error at the stage's outputs.
    pub error_source: ErrorSource,
    /// The half of the stage that the node is.
    pub half: Half,
    /// A power of two: the errors are this many times those of the loss, and the node divides its summed task gradients
    /// by it before they become steps.
    pub loss_scale: f64,
    /// β: the factor, above 0 and at most 1, on the error signals that the stage sends below.
    pub shrink: f64,
    /// The number format in which the layers compute.
    pub precision: Precision,
    /// The memory order of values with planes.
    pub layout: Layout,
    /// Whether a GPU is to choose kernels that give the same bits run after run.
    pub deterministic: bool,
    /// The bytes that the coordinator's plan expects the stage's tensors to take; 0 where it does not say.
    pub memory: u64,
    /// How the links that the node opens are carried.
    pub transport: Transport,
    /// Whether the stage adds to the error signal of each microbatch what the links' format took from that of the
    /// microbatch before it, in the same step. Only a format of 8 bits allows it.
    pub error_feedback: bool,
}

/// The half of a stage: its layers may have their W on one host and their B on another.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Half {
    /// The stage itself: its layers, and the B of those that are not split.
    #[default]
    Forward,
    /// The B of the layers that are split, and nothing else.
    Backward,
}

/// The source of the error at a stage's outputs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ErrorSource {
    /// The neighbour above, which sends an error signal for every microbatch.
    #[default]
    Above,
}

impl StageSpec {
    /// The only stage of a run: from `inputs` to the value of the last of `layers`, by plain SGD, drawn from seed
    /// 0, one sample at a time; the network's input goes from 0 to 1. A caller sets other fields by `StageSpec { …, ..StageSpec::alone(…) }`.
    pub fn alone(layers: Vec<LayerSpec>, inputs: Vec<Value>) -> Self {
        let optimizer = OptimizerSpec::sgd(0.1);
        Self {
            run: "alone".into(),
            incarnation: 1,
            index: 0,
            stages: 1,
            outputs: layers.last().map(|layer| layer.name.clone()).into_iter().collect(),
            layers,
            input: InputSpec::plain_of(&inputs),
            inputs,
            optimizer_backward: optimizer.clone(),
            optimizer,
            seed: 0,
            max_microbatch: 1,
            max_microbatches: 1,
            wire: Kind::F32,
            restore: None,
            begin: None,
            keep_snapshots: 1,
            recompute: false,
            error_source: ErrorSource::Above,
            half: Half::Forward,
            loss_scale: 1.0,
            shrink: 1.0,
            precision: Precision::F32,
            layout: Layout::ChannelsLast,
            deterministic: false,
            memory: 0,
            transport: Transport::Auto,
            error_feedback: false,
        }
    }

    /// The role of the node in the run.
    pub fn role(&self) -> Role {
        match self.half {
            Half::Forward => Role::Stage(self.index),
            Half::Backward => Role::Backward(self.index),
        }
    }

    /// Whether U has two parts on this node: what a forward pass reads steps first, and B follows while the node waits. A
    /// B that is W has no part of its own, and a B on another host steps there.
    pub fn updates_in_two_parts(&self) -> bool {
        let has_b = |layer: &LayerSpec| layer.op.is_weight() && layer.rule != RuleSpec::Backprop;
        self.half == Half::Forward
            && self.layers.iter().any(has_b)
            && self.layers.iter().all(|layer| !layer.split)
    }

    /// The values that go above, with the shapes that follow from the stage's layers.
    ///
    /// # Errors
    /// The error of [`graph::infer_shapes`], or an output that the stage does not know.
    pub fn output_values(&self) -> Result<Vec<Value>, ProtocolError> {
        let computed = graph::infer_shapes(&self.inputs, &self.layers)?;
        let known: HashMap<&str, &Value> =
            self.inputs.iter().chain(&computed).map(|value| (value.name.as_str(), value)).collect();
        let find = |name: &String| {
            known.get(name.as_str()).map(|&value| value.clone()).ok_or_else(|| {
                ProtocolError::invalid(format!(
                    "stage {} cannot send '{}': it does not know it",
                    self.index,
                    crate::error::short(name)
                ))
            })
        };
        self.outputs.iter().map(find).collect()
    }

    /// The contract of the activations on the link below, which arrive at this stage.
    pub fn activations_below(&self) -> Contract {
        self.cut(self.inputs.clone())
    }

    /// The number format of the link above: the coordinator takes logits, and sends their error, in
    /// [`Kind::at_loss`].
    pub fn wire_above(&self) -> Kind {
        if self.index + 1 == self.stages { self.wire.at_loss() } else { self.wire }
    }

    /// The contract of the activations on the link above, which leave this stage.
    ///
    /// # Errors
    /// As [`StageSpec::output_values`].
    pub fn activations_above(&self) -> Result<Contract, ProtocolError> {
        Ok(Contract { kind: self.wire_above(), ..self.cut(self.output_values()?) })
    }

    /// The contract of the error signals on the link above, which arrive at this stage. No stage needs the error of
    /// the network's input.
    ///
    /// # Errors
    /// As [`StageSpec::output_values`].
    pub fn errors_above(&self) -> Result<Contract, ProtocolError> {
        let values = self.output_values()?.into_iter().filter(|value| value.name != graph::INPUT);
        Ok(Contract { kind: self.wire_above(), ..self.cut(values.collect()) })
    }

    /// The contract of a link between neighbours.
    fn cut(&self, values: Vec<Value>) -> Contract {
        self.contract(vec![Form { values, max_microbatch: self.max_microbatch }])
    }

    pub(super) fn contract(&self, forms: Vec<Form>) -> Contract {
        Contract {
            run: self.run.clone(),
            incarnation: self.incarnation,
            forms,
            kind: self.wire,
            max_microbatches: self.max_microbatches,
        }
    }

    pub(crate) fn check(self) -> Result<Self, ProtocolError> {
        let bounded = (1..=MAX_MICROBATCH).contains(&self.max_microbatch)
            && (1..=MAX_MICROBATCHES).contains(&self.max_microbatches);
        if self.index >= self.stages || !bounded || self.layers.is_empty() || self.keep_snapshots == 0 {
            return Err(ProtocolError::invalid(format!(
                "no stage is number {} of {} with {} layers, microbatches of {} and {} of them",
                self.index,
                self.stages,
                self.layers.len(),
                self.max_microbatch,
                self.max_microbatches
            )));
        }
        if self.inputs.is_empty()
            || self.outputs.is_empty()
            || self.run.is_empty()
            || self.run.len() > graph::MAX_NAME
        {
            return Err(ProtocolError::invalid("a stage needs a run, inputs and outputs"));
        }
        if !unique(self.inputs.iter().map(|value| &value.name)) || !unique(self.outputs.iter()) {
            return Err(ProtocolError::invalid("a stage takes and sends every value once"));
        }
        if self.wire == Kind::U8 {
            return Err(ProtocolError::invalid("bytes are the network's input alone: a stage sends numbers"));
        }
        if self.error_feedback && !matches!(self.wire, Kind::Int8(_)) {
            let wire = self.wire;
            return Err(ProtocolError::invalid(format!(
                "error feedback is for links in 8 bits, not in {wire}"
            )));
        }
        InputSpec::check(self.input.as_ref(), &self.inputs)?;
        if !is_power_of_two(self.loss_scale) {
            return Err(ProtocolError::invalid(format!(
                "a loss scale of {} is no power of two between 2⁻⁶⁴ and 2⁶⁴",
                self.loss_scale
            )));
        }
        if !(self.shrink > 0.0 && self.shrink <= 1.0) {
            return Err(ProtocolError::invalid(format!(
                "error signals cannot shrink by {}: the factor is above 0 and at most 1",
                self.shrink
            )));
        }
        self.output_values()?;
        self.check_split()?;
        self.check_copied()?;
        Ok(self)
    }

    /// Checks that no B of two matrices is to begin as its W.
    fn check_copied(&self) -> Result<(), ProtocolError> {
        let copied = self.begin.as_ref().is_some_and(|begin| begin.backward_is_weight);
        match self.layers.iter().find(|layer| copied && layer.rule.product().is_some()) {
            None => Ok(()),
            Some(layer) => Err(ProtocolError::invalid(format!(
                "B of the layer '{}' cannot begin as its W: under {} two matrices take its place",
                layer.name,
                layer.rule.name()
            ))),
        }
    }
}

/// Whether `scale` is a power of two by which f32 numbers of ordinary size can be multiplied and divided without
/// rounding.
pub fn is_power_of_two(scale: f64) -> bool {
    let mantissa = scale.to_bits() & ((1 << (f64::MANTISSA_DIGITS - 1)) - 1);
    mantissa == 0 && (2f64.powi(-64)..=2f64.powi(64)).contains(&scale)
}

fn unique<'a>(names: impl Iterator<Item = &'a String>) -> bool {
    let mut seen = HashSet::new();
    names.into_iter().all(|name| seen.insert(name))
}
