//! Tests of `coordinator evaluate`: the accuracy by class, single pictures, and another test set of photographs.

use e2e::harm::failed;
use e2e::{Bench, CLASSES, Ended, SIDE};
use serde_json::Value;
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

const KEYS: &str =
    "[train]\nmax_steps = 12\nbatch = 20\n[pipeline]\nmicrobatches = 2\nstages = [\"classes\"]\n";

fn succeeds(bench: &Bench, arguments: &[&str]) -> Ended {
    let ended = bench.ended(arguments);
    assert_eq!(ended.code, Some(0), "{arguments:?}: {}", ended.stderr);
    ended
}

fn json(ended: &Ended) -> Value {
    serde_json::from_str(&ended.stdout).unwrap()
}

/// The test images of the bench as grey PNG files, and their labels.
fn pictures(bench: &Bench) -> Vec<(String, u64)> {
    let images = fs::read(bench.path("t10k-images-idx3-ubyte")).unwrap();
    let labels = fs::read(bench.path("t10k-labels-idx1-ubyte")).unwrap();
    let file = |(index, (pixels, &label)): (usize, (&[u8], &u8))| {
        let name = format!("picture-{index:02}.png");
        let mut encoder =
            png::Encoder::new(fs::File::create(bench.path(&name)).unwrap(), SIDE as u32, SIDE as u32);
        encoder.set_color(png::ColorType::Grayscale);
        encoder.write_header().unwrap().write_image_data(pixels).unwrap();
        (name, label.into())
    };
    images[16..].chunks_exact(SIDE * SIDE).zip(&labels[8..]).enumerate().map(file).collect()
}

#[test]
fn an_evaluation_counts_by_class_and_pictures_are_what_the_test_images_are() {
    let bench = Bench::new();
    let run = bench.trained(&bench.tiny(KEYS), "classes", &[]);
    let page = bench.path("page.html");
    let evaluate = ["evaluate", "--json", "--run", "runs/classes"];
    let found = json(&succeeds(&bench, &[&evaluate[..], &["--html", page.to_str().unwrap()]].concat()));
    assert_eq!(found, run.json("evaluation.json"), "the run's last evaluation was of the same state");
    for text in
        [fs::read_to_string(page).unwrap(), fs::read_to_string(run.folder.join("report.html")).unwrap()]
    {
        assert!(text.contains("<h2>Classes</h2>") && text.contains("Accuracy by class"));
    }
    let table = succeeds(&bench, &["evaluate", "--run", "runs/classes"]).stdout;
    assert!(
        table.starts_with("after 12 updates: test accuracy ") && table.contains("\nclass  images "),
        "{table}"
    );

    // Each test image, classified by itself.
    let pictures = pictures(&bench);
    let files = pictures.iter().map(|(file, _)| file.as_str());
    let command: Vec<&str> = evaluate.into_iter().chain(["--images"]).chain(files).collect();
    let answers = json(&succeeds(&bench, &command));
    let (mut right, mut confused) = (vec![[0u64; 2]; CLASSES], BTreeMap::new());
    for (answer, (file, label)) in answers["images"].as_array().unwrap().iter().zip(&pictures) {
        assert_eq!(answer["file"].as_str(), Some(&**file));
        let likely = answer["classes"].as_array().unwrap();
        let sum: f64 = likely.iter().map(|likely| likely["probability"].as_f64().unwrap()).sum();
        assert!(likely.len() == CLASSES && (sum - 1.0).abs() < 1e-9, "{answer}");
        let first = likely[0]["class"].as_u64().unwrap();
        right[*label as usize][0] += 1;
        right[*label as usize][1] += u64::from(first == *label);
        if first != *label {
            *confused.entry((*label, first)).or_insert(0u64) += 1;
        }
    }
    for class in found["classes"].as_array().unwrap() {
        let [samples, hits] = right[class["class"].as_u64().unwrap() as usize];
        assert_eq!(class["samples"].as_u64(), Some(samples));
        let share = class["top1"].as_f64().unwrap_or_default();
        assert!((share * samples as f64 - hits as f64).abs() < 1e-9, "{class}");
    }
    let pair = |pair: &Value| ["class", "taken_for", "count"].map(|key| pair[key].as_u64().unwrap());
    let pairs = found["confusions"].as_array().unwrap().iter().map(pair);
    assert_eq!(
        pairs.map(|[class, taken_for, count]| ((class, taken_for), count)).collect::<BTreeMap<_, _>>(),
        confused
    );

    let table = succeeds(&bench, &["evaluate", "--run", "runs/classes", "--images", "picture-00.png"]).stdout;
    assert!(table.lines().count() == 1 + CLASSES && table.contains("picture-00.png  "), "{table}");
    let none = ["evaluate", "--run", "runs/classes", "--images", "tiny.toml"];
    failed(&bench.ended(&none), 3, &["tiny.toml is no image: leave it out of --images"]);
}

/// Copies photographs of the coordinator's tests, 24×18 pixels each, into the folder of a class.
fn class(folder: &Path, files: &[&str]) {
    let photos = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../coordinator/tests/photos");
    fs::create_dir_all(folder).unwrap();
    files.iter().for_each(|file| _ = fs::copy(photos.join(file), folder.join(file)).unwrap());
}

#[test]
fn a_run_on_photographs_is_evaluated_on_its_own_and_on_another_test_set() {
    let bench = Bench::new();
    for split in ["train", "val", "other"] {
        class(
            &bench.path("photos").join(split).join("colourful"),
            &["colour.png", "palette.png", "colour-444.jpg"],
        );
        class(&bench.path("photos").join(split).join("grey"), &["grey-4.png", "grey-16.png"]);
    }
    class(&bench.path("photos/other/grey"), &["grey-2.png"]);
    let keys = "[train]\nmax_steps = 2\nbatch = 2\n[pipeline]\nmicrobatches = 2\nstages = 1\n";
    let text = fs::read_to_string(bench.tiny(keys)).unwrap();
    let photos = "kind = \"image_folder\"\ncrop = 16\nresize = 18\npath = \"photos\"";
    let text = text.replace("kind = \"idx\"\npath = \".\"", photos).replace("classes = 5", "classes = 2");
    let config = bench.path("photos.toml");
    fs::write(&config, text.replace("out = 5", "out = 2")).unwrap();
    bench.trained(&config, "photos", &[]);

    let evaluate = ["evaluate", "--json", "--run", "runs/photos"];
    let found = json(&succeeds(&bench, &evaluate));
    let names = |found: &Value| {
        found["classes"].as_array().unwrap().iter().map(|class| class["name"].clone()).collect::<Vec<_>>()
    };
    assert_eq!(
        (found["samples"].as_u64(), names(&found)),
        (Some(5), vec!["colourful".into(), "grey".into()])
    );
    let other = [&evaluate[..], &["--set", "data.test=other"]].concat();
    let found = json(&succeeds(&bench, &other));
    assert_eq!(
        (found["samples"].as_u64(), names(&found)),
        (Some(6), vec!["colourful".into(), "grey".into()])
    );
    let image = ["--images", "photos/val/grey/grey-16.png"];
    let found = json(&succeeds(&bench, &[&evaluate[..], &image].concat()));
    assert!(
        ["colourful", "grey"].contains(&found["images"][0]["classes"][0]["name"].as_str().unwrap()),
        "{found}"
    );

    // Without being asked for, another test set is not taken for the run's.
    class(&bench.path("photos/val/grey"), &["grey-2.png"]);
    failed(&bench.ended(&evaluate), 2, &["the test data in ", "are not those of the run in ", "6 samples"]);
}
