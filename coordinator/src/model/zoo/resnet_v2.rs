//! Residual networks with preactivation (He et al. 2016, "Identity Mappings in Deep Residual Networks").
//!
//! ```text
//! x ─ bn1 ─ relu1 ─ conv1 ─ bn2 ─ relu2 ─ conv2 ─ bn3 ─ relu3 ─ conv3 ─ add
//! │           └──────────────── (downsample.0) ──────────────────────────┤
//! └───────────────────────────── or x as it is ──────────────────────────┘
//! ```
//!
//! As the paper's appendix has it, the first block takes the stem's activation and has no `bn1` and
//! `relu1` of its own, and a norm and an activation follow the last addition.

use proto::spec::graph::Op;

use super::draft::{Convolution, Draft};
use super::resnet::{Block, Place, places};
use super::{Options, stem};
use crate::model::Network;

/// A network of four stages of `depths` bottlenecks, for images of shape (channels, image, image).
pub fn network(depths: [u32; 4], options: &Options) -> Network {
    let mut draft = Draft::new(options);
    let activated = stem::draw(&mut draft, options);
    let mut x = activated.clone();
    for place in places(Block::Bottleneck, depths, options) {
        draft.block();
        let first = x == activated;
        x = bottleneck(&mut draft, &x, &place, first);
    }
    let y = draft.norm("bn".into(), &x, 1.0);
    let y = draft.relu("relu_last", &y);
    draft.mean_and_classes(&y);
    draft.finish()
}

/// Adds one block on top of `x`, which is already activated for the `first` block.
fn bottleneck(draft: &mut Draft, x: &str, place: &Place, first: bool) -> String {
    let Place { name, width, stride, projected } = place;
    let convolutions = Block::Bottleneck.convolutions(*width, *stride);
    let mut y = x.to_string();
    let mut activated = x.to_string();
    for (i, &convolution) in (1..).zip(&convolutions) {
        if !(first && i == 1) {
            y = draft.norm(format!("{name}.bn{i}"), &y, 1.0);
            y = draft.relu(format!("{name}.relu{i}"), &y);
        }
        if i == 1 {
            activated = y.clone();
        }
        y = draft.conv(format!("{name}.conv{i}"), &y, convolution);
    }
    let mut skip = x.to_string();
    if *projected {
        let projection = Convolution::plain(width.saturating_mul(4), 1, *stride);
        skip = draft.conv(format!("{name}.downsample.0"), &activated, projection);
    }
    draft.add(format!("{name}.add"), &[&y, &skip], Op::Add)
}
