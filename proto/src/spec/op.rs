//! The operations of layers, and the shapes, parameters and work that follow.

pub use super::window::Window;
use serde::{Deserialize, Serialize};

/// The most elements of one sample of a value, and the most elements of one parameter tensor.
const MAX_ELEMENTS: u64 = 1 << 40;

/// The distribution of the elements of W and B at the start. A configuration gives a deviation or no key.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Init {
    /// Normal, cut at two deviations, with a deviation of √(1/fan_in) / 0.8796 (variance scaling).
    #[default]
    #[serde(skip)]
    FanIn,
    /// Normal with this standard deviation.
    Normal(f64),
}

impl Init {
    fn is_usual(&self) -> bool {
        *self == Init::default()
    }
}

/// A tensor that a layer keeps of a microbatch from its F on: until its E, or until its G where it has weights.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeptTensor {
    /// The input x.
    Input,
    /// The output y.
    Output,
    /// The product of W and x, which differs from y where the layer adds a bias.
    BeforeBias,
    /// The indices of a max pooling: an i64 for each number of y.
    Indices,
}

/// The operation of a layer. Convolutions and pooling windows are square. A configuration tells layers apart by
/// their `kind`.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum Op {
    /// y = conv2d(x, W), W of shape (out, in, kernel, kernel); then + bias.
    Conv2d {
        /// Channels of y.
        out: u32,
        /// Side of the window.
        kernel: u32,
        /// Step of the window.
        #[serde(default = "one")]
        stride: u32,
        /// Zeros around x.
        #[serde(default)]
        padding: u32,
        /// Whether a bias per channel is added.
        #[serde(default)]
        bias: bool,
        /// How W and B are drawn.
        #[serde(rename = "init_std", default, skip_serializing_if = "Init::is_usual")]
        init: Init,
    },
    /// y = x Wᵀ, W of shape (out, in); then + bias.
    Linear {
        /// Features of y.
        out: u32,
        /// Whether a bias per feature is added.
        #[serde(default = "yes")]
        bias: bool,
        /// How W and B are drawn.
        #[serde(rename = "init_std", default, skip_serializing_if = "Init::is_usual")]
        init: Init,
    },
    /// Adds one number per channel.
    Bias,
    /// Normalises each channel over the microbatch and its positions, then scales by γ and adds β.
    BatchNorm {
        /// Added to the variance.
        #[serde(default = "eps")]
        eps: f64,
        /// Weight of a microbatch in the running statistics (PyTorch's convention: .1 is usual).
        #[serde(default = "momentum")]
        momentum: f64,
        /// γ at the start.
        #[serde(default = "gamma")]
        gamma: f64,
    },
    /// max(0, x).
    Relu,
    /// The largest element of each window.
    MaxPool(#[serde(deserialize_with = "Window::with_kernel")] Window),
    /// The mean of each window (padding counts as zeros).
    AvgPool(#[serde(deserialize_with = "Window::or_plane")] Window),
    /// One vector per sample.
    Flatten,
    /// The sum of two or more values of one shape.
    Add,
}

fn one() -> u32 {
    1
}

fn yes() -> bool {
    true
}

fn eps() -> f64 {
    1e-5
}

fn momentum() -> f64 {
    0.1
}

fn gamma() -> f64 {
    1.0
}

impl Op {
    /// Whether the layer keeps W and B.
    pub fn is_weight(&self) -> bool {
        matches!(self, Op::Conv2d { .. } | Op::Linear { .. })
    }

    /// The tensors that the layer keeps. `output` says whether the layer's rule needs the product of W and x as well.
    pub fn kept(&self, output: bool) -> &'static [KeptTensor] {
        use KeptTensor::{BeforeBias, Indices, Input, Output};
        match (self, output) {
            (Op::Conv2d { bias: true, .. } | Op::Linear { bias: true, .. }, true) => &[Input, BeforeBias],
            (Op::Conv2d { .. } | Op::Linear { .. }, true) => &[Input, Output],
            (Op::Conv2d { .. } | Op::Linear { .. } | Op::BatchNorm { .. } | Op::AvgPool(_), _) => &[Input],
            (Op::MaxPool(_), _) => &[Input, Indices],
            (Op::Relu, _) => &[Output],
            (Op::Bias | Op::Flatten | Op::Add, _) => &[],
        }
    }

    /// The shape of W for inputs of shape `x` (one sample), where the layer has one.
    pub fn weight_shape(&self, x: &[u64]) -> Option<Vec<u64>> {
        match *self {
            Op::Conv2d { out, kernel, .. } => {
                let &[channels, _, _] = x else { return None };
                Some(vec![u64::from(out), channels, u64::from(kernel), u64::from(kernel)])
            }
            Op::Linear { out, .. } => {
                let &[features] = x else { return None };
                Some(vec![u64::from(out), features])
            }
            Op::Bias
            | Op::BatchNorm { .. }
            | Op::Relu
            | Op::MaxPool(_)
            | Op::AvgPool(_)
            | Op::Flatten
            | Op::Add => None,
        }
    }

    /// Trained numbers of the layer for inputs of shape `x` (one sample); B is not counted.
    pub fn parameters(&self, x: &[u64]) -> u64 {
        let channels = x.first().copied().unwrap_or(0);
        match self {
            Op::Conv2d { out, bias, .. } | Op::Linear { out, bias, .. } => {
                let weights: u64 = self.weight_shape(x).map_or(0, |shape| shape.iter().product());
                weights + if *bias { u64::from(*out) } else { 0 }
            }
            Op::Bias => channels,
            Op::BatchNorm { .. } => 2 * channels,
            Op::Relu | Op::MaxPool(_) | Op::AvgPool(_) | Op::Flatten | Op::Add => 0,
        }
    }

    /// Whether the op has numbers that are trained.
    pub fn has_parameters(&self) -> bool {
        match self {
            Op::Conv2d { .. } | Op::Linear { .. } | Op::Bias | Op::BatchNorm { .. } => true,
            Op::Relu | Op::MaxPool(_) | Op::AvgPool(_) | Op::Flatten | Op::Add => false,
        }
    }

    /// Multiply-adds of one sample's forward pass through W; other layers count as none.
    pub fn macs(&self, x: &[u64]) -> u64 {
        let weights: u64 = self.weight_shape(x).map_or(0, |shape| shape.iter().product());
        let positions = match (self, self.output_shape(&[x])) {
            (Op::Conv2d { .. }, Ok(y)) => y[1] * y[2],
            _ => 1,
        };
        weights.saturating_mul(positions)
    }

    /// The shape of one sample of the output, from the shapes of one sample of the inputs.
    ///
    /// # Errors
    /// A sentence without the layer's name, which the caller adds.
    pub fn output_shape(&self, inputs: &[&[u64]]) -> Result<Vec<u64>, String> {
        let only = match (self, inputs) {
            (Op::Add, [first, rest @ ..]) if !rest.is_empty() => {
                return match rest.iter().find(|shape| *shape != first) {
                    None => Ok(first.to_vec()),
                    Some(other) => Err(format!("adds values of different shapes, {first:?} and {other:?}")),
                };
            }
            (Op::Add, _) => return Err("adds at least two values".into()),
            (_, [only]) => *only,
            _ => return Err(format!("takes one input, not {}", inputs.len())),
        };
        let shape = match *self {
            Op::Linear { out, .. } if only.len() == 1 => vec![u64::from(out)],
            Op::Linear { .. } => return Err(format!("takes vectors, not {only:?}: put a flatten before it")),
            Op::Conv2d { out, kernel, stride, padding, .. } => {
                let [_, height, width] = plane(only)?;
                let side = |size| Window { kernel, stride, padding }.count(size);
                vec![u64::from(out), side(height)?, side(width)?]
            }
            Op::MaxPool(window) | Op::AvgPool(window) => {
                let [channels, height, width] = plane(only)?;
                if u64::from(window.padding) * 2 > u64::from(window.kernel) {
                    return Err(format!(
                        "has padding {} beyond half its kernel {}",
                        window.padding, window.kernel
                    ));
                }
                if window.kernel == 0 {
                    vec![channels, 1, 1]
                } else {
                    vec![channels, window.count(height)?, window.count(width)?]
                }
            }
            Op::Flatten => vec![only.iter().product()],
            Op::Bias | Op::BatchNorm { .. } if only.len() != 1 && only.len() != 3 => {
                return Err(format!("takes vectors or planes, not {only:?}"));
            }
            Op::Bias | Op::BatchNorm { .. } | Op::Relu | Op::Add => only.to_vec(),
        };
        if bounded(&shape) && self.weight_shape(only).is_none_or(|weights| bounded(&weights)) {
            return Ok(shape);
        }
        Err(format!("is empty or too large: {shape:?} from {only:?}"))
    }
}

/// Whether a tensor can have this shape: it is not empty and fits into a host's memory.
pub(crate) fn bounded(shape: &[u64]) -> bool {
    let elements = shape.iter().try_fold(1u64, |product, &size| product.checked_mul(size));
    elements.is_some_and(|n| n > 0 && n <= MAX_ELEMENTS)
}

fn plane(shape: &[u64]) -> Result<[u64; 3], String> {
    shape.try_into().map_err(|_| format!("takes planes (channels, height, width), not {shape:?}"))
}
