//! Files and the nodes of small networks: what is taken, what stays drawn, and what a part holds.

use super::*;
use proto::spec::graph::{Init, LayerSpec, Op, Value};
use proto::spec::optimizer::{Method, OptimizerSpec, Schedule};
use proto::spec::rule::{Coefficients, Product, RuleSpec};
use proto::spec::stage::StageSpec;
use proto::spec::state::state_of;
use proto::state_file::{Snapshot, file};
use safetensors::serialize;
use safetensors::tensor::{Dtype, TensorView};
use std::fs;
use std::path::PathBuf;
use tempfile::TempDir;

/// A dense layer of 2 outputs and a norm, on 3 features; then a dense layer of `classes` outputs. The second stage
/// is split.
fn specs(classes: u32, stages: u32) -> Vec<StageSpec> {
    let rule = RuleSpec::learned("kolen_pollack", true, Coefficients::default());
    let dense = |name: &str, from: &str, out, split| LayerSpec {
        rule: rule.clone(),
        split,
        ..LayerSpec::new(name, &[from], Op::Linear { out, bias: true, init: Init::FanIn })
    };
    let norm = LayerSpec::new("bn", &["a"], Op::BatchNorm { eps: 1e-5, momentum: 0.1, gamma: 1.0 });
    let value = |name: &str, size| vec![Value { name: name.into(), shape: vec![size] }];
    let method = Method::Sgd { momentum: 0.9, nesterov: false };
    let stage = |index, layers, inputs| StageSpec {
        index,
        stages,
        optimizer: OptimizerSpec { method, ..OptimizerSpec::sgd(0.1) },
        ..StageSpec::alone(layers, inputs)
    };
    if stages == 1 {
        let layers = vec![dense("a", "x", 2, false), norm, dense("fc", "bn", classes, false)];
        return vec![stage(0, layers, value("x", 3))];
    }
    let above = stage(1, vec![dense("fc", "bn", classes, true)], value("bn", 2));
    let below = stage(0, vec![dense("a", "x", 2, false), norm], value("x", 3));
    let backward = above.backward_half().unwrap();
    vec![below, above, backward]
}

/// Files in a temporary folder.
struct Bench(TempDir);

impl Bench {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// A file of f32 tensors; all numbers of the n-th are n.
    fn write(&self, name: &str, tensors: &[(&str, &[usize])]) -> Source {
        let data: Vec<Vec<u8>> = (0..tensors.len())
            .map(|at| (at as f32).to_le_bytes().repeat(tensors[at].1.iter().product()))
            .collect();
        let mut views = Vec::new();
        for ((name, shape), data) in tensors.iter().zip(&data) {
            views.push((*name, TensorView::new(Dtype::F32, shape.to_vec(), data).unwrap()));
        }
        fs::write(self.path(name), serialize(views, None).unwrap()).unwrap();
        Source::read(&[self.path(name)]).unwrap()
    }

    /// A file of every tensor of the nodes.
    fn whole(&self, specs: &[StageSpec]) -> Source {
        let state: Vec<_> = specs.iter().flat_map(|spec| state_of(spec).unwrap()).collect();
        let shape = |shape: &[u64]| shape.iter().map(|&size| size as usize).collect::<Vec<_>>();
        let shapes: Vec<_> = state.iter().map(|tensor| shape(&tensor.shape)).collect();
        let named: Vec<_> =
            state.iter().zip(&shapes).map(|(tensor, shape)| (tensor.name.as_str(), &shape[..])).collect();
        self.write("whole.safetensors", &named)
    }
}

const PLAIN: [(&str, &[usize]); 8] = [
    ("module.a.weight", &[2, 3]),
    ("module.a.bias", &[2]),
    ("module.bn.weight", &[2]),
    ("module.bn.bias", &[2]),
    ("module.bn.running_mean", &[2]),
    ("module.bn.running_var", &[2]),
    ("module.bn.num_batches_tracked", &[]),
    ("module.fc.weight", &[10, 2]),
];

fn keep(optimizer: bool, backward: Option<Backward>) -> Keep {
    Keep { optimizer, backward, finite: true }
}

fn names(part: &Part) -> String {
    part.tensors.keys().map(String::as_str).collect::<Vec<_>>().join(" ")
}

#[test]
fn a_file_is_cut_by_the_stages_and_what_does_not_fit_stays_drawn() {
    let bench = Bench::new();
    let source = bench.write("plain.safetensors", &PLAIN);
    let specs = specs(4, 2);
    let fit = Fit::of(&source, &specs, keep(false, None)).unwrap();
    assert_eq!(fit.off, ["module."]);
    assert!(!fit.whole);
    let due = "a.bias a.weight bn.bias bn.running_mean bn.running_var bn.weight";
    assert_eq!(fit.parts.iter().map(names).collect::<Vec<_>>(), [due, "", ""]);
    assert_eq!(fit.parts[0].drawn, ["a.weight_backward"]);
    let tensor = |name: &str, here: &[u64], given: Option<&[usize]>| DrawnTensor {
        name: name.into(),
        here: here.to_vec(),
        given: given.map(<[usize]>::to_vec),
    };
    let tensors = vec![tensor("fc.weight", &[4, 2], Some(&[10, 2])), tensor("fc.bias", &[4], None)];
    assert_eq!(fit.drawn, [Drawn { layer: "fc".into(), tensors }], "the bias belongs to the weights");
    assert_eq!(fit.unused, ["fc.weight"]);
    let whole = Fit::of(&source, &specs[..1], keep(false, None)).unwrap();
    assert_eq!((whole.drawn.len(), whole.unused), (0, vec!["fc.weight".to_owned()]));
}

#[test]
fn b_is_a_copy_of_w_where_it_is_asked_for_and_its_host_has_no_w() {
    let bench = Bench::new();
    let source = bench.write("plain.safetensors", &[PLAIN[0], PLAIN[7]]);
    let fit = Fit::of(&source, &specs(10, 2), keep(false, Some(Backward::Weight))).unwrap();
    let all: Vec<_> = fit.parts.iter().map(names).collect();
    assert_eq!(all, ["a.weight", "fc.weight", "fc.weight_backward"]);
    let [w, b] = [&fit.parts[1].tensors["fc.weight"], &fit.parts[2].tensors["fc.weight_backward"]];
    assert_eq!(w.data(), b.data());
    let fit = Fit::of(&source, &specs(4, 2), keep(false, Some(Backward::Weight))).unwrap();
    assert_eq!(names(&fit.parts[2]), "", "the W of the layer stays drawn, and so does its B");
    assert_eq!(fit.parts[2].drawn, ["fc.weight_backward"]);
}

#[test]
fn a_b_of_two_matrices_cannot_begin_as_w() {
    let bench = Bench::new();
    let source = bench.write("plain.safetensors", &PLAIN);
    let mut specs = specs(10, 1);
    specs[0].layers[0].rule =
        RuleSpec::Product(Product { ratio: 2.0, decay: 0.0, schedule: Schedule::default() });
    let why = Fit::of(&source, &specs, keep(false, Some(Backward::Weight))).err().unwrap();
    assert!(why.contains("the layer 'a' under product_feedback_alignment has two matrices"), "{why}");
    let fit = Fit::of(&source, &specs, keep(false, None)).unwrap();
    assert_eq!(fit.parts[0].drawn[..2], ["a.weight_backward", "a.feedback"]);
}

#[test]
fn a_whole_state_is_cut_anew_byte_by_byte() {
    let bench = Bench::new();
    let (one, three) = (specs(4, 1), specs(4, 2));
    let source = bench.whole(&one);
    let fit = Fit::of(&source, &three, keep(true, None)).unwrap();
    assert!(fit.whole && fit.drawn.is_empty() && fit.unused.is_empty());
    let mark = Mark { run: "run".into(), updates: 7 };
    for part in &fit.parts {
        let folder = bench.path(&part.role.to_string());
        assert_eq!(part.save(&folder, &mark).unwrap(), fs::metadata(file(&folder, 7)).unwrap().len());
    }
    let snapshots =
        fit.parts.iter().map(|part| Snapshot::open(&bench.path(&part.role.to_string()), 7).unwrap());
    let again = Source::of_snapshots(snapshots.collect());
    let fit = Fit::of(&again, &one, keep(true, None)).unwrap();
    assert!(fit.whole);
    assert_eq!(fit.parts[0].tensors, source.all().unwrap());
    assert_eq!(
        super::mark(&again, &fit, keep(true, None)).unwrap(),
        mark,
        "the files of all nodes of one run"
    );
    let taken = Fit::of(&source, &one, keep(false, Some(Backward::Random))).unwrap();
    assert!(taken.unused.contains(&"fc.weight.momentum".to_owned()) && taken.whole);
    assert!(!names(&taken.parts[0]).contains("weight_backward"));
}

#[test]
fn hostile_files_are_refused_in_a_sentence() {
    let bench = Bench::new();
    let refused = |source: &Source| Fit::of(source, &specs(4, 2), keep(false, None)).err().unwrap();
    let other = bench.write("other.safetensors", &[("x.weight", &[1])]);
    assert!(
        refused(&other).ends_with("no tensor of this network: it has 'x.weight', the network has 'a.weight'")
    );
    let wide = bench.write("wide.safetensors", &[("a.weight", &[9])]);
    assert!(refused(&wide).contains("'a.weight' is [9] in the file and [2, 3] in the network"));
    let nan = TensorView::new(Dtype::F32, vec![2], &[0xff; 8]).unwrap();
    fs::write(bench.path("nan"), serialize([("bn.bias", nan)], None).unwrap()).unwrap();
    let nan = refused(&Source::read(&[bench.path("nan")]).unwrap());
    assert!(nan.contains("'bn.bias', of which 2 of 2 numbers are not finite (2 NaN)"), "{nan}");
    let whole = TensorView::new(Dtype::I64, vec![2], &[0; 16]).unwrap();
    fs::write(bench.path("int"), serialize([("bn.bias", whole)], None).unwrap()).unwrap();
    assert!(refused(&Source::read(&[bench.path("int")]).unwrap()).contains("no floating point"));
    // A header that promises more than there is, one that is none, and one longer than the file.
    let header = br#"{"a.weight":{"dtype":"F32","shape":[4611686018427387904,4],"data_offsets":[0,4]}}"#;
    let promise = [&(header.len() as u64).to_le_bytes()[..], header, &[0; 4]].concat();
    for bytes in [&promise[..], b"\x02\0\0\0\0\0\0\0[]", &[0xff; 64], b"", b"PK\x03\x04"] {
        fs::write(bench.path("torn"), bytes).unwrap();
        let why = refused(&Source::read(&[bench.path("torn")]).unwrap());
        assert!(why.contains("torn") && !why.contains('\n'), "{why}");
    }
    assert!(Source::read(&[bench.path("")]).err().unwrap().contains("is a folder"));
    assert!(Source::read(&["/dev/zero".into()]).err().unwrap().contains("no regular file"));
    let twice = Source::read(&[bench.path("nan"), bench.path("int")]).unwrap();
    assert!(refused(&twice).contains("give every file of one network once"));
}

#[test]
fn the_id_names_the_bytes_and_not_the_order_of_the_files() {
    let bench = Bench::new();
    bench.write("one", &[PLAIN[0]]);
    bench.write("two", &[PLAIN[7]]);
    let id = |names: &[&str]| {
        let paths: Vec<_> = names.iter().map(|name| bench.path(name)).collect();
        Source::read(&paths).unwrap().id()
    };
    assert_eq!(id(&["one", "two"]), id(&["two", "one"]));
    assert_eq!(id(&["one"]).len(), 32);
    assert!(id(&["one"]) != id(&["two"]) && id(&["one"]) != id(&["one", "two"]));
    let one = Source::read(&[bench.path("one")]).unwrap();
    let parts = [None, Some(Backward::Random), Some(Backward::Weight)].map(|b| super::id::id_of(&one, b));
    assert!(parts[0] == one.id() && parts[1] != parts[0] && parts[2] != parts[0] && parts[1] != parts[2]);
    assert!(parts.iter().all(|part| part.parse::<PartsId>().is_ok()), "{parts:?}");
}
