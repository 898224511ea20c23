//! The network as a graph of layers: what each computes, from what, and the shapes that follow.

use crate::error::DoorError;
use crate::message::Value;
use crate::rule::RuleSpec;
use std::collections::HashMap;

/// The name of the network's input in a layer's `inputs`.
pub const INPUT: &str = "input";

/// The most layers that one network may have.
pub const MAX_LAYERS: usize = 10_000;
/// The longest name of a layer, in bytes.
pub const MAX_NAME: usize = 128;
/// The most elements of one sample of a value, and the most of one parameter tensor.
const MAX_ELEMENTS: u64 = 1 << 40;

/// How the elements of W and B are drawn.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub enum Init {
    /// Normal, cut at two deviations, with a deviation of √(1/fan_in) / 0.8796 (variance scaling).
    #[default]
    FanIn,
    /// Normal with this standard deviation.
    Normal(f64),
}

/// What a layer computes. Convolutions and pooling windows are square.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Op {
    /// y = conv2d(x, W), W of shape (out, in, kernel, kernel); then + bias.
    Conv2d {
        /// Channels of y.
        out: u32,
        /// Side of the window.
        kernel: u32,
        /// Step of the window.
        stride: u32,
        /// Zeros around x.
        padding: u32,
        /// Whether a bias per channel is added.
        bias: bool,
        /// How W and B are drawn.
        init: Init,
    },
    /// y = x Wᵀ, W of shape (out, in); then + bias.
    Linear {
        /// Features of y.
        out: u32,
        /// Whether a bias per feature is added.
        bias: bool,
        /// How W and B are drawn.
        init: Init,
    },
    /// Adds one number per channel.
    Bias,
    /// Normalises each channel over the microbatch and its positions, then scales by γ and adds β.
    BatchNorm {
        /// Added to the variance.
        eps: f64,
        /// Weight of a microbatch in the running statistics (PyTorch's convention: .1 is usual).
        momentum: f64,
        /// γ at the start.
        gamma: f64,
    },
    /// max(0, x).
    Relu,
    /// The largest element of each window.
    MaxPool(Window),
    /// The mean of each window (padding counts as zeros).
    AvgPool(Window),
    /// One vector per sample.
    Flatten,
    /// The sum of two or more values of one shape.
    Add,
}

/// A square pooling window. Kernel 0 takes the whole plane.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Window {
    /// Side of the window.
    pub kernel: u32,
    /// Step of the window.
    pub stride: u32,
    /// Padding around x, less than the kernel by half at least.
    pub padding: u32,
}

impl Op {
    /// The op's name in configuration files and sentences.
    pub fn name(&self) -> &'static str {
        match self {
            Op::Conv2d { .. } => "conv2d",
            Op::Linear { .. } => "linear",
            Op::Bias => "bias",
            Op::BatchNorm { .. } => "batch_norm",
            Op::Relu => "relu",
            Op::MaxPool(_) => "max_pool",
            Op::AvgPool(_) => "avg_pool",
            Op::Flatten => "flatten",
            Op::Add => "add",
        }
    }

    /// Whether the layer keeps W and B.
    pub fn is_weight(&self) -> bool {
        matches!(self, Op::Conv2d { .. } | Op::Linear { .. })
    }

    /// The shape of W for inputs of shape `x` (one sample), where the layer has one.
    pub fn weight_shape(&self, x: &[u64]) -> Option<Vec<u64>> {
        match (self, x) {
            (Op::Conv2d { out, kernel, .. }, &[channels, _, _]) => {
                Some(vec![u64::from(*out), channels, u64::from(*kernel), u64::from(*kernel)])
            }
            (Op::Linear { out, .. }, &[features]) => Some(vec![u64::from(*out), features]),
            _ => None,
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
            _ => 0,
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
    /// A sentence without the layer's name: the caller knows it.
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
                let side = |size| windows(size, Window { kernel, stride, padding });
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
                    vec![channels, windows(height, window)?, windows(width, window)?]
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

/// Whether a tensor can have this shape: neither empty nor beyond what a host could hold.
pub(crate) fn bounded(shape: &[u64]) -> bool {
    let elements = shape.iter().try_fold(1u64, |product, &size| product.checked_mul(size));
    elements.is_some_and(|n| n > 0 && n <= MAX_ELEMENTS)
}

fn plane(shape: &[u64]) -> Result<[u64; 3], String> {
    shape.try_into().map_err(|_| format!("takes planes (channels, height, width), not {shape:?}"))
}

/// How many windows fit side by side.
fn windows(size: u64, window: Window) -> Result<u64, String> {
    let Window { kernel, stride, padding } = window;
    let padded = size + 2 * u64::from(padding);
    if kernel == 0 || stride == 0 || u64::from(kernel) > padded {
        return Err(format!("cannot move a window of {kernel} by {stride} over {padded} pixels"));
    }
    Ok((padded - u64::from(kernel)) / u64::from(stride) + 1)
}

/// One node of the graph.
#[derive(Clone, Debug, PartialEq)]
pub struct LayerSpec {
    /// Unique in the network; also the name of the value that it computes.
    pub name: String,
    /// The values that it takes, in order.
    pub inputs: Vec<String>,
    /// What it computes.
    pub op: Op,
    /// How its B learns; only weight layers use it.
    pub rule: RuleSpec,
}

impl LayerSpec {
    /// A layer that learns by backprop where it has weights.
    pub fn new(name: &str, inputs: &[&str], op: Op) -> Self {
        let inputs = inputs.iter().map(|&input| input.into()).collect();
        Self { name: name.into(), inputs, op, rule: RuleSpec::default() }
    }
}

/// The shapes of one sample of every value that `layers` compute, in order, given their inputs.
///
/// # Errors
/// One sentence that names the layer: a doubled name, an input that nothing before it computes, or
/// a shape that its op cannot take.
pub fn infer_shapes(inputs: &[Value], layers: &[LayerSpec]) -> Result<Vec<Value>, DoorError> {
    if layers.len() > MAX_LAYERS {
        return Err(DoorError::invalid(format!("{} layers are more than {MAX_LAYERS}", layers.len())));
    }
    let mut known: HashMap<&str, Vec<u64>> = HashMap::new();
    for input in inputs {
        known.insert(&input.name, input.shape.clone());
    }
    let mut values = Vec::with_capacity(layers.len());
    for layer in layers {
        check_name(&layer.name)?;
        let refuse = |why: String| DoorError::invalid(format!("layer '{}' {why}", layer.name));
        let find = |name: &String| {
            known.get(name.as_str()).map(Vec::as_slice).ok_or_else(|| {
                refuse(format!("takes '{}', which no layer before it computes", crate::framing::short(name)))
            })
        };
        let shapes = layer.inputs.iter().map(find).collect::<Result<Vec<_>, _>>()?;
        let shape = layer.op.output_shape(&shapes).map_err(&refuse)?;
        values.push(Value { name: layer.name.clone(), shape: shape.clone() });
        if known.insert(&layer.name, shape).is_some() {
            return Err(refuse("has the name of another value: names are unique".into()));
        }
    }
    Ok(values)
}

fn check_name(name: &str) -> Result<(), DoorError> {
    let fits = !name.is_empty() && name.len() <= MAX_NAME;
    if fits && name.chars().all(|c| c.is_ascii_alphanumeric() || "._-".contains(c)) {
        return Ok(());
    }
    let name = crate::framing::short(name);
    Err(DoorError::invalid(format!(
        "'{name}' cannot name a layer: letters, digits, '.', '_' and '-' can, up to {MAX_NAME}"
    )))
}

/// The values that cross the cut before layer `at`: all that is computed before it (or is the
/// network's input) and needed at or after it, in the order of their computation. The last layer's
/// value is the network's output and is needed beyond the end.
pub fn crossing(layers: &[LayerSpec], at: usize) -> Vec<&str> {
    let needed = |name: &str| layers[at..].iter().any(|layer| layer.inputs.iter().any(|input| input == name));
    let computed = layers[..at].iter().map(|layer| layer.name.as_str());
    let output = layers.last().map(|layer| layer.name.as_str()).filter(|_| at == layers.len());
    std::iter::once(INPUT).chain(computed).filter(|&name| needed(name) || output == Some(name)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn conv(out: u32, stride: u32) -> Op {
        Op::Conv2d { out, kernel: 3, stride, padding: 1, bias: false, init: Init::FanIn }
    }

    /// A residual block whose skip crosses two cuts.
    fn block() -> Vec<LayerSpec> {
        let layer = LayerSpec::new;
        vec![
            layer("stem", &["input"], conv(8, 1)),
            layer("a", &["stem"], conv(8, 1)),
            layer("b", &["a"], conv(8, 1)),
            layer("sum", &["b", "stem"], Op::Add),
        ]
    }

    #[test]
    fn a_skip_crosses_every_cut_that_it_spans() {
        let layers = block();
        let at = |cut| crossing(&layers, cut).join(" ");
        assert_eq!([at(0), at(1), at(2), at(3), at(4)], ["input", "stem", "stem a", "stem b", "sum"]);
    }

    #[test]
    fn shapes_follow_from_the_input() {
        let input = [Value { name: INPUT.into(), shape: vec![3, 9, 9] }];
        let shapes = infer_shapes(&input, &block()).unwrap();
        assert_eq!(shapes[3].shape, [8, 9, 9]);
        assert_eq!(conv(8, 2).output_shape(&[&[3, 9, 9]]).unwrap(), [8, 5, 5]);
        assert_eq!(conv(8, 2).macs(&[3, 9, 9]), 8 * 3 * 9 * 25);
        assert_eq!(
            Op::AvgPool(Window { kernel: 0, stride: 1, padding: 0 }).output_shape(&[&[3, 9, 9]]).unwrap(),
            [3, 1, 1]
        );
    }

    #[test]
    fn what_cannot_be_computed_is_refused_by_name() {
        let input = [Value { name: INPUT.into(), shape: vec![3, 9, 9] }];
        let mut doubled = block();
        doubled[2].name = "a".into();
        let mut unknown = block();
        unknown[1].inputs = vec!["b".into()];
        let mut huge = block();
        huge[0].op = Op::Conv2d {
            out: u32::MAX,
            kernel: 3,
            stride: 1,
            padding: u32::MAX,
            bias: false,
            init: Init::FanIn,
        };
        let mut still = block();
        still[1].op = conv(8, 0);
        for (layers, name) in [(doubled, "'a'"), (unknown, "'a'"), (huge, "'stem'"), (still, "'a'")] {
            let error = infer_shapes(&input, &layers).unwrap_err().to_string();
            assert!(error.contains(name), "{error}");
        }
    }
}
