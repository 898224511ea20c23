#!/usr/bin/env python3
"""Put libtorch's CPU libraries and C++ headers into .libtorch/, out of the wheels of libtorch.lock.

The wheels come through pip, checked against the lock's hashes; nothing is installed. Of torch's wheel, which is
a build for CUDA, only what a CPU needs is taken: a binary that links these libraries can still load the CUDA
ones at run time, from a machine's own PyTorch of the same version.
"""

import os
import pathlib
import platform
import shutil
import sys
import zipfile

sys.dont_write_bytecode = True
import provision

ROOT = pathlib.Path(__file__).resolve().parent.parent
LOCK = ROOT / "scripts/libtorch.lock"
VERSION = next(line.split()[0] for line in LOCK.read_text().splitlines() if line.startswith("torch==")).split("==")[1]
MEGABYTES = 543  # of the wheels

# The tags of the wheels in the lock. Only the C++ part is used, so the tags fit whatever Python runs pip.
TAGS = "--implementation cp --python-version 3.11 --abi cp311 --abi none --platform manylinux_2_28_x86_64 " \
       "--platform manylinux_2_25_x86_64 --platform manylinux2014_x86_64"

# libtorch_cpu.so loads the last two libraries.
LIBRARIES = {"torch/lib/libtorch_cpu.so", "torch/lib/libc10.so", "torch/lib/libgomp.so.1",
             "nvidia/cu13/lib/libcudart.so.13", "nvidia/cu13/lib/libcupti.so.13"}


def is_ready(folder):
    version = folder / "build-version"
    complete = all((folder / "lib" / os.path.basename(name)).exists() for name in LIBRARIES)
    return complete and version.exists() and version.read_text().strip() == VERSION


def make(work, result):
    if (platform.system(), platform.machine()) != ("Linux", "x86_64"):
        raise ValueError(f"the wheels are for Linux on x86-64: set LIBTORCH to a libtorch {VERSION} of your own")
    print(f"libtorch {VERSION}: downloading {MEGABYTES} MB (1.1 GB of disk meanwhile)", flush=True)
    words = ["--require-hashes", "--requirement", str(LOCK), *TAGS.split(), "--dest", str(work / "wheels")]
    provision.pip("libtorch", "download", words, work, MEGABYTES)
    print("libtorch: unpacking", flush=True)
    missing = set(LIBRARIES)
    for wheel in (work / "wheels").glob("*.whl"):
        missing -= unpack(wheel, result)
    if missing:
        raise ValueError(f"not in the wheels: {', '.join(sorted(missing))}")
    # -ltorch finds this link: the wheel's own libtorch.so would need CUDA's libraries
    (result / "lib/libtorch.so").symlink_to("libtorch_cpu.so")
    (result / "build-version").write_text(VERSION + "\n")


def unpack(wheel, result):
    """Take the libraries, the headers and the licences out of a wheel; return the names of all its files."""
    with zipfile.ZipFile(wheel) as archive:
        for name in archive.namelist():
            place = place_of(name)
            if place is not None:
                (result / place).parent.mkdir(parents=True, exist_ok=True)
                with archive.open(name) as source, open(result / place, "wb") as target:
                    shutil.copyfileobj(source, target, 1 << 20)
        return set(archive.namelist())


def place_of(name):
    if name in LIBRARIES:
        return "lib/" + os.path.basename(name)
    if name.startswith("torch/include/") and not name.endswith("/"):
        return name[len("torch/"):]
    if ".dist-info/" in name and os.path.basename(name).lower().startswith(("license", "notice")):
        package, file = name.split(".dist-info/")
        return f"licenses/{package.split('-')[0]}/{file.replace('licenses/', '', 1)}"
    return None


provision.provide(ROOT / ".libtorch", LOCK, is_ready, make)
