//! The table of a plan in text, with the lanes drawn below it.

use std::fmt::Write;

use super::{Plan, PlannedBackward, PlannedStage, Rates, host, schedules};

/// The width at which lines of lanes are clipped, in characters.
const WIDTH: usize = 104;
/// The most stages whose lanes are drawn; of more stages, only the first and the last are drawn.
const DRAWN: usize = 12;

/// The column of measured memory, which is left out without measurements, and that of delays, which is left out where every
/// step is flushed.
const MEASURED: usize = 9;
const DELAY: usize = 7;
const HEAD: [&str; 11] = [
    "stage",
    "layers",
    "M parameters",
    "MMACs",
    "forward KiB",
    "backward KiB",
    "held",
    "delay",
    "memory MiB",
    "measured MiB",
    "compute s/step",
];

/// The columns of backward nodes: the bytes to them and back in a step, and the time that their stages wait.
const BACKWARD: [&str; 8] = [
    "stage, backward",
    "split layers",
    "MMACs",
    "to it MiB/step",
    "back MiB/step",
    "memory MiB",
    "compute s/step",
    "stage waits s/step",
];

/// Prints the stages as a table (multiply-adds and bytes for one sample), the prediction of a step with its basis,
/// the lanes, and the warnings.
pub fn table(plan: &Plan) -> String {
    let halves = aligned(backward_nodes(plan));
    let between = if halves.is_empty() { "" } else { "\n" };
    let mut text = aligned(stages(plan)) + between + &halves;
    let macs: u64 = plan.stages.iter().map(|stage| stage.macs).sum();
    let Plan { batch, microbatches, schedule, step_seconds, images_per_s, bubble, rates, .. } = plan;
    let total = mega(plan.parameters);
    let percent = bubble * 100.0;
    let _ = write!(
        text,
        "\n{total} M parameters, {} MMACs per sample forward; MMACs and KiB are per sample\n\
         {schedule}, {batch} samples in {microbatches} microbatches: {step_seconds:.3} s per step, \
         {images_per_s:.1} images/s, bubble {percent:.0} %\n\
         by {}, links of {} and {:.1} ms\n{}\n{}\n{}",
        mega(macs),
        computing(plan),
        rates.link,
        rates.latency * 1e3,
        schedules::speeds(&plan.schedules)
            + &schedules::advice(&plan.schedules, plan.longest_delay)
            + &plan.drains.as_ref().map_or_else(String::new, |drains| format!("\n{drains}")),
        host::line(plan),
        clipped(&plan.drawing),
    );
    let warnings = plan.warnings.iter().map(|warning| format!("\nwarning: {warning}")).collect::<String>();
    if warnings.is_empty() { text } else { text + &warnings + "\n" }
}

/// The rows of the stages.
fn stages(plan: &Plan) -> Vec<Vec<String>> {
    let mut rows: Vec<Vec<String>> =
        std::iter::once(HEAD.map(String::from)).chain(plan.stages.iter().map(row)).map(Vec::from).collect();
    if plan.stages.iter().all(|stage| stage.measured_memory_bytes.is_none()) {
        rows.iter_mut().for_each(|row| _ = row.remove(MEASURED));
    }
    if plan.stages.iter().all(|stage| stage.delay.is_none()) {
        rows.iter_mut().for_each(|row| _ = row.remove(DELAY));
    }
    rows
}

/// The rows of the backward nodes; none if no stage has one.
fn backward_nodes(plan: &Plan) -> Vec<Vec<String>> {
    let rows = plan.stages.iter().filter_map(|stage| Some(half(stage, stage.backward.as_ref()?)));
    let rows: Vec<_> = rows.collect();
    let head = (!rows.is_empty()).then(|| BACKWARD.map(String::from));
    head.into_iter().chain(rows).map(Vec::from).collect()
}

/// A table with names to the left and numbers to the right.
fn aligned(rows: Vec<Vec<String>>) -> String {
    let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0);
    let widths: Vec<usize> = (0..rows.first().map_or(0, Vec::len)).map(width).collect();
    let cell = |(column, text): (usize, &String)| {
        let width = widths[column];
        if column == 1 { format!("{text:<width$}") } else { format!("{text:>width$}") }
    };
    let line = |row: &Vec<String>| row.iter().enumerate().map(cell).collect::<Vec<_>>().join("  ") + "\n";
    rows.iter().map(line).collect()
}

/// The basis of the times of computing.
fn computing(plan: &Plan) -> String {
    let Rates { macs_per_second, bytes_per_second, .. } = plan.rates;
    if plan.measured {
        let split = plan.stages.iter().any(|stage| stage.backward.is_some());
        let divided =
            if split { ", with W and B on one host, and divided by their multiply-adds" } else { "" };
        return format!("times measured on this host, one stage at a time{divided}");
    }
    format!("{:.1} GMACs/s and {:.1} GB/s of memory per stage", macs_per_second / 1e9, bytes_per_second / 1e9)
}

/// The first and the last of a node's layers, with their number.
fn named(layers: &[String]) -> String {
    match layers {
        [only] => only.clone(),
        [first, .., last] => format!("{first} … {last} ({})", layers.len()),
        [] => String::new(),
    }
}

fn mib(bytes: u64) -> String {
    bytes.div_ceil(1 << 20).to_string()
}

fn half(stage: &PlannedStage, half: &PlannedBackward) -> [String; BACKWARD.len()] {
    let sent = |bytes: u64| format!("{:.1}", bytes as f64 / f64::from(1 << 20));
    [
        stage.stage.to_string(),
        named(&half.layers),
        mega(half.macs),
        sent(half.bytes_to),
        sent(half.bytes_back),
        mib(half.memory_bytes),
        format!("{:.3}", half.compute_s),
        format!("{:.3}", half.asking_s),
    ]
}

fn row(stage: &PlannedStage) -> [String; 11] {
    let kib = |bytes: u64| format!("{:.1}", bytes as f64 / 1024.0);
    [
        stage.stage.to_string(),
        named(&stage.layers),
        mega(stage.parameters),
        mega(stage.macs),
        kib(stage.bytes_forward),
        kib(stage.bytes_backward),
        stage.held.to_string(),
        stage.delay.map(|updates| format!("{updates:.2}")).unwrap_or_default(),
        mib(stage.memory_bytes),
        stage.measured_memory_bytes.map(mib).unwrap_or_default(),
        format!("{:.3}", stage.compute_s),
    ]
}

/// A number in millions, with as many decimals as small layers need.
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
