//! Tests of `layer-node import` with files of other programs: other names, shapes, formats and numbers.

use super::{Bench, FORWARD, UPPER};
use layer_node::state::checkpoint::{self, Snapshot};
use layer_node::state::state_dir::StateDir;
use safetensors::tensor::{Dtype, TensorView};
use safetensors::{SafeTensors, serialize};
use std::collections::BTreeMap;
use std::fs;

/// A state dict for both nodes, of tensors of one format that hold `value`, with `prefix` before the names.
fn dict(prefix: &str, dtype: Dtype, value: &[u8], classes: usize) -> Vec<u8> {
    let shapes: [(&str, &[usize]); 7] = [
        ("conv1.weight", &[4, 3, 3, 3]),
        ("bn1.weight", &[4]),
        ("bn1.bias", &[4]),
        ("bn1.running_mean", &[4]),
        ("bn1.running_var", &[4]),
        ("fc.weight", &[classes, 4]),
        ("fc.bias", &[classes]),
    ];
    let data: Vec<_> = shapes.iter().map(|(_, shape)| value.repeat(shape.iter().product())).collect();
    let views = shapes.iter().zip(&data).map(|((name, shape), data)| {
        (format!("{prefix}{name}"), TensorView::new(dtype, shape.to_vec(), data).unwrap())
    });
    serialize(views, None).unwrap()
}

/// The node's tensors, by name, as f32.
fn floats(bench: &Bench, stage: &str) -> BTreeMap<String, Vec<f32>> {
    let snapshot = Snapshot::open(&bench.path(stage), 7).unwrap();
    let numbers = |data: &[u8]| data.chunks(4).map(|b| f32::from_le_bytes(b.try_into().unwrap())).collect();
    snapshot.tensors().unwrap().into_iter().map(|(name, view)| (name, numbers(view.data()))).collect()
}

#[test]
fn names_with_a_wrapper_are_taken_without_it_and_other_formats_are_converted() {
    for (prefix, dtype, value, number) in [
        ("module.", Dtype::F32, &1.5f32.to_le_bytes()[..], 1.5),
        ("_orig_mod.module.", Dtype::F16, &[0x00, 0x3e][..], 1.5),
        ("model._orig_mod.", Dtype::BF16, &[0xc0, 0x3f][..], 1.5),
        ("backbone.", Dtype::F64, &0.1f64.to_le_bytes()[..], 0.1),
    ] {
        let bench = Bench::of_two(1);
        fs::write(bench.path("wrapped"), dict(prefix, dtype, value, 5)).unwrap();
        let said = bench.done("import --state-dir state wrapped");
        assert!(said.contains("7 tensors taken, 0 not used, 6 kept, in 2 nodes"), "{said}");
        assert!(said.contains(&format!("; names without '{prefix}'")), "{said}");
        assert_eq!(
            said.contains(&format!("; 7 tensors converted from {dtype:?} to F32")),
            dtype != Dtype::F32
        );
        let fc = floats(&bench, "state/stage-1");
        assert_eq!(fc["fc.weight"], [number; 20], "{prefix} {dtype:?}");
        assert_ne!(fc["fc.weight_backward"][1], number);
    }
    let bench = Bench::of_two(1);
    let f32 = Dtype::F32;
    bench.write("twice", &[("module.fc.bias", f32, &[5]), ("fc.bias", f32, &[5])]);
    bench.refused(
        "import --partial --state-dir state twice",
        1,
        &["'module.fc.bias'", "'fc.bias'", "one tensor"],
    );
    // The parts of a network in several files.
    bench.write("one", &[("module.fc.bias", f32, &[5])]);
    bench.write("two", &[("module.fc.weight", f32, &[5, 4])]);
    let said = bench.done("import --state-dir state/stage-1 one two");
    assert!(said.starts_with("one, two: 2 tensors taken, 0 not used, 3 kept, in 1 node "), "{said}");
}

#[test]
fn a_layer_of_another_shape_stays_whole_as_it_is() {
    let bench = Bench::of_two(1);
    fs::write(bench.path("thousand"), dict("", Dtype::F32, &1.5f32.to_le_bytes(), 1000)).unwrap();
    let words = ["'fc.bias' is [1000] in the file and [5] in the node", "--partial leaves", "('fc')"];
    bench.refused("import --state-dir state thousand", 1, &words);
    let before = bench.digests();
    let said = bench.done("import --partial --verbose --state-dir state thousand");
    assert!(said.contains("5 tensors taken, 0 not used, 8 kept, in 2 nodes"), "{said}");
    let kept = "kept: fc, all of it: 'fc.bias' is [1000] in the file and [5] in the node, 'fc.weight' is [1000, 4] in the file";
    assert!(said.contains(kept), "{said}");
    for (old, new) in before.lines().zip(bench.digests().lines()) {
        let (_, name) = new.split_once("  ").unwrap();
        let forward = FORWARD.contains(&name) && !name.starts_with("fc.");
        assert_eq!(old == new, !forward, "{name}");
    }

    // The bias fits alone, and stays with its weights.
    let f32 = Dtype::F32;
    let bench = Bench::of_two(1);
    bench.write(
        "half",
        &[("conv1.weight", f32, &[4, 3, 3, 3]), ("fc.weight", f32, &[5, 9]), ("fc.bias", f32, &[5])],
    );
    let (before, said) = (bench.digests(), bench.done("import --partial --verbose --state-dir state half"));
    assert!(
        said.contains("1 tensor taken, 0 not used, 12 kept") && said.contains("kept: fc, all of it"),
        "{said}"
    );
    let after = bench.digests();
    let changed: Vec<_> = before.lines().filter(|line| !after.contains(line)).collect();
    assert!(changed.len() == 1 && changed[0].ends_with("  conv1.weight"), "{changed:?}");
}

#[test]
fn numbers_that_are_not_finite_are_refused_by_name_and_count_unless_allowed() {
    let bench = Bench::of_two(1);
    let nan = f32::NAN.to_le_bytes();
    let mut bytes = dict("", Dtype::F32, &1.5f32.to_le_bytes(), 5);
    let end = bytes.len();
    // The last three numbers are those of fc.weight, the last of the names.
    bytes[end - 12..end - 8].copy_from_slice(&nan);
    bytes[end - 8..end - 4].copy_from_slice(&nan);
    bytes[end - 4..].copy_from_slice(&f32::INFINITY.to_le_bytes());
    fs::write(bench.path("broken"), bytes).unwrap();
    let words =
        ["'fc.weight', of which 3 of 20 numbers are not finite (2 NaN, 1 infinite)", "--allow-not-finite"];
    bench.refused("import --state-dir state broken", 1, &words);
    fs::write(bench.path("large"), dict("", Dtype::F64, &1e300f64.to_le_bytes(), 5)).unwrap();
    let words = ["'bn1.bias', of which 4 of 4 numbers are not finite (4 too large for the node) and 6 more"];
    bench.refused("import --state-dir state large", 1, &words);

    // A layer that stays as it is may hold anything.
    fs::write(bench.path("other"), dict("", Dtype::F32, &nan, 9)).unwrap();
    bench.refused("import --partial --state-dir state other", 1, &["'bn1.bias', of which 4 of 4"]);
    bench.done("import --allow-not-finite --state-dir state broken");
    assert!(floats(&bench, "state/stage-1")["fc.weight"][17].is_nan());
    let said = bench.done("export --state-dir state out");
    assert!(said.contains("not finite: fc.weight, of which 3 of 20 numbers"), "{said}");
    assert_eq!(said.lines().count(), 2, "{said}");
    bench.digests();
}

#[test]
fn an_import_leaves_a_mark_for_the_coordinator_and_a_used_folder_is_told() {
    let bench = Bench::of_two(1);
    let imported = |stage: &str| checkpoint::held(&bench.path(stage)).unwrap()[0].imported;
    bench.write("b", &[("fc.weight_backward", Dtype::F32, &[5, 4])]);
    let folder = StateDir { path: bench.path("state/stage-1"), read_only: false };
    let served = folder.lock("").unwrap();
    let said = bench.done("import --partial --state-dir state b");
    assert!(
        said.contains("in use: state/stage-1, by a layer-node, which takes these weights only when"),
        "{said}"
    );
    assert!(!said.contains("in use: state/stage-0"), "{said}");
    drop(served);
    assert_eq!(["state/stage-0", "state/stage-1"].map(imported), [false, true], "B alone, in one node");
    // A run can go on from an export of its whole state alone.
    let mark = |flags: &str, out: &str| {
        bench.done(&format!("export {flags} --state-dir state {out}"));
        let bytes = fs::read(bench.path(out)).unwrap();
        let (_, header) = SafeTensors::read_metadata(&bytes).unwrap();
        header.metadata().as_ref().unwrap().get(checkpoint::IMPORTED).cloned()
    };
    assert_eq!(mark("--with-optimizer", "whole"), Some("b".into()));
    assert_eq!(mark("", "weights"), None);
    bench.save("state/stage-1", "run", 7, UPPER, 3);
    assert!(!imported("state/stage-1"), "the node's own snapshot");
}
