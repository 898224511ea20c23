#!/usr/bin/env python3
"""Torchvision's way from a photograph's file to the network's input, as the reference of ours.

    rate FOLDER COUNT              how fast it decodes, crops and flips, on one core
    compare PROGRAM FOLDER WORK    how far the pixels of PROGRAM (coordinator/examples/input.rs) are from its own

FOLDER is an ImageFolder, the training half of a data set for `rate`, and the whole set for `compare`. Pictures are
read by Pillow, as ImageFolder's default loader does. `rate` prints a line of JSON: images per second of the thread's
processor time, so that what else the machine does is not counted.
"""

import argparse
import json
import os
import pathlib
import shutil
import subprocess
import sys
import time

sys.setdlopenflags(os.RTLD_LAZY)  # scripts/pytorch.py says why

import numpy
import torch
from PIL import Image
from torchvision.datasets import ImageFolder
from torchvision.transforms import v2
from torchvision.transforms.v2 import functional

SIDE, SHORTER = 224, 256
# Every so many-th file is compared.
EVERY = 4
WARM = 64
# The most that an image may differ in the mean of its absolute differences, in steps of 1/255: what two decoders of
# JPEG, two transforms and two roundings may come to.
JPEG_LIMIT = 1.5
# The same where only the resizing differs.
RESIZE_LIMIT = 0.5


def rate(options):
    """Decodes, crops and flips, without the conversion to a tensor: the less of torchvision, the higher our bar."""
    torch.set_num_threads(1)
    torch.manual_seed(0)
    files = ImageFolder(options.folder, v2.Compose([v2.RandomResizedCrop(SIDE), v2.RandomHorizontalFlip()]))
    for index in range(WARM):
        files[index]
    begun = time.thread_time()
    for index in range(options.count):
        # As a shuffled epoch reads them, neighbours are not of one class.
        files[7919 * index % len(files)]
    print(json.dumps({"images_per_s": options.count / (time.thread_time() - begun)}))


def reference(line):
    """Torchvision's pixels of the region that a line of PROGRAM's names, or of the central view."""
    with open(line["file"], "rb") as file:
        image = Image.open(file).convert("RGB")
    if line["region"] is None:
        image = functional.center_crop(functional.resize(image, SHORTER), [SIDE, SIDE])
    else:
        left, top, width, height = line["region"]
        image = functional.resized_crop(image, top, left, height, width, [SIDE, SIDE])
    image = functional.horizontal_flip(image) if line["flip"] else image
    return functional.pil_to_tensor(image).numpy()


def compare_case(name, program, view, folder, limit):
    """Has PROGRAM write its tensors of one view, and prints the row of their differences."""
    words = [program, "tensors", str(folder), view, str(EVERY)]
    output = subprocess.run(words, stdout=subprocess.PIPE, check=True).stdout
    end = output.index(b"\n\n")
    lines = [json.loads(line) for line in output[:end].splitlines()]
    ours = numpy.frombuffer(output[end + 2:], numpy.uint8).reshape(len(lines), 3, SIDE, SIDE)
    differences = [numpy.abs(image.astype(int) - reference(line)) for line, image in zip(lines, ours)]
    means = [difference.mean() for difference in differences]
    worst, most = max(means), max(difference.max() for difference in differences)
    print(f"{name:<28} {len(means):>6} {numpy.mean(means):>9.4f} {worst:>9.4f} {most:>7} {limit:>6}", flush=True)
    return worst <= limit


def as_png(folder, result):
    """The centres of the pictures as PNG, of the network's own size: nothing is left to resize."""
    shutil.rmtree(result, ignore_errors=True)
    for file in sorted(folder.glob("train/*/*.jpg"))[::EVERY]:
        place = result / file.parent.relative_to(folder)
        place.mkdir(parents=True, exist_ok=True)
        functional.center_crop(Image.open(file), [SHORTER, SHORTER]).save(place / f"{file.stem}.png")


def compare(options):
    png = options.work / "png"
    as_png(options.folder, png)
    print(f"{'case':<28} {'images':>6} {'mean':>9} {'worst':>9} {'pixel':>7} {'limit':>6}   (of 255)")
    cases = [("JPEG, random crop, flip", "random", options.folder, JPEG_LIMIT),
             ("JPEG, centre", "centre", options.folder, JPEG_LIMIT),
             ("PNG, random crop, flip", "random", png, RESIZE_LIMIT), ("PNG, no resize", "centre", png, 0)]
    whole = [compare_case(name, options.program, *case) for name, *case in cases]
    if not all(whole):
        sys.exit("torchvision_input.py: the worst image of a case differs by more than its limit")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(required=True)
    command = commands.add_parser("rate")
    command.add_argument("folder", type=pathlib.Path)
    command.add_argument("count", type=int)
    command.set_defaults(run=rate)
    command = commands.add_parser("compare")
    command.add_argument("program")
    command.add_argument("folder", type=pathlib.Path)
    command.add_argument("work", type=pathlib.Path)
    command.set_defaults(run=compare)
    options = parser.parse_args()
    options.run(options)


main()
