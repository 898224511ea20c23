//! Local nodes (`--local`): one layer-node for each role of a run, at sockets of this host. They end with the coordinator,
//! however it ends.

use super::environment::put_aside;
use super::log::Log;
use super::process::{Effort, peak};
use super::rooms::Rooms;
use super::sockets::{PLANES, Sockets};
use super::starved::Kills;
use super::{FILES, THREADS};
use crate::config::Node as Settings;
use crate::driver::{FailureCollector, NodeAddress, Precedence};
use crate::run_error::RunError;
use futures::future::join_all;
use futures::stream::{self, StreamExt, TryStreamExt};
use proto::link::Role;
use proto::process::{limits, room};
use serde::Deserialize;
use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, BufReader};
use tokio::process::{Child, ChildStdin, Command};
use tokio_util::task::AbortOnDropHandle;

const BINARY: &str = "layer-node";
/// How long a node may take to open its device and ports.
const READY_DEADLINE: Duration = Duration::from_secs(60);
/// How long a node may be idle meanwhile. A cold libtorch is busy, but a process that sleeps or is stopped never
/// becomes ready.
const IDLE_DEADLINE: Duration = Duration::from_secs(12);
/// The number of nodes that start at once on a host with few cores.
const LEAST_AT_ONCE: usize = 8;
/// How long the system may take to report the end of a process that has closed its output.
const REAPED: Duration = Duration::from_millis(100);
/// The files and sockets of a coordinator for each of its local nodes: two pipes, a handle of the process, its control
/// connection, and as many while the process is started.
const FILES_PER_NODE: usize = 8;
/// The size limit of a node's first line, which holds for any program.
const FIRST_LINE: u64 = 4096;
/// How long a node may take to write its state and end.
const STOP_DEADLINE: Duration = Duration::from_secs(10);

/// The variables of the environment that would make a node speak TLS.
const CREDENTIALS: [&str; 3] = ["NEUROPIL_TLS_CA", "NEUROPIL_TLS_CERT", "NEUROPIL_TLS_KEY"];

/// The first line of a node on stdout.
#[derive(Deserialize)]
struct Ready {
    control: String,
}

/// One started node.
struct Local {
    /// The node's standard input. A node ends when it closes, so the node ends with the coordinator, however that
    /// ends.
    stdin: ChildStdin,
    process: Option<u32>,
    /// The task that owns the process; dropping it kills the process.
    ended: AbortOnDropHandle<()>,
}

impl Local {
    /// Whether the process is stopped, as by SIGSTOP. A stopped process cannot end by itself.
    fn is_stopped(&self) -> bool {
        self.process.and_then(Effort::of).is_some_and(|effort| matches!(effort.state.as_str(), "T" | "t"))
    }
}

/// The local nodes of a run.
pub struct LocalNodes {
    nodes: Vec<Local>,
    /// The nodes' addresses, in the order of their roles.
    pub addresses: Vec<NodeAddress>,
    /// The folder of the nodes' sockets, which goes with the nodes.
    _sockets: Sockets,
}

/// Finds the node's binary: `NEUROPIL_LAYER_NODE`, a file beside this binary, or a file on PATH.
///
/// # Errors
/// A binary that is in none of these places.
pub fn find_binary() -> Result<PathBuf, RunError> {
    if let Some(given) = std::env::var_os("NEUROPIL_LAYER_NODE") {
        let given = PathBuf::from(given);
        let missing = || {
            RunError::configuration(format!(
                "NEUROPIL_LAYER_NODE names {}, which is no file",
                given.display()
            ))
        };
        return if given.is_file() { Ok(given) } else { Err(missing()) };
    }
    let beside = std::env::current_exe().ok().and_then(|exe| exe.parent().map(|folder| folder.join(BINARY)));
    let path = std::env::var_os("PATH").unwrap_or_default();
    let on_path = std::env::split_paths(&path).map(|folder| folder.join(BINARY));
    beside.into_iter().chain(on_path).find(|candidate| candidate.is_file()).ok_or_else(|| {
        RunError::configuration(
            "no layer-node binary beside the coordinator or on PATH: build it with `cargo build -p layer-node`, or name it in NEUROPIL_LAYER_NODE",
        )
    })
}

impl LocalNodes {
    /// Starts the nodes of these roles, with their states and logs in `rooms`. A node that ends by itself is reported
    /// to `failures`.
    ///
    /// # Errors
    /// A limit of the system that forbids so many processes, or the first node whose process could not be started or
    /// did not become ready.
    pub async fn start(
        roles: &[Role],
        rooms: &Rooms,
        settings: &Settings,
        failures: &FailureCollector,
    ) -> Result<Self, RunError> {
        let binary = find_binary()?;
        has_room(roles.len(), settings.threads)?;
        let aside = put_aside();
        if !aside.is_empty() {
            let names = aside.join(OsStr::new(", "));
            tracing::info!("local nodes start without {}: node.threads decides", names.display());
        }
        let sockets = Sockets::make(roles, rooms.folder())?;
        let plan = Plan { binary, rooms: rooms.clone(), settings: settings.clone(), aside, sockets };
        let starting =
            roles.iter().enumerate().map(|(number, role)| start(number, *role, &plan, failures.clone()));
        let started: Vec<_> = stream::iter(starting).buffered(at_once()).try_collect().await?;
        let (nodes, addresses) = started.into_iter().unzip();
        Ok(Self { nodes, addresses, _sockets: plan.sockets })
    }

    /// The most memory that each node's process has had resident, in bytes; `None` if the system does not tell.
    pub fn peaks(&self) -> Vec<Option<u64>> {
        self.nodes.iter().map(|node| node.process.and_then(peak)).collect()
    }

    /// Kills the nodes at once; they write nothing any more.
    pub async fn kill(self) {
        for node in self.nodes {
            // The task holds the process, and dropping the process kills it.
            node.ended.abort();
            let _ = node.ended.await;
        }
    }

    /// Stops the nodes, which first write their unsaved state.
    pub async fn stop(self) {
        // A stopped process cannot write; the task kills it when it is dropped.
        self.nodes.iter().filter(|node| node.is_stopped()).for_each(|node| node.ended.abort());
        let (pipes, ended): (Vec<_>, Vec<_>) =
            self.nodes.into_iter().map(|node| (node.stdin, node.ended)).unzip();
        drop(pipes);
        // Dropping the handles kills the processes that are left after the deadline.
        let _ = tokio::time::timeout(STOP_DEADLINE, join_all(ended)).await;
    }
}

/// Checks that the system makes the threads of `count` nodes, each with `threads` compute threads, and of the rest of
/// the run. Each node checks its own, but nodes that start at the same time would take them from each other.
fn has_room(count: usize, threads: u32) -> Result<(), RunError> {
    let each = room::threads_of_node(threads);
    let what = format!("a run with local nodes ({count}, of {each} threads each)");
    let needs = room::Needs {
        what: &what,
        threads: THREADS,
        others: count * each,
        files: count * FILES_PER_NODE + FILES,
        otherwise: ", or lower node.threads or pipeline.stages",
    };
    room::check(needs).map_err(RunError::configuration)
}

/// The settings that the starts of all local nodes share.
struct Plan {
    binary: PathBuf,
    rooms: Rooms,
    settings: Settings,
    /// The environment variables that no node gets.
    aside: Vec<OsString>,
    sockets: Sockets,
}

impl Plan {
    /// The command that starts the node of this `number` and `role`, except for its standard streams.
    fn command(&self, number: usize, role: Role) -> Command {
        let mut command = Command::new(&self.binary);
        command.arg("serve");
        for plane in PLANES {
            command.args([&format!("--{plane}"), &self.sockets.address(role, plane)]);
        }
        command.args(["--threads", &self.settings.threads.to_string()]);
        command.args(["--device", self.settings.device.of(number), "--exit-with-stdin", "--state-dir"]);
        command.arg(self.rooms.state(role)).args(self.rooms.read_only().then_some("--read-only"));
        self.aside.iter().for_each(|name| _ = command.env_remove(name));
        // Local nodes are at sockets of this host, and the coordinator speaks plaintext with them.
        CREDENTIALS.iter().for_each(|name| _ = command.env_remove(name));
        // A node gets a process group of its own, so that only the coordinator handles an interrupt from the terminal.
        command.process_group(0).kill_on_drop(true);
        command
    }
}

async fn start(
    number: usize,
    role: Role,
    plan: &Plan,
    failures: FailureCollector,
) -> Result<(Local, NodeAddress), RunError> {
    let failed = |what: &str, error: std::io::Error| {
        RunError::node(format!("{role}: cannot {what} {}", limits::behind(&error)))
    };
    let binary = &plan.binary;
    let (log, stderr) = plan.rooms.open(role)?;
    let mut command = plan.command(number, role);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(stderr);
    let kills = Kills::so_far();
    let mut child = command.spawn().map_err(|error| failed(&format!("start {}", binary.display()), error))?;
    let (Some(stdin), Some(stdout)) = (child.stdin.take(), child.stdout.take()) else {
        return Err(RunError::internal(format!("{role} was started without pipes")));
    };
    let mut lines = BufReader::new(stdout.take(FIRST_LINE)).lines();
    let ready = tokio::select! {
        line = lines.next_line() => line.ok().flatten(),
        () = idle(child.id()) => None,
        () = tokio::time::sleep(READY_DEADLINE) => None,
    };
    let Some(ready) = ready.and_then(|line| serde_json::from_str::<Ready>(&line).ok()) else {
        let ended = tokio::time::timeout(REAPED, child.wait()).await;
        if let Some(why) = ended.ok().and_then(|status| kills.sentence(&status)) {
            return Err(RunError::node(format!("{role}: {why}")));
        }
        return Err(unready(role, &log, binary));
    };
    let address = NodeAddress { control: ready.control };
    let process = child.id();
    let watch = watch(role, child, address.control.clone(), log, kills, failures);
    let ended = AbortOnDropHandle::new(tokio::spawn(watch));
    Ok((Local { stdin, process, ended }, address))
}

/// The failure of a node whose process printed no address.
fn unready(role: Role, log: &Log, binary: &Path) -> RunError {
    let path = log.path().display();
    if let Some(said) = log.failure() {
        return RunError::node(format!("{role} did not become ready (its log is {path}): {said}"));
    }
    let last = log.last().unwrap_or_else(|| "it said nothing".into());
    // The system's loader ran out of address space before the program began.
    if ["failed to map segment", "llocate memory"].iter().any(|words| last.contains(words)) {
        return RunError::node(format!("{role} did not become ready ({last}): {}", limits::of_memory()));
    }
    RunError::node(format!(
        "{role} did not become ready ({last}): see {path}, and whether {} is a layer-node that runs here",
        binary.display()
    ))
}

/// The number of nodes that start at once. Every start loads libtorch, which keeps a core busy; more starts than this
/// would only wait for each other, and a node's deadline begins with its own start.
fn at_once() -> usize {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    (2 * cores).max(LEAST_AT_ONCE)
}

/// Completes when a process has been idle for [`IDLE_DEADLINE`]; never completes if the system does not tell.
async fn idle(process: Option<u32>) {
    let (mut effort, mut since) = (None, Instant::now());
    while since.elapsed() < IDLE_DEADLINE {
        tokio::time::sleep(Duration::from_millis(500)).await;
        let Some(now) = process.and_then(Effort::of) else { return std::future::pending().await };
        // A process that is ready to compute may have no core for long where many of them start.
        if matches!(now.state.as_str(), "D" | "R")
            || effort.is_none_or(|before: Effort| before.spent != now.spent)
        {
            since = Instant::now();
        }
        effort = Some(now);
    }
}

/// Reports the end of a node's process. After the run's own end the report is not read any more.
async fn watch(
    role: Role,
    mut child: Child,
    address: String,
    log: Log,
    kills: Kills,
    failures: FailureCollector,
) {
    let status = child.wait().await;
    let starved = kills.sentence(&status);
    let status = status.map_or_else(|error| error.to_string(), |status| status.to_string());
    let path = log.path().display();
    let why = match (starved, log.failure()) {
        (Some(starved), _) => starved,
        (None, Some(said)) => format!("its process ended ({status}; its log is {path}): {said}"),
        (None, None) => format!("its process ended ({status}): see {path}"),
    };
    failures.fail(Precedence::Cause, RunError::node(format!("{role} at {address}: {why}")));
}
