//! Chaos tests: nodes and coordinators are killed and stopped at random moments, twenty times, and the run ends in
//! the bits of an undisturbed run. `CHAOS_SEED` repeats the moments and the victims of a run.

mod harmed;
mod schedule;

use e2e::harm::{SAVED_EVERY, node, saving};
use e2e::{Bench, Run, digest};
use harmed::{Harmed, Nodes, STAGES, VICTIMS};
use safetensors::SafeTensors;
use schedule::{Harm, Random};
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

/// The number of steps in 90 epochs.
const STEPS: u64 = 900;

/// The number of steps that are run again, as a line of the log says.
fn lost(line: &str) -> Option<u64> {
    let (first, last) = line.strip_prefix("steps ")?.strip_suffix(" are run again")?.split_once(" to ")?;
    Some(last.parse::<u64>().unwrap() + 1 - first.parse::<u64>().unwrap())
}

/// The number of updates in the header of the newest snapshot in a state folder.
fn updates(state: &Path) -> u64 {
    let file = state.join(format!("step-{STEPS:08}/stage.safetensors"));
    let bytes = fs::read(file).unwrap();
    let (_, header) = SafeTensors::read_metadata(&bytes).unwrap();
    header.metadata().as_ref().unwrap()["step"].parse().unwrap()
}

/// Harms a run by the whole schedule, and compares it with an undisturbed run.
fn chaos(schedule: &str, nodes: impl FnOnce(&Bench, &mut Random) -> Nodes) {
    let bench = Bench::new();
    let keys = saving(90) + "best = true\n";
    let config = bench.config(&keys.replace("[pipeline]", &format!("[pipeline]\nschedule = \"{schedule}\"")));
    let undisturbed = bench.trained(&config, "undisturbed", &[]);
    let mut random = Random::new(schedule);
    let nodes = nodes(&bench, &mut random);
    let mut harmed = Harmed::start(bench, config, nodes);
    for (number, blow) in schedule::schedule(&mut random, VICTIMS).iter().enumerate() {
        let name =
            if blow.victim < STAGES { format!("stage {}", blow.victim) } else { "the coordinator".into() };
        let what = if matches!(blow.harm, Harm::Stop) { "stops" } else { "kills" };
        println!("{number}: {what} {name} {} steps after step {}", blow.steps, harmed.run().steps());
        harmed.suffer(blow);
    }
    harmed.finish();

    let (run, states) = (harmed.run(), harmed.states());
    same(&run, &undisturbed, &states);
    let best = undisturbed.summary()["best_step"].as_u64().unwrap();
    assert!(states.iter().all(|state| state.join(format!("step-{best:08}")).is_dir()), "the best is kept");
    let lost: Vec<u64> = harmed.said().lines().filter_map(lost).collect();
    let again = lost.iter().sum::<u64>();
    let goodput = 100.0 * STEPS as f64 / (STEPS + again) as f64;
    println!("{schedule}: steps that were run again: {lost:?}");
    println!("goodput {schedule}: {STEPS} useful steps of {} in all, {goodput:.1} %", STEPS + again);
    assert!(!lost.is_empty() && lost.iter().all(|lost| *lost <= SAVED_EVERY), "{lost:?}: {}", harmed.said());
    assert_eq!(node(&run.folder), None, "no local node is left");
}

/// Checks that the run has every step once, and the losses, evaluations, bits and counts of the undisturbed run.
fn same(run: &Run, undisturbed: &Run, states: &[PathBuf]) {
    let steps: Vec<u64> = run.metrics().iter().map(|line| line["step"].as_u64().unwrap()).collect();
    assert_eq!(steps, (1..=STEPS).collect::<Vec<_>>(), "every step once, in order");
    assert_eq!(run.history(), undisturbed.history());
    let digests: BTreeMap<_, _> = states.iter().flat_map(|state| digest(state)).collect();
    assert_eq!(digests, undisturbed.digests());
    assert_eq!(states.iter().map(|state| updates(state)).collect::<Vec<_>>(), [STEPS; STAGES]);
    let (summary, expected) = (run.summary(), undisturbed.summary());
    for key in ["status", "steps", "best_step"] {
        assert_eq!(summary[key], expected[key], "{key}");
    }
}

#[test]
fn a_run_over_local_nodes_ends_in_the_same_bits() {
    chaos("gpipe", |_, _| Nodes::Local);
}

#[test]
fn a_run_over_nodes_that_come_back_ends_in_the_same_bits() {
    chaos("one_f_one_b", Nodes::remote);
}

#[test]
fn a_run_whose_gradients_come_late_ends_in_the_same_bits() {
    chaos("zero_bubble", Nodes::remote);
}

#[test]
fn an_asynchronous_run_ends_in_the_same_bits() {
    chaos("asynchronous", Nodes::remote);
}
