//! The project's own commands, `cargo xtask NAME`: the tasks of a newcomer, of CI or of a release beyond cargo
//! itself.
//!
//! Each command is a file of its own. The set-up that the commands share is in `prerequisites`, `libtorch` and
//! `dataset`. The Python scripts in `scripts/` do all fetching, because a script can clean up after an interrupt;
//! this program only decides which programs run.
//!
//! Absent on purpose: dependencies (a fresh clone compiles this program first), knowledge of networks or tensors, and
//! files written outside the repository.

mod arrows;
mod bench;
mod dataset;
mod demo;
mod libtorch;
mod prerequisites;
mod release;
mod results;
mod run;
mod test;
mod usage;
mod verify;

use run::Root;
use std::process::ExitCode;
use usage::Command;

fn main() -> ExitCode {
    let root = Root::find();
    let outcome = usage::parse(std::env::args_os().skip(1)).and_then(|command| match command {
        Command::Demo(extra) => demo::demo(&root, &extra),
        Command::Test(extra) => test::test(&root, &extra),
        Command::Results { full } => results::results(&root, full),
        Command::Bench(options) => bench::bench(&root, options),
        Command::Arrows => arrows::print(&root),
        Command::Verify => verify::verify(&root),
        Command::Help => usage::help(),
    });
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("error: {}", failure.sentence);
            ExitCode::from(failure.code)
        }
    }
}
