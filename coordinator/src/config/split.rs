//! The check of `pipeline.placement` against the layers and their rules.

use proto::spec::graph::LayerSpec;

use super::{Config, ConfigError, Halves, Rule};
use crate::nearest::hint;
use crate::rule::Name;

/// The most layers that a sentence lists.
const LISTED: usize = 8;

/// Checks that the placement names weight layers, each once, that no rule of a split layer reads W, and that
/// Kolen-Pollack's alarm has a layer to watch.
pub(super) fn split(config: &Config, layers: &[LayerSpec]) -> Result<(), ConfigError> {
    let placement = &config.pipeline.placement;
    let weights: Vec<&str> =
        layers.iter().filter(|layer| layer.op.is_weight()).map(|layer| layer.name.as_str()).collect();
    let refuse = |why: String| Err(ConfigError::new(format!("'pipeline.placement' {} {why}", config.placed)));
    if let Halves::Named(names) = placement {
        if let Some(name) = names.iter().find(|name| !weights.contains(&name.as_str())) {
            let meant = meant(name, &weights);
            return refuse(format!("names '{name}', which is no layer with weights of the network{meant}"));
        }
        if let Some((_, name)) = names.iter().enumerate().find(|(at, name)| names[..*at].contains(name)) {
            return refuse(format!("names '{name}' twice: name every layer once"));
        }
    }
    let reads_w = |layer: &&&str| placement.splits(layer) && config.rule.of(layer).reads().weight;
    if let Some(layer) = weights.iter().find(reads_w) {
        return refuse(format!(
            "puts W and B of the layer '{layer}' on two hosts, and {} reads W for B, which the host of B does not have: \
             set it to \"together\" or to a list of other layers, or choose a rule that reads no W, such as \
             feedback_alignment, weight_mirror, kolen_pollack or product_feedback_alignment",
            reader(&config.rule, layer)
        ));
    }
    if config.alarm.kolen_pollack {
        return alarm(config, &weights);
    }
    Ok(())
}

/// What reads W for the B of `layer`: its rule, or the coefficient that lets its rule do so.
fn reader(rule: &Rule, layer: &str) -> String {
    let of_layer = rule.of(layer);
    let name = of_layer.name();
    let by_name = [Name::Backprop, Name::SignSymmetry, Name::SymmetricAlignment];
    if by_name.iter().any(|name| name.is(of_layer)) {
        return format!("its rule {name}");
    }
    // A rule of the layer's own takes over the coefficient of the rule of all layers if both have the same name.
    let own = rule.layers.contains_key(layer) && (rule.all.name() != name || !rule.all.reads().weight);
    let key = if own { format!("rule.layers.{layer}.self") } else { "rule.self".to_owned() };
    format!("its rule {name} with '{key}'")
}

/// Checks that W and B of some layer under Kolen-Pollack's law are on one host.
fn alarm(config: &Config, weights: &[&str]) -> Result<(), ConfigError> {
    let mut watched = weights.iter().filter(|layer| Name::has_law(config.rule.of(layer))).peekable();
    let any = watched.peek().is_some();
    if any && watched.all(|layer| config.pipeline.placement.splits(layer)) {
        return Err(ConfigError::new(
            "'alarm.kolen_pollack' compares B with W, and 'pipeline.placement' puts them on two hosts for every layer under \
             Kolen-Pollack's law: leave one of both out",
        ));
    }
    Ok(())
}

/// The end of a sentence about a layer that is not there: the layer that was meant, or those that there are.
fn meant(name: &str, weights: &[&str]) -> String {
    let near = hint(name, weights.iter().copied());
    if !near.is_empty() {
        return near;
    }
    let shown = weights[..weights.len().min(LISTED)].join(", ");
    match weights.len().saturating_sub(LISTED) {
        0 => format!(": its layers with weights are {shown}"),
        more => format!(": its layers with weights are {shown} and {more} more"),
    }
}
