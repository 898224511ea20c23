//! The comparison of signals in a stage: the microbatch that is compared, and the angles of its layers.

use super::Placed;
use crate::layer::Signals;
use proto::control::LayerMeasure;
use proto::microbatch::MicrobatchId;
use std::collections::HashMap;
use tch::{TchError, Tensor};

/// The comparison of one microbatch.
#[derive(Default)]
pub struct Compared {
    /// The microbatch whose E compares; `None` where no comparison is due.
    due: Option<MicrobatchId>,
    /// The angles by layer.
    found: HashMap<String, Signals>,
}

impl Compared {
    /// Begins the comparison of microbatch `m`.
    pub fn begin(&mut self, m: MicrobatchId) {
        *self = Self { due: Some(m), found: HashMap::new() };
    }

    /// Compares the signals of a layer in the E of `m`, if its comparison is due. `carried` is the error at the layer's
    /// input that B sent.
    ///
    /// # Errors
    /// When a torch operation fails.
    pub fn note(
        &mut self,
        m: MicrobatchId,
        placed: &mut Placed,
        carried: Option<&Tensor>,
    ) -> Result<(), TchError> {
        if self.due != Some(m) {
            return Ok(());
        }
        let signals = placed.layer.signals(m, carried)?;
        self.found.extend(signals.map(|signals| (placed.name.clone(), signals)));
        Ok(())
    }

    /// Writes the angles into the measurements of their layers, and ends the comparison.
    pub fn end(&mut self, layers: &mut [LayerMeasure]) {
        let Self { found, .. } = std::mem::take(self);
        for layer in layers {
            let &Signals { output_deg, error_deg } = found.get(&layer.name).unwrap_or(&Signals::NONE);
            (layer.output_angle_deg, layer.error_angle_deg) = (output_deg, error_deg);
        }
    }
}
