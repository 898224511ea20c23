//! Kolen-Pollack's law, across processes: W and B receive the same updates, so their difference shrinks
//! by exactly 1 − ηλ a step, whatever the data. An update lost or doubled would break it.

use e2e::Bench;

const KEYS: &str = r#"
[rule]
name = "kolen_pollack"
[train]
epochs = 200
batch = 32
max_steps = 200
[optimizer]
lr = 0.1
momentum = 0.0
nesterov = false
weight_decay = 0.05
schedule = "constant"
[pipeline]
microbatches = 2
stages = "per_layer"
[metrics]
layers_every = 1
"#;

#[test]
fn the_difference_of_w_and_b_decays_by_the_law() {
    let bench = Bench::new();
    let run = bench.trained(&bench.config(KEYS), "law", &[]);
    let metrics = run.metrics();
    assert_eq!(metrics.len(), 200);
    let layers = metrics[0]["layers"].as_array().unwrap().len();
    assert_eq!(layers, 5);
    for layer in 0..layers {
        let of = |step: usize, key: &str| {
            let line: &serde_json::Value = &metrics[step];
            line["layers"][layer][key].as_f64().unwrap()
        };
        let name = &metrics[0]["layers"][layer]["name"];
        let mut checked = 0;
        for step in 1..200 {
            let law = (1.0f64 - 0.1 * 0.05).powi(step as i32);
            let measured = of(step, "difference") / of(0, "difference");
            assert!(
                (measured / law - 1.0).abs() < 1e-5,
                "{name}, step {}: {measured} is not {law}",
                step + 1
            );
            checked += usize::from(law > 0.01);
        }
        assert_eq!(checked, 199, "the law stays above 0.01 over these steps");
        let moved = (of(199, "norm") / of(0, "norm") - 1.0).abs();
        assert!(moved > 0.01, "{name}: W must move for the law to say anything, it changed by {moved}");
    }
}
