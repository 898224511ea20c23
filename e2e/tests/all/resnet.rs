//! Tests of a residual network from the zoo under several cuts: one process and twenty-one processes give the same
//! bits.

use e2e::Bench;

const KEYS: &str = r#"
[model]
name = "resnet18"
width = 4
classes = 10
[data]
kind = "cifar10"
path = "."
[rule]
name = "symmetric_alignment"
[train]
epochs = 1
batch = 12
[optimizer]
lr = 0.05
[pipeline]
microbatches = 3
stages = 1
"#;

/// Writes `count` records of CIFAR-10's binary form: a label, then 3 × 32 × 32 pixels.
fn write_cifar(bench: &Bench, name: &str, count: usize) {
    let record = |sample: usize| {
        let label = (sample * 7 % 10) as u8;
        std::iter::once(label)
            .chain((0..3072).map(move |at: usize| (at * (3 + usize::from(label)) + sample * 31) as u8))
    };
    std::fs::write(bench.path(name), (0..count).flat_map(record).collect::<Vec<u8>>()).unwrap();
}

#[test]
fn resnet18_is_the_same_in_1_2_5_and_21_processes() {
    let bench = Bench::new();
    (1..=5).for_each(|part| write_cifar(&bench, &format!("data_batch_{part}.bin"), 6));
    write_cifar(&bench, "test_batch.bin", 10);
    let config = bench.path("resnet.toml");
    std::fs::write(&config, KEYS).unwrap();
    let run = |name: &str, stages: &str, schedule: &str| {
        let set = [format!("pipeline.stages={stages}"), format!("pipeline.schedule={schedule}")];
        bench.trained(&config, name, &[&set[0], &set[1]])
    };
    let whole = run("whole", "1", "gpipe");
    let (digests, history) = (whole.digests(), whole.history());
    let blocks = r#"["layer1.0.conv1", "layer2.0.conv1", "layer3.0.conv1", "layer4.0.conv1"]"#;
    for (stages, count) in [("1", 1), ("2", 2), (blocks, 5), ("per_layer", 21)] {
        for schedule in ["gpipe", "one_f_one_b", "zero_bubble"] {
            let cut = run(&format!("{count}-{schedule}"), stages, schedule);
            assert_eq!(cut.summary()["stages"], count);
            assert_eq!(cut.history(), history, "{count} stages, {schedule}: loss history");
            assert_eq!(cut.digests(), digests, "{count} stages, {schedule}: digests");
        }
    }
}
