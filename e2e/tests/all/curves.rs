//! Tests of what a run tells of its course: evaluations within an epoch, the rate of every step, and its starts.

use e2e::{Bench, Run};
use serde_json::{Value, json};

const KEYS: &str = r#"
[rule]
name = "kolen_pollack"
[train]
epochs = 2
batch = 16
evaluate_every = 4
[optimizer]
lr = 0.05
schedule = "step"
boundaries = [1]
factor = 0.5
[pipeline]
microbatches = 2
stages = ["down"]
[snapshot]
every_steps = 6
keep_last = 10
"#;
/// Minibatches of the run.
const STEPS: u64 = 20;

#[test]
fn a_run_tells_its_rates_its_evaluations_and_its_starts() {
    let bench = Bench::new();
    let config = bench.config(KEYS);
    let run = bench.trained(&config, "told", &[]);
    let history = run.history();
    rates_follow_the_schedule(&run);
    let evaluated = |run: &Run| -> Vec<u64> {
        run.lines("evaluations.jsonl").iter().map(|line| line["step"].as_u64().unwrap()).collect()
    };
    assert_eq!(evaluated(&run), [4, 8, 10, 12, 16, 20], "every fourth step, and each epoch's end");
    assert!(!page(&run).contains("Begun on"), "a run without restarts has no list of starts");
    assert_eq!(marks(&run), json!([]));

    // The run goes back twice; of the marks only the second stands, and the lines are those of one start.
    for step in ["12", "6"] {
        let ended = bench.start("told", &config, &["--local", "--resume", step]).ended();
        assert_eq!(ended.code, Some(0), "{}", ended.stderr);
        assert!(ended.stderr.contains("step 16, in epoch 2: test accuracy"), "{}", ended.stderr);
        assert!(ended.stderr.contains("epoch 2 done after step 20: test accuracy"), "{}", ended.stderr);
    }
    assert_eq!((run.history(), evaluated(&run)), (history, vec![4, 8, 10, 12, 16, 20]));
    let identity = run.json("run.json");
    let starts = identity["starts"].as_array().unwrap();
    let told: Vec<Value> =
        starts.iter().map(|start| json!([start["how"], start["after"], start["reached"]])).collect();
    assert_eq!(told, [json!(["begun", 0, 0]), json!(["resumed", 12, 20]), json!(["resumed", 6, 20])]);
    assert!(starts.iter().all(|start| start["unix_time"].as_u64().unwrap() > 1_700_000_000));
    assert_eq!(marks(&run), json!([{"step": 6, "word": "resumed"}]));
    let page = page(&run);
    for told in ["Begun on", "Resumed after step 12 on", "; steps 7 to 20 were run again."] {
        assert!(page.contains(told), "{told}");
    }
    only_the_rest_is_evaluated_anew(&bench, &run);
}

/// The key decides no bit, so it may change when a run goes on.
fn only_the_rest_is_evaluated_anew(bench: &Bench, run: &Run) {
    let config = bench.path("config.toml");
    let history = run.history();
    let arguments = ["--local", "--resume", "18", "--set", "train.evaluate_every=0"];
    let ended = bench.start("told", &config, &arguments).ended();
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    assert_eq!(run.history(), history);
}

fn rates_follow_the_schedule(run: &Run) {
    let lines = run.metrics();
    assert_eq!(lines.len() as u64, STEPS);
    for line in &lines {
        let step = line["step"].as_u64().unwrap();
        let rate = if step <= 10 { 0.05 } else { 0.025 };
        assert_eq!((&line["lr"], &line["lr_b"]), (&json!(rate), &json!(rate)), "{line}");
        // The last minibatch of an epoch is what its ten minibatches of 16 leave of 150 samples.
        assert_eq!(line["samples"], if step.is_multiple_of(10) { 6 } else { 16 });
    }
}

fn page(run: &Run) -> String {
    std::fs::read_to_string(run.folder.join("report.html")).unwrap()
}

/// The marks on the charts of the run's page.
fn marks(run: &Run) -> Value {
    let page = page(run);
    let data = page.split("id=\"data\">").nth(1).unwrap().split("</script>").next().unwrap();
    serde_json::from_str::<Value>(data).unwrap()["marks"].clone()
}
