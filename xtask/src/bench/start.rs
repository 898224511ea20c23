//! What a run takes before its first step and after its last one, beside the bare start of as many layer nodes.

use super::deep::Deep;
use super::turns::{Contender, in_turn, times};
use super::watched::Watched;
use super::{Bounds, Options, Row};
use crate::release::{self, Profile};
use crate::run::{Failure, Root, unstartable};
use std::cell::RefCell;
use std::fs;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Stdio};
use std::time::Instant;

/// The numbers of nodes, and of those a quick look has.
const NODES: [usize; 4] = [1, 5, 21, 64];
const FEW: usize = 3;
/// Floor and goal of the bare start beside the whole one, which also has the data, the connections and a step.
const START: Bounds = (0.3, 0.8);
/// Floor and goal of the bare end beside the whole one, which also has snapshots, ledgers and the run's page.
const STOP: Bounds = (0.1, 0.5);

/// Starts and ends runs and bare nodes by turns.
pub fn start(root: &Root, options: &Options) -> Result<Vec<Row>, Failure> {
    let build = release::programs(root, Profile::Release)?;
    let deep = Deep::new(root, &build, "start", options)?;
    let nodes = if options.is_short { &NODES[..FEW] } else { &NODES };
    let mut rows = Vec::new();
    for &nodes in nodes {
        let seen = RefCell::new([Vec::<Watched>::new(), Vec::new()]);
        let note = |at: usize, watched: Watched| {
            seen.borrow_mut()[at].push(watched);
            Ok(watched.start)
        };
        let run = || note(0, deep.train(nodes, nodes)?);
        let bare = || note(1, bare(root, &build, deep.folder(), nodes)?);
        let contenders = [
            Contender { name: "a run", bounds: START, measure: Box::new(run) },
            Contender { name: "bare nodes", bounds: START, measure: Box::new(bare) },
        ];
        in_turn(&format!("{nodes} nodes, ms to the first step"), options.rounds, &contenders)?;
        drop(contenders);
        let [run, bare] = seen.into_inner();
        let row = |what: &str, of: fn(&Watched) -> f64, bounds| {
            let of = |seen: &[Watched]| seen.iter().map(of).collect::<Vec<_>>();
            times("start", format!("{nodes} nodes, {what}: bare nodes"), &of(&run), &of(&bare), bounds)
        };
        rows.push(row("start to the first step", |seen| seen.start, START));
        rows.push(row("end after the last step", |seen| seen.stop, STOP));
    }
    _ = fs::remove_dir_all(deep.folder());
    Ok(rows)
}

/// Starts `count` layer nodes at once, waits until all are ready, and ends them.
fn bare(root: &Root, build: &Path, folder: &Path, count: usize) -> Result<Watched, Failure> {
    let begun = Instant::now();
    let node = |number: usize| {
        let mut node = root.command(build.join("layer-node"));
        let any = "127.0.0.1:0";
        node.args(["serve", "--listen", any, "--control", any, "--health", any, "--threads", "1"]);
        node.args(["--exit-with-stdin", "--state-dir"]).arg(folder.join(format!("bare-{number}")));
        node.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        node.spawn().map_err(|error| unstartable(&node, &error))
    };
    let mut nodes = (0..count).map(node).collect::<Result<Vec<Child>, Failure>>()?;
    for node in &mut nodes {
        let mut line = String::new();
        let said = node.stdout.take().map(|stdout| BufReader::new(stdout).read_line(&mut line));
        if !matches!(said, Some(Ok(1..))) {
            return Err("a layer node ended before it was ready".to_string().into());
        }
    }
    let start = begun.elapsed().as_secs_f64() * 1e3;
    let ending = Instant::now();
    nodes.iter_mut().for_each(|node| drop(node.stdin.take()));
    nodes.iter_mut().for_each(|node| _ = node.wait());
    let stop = ending.elapsed().as_secs_f64() * 1e3;
    Ok(Watched { start, stop, ..Watched::default() })
}
