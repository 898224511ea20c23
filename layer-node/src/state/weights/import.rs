//! The command `layer-node import`: the tensors of safetensors files replace the tensors that nodes keep.
//!
//! A node's newest snapshot defines the node's names, shapes and number format. The new snapshot replaces it, and
//! differs only in the tensors that the files have: it is still of the same run, after the same updates. It says in
//! its metadata that weights were imported, so that a coordinator does not compare it with what was measured before.

use super::atomic_file::{Beside, put_all};
use super::count;
use super::nodes::{Nodes, NodesFlags, Owned, described};
use super::part::Part;
use crate::state::checkpoint;
use clap::Args;
use proto::weights::{Compared, Given, Source, Unfit, compare, converted};
use safetensors::tensor::{Dtype, TensorView};
use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::path::PathBuf;

/// Flags of `layer-node import`.
#[derive(Args, Debug)]
pub struct ImportFlags {
    /// Into which.
    #[command(flatten)]
    pub nodes: NodesFlags,
    /// Leave the layers as they are that IN does not have or has in other shapes, and say which
    #[arg(long)]
    pub partial: bool,
    /// Import NaN and infinite numbers as well
    #[arg(long)]
    pub allow_not_finite: bool,
    /// List the tensors that are not used, those that are kept, and why
    #[arg(long)]
    pub verbose: bool,
    /// The safetensors file to read, or all files of one network: an export, or a state dict of torchvision's; or the
    /// one file that coordinator split made for this node, which becomes a snapshot of its own
    #[arg(value_name = "IN", required = true)]
    pub inputs: Vec<PathBuf>,
}

/// New numbers by name, in the format of the node's tensor.
type Numbers<'a> = BTreeMap<&'a str, Cow<'a, [u8]>>;

/// Replaces the nodes' tensors by those of the files. B and the optimizers' state stay if the files do not have them.
/// The part that was cut for one node becomes a snapshot of its own instead. Returns a summary in one line, and what
/// else is to be said in further lines.
///
/// # Errors
/// When the files do not fit the nodes, or the disk operation fails; the error is one sentence, and all nodes keep
/// their old snapshots.
pub fn import(flags: &ImportFlags) -> Result<String, String> {
    let files = Source::read(&flags.inputs)?;
    if let Some(part) = Part::of(&files, &flags.inputs)? {
        return part.place(&flags.nodes);
    }
    let nodes = Nodes::open_to_change(&flags.nodes)?;
    let owned = nodes.tensors()?;
    let described = described(&owned);
    let given = files.tensors(|name| owned.contains_key(name))?;
    let compared = compare(&given.tensors, &described).map_err(|why| format!("{} {why}", files.shown()))?;
    if let Some(refusal) = refusal(&compared, &given, flags.partial) {
        return Err(format!("{} {refusal}", files.shown()));
    }
    let numbers = numbers(&compared, &given, &owned, flags.allow_not_finite);
    let numbers = numbers.map_err(|why| format!("{} {why}", files.shown()))?;
    let served = nodes.served();
    replace(&nodes, &numbers, &owned, &files.name())?;
    let mut lines = told(&files, &nodes, &given, &owned, &compared);
    if flags.verbose {
        lines += &listed(&compared);
    }
    for folder in served.used {
        let _ = writeln!(
            lines,
            "in use: {}, by a layer-node, which takes these weights only when the run is resumed",
            folder.display()
        );
    }
    Ok(lines)
}

/// The reason why the files do not fit the nodes: the end of a sentence.
fn refusal(compared: &Compared, given: &Given, partial: bool) -> Option<String> {
    let unfit: Vec<&Unfit> = compared.unfit.values().flatten().collect();
    if compared.taken.is_empty() && (unfit.is_empty() || partial) {
        return Some(match unfit.first() {
            Some(first) => format!("has no tensor that fits these nodes: {}", shapes(first)),
            None => {
                format!("has no tensor that these nodes have: it is of another network{}", example(compared))
            }
        });
    }
    if let Some(first) = unfit.first().filter(|_| !partial) {
        let layers = compared.unfit.keys().map(|layer| format!("'{layer}'")).collect::<Vec<_>>().join(", ");
        return Some(format!(
            "does not fit: {}{}: --partial leaves as it is what has another shape ({layers})",
            shapes(first),
            others(unfit.len() - 1)
        ));
    }
    let first = compared.missing.first().filter(|_| !partial)?;
    // A name in another spelling tells more than the first one.
    let near = |missing: &str| given.tensors.keys().find(|name| name.eq_ignore_ascii_case(missing));
    let near = compared.missing.iter().find_map(|missing| Some((&missing.name, near(&missing.name)?)));
    let named = near.map_or_else(
        || format!("'{}'", first.name),
        |(missing, name)| format!("'{missing}' (it has '{}')", name.escape_debug()),
    );
    let more = others(compared.missing.len() - 1);
    Some(format!("lacks {named}{more}: --partial leaves as it is what the file does not have"))
}

fn others(count: usize) -> String {
    if count == 0 { String::new() } else { format!(" and {count} more") }
}

fn shapes(Unfit { name, here, given }: &Unfit) -> String {
    format!("'{name}' is {given:?} in the file and {here:?} in the node")
}

/// A name of the file and one of the nodes, where they have none in common.
fn example(compared: &Compared) -> String {
    match (compared.foreign.first(), compared.missing.first()) {
        (Some(foreign), Some(missing)) => {
            format!(" (it has '{}', they have '{}')", foreign.escape_debug(), missing.name)
        }
        _ => String::new(),
    }
}

/// The numbers of the tensors that are taken.
fn numbers<'a>(
    compared: &Compared<'a>,
    given: &Given<'a>,
    owned: &BTreeMap<String, Owned>,
    allow_not_finite: bool,
) -> Result<Numbers<'a>, String> {
    let (mut numbers, mut wrong) = (Numbers::new(), Vec::new());
    for name in compared.taken.iter().map(|taken| taken.name.as_str()) {
        let format = owned[name].view.dtype();
        let (bytes, not_finite) = converted(&given.tensors[name], format)
            .map_err(|error| format!("cannot be converted at '{name}': {error}"))?;
        wrong.extend(not_finite.map(|found| format!("'{name}', of which {found}")));
        numbers.insert(name, bytes);
    }
    match wrong.first() {
        Some(first) if !allow_not_finite => Err(format!(
            "holds {first}{}: repair the file, or take it as it is with --allow-not-finite",
            others(wrong.len() - 1)
        )),
        _ => Ok(numbers),
    }
}

/// Writes a new snapshot for every node with replaced tensors, and puts them in place once all are written. `from`
/// names the imported files.
fn replace(
    nodes: &Nodes,
    numbers: &Numbers,
    owned: &BTreeMap<String, Owned>,
    from: &str,
) -> Result<(), String> {
    let changed: BTreeSet<usize> = numbers.keys().map(|name| owned[*name].node).collect();
    let mut written = Vec::with_capacity(changed.len());
    for node in changed {
        let snapshot = &nodes.snapshots[node];
        let failed =
            |error: &dyn std::fmt::Display| format!("cannot encode {}: {error}", snapshot.path().display());
        let mut metadata = snapshot.metadata().map_err(|error| error.to_string())?;
        metadata.insert(checkpoint::IMPORTED.to_owned(), from.to_owned());
        let mut views = Vec::new();
        for (name, Owned { view, .. }) in owned.iter().filter(|(_, owned)| owned.node == node) {
            let bytes = numbers.get(name.as_str()).map_or(view.data(), |bytes| &bytes[..]);
            let new = TensorView::new(view.dtype(), view.shape().to_vec(), bytes);
            views.push((name.as_str(), new.map_err(|error| failed(&error))?));
        }
        checkpoint::seal(&mut metadata, views.iter().map(|(_, view)| view.data()));
        let bytes = safetensors::serialize(views, Some(metadata)).map_err(|error| failed(&error))?;
        written.push(Beside::write(snapshot.path(), &bytes, "")?);
    }
    put_all(written)
}

/// The summary, in one line.
fn told(
    files: &Source,
    nodes: &Nodes,
    given: &Given,
    owned: &BTreeMap<String, Owned>,
    compared: &Compared,
) -> String {
    let unfit: usize = compared.unfit.values().map(Vec::len).sum();
    let mut line = format!(
        "{}: {} taken, {} not used, {} kept, in {} of run {} after {} updates",
        files.shown(),
        count(compared.taken.len(), "tensor"),
        compared.foreign.len(),
        owned.len() - compared.taken.len(),
        count(nodes.snapshots.len(), "node"),
        nodes.run(),
        nodes.updates()
    );
    if !given.off.is_empty() {
        let off = given.off.iter().map(|off| format!("'{}'", off.escape_debug())).collect::<Vec<_>>();
        let _ = write!(line, "; names without {}", off.join(" and "));
    }
    for (from, to, tensors) in conversions(given, owned, compared) {
        let _ = write!(line, "; {} converted from {from} to {to}", count(tensors, "tensor"));
    }
    if unfit + compared.missing.len() > 0 {
        let _ = write!(
            line,
            "; {} of other shapes and {} not in the file (--verbose lists them)",
            unfit,
            compared.missing.len()
        );
    }
    line + "\n"
}

/// The tensors that are kept and those that are not used, in a line each.
fn listed(compared: &Compared) -> String {
    let mut lines = String::new();
    if compared.kept > 0 {
        let kept = count(compared.kept, "tensor");
        let _ =
            writeln!(lines, "kept: {kept} of backward weights and optimizers, which the file does not have");
    }
    for (layer, unfit) in &compared.unfit {
        let unfit: Vec<String> = unfit.iter().map(shapes).collect();
        let _ = writeln!(lines, "kept: {layer}, all of it: {}", unfit.join(", "));
    }
    for missing in &compared.missing {
        let _ = writeln!(lines, "kept: {}, which the file does not have", missing.name);
    }
    for name in &compared.foreign {
        let _ = writeln!(lines, "not used: {}, which none of these nodes has", name.escape_debug());
    }
    lines
}

/// The number of converted tensors for each pair of formats.
fn conversions(
    given: &Given,
    owned: &BTreeMap<String, Owned>,
    compared: &Compared,
) -> Vec<(Dtype, Dtype, usize)> {
    let mut found: Vec<(Dtype, Dtype, usize)> = Vec::new();
    for name in compared.taken.iter().map(|taken| taken.name.as_str()) {
        let (from, to) = (given.tensors[name].dtype(), owned[name].view.dtype());
        match found.iter_mut().find(|(a, b, _)| (*a, *b) == (from, to)) {
            _ if from == to => {}
            Some((.., tensors)) => *tensors += 1,
            None => found.push((from, to, 1)),
        }
    }
    found
}
