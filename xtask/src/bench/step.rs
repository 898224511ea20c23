//! A step of one node in process, without links, beside a plain loop of torch with autograd for the same network.

use super::process::finish;
use super::turns::rates;
use super::{Bounds, Options, Row};
use crate::json::numbers;
use crate::release;
use crate::run::{Failure, Root, line, say};
use std::time::Duration;

/// Floor and goal of the ratio to the plain loop.
const BOUNDS: Bounds = (0.97, 1.05);
/// The networks: what people call them, what the program calls them, and the steps of a round.
const NETWORKS: [(&str, &str, u32); 2] =
    [("ResNet-18, 32 pixels, batch 64", "resnet18", 4), ("the demo's network, batch 128", "fashion", 24)];
/// How long the rounds of a network may take.
const LIMIT: Duration = Duration::from_secs(900);

/// Measures both networks; the program takes the turns within one process.
pub fn step(root: &Root, options: &Options) -> Result<Vec<Row>, Failure> {
    // The program links libtorch, which has to be there before it is built.
    if root.programs().is_none() {
        release::set_up(root)?;
    }
    let program = release::example_of(root, "layer-node", "bench_step")?;
    let log = program.with_extension("log");
    let mut rows = Vec::new();
    for (name, network, steps) in NETWORKS {
        let steps = if options.is_short { steps.div_ceil(2) } else { steps };
        let mut bench = root.command(&program);
        bench.args([network, &steps.to_string(), &options.rounds.to_string()]);
        say(&line(&bench));
        let printed = finish(&mut bench, LIMIT, &log, |_| ())?;
        let [ours, reference] = ["ours", "reference"].map(|key| numbers(&printed, key));
        if ours.len() != options.rounds || reference.len() != ours.len() {
            return Err(format!("`{}` printed other than {} rounds", line(&bench), options.rounds).into());
        }
        rows.push(rates("step", format!("{name}: plain torch"), &ours, &reference, BOUNDS));
    }
    Ok(rows)
}
