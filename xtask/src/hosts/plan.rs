//! What a training on the hosts is: its settings, and whether W and B of its layers are on two hosts.

/// The demo's network, three stages, and every state kept: a capture is searched for them. Two layers, one of which is a
/// stage of its own, are under weight mirror, with mirror steps before the first update as well; its sums over positions
/// are large in convolutions. The others are under Kolen-Pollack.
const SETTINGS: [&str; 15] = [
    "rule.name=kolen_pollack",
    "rule.layers.conv2.name=weight_mirror",
    "rule.layers.conv2.amp=1e-5",
    "rule.layers.conv2.mirror_delay=4",
    "rule.layers.conv3.name=weight_mirror",
    "rule.layers.conv3.amp=1e-5",
    "rule.layers.conv3.mirror_delay=4",
    "optimizer.lr=0.05",
    "optimizer.warmup_epochs=0",
    "train.batch=32",
    "data.test_limit=64",
    "pipeline.stages=3",
    "pipeline.microbatches=2",
    "snapshot.every_steps=1",
    "snapshot.keep_last=1000",
];
/// All layers are split.
const SPLIT: &str = "pipeline.placement=split";

/// The placement of W and B of every layer.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Plan {
    /// One host for both.
    Together,
    /// Two hosts.
    Split,
}

impl Plan {
    /// The settings of the training, but for the data.
    pub fn settings(self) -> Vec<String> {
        let split = (self == Plan::Split).then_some(SPLIT);
        SETTINGS.into_iter().chain(split).map(str::to_owned).collect()
    }

    /// The name of the folder with the weights as they were drawn.
    pub fn drawn(self) -> &'static str {
        match self {
            Plan::Together => "drawn",
            Plan::Split => "drawn-split",
        }
    }
}
