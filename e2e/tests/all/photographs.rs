//! Tests of photographs: folders and shards train alike, a run that is interrupted in an epoch goes on exactly, and a
//! survey tells what is broken.

use crate::resume::same;
use e2e::harm::failed;
use e2e::{Bench, Ended};
use serde_json::Value;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Pictures that Pillow made, some of them broken (`scripts/odd_images.py`).
const PHOTOS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../coordinator/tests/photos");

/// Two stages on photographs of 16×16 pixels, with a part of the pictures broken.
const KEYS: &str = r#"
model.classes = 3
[data]
path = "photos"
crop = 16
resize = 18
jitter = [0.2, 0.2, 0.2, 0.1]
max_broken = 0.4
[train]
epochs = 30
batch = 8
[pipeline]
microbatches = 2
stages = ["classes"]
[snapshot]
every_steps = 4
[[layer]]
kind = "conv2d"
out = 4
kernel = 3
stride = 2
[[layer]]
kind = "relu"
[[layer]]
kind = "flatten"
[[layer]]
name = "classes"
kind = "linear"
out = 3
"#;

/// The pictures that a decoder opens, or refuses quickly; each stem names one.
fn pictures() -> Vec<(String, PathBuf)> {
    let files = fs::read_dir(PHOTOS).unwrap().map(|entry| entry.unwrap().path());
    let is_picture = |path: &PathBuf| {
        let name = path.file_name().unwrap().to_str().unwrap();
        !name.ends_with(".rgb") && !name.ends_with(".json") && !name.starts_with("bomb")
    };
    let named = |path: PathBuf| {
        let (stem, extension) = (path.file_stem()?.to_str()?, path.extension()?.to_str()?);
        Some((format!("{stem}-{}.{extension}", extension.to_lowercase()), path.clone()))
    };
    let mut all: Vec<_> = files.filter(is_picture).filter_map(named).collect();
    all.sort();
    all
}

/// A bench with the pictures as class folders, and as shards of the same samples in the same order.
fn bench() -> Bench {
    let bench = Bench::new();
    let root = bench.path("photos");
    let pictures = pictures();
    for split in ["train", "val"] {
        let mut members = Vec::new();
        for (at, (name, path)) in pictures.iter().enumerate() {
            let label = at * 3 / pictures.len();
            let folder = root.join(split).join(format!("class-{label}"));
            fs::create_dir_all(&folder).unwrap();
            fs::copy(path, folder.join(name)).unwrap();
            let stem = name.split('.').next().unwrap();
            fs::write(folder.join(format!("{stem}.cls")), label.to_string()).unwrap();
            members.extend([name.clone(), format!("{stem}.cls")].map(|name| format!("class-{label}/{name}")));
        }
        for (number, members) in members.chunks(members.len().div_ceil(6) * 2).enumerate() {
            let shard = root.join(format!("{split}-{number:03}.tar"));
            let mut tar = Command::new("tar");
            let packed = tar.arg("-C").arg(root.join(split)).arg("-cf").arg(shard).args(members).status();
            assert!(packed.expect("tar starts").success());
        }
    }
    bench
}

fn config(bench: &Bench, kind: &str) -> PathBuf {
    let path = bench.path(&format!("{kind}.toml"));
    let keys = KEYS.replace("[data]", &format!("[data]\nkind = \"{kind}\""));
    fs::write(&path, keys).unwrap();
    path
}

#[test]
fn folders_and_shards_train_alike_and_an_interrupted_epoch_is_resumed_exactly() {
    let bench = bench();
    let (folders, shards) = (config(&bench, "image_folder"), config(&bench, "webdataset"));
    let undisturbed = bench.trained(&folders, "folders", &[]);
    let in_shards = bench.trained(
        &shards,
        "shards",
        &["data.train=train-{000..002}.tar", "data.workers=3", "data.prefetch=5"],
    );
    assert_eq!(in_shards.history(), undisturbed.history());
    assert_eq!(in_shards.digests(), undisturbed.digests());

    let start = |more: &[&str]| bench.start("interrupted", &folders, &[&["--local"], more].concat());
    let coordinator = start(&[]).wait_for_steps(10);
    coordinator.signal("-INT");
    assert_eq!(coordinator.ended().code, Some(75));
    let ended = start(&["--resume", "auto", "--set", "data.workers=1", "--set", "data.prefetch=1"]).ended();
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    same(&bench.run("interrupted"), &undisturbed);
}

#[test]
fn a_survey_tells_what_a_set_holds_and_what_is_broken() {
    let bench = bench();
    let data = |config: &Path, more: &[&str]| -> Ended {
        bench.ended(&[&["data", "--config", config.to_str().unwrap()], more].concat())
    };
    for kind in ["image_folder", "webdataset"] {
        let config = config(&bench, kind);
        let ended = data(&config, &["--json", "--picture", "picture.png"]);
        assert_eq!(ended.code, Some(0), "{}", ended.stderr);
        let found: Value = serde_json::from_str(&ended.stdout).unwrap();
        let all = pictures().len();
        for split in ["train", "test"] {
            let found = &found[split];
            assert_eq!((&found["samples"], &found["left_out"]), (&all.into(), &Value::Array(Vec::new())));
            let classes = found["classes"].as_array().unwrap();
            let samples: u64 = classes.iter().map(|class| class["samples"].as_u64().unwrap()).sum();
            assert_eq!((classes.len(), samples), (3, all as u64));
            let broken = found["broken"].as_array().unwrap().iter();
            let broken: Vec<_> = broken.map(|broken| broken["name"].as_str().unwrap()).collect();
            for name in ["empty-jpg.jpg", "garbage-jpg.jpg", "truncated-png.png", "bitmap-jpeg.JPEG"] {
                assert!(broken.iter().any(|broken| broken.ends_with(name)), "{name} is not in {broken:?}");
            }
            assert!(found["images_per_s"].as_f64().unwrap() > 0.0);
        }
        assert!(fs::read(bench.path("picture.png")).unwrap().starts_with(b"\x89PNG"));
        let ended = data(&config, &["--set", "data.max_broken=0.01"]);
        failed(&ended, 3, &["broken files among", "data.max_broken", "empty-jpg.jpg"]);
        assert!(ended.stdout.contains("images/s on"), "the findings come first: {}", ended.stdout);
    }
    // A set in memory is looked through as well.
    let ended = data(&bench.tiny(""), &[]);
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    assert!(ended.stdout.starts_with("train: 150 samples in "), "{}", ended.stdout);
}
