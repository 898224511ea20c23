//! Tests of statistics that have no value: they are dashes for people and `null` for programs, with the reason beside
//! them, and no older value stands for them.

use e2e::Bench;
use std::fs;

/// B is half as large after the first step, and exactly zero from the second one on: lr · 2 · decay is 1, and warm-up
/// takes two steps.
const KEYS: &str = r#"
[rule]
name = "custom"
decay = 1.0
[train]
epochs = 1
batch = 30
max_steps = 4
[optimizer]
lr = 0.05
momentum = 0.0
nesterov = false
weight_decay = 0.0
schedule = "constant"
warmup_epochs = 0.0
[optimizer_b]
lr = 0.5
warmup_epochs = 0.4
[pipeline]
stages = ["classes"]
[metrics]
layers_every = 1
"#;

#[test]
fn a_b_of_zero_has_no_angle_and_no_older_one_stands_for_it() {
    let bench = Bench::new();
    let config = bench.tiny(KEYS);
    let run = bench.trained(&config, "zero", &[]);
    let metrics = run.metrics();
    assert!(metrics[0]["layers"][0]["angle_deg"].is_number(), "{}", metrics[0]);
    let layer = &metrics[1]["layers"][0];
    assert!(layer["angle_deg"].is_null(), "{layer}");
    assert_eq!((layer["norm_ratio"].as_f64(), layer["no_angle"].as_str()), (Some(0.0), Some("B is zero")));

    // The second start trains no step: it has the angles from the history alone.
    for resumed in [false, true] {
        let stdout = if resumed {
            let ended = bench.start("zero", &config, &["--local", "--resume", "auto"]).ended();
            assert_eq!(ended.code, Some(0), "{}", ended.stderr);
            ended.stdout
        } else {
            String::new()
        };
        for node in run.summary()["nodes"].as_array().unwrap() {
            let layer = &node["layers"][0];
            assert!(layer["angle_deg"].is_null(), "{layer}");
            let (why, step) = (layer["no_angle"].as_str(), layer["angle_step"].as_u64());
            assert_eq!((why, step), (Some("B is zero"), Some(4)));
        }
        let row = stdout.lines().find(|line| line.contains("hidden"));
        assert!(row.is_none_or(|row| row.contains(" – ")) && row.is_some() == resumed, "{stdout}");
        for file in ["metrics.jsonl", "evaluations.jsonl", "summary.json", "report.html"] {
            let text = fs::read_to_string(run.folder.join(file)).unwrap();
            assert!(file == "report.html" || !text.contains("NaN"), "{file}");
            assert!(!text.contains("NaN°") && !text.contains(">NaN"), "{file}");
        }
    }
    let page = fs::read_to_string(run.folder.join("report.html")).unwrap();
    assert!(page.contains("<td>–</td><td>0.00</td>"), "the page shows an older angle");
}
