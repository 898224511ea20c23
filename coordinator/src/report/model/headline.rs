//! The headline section: what a run trained, its result and its length.

use super::alignment;
use super::settings::Settings;
use super::starts;
use super::text::{count, plural, words};
use crate::report::Run;

/// The result of one run, in words that its summary does not hold.
pub struct Outcome {
    /// The facts of the run: network, data, rule, distribution.
    pub facts: Vec<String>,
    /// A sentence for every start, where the run had several.
    pub starts: Vec<String>,
    pub status: String,
    /// The status: `good`, `bad` or `open`.
    pub verdict: &'static str,
    pub steps: String,
    /// The number of steps and, for a complete run, of epochs.
    pub length: String,
    pub angle: Option<f64>,
    /// The words below the angle.
    pub angle_note: &'static str,
}

impl Outcome {
    /// The result of `run`.
    pub fn of(run: &Run) -> Self {
        let summary = &run.summary;
        let status = summary.status.as_deref().unwrap_or("unknown");
        let steps = summary.steps.unwrap_or(run.metrics.len() as u64);
        let begun = run.metrics.last().map(|last| last.epoch + 1);
        let epochs = summary.epochs.filter(|_| status == "done" && begun == summary.epochs);
        let epochs = epochs.map(|n| format!(", {}", plural(n, "epoch"))).unwrap_or_default();
        Self {
            facts: facts(run),
            starts: starts::sentences(run),
            status: words(status),
            verdict: match status {
                "done" => "good",
                "failed" | "diverged" | "unknown" => "bad",
                _ => "open",
            },
            steps: count(&steps),
            length: plural(steps, "step") + &epochs,
            angle: alignment::mean_angle(run),
            angle_note: alignment::angle_note(run),
        }
    }
}

fn facts(run: &Run) -> Vec<String> {
    let (settings, summary) = (Settings::of(&run.config_toml), &run.summary);
    let stages = summary.stages.map(|n| match &summary.schedule {
        Some(schedule) => format!("{}, {}", plural(n, "stage"), words(schedule)),
        None => plural(n, "stage"),
    });
    let seed = summary.seed.map(|seed| format!("seed {seed}"));
    let rule = summary.rule.as_deref().map(words);
    [network(&settings), rule, stages, seed].into_iter().flatten().collect()
}

/// The network of this configuration and its data.
pub fn network_of(config_toml: &str) -> Option<String> {
    network(&Settings::of(config_toml))
}

/// The network and its data.
fn network(settings: &Settings) -> Option<String> {
    settings.name("model.name").map(|model| match settings.name("data.kind") {
        Some(data) => format!("{} on {}", words(model), words(data)),
        None => words(model),
    })
}

/// The facts of an evaluation of a run with this configuration, after `step` updates.
pub fn facts_of(config_toml: &str, step: u64) -> Vec<String> {
    let settings = Settings::of(config_toml);
    let rule = settings.name("rule.name").map(words);
    [network(&settings), rule, Some(format!("after {}", plural(step, "update")))]
        .into_iter()
        .flatten()
        .collect()
}
