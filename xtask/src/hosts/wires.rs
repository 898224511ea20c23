//! `cargo xtask hosts wires`: trainings over wires as they are. Hosts are network namespaces, and their wires are slow,
//! long, lose packets, are cut, and come back.

mod cuts;
mod speed;
mod training;
mod wire;

use super::Scene;
use super::network::{Host, Network};
use super::security::Security;
use crate::page;
use crate::release::Profile;
use crate::run::{CONFIGURATION, Failure, Root, say};

pub use wire::Delay;

/// The hosts: the coordinator's, and one for each stage.
const NAMES: [&str; 4] = ["coordinator", "stage0", "stage1", "stage2"];

/// Disturbs wires in every way and fills the tables of the page; or, in the short form, cuts one wire.
pub fn wires(root: &Root, full: bool) -> Result<(), Failure> {
    let scene = Scene::new(root, if full { Profile::Release } else { Profile::Tests })?;
    match (scene.is_isolated, full) {
        (true, true) => all(&scene)?,
        (true, false) => short(&scene)?,
        (false, true) => {
            let sentence = "`hosts wires` needs network namespaces: run it as root on a machine that lets root make them";
            return Err(Failure::new(CONFIGURATION, sentence));
        }
        (false, false) => say("wires are left out: loopback has none"),
    }
    scene.remove();
    Ok(())
}

/// Cuts a wire between neighbours during a training, mends it, and goes on.
fn short(scene: &Scene<'_>) -> Result<(), Failure> {
    let network = Network::make(&NAMES)?;
    let bed = Bed::new(scene, &network)?;
    let digest = cuts::undisturbed(&bed)?;
    let row = cuts::between_neighbours(&bed, &digest)?;
    print!("\n{}\n", table(&[row]));
    network.remove()
}

fn all(scene: &Scene<'_>) -> Result<(), Failure> {
    let network = Network::make(&NAMES)?;
    let bed = Bed::new(scene, &network)?;
    wire::ordinary(&network)?;
    let digest = cuts::undisturbed(&bed)?;
    let mut rows = cuts::bad_wires(&bed, &digest)?;
    rows.extend(cuts::back_again(&bed, &digest)?);
    rows.push(cuts::between_neighbours(&bed, &digest)?);
    rows.push(cuts::from_the_coordinator(&bed, &digest)?);
    rows.push(cuts::unplugged(&bed, &digest)?);
    let (speeds, bad) = speed::table(&bed)?;
    let rows = table(&rows);
    print!("\n{rows}\n{speeds}\n");
    page::put(scene.root, "wires", &rows)?;
    page::put(scene.root, "wires-speed", &speeds)?;
    say(&format!("both tables stand in {}", page::PAGE));
    network.remove()?;
    bad.map_or(Ok(()), Err)
}

/// What every training of this command works with.
struct Bed<'a> {
    scene: &'a Scene<'a>,
    network: &'a Network,
    coordinator: &'a Host,
    stages: Vec<&'a Host>,
    /// Certificates: hosts beyond loopback have them.
    security: Security,
}

impl<'a> Bed<'a> {
    fn new(scene: &'a Scene<'a>, network: &'a Network) -> Result<Self, Failure> {
        let stages: Vec<_> = NAMES[1..].iter().map(|name| network.host(name)).collect();
        let security = Security::with_certificates(
            scene.root,
            &scene.build,
            &scene.part("wires")?,
            stages.len(),
            false,
        )?;
        Ok(Self { scene, network, coordinator: network.host(NAMES[0]), stages, security })
    }
}

/// What befell a wire, and what the training did.
struct Row {
    wire: String,
    training: String,
}

impl Row {
    fn new(wire: &str, training: impl Into<String>) -> Self {
        Self { wire: wire.into(), training: training.into() }
    }
}

/// The rows as a table.
fn table(rows: &[Row]) -> String {
    let rows = rows.iter().map(|Row { wire, training }| format!("| {wire} | {training} |\n"));
    format!("| wires | the training |\n|---|---|\n{}", rows.collect::<String>())
}
