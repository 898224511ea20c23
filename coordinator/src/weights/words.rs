//! Sentences about the fit of files to a run, and the name by which nodes know the files.

use super::id::id_of;
use super::{Drawn, DrawnTensor, Fit, Keep, Mark};
use crate::plural::plural;
use proto::state_file::is_name;
use proto::weights::Source;

/// The most layers that a sentence names.
const NAMED: usize = 8;

/// The snapshot that the parts of `source` are: that of a run if the source is the export of its whole state, in one
/// file or in one of each host, and else the state of a run of its own, after 0 updates.
///
/// # Errors
/// A file that is no safetensors file.
pub fn mark(source: &Source, fit: &Fit, keep: Keep) -> Result<Mark, String> {
    let all = source.metadata()?;
    let of_run = |key: &str| {
        let mut said = all.iter().map(|metadata| metadata.get(key));
        let first = said.next()??;
        said.all(|other| other == Some(first)).then(|| first.clone())
    };
    let step = of_run("step").and_then(|step| step.parse().ok());
    Ok(match (of_run("run"), step) {
        (Some(run), Some(updates)) if fit.whole && keep.backward.is_none() && is_name(&run) => {
            Mark { run, updates }
        }
        _ => Mark { run: id_of(source, keep.backward), updates: 0 },
    })
}

/// The sentences about a fit: the numbers of the tensors, their names, and what stays drawn. `shown` names the source.
pub fn remarks(shown: &str, fit: &Fit) -> Vec<String> {
    let taken = plural(fit.taken as u64, "tensor");
    let mut lines = vec![format!("{shown}: {taken} taken, {} not used", fit.unused.len())];
    if !fit.off.is_empty() {
        let off: Vec<String> = fit.off.iter().map(|off| format!("'{}'", off.escape_debug())).collect();
        lines.push(format!("names: taken without {}", off.join(" and ")));
    }
    if !fit.drawn.is_empty() {
        let named: Vec<String> = fit.drawn.iter().take(NAMED).map(layer).collect();
        let more = match fit.drawn.len().saturating_sub(NAMED) {
            0 => String::new(),
            more => format!(", and {}", plural(more as u64, "more layer")),
        };
        lines.push(format!("drawn from the seed: {}{more}", named.join(", ")));
    }
    if !fit.other_backward.is_empty() {
        let named = fit.other_backward.iter().take(NAMED).map(String::as_str).collect::<Vec<_>>().join(", ");
        let more = match fit.other_backward.len().saturating_sub(NAMED) {
            0 => String::new(),
            more => format!(", and {}", plural(more as u64, "more layer")),
        };
        lines.push(format!(
            "B is drawn from the seed in {named}{more}: the file's is that of another kind of rule, or of another shape"
        ));
    }
    lines
}

fn layer(Drawn { layer, tensors }: &Drawn) -> String {
    let tensor = |DrawnTensor { name, here, given }: &DrawnTensor| match given {
        Some(given) => format!("{name} {here:?}, which is {given:?} in the file"),
        None => format!("{name} {here:?}"),
    };
    format!("{layer} ({})", tensors.iter().map(tensor).collect::<Vec<_>>().join("; "))
}
