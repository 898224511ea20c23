//! The project's own commands, `cargo xtask NAME`: what a newcomer, CI or a release needs beyond cargo itself.
//!
//! Each command stands in a file of its own; the set-up that they share is `prerequisites`, `libtorch` and
//! `dataset`. What has to be fetched is fetched by the Python scripts in `scripts/`, because a script can clean
//! up after an interrupt; everything here only decides what to run.
//!
//! Absent on purpose: dependencies (a fresh clone compiles this first), knowledge of networks or tensors, and
//! any file written outside the repository.

mod arrows;
mod bench;
mod cuda;
mod dataset;
mod demo;
mod dist;
mod fuzz;
mod hosts;
mod image;
mod json;
mod libtorch;
mod manifests;
mod noise;
mod page;
mod photographs;
mod pods;
mod prerequisites;
mod release;
mod results;
mod run;
mod test;
mod usage;
mod verify;

use run::Root;
use std::io::{Write, stdout};
use std::process::ExitCode;
use usage::Command;

fn main() -> ExitCode {
    let root = Root::find();
    let outcome = usage::parse(std::env::args_os().skip(1)).and_then(|command| match command {
        Command::Demo(extra) => demo::demo(&root, &extra),
        Command::Dist { profile, cuda } => dist::dist(&root, profile, cuda).map(|_| ()),
        Command::Cuda => cuda::cuda(&root),
        Command::Image => image::image(&root),
        Command::Test(chosen) => test::test(&root, &chosen),
        Command::Results { full } => results::results(&root, full),
        Command::Plan => results::plan(&root),
        Command::ResultsAsynchronous => results::asynchronous(&root),
        Command::Speed(options) => bench::speed(&root, &options),
        Command::Fuzz { runs } => fuzz::fuzz(&root, runs),
        Command::Bench(bench) => bench::bench(&root, &bench),
        Command::Hosts { full } => hosts::hosts(&root, full),
        Command::Leaks => hosts::leaks(&root),
        Command::Readme => hosts::readme(&root),
        Command::Wires { full } => hosts::wires(&root, full),
        Command::Manifests => manifests::manifests(&root),
        Command::Photographs { compare } => photographs::photographs(&root, compare),
        Command::Pods { image } => pods::pods(&root, image.as_deref()),
        Command::Arrows => arrows::print(&root),
        Command::Verify { quick } => verify::verify(&root, quick),
        Command::Help => {
            _ = writeln!(stdout(), "{}", usage::HELP);
            Ok(())
        }
    });
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("error: {}", failure.sentence);
            ExitCode::from(failure.code)
        }
    }
}
