//! Tests of `layer-node export` and `import` on state folders, by the real binary.

mod foreign;

use layer_node::state::checkpoint::{self, Snapshot};
use layer_node::state::named::State;
use safetensors::tensor::{Dtype, TensorView};
use safetensors::{SafeTensors, serialize};
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use tch::{Kind, Tensor};
use tempfile::TempDir;

/// Tensors by name, and their shapes.
type Names = &'static [(&'static str, &'static [i64])];

const LOWER: Names = &[
    ("conv1.weight", &[4, 3, 3, 3]),
    ("conv1.weight.momentum", &[4, 3, 3, 3]),
    ("conv1.weight_backward", &[4, 3, 3, 3]),
    ("conv1.weight_backward.momentum", &[4, 3, 3, 3]),
    ("bn1.weight", &[4]),
    ("bn1.bias", &[4]),
    ("bn1.running_mean", &[4]),
    ("bn1.running_var", &[4]),
];
const UPPER: Names = &[
    ("fc.weight", &[5, 4]),
    ("fc.weight.mean", &[5, 4]),
    ("fc.weight.square", &[5, 4]),
    ("fc.weight_backward", &[5, 4]),
    ("fc.bias", &[5]),
];
/// The tensors that a forward pass takes.
const FORWARD: [&str; 7] =
    ["bn1.bias", "bn1.running_mean", "bn1.running_var", "bn1.weight", "conv1.weight", "fc.bias", "fc.weight"];

/// A temporary folder with the state folders of nodes.
struct Bench(TempDir);

/// The exit code, stdout, and stderr without its final newline.
struct Ended(Option<i32>, String, String);

/// Bytes by name.
type Tensors = BTreeMap<String, Vec<u8>>;

impl Bench {
    /// Two nodes of one run after 7 updates, drawn from `seed`.
    fn of_two(seed: i64) -> Self {
        let bench = Self(tempfile::tempdir().unwrap());
        bench.save("state/stage-0", "run", 7, LOWER, seed);
        bench.save("state/stage-1", "run", 7, UPPER, seed + 1);
        bench
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn save(&self, folder: &str, run: &str, updates: u64, names: Names, seed: i64) {
        let draw = |(number, (_, shape)): (usize, &(&str, &[i64]))| {
            let count: i64 = shape.iter().product();
            let values = (0..count).map(|i| ((seed * 31 + number as i64) * 1000 + i) as f32 / 7.0);
            Tensor::from_slice(&values.collect::<Vec<_>>()).reshape(*shape).to_kind(Kind::Float)
        };
        let mut tensors: Vec<_> = names.iter().enumerate().map(draw).collect();
        let mut state = State::default();
        names.iter().zip(&mut tensors).for_each(|((name, _), tensor)| state.tensor((*name).into(), tensor));
        checkpoint::save(&self.path(folder), run, updates, &state, None).unwrap();
    }

    /// Runs the binary in the folder with the arguments in `line`.
    fn run(&self, line: &str) -> Ended {
        let output = Command::new(env!("CARGO_BIN_EXE_layer-node"))
            .args(line.split_whitespace())
            .current_dir(self.0.path())
            .env_remove("RUST_LOG")
            .output()
            .unwrap();
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
        Ended(output.status.code(), text(output.stdout), text(output.stderr).trim_end().to_owned())
    }

    /// Runs as [`Bench::run`] does, and must succeed.
    fn done(&self, line: &str) -> String {
        let Ended(code, stdout, stderr) = self.run(line);
        assert_eq!(code, Some(0), "{line}: {stderr}");
        stdout
    }

    /// Runs as [`Bench::run`] does, and must fail with `code` in one sentence that has all the `words`. It must leave
    /// every file unchanged.
    fn refused(&self, line: &str, code: i32, words: &[&str]) {
        let before = files(self.0.path());
        let ended = self.run(line);
        assert_eq!(ended.0, Some(code), "{line}: {} {}", ended.1, ended.2);
        assert!(ended.2.starts_with("error: ") && ended.2.lines().count() == 1, "{line}: {}", ended.2);
        for word in words {
            assert!(ended.2.contains(word), "{line}: no '{word}' in {}", ended.2);
        }
        assert!(files(self.0.path()) == before, "{line} changed a file");
    }

    fn digests(&self) -> String {
        let digest = |stage: &str| self.done(&format!("digest --state-dir state/{stage}"));
        digest("stage-0") + &digest("stage-1")
    }

    fn write(&self, name: &str, tensors: &[(&str, Dtype, &[usize])]) {
        let data = |(_, dtype, shape): &(&str, Dtype, &[usize])| {
            vec![1; shape.iter().product::<usize>() * dtype.bitsize() / 8]
        };
        let data: Vec<_> = tensors.iter().map(data).collect();
        let mut views = Vec::new();
        for ((name, dtype, shape), data) in tensors.iter().zip(&data) {
            views.push((*name, TensorView::new(*dtype, shape.to_vec(), data).unwrap()));
        }
        fs::write(self.path(name), serialize(views, None).unwrap()).unwrap();
    }
}

/// Every file below `folder`.
fn files(folder: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut found = BTreeMap::new();
    for entry in fs::read_dir(folder).unwrap().flatten() {
        match entry.file_type().unwrap().is_dir() {
            true => found.extend(files(&entry.path())),
            false => _ = found.insert(entry.path(), fs::read(entry.path()).unwrap()),
        }
    }
    found
}

fn tensors(bytes: &[u8]) -> Tensors {
    let file = SafeTensors::deserialize(bytes).unwrap();
    file.iter().map(|(name, view)| (name.to_owned(), view.data().to_vec())).collect()
}

fn names(tensors: &Tensors) -> Vec<&str> {
    tensors.keys().map(String::as_str).collect()
}

#[test]
fn an_export_merges_the_nodes_and_an_import_elsewhere_gives_the_same_digests() {
    let bench = Bench::of_two(1);
    let said = bench
        .done("export --state-dir state/stage-0 --state-dir state/stage-1 --with-optimizer all.safetensors");
    assert!(said.contains("13 tensors") && said.contains("2 nodes of run run after 7 updates"), "{said}");
    let bytes = fs::read(bench.path("all.safetensors")).unwrap();
    let exported = tensors(&bytes);
    let mut kept = Tensors::new();
    for stage in ["state/stage-0", "state/stage-1"] {
        let snapshot = Snapshot::open(&bench.path(stage), 7).unwrap();
        kept.extend(snapshot.tensors().unwrap().into_iter().map(|(name, view)| (name, view.data().to_vec())));
        let (_, header) = SafeTensors::read_metadata(&bytes).unwrap();
        assert_eq!(header.metadata().clone().unwrap(), snapshot.metadata().unwrap());
    }
    assert_eq!(exported, kept);

    let other = Bench::of_two(2);
    assert_ne!(other.digests(), bench.digests());
    fs::copy(bench.path("all.safetensors"), other.path("all.safetensors")).unwrap();
    // The folder that holds the stages' folders stands for all of them.
    let said = other.done("import --state-dir state all.safetensors");
    assert!(
        said.contains("13 tensors taken, 0 not used, 0 kept, in 2 nodes") && said.lines().count() == 1,
        "{said}"
    );
    assert_eq!(other.digests(), bench.digests());
    assert_eq!(checkpoint::list(&other.path("state/stage-0")).unwrap(), [7]);
    assert_eq!(Snapshot::open(&other.path("state/stage-0"), 7).unwrap().run, "run");
}

#[test]
fn optimizer_state_is_left_out_unless_asked_for_and_stays_on_import() {
    let bench = Bench::of_two(1);
    bench.done("export --state-dir state weights.safetensors");
    let exported = tensors(&fs::read(bench.path("weights.safetensors")).unwrap());
    let backward = ["conv1.weight_backward", "fc.weight_backward"];
    assert_eq!(
        names(&exported).iter().filter(|name| !backward.contains(name)).copied().collect::<Vec<_>>(),
        FORWARD
    );
    assert_eq!(exported.len(), FORWARD.len() + backward.len());

    let other = Bench::of_two(2);
    let before = other.digests();
    fs::copy(bench.path("weights.safetensors"), other.path("weights.safetensors")).unwrap();
    let said = other.done("import --state-dir state weights.safetensors");
    assert!(said.contains("9 tensors taken, 0 not used, 4 kept") && said.lines().count() == 1, "{said}");
    let (from, after) = (bench.digests(), other.digests());
    for ((old, new), given) in before.lines().zip(after.lines()).zip(from.lines()) {
        let optimizer = [".momentum", ".mean", ".square"].iter().any(|slot| new.ends_with(slot));
        assert_eq!(new, if optimizer { old } else { given });
    }
}

#[test]
fn a_torchvision_state_dict_replaces_what_a_forward_pass_takes_and_leaves_b() {
    let bench = Bench::of_two(1);
    let f32 = Dtype::F32;
    let dict: &[(&str, Dtype, &[usize])] = &[
        ("conv1.weight", f32, &[4, 3, 3, 3]),
        ("bn1.weight", f32, &[4]),
        ("bn1.bias", f32, &[4]),
        ("bn1.running_mean", f32, &[4]),
        ("bn1.running_var", f32, &[4]),
        ("bn1.num_batches_tracked", Dtype::I64, &[]),
        ("fc.weight", f32, &[5, 4]),
        ("fc.bias", f32, &[5]),
    ];
    bench.write("torch.safetensors", dict);
    let before = bench.digests();
    let said = bench.done("import --state-dir state torch.safetensors");
    assert!(said.contains("7 tensors taken, 0 not used, 6 kept") && said.lines().count() == 1, "{said}");
    for (old, new) in before.lines().zip(bench.digests().lines()) {
        let (_, name) = new.split_once("  ").unwrap();
        assert_eq!(old == new, !FORWARD.contains(&name), "{name}");
    }

    // The nodes of one host take their own tensors from the file of the whole network.
    let said = bench.done("import --verbose --state-dir state/stage-1 torch.safetensors");
    assert!(said.contains("2 tensors taken, 5 not used, 3 kept, in 1 node "), "{said}");
    assert!(
        said.contains("kept: 3 tensors of backward") && said.contains("not used: conv1.weight"),
        "{said}"
    );

    bench.write("less.safetensors", &dict[..7]);
    bench.refused("import --state-dir state less.safetensors", 1, &["lacks 'fc.bias':", "--partial"]);
    let said = bench.done("import --partial --state-dir state less.safetensors");
    assert!(said.contains("; 0 of other shapes and 1 not in the file (--verbose lists them)"), "{said}");
    let said = bench.done("import --partial --verbose --state-dir state less.safetensors");
    assert!(said.contains("kept: fc.bias, which the file does not have"), "{said}");
    bench.write("fewer.safetensors", &dict[..5]);
    bench.refused("import --state-dir state fewer.safetensors", 1, &["lacks 'fc.bias' and 1 more:"]);
}

#[test]
fn an_export_for_pytorch_has_no_b() {
    let bench = Bench::of_two(1);
    bench.done("export --forward-only --state-dir state forward.safetensors");
    let exported = tensors(&fs::read(bench.path("forward.safetensors")).unwrap());
    assert_eq!(names(&exported), FORWARD);
    let both = "export --forward-only --with-optimizer --state-dir state both.safetensors";
    assert_eq!(bench.run(both).0, Some(2));
}

#[test]
fn a_part_becomes_a_snapshot_of_its_own_run_beside_what_is_there() {
    let bench = Bench::of_two(1);
    let data = 1f32.to_le_bytes().repeat(5);
    let part = |run: &str, step: &str| {
        let pairs =
            [("run", run), ("step", step), ("format", "1"), ("part", "stage-1"), ("drawn", "fc.weight")];
        let mut metadata = pairs.map(|(key, value)| (key.to_owned(), value.to_owned())).into();
        checkpoint::seal(&mut metadata, [&data[..]].into_iter());
        let view = TensorView::new(Dtype::F32, vec![5], &data).unwrap();
        serialize([("fc.bias", view)], Some(metadata)).unwrap()
    };
    fs::write(bench.path("part"), part("file", "0")).unwrap();
    let before = bench.digests();
    for (folder, verb) in
        [("state/stage-1", "put into"), ("state/stage-1", "replaced in"), ("empty", "put into")]
    {
        let said = bench.done(&format!("import --state-dir {folder} part"));
        let due = format!(
            "part: 1 tensor for stage-1, 1 to be drawn, {verb} {folder}/previous/file as the state of"
        );
        assert!(said.starts_with(&due) && said.lines().count() == 1, "{said}");
        assert_eq!(Snapshot::open(&bench.path(&format!("{folder}/previous/file")), 0).unwrap().run, "file");
    }
    assert_eq!(bench.digests(), before, "the node's own snapshot stays");

    // The part of the node's own run and step takes the snapshot's place.
    fs::write(bench.path("own"), part("run", "7")).unwrap();
    assert!(bench.done("import --state-dir state/stage-1 own").contains("replaced in state/stage-1 as"));
    assert_eq!(Snapshot::open(&bench.path("state/stage-1"), 7).unwrap().tensors().unwrap().len(), 1);

    bench.refused(
        "import --state-dir state/stage-0 --state-dir state/stage-1 part",
        1,
        &["--state-dir of that node alone"],
    );
    bench.refused("import --state-dir state part", 1, &["give --state-dir state/stage-1"]);
    bench.refused("import --state-dir empty part own", 1, &["import it by itself"]);
    bench.refused("import --state-dir empty --step 3 part", 1, &["after 0 updates, not 3"]);
    for (run, step) in [("", "0"), ("../../up", "0"), ("file", "x")] {
        fs::write(bench.path("bad"), part(run, step)).unwrap();
        bench.refused("import --state-dir empty bad", 1, &["let coordinator split write it again"]);
    }
    let mut torn = part("file", "0");
    *torn.last_mut().unwrap() ^= 1;
    fs::write(bench.path("torn"), torn).unwrap();
    bench.refused("import --state-dir empty torn", 1, &["damaged"]);
}

#[test]
fn the_newest_step_that_all_have_is_taken() {
    let bench = Bench::of_two(1);
    bench.save("state/stage-0", "run", 9, LOWER, 5);
    let digest = bench.done("digest --state-dir state/stage-0 --step 9");
    assert!(bench.done("export --state-dir state seven.safetensors").contains("after 7 updates"));
    bench.done("import --state-dir state seven.safetensors");
    assert_eq!(bench.done("digest --state-dir state/stage-0 --step 9"), digest);
    assert!(
        bench.done("export --step 9 --state-dir state/stage-0 nine.safetensors").contains("after 9 updates")
    );
    bench.refused("export --step 9 --state-dir state no.safetensors", 1, &["stage-1", "step-00000009"]);
    bench.save("state/stage-2", "run", 8, &[], 5);
    bench.refused(
        "export --state-dir state no.safetensors",
        1,
        &["no step", "stage-0 has [7, 9]", "stage-2 has [8]"],
    );
}

#[test]
fn a_torn_newest_snapshot_is_not_taken_unless_it_is_asked_for() {
    let bench = Bench::of_two(1);
    let whole = bench.digests();
    bench.save("state/stage-0", "run", 9, LOWER, 5);
    bench.save("state/stage-1", "run", 9, UPPER, 6);
    for stage in ["stage-0", "stage-1"] {
        let file = checkpoint::file(&bench.path(&format!("state/{stage}")), 9);
        let bytes = fs::read(&file).unwrap();
        fs::write(&file, &bytes[..bytes.len() - 1]).unwrap();
    }
    assert_eq!(bench.digests(), whole);
    assert!(bench.done("export --state-dir state seven.safetensors").contains("after 7 updates"));
    assert!(bench.done("import --state-dir state seven.safetensors").contains("after 7 updates"));
    bench.refused("digest --state-dir state/stage-0 --step 9", 1, &["step-00000009", "is torn"]);
    bench.refused("export --step 9 --state-dir state no.safetensors", 1, &["step-00000009", "is torn"]);
}

#[test]
fn nodes_that_do_not_belong_together_are_refused() {
    let bench = Bench::of_two(1);
    bench.save("stranger", "other", 7, UPPER, 1);
    bench.write("file", &[("conv1.weight", Dtype::F32, &[4, 3, 3, 3])]);
    for verb in ["export", "import"] {
        let line =
            |folders: &str| format!("{verb} {folders} file{}", if verb == "export" { ".new" } else { "" });
        bench.refused(&line("--state-dir state --state-dir stranger"), 1, &["run other", "run run"]);
        bench.refused(&line("--state-dir state --state-dir state/stage-0"), 1, &["'bn1.bias'", "once"]);
        bench.refused(&line("--state-dir nowhere"), 1, &["no whole snapshot in nowhere"]);
        bench.refused(&line(""), 2, &["--help"]);
    }
}

#[test]
fn an_export_replaces_nothing_unless_forced() {
    let bench = Bench::of_two(1);
    fs::write(bench.path("mine"), "mine").unwrap();
    bench.refused("export --state-dir state mine", 1, &["mine exists", "--force"]);
    bench.refused("export --state-dir state state", 1, &["is a folder"]);
    std::os::unix::fs::symlink("/dev/null", bench.path("null")).unwrap();
    bench.refused("export --force --state-dir state null", 1, &["is no regular file"]);
    fs::remove_file(bench.path("null")).unwrap();
    bench.refused("export --state-dir state no/such/folder", 1, &["cannot write no/such/folder"]);
    bench.refused("export --state-dir state", 2, &["--help"]);
    bench.done("export --force --state-dir state mine");
    assert_eq!(tensors(&fs::read(bench.path("mine")).unwrap()).len(), 9);
    let left: Vec<_> = files(bench.0.path()).into_keys().filter(|path| path.ends_with("mine")).collect();
    assert_eq!((left.len(), files(bench.0.path()).len()), (1, 3), "nothing else is left behind");
}

#[test]
fn a_file_that_does_not_fit_is_refused_before_anything_is_written() {
    let bench = Bench::of_two(1);
    bench.refused("import --state-dir state none", 1, &["cannot read none"]);
    bench.refused("import --state-dir state", 2, &["--help"]);
    fs::write(bench.path("garbage"), "no tensors at all").unwrap();
    bench.refused("import --state-dir state garbage", 1, &["garbage is no safetensors file"]);
    bench.done("export --state-dir state whole");
    let whole = fs::read(bench.path("whole")).unwrap();
    fs::write(bench.path("torn"), &whole[..whole.len() - 1]).unwrap();
    bench.refused("import --state-dir state torn", 1, &["torn is no safetensors file, or torn"]);
    bench.write("foreign", &[("features.0.weight", Dtype::F32, &[2])]);
    bench.refused("import --partial --state-dir state foreign", 1, &["another network"]);
    bench.refused("import --partial --state-dir state foreign", 1, &["it has 'features.0.weight'"]);
    bench.write("shape", &[("conv1.weight", Dtype::F32, &[4, 3, 3, 3]), ("fc.weight", Dtype::F32, &[4, 5])]);
    let words = ["'fc.weight'", "[4, 5]", "[5, 4]", "--partial"];
    bench.refused("import --state-dir state shape", 1, &words);
    bench.write("whole_numbers", &[("fc.weight", Dtype::I64, &[5, 4])]);
    bench.refused("import --partial --state-dir state whole_numbers", 1, &["'fc.weight' as I64"]);
    bench.write("none_left", &[("fc.weight", Dtype::F32, &[0, 4])]);
    let words = ["no tensor that fits these nodes", "[0, 4]", "[5, 4]"];
    bench.refused("import --partial --state-dir state none_left", 1, &words);
    bench.write(
        "spelling",
        &[("conv1.weight", Dtype::F32, &[4, 3, 3, 3]), ("Fc.weight", Dtype::F32, &[5, 4])],
    );
    bench.refused(
        "import --state-dir state spelling",
        1,
        &["lacks 'fc.weight' (it has 'Fc.weight') and 5 more"],
    );
    bench.refused("import --state-dir state whole whole", 1, &["is in whole and in whole"]);
    bench.refused("import --state-dir state state", 1, &["state is a folder"]);
    for (name, bytes, words) in [
        ("empty", &b""[..], "empty is empty"),
        ("resnet.pth", &b"PK\x03\x04 and more"[..], "is a pickle of torch.save"),
        ("old.pth", &b"\x80\x02\x8a and more"[..], "safetensors.torch.save_file(torch.load("),
        (
            "index.json",
            &br#"{"weight_map":{"a":"one.safetensors","b":"two.safetensors"}}"#[..],
            "one.safetensors two.s",
        ),
    ] {
        fs::write(bench.path(name), bytes).unwrap();
        bench.refused(&format!("import --state-dir state {name}"), 1, &[words]);
    }
    let path = checkpoint::file(&bench.path("state/stage-1"), 7);
    let bytes = fs::read(&path).unwrap();
    fs::write(&path, &bytes[..bytes.len() - 1]).unwrap();
    bench.refused("import --state-dir state whole", 1, &["whole snapshot", "stage-1 has []"]);
    bench.refused("export --state-dir state out", 1, &["whole snapshot", "stage-1 has []"]);
}

#[test]
fn of_commands_at_once_one_writes() {
    let bench = Bench::of_two(1);
    let export = || {
        let mut command = Command::new(env!("CARGO_BIN_EXE_layer-node"));
        command.args(["export", "--state-dir", "state", "out"]).current_dir(bench.0.path());
        command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
    };
    let children: Vec<_> = (0..4).map(|_| export()).collect();
    let ended: Vec<_> = children.into_iter().map(|child| child.wait_with_output().unwrap()).collect();
    assert_eq!(ended.iter().filter(|output| output.status.success()).count(), 1);
    let refused = ended.iter().filter(|output| !output.status.success());
    refused.for_each(|output| assert!(String::from_utf8_lossy(&output.stderr).contains("out exists")));
    assert_eq!(tensors(&fs::read(bench.path("out")).unwrap()).len(), 9);

    // An import that is under way has the snapshots, also those of only one of the nodes.
    let snapshot = fs::File::open(checkpoint::step_folder(&bench.path("state/stage-1"), 7)).unwrap();
    snapshot.lock().unwrap();
    bench.refused("import --state-dir state out", 1, &["another import changes", "stage-1/step-00000007"]);
    drop(snapshot);
    bench.done("import --state-dir state out");
}

/// Under product feedback alignment the host of R has the fixed B as well, and the product of both is compared.
#[test]
fn angles_compare_w_with_the_product_of_b_and_r() {
    let bench = Bench(tempfile::tempdir().unwrap());
    bench.save("state/stage-0", "run", 7, &[("fc.weight", &[2, 3]), ("fc.bias", &[2])], 1);
    let half: Names = &[("fc.feedback", &[2, 1]), ("fc.weight_backward", &[1, 3])];
    bench.save("state/stage-0-backward", "run", 7, half, 2);
    let numbers = |first: f64, count: u32| (0..count).map(move |i| (first * 1000.0 + f64::from(i)) / 7.0);
    // The files hold f32.
    let stored =
        |first, count| numbers(first, count).map(|number| f64::from(number as f32)).collect::<Vec<_>>();
    let (w, b, r) = (stored(31.0, 6), stored(62.0, 2), stored(63.0, 3));
    let product: Vec<f64> = b.iter().flat_map(|b| r.iter().map(move |r| b * r)).collect();
    let dot = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
    let [ww, pp, wp] = [dot(&w, &w), dot(&product, &product), dot(&w, &product)];
    let angle = (wp / (ww * pp).sqrt()).acos().to_degrees();
    let found = bench.done("angles --state-dir state");
    assert!(found.ends_with(&format!("{angle:8.3}°  {:.4}  fc\n", (pp / ww).sqrt())), "{found}");
}

/// The angles of the two halves of a stage are those of the matrices, and need both folders.
#[test]
fn angles_compare_w_and_b_wherever_they_are_kept() {
    let bench = Bench(tempfile::tempdir().unwrap());
    bench.save("state/stage-0", "run", 7, &[("fc.weight", &[2, 3]), ("fc.bias", &[2])], 1);
    bench.save("state/stage-0-backward", "run", 7, &[("fc.weight_backward", &[2, 3])], 2);
    bench.save("state/stage-1", "run", 7, UPPER, 3);
    let matrix = |first: f64| (0..6).map(move |i| (first * 1000.0 + f64::from(i)) / 7.0);
    let (w, b) = (matrix(31.0), matrix(62.0));
    let dot = |a: Vec<f64>, b: Vec<f64>| a.iter().zip(&b).map(|(a, b)| a * b).sum::<f64>();
    let [ww, bb, wb] =
        [(w.clone(), w.clone()), (b.clone(), b.clone()), (w, b)].map(|(a, b)| dot(a.collect(), b.collect()));
    let angle = (wb / (ww * bb).sqrt()).acos().to_degrees();
    let line = format!("{angle:8.3}°  {:.4}  fc\n", (bb / ww).sqrt());
    let both = bench.done("angles --state-dir state/stage-0 --state-dir state/stage-0-backward");
    assert_eq!(both, format!("   angle  B / W   layer, after 7 updates\n{line}"));
    bench.refused("angles --state-dir state/stage-0", 1, &["no layer has both W and B", "stage-3-backward"]);
    // No run has two layers of one name.
    bench.refused("angles --state-dir state", 1, &["' is in", "name every node once"]);
    fs::remove_dir_all(bench.path("state/stage-1")).unwrap();
    assert_eq!(bench.done("angles --state-dir state"), both, "the folders of a run are found by their names");
}
