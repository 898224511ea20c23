//! Snapshots of other runs, and what a node of two small layers takes of them.

use super::*;
use crate::exec::account::Account;
use crate::exec::configuration::Configuration;
use crate::exec::device;
use proto::spec::graph::{Init, LayerSpec, Op, Value};
use proto::spec::optimizer::{Method, OptimizerSpec};
use proto::spec::rule::{Coefficients, Magnitude, RuleSpec};
use proto::state_file::{self, PART, seal};
use std::path::Path;

/// Two dense layers, `a` and `fc`, under `rule`.
fn spec(rule: RuleSpec, classes: u32, begin: Option<Begin>) -> StageSpec {
    let dense = |name: &str, from: &str, out| LayerSpec {
        rule: rule.clone(),
        ..LayerSpec::new(name, &[from], Op::Linear { out, bias: true, init: Init::FanIn })
    };
    let inputs = vec![Value { name: "x".into(), shape: vec![3] }];
    let method = Method::Sgd { momentum: 0.9, nesterov: false };
    StageSpec {
        run: "new".into(),
        optimizer: OptimizerSpec { method, ..OptimizerSpec::sgd(0.1) },
        begin,
        ..StageSpec::alone(vec![dense("a", "x", 2), dense("fc", "a", classes)], inputs)
    }
}

fn kolen_pollack() -> RuleSpec {
    RuleSpec::learned("kolen_pollack", true, Coefficients::default())
}

fn begin(optimizer: bool, backward_is_weight: bool) -> Option<Begin> {
    Some(Begin { run: "other".into(), updates: 5, optimizer, backward_is_weight })
}

/// Writes a snapshot of the run `other` after 5 updates; every tensor is full of its place in the list.
fn write(dir: &Path, tensors: &[(&str, &[usize])], part: Option<(&str, bool)>) {
    let data: Vec<Vec<u8>> = (0..tensors.len())
        .map(|at| (at as f32 + 1.0).to_le_bytes().repeat(tensors[at].1.iter().product()))
        .collect();
    let mut views: Vec<(String, TensorView)> = Vec::new();
    for ((name, shape), data) in tensors.iter().zip(&data) {
        views.push(((*name).into(), TensorView::new(Dtype::F32, shape.to_vec(), data).unwrap()));
    }
    views.sort_by(|one, two| one.0.cmp(&two.0));
    let mut metadata = state_file::metadata("other", 5);
    if let Some((drawn, weight)) = part {
        metadata.extend([(PART.into(), "stage-0".into()), (DRAWN.into(), drawn.into())]);
        metadata.extend(weight.then(|| (BACKWARD.to_owned(), "weight".to_owned())));
    }
    seal(&mut metadata, views.iter().map(|(_, view)| view.data()));
    state_file::save(&checkpoint::folder_of(dir, "other"), 5, views, metadata).unwrap();
}

const WHOLE: [(&str, &[usize]); 7] = [
    ("a.weight", &[2, 3]),
    ("a.weight.momentum", &[2, 3]),
    ("a.bias", &[2]),
    ("fc.weight", &[4, 2]),
    ("fc.weight_backward", &[4, 2]),
    ("fc.bias", &[4]),
    ("fc.bias.momentum", &[4]),
];

/// The first number of each tensor of the node that begins as `spec` says.
fn begun(dir: &Path, spec: StageSpec) -> Result<BTreeMap<String, f64>, Failure> {
    let state_dir = StateDir { path: dir.to_owned(), read_only: true };
    let mut device = device::open(tch::Device::Cpu).unwrap();
    let mut made = Configuration::new(spec, &state_dir, &mut *device, Account::default())?;
    assert_eq!(made.configured().updates, 0);
    let first = |(name, tensor): (String, &mut Tensor)| (name, tensor.flatten(0, -1).double_value(&[0]));
    Ok(made.half.state().0.into_iter().map(first).collect())
}

#[test]
fn tensors_of_the_same_name_and_shape_are_taken_and_other_layers_stay_drawn() {
    let dir = tempfile::tempdir().unwrap();
    write(dir.path(), &WHOLE, None);
    let drawn = begun(dir.path(), spec(kolen_pollack(), 4, None)).unwrap();
    let taken = begun(dir.path(), spec(kolen_pollack(), 4, begin(false, false))).unwrap();
    assert_eq!((taken["a.weight"], taken["fc.weight_backward"], taken["fc.bias"]), (1.0, 5.0, 6.0));
    assert_eq!((taken["a.weight.momentum"], taken["fc.bias.momentum"]), (0.0, 0.0));
    assert_eq!(taken["a.weight_backward"], drawn["a.weight_backward"]);
    let with = begun(dir.path(), spec(kolen_pollack(), 4, begin(true, false))).unwrap();
    assert_eq!((with["a.weight.momentum"], with["fc.bias.momentum"]), (2.0, 7.0));
    let wider = begun(dir.path(), spec(kolen_pollack(), 9, begin(true, false))).unwrap();
    let other = begun(dir.path(), spec(kolen_pollack(), 9, None)).unwrap();
    assert_eq!((wider["a.weight"], wider["fc.weight"]), (1.0, other["fc.weight"]), "the whole layer");
    assert_eq!((wider["fc.bias"], wider["fc.bias.momentum"]), (0.0, 0.0));
}

#[test]
fn b_is_a_copy_of_w_or_follows_its_signs() {
    let dir = tempfile::tempdir().unwrap();
    write(dir.path(), &[WHOLE[0], WHOLE[2], WHOLE[3], WHOLE[5]], None);
    let copied = begun(dir.path(), spec(kolen_pollack(), 9, begin(false, true))).unwrap();
    assert_eq!((copied["a.weight"], copied["a.weight_backward"]), (1.0, 1.0));
    assert_eq!(copied["fc.weight"], copied["fc.weight_backward"], "a layer that stays drawn as well");
    write(dir.path(), &WHOLE, None);
    let own = begun(dir.path(), spec(kolen_pollack(), 4, begin(false, true))).unwrap();
    assert_eq!((own["fc.weight"], own["fc.weight_backward"]), (4.0, 4.0), "not the B of the snapshot");
    // The host of B alone draws the same numbers.
    let mut split = spec(kolen_pollack(), 9, begin(false, true));
    split.layers[1].split = true;
    split.half = Half::Backward;
    write(dir.path(), &[], Some(("fc.weight_backward", true)));
    let half = begun(dir.path(), split).unwrap();
    assert_eq!(half["fc.weight_backward"], copied["fc.weight"]);
    write(dir.path(), &[WHOLE[0], WHOLE[2], WHOLE[3], WHOLE[5]], None);
    let signs = RuleSpec::SignSymmetry { magnitude: Magnitude::Uniform };
    let signs = begun(dir.path(), spec(signs, 4, begin(false, false))).unwrap();
    assert!((signs["a.weight_backward"] - (1f64 / 3.0).sqrt()).abs() < 1e-6, "{signs:?}");
}

#[test]
fn a_node_begins_from_its_own_part_alone() {
    let dir = tempfile::tempdir().unwrap();
    let refused = |optimizer, weight| {
        begun(dir.path(), spec(kolen_pollack(), 4, begin(optimizer, weight))).unwrap_err().sentence
    };
    assert!(refused(false, false).contains("no snapshot of run other after 5 updates"));
    write(dir.path(), &WHOLE[..3], None);
    let why = refused(false, false);
    assert!(why.contains("lacks 'fc.weight'") && why.contains("coordinator split"), "{why}");
    write(dir.path(), &WHOLE[..3], Some(("a.weight_backward fc.weight_backward", false)));
    assert!(refused(false, false).contains("was cut for another node or configuration"));
    let drawn = "a.weight_backward fc.weight_backward fc.weight fc.bias";
    write(dir.path(), &WHOLE[..3], Some((drawn, false)));
    assert!(begun(dir.path(), spec(kolen_pollack(), 4, begin(false, false))).is_ok());
    assert!(refused(false, true).contains("was cut without --backward weight"));
    write(dir.path(), &[("a.weight", &[2, 4][..]), WHOLE[2]], Some((drawn, false)));
    assert!(refused(false, false).contains("lacks 'a.weight', which this node has, or holds it in another"));
    write(dir.path(), &[WHOLE[0]; 1], Some((&format!("{drawn} a.bias"), true)));
    assert!(refused(false, false).contains("was cut with --backward weight"));
}
