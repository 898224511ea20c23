//! A run as the templates see it: its processes, their labels, their neighbours and their needs.

use super::names::{MAX_LABEL, RunName};
use super::needs::{Held, Load, PodNeeds};
use super::order::{DataVolume, Order};
use super::{labels, ports, topology};
use crate::config::Config;
use crate::partition::Memory;
use crate::plan::{Plan, PlannedBackward, PlannedStage};
use crate::prepare::file_stem;
use proto::identity::Identity;
use proto::link::Role;

/// The name of the coordinator, and of all its objects.
const COORDINATOR: &str = "coordinator";
/// The suffix that the JobSet controller appends to the names of the run and of a process, for a pod: the numbers of
/// the job and of the pod, and five characters.
const POD_SUFFIX: usize = "-0-0-12345".len();

/// A run.
pub(super) struct Run {
    pub(super) name: String,
    pub(super) image: String,
    pub(super) data: DataVolume,
    pub(super) gpu: bool,
    /// The flags of the coordinator by which a run begins from parts.
    pub(super) origin: Vec<String>,
    pub(super) threads: u32,
    pub(super) nodes: Vec<Node>,
    /// The needs of the coordinator.
    pub(super) needs: PodNeeds,
    stages: u32,
    /// The identity of the coordinator, where cert-manager makes the certificates.
    identity: Identity,
}

/// A node of the run.
pub(super) struct Node {
    pub(super) role: Role,
    /// The name of its StatefulSet, its Service and its policy: `stage-0`, `stage-0-backward`.
    pub(super) name: String,
    pub(super) needs: PodNeeds,
    /// The names of its layers.
    pub(super) layers: Vec<String>,
}

/// The contents of a process's certificate.
pub(super) struct Certificate {
    /// The name of the process.
    pub(super) name: String,
    /// The process in words, as in `stage 0`.
    pub(super) words: String,
    /// Its identity.
    pub(super) identity: Identity,
    /// Whether other processes call this one.
    pub(super) listens: bool,
}

/// The most bytes that the name of a run of these roles may have.
fn longest_name(roles: impl Iterator<Item = Role>) -> usize {
    let longest = roles.map(|role| file_stem(role).len()).max().unwrap_or(0).max(COORDINATOR.len());
    MAX_LABEL - longest - 1 - POD_SUFFIX
}

/// The flags by which a run begins from parts.
fn origin(order: &Order) -> Vec<String> {
    let init = order.init.as_ref().map(|id| format!("--init={id}"));
    let backward = order.backward.map(|backward| format!("--backward={backward}"));
    init.into_iter().chain(backward).collect()
}

impl Run {
    /// The run of `config` that `plan` predicts.
    ///
    /// # Errors
    /// A sentence, where the name is too long.
    pub(super) fn new(order: &Order, config: &Config, plan: &Plan, held: Held) -> Result<Self, String> {
        let stages = plan.stages.iter().map(|stage| Node::of_stage(stage, plan, order, config));
        let halves = plan.stages.iter().filter_map(|stage| Some((stage.stage, stage.backward.as_ref()?)));
        let backward = halves.map(|(stage, half)| Node::of_backward(stage, half, plan, order, config));
        let nodes: Vec<Node> = stages.chain(backward).collect();
        let most = longest_name(nodes.iter().map(|node| node.role));
        let name = order.name.clone().unwrap_or_else(|| RunName::of(&order.stem, most));
        if name.as_str().len() > most {
            return Err(format!(
                "the name '{name}' is too long: the names of pods begin with it and have 63 characters at most, so \
                 give a --name of at most {most} characters"
            ));
        }
        let identity = Identity::new(name.as_str(), Role::Coordinator)?;
        Ok(Self {
            identity,
            name: name.to_string(),
            image: order.image.to_string(),
            data: order.data.clone(),
            gpu: order.gpu,
            origin: origin(order),
            threads: config.node.threads,
            nodes,
            needs: PodNeeds::of_coordinator(held),
            stages: plan.stages.len() as u32,
        })
    }

    /// The labels of all objects of the run, by which its pods are selected.
    pub(super) fn run_labels(&self) -> String {
        labels::of_all(&self.name)
    }

    /// The labels by which the pods of one process are selected.
    pub(super) fn selector(&self, process: &str) -> String {
        labels::selector(&self.name, process)
    }

    /// The labels of an object of one process.
    pub(super) fn labels(&self, process: &str) -> String {
        labels::of(&self.name, process)
    }

    /// The labels of an object that has the program's version in it.
    pub(super) fn version_labels(&self, process: &str) -> String {
        labels::versioned(&self.name, process)
    }

    /// The names of all processes, the nodes first.
    pub(super) fn processes(&self) -> Vec<&str> {
        self.nodes.iter().map(|node| node.name.as_str()).chain([COORDINATOR]).collect()
    }

    /// Whether a stage has a backward node.
    pub(super) fn is_split(&self) -> bool {
        self.nodes.iter().any(Node::is_backward)
    }

    /// The control addresses of the stages, or of the backward nodes, separated by commas.
    pub(super) fn addresses(&self, backward: bool) -> String {
        let nodes = self.nodes.iter().filter(|node| node.is_backward() == backward);
        let addresses: Vec<String> = nodes.map(|node| format!("{}:{}", node.name, ports::CONTROL)).collect();
        addresses.join(",")
    }

    /// Whether the coordinator opens a link to `node`, which is then an end of the pipeline.
    pub(super) fn is_end(&self, node: &Node) -> bool {
        topology::dials(Role::Coordinator, node.role, self.stages)
    }

    /// The processes that open a link to `node`.
    pub(super) fn callers(&self, node: &Node) -> Vec<&str> {
        let coordinator = self.is_end(node).then_some(COORDINATOR);
        let dials = |other: &&Node| topology::dials(other.role, node.role, self.stages);
        let nodes = self.nodes.iter().filter(dials).map(|node| node.name.as_str());
        coordinator.into_iter().chain(nodes).collect()
    }

    /// The nodes to which `node` opens a link.
    pub(super) fn called(&self, node: &Node) -> Vec<&str> {
        let dials = |other: &&Node| topology::dials(node.role, other.role, self.stages);
        self.nodes.iter().filter(dials).map(|node| node.name.as_str()).collect()
    }

    /// The stages that have backward nodes, as `certificates --backward` takes them.
    pub(super) fn backward_stages(&self) -> Vec<String> {
        let stage = |node: &Node| match node.role {
            Role::Backward(stage) => Some(stage.to_string()),
            _ => None,
        };
        self.nodes.iter().filter_map(stage).collect()
    }

    /// The certificates of all processes, the nodes' first.
    pub(super) fn certificates(&self) -> Vec<Certificate> {
        let roles = self.nodes.iter().map(|node| node.role).chain([Role::Coordinator]);
        let certificate = |role: Role| Certificate {
            name: file_stem(role),
            words: role.to_string(),
            identity: self.identity.neighbour(role),
            listens: role != Role::Coordinator,
        };
        roles.map(certificate).collect()
    }

    /// The number of stages.
    pub(super) fn stages(&self) -> u32 {
        self.stages
    }
}

impl Node {
    fn of_stage(stage: &PlannedStage, plan: &Plan, order: &Order, config: &Config) -> Self {
        let load = load(stage.compute_s, stage.memory_bytes, &stage.memory, plan);
        Self::new(Role::Stage(stage.stage), load, &stage.layers, order, config)
    }

    fn of_backward(stage: u32, half: &PlannedBackward, plan: &Plan, order: &Order, config: &Config) -> Self {
        let load = load(half.compute_s, half.memory_bytes, &half.memory, plan);
        Self::new(Role::Backward(stage), load, &half.layers, order, config)
    }

    fn new(role: Role, load: Load, layers: &[String], order: &Order, config: &Config) -> Self {
        let needs = PodNeeds::of_node(load, config.node.threads, order.gpu, &config.snapshot);
        Self { role, name: file_stem(role), needs, layers: layers.to_vec() }
    }

    fn is_backward(&self) -> bool {
        matches!(self.role, Role::Backward(_))
    }

    /// The description of the node, in a sentence.
    pub(super) fn title(&self) -> String {
        let layers = match &self.layers[..] {
            [] => "no layer".to_owned(),
            [only] => format!("layer {only}"),
            [first, .., last] => format!("layers {first} to {last}"),
        };
        match self.role {
            Role::Backward(stage) => format!("The backward node of stage {stage}, with B of {layers}."),
            role => format!("{}, with {layers}.", role.to_string().replace("stage", "Stage")),
        }
    }

    /// The claim of its weights, by the name that a StatefulSet gives it.
    pub(super) fn claim(&self) -> String {
        format!("state-{}-0", self.name)
    }

    /// The Secret with its certificate.
    pub(super) fn secret(&self) -> String {
        format!("{}-tls", self.name)
    }
}

/// The load of a node that computes for so many seconds of a step.
fn load(compute_s: f64, memory_bytes: u64, memory: &Memory, plan: &Plan) -> Load {
    Load { busy: compute_s / plan.step_seconds, memory: memory_bytes, weights: memory.weights }
}
