//! `coordinator bench`: measures nodes and links, and writes the file that `plan --rates` believes.

use super::flags::{BackwardFlags, ConfigFlags, PlaceFlags};
use super::{load, placement};
use crate::config::read_file;
use crate::console::answer;
use crate::partition::Figures;
use crate::prepare::Prepared;
use crate::record::files::publish;
use crate::run;
use crate::run_error::RunError;
use clap::Args;
use proto::disk::cannot;
use proto::transport::tls::TlsFlags;
use std::path::{Path, PathBuf};
use std::{fs, io};

/// The key that every file of figures has.
const FIGURES: &str = "neuropil_rates";
/// The advice for a file that cannot be written.
const ANOTHER: &str = "give --out another file";

#[derive(Args, Debug)]
pub(super) struct BenchFlags {
    #[command(flatten)]
    config: ConfigFlags,
    #[command(flatten)]
    place: PlaceFlags,
    #[command(flatten)]
    tls: TlsFlags,
    /// Write the figures for plan --rates
    #[arg(long, value_name = "FILE.toml")]
    out: Option<PathBuf>,
}

/// Measures the nodes, prints a table, and writes the file.
///
/// # Errors
/// The failure of [`run::gauge`], or a file that cannot be written.
pub(super) async fn bench(flags: BenchFlags) -> Result<(), RunError> {
    let config = load(&flags.config)?;
    flags.out.as_deref().map_or(Ok(()), check_out)?;
    let network = match config.input_shape() {
        Some(shape) => config.network(shape).map_err(RunError::configuration)?,
        None => Prepared::new(config.clone())?.network,
    };
    let backward = BackwardFlags { backward_nodes: Vec::new() };
    let placement = placement(flags.place, backward, &flags.tls).await?;
    let figures = run::gauge(&config, &network, &placement).await?;
    answer(format_args!("{}", table(&figures)))?;
    let Some(out) = flags.out else { return Ok(()) };
    let text = figures.text().map_err(RunError::internal)?;
    publish(&out, text.as_bytes())
        .map_err(|error| RunError::internal(cannot("cannot write", &out, &error, ANOTHER)))
}

/// Checks the file for the figures before the measurement takes its time.
///
/// # Errors
/// A file that cannot be written, or that holds something else than figures of any release.
fn check_out(out: &Path) -> Result<(), RunError> {
    let cannot = |error| RunError::internal(cannot("cannot write", out, &error, ANOTHER));
    if out.is_dir() {
        return Err(cannot(io::ErrorKind::IsADirectory.into()));
    }
    let holds_else = |bytes: Vec<u8>| !bytes.is_empty() && !String::from_utf8_lossy(&bytes).contains(FIGURES);
    if out.is_file() && fs::read(out).is_ok_and(holds_else) {
        let (out, why) = (out.display(), "is there already and holds no rates");
        return Err(RunError::configuration(format!("--out {out} {why}: {ANOTHER}")));
    }
    let folder = out.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    tempfile::tempfile_in(folder).map(drop).map_err(cannot)
}

/// The figures in `file`.
///
/// # Errors
/// A file that cannot be read, or that holds no figures.
pub(super) fn figures(file: &Path) -> Result<Figures, RunError> {
    let text = read_file(file).map_err(|error| {
        RunError::configuration(cannot("cannot read", file, &error, "give --rates another file"))
    })?;
    let named = |error| RunError::configuration(format!("--rates {}: {error}", file.display()));
    Figures::parse(&text).map_err(named)
}

/// A line for each node and each link.
fn table(figures: &Figures) -> String {
    let Figures { precision, wire, nodes, links, coordinator, .. } = figures;
    let mut text = String::new();
    for (stage, node) in nodes.iter().enumerate() {
        let macs = node.macs_per_second.iter().map(|(kind, rate)| format!("{kind} {}MAC/s", short(*rate)));
        let bytes = node.bytes_per_second.iter().map(|(kind, rate)| format!("{kind} {}B/s", short(*rate)));
        let rates = macs.chain(bytes).collect::<Vec<_>>().join(", ");
        let (address, device, threads) = (&node.address, &node.device, node.threads);
        text += &format!("stage {stage} at {address} ({device}, threads {threads}, {precision}): {rates}\n");
    }
    for link in links {
        let (rate, trip) = (short(link.bytes_per_second), link.round_trip_seconds * 1e3);
        text += &format!(
            "stage {} to {} ({}, {wire}): {rate}B/s each way, round trip {trip:.2} ms\n",
            link.from, link.to, link.transport
        );
    }
    text + &format!("memory to memory on this host: {}B/s\n", short(coordinator.copy_bytes_per_second))
}

/// A number with three digits and a prefix, for a unit that follows.
fn short(number: f64) -> String {
    let prefixes = [(1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k")];
    let (size, prefix) = prefixes.into_iter().find(|(size, _)| number >= *size).unwrap_or((1.0, ""));
    format!("{:.3} {prefix}", number / size)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_the_prefix_that_suits() {
        assert_eq!([2.5e10, 999.0, 1e6].map(short), ["25.000 G", "999.000 ", "1.000 M"]);
    }

    #[test]
    fn a_file_that_holds_no_rates_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("rates.toml");
        let said = || figures(&file).unwrap_err().sentence;
        assert!(
            said().contains("give --rates another file") || said().starts_with("cannot read"),
            "{}",
            said()
        );
        let out = || check_out(&file);
        assert!(out().is_ok(), "a new file");
        std::fs::write(&file, "[train]\nepochs = 1\n").unwrap();
        assert!(out().unwrap_err().sentence.contains("holds no rates: give --out another file"));
        std::fs::write(&file, "neuropil_rates = 1\n").unwrap();
        assert!(out().is_ok() && figures(&file).is_err(), "rates of a release before are written anew");
        std::fs::write(&file, "[train]\nepochs = 1\n").unwrap();
        let nowhere = check_out(&folder.path().join("nowhere/rates.toml")).unwrap_err().sentence;
        assert!(
            nowhere.starts_with("cannot write /") && nowhere.contains("give --out another file"),
            "{nowhere}"
        );
        let sentence = said();
        assert!(sentence.starts_with("--rates /") && sentence.contains("holds no rates"), "{sentence}");
    }
}
