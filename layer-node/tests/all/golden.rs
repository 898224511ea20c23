//! Tests of layers and rules against independent numbers in float64, through the functions that the worker calls.
//!
//! The numbers and their generator lie in `golden/`. `GOLDEN=FILE` checks another file as well.

use crate::common::{conv, double, id, linear, nesterov, update};
use layer_node::layer::{Layer, Pass, Signals, WeightLayer};
use layer_node::optim::Parameter;
use layer_node::settings::Settings;
use layer_node::state::named::State;
use proto::spec::graph::LayerSpec;
use proto::spec::optimizer::Schedule;
use proto::spec::rule::{Alignment, Coefficients, Primitive, Product, RuleSpec};
use serde_json::Value;
use std::path::Path;
use tch::{Kind, Tensor};

/// A nested array as a tensor.
fn tensor(value: &Value) -> Tensor {
    fn walk(value: &Value, depth: usize, shape: &mut Vec<i64>, flat: &mut Vec<f64>) {
        let Some(items) = value.as_array() else { return flat.push(value.as_f64().expect("a number")) };
        if shape.len() == depth {
            shape.push(items.len() as i64);
        }
        items.iter().for_each(|item| walk(item, depth + 1, shape, flat));
    }
    let (mut shape, mut flat) = (Vec::new(), Vec::new());
    walk(value, 0, &mut shape, &mut flat);
    Tensor::from_slice(&flat).reshape(shape)
}

/// |a − b| ≤ tolerance · max(1, max|b|)
fn agrees(ours: &Tensor, golden: &Tensor, tolerance: f64) -> Result<(), String> {
    if ours.size() != golden.size() {
        return Err(format!("shape {:?} where {:?} is right", ours.size(), golden.size()));
    }
    let scale = golden.abs().max().double_value(&[]).max(1.0);
    let worst = (ours - golden).abs().max().double_value(&[]);
    if worst <= tolerance * scale { Ok(()) } else { Err(format!("off by {worst:e} at a scale of {scale:e}")) }
}

/// One case of the file, from which a layer is built that computes in a number format.
struct Case<'a>(&'a Value, Kind);

impl Case<'_> {
    fn array(&self, name: &str) -> Tensor {
        tensor(&self.0[name])
    }

    /// The case's layer with its W and B, under `rule`.
    fn layer(&self, rule: RuleSpec) -> WeightLayer {
        let (w, x) = (self.array("w"), self.array("x"));
        let out = w.size()[0] as u32;
        let number = |name: &str| self.0[name].as_u64().map(|n| n as u32);
        let op = match (number("stride"), number("padding")) {
            (Some(stride), Some(padding)) => conv(out, w.size()[2] as u32, stride, padding, false),
            _ => linear(out, false),
        };
        let shape: Vec<u64> = x.size()[1..].iter().map(|&size| size as u64).collect();
        let spec = LayerSpec { rule, ..LayerSpec::new("golden", &["input"], op) };
        let mut layer = WeightLayer::new(&spec, &shape, &Settings { kind: self.1, ..settings() }).unwrap();
        let mut state = State::default();
        layer.state(&mut state);
        state.0.get_mut("golden.weight").unwrap().copy_(&w);
        match state.0.get_mut("golden.weight_backward") {
            Some(backward) if backward.size() == w.size() => backward.copy_(&self.array("b")),
            Some(_) | None => {}
        }
        layer
    }

    /// The case's layer under product feedback alignment, with the B and the R of `golden`.
    fn of_product(&self, golden: &Value) -> WeightLayer {
        let out = self.array("w").size()[0] as f64;
        let ratio = golden["mid"].as_f64().unwrap() / out;
        let (decay, schedule) = (DECAY / 2.0, Schedule::default());
        let mut layer = self.layer(RuleSpec::Product(Product { ratio, decay, schedule }));
        let mut state = State::default();
        layer.state(&mut state);
        for (name, key) in [("golden.weight_backward", "r"), ("golden.feedback", "b")] {
            state.0.get_mut(name).unwrap().copy_(&tensor(&golden[key]));
        }
        layer
    }

    /// F and E of the whole batch, with the comparison of the signals between E and G: the error below, and the signals.
    fn compared(&self, layer: &mut WeightLayer) -> (Tensor, Signals) {
        let (x, error) = (self.array("x").to_kind(self.1), self.array("error_above").to_kind(self.1));
        _ = layer.forward(id(0), vec![x.shallow_clone()], Pass::Train).unwrap();
        let below = layer.error(id(0), error, true).unwrap().remove(0);
        let signals = layer.signals(id(0), Some(&below)).unwrap().unwrap();
        layer.gradient(id(0), x.size()[0] as u32).unwrap();
        (below, signals)
    }

    /// The angles of the signals in the E of the whole batch.
    fn signals(&self, rule: RuleSpec) -> Signals {
        self.compared(&mut self.layer(rule)).1
    }

    /// y, the error below, and the layer after F, E and G of the whole batch.
    fn run(&self, rule: RuleSpec) -> (Tensor, Tensor, WeightLayer) {
        let mut layer = self.layer(rule);
        let (x, error) = (self.array("x").to_kind(self.1), self.array("error_above").to_kind(self.1));
        let y = layer.forward(id(0), vec![x.shallow_clone()], Pass::Train).unwrap();
        let below = layer.error(id(0), error.shallow_clone(), true).unwrap().remove(0);
        layer.gradient(id(0), x.size()[0] as u32).unwrap();
        (y, below, layer)
    }
}

/// λ of the layers under product feedback alignment, as in the generator.
const DECAY: f64 = 0.05;

fn settings() -> Settings {
    double(nesterov(0.1, 0.0), nesterov(0.1, 0.0))
}

fn rule(task: bool, terms: &[(&str, f64)]) -> RuleSpec {
    let with =
        |coefficients: Coefficients, &(name, value): &(&str, f64)| coefficients.with(primitive(name), value);
    RuleSpec::learned("golden", task, terms.iter().fold(Coefficients::default(), with))
}

/// The rule with its sums over positions turned into means.
fn per_position(rule: RuleSpec) -> RuleSpec {
    let RuleSpec::Learned { name, task, coefficients, .. } = rule else { panic!("a rule with a loss") };
    let alignment = Alignment { per_position: true, ..Alignment::default() };
    RuleSpec::Learned { name, task, coefficients, alignment }
}

/// The primitive that the file calls `name`.
fn primitive(name: &str) -> Primitive {
    let found = Primitive::ALL.into_iter().find(|one| one.to_string() == name);
    found.unwrap_or_else(|| panic!("the file names an unknown primitive, {name}"))
}

/// The value of a primitive, from the layer's own maps: F through W for y, F through B for z, E for r.
fn value(case: &Case, primitive: &str) -> f64 {
    let (x, w, b) = (case.array("x"), case.array("w"), case.array("b"));
    let map = case.layer(RuleSpec::Backprop).map();
    let y = map.forward(&x, &w).unwrap();
    let z = map.forward(&x, &b).unwrap();
    let n = x.size()[0] as f64;
    let total = |t: Tensor| t.sum(Kind::Double).double_value(&[]);
    match primitive {
        "amp" => -total(&z * &y) / n,
        "null" => total(map.adjoint(&y, &b, &x).unwrap().square()) / n,
        "sparse" => total(z.square()) / n,
        "self" => -total(&w * &b),
        "decay" => total(b.square()),
        other => panic!("the file has numbers for {other}, whose value has no arm here"),
    }
}

/// Passes `check` every array that `golden` has of a layer under product feedback alignment, beside the layer's own.
fn products(case: &Case, golden: &Value, mut check: impl FnMut(&str, &Tensor, &Tensor)) {
    let mut layer = case.of_product(golden);
    let mut number = |what: &str, ours: f64| check(what, &Tensor::from(ours), &tensor(&golden[what]));
    let measured = layer.measure().unwrap().unwrap();
    number("weight_angle_deg", measured.angle_deg);
    number("difference", measured.difference);
    let (below, signals) = case.compared(&mut layer);
    number("output_angle_deg", signals.output_deg);
    number("error_angle_deg", signals.error_deg);
    check("error_below", &below, &tensor(&golden["error_below"]));
    check("grad_r", &layer.backward_gradient(0).unwrap().unwrap(), &tensor(&golden["grad_r"]));
    let settings = Settings { kind: case.1, ..double(nesterov(0.1, DECAY), nesterov(0.1, 0.0)) };
    update(&mut layer, &settings, 0);
    for updates in 1..3 {
        _ = case.compared(&mut layer);
        update(&mut layer, &settings, updates);
    }
    let after = layer.measure().unwrap().unwrap().difference;
    check("difference", &Tensor::from(after), &tensor(&golden["difference_after_3_steps"]));
    let mut state = State::default();
    layer.state(&mut state);
    for (name, key) in
        [("weight", "w_after_3_steps"), ("weight_backward", "r_after_3_steps"), ("feedback", "b")]
    {
        check(key, state.0[&format!("golden.{name}")], &tensor(&golden[key]));
    }
}

/// Every disagreement of layers that compute in `kind` with `document`, one line each, and the number of compared arrays.
fn compare(document: &Value, kind: Kind) -> (Vec<String>, usize) {
    // bf16 rounds to 1/512 of a number, here the factors of a product and the product.
    let tolerance = if kind == Kind::BFloat16 { 0.01 } else { 1e-10 };
    let (mut wrong, mut compared) = (Vec::new(), 0);
    for case in document["cases"].as_array().expect("cases") {
        let name = case["name"].as_str().unwrap_or("?").to_owned();
        let case = Case(case, kind);
        let mut check = |what: &str, ours: &Tensor, golden: &Tensor| {
            compared += 1;
            if let Err(why) = agrees(ours, golden, tolerance) {
                wrong.push(format!("{name}/{what}: {why}"));
            }
        };
        let (y, below, layer) = case.run(rule(false, &[]));
        check("y", &y, &case.array("y"));
        check("error_below", &below, &case.array("error_below"));
        check("grad_w", layer.task_gradient().unwrap(), &case.array("grad_w"));
        let (_, below, _) = case.run(RuleSpec::Backprop);
        check("error_below_backprop", &below, &case.array("error_below_backprop"));
        let angle = layer.measure().unwrap().unwrap().angle_deg;
        check("weight_angle_deg", &Tensor::from(angle), &tensor(&case.0["weight_angle_deg"]));
        // Files of older releases have no angles of signals.
        if case.0.get("output_angle_deg").is_some() {
            // Whether the layer has kept y for amp, or computes it once more.
            for terms in [&[][..], &[("amp", 1.0)]] {
                let Signals { output_deg, error_deg } = case.signals(rule(false, terms));
                check("output_angle_deg", &Tensor::from(output_deg), &tensor(&case.0["output_angle_deg"]));
                check("error_angle_deg", &Tensor::from(error_deg), &tensor(&case.0["error_angle_deg"]));
            }
        }

        // Files of older releases have no products.
        for golden in case.0["products"].as_array().into_iter().flatten() {
            products(&case, golden, |what, ours, golden| check(&format!("product {what}"), ours, golden));
        }

        let given = case.0["primitives"].as_object().expect("primitives");
        // A primitive that the paper does not have may have no numbers: `primitives.rs` beside this file tests it.
        assert!(given.len() >= 5, "{name} has numbers for {:?}", given.keys());
        for (what, golden) in given {
            let (_, _, layer) = case.run(rule(false, &[(what, 1.0)]));
            check(what, &layer.backward_gradient(0).unwrap().unwrap(), &tensor(&golden["grad_b"]));
            check(what, &Tensor::from(value(&case, what)), &tensor(&golden["value"]));
        }
        for (name, golden) in case.0["rules"].as_object().expect("rules") {
            let terms = document["rules"][name].as_object().expect("coefficients").iter();
            let terms: Vec<_> = terms.map(|(term, value)| (term.as_str(), value.as_f64().unwrap())).collect();
            let b = case.array("b");
            let gradient = |rule: RuleSpec| {
                let (_, _, layer) = case.run(rule);
                layer.backward_gradient(0).unwrap().unwrap_or_else(|| b.zeros_like())
            };
            let rule = rule(name == "kolen_pollack", &terms);
            // Files of older releases have no means over positions.
            if let Some(golden) = case.0["per_position"].get(name) {
                check(
                    &format!("{name} per position"),
                    &gradient(per_position(rule.clone())),
                    &tensor(golden),
                );
            }
            let gradient = gradient(rule).to_kind(b.kind());
            check(name, &gradient, &tensor(&golden["grad_b"]));
            let spec = settings().optimizer_backward;
            let mut stepped = Parameter::new(b.shallow_clone(), &spec.method, true).unwrap();
            (0..3).for_each(|updates| stepped.step(&spec, updates, &gradient).unwrap());
            check(name, &stepped.value, &tensor(&golden["b_after_3_nesterov_steps"]));
        }
    }
    (wrong, compared)
}

fn read(path: &str) -> Value {
    let text = std::fs::read_to_string(path).unwrap_or_else(|error| panic!("cannot read {path}: {error}"));
    serde_json::from_str(&text).unwrap_or_else(|error| panic!("{path} is no JSON: {error}"))
}

const FILE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden/golden.json");

#[test]
fn golden() {
    let given = std::env::var("GOLDEN").ok();
    // Tests run in the package's folder, but a relative path is meant from the repository's root, where cargo was
    // called.
    let given = given.map(|path| match Path::new(&path).exists() {
        true => path,
        false => Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(&path).display().to_string(),
    });
    for path in [Some(FILE.to_owned()), given].into_iter().flatten() {
        for kind in [Kind::Double, Kind::BFloat16] {
            let (wrong, compared) = compare(&read(&path), kind);
            assert!(wrong.is_empty(), "{path} in {kind:?}:\n{}", wrong.join("\n"));
            assert!(compared > 0, "{path} holds no cases");
            println!("{path}: {compared} arrays agree in {kind:?}");
        }
    }
}

#[test]
fn a_flipped_sign_is_seen() {
    fn flip(value: &mut Value) {
        match value {
            Value::Array(items) => flip(&mut items[0]),
            number => *number = (-number.as_f64().unwrap()).into(),
        }
    }
    let good = read(FILE);
    let places = [
        "/cases/0/y",
        "/cases/2/error_below",
        "/cases/3/grad_w",
        "/cases/3/primitives/null/grad_b",
        "/cases/4/rules/activation_alignment/grad_b",
        "/cases/5/per_position/information_alignment",
        "/cases/5/rules/kolen_pollack/b_after_3_nesterov_steps",
        "/cases/0/products/0/grad_r",
        "/cases/3/products/1/error_below",
        "/cases/4/products/2/r_after_3_steps",
    ];
    for place in places {
        let mut flipped = good.clone();
        flip(flipped.pointer_mut(place).unwrap());
        assert_eq!(compare(&flipped, Kind::Double).0.len(), 1, "{place}");
    }
}
