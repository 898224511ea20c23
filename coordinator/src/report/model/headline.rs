//! The first answers: whether a run worked, how well the network does, how fast the training was.

use super::alignment;
use super::settings::Settings;
use super::text::{count, duration, number, percent, plural, rate, words};
use crate::report::Run;

/// The heading and the numbers below it.
pub struct Headline<'a> {
    pub title: String,
    /// What one run trained on what, by which rule, how distributed.
    pub facts: Vec<String>,
    pub outcomes: Vec<Outcome<'a>>,
}

impl<'a> Headline<'a> {
    pub fn of(runs: &'a [Run]) -> Self {
        let (title, facts) = match runs {
            [run] => (run.name.clone(), facts(run)),
            runs => (format!("{} compared", plural(runs.len() as u64, "run")), Vec::new()),
        };
        Self { title, facts, outcomes: runs.iter().map(Outcome::of).collect() }
    }
}

/// The result of one run.
pub struct Outcome<'a> {
    pub rule: String,
    pub status: String,
    /// Whether the status is `good`, `bad` or `open`.
    pub verdict: &'static str,
    /// Why the run failed.
    pub error: Option<&'a str>,
    pub steps: String,
    /// The steps and, of a complete run, the epochs.
    pub length: String,
    pub top1: String,
    pub top5: Option<String>,
    pub angle: String,
    pub images_per_s: String,
    pub time: String,
}

impl<'a> Outcome<'a> {
    fn of(run: &'a Run) -> Self {
        let summary = &run.summary;
        let status = summary.status.as_deref().unwrap_or("unknown");
        let steps = summary.steps.unwrap_or(run.metrics.len() as u64);
        let begun = run.metrics.last().map(|last| last.epoch + 1);
        let epochs = summary.epochs.filter(|_| status == "done" && begun == summary.epochs);
        let epochs = epochs.map(|n| format!(", {}", plural(n, "epoch"))).unwrap_or_default();
        Self {
            rule: words(summary.rule.as_deref().unwrap_or("unknown")),
            status: words(status),
            verdict: match status {
                "done" => "good",
                "failed" | "diverged" | "unknown" => "bad",
                _ => "open",
            },
            error: summary.error.as_deref(),
            steps: count(steps),
            length: plural(steps, "step") + &epochs,
            top1: percent(summary.test_top1),
            top5: summary.test_top5.map(|top5| percent(Some(top5))),
            angle: number(alignment::mean_angle(run), 1, "°"),
            images_per_s: rate(summary.images_per_s),
            time: duration(summary.seconds),
        }
    }
}

fn facts(run: &Run) -> Vec<String> {
    let (settings, summary) = (Settings::of(&run.config_toml), &run.summary);
    let model = settings.name("model.name").map(words);
    let network = match settings.name("data.kind").map(words) {
        Some(data) => model.map(|model| format!("{model} on {data}")),
        None => model,
    };
    let schedule = summary.schedule.iter().map(|schedule| format!(", {}", words(schedule)));
    let schedule: String = schedule.collect();
    let stages = summary.stages.map(|n| plural(n, "stage") + &schedule);
    let seed = summary.seed.map(|seed| format!("seed {seed}"));
    [network, summary.rule.as_deref().map(words), stages, seed].into_iter().flatten().collect()
}
