//! The decoder of captures (`scripts/capture/`), which shares nothing with the programs.

use super::network::Host;
use super::security::Security;
use super::training::Training;
use super::{CONTROL, DATA, Scene, capture, programs};
use crate::run::Failure;
use std::fs;

/// Has every packet of a training explained, or fails with exit code 5.
pub fn check(scene: &Scene<'_>, training: &Training<'_>) -> Result<(), Failure> {
    let described = training.folder.join("hosts.json");
    let written = fs::write(&described, description(training));
    written.map_err(|error| Failure::from(format!("cannot write {}: {error}", described.display())))?;
    scene.python("scripts/capture", &[described])
}

/// The hosts in JSON, with their captures and states. Debug quotes these words as JSON does.
fn description(training: &Training<'_>) -> String {
    let folder = training.folder;
    let capture = |host: &Host| capture::file(folder, host);
    let stage = |stage: &&Host| {
        let (address, capture, state) = (&stage.address, capture(stage), programs::state(folder, stage));
        format!(
            r#"{{"address":{address:?},"data":{DATA},"control":{CONTROL},"capture":{capture:?},"state":{state:?}}}"#
        )
    };
    let stages = training.stages().iter().map(stage).collect::<Vec<_>>().join(",");
    let (address, coordinator) = (&training.coordinator().address, capture(training.coordinator()));
    let (encrypted, ledger) = (matches!(training.security, Security::Tls(_)), folder.join("locality.json"));
    format!(
        r#"{{"coordinator":{{"address":{address:?},"capture":{coordinator:?}}},"stages":[{stages}],"ledger":{ledger:?},"encrypted":{encrypted}}}"#
    )
}
