//! Strangers at every port of a training over TLS, with nothing between them and the nodes: no firewall. Each is refused
//! for its certificate alone, both ends say why, and the training's bits are those of a training without strangers.

mod cast;

use super::network::Host;
use super::plan::Plan;
use super::programs::{self, Program};
use super::security::{self, Security};
use super::training::Training;
use super::{CONTROL, DATA, Scene};
use crate::run::{Failure, VIOLATION, line, say};
use cast::{CLIENTS, SERVERS, SWAPPED, Shown, Stranger};
use std::fs;
use std::path::Path;
use std::process::Command;
use std::thread::sleep;
use std::time::{Duration, Instant};

/// The host that strangers have.
const STRANGER: &str = "stranger";
/// How long a stranger may try.
const LIMIT: Duration = Duration::from_secs(60);
/// How long a refusal may take to be logged.
const LOGGED: Duration = Duration::from_secs(5);

/// Trains among strangers, and returns the digests of all tensors.
pub fn among(scene: &Scene<'_>, security: &Security, steps: u32) -> Result<String, Failure> {
    let Security::Tls(certificates) = security else {
        return Err("strangers need certificates".to_string().into());
    };
    say(&format!("{steps} steps among strangers, without a firewall"));
    let folder = scene.part("strangers")?;
    let made = folder.join("certificates");
    scene.python("scripts/strangers.py", &[certificates.clone(), made.clone()])?;
    let training = Training::prepare(scene, &folder, security, Plan::Together, false, &[STRANGER])?;
    let strangers = Strangers { training: &training, certificates, made: &made };
    let mut coordinator = training.start(steps)?;
    for stranger in CLIENTS {
        strangers.connects(stranger, training.stages()[0], CONTROL)?;
    }
    strangers.connects(SWAPPED, training.stages()[2], DATA)?;
    training.finish(&mut coordinator)?;
    // The coordinator may have configured the other nodes anew when it meets a stranger in place of stage 0.
    let digests = training.digests()?;
    for stranger in SERVERS {
        strangers.listens(stranger)?;
    }
    training.network.remove()?;
    Ok(digests)
}

/// Where strangers are tried.
struct Strangers<'a> {
    training: &'a Training<'a>,
    /// The deployment's certificates.
    certificates: &'a Path,
    /// Those made for strangers.
    made: &'a Path,
}

impl Strangers<'_> {
    /// A stranger connects to a port of a stage.
    fn connects(&self, stranger: &Stranger, stage: &Host, port: u16) -> Result<(), Failure> {
        let log = self.training.folder.join(format!("{}.log", stage.name));
        let before = read(&log).len();
        let (host, address) = (self.training.network.host(STRANGER), format!("{}:{port}", stage.address));
        let client = match stranger.shown {
            Shown::Plain | Shown::Made(_) => {
                self.check(host, &address, self.flags(stranger.shown, "coordinator"))
            }
            Shown::Bare | Shown::Stolen(_) => self.other_client(host, &address, stranger.shown),
        };
        let complaint = self.refused(client)?;
        self.judge("client", stranger, (stranger.complaint, &complaint), (stranger.refusal, &log, before))
    }

    /// A stranger listens in place of stage 0, and the coordinator connects to it.
    fn listens(&self, stranger: &Stranger) -> Result<(), Failure> {
        let host = self.training.network.host(STRANGER);
        let flags = self.flags(stranger.shown, "stage-0");
        let node = programs::node(host, &self.training.scene.build, self.training.folder, &flags)?;
        let mut stages = self.training.stages();
        stages[0] = host;
        let refusal = self.refused(self.training.proof(&stages, 1))?;
        self.judge("node", stranger, (stranger.refusal, &refusal), (stranger.complaint, &node.log, 0))
    }

    /// A coordinator that looks at a node.
    fn check(&self, host: &Host, address: &str, flags: Vec<String>) -> Command {
        let mut command = host.command(self.training.scene.build.join("coordinator"));
        command.args(["check", "--deadline", "5", "--nodes", address]).args(flags);
        command
    }

    /// A client that is none of Neuropil's programs.
    fn other_client(&self, host: &Host, address: &str, shown: Shown) -> Command {
        let mut command = host.command("python3");
        command.arg(self.training.scene.root.join("scripts/tls_client.py")).arg(address);
        command.arg(self.certificates.join("ca.pem"));
        if let Shown::Stolen(name) = shown {
            let file = |end: &str| self.certificates.join(format!("{name}{end}.pem"));
            command.args([file(""), file("-key")]);
        }
        command
    }

    /// The last sentence of a program that is refused.
    fn refused(&self, mut command: Command) -> Result<String, Failure> {
        let mut client = Program::start(&mut command, self.training.folder, "client")?;
        match client.end(LIMIT)?.success() {
            true => Err(violation(format!("`{}` succeeds, where it should be refused", line(&command)))),
            false => Ok(client.last_words()),
        }
    }

    /// Shows what both ends say, and fails where either does not say why.
    fn judge(
        &self,
        kind: &str,
        stranger: &Stranger,
        (expected, called): (&str, &str),
        (words, log, before): (&str, &Path, usize),
    ) -> Result<(), Failure> {
        let node = logged(log, before, words);
        let last = || read(log).lines().last().unwrap_or("nothing").to_string();
        println!("a {kind} with {}", stranger.what);
        let caller = if kind == "client" { "client" } else { "coordinator" };
        println!("    {caller:<11}  {}", called.trim_start_matches("error: "));
        println!("    node         {}", node.clone().unwrap_or_else(last));
        match node {
            Some(_) if called.contains(expected) => Ok(()),
            _ => Err(violation(format!(
                "a {kind} with {} is refused, but not both ends say why: '{expected}' and '{words}' are due",
                stranger.what
            ))),
        }
    }

    fn flags(&self, shown: Shown, role: &str) -> Vec<String> {
        let ca = self.certificates.join("ca.pem");
        match shown {
            Shown::Plain | Shown::Bare => vec!["--insecure-plaintext".into()],
            Shown::Made(name) => security::flags(&ca, self.made, &format!("{name}-{role}")),
            Shown::Stolen(name) => security::flags(&ca, self.certificates, name),
        }
    }
}

/// The line with these words that a log gets after so many bytes, without its time.
fn logged(log: &Path, before: usize, words: &str) -> Option<String> {
    let start = Instant::now();
    while start.elapsed() < LOGGED {
        let text = read(log);
        let new = text.get(before..).unwrap_or_default();
        if let Some(line) = new.lines().find(|line| line.contains(words)) {
            return Some(line.split_once(": ").map_or(line, |(_, sentence)| sentence).into());
        }
        sleep(Duration::from_millis(50));
    }
    None
}

fn violation(sentence: String) -> Failure {
    Failure::new(VIOLATION, sentence)
}

fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_default()
}
