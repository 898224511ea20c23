//! A stage whose W and B are on two hosts: the values of its split layers that cross between them.
//!
//! ```text
//!                sample (x, y), in F          conv1.x  conv1.y
//! host of W ───  error at y, in E             conv1.error     ──▶ host of B
//!                noise and its y, after U     conv1.noise  conv1.noise.y
//!           ◀──  error at x, in E             conv1.x         ───
//! ```
//!
//! Both ends know the forms from the same specification, and a message is of one layer.

use super::contract::{Contract, Form};
use super::graph::{self, LayerSpec, Value};
use super::limits::MAX_SPLIT;
use super::rule::RuleSpec;
use super::stage::{Half, StageSpec};
use crate::error::ProtocolError;
use std::collections::HashMap;

/// The messages of one form on a link between the hosts of W and B.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Parcel {
    /// The number of the form in its direction.
    pub form: u32,
    /// The tensors, and their bounds.
    pub content: Form,
}

/// The values of one split layer that cross between the hosts of its W and its B. What a rule has no use for does not
/// cross.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Crossing {
    /// The layer.
    pub layer: String,
    /// x, y or both, in F, to the host of B. They are centred where the rule centres them, but for an x that the task
    /// gradient needs as it is.
    pub sample: Option<Parcel>,
    /// The error at y, in E, to the host of B.
    pub error: Option<Parcel>,
    /// The layer's own noise in the place of x, and its y or nothing, after U, to the host of B.
    pub noise: Option<Parcel>,
    /// The error at x, in E, back to the host of W.
    pub returned: Option<Parcel>,
}

impl Crossing {
    /// The parcels to the host of B.
    pub fn to_backward(&self) -> impl Iterator<Item = &Parcel> {
        [&self.sample, &self.error, &self.noise].into_iter().flatten()
    }
}

impl StageSpec {
    /// Whether the B of a layer is on another host than its W.
    pub fn is_split(&self) -> bool {
        self.layers.iter().any(|layer| layer.split)
    }

    /// The specification of the node that keeps the B of the split layers; `None` where no layer is split.
    pub fn backward_half(&self) -> Option<Self> {
        self.is_split().then(|| Self { half: Half::Backward, ..self.clone() })
    }

    /// The values of the split layers that cross between the hosts of W and B, in the order of the layers.
    ///
    /// # Errors
    /// The error of [`graph::infer_shapes`].
    pub fn crossings(&self) -> Result<Vec<Crossing>, ProtocolError> {
        let computed = graph::infer_shapes(&self.inputs, &self.layers)?;
        let known = self.inputs.iter().chain(&computed);
        let shapes: HashMap<&str, &[u64]> =
            known.map(|value| (value.name.as_str(), value.shape.as_slice())).collect();
        let wanted = graph::wanted_errors(&self.inputs, &self.layers);
        let [mut to_backward, mut to_forward] = [0; 2];
        let split = self.layers.iter().filter(|layer| layer.split);
        let crossing = |layer: &LayerSpec| {
            let value = |suffix: &str, of: &str| Value {
                name: format!("{}.{suffix}", layer.name),
                shape: shapes.get(of).copied().unwrap_or_default().to_vec(),
            };
            let (input, output) = (layer.inputs.first().map_or("", String::as_str), layer.name.as_str());
            let needed = wanted.contains(input);
            let Needs { x, y, error, noise } = Needs::of(&layer.rule);
            let noise_y = layer.rule.uses_output().then(|| value("noise.y", output));
            let sample: Vec<_> =
                [x.then(|| value("x", input)), y.then(|| value("y", output))].into_iter().flatten().collect();
            let sample = (!sample.is_empty()).then_some(sample);
            let error = (needed || error).then(|| vec![value("error", output)]);
            let noise = noise.map(|batch| {
                let values = [value("noise", input)].into_iter().chain(noise_y).collect();
                (values, batch)
            });
            let returned = needed.then(|| vec![value("x", input)]);
            let parcel = |next: &mut u32, values: Vec<Value>, max_microbatch: u32| {
                *next += 1;
                Parcel { form: *next - 1, content: Form { values, max_microbatch } }
            };
            let most = self.max_microbatch;
            Crossing {
                layer: layer.name.clone(),
                sample: sample.map(|values| parcel(&mut to_backward, values, most)),
                error: error.map(|values| parcel(&mut to_backward, values, most)),
                noise: noise.map(|(values, batch)| parcel(&mut to_backward, values, batch)),
                returned: returned.map(|values| parcel(&mut to_forward, values, most)),
            }
        };
        Ok(split.map(crossing).collect())
    }

    /// The contract of the values that the host of W sends to the host of B.
    ///
    /// # Errors
    /// As [`StageSpec::crossings`].
    pub fn values_to_backward(&self) -> Result<Contract, ProtocolError> {
        let crossings = self.crossings()?;
        let forms = crossings.iter().flat_map(Crossing::to_backward).map(|parcel| parcel.content.clone());
        Ok(self.contract(forms.collect()))
    }

    /// The contract of the errors that the host of B returns to the host of W.
    ///
    /// # Errors
    /// As [`StageSpec::crossings`].
    pub fn errors_from_backward(&self) -> Result<Contract, ProtocolError> {
        let returned = self.crossings()?.into_iter().filter_map(|crossing| crossing.returned);
        Ok(self.contract(returned.map(|parcel| parcel.content).collect()))
    }

    /// Checks that the layers that are split can be, and that a backward half has any.
    pub(super) fn check_split(&self) -> Result<(), ProtocolError> {
        for layer in self.layers.iter().filter(|layer| layer.split) {
            let why = if !layer.op.is_weight() {
                "it has no W and B".to_owned()
            } else if layer.rule.reads().weight {
                format!("its rule {} reads W, which the host of B does not have", layer.rule.name())
            } else {
                continue;
            };
            return Err(ProtocolError::invalid(format!("layer '{}' cannot be split: {why}", layer.name)));
        }
        let split = self.layers.iter().filter(|layer| layer.split).count();
        if split > MAX_SPLIT {
            return Err(ProtocolError::invalid(format!(
                "stage {} has {split} layers that are split: {MAX_SPLIT} are the most, so cut the network into more stages",
                self.index
            )));
        }
        match self.half == Half::Backward && split == 0 {
            true => Err(ProtocolError::invalid(format!(
                "stage {} has no backward half: none of its layers is split",
                self.index
            ))),
            false => Ok(()),
        }
    }
}

/// The values that the training of B needs where its rule does not read W.
struct Needs {
    x: bool,
    y: bool,
    error: bool,
    /// The samples of noise in a mirror step.
    noise: Option<u32>,
}

impl Needs {
    fn of(rule: &RuleSpec) -> Self {
        match rule {
            RuleSpec::Learned { task, coefficients, alignment, .. } => {
                let samples = coefficients.use_samples() && alignment.mirror.is_none();
                Self {
                    x: samples || *task,
                    y: samples && coefficients.use_output(),
                    error: *task,
                    noise: alignment.mirror.map(|mirror| mirror.batch),
                }
            }
            RuleSpec::Product(_) => Self { x: true, y: false, error: true, noise: None },
            RuleSpec::Backprop | RuleSpec::SignSymmetry { .. } => {
                Self { x: false, y: false, error: false, noise: None }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::spec::graph::{INPUT, Init, Op};
    use crate::spec::optimizer::Schedule;
    use crate::spec::rule::{Alignment, Coefficients, Mirror, Noise, Primitive, Product};

    fn stage(rule: &RuleSpec) -> StageSpec {
        let dense = |name: &str, from: &str, out| LayerSpec {
            rule: rule.clone(),
            split: true,
            ..LayerSpec::new(name, &[from], Op::Linear { out, bias: true, init: Init::FanIn })
        };
        // The flat images need no error, since nothing below them is trained.
        let flat = LayerSpec::new("flat", &[INPUT], Op::Flatten);
        let relu = LayerSpec::new("relu", &["a"], Op::Relu);
        let layers = vec![flat, dense("a", "flat", 3), relu, dense("b", "relu", 2)];
        let inputs = vec![Value { name: INPUT.into(), shape: vec![1, 2, 2] }];
        StageSpec { max_microbatch: 8, ..StageSpec::alone(layers, inputs) }
    }

    /// The parcels of a rule in words: the form, the tensors and the most samples of each.
    fn parcels(rule: &RuleSpec) -> Vec<String> {
        let words = |parcel: &Parcel| {
            let Form { values, max_microbatch } = &parcel.content;
            let values: Vec<_> =
                values.iter().map(|value| format!("{} {:?}", value.name, value.shape)).collect();
            format!("{}: {} of {max_microbatch}", parcel.form, values.join(", "))
        };
        let crossings = stage(rule).check().unwrap().crossings().unwrap();
        let back = crossings.iter().filter_map(|crossing| crossing.returned.as_ref());
        let back = back.map(|parcel| format!("back {}", words(parcel)));
        crossings.iter().flat_map(Crossing::to_backward).map(words).chain(back).collect()
    }

    #[test]
    fn only_what_the_rule_needs_crosses() {
        let learned = |name: &str, task, coefficients| RuleSpec::learned(name, task, coefficients);
        let sparse = Coefficients::new(&[(Primitive::Sparse, 1.0), (Primitive::Decay, 1.0)]);
        let amp = Coefficients::new(&[(Primitive::Amp, 1.0)]);
        let decay = Coefficients::new(&[(Primitive::Decay, 1.0)]);
        let mirror = Mirror { noise: Noise::Normal, sigma: 1.0, batch: 5, every: 1, delay: 0 };
        let mirrored = RuleSpec::Learned {
            name: "weight_mirror".into(),
            task: false,
            coefficients: amp,
            alignment: Alignment { mirror: Some(mirror), ..Alignment::default() },
        };
        let table = [
            (
                learned("feedback_alignment", false, Coefficients::default()),
                vec!["0: b.error [2] of 8", "back 0: b.x [3] of 8"],
            ),
            (
                learned("custom", false, sparse),
                vec!["0: a.x [4] of 8", "1: b.x [3] of 8", "2: b.error [2] of 8", "back 0: b.x [3] of 8"],
            ),
            (
                learned("custom", false, amp),
                vec![
                    "0: a.x [4], a.y [3] of 8",
                    "1: b.x [3], b.y [2] of 8",
                    "2: b.error [2] of 8",
                    "back 0: b.x [3] of 8",
                ],
            ),
            (
                learned("kolen_pollack", true, decay),
                vec![
                    "0: a.x [4] of 8",
                    "1: a.error [3] of 8",
                    "2: b.x [3] of 8",
                    "3: b.error [2] of 8",
                    "back 0: b.x [3] of 8",
                ],
            ),
            (
                RuleSpec::Product(Product { ratio: 2.0, decay: 1.0, schedule: Schedule::default() }),
                vec![
                    "0: a.x [4] of 8",
                    "1: a.error [3] of 8",
                    "2: b.x [3] of 8",
                    "3: b.error [2] of 8",
                    "back 0: b.x [3] of 8",
                ],
            ),
            (
                mirrored,
                vec![
                    "0: a.noise [4], a.noise.y [3] of 5",
                    "1: b.error [2] of 8",
                    "2: b.noise [3], b.noise.y [2] of 5",
                    "back 0: b.x [3] of 8",
                ],
            ),
        ];
        for (rule, due) in table {
            assert_eq!(parcels(&rule), due, "{rule:?}");
        }
    }

    #[test]
    fn a_layer_whose_rule_reads_w_is_not_split() {
        let why = stage(&RuleSpec::Backprop).check().unwrap_err().to_string();
        assert!(why.contains("layer 'a' cannot be split: its rule backprop reads W"), "{why}");
        let mut whole = stage(&RuleSpec::learned("feedback_alignment", false, Coefficients::default()));
        whole.layers.iter_mut().for_each(|layer| layer.split = false);
        assert_eq!(whole.backward_half(), None);
        whole.half = Half::Backward;
        assert!(whole.check().unwrap_err().to_string().contains("has no backward half"));
    }
}
