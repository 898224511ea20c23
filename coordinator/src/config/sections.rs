//! The tables of a configuration with their keys. In a resolved table every key has a value.

use std::path::PathBuf;
use std::sync::LazyLock;

use proto::microbatch::MAX_MICROBATCHES;
use proto::spec::graph::LayerSpec;
use proto::spec::layout::Layout;
use proto::spec::limits::MAX_MICROBATCH;
use proto::spec::precision::Precision;
use proto::spec::transport::Transport;
use proto::tensor::{Block, Kind};
use serde::{Deserialize, Serialize};

use super::allowed::Allowed::{self, Any, Switch, Text, Tuple, Whole, Words};
use super::allowed::{
    FINITE, FRACTION, MANY, NOT_NEGATIVE, NUMBERS, POSITIVES, POWER_OF_TWO, SECONDS, SHARE, SMALL, TEXTS,
    one_of,
};
use super::device::{DEVICES, Devices};
use super::schema::{Key, follows, is, section};
use crate::data::{Augment, Choice, DataKind, IdxChoice, Numbering, PhotoChoice, Prefetch, Remainder, Split};
use crate::model::zoo;
use crate::pipeline::Schedule;

/// The name of the model that is made of the file's `[[layer]]`s.
pub(super) const CUSTOM: &str = "custom";
/// The names of all models.
static MODELS: LazyLock<Vec<&'static str>> =
    LazyLock::new(|| [CUSTOM].into_iter().chain(zoo::names()).collect());

section! {
    /// `[model]`: the network.
    pub struct Model {
        name: String = Words(&MODELS), is(CUSTOM), "the network; `custom` is the list of `[[layer]]`s";
        classes: u32 = Whole(1, 1 << 24), follows("those of `data.kind`; `idx` and photographs must say"),
            "values of the network's output";
        width: Option<u32> = SMALL, follows("64"),
            "channels of a model's first stage, or features of `mlp`'s; not for `custom`";
        last_gamma: Option<f64> = FINITE, follows("0"),
            "`resnet18`, `resnet34` and `resnet50`: scale γ at which each block's last norm starts; 0 as in the paper's code, torchvision starts at 1";
        image: Option<u32> = SMALL, follows("the data's"), "side of the (square) images";
        channels: Option<u32> = SMALL, follows("the data's"), "channels of the images";
        .. {
            /// The `[[layer]]`s of a `custom` network, all with the default rule; empty for other models.
            #[serde(skip)]
            pub layers: Vec<LayerSpec>,
        }
    }
}

section! {
    /// `[pipeline]`: the cut into stages, and the order of microbatches.
    pub struct Pipeline {
        stages: Stages = STAGES, is(Stages::PerLayer), "where the network is cut into stages, one process each";
        placement: Halves = HALVES, is(Halves::Together),
            "where W and B of a layer are kept: on one host, or on two, so that no process has both";
        microbatches: u32 = Whole(1, MAX_MICROBATCHES as i64), is(4),
            "parts of a minibatch; part of the result";
        schedule: Schedule = one_of::<Schedule>(), is(Schedule::OneFOneB),
            "the order of a stage's actions: `zero_bubble` holds most, and waits least of those that change no bit; `asynchronous` never waits for a flush, and is part of the result, as are its cut and its drains";
        update_every: Option<u32> = Whole(1, MAX_MICROBATCHES as i64), follows("`pipeline.microbatches`"),
            "`asynchronous`: microbatches of a step, which is one update; a microbatch has `train.batch` / `pipeline.microbatches` samples; part of the result";
        ahead: u32 = Whole(0, 10_000), is(1),
            "stages' worth of forwards beyond the network's own; 1 for the loss";
        recompute: bool = Switch, is(false),
            "keep only a stage's inputs and compute the rest again: less memory, more time, the same bits";
    }
}

/// `pipeline.stages`: the cut of the network into stages.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Stages {
    /// One stage per weight layer, with the norm, activation and pooling that follow it.
    PerLayer,
    /// One stage per block of the model.
    PerBlock,
    /// This many stages, balanced.
    #[serde(untagged)]
    Count(u32),
    /// A stage begins at each of these layers.
    #[serde(untagged)]
    Cuts(Vec<String>),
}

const STAGES: Allowed = Any(
    "a number of stages, \"per_layer\", \"per_block\", or a list of the layers that begin a new stage",
    &[Whole(1, 10_000), TEXTS, Words(&["per_layer", "per_block"])],
);

/// `pipeline.placement`: the weight layers whose W and B are on two hosts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Halves {
    /// None: the node of a stage keeps W and B of all its layers.
    Together,
    /// All.
    Split,
    /// These.
    #[serde(untagged)]
    Named(Vec<String>),
}

impl Halves {
    /// Whether W and B of the weight layer called `layer` are on two hosts.
    pub fn splits(&self, layer: &str) -> bool {
        match self {
            Halves::Together => false,
            Halves::Split => true,
            Halves::Named(names) => names.iter().any(|name| name == layer),
        }
    }
}

const HALVES: Allowed = Any(
    "\"together\", \"split\", or a list of the weight layers whose W and B are on two hosts",
    &[TEXTS, Words(&["together", "split"])],
);

section! {
    /// `[train]`: the length of the training, and the size of minibatches.
    pub struct Train {
        epochs: u64 = MANY, is(4), "passes over the training data";
        batch: u32 = Whole(1, MAX_MICROBATCHES as i64 * MAX_MICROBATCH as i64), is(128),
            "samples in a minibatch, in training and evaluation";
        max_steps: Option<u64> = MANY, follows("no limit"), "minibatches after which training ends early";
        evaluate_every: u64 = Whole(0, i64::MAX), is(0),
            "minibatches between evaluations of the test set within an epoch; 0: only at every epoch's end";
        remainder: Remainder = one_of::<Remainder>(), is(Remainder::default()),
            "an epoch's last, short minibatch: used or left out";
        label_smoothing: f64 = FRACTION, is(0.0), "share of the target spread evenly over the classes";
        loss_scale: f64 = POWER_OF_TWO, follows("1; 1024 with `network.wire` \"f16\""),
            "factor on the error signals, which nodes take off again before each step: small signals outlast a 16-bit wire, and f32 keeps its bits";
    }
}

impl Train {
    /// The number of minibatches that the run trains on, with `steps_per_epoch` in an epoch.
    pub fn steps(&self, steps_per_epoch: u64) -> u64 {
        let all = self.epochs.saturating_mul(steps_per_epoch);
        self.max_steps.map_or(all, |most| all.min(most))
    }
}

section! {
    /// `[data]`: the data set.
    pub struct Data {
        kind: DataKind = one_of::<DataKind>(), is(DataKind::FashionMnist), "the data set's format";
        path: PathBuf = Text, follows("the kind's folder, see above"), "the folder with the data set's files";
        prefix: Option<String> = Text, follows("none, or the only one"),
            "`idx`: what the files' names begin with, as in `emnist-letters`, where the folder holds several sets";
        transpose: bool = Switch, is(false),
            "`idx`: rows and columns of the images change places; EMNIST's pictures lie on their side without it";
        first_label: u32 = Whole(0, 255), is(0),
            "`idx`: the label of the first class; those of EMNIST's letters begin at 1";
        limit: Option<usize> = MANY, follows("all"), "training samples used";
        test_limit: Option<usize> = MANY, follows("all"), "test samples used";
        mean: Option<Vec<f32>> = NUMBERS, follows("the kind's; `idx`: of the data"),
            "mean per channel, pixels being 0 to 1";
        std: Option<Vec<f32>> = POSITIVES, follows("the kind's; `idx`: of the data"),
            "standard deviation per channel";
        augment: bool = Switch, follows("true for CIFAR and photographs"),
            "shifted or random crops and flips of the training images";
        train: Option<Names> = NAMES, follows("`train`, or the shards `train*.tar`"),
            "photographs: the folder of training images below `data.path`, or the shards, as in `train-{000..146}.tar`";
        test: Option<Names> = NAMES, follows("`val`, or the shards `val*.tar` or `test*.tar`"),
            "photographs: the folder of test images below `data.path`, or the shards";
        label_key: String = Text, is("label"), "`webdataset`: the key of the label in `.json` files";
        test_labels: Option<PathBuf> = Text, follows("none: class folders"),
            "`image_folder`: the list of labels, below `data.path`, of test images in no class folders";
        test_numbering: Option<Numbering> = one_of::<Numbering>(), follows("must be said"),
            "`image_folder`: the meaning of that list's numbers, the sorted class folders from 0 or the devkit's ids from 1";
        synsets: Option<PathBuf> = Text, follows("none"),
            "`image_folder`: the file, below `data.path`, whose line n begins with the synset of the devkit's id n";
        crop: u32 = SMALL, is(224), "photographs: side of the network's input";
        resize: u32 = SMALL, is(256), "photographs: shorter side before the central square is taken";
        crop_area: [f64; 2] = SHARES, is([0.08, 1.0]), "photographs: range of a random crop's share of the area";
        jitter: Option<[f64; 4]> = JITTER, follows("none"),
            "photographs: how far brightness, contrast, saturation and hue of training images change";
        max_broken: f64 = FRACTION, is(0.01),
            "photographs: share of a split's files that may be broken; more end the run";
        workers: Option<usize> = Whole(1, 1024), follows("all cores for photographs, 1 for other kinds"),
            "threads of the coordinator that load samples; no part of the result";
        prefetch: Option<usize> = Whole(1, 4096), follows("two parts of a microbatch per worker"),
            "microbatches that are loaded ahead of their use; no part of the result";
    }
}

/// `data.train` and `data.test`: one name below the folder of the data, or several.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Names {
    /// One.
    One(String),
    /// Several.
    Several(Vec<String>),
}

impl Names {
    /// All names.
    pub fn all(&self) -> &[String] {
        match self {
            Names::One(name) => std::slice::from_ref(name),
            Names::Several(names) => names,
        }
    }
}

const NAMES: Allowed = Any("a text or a list of texts", &[Text, TEXTS]);
const SHARES: Allowed = Tuple("a list of two numbers above 0, up to 1", 2, &SHARE);
const JITTER: Allowed = Tuple("a list of four numbers, 0 or more", 4, &NOT_NEGATIVE);

impl Data {
    /// The augmentation of training images: that of the kind if `augment` is set, and none otherwise.
    pub fn augmentation(&self) -> Augment {
        if self.augment { self.kind.variation() } else { Augment::NONE }
    }

    /// How far ahead of their use microbatches are loaded.
    pub fn prefetch(&self) -> Prefetch {
        self.prefetch.map_or(Prefetch::Pieces, Prefetch::Microbatches)
    }

    /// What is read of one half of the data set, for a network with this number of classes, in a run with this seed.
    pub fn choice(&self, split: Split, classes: usize, seed: u64) -> Choice<'_> {
        let limit = match split {
            Split::Train => self.limit,
            Split::Test => self.test_limit,
        };
        let (prefix, transpose, first_label) = (self.prefix.as_deref(), self.transpose, self.first_label);
        let idx = IdxChoice { prefix, transpose, first_label };
        Choice { folder: &self.path, split, classes, limit, idx, photos: self.photos(seed) }
    }

    fn photos(&self, seed: u64) -> PhotoChoice<'_> {
        PhotoChoice {
            train: self.train.as_ref().map_or(&[], Names::all),
            test: self.test.as_ref().map_or(&[], Names::all),
            crop: self.crop,
            resize: self.resize,
            area: self.crop_area,
            jitter: self.jitter,
            augment: self.augment,
            seed,
            max_broken: self.max_broken,
            label_key: &self.label_key,
            test_labels: self.test_labels.as_deref(),
            test_numbering: self.test_numbering,
            synsets: self.synsets.as_deref(),
        }
    }
}

section! {
    /// `[snapshot]`: how often the nodes write their state.
    pub struct Snapshot {
        every_steps: u64 = Whole(0, i64::MAX), is(0), "minibatches between snapshots; 0: only at the end";
        keep_last: u32 = Whole(2, 1000), is(2), "newest snapshots that a node keeps";
        best: bool = Switch, is(false),
            "snapshots before every evaluation too, of which the one with the best test accuracy is kept as well";
    }
}

section! {
    /// `[metrics]`: the measurements during the run.
    pub struct Metrics {
        layers_every: u64 = MANY, is(50), "minibatches between measurements of the layers' B against W";
        signals_every: Option<u64> = Whole(0, i64::MAX), follows("`metrics.layers_every`"),
            "minibatches between measurements of the signals through B against those through W; 0 for none";
    }
}

impl Metrics {
    /// Minibatches between measurements of the layers' signals; 0 for none.
    pub fn signals_every(&self) -> u64 {
        self.signals_every.unwrap_or(self.layers_every)
    }
}

section! {
    /// `[alarm]`: the checks that end a run that goes wrong without a failure.
    pub struct Alarm {
        kolen_pollack: bool = Switch, is(false),
            "ends the run (exit code 5) when ‖W − B‖ leaves Kolen-Pollack's law: an update was lost or doubled";
    }
}

section! {
    /// `[node]`: the settings of nodes.
    pub struct Node {
        threads: u32 = Whole(1, 1024), is(1), "threads of each local node; part of the result";
        precision: Precision = one_of::<Precision>(), is(Precision::default()),
            "number format in which layers compute, see above; weights and sums stay in f32; part of the result";
        layout: Layout = one_of::<Layout>(), is(Layout::default()),
            "memory order of values with planes, in nodes and between them; part of the result, but for rounding";
        device: Devices = DEVICES, is(Devices::cpu()),
            "where local nodes compute; other nodes have their `--device`. Part of the result, but for a GPU's number";
        deterministic: bool = Switch, is(false),
            "GPUs choose kernels that give the same bits run after run, also in nodes that are not local; the CPU always does";
    }
}

/// The default of `network.connect_deadline`.
pub(crate) const CONNECT_DEADLINE: f64 = 10.0;

section! {
    /// `[network]`: the settings of the links between processes.
    pub struct Links {
        connect_deadline: f64 = SECONDS, is(CONNECT_DEADLINE), "how long a node may take to be reached";
        message_deadline: f64 = SECONDS, is(300.0),
            "how long a connected node may be silent when it should speak";
        transport: Transport = one_of::<Transport>(), is(Transport::default()),
            "what carries links: with `auto`, shared memory between nodes at sockets of one host, as those of `--local` are, and gRPC between all others; `shared_memory` refuses any other node";
        wire: Wire = one_of::<Wire>(), is(Wire::default()),
            "number format between neighbours, but for images, which cross in bytes; with f16, `train.loss_scale` keeps small error signals from becoming 0; `int8` leaves logits in f32";
        wire_block: u32 = Whole(32, 1024), is(Block::Of128.size() as u32),
            "`int8`: numbers of a sample that share a scale; a power of two";
        error_feedback: bool = Switch, is(false),
            "`int8`: what rounding took from an error signal between stages is added to the next microbatch's, within a step";
    }
}

/// `network.wire`: the number format of links, without the size of its blocks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Wire {
    /// IEEE 754 single precision.
    #[default]
    F32,
    /// The upper half of an f32.
    Bf16,
    /// IEEE 754 half precision.
    F16,
    /// Whole numbers of 8 bits, and a scale for each block of them.
    Int8,
}

impl Links {
    /// The number format of the links.
    pub fn kind(&self) -> Kind {
        match self.wire {
            Wire::F32 => Kind::F32,
            Wire::Bf16 => Kind::Bf16,
            Wire::F16 => Kind::F16,
            Wire::Int8 => Kind::Int8(Block::new(self.wire_block).unwrap_or_default()),
        }
    }
}
