//! `cargo xtask hosts leaks`: a proof must be able to fail. The node of the middle stage is of a test's build and leaks a
//! weight; the audit, the captures and the firewall say what each of them sees.
//!
//! Nobody is told that there is a leak: the audit compares ledgers, the decoder reads packets, the firewall counts them.

use super::network::Host;
use super::plan::Plan;
use super::programs::Program;
use super::security::Security;
use super::training::Training;
use super::{Scene, decoder};
use crate::prerequisites::{self, PIP, PYTHON};
use crate::release::{self, Profile};
use crate::run::{Failure, Root, VIOLATION, say};
use std::process::Stdio;
use std::time::Duration;

/// A leak by its word, and which of the three ways to see it are expected to.
struct Leak {
    word: &'static str,
    /// Whether the stage's W goes to the host of its B, on a link between the two.
    is_split: bool,
    audit: bool,
    capture: bool,
    firewall: bool,
}

const LEAKS: [Leak; 10] = [
    Leak { word: "message", is_split: false, audit: true, capture: true, firewall: false },
    Leak { word: "unknown_field", is_split: false, audit: true, capture: true, firewall: false },
    Leak { word: "extra_tensor", is_split: false, audit: true, capture: true, firewall: false },
    Leak { word: "format", is_split: false, audit: true, capture: true, firewall: false },
    // Eight bytes in each report are no window of 64 bytes.
    Leak { word: "control", is_split: false, audit: true, capture: false, firewall: false },
    Leak { word: "metrics", is_split: false, audit: false, capture: true, firewall: true },
    Leak { word: "snapshot", is_split: false, audit: true, capture: true, firewall: false },
    Leak { word: "socket", is_split: false, audit: false, capture: true, firewall: true },
    Leak { word: "message", is_split: true, audit: true, capture: true, firewall: false },
    // W has y's shape and format, and the host of W counts what it sends: both ledgers have the same.
    Leak { word: "weight_as_y", is_split: true, audit: false, capture: true, firewall: false },
];
/// The stage whose node leaks.
const LEAKING: usize = 1;
/// The host to which a second socket sends.
const STRANGER: &str = "stranger";
/// The port of the leaking node's metrics, and the stranger's port.
const METRICS: u16 = 7103;
const ANYWHERE: u16 = 9000;
/// Steps of each training: a leak begins after four.
const STEPS: u32 = 6;
/// How long one training may take.
const LIMIT: Duration = Duration::from_secs(600);
/// What the decoder says, independently of any ledger: of a weight's bytes, of a connection, and of a packet.
const SEEN: [&str; 3] = ["are those of", "which nobody may", "is no TCP"];
/// Asks a node for its metrics, in Python.
const SCRAPE: &str = "import sys, urllib.request; urllib.request.urlopen(sys.argv[1], timeout=3).read()";

/// What each of the three says of a leak; `None` where it sees nothing.
struct Caught {
    audit: Option<String>,
    capture: Option<String>,
    firewall: Option<String>,
}

/// Trains with each leak by turns, and prints the table.
pub fn leaks(root: &Root) -> Result<(), Failure> {
    prerequisites::check(&[PYTHON, PIP])?;
    root.script("scripts/capture_packages.py")?;
    let scene = Scene::new(root, Profile::Tests)?;
    release::leaking(root)?;
    let mut rows = Vec::new();
    for leak in &LEAKS {
        say(&format!("{}: the node of stage {LEAKING} leaks", leak.name()));
        let caught = leaked(&scene, leak)?;
        rows.push(row(&leak.name(), &caught));
        leak.check(&caught, scene.is_isolated)?;
    }
    println!("| leak | audit | capture | firewall |\n|---|---|---|---|\n{}", rows.join("\n"));
    scene.remove();
    Ok(())
}

/// Trains with this leak.
fn leaked(scene: &Scene<'_>, leak: &Leak) -> Result<Caught, Failure> {
    let folder = scene.part(&format!("leaks/{}{}", leak.word, if leak.is_split { "-split" } else { "" }))?;
    let mut training =
        Training::prepare(scene, &folder, &Security::Plaintext, leak.plan(), true, &[STRANGER])?;
    let stage = training.stages()[LEAKING];
    let metrics = format!("{}:{METRICS}", stage.address);
    let mut program = stage.command(scene.build.join("layer-node-leaking"));
    program.env("NEUROPIL_LEAK", leak.word).env("NEUROPIL_LEAK_OVER", leak.over());
    program.env("NEUROPIL_LEAK_TO", format!("{}:{ANYWHERE}", training.network.host(STRANGER).address));
    training.replace(LEAKING, program, &["--metrics".into(), metrics.clone()])?;
    let audit = audit(&mut training.start(STEPS)?)?;
    if leak.word == "metrics" {
        scrape(training.coordinator(), &metrics);
    }
    let dropped = training.stop()?;
    let seen = if scene.is_isolated { decoder::violations(scene, &training)? } else { vec![] };
    training.network.remove()?;
    let capture = SEEN.iter().find_map(|words| seen.iter().find(|violation| violation.contains(words)));
    Ok(Caught { audit, capture: capture.cloned(), firewall: dropped.into_iter().next() })
}

/// The last line of an audit that finds a violation.
fn audit(coordinator: &mut Program) -> Result<Option<String>, Failure> {
    let status = coordinator.end(LIMIT)?;
    let said = coordinator.last_words();
    match status.code() {
        Some(0) => Ok(None),
        Some(code) if code == i32::from(VIOLATION) => Ok(Some(said.trim_start_matches("error: ").into())),
        _ => Err(format!("`coordinator locality` ended neither well nor with a violation: {said}").into()),
    }
}

/// Asks for the metrics at an address. A firewall may drop every packet.
fn scrape(host: &Host, address: &str) {
    let mut python = host.command("python3");
    python.args(["-c", SCRAPE, &format!("http://{address}/metrics")]);
    _ = python.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).status();
}

impl Leak {
    /// The row's name.
    fn name(&self) -> String {
        format!("`{}`{}", self.word, if self.is_split { " to the host of B" } else { "" })
    }

    fn plan(&self) -> Plan {
        if self.is_split { Plan::Split } else { Plan::Together }
    }

    /// The messages that carry the leak, where it goes over a link.
    fn over(&self) -> &'static str {
        if self.is_split { "layer_values" } else { "activations" }
    }

    /// Checks that everything that should see the leak does so, and nothing else. Without namespaces there are no
    /// captures and there is no firewall.
    fn check(&self, caught: &Caught, is_isolated: bool) -> Result<(), Failure> {
        for (name, expected, said) in [
            ("audit", self.audit, &caught.audit),
            ("capture", self.capture && is_isolated, &caught.capture),
            ("firewall", self.firewall && is_isolated, &caught.firewall),
        ] {
            let sentence = match (expected, said) {
                (true, None) => format!("the leak {} is not seen by the {name}", self.name()),
                (false, Some(said)) => format!("the {name} complains of the leak {}: {said}", self.name()),
                _ => continue,
            };
            return Err(Failure::new(VIOLATION, sentence));
        }
        Ok(())
    }
}

/// A row of the table.
fn row(leak: &str, Caught { audit, capture, firewall }: &Caught) -> String {
    let cell = |said: &Option<String>| said.as_deref().unwrap_or("–").replace('|', "\\|");
    format!("| {leak} | {} | {} | {} |", cell(audit), cell(capture), cell(firewall))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_leak_that_is_not_seen_as_expected_is_a_failure() {
        let said = || Some("a sentence".to_string());
        let check = |word: &str, audit, capture, firewall, is_isolated| {
            let leak = LEAKS.iter().find(|leak| leak.word == word).unwrap();
            leak.check(&Caught { audit, capture, firewall }, is_isolated).map_err(|failure| failure.sentence)
        };
        assert_eq!(check("message", said(), said(), None, true), Ok(()));
        assert_eq!(check("message", said(), None, None, false), Ok(()));
        let unseen = "the leak `message` is not seen by the capture";
        assert_eq!(check("message", said(), None, None, true), Err(unseen.into()));
        let unexpected = "the audit complains of the leak `socket`: a sentence";
        assert_eq!(check("socket", said(), said(), said(), true), Err(unexpected.into()));
    }

    #[test]
    fn a_row_quotes_what_was_said() {
        let caught = Caught { audit: Some("a | b".into()), capture: None, firewall: Some("c".into()) };
        assert_eq!(row("`message`", &caught), "| `message` | a \\| b | – | c |");
    }
}
