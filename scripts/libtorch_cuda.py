#!/usr/bin/env python3
"""Put PyTorch's libraries for CUDA into target/cuda/, with NVIDIA's that they load: what a host of GPUs has from pip.

The release is that of libtorch.lock. The packages are those of libtorch_cuda.lock, which PyTorch's own metadata names;
Triton and the packages of Python are left out, since only the libraries are used. With target/cuda/torch/lib on
LD_LIBRARY_PATH, `layer-node serve --device cuda:0` needs nothing more than NVIDIA's driver.
"""

import pathlib
import shutil
import sys

sys.dont_write_bytecode = True
import provision

ROOT = pathlib.Path(__file__).resolve().parent.parent
LOCKS = [ROOT / "scripts/libtorch.lock", ROOT / "scripts/libtorch_cuda.lock"]
MEGABYTES = 2500  # of the wheels
ROOM = 9e9  # while they are unpacked
# As in libtorch.py; the newest wheels of NVIDIA name older systems.
TAGS = "--implementation cp --python-version 3.11 --abi cp311 --abi none --platform manylinux_2_28_x86_64 " \
       "--platform manylinux_2_27_x86_64 --platform manylinux_2_25_x86_64 --platform manylinux_2_18_x86_64 " \
       "--platform manylinux2014_x86_64 --platform manylinux2010_x86_64 --platform manylinux1_x86_64"


def packages():
    lines = (line for lock in LOCKS for line in lock.read_text().splitlines())
    # libtorch.lock names NVIDIA's packages of which libtorch_cpu.so loads a library: they are among these.
    return "\n".join(sorted({line for line in lines if "==" in line})) + "\n"


def is_ready(folder):
    held = folder / "packages"
    return held.exists() and held.read_text() == packages()


def make(work, result):
    print(f"PyTorch for CUDA: downloading {MEGABYTES} MB ({ROOM / 1e9:.0f} GB of disk meanwhile)", flush=True)
    if shutil.disk_usage(work).free < ROOM:
        raise ValueError(f"{work.parent} needs {ROOM / 1e9:.0f} GB of room while PyTorch for CUDA is set up")
    lock = work / "packages"
    lock.write_text(packages())
    words = ["--no-compile", "--target", str(result), *TAGS.split(), "--require-hashes", "--requirement", str(lock)]
    provision.pip("PyTorch for CUDA", "install", words, work, MEGABYTES)
    (result / "packages").write_text(packages())


provision.provide(ROOT / "target/cuda", LOCKS[1], is_ready, make)
