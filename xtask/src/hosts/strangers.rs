//! Strangers at every port of a training over TLS, with nothing between them and the nodes: no firewall. Each is refused
//! for its certificate alone, both ends say why, and the training's bits are those of a training without strangers.

use super::network::Host;
use super::programs::{self, Program};
use super::security::{self, Security};
use super::training::Training;
use super::{CONTROL, DATA, Scene};
use crate::run::{Failure, VIOLATION, say};
use std::fs;
use std::path::{Path, PathBuf};
use std::thread::sleep;
use std::time::{Duration, Instant};

/// The host that strangers have.
const STRANGER: &str = "stranger";
/// How long a stranger may try, and how long its refusal may take to be logged.
const LIMIT: Duration = Duration::from_secs(30);

/// A program that connects, or is connected to, with a certificate that is not its own.
struct Stranger {
    /// What is wrong with it.
    what: &'static str,
    certificate: Shown,
    /// What the end that refuses says.
    refusal: &'static str,
    /// What the end that is refused says.
    complaint: &'static str,
}

/// The certificate that a stranger shows.
enum Shown {
    None,
    /// One that `scripts/strangers.py` makes, by the name of what is wrong with it.
    Made(&'static str),
    /// One of the deployment, which belongs elsewhere.
    Stolen(&'static str),
}

/// Strangers that connect to a control port.
const CLIENTS: [Stranger; 7] = [
    Stranger {
        what: "without a certificate",
        certificate: Shown::None,
        refusal: "does not speak TLS",
        complaint: "has no certificate",
    },
    Stranger {
        what: "of another CA",
        certificate: Shown::Made("other-ca"),
        refusal: "which no CA of --tls-ca has issued",
        complaint: "CA",
    },
    Stranger {
        what: "of another deployment",
        certificate: Shown::Made("other-deployment"),
        refusal: "of another deployment",
        complaint: "deployment",
    },
    Stranger {
        what: "expired",
        certificate: Shown::Made("expired"),
        refusal: "which has expired",
        complaint: "expired",
    },
    Stranger {
        what: "not valid yet",
        certificate: Shown::Made("early"),
        refusal: "which is not valid yet",
        complaint: "certificate",
    },
    Stranger {
        what: "a server's",
        certificate: Shown::Made("other-use"),
        refusal: "which is for servers only",
        complaint: "certificate",
    },
    Stranger {
        what: "of a stage",
        certificate: Shown::Stolen("stage-1"),
        refusal: "may call here",
        complaint: "certificate",
    },
];

/// Strangers that listen where a node of stage 0 is expected.
const SERVERS: [Stranger; 7] = [
    Stranger {
        what: "without a certificate",
        certificate: Shown::None,
        refusal: "does not speak TLS",
        complaint: "",
    },
    Stranger {
        what: "of another CA",
        certificate: Shown::Made("other-ca"),
        refusal: "which no CA of --tls-ca has issued",
        complaint: "CA",
    },
    Stranger {
        what: "of another deployment",
        certificate: Shown::Made("other-deployment"),
        refusal: "of another deployment",
        complaint: "deployment",
    },
    Stranger {
        what: "expired",
        certificate: Shown::Made("expired"),
        refusal: "which has expired",
        complaint: "expired",
    },
    Stranger {
        what: "not valid yet",
        certificate: Shown::Made("early"),
        refusal: "which is not valid yet",
        complaint: "certificate",
    },
    Stranger {
        what: "a client's",
        certificate: Shown::Made("other-use"),
        refusal: "which is for clients only",
        complaint: "certificate",
    },
    Stranger {
        what: "of another stage",
        certificate: Shown::Stolen("stage-1"),
        refusal: "is due",
        complaint: "certificate",
    },
];

/// Trains among strangers, and returns the digests of all tensors.
pub fn among(scene: &Scene<'_>, security: &Security, steps: u32) -> Result<String, Failure> {
    let Security::Tls(certificates) = security else {
        return Err("strangers need certificates".to_string().into());
    };
    say(&format!("{steps} steps among strangers, without a firewall"));
    let folder = scene.part("strangers")?;
    let made = folder.join("certificates");
    scene.python("scripts/strangers.py", &[certificates.clone(), made.clone()])?;
    let training = Training::prepare(scene, &folder, security, false, &[STRANGER])?;
    let strangers = Strangers { training: &training, certificates, made: &made };
    let mut coordinator = training.start(steps)?;
    for stranger in &CLIENTS {
        strangers.connects(stranger, training.stages()[0], CONTROL)?;
    }
    let swapped = Stranger {
        what: "of stage 0, at the port for stage 1's data",
        certificate: Shown::Stolen("stage-0"),
        refusal: "may call here",
        complaint: "certificate",
    };
    strangers.connects(&swapped, training.stages()[2], DATA)?;
    training.finish(&mut coordinator)?;
    for stranger in &SERVERS {
        strangers.listens(stranger)?;
    }
    let digests = training.digests()?;
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
    /// A stranger connects to a port of a stage, and both ends say why it is refused.
    fn connects(&self, stranger: &Stranger, stage: &Host, port: u16) -> Result<(), Failure> {
        let node = self.training.folder.join(format!("{}.log", stage.name));
        let before = read(&node).len();
        let address = format!("{}:{port}", stage.address);
        let client =
            self.check(self.training.network.host(STRANGER), &address, self.flags(stranger, "coordinator"))?;
        let refusal = self.logged(&node, before, stranger.refusal)?;
        self.show(&format!("a client with a certificate {}", stranger.what), stranger, &client, &refusal)
    }

    /// A stranger listens, the coordinator connects to it, and both ends say why it is refused.
    fn listens(&self, stranger: &Stranger) -> Result<(), Failure> {
        let host = self.training.network.host(STRANGER);
        let words = self.flags(stranger, "stage-0");
        let node = programs::node(host, &self.training.scene.build, self.training.folder, &words)?;
        let address = format!("{}:{CONTROL}", host.address);
        let client =
            self.check(self.training.coordinator(), &address, self.training.security.coordinator())?;
        let complaint = self.logged(&node.log, 0, stranger.complaint)?;
        self.show(&format!("a node with a certificate {}", stranger.what), stranger, &client, &complaint)
    }

    /// The sentence with which `coordinator check` fails.
    fn check(&self, host: &Host, address: &str, flags: Vec<String>) -> Result<String, Failure> {
        let mut command = host.command(self.training.scene.build.join("coordinator"));
        command.args(["check", "--deadline", "5", "--nodes", address]).args(flags);
        let mut check = Program::start(&mut command, self.training.folder, "check")?;
        match check.end(LIMIT)?.success() {
            true => Err(Failure::new(
                VIOLATION,
                format!("`coordinator check` of {address} succeeds, where it should be refused"),
            )),
            false => Ok(read(&check.printed).trim().to_string() + &check.last_words()),
        }
    }

    fn flags(&self, stranger: &Stranger, role: &str) -> Vec<String> {
        let ca = self.certificates.join("ca.pem");
        match stranger.certificate {
            Shown::None => vec!["--insecure-plaintext".into()],
            Shown::Made(name) => security::flags(&ca, self.made, &format!("{name}-{role}")),
            Shown::Stolen(name) => security::flags(&ca, self.certificates, name),
        }
    }

    /// The line with these words that a log gets.
    fn logged(&self, log: &PathBuf, before: usize, words: &str) -> Result<String, Failure> {
        let start = Instant::now();
        while start.elapsed() < LIMIT {
            let text = read(log);
            let new = text.get(before..).unwrap_or_default();
            if let Some(line) = new.lines().find(|line| line.contains(words)) {
                return Ok(line.into());
            }
            sleep(Duration::from_millis(50));
        }
        let sentence = format!("{} does not say '{words}' of a stranger", log.display());
        Err(Failure::new(VIOLATION, sentence))
    }

    fn show(&self, what: &str, _: &Stranger, client: &str, node: &str) -> Result<(), Failure> {
        println!("{what}\n    coordinator check: {client}\n    layer-node:        {node}");
        Ok(())
    }
}

fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_default()
}
