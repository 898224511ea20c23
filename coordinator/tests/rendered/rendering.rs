//! What a cluster gets: all objects of an overlay, and among them the pods.

use crate::object::{list, name, named, selects, text};
use crate::source;
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::{env, fs};

/// The label that tells the pods of a run apart.
pub const COMPONENT: &str = "app.kubernetes.io/component";
/// The label with the name of the run.
pub const INSTANCE: &str = "app.kubernetes.io/instance";
/// The coordinator's component.
pub const COORDINATOR: &str = "coordinator";

/// All objects of an overlay, or those of a base.
pub struct Rendering {
    pub name: String,
    pub objects: Vec<Value>,
}

/// A pod of the run, as the object that makes it describes it.
pub struct Pod<'a> {
    /// The stage, the backward node of a stage, or the coordinator.
    pub component: &'a str,
    pub labels: &'a Value,
    pub spec: &'a Value,
    /// The specification of the StatefulSet or of the Job that makes it.
    pub owner: &'a Value,
}

/// The folder of this repository.
pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// The rendered overlays, where there is a folder of them.
pub fn overlays() -> Option<Vec<Rendering>> {
    let folder = env::var_os("NEUROPIL_RENDERED").map(PathBuf::from)?;
    let files = fs::read_dir(&folder).unwrap_or_else(|why| panic!("{}: {why}", folder.display()));
    let all: Vec<_> = files.map(|file| of_file(&file.unwrap().path())).collect();
    assert!(!all.is_empty(), "{} has rendered overlays", folder.display());
    Some(all)
}

/// The rendered overlays; else the bases, read from their files.
pub fn all() -> Vec<Rendering> {
    overlays().unwrap_or_else(|| source::bases().iter().map(|folder| source::base(folder)).collect())
}

/// The rendered overlay of this name.
pub fn overlay(name: &str) -> Option<Rendering> {
    let found = overlays()?.into_iter().find(|overlay| overlay.name == name);
    Some(found.unwrap_or_else(|| panic!("there is no rendered overlay {name}")))
}

fn of_file(path: &Path) -> Rendering {
    let name = path.file_stem().unwrap().to_string_lossy().into_owned();
    Rendering { name, objects: source::read(path) }
}

impl Rendering {
    /// All objects of a kind.
    pub fn of_kind<'a>(&'a self, kind: &'a str) -> impl Iterator<Item = &'a Value> {
        self.objects.iter().filter(move |object| object["kind"] == kind)
    }

    /// The object of this kind and name.
    pub fn find(&self, kind: &str, called: &str) -> Option<&Value> {
        self.objects.iter().find(|object| object["kind"] == kind && name(object) == called)
    }

    /// The pods of all StatefulSets, Jobs and JobSets: the coordinator's, and the nodes' in the order of the stages.
    pub fn pods(&self) -> Vec<Pod<'_>> {
        let whole =
            ["StatefulSet", "Job"].into_iter().flat_map(|kind| self.of_kind(kind)).map(|each| &each["spec"]);
        let in_sets = self.of_kind("JobSet").flat_map(|set| list(&set["spec"]["replicatedJobs"]));
        let mut pods: Vec<_> =
            whole.chain(in_sets.map(|job| &job["template"]["spec"])).map(Pod::of).collect();
        pods.sort_by_key(|pod| pod.place());
        pods
    }

    /// The pods of the nodes.
    pub fn nodes(&self) -> Vec<Pod<'_>> {
        self.pods().into_iter().filter(|pod| pod.component != COORDINATOR).collect()
    }

    /// The coordinator's pod.
    pub fn coordinator(&self) -> Pod<'_> {
        let mut found = self.pods().into_iter().filter(|pod| pod.component == COORDINATOR);
        let coordinator = found.next().unwrap_or_else(|| panic!("{} has a coordinator", self.name));
        assert!(found.next().is_none(), "{} has one coordinator", self.name);
        coordinator
    }

    /// The name of the run.
    pub fn run(&self) -> String {
        text(&self.coordinator().labels[INSTANCE]).to_owned()
    }
}

impl<'a> Pod<'a> {
    fn of(owner: &'a Value) -> Self {
        let (labels, spec) = (&owner["template"]["metadata"]["labels"], &owner["template"]["spec"]);
        Pod { component: text(&labels[COMPONENT]), labels, spec, owner }
    }

    /// Where the pod stands in the network: its stage, and whether it is a backward node. The coordinator is first.
    pub fn place(&self) -> Option<(u32, bool)> {
        let of_stage = self.component.strip_prefix("stage-")?;
        let stage = of_stage.strip_suffix("-backward");
        Some((stage.unwrap_or(of_stage).parse().expect("a number of a stage"), stage.is_some()))
    }

    /// The only container.
    pub fn container(&self) -> &'a Value {
        let containers = list(&self.spec["containers"]);
        assert_eq!(containers.len(), 1, "{} has one container", self.component);
        &containers[0]
    }

    /// The value of an argument `--name=value` of the container.
    pub fn argument(&self, name: &str) -> Option<&'a str> {
        let arguments = list(&self.container()["args"]).iter().map(text);
        arguments.filter_map(|argument| argument.strip_prefix(name)?.strip_prefix('=')).next()
    }

    /// The port of the container that has this name.
    pub fn port(&self, name: &str) -> Option<u64> {
        named(&self.container()["ports"], name)?["containerPort"].as_u64()
    }

    /// Whether the selector selects this pod.
    pub fn is_selected(&self, selector: &Value) -> bool {
        selects(selector, self.labels)
    }
}

/// The selector of a Service, which has labels alone, in the form that all other kinds have.
pub fn of_labels(labels: &Value) -> Value {
    json!({ "matchLabels": labels })
}
