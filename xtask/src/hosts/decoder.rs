//! The decoder of captures (`scripts/capture/`), which shares nothing with the programs.

use super::network::Host;
use super::security::Security;
use super::training::Training;
use super::{CONTROL, DATA, Scene, capture, programs};
use crate::run::{Failure, VIOLATION, ending, line, unstartable};
use std::fs;
use std::path::{Path, PathBuf};

/// The folder of the decoder, which is a program.
const DECODER: &str = "scripts/capture";

/// Has every packet of a training explained, or fails with exit code 5.
pub fn check(scene: &Scene<'_>, training: &Training<'_>) -> Result<(), Failure> {
    scene.python(DECODER, &[describe(training)?])
}

/// The violations that the decoder finds, a sentence each.
pub fn violations(scene: &Scene<'_>, training: &Training<'_>) -> Result<Vec<String>, Failure> {
    let mut command = scene.script(DECODER);
    command.arg(describe(training)?);
    let output = command.output().map_err(|error| unstartable(&command, &error))?;
    let said = String::from_utf8_lossy(&output.stdout);
    let violations: Vec<_> =
        said.lines().filter_map(|line| line.strip_prefix("violation: ")).map(str::to_string).collect();
    let code = output.status.code();
    if code == Some(0) || code == Some(VIOLATION.into()) && !violations.is_empty() {
        return Ok(violations);
    }
    let complaint = String::from_utf8_lossy(&output.stderr);
    let last = complaint.trim_end().lines().last().unwrap_or("it said nothing");
    Err(format!("`{}` {}: {last}", line(&command), ending(output.status)).into())
}

/// Writes the description of a training's hosts into a file for the decoder, and returns its path.
fn describe(training: &Training<'_>) -> Result<PathBuf, Failure> {
    let described = training.folder.join("hosts.json");
    let written = fs::write(&described, description(training, &training.drawn()?));
    written.map_err(|error| Failure::from(format!("cannot write {}: {error}", described.display())))?;
    Ok(described)
}

/// The hosts in JSON, with their captures and states. Debug quotes these words as JSON does.
fn description(training: &Training<'_>, drawn: &Path) -> String {
    let folder = training.folder;
    let capture = |host: &Host| capture::file(folder, host);
    let node = |(number, host): (usize, &Host), half: &str| {
        let (address, capture, state) = (&host.address, capture(host), programs::state(folder, host));
        let drawn = drawn.join(format!("state/stage-{number}{half}"));
        format!(
            r#"{{"address":{address:?},"data":{DATA},"control":{CONTROL},"capture":{capture:?},"state":{state:?},"drawn":{drawn:?}}}"#
        )
    };
    let nodes = |hosts: Vec<&Host>, half: &str| {
        hosts.into_iter().enumerate().map(|numbered| node(numbered, half)).collect::<Vec<_>>().join(",")
    };
    let (stages, backward) = (nodes(training.stages(), ""), nodes(training.backward(), "-backward"));
    let (address, coordinator) = (&training.coordinator().address, capture(training.coordinator()));
    let (encrypted, ledger) = (matches!(training.security, Security::Tls(_)), folder.join("locality.json"));
    format!(
        r#"{{"coordinator":{{"address":{address:?},"capture":{coordinator:?}}},"stages":[{stages}],"backward":[{backward}],"ledger":{ledger:?},"encrypted":{encrypted}}}"#
    )
}
