//! `coordinator split`: a file of weights becomes a file for each node of a configuration, which the user copies there.

use super::id::id_of;
use super::{Backward, Fit, Keep, Mark, Source, mark, remarks};
use crate::columns::aligned;
use crate::config::Config;
use crate::prepare::{self, RunStart, file_stem, nodes};
use crate::run_error::RunError;
use proto::disk::cannot;
use proto::host::Bytes;
use proto::link::Role;
use proto::spec::input::InputSpec;
use proto::spec::stage::StageSpec;
use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};

/// The order to split files.
pub struct SplitOptions<'a> {
    /// The files, all of one network.
    pub files: &'a [PathBuf],
    /// The B in place of the files'.
    pub backward: Option<Backward>,
    /// The folder of the parts.
    pub out: &'a Path,
    /// Whether the tensors that are not used are listed.
    pub verbose: bool,
}

/// Writes the part of each node of `config` into a folder. Returns what the user reads.
///
/// # Errors
/// Files that do not fit, or a folder that cannot be written.
pub fn split(config: &Config, options: &SplitOptions<'_>) -> Result<String, RunError> {
    let SplitOptions { files, backward, out, verbose } = *options;
    let specs = specs(config)?;
    let source = Source::read(files).map_err(RunError::configuration)?;
    let all = Keep { optimizer: true, backward, finite: true };
    let fit = Fit::of(&source, &specs, all).map_err(RunError::configuration)?;
    let mark = mark(&source, &fit, all).map_err(RunError::configuration)?;
    let whole = mark.run != id_of(&source, backward);
    // The optimizers' state belongs to the run that goes on, and not to a new one.
    let fit = match whole {
        true => fit,
        false => {
            Fit::of(&source, &specs, Keep { optimizer: false, ..all }).map_err(RunError::configuration)?
        }
    };
    write(&fit, &mark, out)?;
    let mut said = table(&fit);
    remarks(&source.shown(), &fit).iter().for_each(|line| _ = writeln!(said, "{line}"));
    if verbose {
        fit.unused.iter().for_each(|name| _ = writeln!(said, "not used: {}", name.escape_debug()));
    }
    said += &next(&fit, &mark, whole, options);
    Ok(said)
}

/// The nodes of `config`, as far as their state depends on it: no data is opened where the configuration says the shape
/// of an image.
fn specs(config: &Config) -> Result<Vec<StageSpec>, RunError> {
    let (network, _) = prepare::network(config)?;
    let ranges = prepare::cut(config, &network)?;
    let channels = network.input.shape.first().map_or(1, |channels| *channels as usize);
    let start = RunStart { run: "", incarnation: 1, restore: None, begin: None };
    let stages = prepare::stages(config, &network, &InputSpec::plain(channels), &ranges, [1, 1], start)?;
    Ok(nodes(&stages))
}

fn write(fit: &Fit, mark: &Mark, out: &Path) -> Result<(), RunError> {
    let unwritable = |path: &Path, error| {
        RunError::internal(cannot("cannot write", path, &error, "give --out another folder"))
    };
    fs::create_dir_all(out).map_err(|error| unwritable(out, error))?;
    for part in &fit.parts {
        let file = out.join(file_of(part.role));
        part.write(&file, mark).map_err(|error| unwritable(&file, error))?;
    }
    Ok(())
}

fn file_of(role: Role) -> String {
    format!("{}.safetensors", file_stem(role))
}

fn table(fit: &Fit) -> String {
    let rows = fit.parts.iter().map(|part| {
        let size = Bytes(part.bytes() as u64).to_string();
        vec![file_of(part.role), part.tensors.len().to_string(), part.drawn.len().to_string(), size]
    });
    aligned(&["file"], &["tensors", "drawn", "size"], rows.collect())
}

/// The id, and the commands that come next.
fn next(fit: &Fit, mark: &Mark, whole: bool, options: &SplitOptions<'_>) -> String {
    let Mark { run, updates } = mark;
    let backward = fit.parts.iter().any(|part| matches!(part.role, Role::Backward(_)));
    let nodes = if backward { "--nodes … --backward-nodes …" } else { "--nodes …" };
    let first = fit.parts.first().map_or_else(String::new, |part| file_of(part.role));
    let out = options.out.display();
    let mut said = format!(
        "next, for each node: copy its file in {out} to its host, and there layer-node import --state-dir STATE {first}\n"
    );
    let _ = match whole {
        true => writeln!(
            said,
            "state of run {run} after {updates} updates, whole: then coordinator train --config FILE --run-dir DIR --resume auto {nodes} goes on with that run, and coordinator train --config FILE --init {run} {nodes} begins a new one"
        ),
        false => {
            let backward = options.backward.map_or_else(String::new, |of| format!(" --backward {of}"));
            writeln!(said, "id {run}: then coordinator train --config FILE --init {run}{backward} {nodes}")
        }
    };
    said
}
