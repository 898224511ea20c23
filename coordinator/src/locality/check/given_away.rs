//! The values that the backward nodes get by the plan, and from which W can be computed.

use crate::locality::findings::GivenAway;
use proto::spec::split::{Crossing, Parcel};
use proto::spec::stage::StageSpec;

/// The most revealing kind of the values that cross to the backward nodes of `stages`.
pub(super) fn of(stages: &[StageSpec]) -> GivenAway {
    // A stage without crossings, because its layers do not fit each other, was refused before the run.
    let crossings = stages.iter().filter_map(|spec| spec.crossings().ok()).flatten();
    crossings.map(|crossing| of_layer(&crossing)).max().unwrap_or(GivenAway::Nothing)
}

fn of_layer(crossing: &Crossing) -> GivenAway {
    let has = |parcel: &Option<Parcel>, suffix: &str| {
        let name = format!("{}.{suffix}", crossing.layer);
        parcel.iter().flat_map(|parcel| &parcel.content.values).any(|value| value.name == name)
    };
    if has(&crossing.sample, "y") || has(&crossing.noise, "noise.y") {
        GivenAway::Outputs
    } else if has(&crossing.sample, "x") && crossing.error.is_some() {
        GivenAway::Steps
    } else {
        GivenAway::Nothing
    }
}
