//! Placement a model's name becomes a network: the one place that knows which models there are.

use crate::model::zoo::{self, Options};
use crate::model::{Network, custom};

use super::Model;

/// Every name that `model.name` can have.
pub(super) const NAMES: &[&str] = &{
    let mut names = ["custom"; zoo::NAMES.len() + 1];
    let mut at = 0;
    while at < zoo::NAMES.len() {
        names[at + 1] = zoo::NAMES[at];
        at += 1;
    }
    names
};

/// The network of `model` for samples of the shape `input` (channels, height, width), without rules.
///
/// # Errors
/// A sentence that says which layer cannot be, or that there is no such model.
pub(super) fn network(model: &Model, input: [u64; 3]) -> Result<Network, String> {
    if model.name == "custom" {
        return custom::network(&model.layers, input).map_err(|error| error.to_string());
    }
    let [channels, height, width] = input;
    if height != width {
        return Err(format!("'{}' takes square images, not {height}×{width}", model.name));
    }
    let small = |size: u64| u32::try_from(size).map_err(|_| format!("images of {size} are too large"));
    let usual = Options::default();
    let options = Options {
        classes: model.classes,
        width: model.width.unwrap_or(usual.width),
        image: small(height)?,
        channels: small(channels)?,
        ..usual
    };
    zoo::by_name(&model.name, &options).ok_or_else(|| format!("no model is named '{}'", model.name))
}
