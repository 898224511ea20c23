//! Tests of cuts that are disturbed: killed at any moment, or of states of which something is missing or damaged.

use super::{KEYS, folders, resume, resumed};
use e2e::Bench;
use e2e::harm::{failed, signal};
use std::fs;

#[test]
fn a_kill_during_the_cut_loses_nothing() {
    let bench = Bench::new();
    let config = bench.config(KEYS);
    let never = bench.trained(&config, "never", &[]);
    let run = bench.trained(&config, "run", &["train.max_steps=13"]);
    let cuts = ["pipeline.stages=1", "pipeline.stages=per_layer", "pipeline.placement=split"];
    let mut met = 0;
    for (round, cut) in cuts.iter().cycle().take(9).enumerate() {
        let mut killed = bench.start("run", &config, &["--local", "--resume", "auto", "--set", cut]);
        // The cut takes some milliseconds, in which the kill arrives at other moments in each round.
        while !killed.is_over() && !run.folder.join("state.recut").exists() {
            std::thread::sleep(std::time::Duration::from_micros(200));
        }
        std::thread::sleep(std::time::Duration::from_millis(4 * (round as u64 % 5)));
        met +=
            usize::from(run.folder.join("state.recut").exists() || run.folder.join("state.before").exists());
        signal("-KILL", killed.id());
        killed.kill();
    }
    println!("{met} of 9 kills met a cut");
    resumed(&bench, &config, "run", &["pipeline.stages=2"]);
    assert_eq!(folders(&run), ["stage-0", "stage-1"]);
    assert_eq!((run.history(), run.digests()), (never.history(), never.digests()));
}

#[test]
fn a_start_that_was_killed_between_the_two_renames_is_finished() {
    let bench = Bench::new();
    let config = bench.config(KEYS);
    let never = bench.trained(&config, "never", &[]);
    let run = bench.trained(&config, "run", &["train.max_steps=13"]);
    let two = ["pipeline.stages=2", "train.max_steps=14"];
    resumed(&bench, &config, "run", &two);
    let place = |name: &str| run.folder.join(name);
    fs::rename(place("state"), place("state.recut")).unwrap();
    fs::create_dir(place("state.before")).unwrap();
    resumed(&bench, &config, "run", &[]);
    assert_eq!(folders(&run).len(), 5);
    assert_eq!((run.history(), run.digests()), (never.history(), never.digests()));
}

#[test]
fn what_is_missing_or_damaged_is_told_and_the_former_states_stay() {
    let bench = Bench::new();
    let config = bench.config(KEYS);
    let never = bench.trained(&config, "never", &[]);
    let run = bench.trained(&config, "run", &["train.max_steps=14"]);
    assert_eq!(run.snapshots(0), [7, 14]);

    // The newest snapshot of a stage is damaged: the one before is taken.
    let file = run.folder.join("state/stage-3/step-00000014/stage.safetensors");
    let mut bytes = fs::read(&file).unwrap();
    *bytes.last_mut().unwrap() ^= 1;
    fs::write(&file, bytes).unwrap();
    let ended = resumed(&bench, &config, "run", &["pipeline.stages=2", "train.max_steps=14"]);
    for said in [
        "the snapshots after step 14 were left out: ",
        "damaged (its bytes are not those that were written)",
        "the snapshots after step 7 were cut anew: 5 stages → 2 stages",
        "steps 8 to 14 are run again",
    ] {
        assert!(ended.stderr.contains(said), "{said}: {}", ended.stderr);
    }

    // The folder of a stage is gone, and no snapshot is whole without it.
    fs::rename(run.folder.join("state/stage-1"), bench.path("aside")).unwrap();
    let lost = resume(&bench, &config, "run", &["pipeline.stages=3"]);
    let said = [
        "of another cut",
        "the snapshots after step 14 cannot be cut anew: '",
        "is in none of them",
        "--resume 0",
    ];
    failed(&lost, 4, &said);
    assert_eq!(folders(&run), ["stage-0"], "it stays as it was");
    fs::rename(bench.path("aside"), run.folder.join("state/stage-1")).unwrap();
    resumed(&bench, &config, "run", &["pipeline.stages=3"]);
    assert_eq!((run.history(), run.digests()), (never.history(), never.digests()));

    // On request the run begins again without it.
    fs::remove_dir_all(run.folder.join("state/stage-1")).unwrap();
    let again =
        bench.start("run", &config, &["--local", "--resume", "0", "--set", "pipeline.stages=2"]).ended();
    assert_eq!(again.code, Some(0), "{}", again.stderr);
    assert_eq!((run.history(), run.digests()), (never.history(), never.digests()));
}
