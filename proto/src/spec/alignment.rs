//! The options of the primitives beyond their coefficients: their input, their schedule and their noise.

use crate::error::ProtocolError;
use crate::spec::optimizer::Schedule;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// The options of B's loss. In the default, plain form, x and y are the layer's own input and output.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Alignment {
    /// The factor on all coefficients, as a function of the stage's updates.
    #[serde(skip)]
    pub schedule: Schedule,
    /// The mean that is subtracted from x before the primitives apply W and B to it.
    pub centering: Centering,
    /// The function that is applied to y and z.
    #[serde(rename = "activation")]
    pub transfer: Transfer,
    /// Whether amp, null and sparse are means over the positions of y, and no sums: their coefficients then do not depend
    /// on the resolution of a convolution.
    #[serde(default)]
    pub per_position: bool,
    /// σ: after each of its steps B moves by learning rate · ξ, ξ normal with this deviation; 0 for none.
    pub update_noise: f64,
    /// The noise that replaces x, in mirror steps; `None` where x is the layer's input.
    #[serde(flatten, with = "Input")]
    pub mirror: Option<Mirror>,
}

/// The x of the primitives, as a configuration names it.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "input", rename_all = "snake_case")]
pub enum Input {
    /// The layer's input.
    Activation,
    /// Noise, in mirror steps.
    Noise(Mirror),
}

impl Input {
    fn serialize<S: Serializer>(mirror: &Option<Mirror>, serializer: S) -> Result<S::Ok, S::Error> {
        Serialize::serialize(&mirror.map_or(Input::Activation, Input::Noise), serializer)
    }

    fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Mirror>, D::Error> {
        Ok(match Deserialize::deserialize(deserializer)? {
            Input::Activation => None,
            Input::Noise(mirror) => Some(mirror),
        })
    }
}

/// The mean that is subtracted from the primitives' x, so that B learns from variation and not from the mean.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Centering {
    /// No mean.
    #[default]
    None,
    /// Each sample's mean over all its features and positions.
    Sample,
    /// Each feature's mean (at each position) over the microbatch.
    Batch,
}

/// An activation on y and z, inside the primitives only.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Transfer {
    /// No function.
    #[default]
    #[serde(rename = "none")]
    Identity,
    /// max(0, ·)
    Relu,
    /// tanh
    Tanh,
}

/// Mirror steps: a layer draws noise, sends it through W, and B learns from the pair alone. W, its optimizer
/// and the statistics of batch norms do not change, and neighbours exchange no message.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Mirror {
    /// The distribution of the noise.
    pub noise: Noise,
    /// The standard deviation of the noise.
    #[serde(rename = "noise_sigma")]
    pub sigma: f64,
    /// Samples of noise in a step.
    #[serde(rename = "noise_batch")]
    pub batch: u32,
    /// Updates between mirror steps, each after W's own; 0 for none once training has begun.
    #[serde(rename = "mirror_every")]
    pub every: u64,
    /// Mirror steps before the first update.
    #[serde(rename = "mirror_delay")]
    pub delay: u64,
}

/// A distribution around 0.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Noise {
    /// Normal.
    #[default]
    Normal,
    /// Uniform, between ±√3 standard deviations.
    Uniform,
}

impl Alignment {
    /// Whether the primitives' x is the layer's own input, so that their y is the layer's own y.
    pub fn is_fed_input(&self) -> bool {
        self.mirror.is_none() && self.centering == Centering::None
    }

    pub(crate) fn check(&self) -> Result<(), ProtocolError> {
        let not_negative = |value: f64| value >= 0.0 && value.is_finite();
        if !not_negative(self.update_noise) {
            return Err(ProtocolError::invalid("the noise on B's updates must be finite and not negative"));
        }
        match self.mirror {
            Some(Mirror { sigma, batch, .. })
                if !not_negative(sigma) || batch == 0 || batch > crate::spec::limits::MAX_MICROBATCH =>
            {
                Err(ProtocolError::invalid(format!(
                    "mirror steps cannot be of {batch} samples with deviation {sigma}"
                )))
            }
            _ => Ok(()),
        }
    }
}
