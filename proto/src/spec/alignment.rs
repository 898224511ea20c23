//! How the primitives are fed and weighed, beyond their coefficients.

use crate::error::ProtocolError;
use crate::spec::optimizer::Schedule;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// The options of B's loss; the default is the plain form, in which x and y are what passes through the layer.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Alignment {
    /// The factor on all coefficients over the stage's updates.
    #[serde(skip)]
    pub schedule: Schedule,
    /// What is taken off x before it meets W and B.
    pub centering: Centering,
    /// What is done to y and z.
    #[serde(rename = "activation")]
    pub transfer: Transfer,
    /// σ: after each of its steps B moves by learning rate · ξ, ξ normal with this deviation; 0 for none.
    pub update_noise: f64,
    /// Noise takes x's place, in steps of their own; `None` where x is the layer's input.
    #[serde(flatten, with = "Input")]
    pub mirror: Option<Mirror>,
}

/// What the primitives take for x, as a configuration says it.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "input", rename_all = "snake_case")]
pub enum Input {
    /// What comes into the layer.
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

/// What is taken off the primitives' x, so that B learns from what varies and not from the mean.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Centering {
    /// Nothing.
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
    /// None.
    #[default]
    #[serde(rename = "none")]
    Identity,
    /// max(0, ·)
    Relu,
    /// tanh
    Tanh,
}

/// Mirror steps: a layer draws noise, sends it through W, and B learns from the pair alone. W, its optimizer
/// and the statistics of batch norms stand still, and no message is needed.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Mirror {
    /// How the noise is distributed.
    pub noise: Noise,
    /// Its standard deviation.
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
    /// Whether the primitives are fed the x that comes in, so that its y is the layer's own.
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
