//! A plan as a table in text, with the lanes drawn below it.

use std::fmt::Write;

use super::{Plan, PlannedStage};

/// Longer lines of lanes are clipped here, in characters.
const WIDTH: usize = 104;
/// Lanes of so many stages are drawn; of more, the first and the last.
const DRAWN: usize = 12;

const HEAD: [&str; 9] = [
    "stage",
    "layers",
    "M parameters",
    "MMACs",
    "forward KiB",
    "backward KiB",
    "held",
    "memory MiB",
    "compute s/step",
];

/// The stages in a table (multiply-adds and bytes for one sample), the prediction of a step with what it
/// rests on, the lanes, the warnings.
pub fn table(plan: &Plan) -> String {
    let mut text = aligned(plan);
    let macs: u64 = plan.stages.iter().map(|stage| stage.macs).sum();
    let Plan { batch, microbatches, schedule, step_seconds, images_per_s, bubble, rates, .. } = plan;
    let total = mega(plan.parameters);
    let percent = bubble * 100.0;
    let _ = write!(
        text,
        "\n{total} M parameters, {} MMACs per sample forward; MMACs and KiB are per sample\n\
         {schedule}, {batch} samples in {microbatches} microbatches: {step_seconds:.3} s per step, \
         {images_per_s:.1} images/s, bubble {percent:.0} %\n\
         by {:.1} GMACs/s and {:.1} GB/s of memory per stage, links of {} and {:.1} ms\n\n{}",
        mega(macs),
        rates.macs_per_second / 1e9,
        rates.bytes_per_second / 1e9,
        rates.link,
        rates.latency * 1e3,
        clipped(&plan.drawing),
    );
    let warnings = plan.warnings.iter().map(|warning| format!("\nwarning: {warning}")).collect::<String>();
    if warnings.is_empty() { text } else { text + &warnings + "\n" }
}

/// Names to the left, numbers to the right.
fn aligned(plan: &Plan) -> String {
    let rows: Vec<[String; 9]> =
        std::iter::once(HEAD.map(String::from)).chain(plan.stages.iter().map(row)).collect();
    let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0);
    let widths: [usize; 9] = std::array::from_fn(width);
    let cell = |(column, text): (usize, &String)| {
        let width = widths[column];
        if column == 1 { format!("{text:<width$}") } else { format!("{text:>width$}") }
    };
    let line = |row: &[String; 9]| row.iter().enumerate().map(cell).collect::<Vec<_>>().join("  ") + "\n";
    rows.iter().map(line).collect()
}

fn row(stage: &PlannedStage) -> [String; 9] {
    let kib = |bytes: u64| format!("{:.1}", bytes as f64 / 1024.0);
    let layers = match stage.layers.as_slice() {
        [only] => only.clone(),
        [first, .., last] => format!("{first} … {last} ({})", stage.layers.len()),
        [] => String::new(),
    };
    [
        stage.stage.to_string(),
        layers,
        mega(stage.parameters),
        mega(stage.macs),
        kib(stage.bytes_forward),
        kib(stage.bytes_backward),
        stage.held.to_string(),
        stage.memory_bytes.div_ceil(1 << 20).to_string(),
        format!("{:.3}", stage.compute_s),
    ]
}

/// In millions, with as many decimals as small layers need.
fn mega(number: u64) -> String {
    let millions = number as f64 / 1e6;
    if millions < 10.0 { format!("{millions:.3}") } else { format!("{millions:.1}") }
}

/// The drawing, its lines clipped between two actions.
fn clipped(drawing: &str) -> String {
    let clip = |line: &str| match line.get(..WIDTH).and_then(|line| line.rfind(' ')) {
        Some(end) => format!("{} … U\n", &line[..end]),
        None => format!("{line}\n"),
    };
    let lines: Vec<String> = drawing.lines().map(clip).collect();
    match lines.len() {
        many if many > DRAWN => [&lines[..DRAWN - 2], &["…\n".into()], &lines[many - 1..]].concat().concat(),
        _ => lines.concat(),
    }
}
