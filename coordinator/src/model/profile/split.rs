//! The needs of layers whose W and B are on two hosts: what crosses between them, and which of them computes what.

use super::{LayerProfile, Network, alignment_passes};
use proto::error::ProtocolError;
use proto::spec::rule::RuleSpec;
use proto::spec::split::{Crossing, Parcel};
use proto::spec::stage::StageSpec;

/// The needs of a layer whose W and B are on two hosts. Numbers that depend on the batch are counted for one sample.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Split {
    /// Numbers of x and y that B's host gets in F; 0 if the rule needs none.
    pub sample: u64,
    /// Numbers of the error at y that B's host gets in E.
    pub error: u64,
    /// Numbers of the error at x that B's host returns; 0 if only the network's input lies below.
    pub returned: u64,
    /// Numbers of the noise that B's host gets in a mirror step, whatever the batch.
    pub noise: u64,
    /// The updates from one mirror step to the next; 0 if there is none between updates.
    pub every: u64,
    /// Numbers of the error that B's host keeps until G: of that at y, or of that behind a fixed B.
    pub kept_error: u64,
    /// Passes of the layer's `macs` in G of B's host.
    pub gradient_passes: u64,
    /// Passes of the layer's `macs` in F of W's host beside its own, for the y of an x that is no input of the layer.
    pub shown_passes: u64,
    /// Multiply-adds of mirror steps on W's host, per update; the rest of them are on B's host.
    pub shown_mirror_macs: u64,
}

impl Split {
    /// Numbers of noise, divided among the updates between two mirror steps.
    pub fn noise_per_update(&self) -> u64 {
        self.noise.checked_div(self.every).unwrap_or(0)
    }
}

/// Sets the needs of the split layers of `network`.
///
/// # Errors
/// Shapes that do not fit.
pub(super) fn split(layers: &mut [LayerProfile], network: &Network) -> Result<(), ProtocolError> {
    let whole = StageSpec::alone(network.layers.clone(), vec![network.input.clone()]);
    let crossings = whole.crossings()?;
    let split = layers.iter_mut().zip(&network.layers).filter(|(_, layer)| layer.split);
    for ((profile, layer), crossing) in split.zip(&crossings) {
        profile.split = Some(of(&layer.rule, profile, crossing));
    }
    Ok(())
}

fn of(rule: &RuleSpec, layer: &LayerProfile, crossing: &Crossing) -> Split {
    let numbers = |parcel: &Option<Parcel>| {
        let values = parcel.iter().flat_map(|parcel| &parcel.content.values);
        values.map(|value| value.shape.iter().product::<u64>()).sum::<u64>()
    };
    let Crossing { sample, error, noise, returned, .. } = crossing;
    let batch = noise.as_ref().map_or(0, |parcel| u64::from(parcel.content.max_microbatch));
    let crosses = Split {
        sample: numbers(sample),
        error: numbers(error),
        returned: numbers(returned),
        noise: batch * numbers(noise),
        every: rule.mirror().map_or(0, |mirror| mirror.every),
        ..Split::default()
    };
    if rule.product().is_some() {
        return Split { kept_error: layer.middle, ..crosses };
    }
    let RuleSpec::Learned { task, coefficients, alignment, .. } = rule else { return crosses };
    let own_y = u64::from(!alignment.is_fed_input() && coefficients.use_output());
    let of_samples = match alignment.mirror {
        Some(_) => 0,
        None => alignment_passes(coefficients, alignment),
    };
    let shown_passes = own_y.min(of_samples);
    Split {
        kept_error: if *task { crosses.error } else { 0 },
        gradient_passes: of_samples - shown_passes + u64::from(*task),
        shown_passes,
        shown_mirror_macs: layer.macs.saturating_mul(batch * own_y).checked_div(crosses.every).unwrap_or(0),
        ..crosses
    }
}
