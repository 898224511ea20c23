//! The stem of a residual network: the layers from the pixels to the first block's channels.

use proto::spec::graph::{INPUT, Window};
use serde::{Deserialize, Serialize};

use super::Options;
use super::draft::{Convolution, Draft};

/// Images with fewer pixels a side get the small stem by default.
const SMALL: u32 = 64;

/// The layers before the first residual block.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Stem {
    /// [`Stem::Small`] for images below 64 pixels, [`Stem::ImageNet`] otherwise.
    #[default]
    Auto,
    /// A 7×7 convolution by 2, norm, relu, and a 3×3 max pooling by 2: a quarter of the image's side.
    ImageNet,
    /// A 3×3 convolution, norm and relu: the image's own side.
    Small,
}

/// Adds the stem, which is the network's first block. Its activated value is the input of the first residual block.
pub(super) fn draw(draft: &mut Draft, options: &Options) -> String {
    let small = match options.stem {
        Stem::Auto => options.image < SMALL,
        Stem::ImageNet => false,
        Stem::Small => true,
    };
    let (kernel, stride) = if small { (3, 1) } else { (7, 2) };
    draft.block();
    let y = draft.conv("conv1".into(), INPUT, Convolution::plain(options.width, kernel, stride));
    let y = draft.norm("bn1".into(), &y, 1.0);
    let y = draft.relu("relu", &y);
    if small { y } else { draft.max_pool("maxpool", &y, Window { kernel: 3, stride: 2, padding: 1 }) }
}
