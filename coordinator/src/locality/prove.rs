//! `coordinator locality`: trains some steps, fetches the ledgers of all processes, checks them, and shows the
//! findings.

use super::check::{Allowed, Evidence, check};
use super::findings::{Findings, Violation};
use super::page::About;
use super::prediction::Prediction;
use super::{json, page, table, words};
use crate::config::Config;
use crate::console::{answer, remark};
use crate::driver::Ledgers;
use crate::model::profile::Profile;
use crate::prepare::{Placement, Prepared};
use crate::record::files::publish;
use crate::report::text;
use crate::run::{self, Audited, signals};
use crate::run_error::{Cause, RunError};
use proto::disk::cannot;
use proto::ledger::Ledger;
use proto::link::Role;
use proto::spec::stage::StageSpec;
use proto::transport::address::path_of;
use std::path::Path;
use tokio_util::sync::CancellationToken;

/// The options of a proof.
#[derive(Clone, Copy, Debug)]
pub struct ProofOptions<'a> {
    /// Training steps.
    pub steps: u64,
    /// The rules that the proof allows.
    pub allowed: Allowed,
    /// The file for the JSON; `-` is stdout.
    pub json: Option<&'a Path>,
    /// The file for the page.
    pub html: Option<&'a Path>,
    /// The configuration's name.
    pub title: &'a str,
}

/// Proves the locality of a run of `config` on nodes at `placement`.
///
/// # Errors
/// The first violation, with the number of the others; or the failure of the run.
pub async fn prove(
    config: Config,
    placement: Placement,
    options: ProofOptions<'_>,
    stop: CancellationToken,
) -> Result<(), RunError> {
    let config = shortened(config, options.steps);
    let prepared = signals::unless_stopped(&stop, || Prepared::new(config)).await?;
    placement.check(&prepared.roles())?;
    placement.check_transport(prepared.config.network.transport)?;
    let audited = run::audited(&prepared, &placement, stop).await?;
    let held = audited.ledgers.as_ref().map_or(0, |ledgers| ledgers.held);
    let items = prepared.course();
    let prediction = Prediction::of(&audited.stages, &mut prepared.lanes(), items.items(0), held)?;
    let findings = findings(&audited, &prediction, &prepared, options.allowed)?;
    show(&about(&prepared, &placement, &options), &audited, &findings, &options)?;
    match findings.verdict() {
        Some(sentence) => Err(RunError::new(Cause::Violation, sentence)),
        None => Ok(()),
    }
}

/// The configuration of a run of `steps` steps. Its evaluation is no longer than its training, since a proof does not
/// need the whole test set.
fn shortened(mut config: Config, steps: u64) -> Config {
    config.train.max_steps = Some(steps);
    // An epoch has a step or more.
    config.train.epochs = config.train.epochs.max(steps);
    let most = usize::try_from(steps.saturating_mul(config.step().samples.into())).unwrap_or(usize::MAX);
    let limit = config.data.test_limit.unwrap_or(most);
    config.data.test_limit = Some(limit.min(most));
    config
}

/// The findings of a run that ended in order, or that a violation ended.
///
/// # Errors
/// The failure of the run, if it is no violation; a node that did not answer with its ledger.
fn findings(
    audited: &Audited,
    prediction: &Prediction,
    prepared: &Prepared,
    allowed: Allowed,
) -> Result<Findings, RunError> {
    let Audited { stages, ledgers, result, configured } = audited;
    let complete = result.is_ok();
    let (coordinator, nodes) = match ledgers {
        Some(ledgers) => (ledgers.coordinator.clone(), answered(ledgers, complete)?),
        None => (nothing(stages), Vec::new()),
    };
    let evidence = Evidence { stages, prediction, coordinator: &coordinator, nodes: &nodes, complete };
    let mut findings = check(&evidence, allowed);
    let Err(failure) = result else {
        let profile =
            Profile::new(&prepared.network, prepared.config.node.precision).map_err(RunError::internal)?;
        let of_stages = prepared
            .ranges
            .iter()
            .map(|range| profile.layers()[range.clone()].iter().map(|layer| layer.parameters).sum());
        // B is not counted, so that a backward node has no parameters.
        let due = of_stages.chain(std::iter::repeat(0));
        for ((role, configured), due) in prepared.roles().into_iter().zip(configured).zip(due) {
            findings.violations.extend(miscounted(role, configured.parameters, due));
        }
        return Ok(findings);
    };
    let broken = matches!(failure.cause, Cause::Protocol | Cause::Violation);
    // If the run ended for another reason, nothing was proven, and the user needs that reason.
    if !broken && findings.violations.iter().all(|violation| violation.message.starts_with("rule")) {
        return Err(failure.clone());
    }
    if findings.violations.is_empty() || broken && !is_told(&findings, &failure.sentence) {
        let (link, message) = ("run".into(), "refused message".into());
        findings
            .violations
            .insert(0, Violation { link, message, tensor: None, sentence: failure.sentence.clone() });
    }
    Ok(findings)
}

/// Whether the run ended because of a refusal.
fn is_told(findings: &Findings, sentence: &str) -> bool {
    let refused =
        findings.violations.iter().filter_map(|violation| violation.sentence.split_once("refused it: "));
    refused.into_iter().any(|(_, why)| sentence.contains(why))
}

/// The ledgers of the nodes that answered, each with the role of the node that was asked.
///
/// # Errors
/// The first node that did not answer, if `all` must.
fn answered(ledgers: &Ledgers, all: bool) -> Result<Vec<(Role, Ledger)>, RunError> {
    let mut answered = Vec::new();
    for (role, ledger) in &ledgers.nodes {
        match ledger {
            Ok(ledger) => answered.push((*role, ledger.clone())),
            Err(failure) if all => return Err(failure.clone().into()),
            Err(_) => {}
        }
    }
    Ok(answered)
}

/// The ledger of a coordinator whose pipeline was never open.
fn nothing(stages: &[StageSpec]) -> Ledger {
    let start = stages.first().map(|spec| (spec.run.clone(), spec.incarnation));
    let (run, incarnation) = start.unwrap_or_default();
    Ledger {
        of: Role::Coordinator,
        run,
        incarnation,
        crossed: Vec::new(),
        consumed: Vec::new(),
        consumed_since: 0,
        control: Vec::new(),
        layers: Vec::new(),
        refusals: Vec::new(),
    }
}

/// The violation of a node that reports another number of parameters than its stage has.
fn miscounted(node: Role, counted: u64, due: u64) -> Option<Violation> {
    (counted != due).then(|| Violation {
        link: words::link(node, Role::Coordinator),
        message: "configured".into(),
        tensor: None,
        sentence: format!("the node counts {counted} parameters, where {} has {due}", words::process(node)),
    })
}

fn about(prepared: &Prepared, placement: &Placement, options: &ProofOptions<'_>) -> About {
    let config = &prepared.config;
    let transport = config.network.transport;
    let carried = |address: &str, is_local| match transport.carriage(address, is_local) {
        Ok(carriage) => carriage.to_string(),
        // The run has ended before.
        Err(_) => String::new(),
    };
    let placed = match placement {
        Placement::Local => format!("nodes of this host, links {}", carried("", true)),
        Placement::Remote { .. } => "nodes at given addresses".into(),
    };
    let facts = vec![
        words::plural(prepared.ranges.len() as u64, "stage"),
        words::plural(options.steps, "step"),
        format!(
            "{}, {}",
            text::words(&config.pipeline.schedule.to_string()),
            words::plural(config.step().microbatches.into(), "microbatch")
        ),
        format!("links in {}", config.network.kind()),
        placed,
    ];
    let addresses = match placement {
        Placement::Local => Vec::new(),
        Placement::Remote { nodes, backward_nodes, .. } => {
            let told = |node: &String| format!("{node}, data {}", carried(node, path_of(node).is_some()));
            prepared.roles().into_iter().zip(nodes.iter().chain(backward_nodes).map(told)).collect()
        }
    };
    About { title: options.title.into(), facts, addresses }
}

/// Prints the table, and writes the JSON and the page.
fn show(
    about: &About,
    audited: &Audited,
    findings: &Findings,
    options: &ProofOptions<'_>,
) -> Result<(), RunError> {
    let table = table(findings, options.allowed);
    let json_on_stdout = options.json.is_some_and(|path| path == Path::new("-"));
    match json_on_stdout {
        true => remark(format_args!("{table}")),
        false => answer(format_args!("{table}"))?,
    }
    if let Some(path) = options.json {
        let json = json(findings).map_err(RunError::internal)?;
        match json_on_stdout {
            true => answer(format_args!("{json}"))?,
            false => write(path, &json, "--json")?,
        }
    }
    let Some(path) = options.html else { return Ok(()) };
    write(path, &page(about, &audited.stages, findings, options.allowed), "--html")
}

fn write(path: &Path, text: &str, flag: &str) -> Result<(), RunError> {
    publish(path, text.as_bytes()).map_err(|error| {
        RunError::internal(cannot("cannot write", path, &error, &format!("give {flag} another file")))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{self, Environment};

    #[test]
    fn a_proof_trains_as_many_steps_as_asked_and_evaluates_no_more() {
        let sets = ["model.name=mlp".into(), "train.epochs=2".into(), "train.batch=8".into()];
        let config = config::parse("", "c.toml", &sets, &Environment::empty()).unwrap();
        let short = shortened(config.clone(), 5);
        assert_eq!((short.train.steps(1), short.train.steps(400), short.data.test_limit), (5, 5, Some(40)));
        let mut few = config;
        few.data.test_limit = Some(9);
        assert_eq!(shortened(few, 5).data.test_limit, Some(9));
    }
}
