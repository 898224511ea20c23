#!/usr/bin/env python3
"""Put data/photographs-as-cifar10/: pictures of 32 x 32 pixels out of data/photographs, in CIFAR-10's binary format.

They show that examples/cifar10-resnet18.toml runs where CIFAR-10 is not at hand, and nothing about the accuracy on
CIFAR-10: a class is one photograph. The first ten of the twelve photographs are taken. Each tile is made 64 x 48
pixels, and six squares are cut out of it. A record is a label and 3 x 1,024 bytes, red, green, blue; the training
records are spread over five files.
"""

import pathlib
import sys

sys.dont_write_bytecode = True
import pillow
import provision

ROOT = pathlib.Path(__file__).resolve().parent.parent
TILES = ROOT / "data/photographs"
CLASSES, SIDE, SMALL = 10, 32, (64, 48)
HELD = f"{CLASSES} classes, tiles of {SMALL}, squares of {SIDE}\n"


def is_ready(folder):
    held = folder / "held"
    return held.exists() and held.read_text() == HELD


def records(split):
    """The records of a split, one after another through the classes, so that each file has all classes."""
    from PIL import Image
    classes = sorted(folder for folder in (TILES / split).iterdir() if folder.is_dir())[:CLASSES]
    for tiles in zip(*(sorted(folder.glob("*.jpg")) for folder in classes), strict=True):
        small = [Image.open(tile).convert("RGB").resize(SMALL) for tile in tiles]
        for left in (0, 16, 32):
            for top in (0, 16):
                for label, tile in enumerate(small):
                    square = tile.crop((left, top, left + SIDE, top + SIDE))
                    yield bytes([label]) + b"".join(plane.tobytes() for plane in square.split())


def make(_, result):
    result.mkdir()
    train = list(records("train"))
    each = len(train) // 5
    for number in range(5):
        part = train[number * each:(number + 1) * each]
        (result / f"data_batch_{number + 1}.bin").write_bytes(b"".join(part))
    (result / "test_batch.bin").write_bytes(b"".join(records("val")))
    (result / "held").write_text(HELD)


if not TILES.is_dir():
    sys.exit(f"{TILES} is missing: python3 scripts/photographs.py makes it")
pillow.provide()
provision.provide(ROOT / "data/photographs-as-cifar10", pathlib.Path(__file__), is_ready, make)
