//! `coordinator manifests`: the files by which Kubernetes runs a configuration.

use super::flags::ManifestsFlags;
use super::load;
use crate::config::{self, Environment};
use crate::console::answer;
use crate::manifests::{self, Held, Order};
use crate::plan::{self, Needs};
use crate::prepare;
use crate::run_error::RunError;

/// Writes the manifests of a run into a folder.
///
/// # Errors
/// A configuration that cannot be planned or deployed, or a folder that cannot be written.
pub(super) fn write(flags: ManifestsFlags) -> Result<(), RunError> {
    let config = load(&flags.config)?;
    let (network, data) = prepare::network(&config)?;
    let estimator = prepare::estimator(&config, &network)?;
    let ranges = prepare::cut(&config, &network)?;
    let plan = plan::plan(&network, &ranges, &estimator).map_err(RunError::configuration)?;
    let needs = Needs::of(&network, &ranges, &estimator, false).map_err(RunError::configuration)?;
    let held = Held { data, inputs: needs.inputs };
    // Without an environment, data.path stays as the user wrote it.
    let portable = config::load(&flags.config.config, &flags.config.overrides, &Environment::empty())
        .map_err(RunError::configuration)?;
    let stem = flags.config.stem().to_owned();
    let ManifestsFlags { out, name, image, data, gpu, init, backward, .. } = flags;
    let order = Order { out, name, stem, image, data: data.unwrap_or_default(), gpu, init, backward };
    let made = manifests::manifests(&order, &portable, &plan, held)?;
    manifests::write(&made.files, &order.out)?;
    answer(format_args!("{}", made.said))
}
