//! The pin of a stage: a file that says which stage a node may become, for the node's owner to read and keep.
//!
//! A coordinator that may configure any stage can read a layer's W: a stage of that layer alone returns a column of W
//! for each unit vector. A node with a pin becomes one stage of one network, so that the coordinator sees no output
//! but those that training shows it.
//!
//! The pin holds everything that decides what a stage computes. The run's name, the number of its start and the
//! snapshot to restore or to begin from differ with every start; how many snapshots stay, whether a stage recomputes, and how its
//! links are carried, change no number.

use super::graph::{LayerSpec, Value};
use super::input::InputSpec;
use super::layout::Layout;
use super::optimizer::{OptimizerSpec, Schedule};
use super::precision::Precision;
use super::rule::RuleSpec;
use super::stage::{ErrorSource, Half, StageSpec};
use crate::error::short;
use crate::tensor::Kind;
use serde::{Deserialize, Serialize};
use toml::{Table, Value as Field};

/// The pin of a stage, as the fields of its file.
#[derive(Clone, Debug, PartialEq)]
pub struct StagePin(Table);

/// What a pin's file says.
#[derive(Serialize, Deserialize)]
struct Written {
    index: u32,
    stages: u32,
    seed: u64,
    wire: Kind,
    max_microbatch: u32,
    max_microbatches: u32,
    error_source: ErrorSource,
    #[serde(default, skip_serializing_if = "is_forward")]
    half: Half,
    #[serde(default = "unscaled", skip_serializing_if = "is_unscaled")]
    loss_scale: f64,
    #[serde(default = "unscaled", skip_serializing_if = "is_unscaled")]
    shrink: f64,
    #[serde(default, skip_serializing_if = "is_f32")]
    precision: Precision,
    #[serde(default, skip_serializing_if = "is_channels_last")]
    layout: Layout,
    #[serde(default, skip_serializing_if = "is_false")]
    deterministic: bool,
    #[serde(default, skip_serializing_if = "is_false")]
    error_feedback: bool,
    outputs: Vec<String>,
    inputs: Vec<Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    input: Option<InputSpec>,
    optimizer: OptimizerSpec,
    optimizer_backward: OptimizerSpec,
    layers: Vec<Layer>,
}

/// A half that is the stage itself is not written.
fn is_forward(half: &Half) -> bool {
    *half == Half::Forward
}

fn unscaled() -> f64 {
    1.0
}

/// A loss scale of 1 is not written.
fn is_unscaled(scale: &f64) -> bool {
    *scale == 1.0
}

/// A precision of f32 is not written.
fn is_f32(precision: &Precision) -> bool {
    *precision == Precision::F32
}

/// The default memory order is not written.
fn is_channels_last(layout: &Layout) -> bool {
    *layout == Layout::ChannelsLast
}

/// A switch that is off is not written.
fn is_false(switch: &bool) -> bool {
    !switch
}

#[derive(Serialize, Deserialize)]
struct Layer {
    #[serde(flatten)]
    layer: LayerSpec,
    #[serde(skip_serializing_if = "Option::is_none")]
    rule: Option<Rule>,
}

#[derive(Serialize, Deserialize)]
struct Rule {
    #[serde(flatten)]
    rule: RuleSpec,
    /// The factor on the rule's coefficients.
    #[serde(skip_serializing_if = "Option::is_none")]
    schedule: Option<Schedule>,
}

impl StagePin {
    /// The pin of the stage `spec`.
    ///
    /// # Errors
    /// A number that TOML does not have: one of 2⁶³ or more.
    pub fn of(spec: &StageSpec) -> Result<Self, String> {
        Table::try_from(Written::of(spec)).map(Self).map_err(|error| unwritable(&error))
    }

    /// The text of the file that pins the stage `spec`.
    ///
    /// # Errors
    /// As [`StagePin::of`].
    pub fn text(spec: &StageSpec) -> Result<String, String> {
        let StageSpec { index, stages, half, .. } = spec;
        let of = match half {
            Half::Forward => "Stage",
            Half::Backward => "The B of the split layers of stage",
        };
        let text = toml::to_string(&Written::of(spec)).map_err(|error| unwritable(&error))?;
        Ok(format!(
            "# {of} {index} of {stages}, where 0 is the nearest to the input, for layer-node serve --stage-spec.\n\n{text}"
        ))
    }

    /// Reads the text of a pin's file.
    ///
    /// # Errors
    /// What is wrong with the text: it is no TOML, lacks a field, has one too many, or is no stage.
    pub fn parse(text: &str) -> Result<Self, String> {
        let table: Table = text.parse().map_err(|error: toml::de::Error| told(&error))?;
        let written: Written = table.clone().try_into().map_err(|error| told(&error))?;
        let spec = written.spec().check().map_err(|error| error.to_string())?;
        let pin = Self::of(&spec)?;
        match difference(&completed(table, &pin.0), &pin.0) {
            // Its fields are in the order in which they are compared, in whichever order the file has them.
            None => Ok(pin),
            Some(Difference { field, .. }) => {
                Err(format!("'{field}' is no field of a stage as it is written there"))
            }
        }
    }

    /// Checks that `spec` is the pinned stage.
    ///
    /// # Errors
    /// The first field that differs, with both values.
    pub fn check(&self, spec: &StageSpec) -> Result<(), String> {
        match difference(&self.0, &Self::of(spec)?.0) {
            None => Ok(()),
            Some(Difference { field, pinned, asked }) => {
                Err(format!("'{field}' is {pinned}, and the coordinator asks for {asked}"))
            }
        }
    }
}

impl Written {
    fn of(spec: &StageSpec) -> Self {
        Self {
            index: spec.index,
            stages: spec.stages,
            seed: spec.seed,
            wire: spec.wire,
            max_microbatch: spec.max_microbatch,
            max_microbatches: spec.max_microbatches,
            error_source: spec.error_source,
            half: spec.half,
            loss_scale: spec.loss_scale,
            shrink: spec.shrink,
            precision: spec.precision,
            layout: spec.layout,
            deterministic: spec.deterministic,
            error_feedback: spec.error_feedback,
            outputs: spec.outputs.clone(),
            inputs: spec.inputs.clone(),
            input: spec.input.clone(),
            optimizer: spec.optimizer.clone(),
            optimizer_backward: spec.optimizer_backward.clone(),
            layers: spec.layers.iter().map(Layer::of).collect(),
        }
    }

    fn spec(self) -> StageSpec {
        StageSpec {
            index: self.index,
            stages: self.stages,
            seed: self.seed,
            wire: self.wire,
            max_microbatch: self.max_microbatch,
            max_microbatches: self.max_microbatches,
            error_source: self.error_source,
            half: self.half,
            loss_scale: self.loss_scale,
            shrink: self.shrink,
            precision: self.precision,
            layout: self.layout,
            deterministic: self.deterministic,
            error_feedback: self.error_feedback,
            outputs: self.outputs,
            input: self.input,
            optimizer: self.optimizer,
            optimizer_backward: self.optimizer_backward,
            ..StageSpec::alone(self.layers.into_iter().map(Layer::spec).collect(), self.inputs)
        }
    }
}

impl Layer {
    fn of(layer: &LayerSpec) -> Self {
        let rule = layer.op.is_weight().then(|| Rule::of(&layer.rule));
        Self { layer: layer.clone(), rule }
    }

    fn spec(self) -> LayerSpec {
        LayerSpec { rule: self.rule.map(Rule::spec).unwrap_or_default(), ..self.layer }
    }
}

impl Rule {
    fn of(rule: &RuleSpec) -> Self {
        let schedule = rule.schedule().cloned();
        Self { rule: rule.clone(), schedule: schedule.filter(|schedule| *schedule != Schedule::default()) }
    }

    fn spec(mut self) -> RuleSpec {
        if let (Some(own), Some(schedule)) = (self.rule.schedule_mut(), self.schedule) {
            *own = schedule;
        }
        self.rule
    }
}

/// `file` with the fields of `written` that it leaves out: they have their defaults, as in a file of an older release.
fn completed(mut file: Table, written: &Table) -> Table {
    for (key, value) in written {
        let own = file.remove(key);
        let whole = match (own, value) {
            (Some(Field::Table(own)), Field::Table(value)) => Field::Table(completed(own, value)),
            (Some(Field::Array(own)), Field::Array(values)) if own.len() == values.len() => {
                Field::Array(own.into_iter().zip(values).map(completed_item).collect())
            }
            (own, value) => own.unwrap_or_else(|| value.clone()),
        };
        file.insert(key.clone(), whole);
    }
    file
}

fn completed_item((file, written): (Field, &Field)) -> Field {
    match (file, written) {
        (Field::Table(file), Field::Table(written)) => Field::Table(completed(file, written)),
        (file, _) => file,
    }
}

/// The first field in which two stages differ.
struct Difference {
    field: String,
    pinned: String,
    asked: String,
}

fn difference(pinned: &Table, asked: &Table) -> Option<Difference> {
    let more = asked.keys().filter(|key| !pinned.contains_key(*key));
    let mut keys: Vec<_> = pinned.keys().chain(more).collect();
    // Another name explains the other fields.
    keys.sort_by_key(|key| *key != "name");
    keys.into_iter().find_map(|key| match (pinned.get(key), asked.get(key)) {
        (Some(Field::Table(pinned)), Some(Field::Table(asked))) => {
            Some(difference(pinned, asked)?.within(key))
        }
        (Some(Field::Array(pinned)), Some(Field::Array(asked)))
            if is_of_tables(pinned) && is_of_tables(asked) =>
        {
            Some(in_lists(pinned, asked)?.within(key))
        }
        (pinned, asked) if pinned == asked => None,
        (pinned, asked) => {
            Some(Difference { field: key.clone(), pinned: shown(pinned), asked: shown(asked) })
        }
    })
}

/// The first difference of two lists of tables, of which each has a name.
fn in_lists(pinned: &[Field], asked: &[Field]) -> Option<Difference> {
    let all = 0..pinned.len().max(asked.len());
    all.into_iter().find_map(|at| match (pinned.get(at), asked.get(at)) {
        (Some(Field::Table(pinned)), Some(Field::Table(asked))) => {
            Some(difference(pinned, asked)?.within(&name_of(pinned).unwrap_or_else(|| at.to_string())))
        }
        (pinned, asked) => {
            let named = |field: Option<&Field>| field.and_then(Field::as_table).and_then(name_of);
            let shown = |field| named(field).map_or_else(|| "nothing".into(), |name| format!("'{name}'"));
            Some(Difference { field: at.to_string(), pinned: shown(pinned), asked: shown(asked) })
        }
    })
}

fn is_of_tables(list: &[Field]) -> bool {
    list.iter().all(Field::is_table)
}

fn name_of(table: &Table) -> Option<String> {
    table.get("name").and_then(Field::as_str).map(short)
}

fn shown(field: Option<&Field>) -> String {
    field.map_or_else(|| "nothing".into(), |field| short(&field.to_string()))
}

impl Difference {
    fn within(self, field: &str) -> Self {
        Self { field: format!("{field}.{}", self.field), ..self }
    }
}

fn unwritable(error: &toml::ser::Error) -> String {
    format!("the stage cannot be written as TOML ({error})")
}

/// An error of TOML in one line.
fn told(error: &toml::de::Error) -> String {
    error.message().lines().collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::spec::begin::Begin;
    use crate::spec::graph::{INPUT, Init, Op, Window};
    use crate::spec::optimizer::{Method, Shape};
    use crate::spec::rule::{
        Alignment, Centering, Coefficients, Magnitude, Mirror, Noise, Primitive, Product, Transfer,
    };

    /// A stage with every kind of layer, rule and optimizer.
    fn stage() -> StageSpec {
        let conv = Op::Conv2d { out: 4, kernel: 3, stride: 1, padding: 1, bias: false, init: Init::FanIn };
        let linear = Op::Linear { out: 5, bias: true, init: Init::Normal(0.01) };
        let schedule = Schedule { warmup: 3, shape: Shape::Step { boundaries: vec![10, 20], factor: 0.1 } };
        let mirror = Mirror { noise: Noise::Uniform, sigma: 0.5, batch: 8, every: 2, delay: 9 };
        let alignment = Alignment {
            schedule: schedule.clone(),
            centering: Centering::Batch,
            transfer: Transfer::Tanh,
            per_position: true,
            update_noise: 0.25,
            mirror: Some(mirror),
        };
        let coefficients = Coefficients::new(&[(Primitive::Amp, 1.0), (Primitive::Self_, 0.1)]);
        let rules = [
            RuleSpec::Learned { name: "custom".into(), task: true, coefficients, alignment },
            RuleSpec::SignSymmetry { magnitude: Magnitude::Redrawn },
            RuleSpec::Backprop,
            RuleSpec::Product(Product { ratio: 2.0, decay: 0.05, schedule: schedule.clone() }),
        ];
        let with = |name: &str, from: &str, op, rule: &RuleSpec| LayerSpec {
            rule: rule.clone(),
            ..LayerSpec::new(name, &[from], op)
        };
        let layers = vec![
            with("a", INPUT, conv, &rules[0]),
            LayerSpec::new("norm", &["a"], Op::BatchNorm { eps: 1e-5, momentum: 0.1, gamma: 1.0 }),
            with("b", "norm", conv, &rules[1]),
            LayerSpec::new("sum", &["b", "a"], Op::Add),
            with("product", "sum", conv, &rules[3]),
            LayerSpec::new("max", &["product"], Op::MaxPool(Window { kernel: 2, stride: 2, padding: 0 })),
            LayerSpec::new("mean", &["max"], Op::AvgPool(Window::PLANE)),
            LayerSpec::new("flat", &["mean"], Op::Flatten),
            LayerSpec::new("relu", &["flat"], Op::Relu),
            LayerSpec::new("bias", &["relu"], Op::Bias),
            with("classes", "bias", linear, &rules[2]),
        ];
        let inputs = vec![Value { name: INPUT.into(), shape: vec![3, 8, 8] }];
        let method = Method::Adam { beta1: 0.9, beta2: 0.999, eps: 1e-8 };
        StageSpec {
            stages: 2,
            seed: 7,
            optimizer: OptimizerSpec {
                method,
                weight_decay: 1e-4,
                schedule: schedule.clone(),
                weight_decay_schedule: schedule,
                ..OptimizerSpec::sgd(0.1)
            },
            optimizer_backward: OptimizerSpec {
                schedule: Schedule { warmup: 0, shape: Shape::Cosine { total: 100 } },
                ..OptimizerSpec::sgd(0.2)
            },
            max_microbatch: 16,
            max_microbatches: 4,
            ..StageSpec::alone(layers, inputs)
        }
    }

    #[test]
    fn a_pin_is_read_as_it_was_written_and_admits_every_start_of_its_stage() {
        let text = StagePin::text(&stage()).unwrap();
        let read = StagePin::parse(&text).unwrap_or_else(|error| panic!("{error}: {text}"));
        assert_eq!(read, StagePin::of(&stage()).unwrap());
        let begin = Begin { run: "other".into(), updates: 3, optimizer: true, backward_is_weight: false };
        for other in [
            stage(),
            StageSpec { run: "other".into(), incarnation: 9, restore: Some(4), ..stage() },
            StageSpec { keep_snapshots: 3, recompute: true, ..stage() },
            StageSpec { begin: Some(begin), ..stage() },
        ] {
            assert_eq!(read.check(&other), Ok(()));
        }
        let plain = |spec: &mut StageSpec| {
            let RuleSpec::Learned { alignment, .. } = &mut spec.layers[0].rule else { panic!("learned") };
            alignment.per_position = false;
        };
        let mut older = stage();
        plain(&mut older);
        let text = StagePin::text(&older).unwrap().replace("per_position = false\n", "");
        assert!(!text.contains("per_position"));
        assert_eq!(StagePin::parse(&text).unwrap().check(&older), Ok(()), "a file of an older release");
    }

    #[test]
    fn the_first_field_that_differs_is_named_with_both_values() {
        let pin = StagePin::parse(&StagePin::text(&stage()).unwrap()).unwrap();
        let learned = |change: fn(&mut bool, &mut Coefficients, &mut Alignment)| {
            move |spec: &mut StageSpec| {
                let RuleSpec::Learned { task, coefficients, alignment, .. } = &mut spec.layers[0].rule else {
                    panic!("a learned rule")
                };
                change(task, coefficients, alignment);
            }
        };
        type Change = Box<dyn Fn(&mut StageSpec)>;
        let table: [(Change, &str); 28] = [
            (Box::new(|spec| spec.index = 1), "'index' is 0, and the coordinator asks for 1"),
            (Box::new(|spec| spec.stages = 3), "'stages' is 2, and the coordinator asks for 3"),
            (Box::new(|spec| spec.seed = 8), "'seed' is 7, and the coordinator asks for 8"),
            (Box::new(|spec| spec.seed = u64::MAX), "the stage cannot be written as TOML"),
            (
                Box::new(|spec| spec.wire = Kind::F16),
                "'wire' is \"f32\", and the coordinator asks for \"f16\"",
            ),
            (
                Box::new(|spec| spec.precision = Precision::Bf16),
                "'precision' is nothing, and the coordinator asks for \"bf16\"",
            ),
            (
                Box::new(|spec| spec.layout = Layout::RowMajor),
                "'layout' is nothing, and the coordinator asks for \"row_major\"",
            ),
            (Box::new(|spec| spec.max_microbatch = 32), "'max_microbatch' is 16, and"),
            (Box::new(|spec| spec.max_microbatches = 1), "'max_microbatches' is 4, and"),
            (
                Box::new(|spec| spec.outputs.push("a".into())),
                "'outputs' is [\"classes\"], and the coordinator asks for [\"classes\", \"a\"]",
            ),
            (Box::new(|spec| spec.inputs[0].shape = vec![3, 9, 9]), "'inputs.input.shape' is [3, 8, 8], and"),
            (
                Box::new(|spec| spec.input.as_mut().unwrap().mean[1] = 0.5),
                "'input.mean' is [0.0, 0.0, 0.0], and",
            ),
            (Box::new(|spec| spec.optimizer.lr = 0.5), "'optimizer.lr' is 0.1, and"),
            (
                Box::new(|spec| spec.optimizer.clip = 2.0),
                "'optimizer.clip' is nothing, and the coordinator asks for 2.0",
            ),
            (
                Box::new(|spec| spec.loss_scale = 8.0),
                "'loss_scale' is nothing, and the coordinator asks for 8.0",
            ),
            (Box::new(|spec| spec.shrink = 0.5), "'shrink' is nothing, and the coordinator asks for 0.5"),
            (
                Box::new(learned(|_, _, alignment| alignment.per_position = false)),
                "'layers.a.rule.per_position' is true, and the coordinator asks for false",
            ),
            (
                Box::new(|spec| spec.optimizer.method = Method::Sgd { momentum: 0.0, nesterov: false }),
                "'optimizer.method.adam' is ",
            ),
            (
                Box::new(|spec| spec.optimizer_backward.schedule.shape = Shape::Constant),
                "'optimizer_backward.schedule.shape' is ",
            ),
            (
                Box::new(|spec| {
                    spec.layers[0].op = Op::Conv2d {
                        out: 8,
                        kernel: 3,
                        stride: 1,
                        padding: 1,
                        bias: false,
                        init: Init::FanIn,
                    }
                }),
                "'layers.a.out' is 4, and the coordinator asks for 8",
            ),
            (
                Box::new(|spec| {
                    spec.layers[0].op = Op::Conv2d {
                        out: 4,
                        kernel: 3,
                        stride: 1,
                        padding: 1,
                        bias: false,
                        init: Init::Normal(1.0),
                    }
                }),
                "'layers.a.init_std' is nothing, and the coordinator asks for 1.0",
            ),
            (Box::new(|spec| spec.layers[3].inputs[1] = "norm".into()), "'layers.sum.inputs' is "),
            (
                Box::new(|spec| spec.layers[8].name = "x".into()),
                "'layers.relu.name' is \"relu\", and the coordinator asks for \"x\"",
            ),
            (
                Box::new(|spec| drop(spec.layers.pop())),
                "'layers.10' is 'classes', and the coordinator asks for nothing",
            ),
            (
                Box::new(|spec| spec.layers[2].rule = RuleSpec::Backprop),
                "'layers.b.rule.name' is \"sign_symmetry\", and",
            ),
            (
                Box::new(learned(|task, _, _| *task = false)),
                "'layers.a.rule.task' is true, and the coordinator asks for false",
            ),
            (
                Box::new(learned(|_, coefficients, _| {
                    *coefficients = coefficients.with(Primitive::Amp, 2.0)
                })),
                "'layers.a.rule.amp' is 1.0, and",
            ),
            (
                Box::new(learned(|_, _, alignment| alignment.schedule.warmup = 4)),
                "'layers.a.rule.schedule.warmup' is 3, and",
            ),
        ];
        for (change, said) in table {
            let mut spec = stage();
            change(&mut spec);
            let found = pin.check(&spec).unwrap_err();
            assert!(found.starts_with(said), "{found}, not {said}");
        }
    }

    #[test]
    fn a_file_that_pins_no_stage_is_refused() {
        let text = StagePin::text(&stage()).unwrap();
        for (from, to, said) in [
            ("seed = 7", "", "missing field `seed`"),
            ("seed = 7", "seed = 7\nsead = 8", "'sead' is no field of a stage"),
            ("seed = 7", "seed = -7", "invalid value"),
            ("wire = \"f32\"", "wire = \"f31\"", "unknown variant `f31`"),
            ("task = true", "task = true\ntusk = 1", "'layers.a.rule.tusk' is no field"),
            ("out = 4", "out = 4\nfoo = 1", "unknown field `foo`"),
            ("index = 0", "index = 2", "no stage is number 2 of 2"),
            ("name = \"norm\"", "name = \"other\"", "'norm'"),
            ("index = 0", "index = ", ""),
        ] {
            assert!(text.contains(from), "{from}: {text}");
            let found = StagePin::parse(&text.replacen(from, to, 1)).unwrap_err();
            assert!(found.contains(said) && !found.contains('\n'), "{to}: {found}");
        }
    }
}
