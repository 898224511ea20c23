//! A process of `layer-node serve`, which runs until the test ends.

use crate::common::{layer, value};
use proto::client::Node;
use proto::control::{Command, Start};
use proto::link::Peer;
use proto::spec::graph::Op;
use proto::spec::stage::StageSpec;
use proto::transport::tls::Security;
use std::io::{BufRead, BufReader};
use std::process::{self, Child, Stdio};
use std::time::{Duration, Instant};

/// How long a node may take to answer.
pub const WAIT: Duration = Duration::from_secs(10);

/// A process of `layer-node serve`, on free ports of loopback.
pub struct Served {
    child: Child,
    /// The node's first line on stdout.
    pub ready: serde_json::Value,
    _state: tempfile::TempDir,
}

impl Served {
    /// Starts a node.
    pub fn start() -> Self {
        let state = tempfile::tempdir().unwrap();
        let any = "127.0.0.1:0";
        let mut command = process::Command::new(env!("CARGO_BIN_EXE_layer-node"));
        command
            .args([
                "serve",
                "--listen",
                any,
                "--control",
                any,
                "--health",
                any,
                "--threads",
                "1",
                "--state-dir",
            ])
            .arg(state.path());
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        Self { child, ready: serde_json::from_str(&line).unwrap(), _state: state }
    }

    /// The node's address on the plane `data`, `control` or `health`.
    pub fn address(&self, plane: &str) -> String {
        self.ready[plane].as_str().unwrap().to_owned()
    }

    /// The same address as a peer.
    pub fn peer(&self, plane: &str) -> Peer {
        Peer::node(self.address(plane))
    }

    /// The same address as a URL.
    pub fn url(&self, plane: &str) -> String {
        format!("http://{}", self.address(plane))
    }

    /// A connection to the node's control port.
    pub async fn control(&self) -> Node {
        Node::connect(&Security::plaintext(), &self.peer("control"), WAIT).await.unwrap()
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The only stage of `run`: a relu on single numbers.
pub fn relu(run: &str) -> StageSpec {
    let alone = StageSpec::alone(vec![layer("relu", "input", Op::Relu)], vec![value("input", &[1])]);
    StageSpec { run: run.into(), ..alone }
}

/// The command that starts `run` on its only stage.
pub fn start(run: &str, incarnation: u32) -> Command {
    let (connect_deadline, message_deadline) = (WAIT, WAIT);
    Command::Start(Start {
        run: run.into(),
        incarnation,
        above: None,
        backward: None,
        connect_deadline,
        message_deadline,
    })
}

/// Waits until the node has no run, so that it accepts the next run.
pub async fn idle(control: &Node) {
    let begun = Instant::now();
    while control.describe().await.unwrap().run.is_some() {
        assert!(begun.elapsed() < WAIT, "the node is not idle again");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}
