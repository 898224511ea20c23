//! What one wants to know first: did it work, how well does the network do, how fast was it.

use super::alignment;
use super::run::Run;
use super::settings::Settings;
use super::text::{capital, count, duration, escape, key, number, percent, plural, rate, words};

/// The page's title.
pub(super) fn title(runs: &[Run]) -> String {
    match runs {
        [run] => run.name.clone(),
        runs => format!("{} compared", plural(runs.len() as u64, "run")),
    }
}

/// The heading, and the numbers of one run as tiles or of several as a table.
pub(super) fn section(runs: &[Run]) -> String {
    let title = escape(&title(runs));
    let rest = match runs {
        [run] => format!("<p class=\"lead\">{}</p>\n{}{}", about(run), error(run), tiles(run)),
        runs => table(runs),
    };
    format!("<header>\n<h1>{title}</h1>\n{rest}</header>\n")
}

/// What was trained on what, by which rule, how distributed.
fn about(run: &Run) -> String {
    let (settings, summary) = (Settings::of(&run.config_toml), &run.summary);
    let network = match (settings.name("model.name"), settings.name("data.kind")) {
        (Some(model), Some(data)) => Some(format!("{} on {}", words(model), words(data))),
        (model, _) => model.map(words),
    };
    let stages = summary.stages.map(|n| match &summary.schedule {
        Some(schedule) => format!("{}, {}", plural(n, "stage"), words(schedule)),
        None => plural(n, "stage"),
    });
    let seed = summary.seed.map(|seed| format!("seed {seed}"));
    let facts = [network, summary.rule.as_deref().map(words), stages, seed];
    let facts: Vec<_> = facts.iter().flatten().map(|fact| format!("<span>{}</span>", escape(fact))).collect();
    facts.join(" ")
}

fn error(run: &Run) -> String {
    let sentence = |error| format!("<p class=\"error\">{}</p>\n", escape(error));
    run.summary.error.as_deref().map(sentence).unwrap_or_default()
}

/// How the run ended, in a colour that says whether that is well.
fn status(run: &Run) -> String {
    let (class, status) = match run.summary.status.as_deref() {
        Some("done") => ("good", "done"),
        Some(bad @ ("failed" | "diverged")) => ("bad", bad),
        Some(other) => ("open", other),
        None => ("bad", "unknown"),
    };
    format!("<span class=\"{class}\">{}</span>", escape(&capital(&words(status))))
}

fn tiles(run: &Run) -> String {
    let summary = &run.summary;
    let top5 = summary.test_top5.map(|_| format!("top-5 {}", percent(summary.test_top5)));
    let steps = summary.steps.unwrap_or(run.metrics.len() as u64);
    let begun = run.metrics.last().map(|last| last.epoch + 1);
    let epochs =
        summary.epochs.filter(|_| summary.status.as_deref() == Some("done") && begun == summary.epochs);
    let length = [Some(plural(steps, "step")), epochs.map(|n| plural(n, "epoch"))];
    let length = length.into_iter().flatten().collect::<Vec<_>>().join(", ");
    let tile = |name: &str, value: String, note: String| {
        format!("<div><dt>{name}</dt><dd>{value}</dd><dd class=\"note\">{}</dd></div>\n", escape(&note))
    };
    let angle = alignment::mean_angle(run);
    let tiles = [
        tile("Status", status(run), length),
        tile("Test accuracy", percent(summary.test_top1), top5.unwrap_or_else(|| "top-1".to_owned())),
        tile("Angle of W and B", number(angle, 1, "°"), "mean of the layers, at the end".to_owned()),
        tile("Images per second", rate(summary.images_per_s), "training".to_owned()),
        tile("Time", duration(summary.seconds), "of training".to_owned()),
    ];
    format!("<dl class=\"tiles\">\n{}</dl>\n", tiles.concat())
}

fn table(runs: &[Run]) -> String {
    let row = |(i, run): (usize, &Run)| {
        let summary = &run.summary;
        let cells = [
            ("Rule", escape(&words(summary.rule.as_deref().unwrap_or("unknown")))),
            ("Status", status(run)),
            ("Top-1", percent(summary.test_top1)),
            ("Top-5", percent(summary.test_top5)),
            ("Angle", number(alignment::mean_angle(run), 1, "°")),
            ("Images/s", rate(summary.images_per_s)),
            ("Time", duration(summary.seconds)),
            ("Steps", count(summary.steps.unwrap_or(run.metrics.len() as u64))),
        ];
        let cells = cells.map(|(name, value)| format!("<td data-label=\"{name}\">{value}</td>")).concat();
        format!("<tr><th scope=\"row\">{}</th>{cells}</tr>\n", key(i, &run.name))
    };
    let rows: String = runs.iter().enumerate().map(row).collect();
    format!(
        "<table class=\"cards words-3\">\n<thead><tr><th>Run</th><th>Rule</th><th>Status</th><th>Test top-1</th>\
         <th>Test top-5</th><th>Angle of W and B</th><th>Images/s</th><th>Time</th><th>Steps</th></tr></thead>\n\
         <tbody>\n{rows}</tbody>\n</table>\n"
    )
}
