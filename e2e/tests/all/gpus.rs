//! Tests of GPUs: the sentences where there is none, and runs where there is one.
//!
//! `NEUROPIL_CUDA` is the folder torch/lib of a PyTorch with CUDA; without it, only what needs no library is tested. `cargo
//! xtask cuda` fetches one and sets it.

use e2e::harm::failed;
use e2e::{Bench, Ended, Run, binary};
use std::path::{Path, PathBuf};
use std::process::Command;

const KEYS: &str = r#"
[rule]
name = "symmetric_alignment"
[train]
epochs = 1
batch = 30
max_steps = 5
[pipeline]
stages = 3
[node]
deterministic = true
"#;

/// How far the losses of five steps on a GPU may be from those on the CPU, as a share of them: the kernels add up in
/// other orders, and the updates carry that on. docs/gpus.md states it.
const TOLERANCE: f64 = 1e-3;

/// The folder of torch's libraries for CUDA.
fn libraries() -> Option<PathBuf> {
    std::env::var_os("NEUROPIL_CUDA").map(PathBuf::from)
}

/// Whether this host has NVIDIA's driver and a GPU.
fn has_gpu() -> bool {
    Path::new("/dev/nvidiactl").exists()
}

/// A node that is to serve on a GPU, and does not.
fn serve(bench: &Bench, libraries: Option<&Path>) -> Ended {
    let mut command = Command::new(binary("layer-node"));
    command.args(["serve", "--device", "cuda:0", "--state-dir"]).arg(bench.path("state"));
    ["--listen", "--control", "--health"].iter().for_each(|port| _ = command.args([port, "127.0.0.1:0"]));
    command.env_remove("LD_LIBRARY_PATH").env_remove("RUST_LOG");
    libraries.iter().for_each(|folder| _ = command.env("LD_LIBRARY_PATH", folder));
    Ended::from(command.output().expect("layer-node starts"))
}

#[test]
fn without_torchs_libraries_for_cuda_the_sentence_names_what_is_missing() {
    let ended = serve(&Bench::new(), None);
    let missing =
        ["cannot compute on cuda:0", "(libtorch_cuda.so: cannot open shared object file", "LD_LIBRARY_PATH"];
    failed(&ended, 2, &missing);
}

#[test]
fn with_the_libraries_and_no_driver_the_sentence_says_that_there_is_none() {
    let Some(libraries) = libraries().filter(|_| !has_gpu()) else { return };
    let bench = Bench::new();
    let ended = serve(&bench, Some(&libraries));
    let says = ["cannot compute on cuda:0", "no NVIDIA driver (libcuda.so.1: cannot open", "nvidia-smi"];
    failed(&ended, 2, &says);
    assert_eq!(ended.stderr.lines().count(), 1, "torch says nothing beside it: {}", ended.stderr);

    let ended = trained_on(&bench, &libraries, "gpu", "cuda:0");
    failed(&ended, 4, &["did not become ready", "no NVIDIA driver"]);
    let ended = trained_on(&bench, &libraries, "cpu", "cpu");
    assert_eq!(ended.code, Some(0), "the same program computes on the CPU: {}", ended.stderr);
}

#[test]
fn on_a_gpu_losses_are_those_of_the_cpu_and_bits_are_the_same_again() {
    let Some(libraries) = libraries().filter(|_| has_gpu()) else { return };
    let bench = Bench::new();
    let run = |name: &str, device: &str| {
        let ended = trained_on(&bench, &libraries, name, device);
        assert_eq!(ended.code, Some(0), "{name}: {}", ended.stderr);
        bench.run(name)
    };
    let [cpu, gpu, again] =
        [("cpu", "cpu"), ("gpu", "cuda:0"), ("again", "cuda:0")].map(|(name, on)| run(name, on));
    let mixed = run("mixed", "[\"cpu\", \"cuda:0\"]");
    for other in [&gpu, &mixed] {
        for (here, there) in losses(other).iter().zip(losses(&cpu)) {
            assert!((here - there).abs() <= TOLERANCE * there, "{here} and {there}");
        }
    }
    assert_eq!(gpu.digests(), again.digests());
}

/// Trains with torch's libraries for CUDA on local nodes at `device`.
fn trained_on(bench: &Bench, libraries: &Path, name: &str, device: &str) -> Ended {
    let mut command = bench.coordinator(&["train", "--local", "--name", name, "--config"]);
    command.arg(bench.config(KEYS)).args(["--set", &format!("node.device={device}")]);
    command.env("LD_LIBRARY_PATH", libraries);
    command.output().expect("the coordinator starts").into()
}

fn losses(run: &Run) -> Vec<f64> {
    run.metrics().iter().map(|step| step["loss"].as_f64().expect("a loss")).collect()
}
