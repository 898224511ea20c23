#!/usr/bin/env python3
"""Put photographs into data/photographs/ (an ImageFolder) and data/photographs-shards/ (the same as WebDataset).

They are tiles of twelve photographs out of Debian's package mate-backgrounds (GPL-2+, each by the photographer whom
`copyright` names; the tiles stay on this machine). A photograph is a class: tiles of its left half are for training,
tiles of its right half for validation, so that no pixel is in both. Tiles of one half overlap. They have the size of
ImageNet's pictures, 500 x 375. The photographs are checked against photographs.sha256.
"""

import io
import pathlib
import sys
import tarfile

sys.dont_write_bytecode = True
import debian
import pillow
import provision

ROOT = pathlib.Path(__file__).resolve().parent.parent
CHECKSUMS = ROOT / "scripts/photographs.sha256"
FILES = {name: digest for digest, name in map(str.split, CHECKSUMS.read_text().splitlines())}
PACKAGE = "mate-backgrounds"
MEGABYTES = 47  # of the package
TILE = (500, 375)
# Columns and rows of tiles of one class.
SPLITS = {"train": (8, 8), "val": (6, 7)}
JPEG = {"quality": 95, "subsampling": "4:2:0", "optimize": False}
SHARD = 100  # samples of one shard
HELD = f"{PACKAGE}: tiles {TILE}, {SPLITS}, {JPEG}, shards of {SHARD}\n"


def is_ready(folder):
    held = folder / "held"
    return held.exists() and held.read_text() == HELD


def places(room, tile, count):
    """`count` places for a tile, from one end of the room to the other."""
    return [round(number * (room - tile) / (count - 1)) for number in range(count)]


def tiles(photograph, split):
    """The tiles of one half, from left to right and then down."""
    half = photograph.width // 2
    left = 0 if split == "train" else photograph.width - half
    columns, rows = SPLITS[split]
    for y in places(photograph.height, TILE[1], rows):
        for x in places(half, TILE[0], columns):
            yield photograph.crop((left + x, y, left + x + TILE[0], y + TILE[1]))


def make_folder(work, result):
    from PIL import Image
    package = debian.unpack("photographs", PACKAGE, MEGABYTES, work)
    for name, digest in FILES.items():
        file = debian.checked(package / "usr/share/backgrounds/mate/nature" / name, digest, CHECKSUMS)
        photograph, label = Image.open(file).convert("RGB"), file.stem.lower()
        for split in SPLITS:
            folder = result / split / label
            folder.mkdir(parents=True)
            for number, tile in enumerate(tiles(photograph, split)):
                tile.save(folder / f"{label}_{number:03}.jpg", **JPEG)
    (package / "usr/share/doc" / PACKAGE / "copyright").rename(result / "copyright")
    (result / "held").write_text(HELD)


def make_shards(_, result):
    """The files of the folder in its order, so that a sample has one index in both."""
    result.mkdir()
    for split in SPLITS:
        files = sorted((FOLDER / split).glob("*/*.jpg"))
        labels = {name: label for label, name in enumerate(sorted({file.parent.name for file in files}))}
        for first in range(0, len(files), SHARD):
            with tarfile.open(result / f"{split}-{first // SHARD:06}.tar", "w") as shard:
                for file in files[first:first + SHARD]:
                    add(shard, file.name, file.read_bytes())
                    add(shard, f"{file.stem}.cls", str(labels[file.parent.name]).encode())
    (result / "held").write_text(HELD)


def add(shard, name, data):
    # An entry of its own has neither date nor owner, so that the shards are the same whenever they are made.
    entry = tarfile.TarInfo(name)
    entry.size = len(data)
    shard.addfile(entry, io.BytesIO(data))


FOLDER = ROOT / "data/photographs"
pillow.provide()
provision.provide(FOLDER, CHECKSUMS, is_ready, make_folder)
provision.provide(ROOT / "data/photographs-shards", CHECKSUMS, is_ready, make_shards)
