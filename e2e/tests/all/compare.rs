//! Test of `coordinator compare`: a sweep and a run beside each other, as a page, a CSV and pictures.

use e2e::{Bench, Run};
use std::collections::BTreeMap;
use std::fs;

const RUN: &str = r#"
[train]
max_steps = 4
batch = 16
[pipeline]
microbatches = 2
stages = ["down"]
[metrics]
layers_every = 2
"#;

const SWEEP: &str = r#"
base = "config.toml"
method = "grid"
[space]
seed = { values = [0, 1] }
[[case]]
name = "no transport"
set.rule.name = "feedback_alignment"
[[case]]
name = "exact"
set.rule.name = "backprop"
[[case]]
name = "refused"
set.rule.name = "kolen_pollack"
set.optimizer_b.lr = 0.5
"#;

/// The values of a series of the whole network in the CSV, by case and run.
fn values(csv: &str, series: &str) -> BTreeMap<(String, String), Vec<f64>> {
    let mut values: BTreeMap<_, Vec<f64>> = BTreeMap::new();
    for row in csv.lines().skip(1) {
        let [case, run, _, _, _, of, layer, value] = row.split(',').collect::<Vec<_>>()[..] else {
            panic!("a row has eight fields: {row}");
        };
        if of == series && layer.is_empty() {
            values.entry((case.into(), run.into())).or_default().push(value.parse().unwrap());
        }
    }
    values
}

fn losses(run: &Run) -> Vec<f64> {
    run.metrics().iter().map(|step| step["loss"].as_f64().unwrap()).collect()
}

#[test]
fn a_sweep_and_a_run_are_compared_by_their_cases() {
    let bench = Bench::new();
    let config = bench.config(RUN);
    fs::write(bench.path("sweep.toml"), SWEEP).unwrap();
    bench.ended(&["sweep", "--local", "--config", "sweep.toml", "--run-dir", "rules"]);
    let third = bench.trained(&config, "third", &["rule.name=\"backprop\"", "seed=7"]);
    let command = ["compare", "rules", "runs/third", "--csv", "all.csv", "--svg", "f.svg", "--png", "f.png"];
    let ended = bench.ended(&command);
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);

    let page = fs::read_to_string(bench.path("compare.html")).unwrap();
    for part in ["5 runs compared", "2 cases", "Of the sweep rules 4 trials stand here; left out: 2 failed."]
    {
        assert!(page.contains(part), "{part}");
    }
    let csv = fs::read_to_string(bench.path("all.csv")).unwrap();
    let found = values(&csv, "loss");
    let runs: Vec<_> = found.keys().map(|(case, run)| format!("{case}: {run}")).collect();
    let due = [
        "exact: rules/trial-001",
        "exact: rules/trial-004",
        "exact: third",
        "no transport: rules/trial-000",
        "no transport: rules/trial-003",
    ];
    assert_eq!(runs, due, "the run without a sweep is of the case with its settings");
    assert_eq!(found[&("exact".into(), "third".into())], losses(&third));
    assert!(csv.contains(",angle_deg,"));

    let whole = fs::read_to_string(bench.path("f.svg")).unwrap();
    assert!(
        whole.contains(">exact</text>")
            && whole.contains(">Angle between W and B, mean of the layers</text>")
    );
    for part in ["-loss", "-test-accuracy", "-angle", "-angle-layers"] {
        assert!(bench.path(&format!("f{part}.svg")).exists(), "{part}");
        assert!(fs::read(bench.path(&format!("f{part}.png"))).unwrap().starts_with(b"\x89PNG"), "{part}");
    }
    bench.ended(&command);
    assert_eq!(fs::read_to_string(bench.path("f.svg")).unwrap(), whole, "the same runs give the same bytes");
}
