//! Tests of runs whose layers compute in bf16: the cut and the format of the links change no bit, weights stay f32, and a
//! run keeps the precision that it began with.

use e2e::Bench;
use e2e::harm::failed;

const KEYS: &str = r#"
[train]
epochs = 1
batch = 32
[optimizer]
lr = 0.05
[pipeline]
microbatches = 3
stages = 1
[node]
precision = "bf16"
"#;

#[test]
fn bf16_has_the_same_bits_however_it_is_cut_and_whichever_format_the_links_have() {
    let bench = Bench::new();
    let config = bench.config(KEYS);
    for rule in ["symmetric_alignment", "kolen_pollack", "product_feedback_alignment"] {
        let rule = format!("rule.name={rule}");
        let run = |name: &str, set: &[&str]| {
            let run = bench.trained(&config, &format!("{name}-{rule}"), &[&[rule.as_str()], set].concat());
            (run.history(), run.digests())
        };
        let whole = run("whole", &[]);
        for (stages, wire) in [("1", "bf16"), ("per_layer", "bf16"), ("[\"branch2\", \"down\"]", "f32")] {
            let set = [format!("pipeline.stages={stages}"), format!("network.wire={wire}")];
            let cut = run(&format!("{wire}-{}", stages.len()), &set.each_ref().map(String::as_str));
            assert!(cut == whole, "{rule}, cut at {stages}, links in {wire}");
        }
        let [plain, tf32] = ["f32", "tf32"].map(|word| run(word, &[&format!("node.precision={word}")]));
        assert_eq!(plain, tf32, "a CPU has no tf32");
        assert_ne!(plain.1, whole.1, "bf16 is another computation");
        assert_eq!(plain.1.keys().collect::<Vec<_>>(), whole.1.keys().collect::<Vec<_>>());
    }
}

#[test]
fn a_run_keeps_its_precision() {
    let bench = Bench::new();
    let config = bench.tiny(KEYS);
    bench.trained(&config, "run", &["train.max_steps=2"]);
    let resume = |precision: &str| {
        let set = format!("node.precision={precision}");
        let same_end = "train.max_steps=2";
        bench
            .start("run", &config, &["--local", "--resume", "auto", "--set", same_end, "--set", &set])
            .ended()
    };
    failed(&resume("f32"), 2, &["'node.precision' is \"f32\" here and \"bf16\" in "]);
    assert_eq!(resume("bf16").code, Some(0));
}
