//! The backward half of a stage: the B of its layers that are split, on a host of their own.

use super::StageError;
use crate::layer::SplitLayer;
use crate::settings::Settings;
use crate::state::named::State;
use proto::ledger::LayerReads;
use proto::microbatch::MicrobatchId;
use proto::spec::graph;
use proto::spec::stage::StageSpec;
use std::collections::HashMap;

/// The layers of a backward node, and the number of updates that they have seen.
pub struct BackwardHalf {
    settings: Settings,
    layers: Vec<SplitLayer>,
    updates: u64,
    /// Whether an update failed half-way: some layers have stepped, and others have not.
    torn: bool,
    /// Whether microbatches were under way at the last update.
    open: bool,
}

impl BackwardHalf {
    /// Builds the backward half of the stage `spec`, and draws its B.
    ///
    /// # Errors
    /// When the specification does not fit together, or memory or device fail.
    pub fn new(spec: &StageSpec, settings: Settings) -> Result<Self, StageError> {
        let computed = graph::infer_shapes(&spec.inputs, &spec.layers)?;
        let known = spec.inputs.iter().chain(&computed);
        let shapes: HashMap<&str, &[u64]> =
            known.map(|value| (value.name.as_str(), value.shape.as_slice())).collect();
        let split = spec.layers.iter().filter(|layer| layer.split);
        let layers = split.map(|layer| SplitLayer::new(layer, shapes[layer.inputs[0].as_str()], &settings));
        Ok(Self { layers: layers.collect::<Result<_, _>>()?, settings, updates: 0, torn: false, open: false })
    }

    /// The layers, in the order of the stage.
    pub fn layers(&mut self) -> &mut [SplitLayer] {
        &mut self.layers
    }

    /// The number of layers.
    pub fn layer_count(&self) -> usize {
        self.layers.len()
    }

    /// The settings of all layers.
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// The number of finished updates.
    pub fn updates(&self) -> u64 {
        self.updates
    }

    /// Whether no run can go on from the state: an update failed half-way, or microbatches were under way at the last
    /// update.
    pub fn is_torn(&self) -> bool {
        self.torn || self.open
    }

    /// Says whether microbatches were under way at the last update.
    pub fn set_open(&mut self, open: bool) {
        self.open = open;
    }

    /// Sets the number of updates of a restored state.
    pub fn set_updates(&mut self, updates: u64) {
        self.updates = updates;
    }

    /// G(m): adds the microbatch to the gradient of every B.
    ///
    /// # Errors
    /// When a torch operation fails.
    pub fn gradient(&mut self, m: MicrobatchId, minibatch: u32) -> Result<(), StageError> {
        for layer in &mut self.layers {
            layer.gradient(m, minibatch)?;
        }
        Ok(())
    }

    /// U: steps every B. After its step, each layer is given to `mirror` for a mirror step, with the settings and the
    /// number of the updates before this one.
    ///
    /// # Errors
    /// When a torch operation or `mirror` fails.
    pub fn update(
        &mut self,
        mut mirror: impl FnMut(&mut SplitLayer, &Settings, u64) -> Result<(), StageError>,
    ) -> Result<(), StageError> {
        self.torn = true;
        for layer in &mut self.layers {
            layer.update(&self.settings, self.updates)?;
            mirror(layer, &self.settings, self.updates)?;
        }
        self.torn = false;
        self.updates += 1;
        Ok(())
    }

    /// Gives each layer to `mirror` for a mirror step before the first update.
    ///
    /// # Errors
    /// When `mirror` fails.
    pub fn align(
        &mut self,
        mut mirror: impl FnMut(&mut SplitLayer, &Settings) -> Result<(), StageError>,
    ) -> Result<(), StageError> {
        self.layers.iter_mut().try_for_each(|layer| mirror(layer, &self.settings))
    }

    /// Drops an unfinished minibatch; the state stays as of the last update.
    pub fn abandon(&mut self) {
        self.layers.iter_mut().for_each(SplitLayer::abandon);
    }

    /// All tensors that survive a step, by name.
    pub fn state(&mut self) -> State<'_> {
        let mut state = State::default();
        self.layers.iter_mut().for_each(|layer| layer.state(&mut state));
        state
    }

    /// The values from which every B was updated, since the node was configured.
    pub fn reads(&self) -> Vec<LayerReads> {
        self.layers.iter().map(SplitLayer::reads).collect()
    }
}
