//! Tests of values that the links' number format does not hold: the sentence names the format, its end and the value.

use e2e::Bench;
use e2e::harm::failed;
use safetensors::SafeTensors;
use safetensors::tensor::TensorView;
use std::fs;

const KEYS: &str = r#"
[rule]
name = "feedback_alignment"
[train]
epochs = 1
batch = 30
max_steps = 5
[optimizer]
lr = 0.01
[pipeline]
stages = ["classes"]
[network]
wire = "f16"
[snapshot]
every_steps = 2
keep_last = 9
"#;

#[test]
fn an_output_beyond_f16_is_named_with_the_format_and_not_the_learning_rate_alone() {
    let bench = Bench::new();
    let config = bench.tiny(KEYS);
    // Inputs of up to 62,500 cross in bytes; the sums over a hundred of them do not fit.
    let large = ["data.mean=[0.0]", "data.std=[1.6e-5]"];
    let ended = bench.train(&config, "large", &large);
    let words = ["the loss of train step ", " is not finite; stage 0 at unix:/", "had an output of "];
    failed(&ended, 1, &words);
    let words = ["f16, the number format of the links, ends at 65504", "network.wire to \"bf16\" or \"f32\""];
    failed(&ended, 1, &words);
    let inputs = bench.train(&config, "inputs", &["data.mean=[0.0]", "data.std=[1e-39]"]);
    failed(&inputs, 2, &["data.mean and data.std make inputs that f32 does not hold: set data.std"]);
    let wide =
        bench.train(&config, "wide", &[&large[..], &["network.wire=bf16", "train.max_steps=1"]].concat());
    assert_eq!(wide.code, Some(0), "{}", wide.stderr);
}

/// B is imported a thousand million times as large, so that the error signals of the next step do not fit.
#[test]
fn an_error_signal_beyond_f16_is_named_by_the_step_that_sent_it() {
    let bench = Bench::new();
    let config = bench.tiny(KEYS);
    let run = bench.trained(&config, "run", &[]);
    run.forget_after(2);
    bench.layer_node(&["export", "--state-dir", "runs/run/state/stage-1", "weights"]);
    let bytes = fs::read(bench.path("weights")).unwrap();
    let file = SafeTensors::deserialize(&bytes).unwrap();
    let b = file.tensor("classes.weight_backward").unwrap();
    let floats = b.data().chunks_exact(4).map(|float| f32::from_le_bytes(float.try_into().unwrap()));
    let larger: Vec<u8> = floats.flat_map(|float| (float * 1e9).to_le_bytes()).collect();
    let larger = TensorView::new(b.dtype(), b.shape().to_vec(), &larger).unwrap();
    fs::write(bench.path("b"), safetensors::serialize([("classes.weight_backward", larger)], None).unwrap())
        .unwrap();
    bench.layer_node(&["import", "--partial", "--state-dir", "runs/run/state", "b"]);
    let ended = bench.start("run", &config, &["--local", "--resume", "auto"]).ended();
    failed(&ended, 1, &["the loss of train step 4 is not finite; stage 1 at unix:/"]);
    failed(
        &ended,
        1,
        &["had an error signal of ", " in train step 3, and f16, the number format of the links"],
    );
}
