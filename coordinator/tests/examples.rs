//! Tests of `examples/`: every configuration can be planned without a doubt, and those of ImageNet are what their script's
//! tables say.

use coordinator::config::{self, Config, Environment, Shape};
use coordinator::model::Network;
use coordinator::plan::{self, Plan};
use coordinator::prepare::{self, cut, doubts};
use proto::spec::rule::RuleSpec;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The folder of ImageNet's examples.
const IMAGENET: &str = "examples/imagenet";

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// The configurations in a folder, by the names of their files; sweeps, which have a `base`, are left out.
fn examples(folder: &str) -> BTreeMap<String, Config> {
    let files = std::fs::read_dir(root().join(folder)).unwrap().map(|entry| entry.unwrap().path());
    let files = files.filter(|path| {
        path.is_file()
            && !std::fs::read_to_string(path).unwrap().lines().any(|line| line.starts_with("base = "))
    });
    let files = files.filter(|path| path.extension().is_some_and(|extension| extension == "toml"));
    let load = |path: PathBuf| {
        let config = config::load(&path, &[], &Environment::empty());
        let config = config.unwrap_or_else(|why| panic!("{}: {why}", path.display()));
        (path.file_stem().unwrap().to_str().unwrap().to_owned(), config)
    };
    files.map(load).collect()
}

/// The rule in a file's name, and whether the file has the second recipe.
fn named(name: &str) -> (&str, &str, bool) {
    let (model, rule) = name.split_once('-').unwrap();
    match rule.strip_suffix("-75_epochs") {
        Some(rule) => (model, rule, true),
        None => (model, rule, false),
    }
}

/// The network of a configuration, and its plan; there must be no doubt about them.
fn planned(name: &str, config: &Config) -> (Network, Plan) {
    let network = config.network(config.input_shape().unwrap()).unwrap_or_else(|why| panic!("{name}: {why}"));
    let said: Vec<String> =
        doubts(config, Some(&network), None).into_iter().map(|one| one.sentence).collect();
    assert_eq!(said, [""; 0], "{name}");
    let ranges = cut(config, &network).unwrap_or_else(|why| panic!("{name}: {}", why.sentence));
    let estimator = prepare::estimator(config, &network).unwrap();
    let plan = plan::plan(&network, &ranges, &estimator).unwrap_or_else(|why| panic!("{name}: {why}"));
    (network, plan)
}

#[test]
fn every_example_of_imagenet_has_the_network_the_rule_and_the_recipe_of_its_name() {
    let examples = examples(IMAGENET);
    assert_eq!(examples.len(), 6 * 10 + 5);
    for (name, config) in &examples {
        let (model, rule, second) = named(name);
        assert_eq!(config.model.name, model, "{name}");
        let magnitude = match &config.rule.all {
            RuleSpec::SignSymmetry { magnitude } => format!("_{magnitude:?}").to_lowercase(),
            RuleSpec::Backprop | RuleSpec::Product(_) | RuleSpec::Learned { .. } => String::new(),
        };
        assert_eq!(format!("{}{magnitude}", config.rule.all.name()), rule, "{name}");
        let (epochs, batch) = match (rule, second) {
            (_, true) => (75, 256),
            ("information_alignment", _) => (200, 256),
            ("weight_mirror", _) => (90, 2048),
            _ => (90, 256),
        };
        assert_eq!((config.train.epochs, config.train.batch), (epochs, batch), "{name}");
        let course = &config.optimizer.schedule;
        assert_eq!(
            (course.schedule, course.warmup_epochs),
            (Shape::Step, if second { 0.0 } else { 5.0 }),
            "{name}"
        );
        assert_eq!(config.optimizer.rate(batch), 0.1 * f64::from(batch) / 256.0, "{name}");
        assert_eq!([config.optimizer.weight_decay, config.optimizer_b.weight_decay], [1e-4, 0.0], "{name}");
    }
}

#[test]
fn every_example_of_imagenet_is_planned_without_a_doubt() {
    for (name, config) in examples(IMAGENET) {
        let (network, plan) = planned(&name, &config);
        assert_eq!(network.input.shape, [3, 224, 224], "{name}");
        assert_eq!(plan.stages.len(), 4, "{name}");
    }
}

#[test]
fn every_other_example_is_planned_without_a_doubt() {
    let examples = examples("examples");
    let stages: Vec<_> =
        examples.iter().map(|(name, config)| (name.as_str(), planned(name, config).1.stages.len())).collect();
    let known = [
        ("cifar10-product", 2),
        ("cifar10-resnet18", 2),
        ("fashion", 5),
        ("imagenet-gpu", 4),
        ("photographs", 2),
        ("small", 1),
    ];
    assert_eq!(stages, known);
}

#[test]
fn the_examples_of_imagenet_are_what_their_script_writes() {
    let script = root().join("scripts/imagenet_examples.py");
    let checked = Command::new("python3").arg(script).arg("--check").output().expect("python3 runs");
    assert!(checked.status.success(), "{}", String::from_utf8_lossy(&checked.stderr));
}
