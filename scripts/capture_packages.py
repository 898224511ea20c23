#!/usr/bin/env python3
"""Put the packages of the decoder of captures (scripts/capture/) and of strangers.py into target/capture-packages/.

Those of the decoder are implementations of what the programs speak, by other people and in another language: HTTP/2's
frames, HPACK, protobuf with its own compiler, XXH3. The programs' framing has no part in what the decoder finds.
"""

import pathlib
import sys

sys.dont_write_bytecode = True
import provision

ROOT = pathlib.Path(__file__).resolve().parent.parent
PACKAGES = ["hyperframe==6.1.0", "hpack==4.2.0", "protobuf==7.36.2", "grpcio-tools==1.85.1",
            "xxhash==4.1.0", "numpy==2.4.6", "cryptography==50.0.2"]

provision.packages(ROOT / "target/capture-packages", "packages of the capture's decoder", PACKAGES)
