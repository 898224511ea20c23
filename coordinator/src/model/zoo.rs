//! The model zoo: well-known networks by name, as graphs of layers.
//!
//! | name | network | source |
//! |---|---|---|
//! | `resnet18` `resnet34` `resnet50` | residual | He et al. 2015, arXiv 1512.03385 |
//! | `resnet50_v2` `resnet101_v2` `resnet152_v2` | preactivated | He et al. 2016, arXiv 1603.05027 |
//! | `vgg11` | plain convolutions, no norm | Simonyan & Zisserman 2014, arXiv 1409.1556 |
//! | `mlp` | dense, two hidden layers | – |
//!
//! Layers that torchvision has too carry torchvision's names and compute the same, so that weights can be exchanged
//! as files. Inside a block the projection of a skip comes right before the addition.

mod draft;
pub mod mlp;
pub mod resnet;
pub mod resnet_v2;
mod stem;
#[cfg(test)]
mod tests;
pub mod vgg;

use proto::spec::rule::RuleSpec;

use super::Network;
use resnet::Block;
pub use stem::Stem;

type Draw = fn(&Options) -> Network;

/// Every network by its name, in the order of help texts.
const NETWORKS: [(&str, Draw); 8] = [
    ("resnet18", |options| resnet::network(Block::Basic, [2, 2, 2, 2], options)),
    ("resnet34", |options| resnet::network(Block::Basic, [3, 4, 6, 3], options)),
    ("resnet50", |options| resnet::network(Block::Bottleneck, [3, 4, 6, 3], options)),
    ("resnet50_v2", |options| resnet_v2::network([3, 4, 6, 3], options)),
    ("resnet101_v2", |options| resnet_v2::network([3, 4, 23, 3], options)),
    ("resnet152_v2", |options| resnet_v2::network([3, 8, 36, 3], options)),
    ("vgg11", vgg::eleven),
    ("mlp", |options| mlp::network(&[options.width; 2], options)),
];

/// Every name that [`by_name`] knows.
pub fn names() -> impl Iterator<Item = &'static str> {
    NETWORKS.iter().map(|(name, _)| *name)
}

/// The options of the zoo's networks.
#[derive(Clone, Debug, PartialEq)]
pub struct Options {
    /// The number of classes: the features of the network's output.
    pub classes: u32,
    /// Channels of the first stage of a convolutional network, from which all others follow; features of a hidden
    /// layer of `mlp`. The networks of the papers have 64.
    pub width: u32,
    /// Side of the square images, in pixels.
    pub image: u32,
    /// Channels of the images.
    pub channels: u32,
    /// The stem of residual networks.
    pub stem: Stem,
    /// The scale γ at which the last norm of each residual block starts. At 0, as in the paper's code, every block starts
    /// as its skip; torchvision starts at 1.
    pub last_gamma: f64,
    /// The learning rule of B, in every weight layer.
    pub rule: RuleSpec,
}

/// The options of the papers' networks for ImageNet.
impl Default for Options {
    fn default() -> Self {
        Self {
            classes: 1000,
            width: 64,
            image: 224,
            channels: 3,
            stem: Stem::Auto,
            last_gamma: 0.0,
            rule: RuleSpec::Backprop,
        }
    }
}

/// The network called `name`; `None` for a name that isn't among [`names`].
///
/// Impossible options (no classes, an image smaller than a window) lead to an error in [`Network::values`].
pub fn by_name(name: &str, options: &Options) -> Option<Network> {
    NETWORKS.iter().find(|(known, _)| *known == name).map(|(_, network)| network(options))
}

/// Whether [`Options::last_gamma`] changes the network called `name`: whether its blocks end with a norm.
pub fn takes_last_gamma(name: &str) -> bool {
    let drawn = |last_gamma| by_name(name, &Options { last_gamma, ..Options::default() });
    drawn(0.0) != drawn(1.0)
}
