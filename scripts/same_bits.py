#!/usr/bin/env python3
"""Whether two builds of Neuropil train the same bits: digests of all tensors, and loss histories, of many small runs.

    scripts/same_bits.py record target/release before.json     # with the old build
    scripts/same_bits.py record target/release after.json      # with the new build
    scripts/same_bits.py compare before.json after.json
    scripts/same_bits.py resume OLD_BUILD NEW_BUILD            # the new build goes on with the old build's runs

A build is a folder that holds the programs coordinator and layer-node. Both recordings must come from the same
machine and libtorch: another CPU model rounds differently. The data is made here, so that nothing is downloaded.
"""

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

SIDE, CLASSES, TRAIN, TEST = 10, 5, 150, 53

NETWORK = """
[[layer]]
name = "stem"
kind = "conv2d"
out = 6
kernel = 3
padding = 1
[[layer]]
name = "stem_norm"
kind = "batch_norm"
[[layer]]
name = "stem_relu"
kind = "relu"
[[layer]]
name = "branch1"
kind = "conv2d"
out = 8
kernel = 3
padding = 1
bias = true
[[layer]]
name = "branch1_relu"
kind = "relu"
[[layer]]
name = "branch2"
kind = "conv2d"
out = 6
kernel = 3
padding = 1
[[layer]]
name = "sum"
kind = "add"
inputs = ["branch2", "stem_relu"]
[[layer]]
name = "pool"
kind = "max_pool"
kernel = 2
[[layer]]
name = "down"
kind = "conv2d"
out = 8
kernel = 3
stride = 2
[[layer]]
name = "down_norm"
kind = "batch_norm"
[[layer]]
name = "down_relu"
kind = "relu"
[[layer]]
name = "flat"
kind = "flatten"
[[layer]]
name = "classes"
kind = "linear"
out = 5
"""

IDX = """
seed = 3
[model]
classes = 5
[data]
kind = "idx"
path = "."
[train]
epochs = 2
batch = 32
label_smoothing = 0.1
[optimizer]
lr = 0.05
schedule = "cosine"
[pipeline]
microbatches = 3
stages = 1
[snapshot]
every_steps = 2
[metrics]
layers_every = 1
""" + NETWORK

RESNET = """
[model]
name = "resnet18"
width = 4
classes = 10
[data]
kind = "cifar10"
path = "."
augment = true
[train]
epochs = 1
batch = 12
[optimizer]
lr = 0.05
[pipeline]
microbatches = 3
stages = 1
"""

CUSTOM = ["rule.name=custom", "rule.amp=0.0003", "rule.null=0.0001", "rule.sparse=0.0002", "rule.self=0.04",
          "rule.decay=0.02"]
ADAM_B = ["optimizer_b.name=adam", "optimizer_b.lr=0.001"]

# name: (configuration, --set arguments)
CASES = {
    "backprop, one process, gpipe": (IDX, ["rule.name=backprop", "pipeline.schedule=gpipe"]),
    "backprop, five processes, 1F1B": (IDX, ["rule.name=backprop", "pipeline.stages=per_layer"]),
    "feedback alignment, two processes": (IDX, ["rule.name=feedback_alignment", "pipeline.stages=2"]),
    "symmetric alignment, its schedule": (IDX, [
        "rule.name=symmetric_alignment", "rule.schedule=cosine", "rule.warmup_epochs=0.5", "pipeline.stages=3"]),
    "Kolen-Pollack, noisy updates, steps": (IDX, [
        "rule.name=kolen_pollack", "rule.update_noise=0.01", "optimizer.schedule=step",
        "optimizer.boundaries=[0.4, 0.6]", "pipeline.stages=per_layer"]),
    "weight mirror, delay, uniform noise": (IDX, [
        "rule.name=weight_mirror", "rule.mirror_delay=30", "rule.noise=uniform", "pipeline.stages=2"]),
    "weight mirror, Adam for B": (IDX, [
        "rule.name=weight_mirror", "rule.noise_sigma=0.5", "rule.noise_batch=7", *ADAM_B, "pipeline.stages=2"]),
    "information alignment, centred": (IDX, [
        "rule.name=information_alignment", "rule.centering=sample", "pipeline.stages=per_layer",
        "pipeline.schedule=gpipe"]),
    "information alignment, mirror steps": (IDX, [
        "rule.name=information_alignment", "rule.input=noise", "rule.mirror_every=2", "rule.update_noise=0.01"]),
    "activation alignment, relu": (IDX, [
        "rule.name=activation_alignment", "rule.activation=relu", *ADAM_B, "pipeline.stages=3"]),
    "activation alignment, batch centring": (IDX, [
        "rule.name=activation_alignment", "rule.centering=batch", "rule.activation=tanh", "rule.schedule=step",
        "rule.boundaries=[0.4]"]),
    "all primitives, recomputation": (IDX, [*CUSTOM, "pipeline.recompute=true", "pipeline.stages=per_layer"]),
    "task gradient and primitives, ahead 0": (IDX, [
        "rule.name=custom", "rule.amp=0.001", "rule.decay=0.01", "rule.task=true", "pipeline.ahead=0",
        "pipeline.stages=3"]),
    "sign symmetry, uniform": (IDX, ["rule.name=sign_symmetry", "rule.magnitude=uniform", "pipeline.stages=2"]),
    "sign symmetry, redrawn": (IDX, ["rule.name=sign_symmetry", "rule.magnitude=redrawn"]),
    "sign symmetry, fixed": (IDX, ["rule.name=sign_symmetry", "rule.magnitude=fixed", "pipeline.stages=4"]),
    "Adam": (IDX, ["rule.name=symmetric_alignment", "optimizer.name=adam", "optimizer.lr=0.005",
                   "pipeline.stages=per_layer"]),
    "Nesterov, weight decay, warm-up": (IDX, [
        "rule.name=kolen_pollack", "optimizer.nesterov=true", "optimizer.weight_decay=0.001",
        "optimizer.warmup_epochs=1", "pipeline.stages=2"]),
    "bf16 between neighbours": (IDX, ["network.wire=bf16", "pipeline.stages=per_layer"]),
    "f16 between neighbours": (IDX, ["network.wire=f16", "pipeline.stages=3"]),
    "8 bits between neighbours": (IDX, ["network.wire=int8", "pipeline.stages=3"]),
    "8 bits between neighbours, error feedback": (IDX, [
        "network.wire=int8", "network.wire_block=32", "network.error_feedback=true", "pipeline.stages=per_layer"]),
    "two threads a node": (IDX, ["node.threads=2", "pipeline.stages=2"]),
    "a cut by names, five microbatches": (IDX, [
        'pipeline.stages=["branch2", "down"]', "pipeline.microbatches=5"]),
    "a layer with a rule of its own": (IDX.replace("[[layer]]", '[rule]\nname = "symmetric_alignment"\n'
                                                   '[rule.layers.branch1]\nname = "feedback_alignment"\n[[layer]]', 1),
                                       ["pipeline.stages=per_layer"]),
    "ResNet-18, augmentation, one process": (RESNET, ["rule.name=symmetric_alignment"]),
    "ResNet-18, augmentation, five processes": (RESNET, ["rule.name=kolen_pollack", "pipeline.stages=per_block"]),
}
# Cases that are interrupted after some steps, and then resumed.
RESUMED = {
    "resumed: symmetric alignment, three processes": (IDX, ["rule.name=symmetric_alignment", "pipeline.stages=3"]),
    "resumed: weight mirror, Adam": (IDX, [
        "rule.name=weight_mirror", "optimizer.name=adam", "optimizer.lr=0.005", "pipeline.stages=2"]),
}


def noise(seed):
    """Knuth's linear congruential generator: noise that is the same everywhere."""
    while True:
        seed = (seed * 6364136223846793005 + 1442695040888963407) % 2**64
        yield seed >> 40


def write_idx(folder, name, count, seed):
    """A class is a bright bar in its place, under noise."""
    draw, labels, images = noise(seed), bytearray(), bytearray()
    for _ in range(count):
        label = next(draw) % CLASSES
        labels.append(label)
        for pixel in range(SIDE * SIDE):
            bar = pixel // SIDE // 2 == label
            images.append(next(draw) % 120 + (120 if bar else 0))
    header = lambda magic, *sizes: b"".join(number.to_bytes(4, "big") for number in (magic, *sizes))
    (folder / f"{name}-images-idx3-ubyte").write_bytes(header(0x803, count, SIDE, SIDE) + images)
    (folder / f"{name}-labels-idx1-ubyte").write_bytes(header(0x801, count) + labels)


def write_cifar(folder, name, count):
    """Records of CIFAR-10's binary form: a label, then 3 × 32 × 32 pixels."""
    record = lambda n: bytes([n * 7 % 10]) + bytes((at * (3 + n * 7 % 10) + n * 31) % 256 for at in range(3072))
    (folder / name).write_bytes(b"".join(record(sample) for sample in range(count)))


def write_data(folder):
    write_idx(folder, "train", TRAIN, 1)
    write_idx(folder, "t10k", TEST, 2)
    for part in range(1, 6):
        write_cifar(folder, f"data_batch_{part}.bin", 6)
    write_cifar(folder, "test_batch.bin", 10)


def command(build, config, sets, *more):
    sets = [word for pair in sets for word in ("--set", pair)]
    return [str(build / "coordinator"), "train", "--config", config, "--local", "--run-dir", "run", *sets, *more]


def environment(build):
    keep = {key: value for key, value in os.environ.items() if key not in ("NEUROPIL_DATA", "RUST_LOG")}
    return {**keep, "NEUROPIL_LAYER_NODE": str(build / "layer-node")}


def finish(build, folder, sets, *more):
    done = subprocess.run(command(build, "config.toml", sets, *more), cwd=folder, env=environment(build),
                          stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=600)
    if done.returncode:
        sys.exit(f"{sets}: exit code {done.returncode}: {done.stderr.strip().splitlines()[-1]}")


def interrupt(build, folder, sets):
    """Stops the run in order once it has written three steps."""
    process = subprocess.Popen(command(build, "config.toml", sets), cwd=folder, env=environment(build),
                               stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    metrics = folder / "run" / "metrics.jsonl"
    while process.poll() is None and not (metrics.exists() and metrics.read_text().count("\n") >= 3):
        time.sleep(0.005)
    process.send_signal(signal.SIGTERM)
    if process.wait(60) not in (75, 0):
        sys.exit(f"{sets}: exit code {process.returncode} after SIGTERM")
    return process.returncode == 75


def left(build, folder):
    """What a run leaves: digests by tensor, and losses and accuracies by step."""
    digests = {}
    for stage in sorted((folder / "run" / "state").iterdir()):
        text = subprocess.run([build / "layer-node", "digest", "--state-dir", stage], check=True,
                              capture_output=True, text=True).stdout
        digests.update(line.split("  ")[::-1] for line in text.splitlines())
    lines = lambda name: [json.loads(line) for line in (folder / "run" / name).read_text().splitlines()]
    steps = [[line["step"], line["loss"], line["accuracy"], line["layers"]] for line in lines("metrics.jsonl")]
    return {"digests": digests, "steps": steps, "evaluations": lines("evaluations.jsonl")}


def one(name, config, sets, builds, data):
    """Runs one case; where there are two builds the second goes on with what the first began."""
    with tempfile.TemporaryDirectory(prefix="neuropil-bits-") as place:
        folder = Path(place)
        for file in data.iterdir():
            (folder / file.name).symlink_to(file)
        (folder / "config.toml").write_text(config)
        resumed = name.startswith("resumed") and interrupt(builds[0], folder, sets)
        finish(builds[-1], folder, sets, *(["--resume", "auto"] if resumed else []))
        found = left(builds[-1], folder)
        print(f"{name:<48} {len(found['digests']):>3} tensors, {len(found['steps'])} steps"
              + (", gone on with" if resumed else ""), flush=True)
        return found


def record(builds, cases):
    with tempfile.TemporaryDirectory(prefix="neuropil-bits-") as place:
        data = Path(place)
        write_data(data)
        return {name: one(name, config, sets, builds, data) for name, (config, sets) in cases.items()}


def differences(before, after):
    for name in sorted(before.keys() | after.keys()):
        if name not in before or name not in after:
            yield f"{name}: only in one recording"
        elif before[name] != after[name]:
            parts = [part for part in before[name] if before[name][part] != after[name][part]]
            yield f"{name}: {', '.join(parts)} differ"


def compare(before, after):
    found = list(differences(before, after))
    print("\n".join(found) or f"the same bits in all {len(before)} runs")
    sys.exit(bool(found))


def main(words):
    match words:
        case ["record", build, file]:
            runs = record([Path(build).resolve()], CASES | RESUMED)
            Path(file).write_text(json.dumps(runs, indent=1) + "\n")
        case ["compare", before, after]:
            compare(*(json.loads(Path(file).read_text()) for file in (before, after)))
        case ["resume", old, new]:
            old, new = Path(old).resolve(), Path(new).resolve()
            compare(record([new], RESUMED), record([old, new], RESUMED))
        case _:
            sys.exit(__doc__)


if __name__ == "__main__":
    main(sys.argv[1:])
