#!/usr/bin/env python3
"""Writes Fashion-MNIST with images of 32 pixels: two rows and columns of zeros around each of 28 pixels.

The files lie in data/fashion-mnist-32/, in the format of the originals (`data.kind = "idx"`). LeNet's authors padded MNIST in
the same way. A network for images of 32 pixels then takes them.
"""

import gzip
import os
import struct
import sys

FROM, TO = "data/fashion-mnist", "data/fashion-mnist-32"
PAD = 2


def read(name):
    """The bytes of a file, which may be packed."""
    path = os.path.join(FROM, name)
    if os.path.exists(path):
        with open(path, "rb") as file:
            return file.read()
    with gzip.open(path + ".gz", "rb") as file:
        return file.read()


def padded(images):
    magic, count, rows, columns = struct.unpack(">4I", images[:16])
    if magic != 0x803:
        sys.exit(f"{FROM} holds no images in the idx format")
    side = columns + 2 * PAD
    edge, beside = bytes(side * PAD), bytes(PAD)
    parts = [struct.pack(">4I", magic, count, rows + 2 * PAD, side)]
    for image in range(count):
        parts.append(edge)
        for row in range(rows):
            start = 16 + (image * rows + row) * columns
            parts.append(beside + images[start : start + columns] + beside)
        parts.append(edge)
    return b"".join(parts)


def main():
    os.makedirs(TO, exist_ok=True)
    for split in ["train", "t10k"]:
        for name, change in [("images-idx3-ubyte", padded), ("labels-idx1-ubyte", bytes)]:
            path = os.path.join(TO, f"{split}-{name}")
            if os.path.exists(path):
                continue
            with open(path + ".part", "wb") as file:
                file.write(change(read(f"{split}-{name}")))
            os.rename(path + ".part", path)


if __name__ == "__main__":
    main()
