#!/usr/bin/env python3
"""Fine-tune torchvision's ResNet-18 with Neuropil, there and back, and hold every number against PyTorch's.

    torchvision ─▶ FILE ─▶ coordinator train --init ─▶ two steps ─▶ layer-node export --forward-only ─▶ torchvision

The network begins with random weights and made-up running statistics, once with the stem for small images (32 pixels)
and once with torchvision's own (64 pixels). The table has the losses of PyTorch and of Neuropil before and after training,
and how far the logarithms of the classes' probabilities of the same pictures are apart. The exit code is 0 if losses of
the same weights agree to six digits, and all else as far as f32 allows.

    python3 scripts/pytorch.py && python3 scripts/torchvision.py
    cargo build --release --bin coordinator --bin layer-node
    python3 scripts/finetune_torchvision.py
"""

import argparse
import json
import os
import pathlib
import struct
import subprocess
import sys
import tempfile
import zlib

ROOT = pathlib.Path(__file__).resolve().parent.parent
# In the place of this folder, which has a torchvision.py of its own.
sys.path[:1] = [str(ROOT / "target" / name) for name in ("pytorch", "torchvision")]
# PyPI's build of PyTorch asks for libraries of CUDA that scripts/pytorch.py stands in for.
sys.setdlopenflags(os.RTLD_LAZY)
import numpy
import torch
import torchvision

# Name, side of the images, and the stages into which the network is cut.
NETWORKS = [("small stem", 32, 3), ("torchvision's stem", 64, 2)]
CLASSES, IMAGES, STEPS, LR = 5, 16, 2, 0.01
# A loss between 1 and 10 to six digits.
SIX = 5e-6
MEAN, DEVIATION = [0.5, 0.4, 0.6], [0.25, 0.25, 0.2]
CONFIG = f"""
[data]
kind = "idx"
path = "data"
mean = {MEAN}
std = {DEVIATION}
[model]
name = "resnet18"
classes = {CLASSES}
[rule]
name = "backprop"
[train]
epochs = {STEPS}
batch = {IMAGES}
[optimizer]
lr = {LR}
momentum = 0.0
nesterov = false
weight_decay = 0.0
schedule = "constant"
[pipeline]
microbatches = 1
"""
FORMATS = {torch.float32: "F32", torch.int64: "I64"}


def write_safetensors(path, tensors):
    """The file format of safetensors: the length of a header, the header in JSON, the tensors' bytes."""
    header, end = {}, 0
    for name, tensor in tensors.items():
        size = tensor.numel() * tensor.element_size()
        header[name] = {"dtype": FORMATS[tensor.dtype], "shape": list(tensor.shape), "data_offsets": [end, end + size]}
        end += size
    text = json.dumps(header).encode()
    data = b"".join(tensor.contiguous().numpy().tobytes() for tensor in tensors.values())
    path.write_bytes(struct.pack("<Q", len(text)) + text + data)


def read_safetensors(path):
    data = path.read_bytes()
    (length,) = struct.unpack_from("<Q", data)
    header = json.loads(data[8:8 + length])
    header.pop("__metadata__", None)
    tensors = {}
    for name, about in header.items():
        begin, end = about["data_offsets"]
        numbers = numpy.frombuffer(data[8 + length + begin:8 + length + end], "<f4")
        tensors[name] = torch.from_numpy(numbers.reshape(about["shape"]).copy())
    return tensors


def write_png(path, pixels):
    """One picture of channels × rows × columns, as a PNG."""
    rows = pixels.transpose(1, 2, 0)
    lines = b"".join(b"\0" + row.tobytes() for row in rows)
    chunk = lambda kind, data: struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
    size = struct.pack(">IIBBBBB", rows.shape[1], rows.shape[0], 8, 2, 0, 0, 0)
    chunks = chunk(b"IHDR", size) + chunk(b"IDAT", zlib.compress(lines)) + chunk(b"IEND", b"")
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + chunks)


def write_data(folder, pixels, labels):
    """The same pictures as training set, as test set, and each as a file."""
    folder.mkdir()
    for split in ("train", "t10k"):
        sizes = struct.pack(">IIIII", 0x804, *pixels.shape)
        (folder / f"{split}-images-idx4-ubyte").write_bytes(sizes + pixels.tobytes())
        (folder / f"{split}-labels-idx1-ubyte").write_bytes(struct.pack(">II", 0x801, len(labels)) + bytes(labels))
    for number, picture in enumerate(pixels):
        write_png(folder / f"{number}.png", picture)


def torchvisions(image):
    """torchvision's network with made-up statistics; fresh norms scale by 1 and shift by 0, and would hide mistakes."""
    network = torchvision.models.resnet18(weights=None, num_classes=CLASSES)
    if image < 64:
        network.conv1 = torch.nn.Conv2d(3, 64, kernel_size=3, stride=1, padding=1, bias=False)
        network.maxpool = torch.nn.Identity()
    for norm in network.modules():
        if isinstance(norm, torch.nn.BatchNorm2d):
            for tensor in [norm.weight, norm.running_var]:
                torch.nn.init.uniform_(tensor, 0.5, 1.5)
            for tensor in [norm.bias, norm.running_mean]:
                torch.nn.init.normal_(tensor, 0.0, 0.1)
    return network


class Ours:
    """The programs, in a folder of their own."""

    def __init__(self, binaries, folder):
        self.binaries, self.folder = binaries, folder

    def call(self, program, *words):
        words = [str(self.binaries / program), *(str(word) for word in words)]
        ended = subprocess.run(words, cwd=self.folder, capture_output=True, text=True)
        if ended.returncode != 0:
            sys.exit(f"{' '.join(words)}: {ended.stderr.strip()}")
        return ended

    def train(self, weights, stages):
        write_safetensors(self.folder / "weights.safetensors", weights)
        (self.folder / "config.toml").write_text(CONFIG)
        ended = self.call("coordinator", "train", "--config", "config.toml", "--local", "--name", "tuned",
                          "--set", f"pipeline.stages={stages}", "--init", "weights.safetensors")
        print("   ", next(line for line in ended.stderr.splitlines() if "tensors taken" in line))
        metrics = (self.folder / "runs/tuned/metrics.jsonl").read_text().splitlines()
        return [json.loads(line)["loss"] for line in metrics]

    def evaluate(self, step):
        words = ["evaluate", "--run", "runs/tuned", "--step", step, "--json"]
        return json.loads(self.call("coordinator", *words).stdout)["test_loss"]

    def log_probabilities(self, step):
        """Of each picture, by class."""
        words = ["evaluate", "--run", "runs/tuned", "--step", step, "--json", "--images"]
        pictures = [f"data/{number}.png" for number in range(IMAGES)]
        found = json.loads(self.call("coordinator", *words, *pictures).stdout)
        rows = [{each["class"]: each["probability"] for each in image["classes"]} for image in found["images"]]
        return torch.tensor([[row[of] for of in range(CLASSES)] for row in rows], dtype=torch.float64).log()

    def export(self):
        self.call("layer-node", "export", "--forward-only", "--state-dir", "runs/tuned/state", "out.safetensors")
        return read_safetensors(self.folder / "out.safetensors")


class Theirs:
    """PyTorch, on the same pictures."""

    def __init__(self, pixels, labels):
        mean, deviation = (torch.tensor(numbers).reshape(1, 3, 1, 1) for numbers in (MEAN, DEVIATION))
        self.images = (torch.from_numpy(pixels).float() / 255 - mean) / deviation
        self.labels = torch.tensor(labels)

    def loss(self, network):
        return torch.nn.functional.cross_entropy(network(self.images), self.labels)

    def train(self, network):
        optimizer, losses = torch.optim.SGD(network.parameters(), LR), []
        network.train()
        for _ in range(STEPS):
            optimizer.zero_grad()
            loss = self.loss(network)
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
        return losses

    @torch.no_grad()
    def evaluate(self, network):
        return self.loss(network.eval()).item()

    @torch.no_grad()
    def log_probabilities(self, network):
        return torch.log_softmax(network.eval()(self.images).double(), 1)


class Table:
    """Rows of numbers that should agree."""

    def __init__(self):
        self.good = True
        print(f"    {'':44} {'PyTorch':>12} {'Neuropil':>12} {'apart':>9}")

    def row(self, what, theirs, ours, tolerance):
        off = abs(theirs - ours)
        self.verdict(f"{what:44} {theirs:12.6f} {ours:12.6f} {off:9.1e}", off <= tolerance)

    def apart(self, what, off, tolerance):
        self.verdict(f"{what:44} {'':12} {'':12} {off:9.1e}", off <= tolerance)

    def verdict(self, line, good):
        self.good &= good
        print(f"    {line}{'' if good else '   DIFFERS'}")


def round_trip(ours, image, stages):
    chance = numpy.random.default_rng(image)
    pixels = chance.integers(0, 256, (IMAGES, 3, image, image), dtype=numpy.uint8)
    labels = chance.integers(0, CLASSES, IMAGES).tolist()
    write_data(ours.folder / "data", pixels, labels)
    torch.manual_seed(image)
    theirs, network = Theirs(pixels, labels), torchvisions(image)
    losses = ours.train({name: tensor.clone() for name, tensor in network.state_dict().items()}, stages)
    table = Table()
    table.row("loss of the test set before training", theirs.evaluate(network), ours.evaluate(0), SIX)
    before = (theirs.log_probabilities(network) - ours.log_probabilities(0)).abs().max().item()
    table.apart("log-probabilities before training, at most", before, 1e-5)
    for number, (one, two) in enumerate(zip(theirs.train(network), losses)):
        # The first loss is that of the weights as they were given.
        table.row(f"loss of training step {number + 1}", one, two, SIX if number == 0 else 1e-4)
    exported = ours.export()
    back = torchvisions(image)
    found = back.load_state_dict(exported, strict=False)
    assert not found.unexpected_keys, found.unexpected_keys
    assert all(name.endswith("num_batches_tracked") for name in found.missing_keys), found.missing_keys
    table.row("loss of the test set after the export", theirs.evaluate(back), ours.evaluate("last"), SIX)
    after = (theirs.log_probabilities(back) - ours.log_probabilities("last")).abs().max().item()
    table.apart("log-probabilities after the export, at most", after, 1e-5)
    trained = network.state_dict()
    moved = max((exported[name] - trained[name]).abs().max().item() for name in exported)
    table.apart("weights and statistics that both trained", moved, 1e-3)
    return table.good


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--binaries", type=pathlib.Path, default=ROOT / "target/release",
                        help="where cargo put coordinator and layer-node")
    flags = parser.parse_args()
    print(f"torch {torch.__version__}, torchvision {torchvision.__version__}")
    good = True
    for name, image, stages in NETWORKS:
        print(f"resnet18, {name}: {IMAGES} images of {image} pixels, {CLASSES} classes, {stages} stages, {STEPS} steps")
        with tempfile.TemporaryDirectory() as folder:
            good &= round_trip(Ours(flags.binaries.resolve(), pathlib.Path(folder)), image, stages)
    sys.exit(0 if good else 1)


if __name__ == "__main__":
    main()
