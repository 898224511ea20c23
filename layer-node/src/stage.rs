//! A stage: a contiguous slice of the network's graph, executed action by action.
//!
//! Where an output feeds several layers, in this stage and in later ones, their errors are added in a fixed order:
//! first the sum that comes from above, then the errors of this stage's layers from the last to the first. The order is
//! the same for every cut, so every cut gives the same floats.

mod backward_half;
mod input;
mod lifetimes;
mod other_half;
mod signals;

pub use backward_half::BackwardHalf;
pub use other_half::{OtherHalf, Whole};

use crate::layer::held::Held;
use crate::layer::{self, Layer, MirrorStep, Pass};
use crate::layout::settled;
use crate::settings::Settings;
use crate::state::named::State;
use crate::torch;
use input::Input;
use proto::control::LayerMeasure;
use proto::error::ProtocolError;
use proto::failure::Failure;
use proto::ledger::LayerReads;
use proto::microbatch::{MicrobatchId, Phase};
use proto::spec::graph::{self, INPUT};
use proto::spec::stage::StageSpec;
use signals::Compared;
use std::collections::HashMap;
use tch::{TchError, Tensor};

/// Named values of one microbatch.
pub type Values = Vec<(String, Tensor)>;

/// Why a stage cannot be built, or cannot continue.
#[derive(Debug, thiserror::Error)]
pub enum StageError {
    /// A torch operation failed.
    #[error("{}", first_line(.0))]
    Torch(#[from] TchError),
    /// The specification does not describe a stage, or a value cannot become a message.
    #[error("{0}")]
    Spec(#[from] ProtocolError),
    /// The other half of the stage cannot be reached, or broke its contract.
    #[error("{0}")]
    OtherHalf(Failure),
    /// F cannot be recomputed, because its weights are gone.
    #[error(
        "{m} cannot be recomputed: its F saw the weights after {forward} updates, and now they have seen {now}"
    )]
    Version {
        /// The microbatch.
        m: MicrobatchId,
        /// The updates that its F saw.
        forward: u64,
        /// The updates that the stage has seen.
        now: u64,
    },
}

/// The failure of an action; the failure of a link keeps its kind.
impl From<StageError> for Failure {
    fn from(error: StageError) -> Self {
        match error {
            StageError::OtherHalf(failure) => failure,
            error @ (StageError::Torch(_) | StageError::Spec(_) | StageError::Version { .. }) => {
                Failure::own(error)
            }
        }
    }
}

/// The first line of an error: torch's messages carry a C++ stack trace after it.
fn first_line(error: &TchError) -> String {
    error.to_string().lines().next().unwrap_or_default().to_owned()
}

/// One layer, placed in the graph.
struct Placed {
    name: String,
    inputs: Vec<String>,
    layer: Box<dyn Layer>,
    /// Whether the other half of the stage has the layer's B.
    split: bool,
    /// Whether a trained layer or another stage lies below the layer's inputs.
    error_needed: bool,
    /// Whether the error at the layer's output is needed: by the layer itself, or below it.
    wanted: bool,
    /// Whether a later layer takes the output, or a cut sends it.
    taken: bool,
    /// The inputs that no later layer takes and no cut sends.
    last: Vec<String>,
}

impl Placed {
    /// Sends the values of the mirror step `step`, if it is due and the other half has the layer's B.
    fn show_noise(
        &self,
        settings: &Settings,
        step: MirrorStep,
        other: &mut dyn OtherHalf,
    ) -> Result<(), StageError> {
        if !self.split {
            return Ok(());
        }
        match self.layer.noise(settings, step)? {
            Some(noise) => other.mirror(&self.name, step, noise),
            None => Ok(()),
        }
    }
}

/// The record that a recomputing stage keeps of a microbatch between its F and its E.
struct Kept {
    inputs: Values,
    /// The updates that F saw: the same F needs the same weights.
    updates: u64,
}

/// The layers of one node, and the number of updates that they have seen.
pub struct Stage {
    settings: Settings,
    layers: Vec<Placed>,
    /// The normalisation of the network's input; `None` where no layer takes it.
    input: Option<Input>,
    inputs: Vec<String>,
    outputs: Vec<String>,
    /// The inputs from which E recomputes F; `None` without recomputation.
    kept: Option<Held<Kept>>,
    /// The comparison of the signals of W and B that is under way.
    compared: Compared,
    parameters: u64,
    updates: u64,
    /// Whether an update failed half-way: some layers have stepped, and others have not.
    torn: bool,
    /// Whether microbatches were under way at the last update.
    open: bool,
}

impl Stage {
    /// Builds the layers of `spec` and draws their weights.
    ///
    /// # Errors
    /// When the specification does not fit together, or memory or device fail.
    pub fn new(spec: &StageSpec, settings: Settings) -> Result<Self, StageError> {
        let computed = graph::infer_shapes(&spec.inputs, &spec.layers)?;
        let shapes: HashMap<&str, &[u64]> = spec
            .inputs
            .iter()
            .chain(&computed)
            .map(|value| (value.name.as_str(), value.shape.as_slice()))
            .collect();
        let wanted = graph::wanted_errors(&spec.inputs, &spec.layers);
        let mut parameters = 0;
        let mut layers = Vec::with_capacity(spec.layers.len());
        for (layer, last) in spec.layers.iter().zip(lifetimes::last_taken(spec)) {
            let x = shapes[layer.inputs[0].as_str()];
            parameters += layer.op.parameters(x);
            layers.push(Placed {
                name: layer.name.clone(),
                inputs: layer.inputs.clone(),
                layer: layer::build(layer, x, &settings)?,
                split: layer.split,
                error_needed: layer.inputs.iter().any(|input| wanted.contains(input.as_str())),
                wanted: wanted.contains(layer.name.as_str()),
                taken: !last.contains(&layer.name),
                last,
            });
        }
        let inputs = spec.inputs.iter().map(|value| value.name.clone()).collect();
        let (outputs, kept) = (spec.outputs.clone(), spec.recompute.then(Held::default));
        let input = Input::of(spec, &settings)?;
        let (compared, updates, torn, open) = (Compared::default(), 0, false, false);
        Ok(Self { settings, layers, input, inputs, outputs, kept, compared, parameters, updates, torn, open })
    }

    /// The number of layers.
    pub fn layer_count(&self) -> usize {
        self.layers.len()
    }

    /// The number of trained numbers, without B.
    pub fn parameters(&self) -> u64 {
        self.parameters
    }

    /// The number of finished updates.
    pub fn updates(&self) -> u64 {
        self.updates
    }

    /// Whether no run can go on from the state: an update failed half-way, some B still owes its part of the last one, or
    /// microbatches were under way at the last one.
    pub fn is_torn(&self) -> bool {
        self.torn || self.open || self.owes()
    }

    /// Says whether microbatches were under way at the last update. Their forward passes saw older weights than their
    /// backward passes will see, and have moved running statistics.
    pub fn set_open(&mut self, open: bool) {
        self.open = open;
    }

    /// Whether some B owes its part of the last update, which [`Stage::follow`] makes good.
    pub fn owes(&self) -> bool {
        self.layers.iter().any(|placed| placed.layer.owes())
    }

    /// Sets the number of updates of a restored state.
    pub fn set_updates(&mut self, updates: u64) {
        self.updates = updates;
    }

    /// F(m): the stage's outputs from its inputs, in the order of the cut's values.
    ///
    /// # Errors
    /// When a torch operation fails, or the `other` half is out of reach.
    pub fn forward(
        &mut self,
        m: MicrobatchId,
        inputs: Values,
        phase: Phase,
        other: &mut dyn OtherHalf,
    ) -> Result<Values, StageError> {
        let pass = match (phase, &mut self.kept) {
            (Phase::Evaluate, _) => Pass::Evaluate,
            (Phase::Train, None) => Pass::Train,
            (Phase::Train, Some(kept)) => {
                let inputs = inputs.iter().map(|(name, value)| (name.clone(), value.shallow_clone()));
                kept.put(m, Kept { inputs: inputs.collect(), updates: self.updates });
                Pass::First
            }
        };
        self.pass(m, inputs, pass, other)
    }

    fn pass(
        &mut self,
        m: MicrobatchId,
        inputs: Values,
        pass: Pass,
        other: &mut dyn OtherHalf,
    ) -> Result<Values, StageError> {
        let layout = self.settings.layout;
        // The stages above get the bytes, as this stage did.
        let bytes = inputs.iter().find(|(name, _)| name == INPUT).map(|(_, bytes)| bytes.shallow_clone());
        let mut values = HashMap::with_capacity(self.layers.len() + inputs.len());
        for (name, value) in inputs {
            let value = match (name == INPUT, &self.input) {
                (true, Some(input)) => settled(layout, input.normalise(&value)?)?,
                (true, None) => value,
                (false, _) => settled(layout, value)?,
            };
            values.insert(name, value);
        }
        for placed in &mut self.layers {
            let inputs = placed.inputs.iter().map(|name| values[name].shallow_clone()).collect();
            // The layer then holds alone what no later layer takes.
            placed.last.iter().for_each(|name| _ = values.remove(name));
            // A layer that gets no error would never release its values.
            let pass = if placed.wanted { pass } else { Pass::Evaluate };
            let output = settled(layout, placed.layer.forward(m, inputs, pass)?)?;
            if placed.split && pass.keeps() {
                other.show(&placed.name, placed.layer.show(m)?)?;
            }
            if placed.taken {
                values.insert(placed.name.clone(), output);
            }
        }
        if let Some(bytes) = bytes {
            values.insert(INPUT.into(), bytes);
        }
        Ok(self.outputs.iter().map(|name| (name.clone(), values[name].shallow_clone())).collect())
    }

    /// Makes the coming E of `m` compare the signals of W and B as well, for the next [`Stage::measure`].
    pub fn compare_signals(&mut self, m: MicrobatchId) {
        self.compared.begin(m);
    }

    /// E(m): the error at the stage's inputs from the error at its outputs. Empty if only the network's input lies
    /// below.
    ///
    /// # Errors
    /// When a torch operation fails, or the `other` half is out of reach.
    pub fn error(
        &mut self,
        m: MicrobatchId,
        outputs: Values,
        other: &mut dyn OtherHalf,
    ) -> Result<Values, StageError> {
        if let Some(kept) = &mut self.kept {
            let Kept { inputs, updates } = kept.take(m)?;
            if updates != self.updates {
                return Err(StageError::Version { m, forward: updates, now: self.updates });
            }
            self.pass(m, inputs, Pass::Replay, other)?;
        }
        let mut errors: HashMap<String, Tensor> = outputs.into_iter().collect();
        for placed in self.layers.iter_mut().rev().filter(|placed| placed.wanted) {
            let Some(error) = errors.remove(&placed.name) else {
                return Err(
                    TchError::Torch(format!("nothing consumes the output of '{}'", placed.name)).into()
                );
            };
            let error = settled(self.settings.layout, error)?;
            let sent = placed.split.then(|| error.shallow_clone());
            let mut parts = placed.layer.error(m, error, placed.error_needed)?;
            self.compared.note(m, placed, parts.first())?;
            if let Some(error) = sent {
                parts.extend(other.carry(&placed.name, error)?);
            }
            for (input, part) in placed.inputs.iter().zip(parts).rev() {
                let folded = match errors.remove(input) {
                    Some(sum) => torch::add(sum, &part)?,
                    None => part,
                };
                errors.insert(input.clone(), folded);
            }
        }
        let below = self.inputs.iter().filter(|name| *name != INPUT);
        Ok(below.filter_map(|name| errors.remove_entry(name)).collect())
    }

    /// G(m): adds the microbatch to every layer's gradients.
    ///
    /// # Errors
    /// When a torch operation fails.
    pub fn gradient(&mut self, m: MicrobatchId, minibatch: u32) -> Result<(), StageError> {
        for placed in &mut self.layers {
            placed.layer.gradient(m, minibatch)?;
        }
        Ok(())
    }

    /// U: steps every layer, W and B.
    ///
    /// # Errors
    /// When a torch operation fails, or the `other` half is out of reach.
    pub fn update(&mut self, other: &mut dyn OtherHalf) -> Result<(), StageError> {
        self.torn = true;
        for placed in &mut self.layers {
            placed.layer.update(&self.settings, self.updates)?;
            placed.layer.follow(&self.settings, self.updates)?;
            placed.show_noise(&self.settings, MirrorStep::AfterUpdate(self.updates), other)?;
        }
        self.torn = false;
        self.updates += 1;
        Ok(())
    }

    /// The first part of U, for a stage without split layers: everything that a forward pass reads steps. Until
    /// [`Stage::follow`] has made good what every B owes, the stage runs no action but F.
    ///
    /// # Errors
    /// When a torch operation fails.
    pub fn update_forward(&mut self) -> Result<(), StageError> {
        self.torn = true;
        for placed in &mut self.layers {
            placed.layer.update(&self.settings, self.updates)?;
        }
        self.torn = false;
        self.updates += 1;
        Ok(())
    }

    /// Makes good what the B of one layer owes of the last update; `false` if no B owes anything.
    ///
    /// # Errors
    /// When a torch operation fails.
    pub fn follow(&mut self) -> Result<bool, StageError> {
        let Some(placed) = self.layers.iter_mut().find(|placed| placed.layer.owes()) else {
            return Ok(false);
        };
        let torn = std::mem::replace(&mut self.torn, true);
        placed.layer.follow(&self.settings, self.updates - 1)?;
        self.torn = torn;
        Ok(true)
    }

    /// Makes the mirror step after `done` others, before the first update.
    ///
    /// # Errors
    /// When a torch operation fails, or the `other` half is out of reach.
    pub fn align(&mut self, done: u64, other: &mut dyn OtherHalf) -> Result<(), StageError> {
        for placed in &mut self.layers {
            placed.layer.align(&self.settings, done)?;
            placed.show_noise(&self.settings, MirrorStep::Delay(done), other)?;
        }
        Ok(())
    }

    /// Drops an unfinished minibatch; the state stays as of the last update, whose rest is made good here. Where that
    /// fails, the stage is torn.
    pub fn abandon(&mut self) {
        while !self.torn && self.owes() {
            if let Err(error) = self.follow() {
                let updates = self.updates;
                tracing::error!(%error, updates, "B's part of the last update failed, so this state is not saved: resume from the last snapshot");
            }
        }
        for placed in &mut self.layers {
            placed.layer.abandon();
        }
        self.compared = Compared::default();
        if let Some(kept) = &mut self.kept {
            kept.clear();
        }
    }

    /// Sets what follows from W, after the state was filled from that of another run.
    ///
    /// # Errors
    /// When a torch operation fails.
    pub fn begun(&mut self) -> Result<(), StageError> {
        Ok(self.layers.iter_mut().try_for_each(|placed| placed.layer.begun(&self.settings))?)
    }

    /// All tensors that survive a step, by name.
    pub fn state(&mut self) -> State<'_> {
        let mut state = State::default();
        for placed in &mut self.layers {
            placed.layer.state(&mut state);
        }
        state
    }

    /// The values from which the B of every weight layer was updated, since the stage was built.
    pub fn reads(&self) -> Vec<LayerReads> {
        self.layers.iter().filter_map(|placed| placed.layer.reads()).collect()
    }

    /// The angle and the norms of W and B in every weight layer, and the angles of their signals, if the E of a microbatch
    /// has compared them since the last call.
    ///
    /// # Errors
    /// When a torch operation fails.
    pub fn measure(&mut self) -> Result<Vec<LayerMeasure>, StageError> {
        let measures = self.layers.iter().map(|placed| placed.layer.measure());
        let mut measured: Vec<_> = measures.collect::<Result<Vec<_>, _>>()?.into_iter().flatten().collect();
        self.compared.end(&mut measured);
        Ok(measured)
    }
}
