//! Tests that stages compute at the same time, by the nodes' own timestamps.

use e2e::Bench;
use serde_json::Value;
use std::collections::BTreeMap;

const KEYS: &str = r#"
[train]
epochs = 12
batch = 150
max_steps = 12
[pipeline]
microbatches = 6
stages = "per_layer"
"#;

#[test]
fn in_every_step_actions_of_two_stages_overlap() {
    let bench = Bench::new();
    let config = bench.config(KEYS);
    // The layers are wide enough that computing takes longer than sending.
    let wide = std::fs::read_to_string(&config)
        .unwrap()
        .replace("out = 6", "out = 48")
        .replace("out = 8", "out = 64");
    std::fs::write(&config, wide).unwrap();
    for schedule in ["gpipe", "one_f_one_b", "zero_bubble"] {
        let run = bench.trained(&config, schedule, &[&format!("pipeline.schedule={schedule}")]);
        let trace = run.json("trace.json");
        let mut steps: BTreeMap<u64, Vec<(f64, f64, u64)>> = BTreeMap::new();
        for event in trace["traceEvents"].as_array().unwrap().iter().filter(|event| event["cat"] == "train") {
            let number = |value: &Value| value.as_f64().unwrap();
            let (start, stage) = (number(&event["ts"]), event["pid"].as_u64().unwrap());
            let span = (start, start + number(&event["dur"]), stage);
            steps.entry(event["args"]["step"].as_u64().unwrap()).or_default().push(span);
        }
        assert_eq!(steps.len(), 12);
        // The first three steps are left out: caches are cold and threads sleep.
        for (step, spans) in steps.into_iter().skip(3) {
            let overlap = |a: &(f64, f64, u64), b: &(f64, f64, u64)| a.2 != b.2 && a.0 < b.1 && b.0 < a.1;
            let any = spans.iter().any(|a| spans.iter().any(|b| overlap(a, b)));
            assert!(any, "{schedule}: in step {step} no two stages computed at the same time");
        }
    }
}
