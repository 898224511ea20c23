//! The words that `cargo xtask` understands.

use crate::bench::{Bench, Name, Options};
use crate::fuzz;
use crate::release::Profile;
use crate::run::{CONFIGURATION, Failure};
use crate::test::Test;
use std::ffi::OsString;
use std::path::PathBuf;

/// What the commands are.
pub const HELP: &str = "\
Usage: cargo xtask COMMAND

  demo [-- ARGS]   set up what is missing, build, and train the example network in five local
                   processes; ARGS go to `coordinator train`, as in `-- --set train.epochs=1`
  test [--minutes N] [-- ARGS]
                   set up what is missing and run all tests; ARGS go to `cargo test`; once N minutes have
                   passed, of the tests that start programs only the most important run
  dist [--cuda] [--tests]
                   pack both programs and libtorch as a folder that runs wherever it lies, and as a tar,
                   in target/dist/; for a GPU without libtorch, which PyTorch brings there; with --tests
                   the programs that the tests have built
  cuda             fetch PyTorch's libraries for CUDA (2.7 GB; your own folder of them in NEUROPIL_CUDA) and run
                   the tests of GPUs: the sentences where there is no driver, and training where there is a GPU
  image            make the container image's root file system in a folder (debootstrap), and run the
                   tests' programs in it as a cluster does: PID 1, another user, read-only, no HOME (root)
  results [--full] train every rule with three seeds, search the matrix of the primitives, and fill
                   the tables of docs/results.md: under an hour on two cores, or with the demo's
                   whole training; what was trained before is not trained again
  results --speed [--rounds N] [--short] [--programs DIR]
                   run every bench of speed, and fill its table of docs/results.md
  results --asynchronous
                   train six rules with three seeds under schedules that flush and that do not, with and without each
                   remedy for delays, and fill two tables of docs/results.md: some three hours on two cores; what was
                   trained before is not trained again
  results --plan   predict large networks on many GPUs, and fill their table of docs/imagenet.md
  fuzz [--runs N]  build every decoder with a fuzzer, and run 200,000 inputs through each, or N; installs
                   cargo-fuzz where it is missing
  bench NAME [--rounds N] [--short] [--write] [--programs DIR]
                   measure by turns beside a reference: five rounds, or N; --short is one round of fewer
                   steps, and --write puts the table into docs/results.md; DIR holds programs that are measured
                   as they are, and examples/ beside them, in place of a release build. The benches:
    asynchronous   asynchronous training beside 1F1B, zero bubble and the limit of this host, and the share of time
                   in which stages compute on two hosts with a delay between them (network namespaces, as root)
    cuts           ResNet-18 of width 16 on 2, 5, 10 and 21 nodes
    input          decode, crop and flip photographs with this build, with its feature turbojpeg (which takes
                   cmake and nasm to build) and with torchvision; then train on 100,000 of them, and compare the
                   coordinator's memory at the end with that at the beginning
    memory         train 2,000 small steps over five nodes and compare their memory at the end with
                   that at the beginning, and with what `coordinator plan` predicts; takes no option but --programs
    pipeline [--against DIR]
                   train two networks with this build and with PyTorch; DIR holds the programs of another
                   build to compare with as well
    precision      ResNet-18 in bf16, computed and sent, beside f32
    rules          the demo's network under each rule that learns B, beside backprop
    shared_memory  a link through shared memory to another process, beside copies within one thread
    stages         a deep narrow network in 1 to 64 stages: its speed, what the coordinator takes, and how long
                   start and end take
    start          a run's start and end beside those of as many bare layer nodes
    step           a step of one node in process beside a plain loop of torch
    tls            train two networks over TLS and in plaintext, and start one of 21 stages
    wire           a link over loopback beside TCP, in plaintext and over TLS
  hosts [--full]   prove locality from outside: train on three hosts of this machine (network namespaces,
                   so as root; else on loopback) in plaintext, and have every captured packet explained
                   by a decoder that shares nothing with the programs; then over TLS, and among
                   strangers; then with W and B of every layer on two hosts, six in all; a few steps,
                   or more
  hosts leaks      train there with a node that leaks a weight, in ten ways by turns, and print which
                   leak is caught by the audit, by the captures, and by the firewall
  hosts readme     run the README's section on three hosts as it is written, on network namespaces (root)
  hosts wires [--short]
                   train on network namespaces whose wires are slow, long, lose packets, are cut and
                   come back, and fill two tables of docs/results.md (root; seven minutes on two cores);
                   the short form cuts one wire and goes on, within a minute
  photographs [--compare]
                   put photographs into data/, as class folders and as tar shards: tiles of twelve pictures
                   of Debian's package mate-backgrounds; or compare as well what becomes of them here with
                   what becomes of them in torchvision
  manifests        render every overlay of deploy/ by kustomize, and check what comes out: against the schemas of
                   Kubernetes, as far as custom resources and queries go, and by tests of what fits what
  pods [--root DIR]
                   run the rendered overlays demo and jobset, and one of split stages, on this machine,
                   each pod in a network namespace (so as root; else their policies are checked alone),
                   with what their manifests say: trained to the end, started in reverse, pods killed,
                   lost and drained, strangers refused, and the same bits; DIR is an image's root, by
                   deploy/image-root.sh, in place of this machine's system
  verify [--quick] formatting, clippy and documentation with warnings denied, the directions of
                   imports, and dependencies; --quick leaves out clippy and documentation, which compile
  arrows           print how modules and crates import each other, as ARCHITECTURE.md lists it

Set-up puts libtorch into .libtorch/ and Fashion-MNIST into data/, once. Your own LIBTORCH,
LIBTORCH_USE_PYTORCH and NEUROPIL_DATA are honoured.";

/// How often a bench measures everything.
const ROUNDS: usize = 5;

/// One command line, understood. Words that are passed on go to the coordinator or to `cargo test`.
#[derive(Debug, PartialEq)]
pub enum Command {
    Demo(Vec<OsString>),
    Test(Test),
    Dist { profile: Profile, cuda: bool },
    Cuda,
    Image,
    Results { full: bool },
    Speed(Options),
    Plan,
    ResultsAsynchronous,
    Fuzz { runs: u64 },
    Bench(Bench),
    Hosts { full: bool },
    Leaks,
    Readme,
    Wires { full: bool },
    Manifests,
    Photographs { compare: bool },
    Pods { image: Option<PathBuf> },
    Arrows,
    Verify { quick: bool },
    Help,
}

/// Understands the words after `cargo xtask`, or says which it does not.
pub fn parse(words: impl IntoIterator<Item = OsString>) -> Result<Command, Failure> {
    let words: Vec<OsString> = words.into_iter().collect();
    let text: Vec<_> = words.iter().map(|word| word.to_string_lossy()).collect();
    let text: Vec<&str> = text.iter().map(AsRef::as_ref).collect();
    let extra = || words.iter().skip(2).cloned().collect();
    match text[..] {
        [] | ["help" | "--help" | "-h"] | [_, "--help" | "-h", ..] => Ok(Command::Help),
        ["demo"] | ["demo", "--", ..] => Ok(Command::Demo(extra())),
        ["demo", word, ..] => Err(refusal(&format!("`{word}` stands before the `--` of `demo`"))),
        ["test", ..] => test(&words[1..]),
        ["dist", ..] => dist(&text[1..]),
        ["cuda"] => Ok(Command::Cuda),
        ["image"] => Ok(Command::Image),
        ["results"] => Ok(Command::Results { full: false }),
        ["results", "--full"] => Ok(Command::Results { full: true }),
        ["results", "--speed", ..] => Ok(Command::Speed(options(&words[2..], SHORT)?)),
        ["results", "--plan"] => Ok(Command::Plan),
        ["results", "--asynchronous"] => Ok(Command::ResultsAsynchronous),
        ["results", ..] => Err(refusal("`results` takes --full, --asynchronous, --speed, --plan or nothing")),
        ["fuzz"] => Ok(Command::Fuzz { runs: fuzz::RUNS }),
        ["fuzz", "--runs", number] => match number.parse() {
            Ok(runs @ 1..) => Ok(Command::Fuzz { runs }),
            _ => Err(refusal("`--runs` takes a number from 1")),
        },
        ["fuzz", ..] => Err(refusal("`fuzz` takes --runs N or nothing")),
        ["bench"] => Err(refusal("`bench` takes a name")),
        ["bench", name, ..] => bench(name, &words[2..]),
        ["hosts"] => Ok(Command::Hosts { full: false }),
        ["hosts", "--full"] => Ok(Command::Hosts { full: true }),
        ["hosts", "leaks"] => Ok(Command::Leaks),
        ["hosts", "readme"] => Ok(Command::Readme),
        ["hosts", "leaks", ..] => Err(refusal("`hosts leaks` takes no options")),
        ["hosts", "wires"] => Ok(Command::Wires { full: true }),
        ["hosts", "wires", "--short"] => Ok(Command::Wires { full: false }),
        ["hosts", "wires", ..] => Err(refusal("`hosts wires` takes --short or nothing")),
        ["hosts", ..] => Err(refusal("`hosts` takes --full or nothing")),
        ["manifests"] => Ok(Command::Manifests),
        ["photographs"] => Ok(Command::Photographs { compare: false }),
        ["photographs", "--compare"] => Ok(Command::Photographs { compare: true }),
        ["photographs", ..] => Err(refusal("`photographs` takes --compare or nothing")),
        ["pods"] => Ok(Command::Pods { image: None }),
        ["pods", "--root", _] => Ok(Command::Pods { image: Some(PathBuf::from(&words[2])) }),
        ["pods", ..] => Err(refusal("`pods` takes --root DIR or nothing")),
        ["verify"] => Ok(Command::Verify { quick: false }),
        ["verify", "--quick"] => Ok(Command::Verify { quick: true }),
        ["verify", ..] => Err(refusal("`verify` takes --quick or nothing")),
        ["arrows"] => Ok(Command::Arrows),
        [name @ ("cuda" | "image" | "manifests" | "arrows" | "help"), ..] => {
            Err(refusal(&format!("`{name}` takes no arguments")))
        }
        [name, ..] => Err(refusal(&format!("there is no command `{name}`"))),
    }
}

fn test(options: &[OsString]) -> Result<Command, Failure> {
    let mut test = Test::default();
    let mut rest = options.iter();
    while let Some(option) = rest.next() {
        match option.to_string_lossy().as_ref() {
            "--minutes" => {
                let number = rest.next().and_then(|number| number.to_str()?.parse().ok());
                test.minutes = Some(number.ok_or_else(|| refusal("`--minutes` takes a number"))?);
            }
            "--" => test.extra = rest.by_ref().cloned().collect(),
            word => return Err(refusal(&format!("`{word}` stands before the `--` of `test`"))),
        }
    }
    Ok(Command::Test(test))
}

fn dist(options: &[&str]) -> Result<Command, Failure> {
    let (mut profile, mut cuda) = (Profile::Release, false);
    for option in options {
        match *option {
            "--cuda" => cuda = true,
            "--tests" => profile = Profile::Tests,
            _ => return Err(refusal("`dist` takes --cuda, --tests or nothing")),
        }
    }
    Ok(Command::Dist { profile, cuda })
}

/// The options of most benches.
const SHORT: &[&str] = &["--rounds", "--short", "--programs"];

fn bench(word: &str, words: &[OsString]) -> Result<Command, Failure> {
    let Some(&(_, name)) = Name::ALL.iter().find(|(known, _)| *known == word) else {
        let known: Vec<&str> = Name::ALL.iter().map(|(known, _)| *known).collect();
        let sentence = format!("there is no bench `{word}`: choose one of {}", known.join(", "));
        return Err(Failure::new(CONFIGURATION, sentence));
    };
    let known: &[&str] = match name {
        Name::Memory => &["--programs"],
        // It measures builds with several features, which no one folder holds.
        Name::Input => &["--rounds"],
        Name::Tls => &["--rounds", "--programs"],
        Name::Pipeline => &["--rounds", "--short", "--write", "--programs", "--against"],
        Name::Asynchronous
        | Name::Cuts
        | Name::Precision
        | Name::Rules
        | Name::SharedMemory
        | Name::Stages
        | Name::Start
        | Name::Step
        | Name::Wire => &["--rounds", "--short", "--write", "--programs"],
    };
    Ok(Command::Bench(Bench { name, options: options(words, known)? }))
}

/// The options of a bench, of those that it knows.
fn options(words: &[OsString], known: &[&str]) -> Result<Options, Failure> {
    let (mut often, mut is_short, mut writes) = (None, false, false);
    let (mut against, mut programs) = (None, None);
    let mut words = words.iter();
    while let Some(word) = words.next() {
        let word = word.to_string_lossy();
        let option = known.iter().find(|known| **known == word);
        let mut value = || words.next().ok_or_else(|| refusal(&format!("`{word}` takes a value")));
        match option.copied() {
            Some("--rounds") => often = Some(rounds(&value()?.to_string_lossy())?),
            Some("--against") => against = Some(value()?.into()),
            Some("--programs") => programs = Some(value()?.into()),
            Some("--short") => is_short = true,
            Some("--write") => writes = true,
            _ => return Err(refusal(&format!("this takes no options but {}", known.join(", ")))),
        }
    }
    let rounds = often.unwrap_or(if is_short { 1 } else { ROUNDS });
    Ok(Options { rounds, is_short, writes, against, programs })
}

fn rounds(number: &str) -> Result<usize, Failure> {
    let number = number.parse().ok().filter(|number| (1..=100).contains(number));
    number.ok_or_else(|| refusal("`--rounds` takes a number up to 100"))
}

fn refusal(reason: &str) -> Failure {
    Failure::new(CONFIGURATION, format!("{reason}: see `cargo xtask help`"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(line: &str, expected: Option<Command>) {
        assert_eq!(parse(line.split_whitespace().map(OsString::from)).ok(), expected, "{line}");
    }

    #[test]
    fn words_before_the_dashes_are_ours_and_words_after_them_are_passed_on() {
        check("", Some(Command::Help));
        check("verify", Some(Command::Verify { quick: false }));
        check("verify --quick", Some(Command::Verify { quick: true }));
        check("demo", Some(Command::Demo(vec![])));
        check("demo --help", Some(Command::Help));
        check("demo -- --help", Some(Command::Demo(vec!["--help".into()])));
        let test = |minutes, words: &[&str]| {
            let extra = words.iter().map(OsString::from).collect();
            Some(Command::Test(Test { minutes, extra }))
        };
        check("test", test(None, &[]));
        check("test -- x -- --nocapture", test(None, &["x", "--", "--nocapture"]));
        check("test --minutes 50", test(Some(50), &[]));
        check("test --minutes -- x", None);
        check("bench", None);
        check("arrows", Some(Command::Arrows));
        check("test x", None);
        check("verify --fast", None);
        check("manifests", Some(Command::Manifests));
        check("manifests demo", None);
        check("dome", None);
        check("results", Some(Command::Results { full: false }));
        check("results --full", Some(Command::Results { full: true }));
        check("results --plan", Some(Command::Plan));
        check("results --asynchronous", Some(Command::ResultsAsynchronous));
        check("results --long", None);
        check("dist", Some(Command::Dist { profile: Profile::Release, cuda: false }));
        check("dist --tests --cuda", Some(Command::Dist { profile: Profile::Tests, cuda: true }));
        check("dist --debug", None);
        check("cuda", Some(Command::Cuda));
        check("cuda x", None);
        check("image", Some(Command::Image));
        check("image --full", None);
        check("hosts", Some(Command::Hosts { full: false }));
        check("hosts --full", Some(Command::Hosts { full: true }));
        check("hosts --long", None);
        check("hosts leaks", Some(Command::Leaks));
        check("hosts readme", Some(Command::Readme));
        check("hosts leaks --full", None);
        check("hosts wires", Some(Command::Wires { full: true }));
        check("hosts wires --short", Some(Command::Wires { full: false }));
        check("hosts wires --long", None);
        check("photographs", Some(Command::Photographs { compare: false }));
        check("photographs --compare", Some(Command::Photographs { compare: true }));
        check("photographs --all", None);
        check("pods", Some(Command::Pods { image: None }));
        check("pods --root a/b", Some(Command::Pods { image: Some("a/b".into()) }));
        check("pods --root", None);
    }

    #[test]
    fn every_bench_has_a_line_of_the_help() {
        for (word, _) in Name::ALL {
            let line = |line: &&str| line.strip_prefix("    ").is_some_and(|line| line.starts_with(word));
            assert_eq!(HELP.lines().filter(line).count(), 1, "{word}");
        }
    }

    #[test]
    fn a_bench_has_a_name_and_options() {
        let bench = |name, rounds, is_short, against: Option<&str>| {
            let against = against.map(PathBuf::from);
            Some(Command::Bench(Bench {
                name,
                options: Options { rounds, is_short, writes: false, against, programs: None },
            }))
        };
        check("bench memory", bench(Name::Memory, 5, false, None));
        check("bench memory --rounds 2", None);
        check("bench pipeline", bench(Name::Pipeline, 5, false, None));
        check("bench pipeline --against a/b --rounds 3", bench(Name::Pipeline, 3, false, Some("a/b")));
        check("bench pipeline --rounds", None);
        check("bench pipeline --rounds 0", None);
        check("bench pipeline --laps 3", None);
        check("bench input --rounds 2", bench(Name::Input, 2, false, None));
        check("bench input --rounds x", None);
        check("bench input --programs a", None);
        check("bench tls", bench(Name::Tls, 5, false, None));
        check("bench tls --rounds", None);
        check("bench tls --against a", None);
        check("bench shared_memory --rounds 2", bench(Name::SharedMemory, 2, false, None));
        check("bench wire --short", bench(Name::Wire, 1, true, None));
        check("bench stages --short", bench(Name::Stages, 1, true, None));
        check("bench stages --short --rounds 3", bench(Name::Stages, 3, true, None));
        check("bench stage", None);
        let programs = Some(PathBuf::from("a/b"));
        let options = Options { rounds: 2, is_short: false, writes: false, against: None, programs };
        check("results --speed --rounds 2 --programs a/b", Some(Command::Speed(options)));
        check("results --speed --programs", None);
        check("results --speed --write", None);
        check("fuzz", Some(Command::Fuzz { runs: 200_000 }));
        check("fuzz --runs 7", Some(Command::Fuzz { runs: 7 }));
        check("fuzz --runs 0", None);
    }
}
