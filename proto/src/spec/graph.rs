//! The network as a graph of layers: their operations, their inputs, and the shapes that follow.

pub use super::limits::{MAX_INPUTS, MAX_LAYERS, MAX_NAME};
pub use super::op::{Init, Op, Window};

use crate::error::ProtocolError;
use crate::spec::rule::RuleSpec;
use crate::tensor::Kind;
use serde::{Deserialize, Serialize};
use std::collections::{HashMap, HashSet};

/// The name of the network's input in a layer's `inputs`.
pub const INPUT: &str = "input";

/// A value of the network's graph that crosses a cut: its name and the shape of one sample.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Value {
    /// The layer that computes the value, or [`crate::spec::graph::INPUT`].
    pub name: String,
    /// The shape of one sample.
    pub shape: Vec<u64>,
}

impl Value {
    /// The number format in which the value crosses a link whose number format is `wire`: the network's input crosses
    /// every cut in bytes, and is normalised by each stage that takes it.
    pub fn kind(&self, wire: Kind) -> Kind {
        if self.name == INPUT { Kind::U8 } else { wire }
    }

    /// The bytes of one sample on a link whose number format is `wire`.
    pub fn bytes(&self, wire: Kind) -> u64 {
        self.kind(wire).bytes(self.shape.iter().copied().fold(1, u64::saturating_mul))
    }
}

/// One node of the graph: a configuration's `[[layer]]` with all defaults filled in.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LayerSpec {
    /// The layer's name, unique in the network. The layer's value has the same name.
    pub name: String,
    /// The values that the layer takes, in order.
    pub inputs: Vec<String>,
    /// The layer's operation.
    #[serde(flatten)]
    pub op: Op,
    /// The rule by which B learns. Only weight layers use it.
    #[serde(skip)]
    pub rule: RuleSpec,
    /// Whether B is on another host than W: at the stage's backward node.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub split: bool,
}

impl LayerSpec {
    /// A layer that learns by backprop where it has weights.
    pub fn new(name: &str, inputs: &[&str], op: Op) -> Self {
        let inputs = inputs.iter().map(|&input| input.into()).collect();
        Self { name: name.into(), inputs, op, rule: RuleSpec::default(), split: false }
    }
}

/// The shapes of one sample of every value that `layers` compute, in order, given their inputs.
///
/// # Errors
/// One sentence that names the layer: a doubled name, an input that no earlier layer computes, or
/// a shape that the layer's op cannot take.
pub fn infer_shapes(inputs: &[Value], layers: &[LayerSpec]) -> Result<Vec<Value>, ProtocolError> {
    if layers.len() > MAX_LAYERS {
        return Err(ProtocolError::invalid(format!("{} layers are more than {MAX_LAYERS}", layers.len())));
    }
    let mut known: HashMap<&str, Vec<u64>> = HashMap::new();
    for input in inputs {
        known.insert(&input.name, input.shape.clone());
    }
    let mut values = Vec::with_capacity(layers.len());
    for layer in layers {
        check_name(&layer.name)?;
        let refuse = |why: String| ProtocolError::invalid(format!("layer '{}' {why}", layer.name));
        if layer.inputs.len() > MAX_INPUTS {
            return Err(refuse(format!("takes {} values, more than {MAX_INPUTS}", layer.inputs.len())));
        }
        let find = |name: &String| {
            known.get(name.as_str()).map(Vec::as_slice).ok_or_else(|| {
                refuse(format!("takes '{}', which no layer before it computes", crate::error::short(name)))
            })
        };
        let shapes = layer.inputs.iter().map(find).collect::<Result<Vec<_>, _>>()?;
        let shape = layer.op.output_shape(&shapes).map_err(&refuse)?;
        if let (Some(product), Some(weight)) = (layer.rule.product(), layer.op.weight_shape(shapes[0])) {
            product.fits(&weight).map_err(&refuse)?;
        }
        values.push(Value { name: layer.name.clone(), shape: shape.clone() });
        // A stage that does not take the network's input has no layer of its name either.
        if known.insert(&layer.name, shape).is_some() || layer.name == INPUT {
            return Err(refuse("has the name of another value: names are unique".into()));
        }
    }
    Ok(values)
}

/// The values whose error is needed: those that another stage sends, and those with a trained layer below. Only the
/// network's input lies below the others, as below a `flatten` of the images.
pub fn wanted_errors<'a>(inputs: &'a [Value], layers: &'a [LayerSpec]) -> HashSet<&'a str> {
    let given = inputs.iter().map(|value| value.name.as_str()).filter(|name| *name != INPUT);
    let mut wanted: HashSet<&str> = given.collect();
    for layer in layers {
        if layer.op.has_parameters() || layer.inputs.iter().any(|input| wanted.contains(input.as_str())) {
            wanted.insert(&layer.name);
        }
    }
    wanted
}

fn check_name(name: &str) -> Result<(), ProtocolError> {
    let fits = !name.is_empty() && name.len() <= MAX_NAME;
    if fits && name.chars().all(|c| c.is_ascii_alphanumeric() || "._-".contains(c)) {
        return Ok(());
    }
    let name = crate::error::short(name);
    Err(ProtocolError::invalid(format!(
        "'{name}' cannot name a layer: letters, digits, '.', '_' and '-' can, up to {MAX_NAME}"
    )))
}

/// The values that cross the cut before layer `at`, in the order of their computation: every value that is computed
/// before the cut (or is the network's input) and needed after it. The last layer's value is the network's output
/// and is needed beyond the end.
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

    /// A residual block with a skip that crosses two cuts.
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
