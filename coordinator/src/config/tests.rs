//! Tests of whole configurations: printing, layering, and the check against a network.

mod keys;
mod refusals;
mod rule;
mod split;
mod words;

use std::path::Path;

use toml::{Table, Value};

use super::{Config, Environment, Stages, load, parse};

/// A network of three weight layers with a skip, for images of 6×6.
const NET: &str = r#"
[[layer]]
kind = "conv2d"
out = 4
kernel = 3
padding = 1
[[layer]]
kind = "batch_norm"
[[layer]]
name = "middle"
kind = "conv2d"
out = 4
kernel = 1
init_std = 0.5
[[layer]]
kind = "add"
inputs = ["middle", "batch_norm1"]
[[layer]]
kind = "avg_pool"
[[layer]]
kind = "flatten"
[[layer]]
kind = "linear"
out = 10
"#;

fn read(text: &str, sets: &[&str]) -> Result<Config, String> {
    let sets: Vec<String> = sets.iter().map(|set| set.to_string()).collect();
    parse(text, "net.toml", &sets, &Environment::empty()).map_err(|error| error.to_string())
}

fn set(sets: &[&str]) -> Result<Config, String> {
    read(NET, sets)
}

fn refusal(sets: &[&str]) -> String {
    set(sets).expect_err("refused")
}

/// A valid value for each key that has no default of its own.
const UNSET: [&str; 15] = [
    "pipeline.schedule=asynchronous",
    "pipeline.update_every=5",
    "model.image=6",
    "model.channels=1",
    "train.max_steps=9",
    "data.path=here",
    "data.prefix=emnist-mnist",
    "data.limit=100",
    "data.test_limit=10",
    "data.mean=[0.1]",
    "data.std=[0.3]",
    "data.augment=true",
    "data.workers=3",
    "data.prefetch=5",
    "metrics.signals_every=7",
];

/// A valid value for each key of photographs that has no default of its own.
const UNSET_PHOTOS: [&str; 8] = [
    "model.classes=10",
    "data.kind=image_folder",
    "data.train=[\"a\", \"b\"]",
    "data.test=c",
    "data.test_labels=labels.txt",
    "data.test_numbering=devkit",
    "data.synsets=synsets.txt",
    "data.jitter=[0.4, 0.4, 0.4, 0.1]",
];

#[test]
fn what_is_printed_reads_as_the_same_configuration() {
    let rules = ["rule.name=weight_mirror", "rule.layers.middle.amp=0.5", "rule.layers.conv1.name=backprop"];
    let cuts = ["pipeline.stages=[\"middle\"]", "optimizer.schedule=step", "optimizer_b.lr=0.3", "seed=7"];
    let kolen_pollack = ["rule.name=kolen_pollack", "optimizer.weight_decay=0.05"];
    for sets in [&[][..], &UNSET, &UNSET_PHOTOS, &rules, &cuts, &kolen_pollack] {
        let config = set(sets).unwrap();
        let printed = config.to_toml().unwrap();
        assert_eq!(read(&printed, &[]).unwrap(), config, "{printed}");
    }
    // A layer's name may contain dots.
    let dotted = ["rule.name=weight_mirror", "rule.layers.mid.d.le.null=0.5"];
    let config = read(&NET.replace("middle", "mid.d.le"), &dotted).unwrap();
    assert!(config.rule.layers.contains_key("mid.d.le"));
    assert_eq!(read(&config.to_toml().unwrap(), &[]).unwrap(), config);
}

#[test]
fn flags_come_before_the_environment_and_the_file() {
    let text = format!("seed = 1\ntrain.batch = 32\ndata.path = 'mine'\n{NET}");
    let environment = Environment {
        data: Some(Path::new("/sets")),
        current: None,
        exists: &|path| path.starts_with("/sets"),
    };
    let path = |sets: &[&str]| {
        let sets: Vec<String> = sets.iter().map(|set| set.to_string()).collect();
        parse(&text, "net.toml", &sets, &environment).unwrap().data.path.display().to_string()
    };
    assert_eq!(path(&[]), "/sets/mine");
    assert_eq!(path(&["data.path=there"]), "there");
    let environment = Environment { current: Some(Path::new("/home/u")), ..environment };
    let path = |set: &str| {
        parse(&text, "net.toml", &[set.to_owned()], &environment).unwrap().data.path.display().to_string()
    };
    assert_eq!([path("seed=0"), path("data.path=../there")], ["/sets/mine", "/home/there"]);
    let config = read(&text, &["seed=2", "pipeline.stages=per_block", "seed=3"]).unwrap();
    assert_eq!((config.seed, config.train.batch, config.pipeline.stages), (3, 32, Stages::PerBlock));
    assert_eq!(read(&text, &["optimizer.lr=0.5"]).unwrap().optimizer_b.lr, 0.5);
    assert_eq!(set(&[]).unwrap().optimizer_b.weight_decay, 0.0);
}

#[test]
fn a_file_without_end_and_too_many_layers_are_refused_at_once() {
    let endless = load(Path::new("/dev/zero"), &[], &Environment::empty()).unwrap_err().to_string();
    assert!(
        endless.contains("cannot read the configuration /dev/zero (it is longer than 16 MiB)"),
        "{endless}"
    );
    let many = read(&"[[layer]]\nkind = 'relu'\n".repeat(4097), &[]).unwrap_err();
    assert!(many.contains("4097 tables, more than 4096"), "{many}");
}

#[test]
fn a_network_fits_its_data_its_classes_and_its_norms() {
    let network = |sets: &[&str], input| set(sets).unwrap().network(input).map_err(|error| error.to_string());
    assert!(network(&[], [1, 6, 6]).is_ok());
    assert!(network(&["model.classes=9"], [1, 6, 6]).unwrap_err().contains("each of the 9 classes"));
    assert!(
        network(&["model.image=28"], [1, 6, 6]).unwrap_err().starts_with("'model.image' in net.toml is 28")
    );
    assert!(network(&["model.channels=3"], [1, 6, 6]).unwrap_err().starts_with("'model.channels'"));
    let config = set(&[]).unwrap();
    assert_eq!(config.input_shape(), Some([1, 28, 28]));
    let norms =
        |side, smallest| config.check_microbatches(&config.network([1, side, side]).unwrap(), smallest);
    assert!(norms(1, 2).is_ok() && norms(6, 1).is_ok());
    assert!(norms(1, 1).unwrap_err().to_string().contains("batch_norm 'batch_norm1' in net.toml"));
    let centred = set(&["rule.name=activation_alignment", "rule.layers.middle.centering=batch"]).unwrap();
    let smallest = |samples| centred.check_microbatches(&centred.network([1, 6, 6]).unwrap(), samples);
    assert!(smallest(2).is_ok());
    assert!(smallest(1).unwrap_err().to_string().contains("the layer 'middle' in net.toml takes"));
}

#[test]
fn the_examples_of_the_page_are_configurations() {
    let page = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/configuration.md");
    let page = std::fs::read_to_string(page).unwrap();
    let blocks = page.split("```toml\n").skip(1).filter_map(|rest| rest.split("```").next());
    let whole: Vec<&str> = blocks.filter(|block| block.contains("[[layer]]")).collect();
    assert_eq!(whole.len(), 3);
    for text in whole {
        read(text, &[]).unwrap().network([1, 28, 28]).unwrap();
    }
}

#[test]
fn the_example_is_the_demo() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../examples/fashion.toml");
    let config = load(Path::new(path), &[], &Environment::empty()).unwrap();
    let network = config.network(config.input_shape().unwrap()).unwrap();
    assert_eq!(network.layers.iter().filter(|layer| layer.op.is_weight()).count(), 5);
    assert_eq!(config.rule.all.name(), "symmetric_alignment");
    assert_eq!(config.data.path, Path::new("data/fashion-mnist"));
    let values = toml::from_str::<Table>(&config.to_toml().unwrap()).unwrap();
    assert!(values["layer"].as_array().is_some_and(|layers| layers.iter().all(Value::is_table)));
}
