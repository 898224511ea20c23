//! Tests of the manifests: rules for the files of any run, together and split, with few stages and with many.

mod base;
mod certificates;
mod folder;
mod jobset;
mod objects;
mod pods;
mod policies;

use super::*;
use crate::config::{self, Environment};
use crate::plan::{self, Needs};
use crate::prepare;
use serde_json::Value;
use std::path::{Path, PathBuf};

/// The configuration of the demo.
const DEMO: &str = include_str!("../../../../examples/fashion.toml");
/// A rule that reads no W, as a split run needs, and every layer split.
const SPLIT: [&str; 2] = ["rule.name=kolen_pollack", "pipeline.placement=split"];

/// The folder of the repository.
fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// The demo's order.
fn order() -> Order {
    Order {
        out: "deploy/base".into(),
        name: Some("demo".parse().unwrap()),
        stem: "fashion".into(),
        image: Image::default(),
        data: DataVolume::Image,
        gpu: false,
        init: None,
        backward: None,
    }
}

/// The manifests of the demo with these settings above it.
fn try_made(order: &Order, sets: &[&str]) -> Result<Manifests, RunError> {
    let sets: Vec<String> = sets.iter().map(|&set| set.into()).collect();
    let config = config::parse(DEMO, "fashion.toml", &sets, &Environment::empty()).unwrap();
    let network = config.network(config.input_shape().unwrap()).unwrap();
    let estimator = prepare::estimator(&config, &network).unwrap();
    let ranges = prepare::cut(&config, &network).unwrap();
    let plan = plan::plan(&network, &ranges, &estimator).unwrap();
    let needs = Needs::of(&network, &ranges, &estimator, false).unwrap();
    manifests(order, &config, &plan, Held { data: Some(70_000 * 800), inputs: needs.inputs })
}

/// The manifests of the demo with these settings above it, and the names of its nodes.
fn made(sets: &[&str]) -> Manifests {
    try_made(&order(), sets).unwrap()
}

/// Runs of 1, 2 and 5 stages, together and split, and one of which a single layer is split.
fn variants() -> Vec<(String, Manifests)> {
    let stages = ["1", "2", "5"].map(|count| match count {
        "5" => "pipeline.stages=per_layer".to_owned(),
        count => format!("pipeline.stages={count}"),
    });
    let together = stages.iter().map(|stages| vec![stages.as_str()]);
    let split = stages.iter().map(|stages| [&[stages.as_str()][..], &SPLIT].concat());
    let one = vec![SPLIT[0], "pipeline.placement=[\"conv3\"]"];
    let all = together.chain(split).chain([one]);
    all.map(|sets| (sets.join(" "), made(&sets))).collect()
}

impl Manifests {
    /// The text of a file.
    fn text(&self, path: &str) -> &str {
        &self.files.iter().find(|file| file.path == path).unwrap_or_else(|| panic!("no {path}")).text
    }

    /// The objects of a file.
    fn read(&self, path: &str) -> Vec<Value> {
        serde_saphyr::from_multiple(self.text(path)).unwrap_or_else(|why| panic!("{path}: {why}"))
    }

    /// The objects of the files that a kustomization lists.
    fn resources(&self, kustomization: &str) -> Vec<Value> {
        let folder = kustomization.strip_suffix("kustomization.yaml").unwrap();
        let listed = self.read(kustomization).remove(0)["resources"].take();
        let files = listed.as_array().unwrap().iter().map(|file| format!("{folder}{}", words(file)));
        files.flat_map(|file| self.read(&file)).collect()
    }

    /// The objects of the base.
    fn base(&self) -> Vec<Value> {
        self.resources("kustomization.yaml")
    }

    /// The names of the nodes.
    fn nodes(&self) -> Vec<String> {
        of_kind(&self.base(), "StatefulSet").iter().map(name).collect()
    }
}

/// The objects of a kind.
fn of_kind(objects: &[Value], kind: &str) -> Vec<Value> {
    objects.iter().filter(|object| object["kind"] == kind).cloned().collect()
}

/// The name of an object, or of any other value with a name.
fn name(object: &Value) -> String {
    let own = if object["metadata"].is_object() { &object["metadata"]["name"] } else { &object["name"] };
    words(own)
}

/// A value that is a string.
fn words(value: &Value) -> String {
    value.as_str().unwrap_or_else(|| panic!("{value} is a string")).to_owned()
}

/// The items of a list, or none where there is no list.
fn items(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

/// Whether a selector takes an object with these labels.
fn selects(selector: &Value, labels: &Value) -> bool {
    let own = |(key, due): (&String, &Value)| labels[key] == *due;
    let other = |expression: &Value| {
        assert_eq!(expression["operator"], "NotIn");
        !items(&expression["values"]).contains(&labels[words(&expression["key"])])
    };
    selector["matchLabels"].as_object().is_none_or(|labels| labels.iter().all(own))
        && items(&selector["matchExpressions"]).iter().all(other)
}

/// The pod template of a workload of the base.
fn pod(workload: &Value) -> &Value {
    &workload["spec"]["template"]
}

/// The only container of a pod.
fn container(pod: &Value) -> &Value {
    let containers = items(&pod["spec"]["containers"]);
    assert_eq!(containers.len(), 1);
    &containers[0]
}
