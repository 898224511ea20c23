//! `cargo xtask results --plan`: what `coordinator plan` predicts for large networks on many GPUs, as a table of
//! `docs/imagenet.md`.

use crate::json::numbers;
use crate::page;
use crate::release::{self, Profile};
use crate::run::{Failure, Root, line, say, unstartable};

const PAGE: &str = "docs/imagenet.md";
/// The networks: what people call them, and their configurations.
const NETWORKS: [(&str, &str); 2] = [
    ("ResNet-50", "examples/imagenet/resnet50-kolen_pollack.toml"),
    ("ResNet-152 v2", "examples/imagenet/resnet152_v2-kolen_pollack.toml"),
];
/// Stages, each with a GPU and a host of its own.
const GPUS: [u32; 2] = [18, 50];
/// The rates of the hosts' links in Gbit/s.
const LINKS: [u32; 3] = [10, 25, 100];
/// The multiply-adds and the bytes of memory in a second of each GPU.
const COMPUTE: &str = "20TMAC/s,1TB/s";
/// What every prediction sets: many microbatches, because the warm-up of so many stages takes as many.
const SETTINGS: [&str; 3] = ["network.wire=bf16", "train.batch=1024", "pipeline.microbatches=64"];

/// Fills the table.
///
/// # Errors
/// A build or a plan that failed.
pub fn plan(root: &Root) -> Result<(), Failure> {
    let coordinator = release::programs(root, Profile::Release)?.join("coordinator");
    let mut table = String::from("| network | GPUs |");
    LINKS.iter().for_each(|rate| table += &format!(" {rate} Gbit/s: images/s | bubble |"));
    table += &format!("\n|---|---|{}\n", "---|---|".repeat(LINKS.len()));
    for (network, config) in NETWORKS {
        for gpus in GPUS {
            table += &format!("| {network} | {gpus} |");
            for rate in LINKS {
                let mut plan = root.command(&coordinator);
                plan.args(["plan", "--json", "--config", config, "--compute", COMPUTE]);
                plan.args(["--link", &format!("{rate}Gbit/s")]);
                SETTINGS.iter().for_each(|set| _ = plan.args(["--set", set]));
                plan.args(["--set", &format!("pipeline.stages={gpus}")]);
                let output = plan.output().map_err(|error| unstartable(&plan, &error))?;
                let text = String::from_utf8_lossy(&output.stdout);
                let first = |key| numbers(&text, key).first().copied();
                let (Some(images), Some(bubble)) = (first("images_per_s"), first("bubble")) else {
                    let said = String::from_utf8_lossy(&output.stderr);
                    let last = said.lines().last().unwrap_or("it said nothing");
                    return Err(format!("`{}` predicted nothing: {last}", line(&plan)).into());
                };
                say(&format!("{network} on {gpus} GPUs, {rate} Gbit/s: {images:.0} images/s"));
                table += &format!(" {images:.0} | {:.0} % |", 100.0 * bubble);
            }
            table += "\n";
        }
    }
    page::put_into(root, PAGE, "plan-gpus", &table)
}
