//! `coordinator train`: a run from its first step to its table.

use super::course::{Course, Item};
use super::folder::{self, RunFolder, RunIdentity};
use super::interrupt;
use super::prepare::{Lanes, Prepared};
use super::recorder::Recorder;
use super::summary::{Summary, table};
use crate::driver::{self, Board, Driver, NodeAddress, Setup};
use crate::failure::{Cause, Failure};
use crate::node::LocalNodes;
use crate::report;
use std::path::Path;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// Minibatches, evaluations and snapshots that are in the pipeline at once: enough that the first stage
/// always has its next inputs, few enough that an interrupt ends soon.
const IN_FLIGHT: usize = 3;

/// Where the nodes of a run are.
#[derive(Clone, Debug)]
pub enum Where {
    /// Processes of this host, started and ended by the coordinator.
    Local,
    /// Control addresses, one per stage.
    Remote(Vec<String>),
}

impl Where {
    /// Checks that there is a node for each of `stages`.
    fn check(&self, stages: usize) -> Result<(), Failure> {
        match self {
            Where::Remote(given) if given.len() != stages => Err(Failure::configuration(format!(
                "--nodes names {} nodes, but pipeline.stages cuts the network into {stages} stages",
                given.len()
            ))),
            _ => Ok(()),
        }
    }
}

/// Which folder the run gets.
#[derive(Clone, Copy, Debug)]
pub struct Naming<'a> {
    /// `runs/NAME`.
    pub name: Option<&'a str>,
    /// Or a folder of its own.
    pub run_dir: Option<&'a Path>,
    /// Or the first free `runs/STEM-N`.
    pub stem: &'a str,
}

/// What a run leaves beyond the usual.
#[derive(Clone, Copy, Debug, Default)]
pub struct Extras {
    /// `trace.json`.
    pub trace: bool,
}

/// Trains, and leaves the run's folder behind. Prints the table on stdout.
///
/// # Errors
/// One sentence, with the contract's exit code; the folder then holds what there was.
pub async fn train(
    prepared: Prepared,
    place: Where,
    naming: Naming<'_>,
    extras: Extras,
) -> Result<(), Failure> {
    let stop = interrupt::listen();
    let text = prepared.config.to_toml().map_err(Failure::configuration)?;
    place.check(prepared.ranges.len())?;
    let path = folder::choose(naming.name, naming.run_dir, naming.stem)?;
    let (folder, identity) = RunFolder::create(path, &text)?;
    let board = Board::default();
    let nodes = Nodes::find(&place, &prepared, folder.path(), &board).await?;
    let mut recorder = Recorder::new(folder, &prepared, 0, extras.trace);
    let addresses = nodes.addresses().to_vec();
    let result = run(&prepared, &addresses, &identity, &board, &stop, &mut recorder).await;
    nodes.stop().await;

    let (status, error) = match &result {
        Ok(()) => ("done", None),
        Err(failure) if failure.cause == Cause::Interrupted => {
            ("interrupted", Some(failure.sentence.clone()))
        }
        Err(failure) => ("failed", Some(failure.sentence.clone())),
    };
    let summary = Summary::new(status, error, &prepared, &addresses, &recorder);
    recorder.folder().summary(&summary)?;
    recorder.finish()?;
    write_report(recorder.folder())?;
    result?;
    print!("{}", table(&summary));
    println!("\nrun folder: {}", recorder.folder().path().display());
    Ok(())
}

/// Draws `report.html` from the files of the run.
fn write_report(folder: &RunFolder) -> Result<(), Failure> {
    let run = report::Run::read(folder.path()).map_err(Failure::internal)?;
    folder.write("report.html", report::render(&[run]).as_bytes())
}

async fn run(
    prepared: &Prepared,
    nodes: &[NodeAddress],
    identity: &RunIdentity,
    board: &Board,
    stop: &CancellationToken,
    recorder: &mut Recorder,
) -> Result<(), Failure> {
    let stages = prepared.stages(&identity.id, identity.incarnation, None)?;
    let (mut driver, _) = driver::open(setup(prepared, stages, nodes), board.clone()).await?;
    recorder.say(&format!(
        "{} stages connected; run folder {}",
        nodes.len(),
        recorder.folder().path().display()
    ));
    let mut lanes = Lanes::new(&prepared.config, nodes.len());
    let mut course = Course::new(prepared, 0);
    while !stop.is_cancelled() {
        let Some(item) = course.next() else { break };
        if driver.pending() >= IN_FLIGHT {
            take(&mut driver, recorder).await?;
        }
        put(&mut driver, &mut lanes, item).await?;
    }
    while driver.pending() > 0 {
        take(&mut driver, recorder).await?;
    }
    let interrupted = stop.is_cancelled() && recorder.steps < prepared.total_steps();
    if interrupted {
        driver.snapshot().await?;
        take(&mut driver, recorder).await?;
    }
    driver.close().await;
    if interrupted {
        let (step, total, folder) =
            (recorder.steps, prepared.total_steps(), recorder.folder().path().display());
        let why = format!(
            "interrupted after step {step} of {total}; the nodes have saved their state (run folder {folder})"
        );
        return Err(Failure::new(Cause::Interrupted, why));
    }
    Ok(())
}

/// What the driver must know.
pub fn setup(prepared: &Prepared, stages: Vec<proto::stage::StageSpec>, nodes: &[NodeAddress]) -> Setup {
    let config = &prepared.config;
    Setup {
        stages,
        nodes: nodes.to_vec(),
        sets: prepared.sets.clone(),
        classes: config.model.classes as usize,
        smoothing: config.train.label_smoothing,
        connect_deadline: Duration::from_secs_f64(config.network.connect_deadline),
        message_deadline: Duration::from_secs_f64(config.network.message_deadline),
    }
}

/// Puts one item into the pipeline.
pub async fn put(driver: &mut Driver, lanes: &mut Lanes, item: Item) -> Result<(), Failure> {
    match item {
        Item::Snapshot => driver.snapshot().await,
        Item::Minibatch(minibatch) => {
            let lanes = lanes.of(minibatch.phase, minibatch.microbatches)?;
            driver.submit(minibatch, &lanes).await
        }
    }
}

async fn take(driver: &mut Driver, recorder: &mut Recorder) -> Result<(), Failure> {
    match driver.next().await? {
        Some(event) => recorder.record(event),
        None => Ok(()),
    }
}

/// The nodes of a run, whoever started them.
pub enum Nodes {
    /// Ours.
    Local(LocalNodes),
    /// Given by hand.
    Remote(Vec<NodeAddress>),
}

impl Nodes {
    /// Starts local nodes, or takes the given addresses, one per stage.
    ///
    /// # Errors
    /// Another number of addresses than stages, or a node that could not be started.
    pub async fn find(
        place: &Where,
        prepared: &Prepared,
        run_dir: &Path,
        board: &Board,
    ) -> Result<Self, Failure> {
        let stages = prepared.ranges.len();
        match place {
            Where::Local => {
                let threads = prepared.config.node.threads;
                LocalNodes::start(stages, run_dir, threads, board).await.map(Nodes::Local)
            }
            Where::Remote(given) => {
                place.check(stages)?;
                Ok(Nodes::Remote(
                    given.iter().map(|control| NodeAddress { control: control.clone() }).collect(),
                ))
            }
        }
    }

    /// Where they are reached.
    pub fn addresses(&self) -> &[NodeAddress] {
        match self {
            Nodes::Local(nodes) => &nodes.addresses,
            Nodes::Remote(addresses) => addresses,
        }
    }

    /// Ends those that are ours.
    pub async fn stop(self) {
        if let Nodes::Local(nodes) = self {
            nodes.stop().await;
        }
    }
}
