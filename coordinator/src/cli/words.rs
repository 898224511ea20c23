//! The refusal of a command line, in one sentence: what clap says, or the key of the configuration that was meant.

use super::Cli;
use crate::config::{self, Advice};
use crate::nearest::is_near;
use crate::run::settable;
use clap::CommandFactory;
use clap::error::{ContextKind, ContextValue, ErrorKind};

/// The sentence for `error`, the refusal of the arguments `given`.
pub(super) fn refusal(mut error: clap::Error, given: impl Iterator<Item = String>) -> String {
    if let Some(advice) = key_of_configuration(&error, given) {
        return advice;
    }
    drop_far_guess(&mut error);
    let text = error.render().to_string();
    let said: Vec<&str> = text.lines().take_while(|line| !line.starts_with("Usage")).map(str::trim).collect();
    let said = said.join(" ");
    format!("{} (see coordinator --help)", said.trim().trim_start_matches("error: "))
}

/// The advice about an unknown flag that is the name of a key, in a command that takes --set.
fn key_of_configuration(error: &clap::Error, mut given: impl Iterator<Item = String>) -> Option<String> {
    let flag = unknown_flag(error)?;
    let program = Cli::command();
    let command = given.find_map(|word| program.find_subcommand(word))?;
    command.get_arguments().find(|argument| argument.get_long() == Some("set"))?;
    // An evaluation sets only some keys.
    let takes = |name: &str| command.get_name() != "evaluate" || settable().any(|key| key == name);
    match config::key_meant(bare(&flag))? {
        Advice::Meant(names, _) if !names.iter().all(|name| takes(name)) => None,
        Advice::Meant(names, remark) => {
            let sets: Vec<String> = names.iter().map(|name| format!("--set {name}=VALUE")).collect();
            let sets = config::either(&sets);
            Some(format!("there is no flag {flag}: did you mean {sets}{remark}?"))
        }
        absent => Some(format!("there is no flag {flag}: {}", absent.phrase('\''))),
    }
}

/// Takes away clap's guess where it is a different word, as is `--set` for `--seeds`.
fn drop_far_guess(error: &mut clap::Error) {
    let near = match (unknown_flag(error), error.get(ContextKind::SuggestedArg)) {
        (Some(flag), Some(ContextValue::String(guess))) => is_near(bare(&flag), bare(guess)),
        _ => true,
    };
    if !near {
        error.remove(ContextKind::SuggestedArg);
    }
}

fn bare(flag: &str) -> &str {
    flag.trim_start_matches('-')
}

/// The flag that no command, or not this command, has.
fn unknown_flag(error: &clap::Error) -> Option<String> {
    match (error.kind(), error.get(ContextKind::InvalidArg)) {
        (ErrorKind::UnknownArgument, Some(ContextValue::String(flag))) if flag.starts_with("--") => {
            Some(flag.clone())
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    fn said(line: &str) -> String {
        let given = || line.split(' ').map(str::to_owned);
        let error =
            Cli::try_parse_from(std::iter::once("coordinator".to_owned()).chain(given())).unwrap_err();
        refusal(error, given())
    }

    #[test]
    fn a_flag_that_is_a_key_is_told_as_a_key() {
        let train = |flags: &str| said(&format!("train --config a.toml --local {flags}"));
        assert_eq!(train("--epochs 3"), "there is no flag --epochs: did you mean --set train.epochs=VALUE?");
        assert_eq!(
            train("--batch-size=64"),
            "there is no flag --batch-size: did you mean --set train.batch=VALUE?"
        );
        assert_eq!(train("--seed 3"), "there is no flag --seed: did you mean --set seed=VALUE?");
        assert_eq!(
            train("--optimizer.lr 3"),
            "there is no flag --optimizer.lr: did you mean --set optimizer.lr=VALUE?"
        );
        assert!(
            train("--gpus 2").starts_with("there is no flag --gpus: did you mean --set node.device=VALUE, ")
        );
        assert!(said("plan --config a.toml --lr 1").contains("--set optimizer.lr=VALUE"));
        assert!(said("evaluate --run a --data.path b").contains("--set data.path=VALUE"));
    }

    #[test]
    fn a_slip_finds_its_flag_and_another_word_finds_none() {
        let near = said("train --config a.toml --locl");
        assert!(near.contains("--locl") && near.contains("'--local'"), "{near}");
        for far in
            ["train --config a.toml --sett", "train --config a.toml --zebra 3", "evaluate --run a --epochs 3"]
        {
            let said = said(far);
            assert!(!said.contains("--set ") && said.ends_with("(see coordinator --help)"), "{said}");
        }
        let seeds = said("train --config a.toml --seats 1");
        assert!(!seeds.contains("'--set'"), "{seeds}");
    }
}
