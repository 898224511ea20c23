#!/usr/bin/env python3
"""Put torchvision and Pillow into target/torchvision/, as the reference of photographs; PyTorch is scripts/pytorch.py's.

Its release is the one that was made for the torch of libtorch.lock, and moves with it.
"""

import pathlib
import sys

sys.dont_write_bytecode = True
import pillow
import provision

ROOT = pathlib.Path(__file__).resolve().parent.parent
PACKAGES = ["torchvision==0.26.0", *pillow.PACKAGES]

provision.packages(ROOT / "target/torchvision", "torchvision", PACKAGES)
