#!/usr/bin/env python3
"""Put Pillow, by which torchvision reads pictures, into target/pillow/; other scripts import it from there."""

import pathlib
import sys

sys.dont_write_bytecode = True
import provision

FOLDER = pathlib.Path(__file__).resolve().parent.parent / "target/pillow"
# Releases of Pillow differ in what they make of odd files: scripts/odd_images.py follows this one.
PACKAGES = ["pillow==13.0.0"]


def provide():
    """Set Pillow up where it is not there already, and let `import PIL` find it."""
    provision.packages(FOLDER, "Pillow", PACKAGES)
    sys.path.insert(0, str(FOLDER))


if __name__ == "__main__":
    provide()
