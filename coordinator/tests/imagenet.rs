//! Tests of `examples/imagenet/`: the files are those of the script's tables, and each of them can be planned.

use coordinator::config::{self, Config, Environment, Shape};
use coordinator::plan;
use coordinator::prepare::{self, cut, doubts};
use proto::spec::rule::RuleSpec;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// The configurations, by the names of their files.
fn examples() -> BTreeMap<String, Config> {
    let files =
        std::fs::read_dir(root().join("examples/imagenet")).unwrap().map(|entry| entry.unwrap().path());
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

#[test]
fn every_example_of_imagenet_has_the_network_the_rule_and_the_recipe_of_its_name() {
    let examples = examples();
    assert_eq!(examples.len(), 6 * 10 + 5);
    for (name, config) in &examples {
        let (model, rule, second) = named(name);
        assert_eq!(config.model.name, model, "{name}");
        let magnitude = match &config.rule.all {
            RuleSpec::SignSymmetry { magnitude } => format!("_{magnitude:?}").to_lowercase(),
            RuleSpec::Backprop | RuleSpec::Learned { .. } => String::new(),
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
    for (name, config) in examples() {
        let network =
            config.network(config.input_shape().unwrap()).unwrap_or_else(|why| panic!("{name}: {why}"));
        assert_eq!(network.input.shape, [3, 224, 224], "{name}");
        let said: Vec<String> =
            doubts(&config, Some(&network), None).into_iter().map(|one| one.sentence).collect();
        assert_eq!(said, [""; 0], "{name}");
        let ranges = cut(&config, &network).unwrap_or_else(|why| panic!("{name}: {}", why.sentence));
        let estimator = prepare::estimator(&config, &network).unwrap();
        let plan = plan::plan(&network, &ranges, &estimator).unwrap_or_else(|why| panic!("{name}: {why}"));
        assert_eq!(plan.stages.len(), 4, "{name}");
    }
}

#[test]
fn the_examples_of_imagenet_are_what_their_script_writes() {
    let script = root().join("scripts/imagenet_examples.py");
    let checked = Command::new("python3").arg(script).arg("--check").output().expect("python3 runs");
    assert!(checked.status.success(), "{}", String::from_utf8_lossy(&checked.stderr));
}
