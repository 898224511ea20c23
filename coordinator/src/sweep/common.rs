//! The settings that all trials of a sweep share, chosen so that the trials together take no more cores than there
//! are.

use super::space::{Plan, Settings};
use super::spec::Spec;
use crate::config::{self, Config, ConfigError, Environment};
use crate::prepare::{self, Doubt, Topic, cut, roles};
use crate::run_error::RunError;
use std::collections::HashSet;
use toml::Value;

/// The key of the data's folder, which may change while a sweep is interrupted.
pub const DATA_PATH: &str = "data.path";
/// The most trials about which a sweep looks for doubts.
pub const LOOKED_AT: usize = 1000;

/// The common settings: `[set]` and, if `cores` are given, the threads of each node, so that all trials share the
/// cores.
///
/// # Errors
/// The first trial's error, if no trial can run.
pub fn settings(
    spec: &Spec,
    plan: &Plan,
    base: &str,
    environment: &Environment<'_>,
) -> Result<Settings, RunError> {
    let mut common = spec.set.clone();
    let most = most_nodes(spec, plan, base, environment)?;
    let threads = "node.threads";
    if let Some(cores) =
        spec.cores.filter(|_| !common.contains_key(threads) && !spec.space.contains_key(threads))
    {
        let each = (cores / spec.parallel / most).clamp(1, 1024);
        common.insert(threads.to_owned(), Value::Integer(each as i64));
    }
    Ok(common)
}

/// The most nodes of any trial, or 1 if no cores are shared. A trial whose settings are wrong only in combination
/// fails by itself; if all trials that can be foreseen are wrong, the sweep does not start.
fn most_nodes(
    spec: &Spec,
    plan: &Plan,
    base: &str,
    environment: &Environment<'_>,
) -> Result<usize, RunError> {
    let (mut most, mut known, mut refused) = (0, HashSet::new(), None);
    for trial in 0..plan.len() {
        let own = plan.propose(trial, &[]);
        let decides =
            |key: &str| matches!(key, "pipeline.stages" | "pipeline.placement") || key.starts_with("model.");
        let cut: Vec<String> =
            { own.iter() }.filter(|(key, _)| decides(key)).map(|pair| format!("{pair:?}")).collect();
        if known.contains(&cut) {
            continue;
        }
        let config = parse(spec, &own, base, environment).map_err(RunError::configuration);
        let found = config.and_then(|config| if spec.cores.is_some() { nodes(config) } else { Ok(1) });
        match found {
            Ok(found) => (most, _) = (most.max(found), known.insert(cut)),
            Err(why) => _ = refused.get_or_insert(why),
        }
    }
    match refused {
        Some(why) if most == 0 => {
            Err(RunError { sentence: format!("every trial would be refused, as is the first: {why}"), ..why })
        }
        _ => Ok(most.max(1)),
    }
}

/// The folder of the data of every trial, from the root, so that the sweep can go on from any folder; `None` if trials
/// choose their data themselves, or if the first trial has no configuration.
pub fn data_path(spec: &Spec, plan: &Plan, base: &str, environment: &Environment<'_>) -> Option<String> {
    let chooses = |key: &String| matches!(key.as_str(), DATA_PATH | "data.kind");
    if spec.space.keys().chain(spec.cases.iter().flat_map(|case| case.set.keys())).any(chooses) {
        return None;
    }
    let config = parse(spec, &plan.propose(0, &[]), base, environment).ok()?;
    config.data.path.to_str().map(str::to_owned)
}

/// The doubts about the foreseen trials, one sentence for each topic. A matrix of the primitives tries coefficients that
/// lead nowhere on purpose.
pub fn doubts(spec: &Spec, plan: &Plan, base: &str, environment: &Environment<'_>) -> Vec<String> {
    let foreseen = plan.foreseen().min(LOOKED_AT);
    let mut found: Vec<(Doubt, Vec<usize>)> = Vec::new();
    for trial in 0..foreseen {
        let Ok(config) = parse(spec, &plan.propose(trial, &[]), base, environment) else { continue };
        let network = config.input_shape().and_then(|shape| config.network(shape).ok());
        for doubt in prepare::doubts(&config, network.as_ref(), None) {
            match found.iter_mut().find(|(known, _)| known.topic == doubt.topic) {
                _ if matches!(doubt.topic, Topic::Coefficients(_)) && plan.subset(trial).is_some() => {}
                Some((_, trials)) => trials.push(trial),
                None => found.push((doubt, vec![trial])),
            }
        }
    }
    let sentence = |(doubt, mut trials): (Doubt, Vec<usize>)| {
        trials.dedup();
        match trials.as_slice() {
            all if all.len() == plan.len() => doubt.sentence,
            [only] => format!("trial {only}: {}", doubt.sentence),
            [first, others @ ..] => format!("trial {first} and {} more: {}", others.len(), doubt.sentence),
            [] => doubt.sentence,
        }
    };
    found.into_iter().map(sentence).collect()
}

/// The configuration of a trial with its `own` settings.
pub fn parse(
    spec: &Spec,
    own: &Settings,
    base: &str,
    environment: &Environment<'_>,
) -> Result<Config, ConfigError> {
    let all = spec.set.iter().chain(own);
    let overrides: Vec<String> = all.map(|(key, value)| format!("{key}={value}")).collect();
    config::parse(base, &spec.base.display().to_string(), &overrides, environment)
}

/// The number of nodes of a run with this configuration: one for each stage, and one more for each stage that is split.
fn nodes(config: Config) -> Result<usize, RunError> {
    let (network, _) = prepare::network(&config)?;
    Ok(roles(&network, &cut(&config, &network)?).len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_trial_with_the_most_nodes_decides_the_threads_of_all() {
        let base = "pipeline.stages = 1\n[[layer]]\nkind = \"flatten\"\n[[layer]]\nkind = \"linear\"\nout = 20\n\
                    [[layer]]\nkind = \"linear\"\nout = 10";
        let threads = |space: &str| {
            let text = format!("base = \"b\"\nmethod = \"grid\"\ncores = 8\nparallel = 2\n[space]\n{space}");
            let spec = Spec::parse(&text, "sweep.toml").unwrap();
            let plan = Plan::new(&spec).unwrap();
            settings(&spec, &plan, base, &Environment::empty()).map(|common| common["node.threads"].clone())
        };
        assert_eq!(threads("seed = { values = [0, 1] }").unwrap(), Value::Integer(4));
        let tried = "pipeline.stages = { values = [1, \"per_layer\"] }";
        assert_eq!(threads(tried).unwrap(), Value::Integer(2));
        let split = "pipeline.placement = { values = [\"together\", \"split\"] }\nrule.name = { values = [\"kolen_pollack\"] }";
        assert_eq!(threads(split).unwrap(), Value::Integer(2), "a stage and its backward node");
        let half = format!(
            "{tried}\nrule.amp = {{ values = [0.0] }}\nrule.name = {{ values = [\"backprop\", \"custom\"] }}"
        );
        let why = threads(&half).unwrap_err().sentence;
        assert!(
            why.starts_with("every trial would be refused, as is the first: 'rule.amp' in --set"),
            "{why}"
        );
        assert_eq!(
            threads(&half.replace("custom", "weight_mirror").replace("0.0", "0.1")).unwrap(),
            Value::Integer(2)
        );
    }
}
