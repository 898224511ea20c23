//! A workbench for tests of the real binaries: a small data set, configurations, runs, and the files of runs.

pub mod certificates;
pub mod cgroup;
mod coordinator;
pub mod harm;
pub mod limited;
pub mod machine;
mod node;
pub mod pod;
pub mod readonly;
pub mod relay;
mod run;
pub mod scrape;

pub use coordinator::Coordinator;
pub use node::Node;
pub use run::Run;

use machine::Share;
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::rc::Rc;
use std::sync::OnceLock;
use tempfile::TempDir;

/// Side of the images.
pub const SIDE: usize = 10;
/// Classes of the data set.
pub const CLASSES: usize = 5;
/// Five weight layers; the sum's skip spans a cut, under every cut into more than two stages.
const NETWORK: &str = include_str!("network.toml");
/// Two dense layers, `hidden` and `classes`.
const TINY: &str = include_str!("tiny.toml");
/// The variable by which `cargo xtask test` says that it has built the programs.
const BUILT_ALREADY: &str = "NEUROPIL_PROGRAMS_ARE_BUILT";
/// The layer node that leaks.
const LEAKING: &str = "layer-node-leaking";
const TRAIN: usize = 150;
const TEST: usize = 53;

/// The binary `name`, of the same profile as this test and as new as the sources.
pub fn binary(name: &str) -> PathBuf {
    static BUILT: OnceLock<()> = OnceLock::new();
    let test = std::env::current_exe().expect("a test has a path");
    let folder = test.parent().and_then(Path::parent).expect("tests lie in deps/");
    // `cargo test -p e2e` builds the libraries that it links, and not the binaries that it starts. `cargo xtask test` has
    // built them, with the features of the tests.
    if std::env::var_os(BUILT_ALREADY).is_none() {
        BUILT.get_or_init(|| build(folder, &["--bins"]));
    }
    let path = folder.join(name);
    assert!(path.is_file(), "{} is missing: `cargo build --workspace` builds it", path.display());
    path
}

/// The layer node that leaks a weight, as new as the sources. Only the development profile has it.
pub fn leaking_node() -> PathBuf {
    static BUILT: OnceLock<()> = OnceLock::new();
    let ordinary = binary("layer-node");
    let folder = ordinary.parent().expect("the folder of a profile");
    BUILT.get_or_init(|| build(folder, &["--features", "layer-node/leaks", "--bin", LEAKING]));
    folder.join(LEAKING)
}

/// Builds programs of the profile to which `folder` belongs, if cargo started this test. Both packages are named, so
/// that every build has the same features of the dependencies.
fn build(folder: &Path, programs: &[&str]) {
    let Some(cargo) = std::env::var_os("CARGO") else { return };
    let mut build = Command::new(cargo);
    build.args(["build", "--quiet", "--package", "coordinator", "--package", "layer-node"]).args(programs);
    if folder.ends_with("release") {
        build.arg("--release");
    }
    assert!(build.status().expect("cargo starts").success(), "the binaries do not build");
}

/// A folder with a data set, for as long as a test needs it.
pub struct Bench {
    folder: TempDir,
    _machine: Rc<Share>,
}

/// The end of a run.
pub struct Ended {
    /// The exit code; `None` where a signal ended the process.
    pub code: Option<i32>,
    /// All of stdout.
    pub stdout: String,
    /// All of stderr.
    pub stderr: String,
}

impl Ended {
    /// The last line on stderr.
    pub fn last_line(&self) -> &str {
        self.stderr.lines().last().unwrap_or_default()
    }
}

impl From<Output> for Ended {
    fn from(output: Output) -> Self {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        Self { code: output.status.code(), stdout: text(&output.stdout), stderr: text(&output.stderr) }
    }
}

impl Bench {
    /// A fresh folder with a data set in idx files. Each class is a bright bar in a place of its own, under noise.
    pub fn new() -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let bench = Self { folder, _machine: machine::share() };
        bench.write_split("train", TRAIN, 1);
        bench.write_split("t10k", TEST, 2);
        bench
    }

    fn write_split(&self, name: &str, count: usize, seed: u64) {
        let mut noise = seed;
        let mut next = move || {
            // Knuth's linear congruential generator: noise that is the same everywhere.
            noise = noise.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
            (noise >> 40) as usize
        };
        let header = |magic: u32, sizes: &[usize]| {
            let sizes = sizes.iter().map(|&size| size as u32);
            std::iter::once(magic).chain(sizes).flat_map(u32::to_be_bytes).collect::<Vec<u8>>()
        };
        let mut images = header(0x803, &[count, SIDE, SIDE]);
        let mut labels = header(0x801, &[count]);
        for _ in 0..count {
            let class = next() % CLASSES;
            labels.push(class as u8);
            for pixel in 0..SIDE * SIDE {
                let bar = (pixel / SIDE) / 2 == class;
                images.push((next() % 120 + if bar { 120 } else { 0 }) as u8);
            }
        }
        fs::write(self.path(&format!("{name}-images-idx3-ubyte")), images).expect("writable");
        fs::write(self.path(&format!("{name}-labels-idx1-ubyte")), labels).expect("writable");
    }

    /// A path in the folder.
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Writes the configuration of a network with five weight layers, norms, pooling and a skip, and
    /// returns its path. `keys` are TOML lines that come first.
    pub fn config(&self, keys: &str) -> PathBuf {
        let path = self.path("config.toml");
        let text = format!("{keys}\n{NETWORK}");
        fs::write(&path, text).expect("writable");
        path
    }

    /// As [`Bench::config`], of a network with two weight layers, `hidden` and `classes`, and no norm.
    pub fn tiny(&self, keys: &str) -> PathBuf {
        let path = self.path("tiny.toml");
        fs::write(&path, format!("{keys}\n{TINY}")).expect("writable");
        path
    }

    /// Runs a layer-node with the given arguments, in the folder, to its end; it must succeed.
    pub fn layer_node(&self, arguments: &[&str]) -> String {
        let mut command = Command::new(binary("layer-node"));
        let ended = command.args(arguments).current_dir(self.folder.path()).env_remove("RUST_LOG").output();
        let ended = Ended::from(ended.expect("layer-node starts"));
        assert_eq!(ended.code, Some(0), "{arguments:?}: {}", ended.stderr);
        ended.stdout
    }

    /// A coordinator with the data set of this bench and the given arguments.
    pub fn coordinator(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(binary("coordinator"));
        command.args(arguments).current_dir(self.folder.path());
        command.env_remove("NEUROPIL_DATA").env_remove("NEUROPIL_LAYER_NODE").env_remove("RUST_LOG");
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    /// Runs a coordinator with the given arguments to its end.
    pub fn ended(&self, arguments: &[&str]) -> Ended {
        self.coordinator(arguments).output().expect("the coordinator starts").into()
    }

    /// Starts a coordinator that trains the run `name`, `more` being further arguments. The run's folder is an
    /// absolute path, which tells the run's nodes from those of other tests.
    pub fn start(&self, name: &str, config: &Path, more: &[&str]) -> Coordinator {
        let run = self.run(name);
        let mut command = self.coordinator(&["train", "--config"]);
        command.arg(config).arg("--run-dir").arg(&run.folder).args(more);
        Coordinator::start(command, run)
    }

    /// Trains over local nodes as the run `name`; `set` are `--set` arguments.
    pub fn train(&self, config: &Path, name: &str, set: &[&str]) -> Ended {
        let mut command = self.coordinator(&["train", "--local", "--name", name, "--trace", "--config"]);
        command.arg(config);
        set.iter().for_each(|pair| _ = command.args(["--set", pair]));
        command.output().expect("the coordinator starts").into()
    }

    /// As [`Bench::train`], for a run that must succeed.
    pub fn trained(&self, config: &Path, name: &str, set: &[&str]) -> Run {
        let ended = self.train(config, name, set);
        assert_eq!(ended.code, Some(0), "{name} failed: {}", ended.stderr);
        self.run(name)
    }

    /// The run `name`.
    pub fn run(&self, name: &str) -> Run {
        Run { folder: self.path("runs").join(name) }
    }
}

impl Default for Bench {
    fn default() -> Self {
        Self::new()
    }
}

/// The output of `layer-node digest --state-dir DIR`: SHA-256 by tensor.
pub fn digest(state_dir: &Path) -> BTreeMap<String, String> {
    let output = Command::new(binary("layer-node")).args(["digest", "--state-dir"]).arg(state_dir).output();
    let ended = Ended::from(output.expect("layer-node starts"));
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    let pairs = ended.stdout.lines().map(|line| line.split_once("  ").expect("HEX  NAME"));
    pairs.map(|(hash, name)| (name.to_owned(), hash.to_owned())).collect()
}
