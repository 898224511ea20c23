//! The command `layer-node angles`: it compares the B of every layer with its W, wherever both are kept. While a layer's W
//! and B are on two hosts, no process of the run can compare them.

use super::nodes::{Nodes, NodesFlags, Owned};
use super::numbers::tensor;
use crate::comparison::Comparison;
use clap::Args;
use std::fmt::Write;
use tch::TchError;

/// Flags of `layer-node angles`.
#[derive(Args, Debug)]
pub struct AnglesFlags {
    /// Of which nodes.
    #[command(flatten)]
    pub nodes: NodesFlags,
}

/// One line per layer that has both, sorted by name: the angle between W and B in degrees, ‖B‖ / ‖W‖, and the name. Under
/// product feedback alignment B·R takes the place of B.
///
/// # Errors
/// When a snapshot does not permit the comparison, or no layer has both W and B there; the error is one sentence.
pub fn angles(flags: &AnglesFlags) -> Result<String, String> {
    let nodes = Nodes::open(&flags.nodes)?;
    let tensors = nodes.tensors()?;
    let (mut lines, mut alone) = (String::new(), Vec::new());
    for (name, backward) in &tensors {
        let Some(layer) = name.strip_suffix(".weight_backward") else { continue };
        let Some(weight) = tensors.get(&format!("{layer}.weight")) else {
            alone.push(format!("{layer} (no W)"));
            continue;
        };
        let fixed = tensors.get(&format!("{layer}.feedback"));
        let compared = compared(weight, fixed, backward)
            .map_err(|error| format!("cannot compare the W and B of '{layer}': {error}"))?;
        let Comparison { angle_deg, norm_ratio, .. } = compared;
        let _ = writeln!(lines, "{angle_deg:8.3}°  {norm_ratio:.4}  {layer}");
    }
    // A norm's weight has one dimension, and no B.
    let matrix =
        |(name, weight): &(&String, &Owned<'_>)| name.ends_with(".weight") && weight.view.shape().len() > 1;
    for (name, _) in tensors.iter().filter(matrix) {
        if !tensors.contains_key(&format!("{name}_backward")) {
            alone.push(format!("{} (no B)", name.trim_end_matches(".weight")));
        }
    }
    if !lines.is_empty() && !alone.is_empty() {
        let _ = writeln!(lines, "not compared, for want of the other in these folders: {}", alone.join(", "));
    }
    match lines.is_empty() {
        false => Ok(format!("   angle  B / W   layer, after {} updates\n{lines}", nodes.updates())),
        true => Err(format!(
            "no layer has both W and B in these folders of run {}: name the folders of both hosts, as in --state-dir stage-3 --state-dir stage-3-backward",
            nodes.run()
        )),
    }
}

/// A layer's W compared with its B, or with the product of its `fixed` B and its R.
fn compared(
    weight: &Owned<'_>,
    fixed: Option<&Owned<'_>>,
    backward: &Owned<'_>,
) -> Result<Comparison, TchError> {
    let (weight, backward) = (tensor(&weight.view)?, tensor(&backward.view)?);
    match fixed {
        Some(fixed) => Comparison::of_product(&weight, &tensor(&fixed.view)?, &backward),
        None => Comparison::of(&weight, &backward),
    }
}
