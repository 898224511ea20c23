//! The command line of `cargo xtask`.

use crate::bench;
use crate::run::{CONFIGURATION, Failure};
use std::ffi::{OsStr, OsString};
use std::io::{Write, stdout};

const HELP: &str = "\
Usage: cargo xtask COMMAND

  demo [-- ARGS]   set up what is missing, build, and train the example network in five local
                   processes; ARGS go to `coordinator train`, as in `-- --set train.epochs=1`
  test [-- ARGS]   set up what is missing and run all tests; ARGS go to `cargo test`
  results [--full] train every rule with three seeds, search the matrix of the primitives, and fill
                   the tables of docs/results.md: under an hour on two cores, or with the demo's
                   whole training; what was trained before is not trained again
  bench memory     train 2,000 small steps over five nodes and compare their memory at the end with
                   that at the beginning, and with what `coordinator plan` predicts
  bench pipeline [--rounds N] [--against DIR]
                   train two networks by turns with this build and with PyTorch, and compare their
                   images per second: five rounds, or N; DIR holds the programs of another build
                   to compare with as well
  verify           formatting, clippy and documentation with warnings denied, the directions of
                   imports, and dependencies
  arrows           print how modules and crates import each other, as ARCHITECTURE.md lists it

Set-up puts libtorch into .libtorch/ and Fashion-MNIST into data/, once. Your own LIBTORCH,
LIBTORCH_USE_PYTORCH and NEUROPIL_DATA are honoured.";

/// One parsed command line.
#[derive(Debug, PartialEq)]
pub enum Command {
    /// `demo`, with arguments for the coordinator.
    Demo(Vec<OsString>),
    /// `test`, with arguments for `cargo test`.
    Test(Vec<OsString>),
    /// `results`, in the short or the full form.
    Results {
        /// Whether to run the demo's whole training.
        full: bool,
    },
    /// `bench`, with a name and options.
    Bench(bench::Options),
    /// `arrows`
    Arrows,
    /// `verify`
    Verify,
    /// `help`, or no arguments.
    Help,
}

/// Parses the arguments after `cargo xtask`.
///
/// # Errors
/// When an argument is not understood; the error is a sentence that names it.
pub fn parse(words: impl IntoIterator<Item = OsString>) -> Result<Command, Failure> {
    let mut words = words.into_iter();
    let name = words.next().unwrap_or_else(|| "help".into());
    let rest: Vec<OsString> = words.collect();
    if rest.first().is_some_and(|word| word == "--help" || word == "-h") {
        return Ok(Command::Help);
    }
    match (name.to_string_lossy().as_ref(), rest.split_first()) {
        ("demo", None) => Ok(Command::Demo(rest)),
        ("demo", Some((dashes, extra))) if dashes == "--" => Ok(Command::Demo(extra.to_vec())),
        ("test", None) => Ok(Command::Test(rest)),
        ("test", Some((dashes, extra))) if dashes == "--" => Ok(Command::Test(extra.to_vec())),
        ("results", None) => Ok(Command::Results { full: false }),
        ("results", Some((flag, []))) if flag == "--full" => Ok(Command::Results { full: true }),
        ("results", _) => Err(refusal("`results` takes --full or nothing")),
        ("bench", Some((name, options))) => bench_options(name, options).map(Command::Bench),
        ("bench", None) => Err(refusal("`bench` takes a name")),
        ("verify", None) => Ok(Command::Verify),
        ("arrows", None) => Ok(Command::Arrows),
        ("help" | "--help" | "-h", None) => Ok(Command::Help),
        ("demo" | "test", Some((word, _))) => {
            Err(refusal(&format!("`{}` stands before the `--` of `{}`", word.display(), name.display())))
        }
        ("verify" | "arrows" | "help", Some(_)) => {
            Err(refusal(&format!("`{}` takes no arguments", name.display())))
        }
        _ => Err(refusal(&format!("there is no command `{}`", name.display()))),
    }
}

fn bench_options(name: &OsStr, words: &[OsString]) -> Result<bench::Options, Failure> {
    let name = name.to_string_lossy().into_owned();
    let mut options = bench::Options { name, rounds: None, against: None };
    for pair in words.chunks(2) {
        match (pair[0].to_string_lossy().as_ref(), pair.get(1)) {
            ("--rounds", Some(number)) => {
                let rounds =
                    number.to_string_lossy().parse().ok().filter(|rounds| (1..=100).contains(rounds));
                options.rounds = Some(rounds.ok_or_else(|| refusal("`--rounds` takes a number up to 100"))?);
            }
            ("--against", Some(folder)) => options.against = Some(folder.into()),
            ("--rounds" | "--against", None) => {
                return Err(refusal(&format!("`{}` takes a value", pair[0].display())));
            }
            (word, _) => return Err(refusal(&format!("`bench` has no option `{word}`"))),
        }
    }
    Ok(options)
}

/// Prints the commands.
///
/// # Errors
/// None. The function has the same type as the other commands.
pub fn help() -> Result<(), Failure> {
    _ = writeln!(stdout(), "{HELP}");
    Ok(())
}

fn refusal(reason: &str) -> Failure {
    Failure::new(CONFIGURATION, format!("{reason}: see `cargo xtask help`"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::PathBuf;

    fn check(line: &str, expected: Option<Command>) {
        assert_eq!(parse(line.split_whitespace().map(OsString::from)).ok(), expected, "{line}");
    }

    #[test]
    fn words_before_the_dashes_are_ours_and_words_after_them_are_passed_on() {
        check("", Some(Command::Help));
        check("verify", Some(Command::Verify));
        check("demo", Some(Command::Demo(vec![])));
        check("demo --help", Some(Command::Help));
        check("demo -- --help", Some(Command::Demo(vec!["--help".into()])));
        check(
            "test -- x -- --nocapture",
            Some(Command::Test(vec!["x".into(), "--".into(), "--nocapture".into()])),
        );
        check("bench", None);
        check("arrows", Some(Command::Arrows));
        check("test x", None);
        check("verify --fast", None);
        check("dome", None);
        check("results", Some(Command::Results { full: false }));
        check("results --full", Some(Command::Results { full: true }));
        check("results --long", None);
    }

    #[test]
    fn a_bench_has_a_name_and_options() {
        let bench = |name: &str, rounds, against: Option<&str>| {
            let against = against.map(PathBuf::from);
            Some(Command::Bench(bench::Options { name: name.into(), rounds, against }))
        };
        check("bench memory", bench("memory", None, None));
        check("bench pipeline --against a/b --rounds 3", bench("pipeline", Some(3), Some("a/b")));
        check("bench pipeline --rounds", None);
        check("bench pipeline --rounds 0", None);
        check("bench pipeline --laps 3", None);
    }
}
