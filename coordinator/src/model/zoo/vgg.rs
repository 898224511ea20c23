//! VGG: plain convolutional networks (Simonyan & Zisserman 2014, "Very Deep Convolutional Networks for Large-Scale
//! Image Recognition").

use proto::spec::graph::{INPUT, Window};

use super::Options;
use super::draft::{Convolution, Draft};
use crate::model::Network;

/// Configuration A: the convolutions of each stage, by their multiple of the width.
const ELEVEN: [&[u32]; 5] = [&[1], &[2], &[4, 4], &[8, 8], &[8, 8]];
/// Features of a hidden dense layer, by the width: 4096 at 64.
const DENSE: u32 = 64;

/// VGG-11 with biases and without norms; torchvision's names, `features.0` to `classifier.6`.
///
/// Each stage of 3×3 convolutions ends with a 2×2 max pooling by 2. Two hidden dense layers of 64 × width features
/// follow, without dropout, and then the classes. There is no adaptive pooling: the classifier takes the plane that
/// the image leaves, 7×7 at 224 pixels, where the network is torchvision's. A plane of a single pixel is not pooled
/// any more, so small images work too.
pub fn eleven(options: &Options) -> Network {
    let mut draft = Draft::new(options);
    let mut x = INPUT.to_string();
    let (mut index, mut side) = (0, options.image);
    for stage in ELEVEN {
        draft.block();
        for multiple in stage {
            let out = options.width.saturating_mul(*multiple);
            let convolution = Convolution { out, kernel: 3, stride: 1, bias: true };
            x = draft.conv(format!("features.{index}"), &x, convolution);
            x = draft.relu(format!("features.{}", index + 1), &x);
            index += 2;
        }
        if side > 1 {
            x = draft.max_pool(format!("features.{index}"), &x, Window { kernel: 2, stride: 2, padding: 0 });
            side /= 2;
        }
        index += 1;
    }
    draft.block();
    x = draft.flatten(&x);
    for hidden in [0, 3] {
        x = draft.linear(format!("classifier.{hidden}"), &x, options.width.saturating_mul(DENSE));
        x = draft.relu(format!("classifier.{}", hidden + 1), &x);
    }
    draft.classes("classifier.6", &x);
    draft.finish()
}
