#!/usr/bin/env python3
"""Put Fashion-MNIST (MIT) into data/fashion-mnist/, out of Debian's package dataset-fashion-mnist.

The files are checked against fashion-mnist.sha256.
"""

import pathlib
import sys

sys.dont_write_bytecode = True
import debian
import provision

ROOT = pathlib.Path(__file__).resolve().parent.parent
CHECKSUMS = ROOT / "scripts/fashion-mnist.sha256"
FILES = {name: digest for digest, name in map(str.split, CHECKSUMS.read_text().splitlines())}
PACKAGE = "dataset-fashion-mnist"
MEGABYTES = 31  # of the package


def is_ready(folder):
    return all((folder / name).exists() for name in FILES)


def make(work, result):
    package = debian.unpack("Fashion-MNIST", PACKAGE, MEGABYTES, work)
    result.mkdir()
    for name, digest in FILES.items():
        file = package / "usr/share/datasets/fashion-mnist" / name
        debian.checked(file, digest, CHECKSUMS).rename(result / name)
    (package / "usr/share/doc" / PACKAGE / "copyright").rename(result / "copyright")


provision.provide(ROOT / "data/fashion-mnist", CHECKSUMS, is_ready, make)
