//! Captures: every packet of every host's link, whole, as the router sees it.

use super::network::{Host, Network, run};
use crate::run::{Failure, unstartable};
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

/// The kernel's room for packets that tcpdump has not written yet, in KiB.
const ROOM: &str = "65536";
/// How long tcpdump may take to begin, and to end.
const LIMIT: Duration = Duration::from_secs(20);
/// The kernel hands packets over in blocks, the last one after a second.
const LAST_BLOCK: Duration = Duration::from_millis(1500);

/// The capture of one host's link, under way.
pub struct Capture {
    tcpdump: Child,
    host: String,
    file: PathBuf,
    log: PathBuf,
}

/// Captures the links of all hosts into `folder`.
pub fn start(network: &Network, folder: &Path) -> Result<Vec<Capture>, Failure> {
    let captures = network.hosts().iter().map(|host| Capture::start(network, host, folder));
    let mut captures = captures.collect::<Result<Vec<_>, _>>()?;
    captures.iter_mut().try_for_each(|capture| capture.wait("listening on").map(drop))?;
    Ok(captures)
}

/// Ends the captures.
pub fn stop(captures: Vec<Capture>) -> Result<(), Failure> {
    sleep(LAST_BLOCK);
    captures.into_iter().try_for_each(Capture::stop)
}

/// The file that holds the capture of this host's link.
pub fn file(folder: &Path, host: &Host) -> PathBuf {
    folder.join(format!("{}.pcap", host.name))
}

impl Capture {
    fn start(network: &Network, host: &Host, folder: &Path) -> Result<Self, Failure> {
        let file = file(folder, host);
        let log = file.with_extension("tcpdump");
        let mut command = network.on_router("tcpdump");
        command.args(["-Z", "root", "-n", "-B", ROOM, "-i", &host.name, "-w"]).arg(&file);
        let writable = File::create(&log);
        command.stdin(Stdio::null()).stderr(
            writable.map_err(|error| Failure::from(format!("cannot write {}: {error}", log.display())))?,
        );
        let tcpdump = command.spawn().map_err(|error| unstartable(&command, &error))?;
        Ok(Self { tcpdump, host: host.name.clone(), file, log })
    }

    /// Waits until tcpdump says `words`, and returns all that it has said.
    fn wait(&mut self, words: &str) -> Result<String, Failure> {
        let start = Instant::now();
        loop {
            let said = fs::read_to_string(&self.log).unwrap_or_default();
            if said.contains(words) {
                return Ok(said);
            }
            if start.elapsed() > LIMIT {
                let last = said.lines().last().unwrap_or("it said nothing");
                return Err(
                    format!("tcpdump did not say '{words}' of the link of {}: {last}", self.host).into()
                );
            }
            sleep(Duration::from_millis(20));
        }
    }

    /// Ends the capture, and refuses it where the kernel dropped a packet of it.
    fn stop(mut self) -> Result<(), Failure> {
        run(Command::new("kill").args(["-INT", &self.tcpdump.id().to_string()]))?;
        let said = self.wait("dropped by kernel")?;
        _ = self.tcpdump.wait();
        let number =
            |after: &str| said.lines().find_map(|line| line.strip_suffix(after)?.trim().parse::<u64>().ok());
        match (
            number(" packets dropped by kernel"),
            number(" packets captured"),
            number(" packets received by filter"),
        ) {
            (Some(0), Some(captured), Some(received)) if captured == received => Ok(()),
            _ => {
                let sentence = format!("the capture {} is not whole", self.file.display());
                Err(format!("{sentence}: {}", said.trim().replace('\n', ", ")).into())
            }
        }
    }
}
