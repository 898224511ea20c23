//! Residual networks (He et al. 2015, "Deep Residual Learning for Image Recognition").
//!
//! ```text
//! x ─ conv1 ─ bn1 ─ relu1 ─ conv2 ─ bn2 ─ add ─ relu2      a basic block; a bottleneck has one conv more
//! └────── (downsample.0 ─ downsample.1) ───┘               projected where the shapes differ
//! ```
//!
//! As in torchvision the stride of a bottleneck stands in its 3×3 convolution ("v1.5"). The γ of each block's last norm
//! starts at `Options::last_gamma`: by default 0, so that every block starts as its skip.

use proto::spec::graph::Op;

use super::draft::{Convolution, Draft};
use super::{Options, stem};
use crate::model::Network;

/// The kind of a residual block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Block {
    /// Two 3×3 convolutions.
    Basic,
    /// 1×1, 3×3, and 1×1 to four times the channels.
    Bottleneck,
}

impl Block {
    /// The convolutions of a block in a stage of `width` channels, in order.
    pub(super) fn convolutions(self, width: u32, stride: u32) -> Vec<Convolution> {
        match self {
            Block::Basic => vec![Convolution::plain(width, 3, stride), Convolution::plain(width, 3, 1)],
            Block::Bottleneck => vec![
                Convolution::plain(width, 1, 1),
                Convolution::plain(width, 3, stride),
                Convolution::plain(width.saturating_mul(4), 1, 1),
            ],
        }
    }
}

/// The place of a block in the network, and its sizes.
pub(super) struct Place {
    /// `layer1.0`, torchvision's name.
    pub(super) name: String,
    /// Channels of the stage: those of the 3×3 convolutions.
    pub(super) width: u32,
    /// The stride of the block.
    pub(super) stride: u32,
    /// Whether the skip is a projection: in the first block of a stage, if its shape changes.
    pub(super) projected: bool,
}

/// The places of all blocks: stage g has `depths[g]` of them, at 2^g times the width, and all stages
/// but the first halve the plane in their first block.
pub(super) fn places(block: Block, depths: [u32; 4], options: &Options) -> impl Iterator<Item = Place> {
    let width = options.width;
    (1u32..).zip(depths).flat_map(move |(group, depth)| {
        (0..depth).map(move |index| Place {
            name: format!("layer{group}.{index}"),
            width: width.saturating_mul(1 << (group - 1)),
            stride: if group > 1 && index == 0 { 2 } else { 1 },
            projected: index == 0 && (group > 1 || block == Block::Bottleneck),
        })
    })
}

/// A residual network of four stages of `depths` blocks, for images of shape (channels, image, image).
pub fn network(block: Block, depths: [u32; 4], options: &Options) -> Network {
    let mut draft = Draft::new(options);
    let stem = stem::draw(&mut draft, options);
    let top = places(block, depths, options).fold(stem, |x, place| residual(&mut draft, block, &x, &place));
    draft.mean_and_classes(&top);
    draft.finish()
}

/// One block on top of `x`.
fn residual(draft: &mut Draft, block: Block, x: &str, place: &Place) -> String {
    let Place { name, width, stride, projected } = place;
    let convolutions = block.convolutions(*width, *stride);
    let last = convolutions.len();
    let last_gamma = draft.options().last_gamma;
    let mut y = x.to_string();
    draft.block();
    for (i, &convolution) in (1..).zip(&convolutions) {
        y = draft.conv(format!("{name}.conv{i}"), &y, convolution);
        y = draft.norm(format!("{name}.bn{i}"), &y, if i == last { last_gamma } else { 1.0 });
        if i < last {
            y = draft.relu(format!("{name}.relu{i}"), &y);
        }
    }
    let mut skip = x.to_string();
    if *projected {
        let projection = Convolution::plain(convolutions[last - 1].out, 1, *stride);
        skip = draft.conv(format!("{name}.downsample.0"), x, projection);
        skip = draft.norm(format!("{name}.downsample.1"), &skip, 1.0);
    }
    let sum = draft.add(format!("{name}.add"), &[&y, &skip], Op::Add);
    draft.relu(format!("{name}.relu{last}"), &sum)
}
