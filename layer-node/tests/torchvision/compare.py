"""Holds a ResNet-18 of state folders against torchvision's, by weights as files in both directions.

    there:  drawn by us -> layer-node export -> load_state_dict -> the same logits
    back:   drawn by torch -> safetensors -> layer-node import -> the same logits

Needs torch, torchvision, safetensors and numpy; see README.md.
"""

import argparse
import pathlib
import subprocess
import sys
import tempfile

import numpy
import torch
import torchvision
from safetensors.torch import load_file, save_file

ROOT = pathlib.Path(__file__).resolve().parents[3]
# Largest difference of logits, relative to max(1, max |logit|).
TOLERANCE = 1e-5
# Name, classes, side of the images; the zoo takes the small stem below 64 pixels.
NETWORKS = [("imagenet stem", 1000, 224), ("small stem", 10, 32)]
BATCH = 2


def call(*words):
    words = [str(word) for word in words]
    ended = subprocess.run(words, capture_output=True, text=True)
    if ended.returncode != 0:
        sys.exit(f"{' '.join(words)}: {ended.stderr.strip()}")
    return ended.stdout.strip()


def torchvisions(classes, image):
    """torchvision's network, in evaluation; with the stem for small images where these are small."""
    network = torchvision.models.resnet18(weights=None, num_classes=classes)
    if image < 64:
        network.conv1 = torch.nn.Conv2d(3, 64, kernel_size=3, stride=1, padding=1, bias=False)
        network.maxpool = torch.nn.Identity()
    return network.eval()


def shake(network):
    """Lets every number of the norms count: fresh ones scale by 1 and shift by 0."""
    for norm in network.modules():
        if isinstance(norm, torch.nn.BatchNorm2d):
            for tensor in [norm.weight, norm.running_var]:
                torch.nn.init.uniform_(tensor, 0.5, 1.5)
            for tensor in [norm.bias, norm.running_mean]:
                torch.nn.init.normal_(tensor, 0.0, 0.1)


class Ours:
    """State folders, and the binaries that read and write them."""

    def __init__(self, binaries, folder, classes, image):
        self.node = binaries / "layer-node"
        self.forward = binaries / "examples" / "logits"
        self.folder, self.classes, self.image = folder, classes, image
        self.state = folder / "state"

    def draw(self, seed):
        call(self.forward, "draw", self.state, self.classes, self.image, seed)

    def weights(self):
        out = self.folder / "out.safetensors"
        line = call(self.node, "export", "--force", "--state-dir", self.state, out)
        print("   ", line.replace(f"{self.folder}/", ""))
        return load_file(out)

    def take(self, weights):
        path = self.folder / "in.safetensors"
        save_file(weights, path)
        for line in call(self.node, "import", "--state-dir", self.state, path).splitlines():
            print("   ", line.replace(f"{self.folder}/", ""))

    def logits(self, images):
        given, found = self.folder / "images.f32", self.folder / "logits.f32"
        images.numpy().astype("<f4").tofile(given)
        call(self.forward, "run", self.state, self.classes, self.image, given, found)
        return torch.from_numpy(numpy.fromfile(found, "<f4")).reshape(len(images), self.classes)


def agree(direction, ours, theirs):
    largest = theirs.abs().max().item()
    off = (ours - theirs).abs().max().item()
    good = off <= TOLERANCE * max(1.0, largest)
    verdict = "agree" if good else "DIFFER"
    print(f"    {direction}: logits up to {largest:.3f}, differences up to {off:.2e}: {verdict}")
    return good


def there(ours, images):
    ours.draw(seed=1)
    weights = ours.weights()
    network = torchvisions(ours.classes, ours.image)
    backward = {name for name in weights if name.endswith(".weight_backward")}
    found = network.load_state_dict(weights, strict=False)
    assert set(found.unexpected_keys) == backward, found.unexpected_keys
    assert all(name.endswith(".num_batches_tracked") for name in found.missing_keys), found.missing_keys
    return agree("there", ours.logits(images), network(images))


def back(ours, images):
    torch.manual_seed(2)
    network = torchvisions(ours.classes, ours.image)
    shake(network)
    before = ours.logits(images)
    ours.take(network.state_dict())
    after, theirs = ours.logits(images), network(images)
    assert not torch.allclose(before, after), "the import changed nothing"
    exported = ours.weights()
    for name, tensor in network.state_dict().items():
        assert name.endswith(".num_batches_tracked") or torch.equal(tensor, exported[name]), name
    return agree("back", after, theirs)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--binaries", type=pathlib.Path, default=ROOT / "target" / "debug",
                        help="where cargo put layer-node and examples/logits")
    flags = parser.parse_args()
    print(f"torch {torch.__version__}, torchvision {torchvision.__version__}")
    good = True
    for name, classes, image in NETWORKS:
        print(f"resnet18, {name}: {classes} classes, {BATCH} images of {image} pixels")
        images = torch.randn(BATCH, 3, image, image, generator=torch.Generator().manual_seed(3))
        with tempfile.TemporaryDirectory() as folder, torch.no_grad():
            ours = Ours(flags.binaries, pathlib.Path(folder), classes, image)
            good &= there(ours, images)
            good &= back(ours, images)
    sys.exit(0 if good else 1)


if __name__ == "__main__":
    main()
