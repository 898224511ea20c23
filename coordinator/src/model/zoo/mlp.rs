//! The multilayer perceptron: dense layers alone, the smallest deep network.

use proto::spec::graph::INPUT;

use super::Options;
use super::draft::Draft;
use crate::model::Network;

/// Flattens the image; then `fc1`, `relu1`, `fc2`, `relu2`, … of `hidden` features, and the classes.
/// Every dense layer has a bias and begins a block.
pub fn network(hidden: &[u32], options: &Options) -> Network {
    let mut draft = Draft::new(options);
    draft.block();
    let mut x = draft.flatten(INPUT);
    for (i, &features) in (1..).zip(hidden) {
        if i > 1 {
            draft.block();
        }
        x = draft.linear(format!("fc{i}"), &x, features);
        x = draft.relu(format!("relu{i}"), &x);
    }
    if !hidden.is_empty() {
        draft.block();
    }
    draft.classes(format!("fc{}", hidden.len() + 1), &x);
    draft.finish()
}
