//! `cargo xtask hosts`: locality proved from outside. The demo's network trains on hosts of this machine, network
//! namespaces with a firewall between them, and every packet is captured and explained; then over TLS, with strangers at
//! every port; then with W and B of every layer on two hosts.

mod capture;
mod decoder;
mod firewall;
mod janitor;
mod leaks;
pub mod network;
mod plan;
pub mod programs;
mod readme;
pub mod security;
mod strangers;
mod training;
pub mod wires;

use crate::dataset;
use crate::prerequisites::{self, IPROUTE, IPTABLES, PIP, PYTHON, TCPDUMP};
use crate::release::{self, Profile};
use crate::run::{Failure, Root, VIOLATION, say, step_with_code};
use network::Network;
use plan::Plan;
use security::Security;
use std::fs;
use std::path::PathBuf;
use std::process::Command;
use training::Training;

pub use leaks::leaks;
pub use readme::readme;
pub use wires::wires;

/// The port at which a node listens for its neighbours.
const DATA: u16 = 7100;
/// The port at which a node listens for the coordinator.
const CONTROL: u16 = 7101;
/// Steps of a training in the short form and in the long one. Snapshots of three of them are searched for.
const STEPS: (u32, u32) = (6, 60);

/// Trains, captures and decodes; the long form takes more steps.
pub fn hosts(root: &Root, full: bool) -> Result<(), Failure> {
    prerequisites::check(&[PYTHON, PIP])?;
    root.script("scripts/capture_packages.py")?;
    let scene = Scene::new(root, Profile::Tests)?;
    scene.python("scripts/capture/tests.py", &[])?;
    let steps = if full { STEPS.1 } else { STEPS.0 };
    let plain = alone(&scene, "plaintext", Plan::Together, &Security::Plaintext, steps)?;
    let folder = scene.part("tls")?;
    let security = Security::with_certificates(root, &scene.build, &folder, 3, true)?;
    same(&plain, &alone(&scene, "tls", Plan::Together, &security, steps)?)?;
    same(&plain, &strangers::among(&scene, &security, steps)?)?;
    say("plaintext, TLS, and TLS among strangers: the same bits in every tensor of every node");
    same(&plain, &alone(&scene, "split", Plan::Split, &Security::Plaintext, steps)?)?;
    same(&plain, &alone(&scene, "split-tls", Plan::Split, &security, steps)?)?;
    say("W and B on two hosts, in plaintext and over TLS: the same bits, and no rule read W");
    scene.remove();
    Ok(())
}

/// Trains on hosts that nobody else reaches, has every packet explained, and returns the digests of all tensors.
fn alone(
    scene: &Scene<'_>,
    name: &str,
    plan: Plan,
    security: &Security,
    steps: u32,
) -> Result<String, Failure> {
    let place = if scene.is_isolated {
        "behind a firewall that lets the coordinator and neighbours through"
    } else {
        "on loopback"
    };
    let hosts = match plan {
        Plan::Together => "three hosts",
        Plan::Split => "three hosts of W and three of B",
    };
    say(&format!("{name}: {steps} steps on {hosts}, {place}"));
    let folder = scene.part(name)?;
    let mut training = Training::prepare(scene, &folder, security, plan, true, &[])?;
    training.run(steps)?;
    if scene.is_isolated {
        decoder::check(scene, &training)?;
    }
    let digests = training.digests()?;
    training.network.remove()?;
    Ok(digests)
}

fn same(expected: &str, found: &str) -> Result<(), Failure> {
    let mut pairs = expected.lines().zip(found.lines());
    match pairs.find(|(expected, found)| expected != found) {
        _ if expected.lines().count() != found.lines().count() => {
            Err(Failure::new(VIOLATION, "nodes keep other tensors than after the first training"))
        }
        Some((expected, found)) => {
            let sentence =
                format!("a tensor differs from that of the first training: {found}, where {expected}");
            Err(Failure::new(VIOLATION, sentence))
        }
        None => Ok(()),
    }
}

/// What every part of the command works with.
pub struct Scene<'a> {
    root: &'a Root,
    /// The folder of the programs.
    build: PathBuf,
    /// The folder of captures, logs and states, this process's own.
    folder: PathBuf,
    /// The folder of the data set.
    data: PathBuf,
    /// Whether hosts are network namespaces, with captures and a firewall; else they are addresses of loopback.
    is_isolated: bool,
}

impl<'a> Scene<'a> {
    fn new(root: &'a Root, profile: Profile) -> Result<Self, Failure> {
        let is_isolated = is_isolated()?;
        let build = release::programs(root, profile)?;
        let folder = build.join(format!("hosts-{}", std::process::id()));
        say(&format!(
            "captures, logs and states go to {}, which is removed unless something fails",
            folder.display()
        ));
        let mut scene = Self { root, build, folder, data: PathBuf::new(), is_isolated };
        scene.data = scene.data_set()?;
        Ok(scene)
    }

    /// The data set of the demo, or noise where it cannot be had.
    fn data_set(&self) -> Result<PathBuf, Failure> {
        Ok(dataset::or_noise(self.root, self.folder.join("data"))?.join(dataset::NAME))
    }

    /// A folder for one part.
    fn part(&self, name: &str) -> Result<PathBuf, Failure> {
        let folder = self.folder.join(name);
        let made = fs::create_dir_all(&folder);
        made.map_err(|error| Failure::from(format!("cannot make {}: {error}", folder.display())))?;
        Ok(folder)
    }

    /// Runs a Python script; the exit code of a violation is ours, too.
    fn python(&self, script: &str, arguments: &[PathBuf]) -> Result<(), Failure> {
        step_with_code(self.script(script).args(arguments))
    }

    /// A Python script with the packages of the decoder.
    fn script(&self, script: &str) -> Command {
        self.root.python("target/capture-packages", script)
    }

    fn remove(self) {
        _ = fs::remove_dir_all(self.folder);
    }
}

/// Whether network namespaces can be made here; if not, the reason is said.
fn is_isolated() -> Result<bool, Failure> {
    let why = if prerequisites::is_root() {
        prerequisites::check(&[IPROUTE, IPTABLES, TCPDUMP])?;
        Network::make(&["probe"]).and_then(Network::remove).err().map(|failure| failure.sentence)
    } else {
        Some("only root may".into())
    };
    if let Some(why) = &why {
        say(&format!(
            "no network namespaces can be made here ({why}): hosts are addresses of loopback, without captures"
        ));
    }
    Ok(why.is_none())
}
