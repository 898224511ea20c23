//! The command `cargo xtask bench NAME`: it measures numbers beside references, and prints them as one table and as
//! JSON.

mod machine;
mod memory;
mod noise;
mod pipeline;
mod process;
mod pytorch;
mod resident;
mod rounds;
mod row;

use crate::run::{CONFIGURATION, Failure, INTERNAL, Root};
use row::Row;
use std::path::PathBuf;

/// The options of a bench.
#[derive(Debug, PartialEq)]
pub struct Options {
    /// The bench's name.
    pub name: String,
    /// How often each contender is measured.
    pub rounds: Option<u32>,
    /// The folder of another build's programs, which are measured too.
    pub against: Option<PathBuf>,
}

/// Runs the bench of this name.
///
/// # Errors
/// When no bench has the name, a program could not be run, or a ratio is below its floor.
pub fn bench(root: &Root, options: Options) -> Result<(), Failure> {
    let rows = match (options.name.as_str(), options.rounds, options.against) {
        ("memory", None, None) => memory::memory(root)?,
        ("memory", ..) => return Err(Failure::new(CONFIGURATION, "`bench memory` takes no options")),
        ("pipeline", rounds, against) => pipeline::pipeline(root, rounds, against)?,
        (name, ..) => {
            let sentence = format!("there is no bench `{name}`: choose memory or pipeline");
            return Err(Failure::new(CONFIGURATION, sentence));
        }
    };
    let machine = machine::describe(root)?;
    print!("\n{machine}\n\n{}", row::table(&rows));
    rows.iter().for_each(|row| println!("{}", row.json(&machine)));
    match rows.iter().find(|row| row.ratio < row.floor) {
        None => Ok(()),
        Some(Row { bench, case, ratio, floor, .. }) => {
            let sentence =
                format!("bench {bench}, {case}: the ratio is {ratio:.3}, below its floor of {floor}");
            Err(Failure::new(INTERNAL, sentence))
        }
    }
}
