//! `coordinator evaluate`: the accuracy of a saved state as text, JSON and a page, or the classes of single pictures.

use super::Surroundings;
use super::flags::{EvaluateFlags, addresses};
use super::security;
use crate::console::answer;
use crate::prepare::Placement;
use crate::record::files::publish;
use crate::report;
use crate::run::{self, Evaluated, Order};
use crate::run_error::RunError;
use proto::disk::cannot;
use serde::Serialize;
use std::fmt::Display;
use std::path::Path;

/// Carries out the command.
///
/// # Errors
/// Those of [`run::evaluate`] and [`run::classify`], and a page that cannot be written.
pub(super) async fn evaluate(flags: EvaluateFlags) -> Result<(), RunError> {
    let EvaluateFlags { run: run_dir, step, nodes, backward_nodes, tls, overrides, json, html, images } =
        flags;
    if !addresses(backward_nodes).is_empty() {
        return Err(RunError::configuration("an evaluation needs no B: leave --backward-nodes out"));
    }
    let placement = match nodes.is_empty() {
        true => Placement::Local,
        false => security::remote(nodes, Vec::new(), &tls).await?,
    };
    let surroundings = Surroundings::find();
    let environment = &surroundings.environment();
    let order = Order { run_dir: &run_dir, which: step, placement, sets: &overrides, environment };
    if !images.is_empty() {
        return say(&run::classify(order, &images).await?, json);
    }
    let evaluated = run::evaluate(order).await?;
    if let Some(page) = html {
        write(&page, &run_dir, &evaluated)?;
    }
    say(&evaluated.assessment, json)
}

fn say(found: &(impl Display + Serialize), json: bool) -> Result<(), RunError> {
    if json {
        return answer(format_args!("{}\n", serde_json::to_string(found).map_err(RunError::internal)?));
    }
    answer(format_args!("{found}"))
}

fn write(page: &Path, run_dir: &Path, evaluated: &Evaluated) -> Result<(), RunError> {
    let folder = run_dir.canonicalize().unwrap_or_else(|_| run_dir.to_owned());
    let name = folder.file_name().unwrap_or(folder.as_os_str()).to_string_lossy();
    let text = report::render_evaluation(&name, &evaluated.config_toml, &evaluated.assessment);
    publish(page, text.as_bytes())
        .map_err(|error| RunError::internal(cannot("cannot write", page, &error, "give --html another file")))
}

#[cfg(test)]
mod tests {
    use super::super::{Cli, Command};
    use super::*;
    use clap::Parser;

    fn flags(more: &str) -> Option<EvaluateFlags> {
        let line = format!("coordinator evaluate --run r {more}");
        match Cli::try_parse_from(line.split_whitespace()).ok()?.command {
            Command::Evaluate(flags) => Some(flags),
            _ => None,
        }
    }

    #[test]
    fn an_evaluation_has_no_backward_nodes() {
        let flags = flags("--nodes a:1 --backward-nodes b:1").unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let why = runtime.block_on(evaluate(flags)).unwrap_err().sentence;
        assert_eq!(why, "an evaluation needs no B: leave --backward-nodes out");
    }

    #[test]
    fn pictures_have_no_page() {
        assert_eq!(flags("--images a.png b.jpg --json").unwrap().images.len(), 2);
        assert!(flags("--images a.png --html page.html").is_none() && flags("--images").is_none());
    }
}
