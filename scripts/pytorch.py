#!/usr/bin/env python3
"""Put PyTorch for the CPU into target/pytorch/, as the reference of `cargo xtask bench pipeline`.

It is the release whose libtorch Neuropil links (libtorch.lock), so that a bench compares pipelines and not kernels.
PyPI's wheels of it are builds for CUDA, which ask the loader for gigabytes of NVIDIA's libraries. A CPU calls
none of their functions but the CUDA runtime's, so empty libraries stand in for the others; `import torch` accepts
them where functions are bound when they are first called (`sys.setdlopenflags(os.RTLD_LAZY)`).
"""

import os
import pathlib
import shutil
import subprocess
import sys

sys.dont_write_bytecode = True
import provision

ROOT = pathlib.Path(__file__).resolve().parent.parent
LOCK = ROOT / "scripts/libtorch.lock"
TORCH = [line.split()[0] for line in LOCK.read_text().splitlines() if "==" in line]
# The other packages that torch.distributed.pipelining imports.
PYTHON = ["typing_extensions==4.16.0", "sympy==1.14.0", "mpmath==1.4.1", "numpy==2.4.6"]
STAND_INS = ["libcublas.so.13", "libcublasLt.so.13", "libcudnn.so.9", "libcufft.so.12", "libcufile.so.0",
             "libcurand.so.10", "libcusparse.so.12", "libcusparseLt.so.0", "libnccl.so.2", "libnvshmem_host.so.3"]


def is_ready(folder):
    version = folder / "packages"
    return version.exists() and version.read_text() == packages()


def packages():
    """What the folder holds: packages are compiled for one version of Python."""
    return f"Python {sys.version_info.major}.{sys.version_info.minor} {' '.join(TORCH + PYTHON)}\n"


def make(work, result):
    print("PyTorch: downloading 543 MB (1.2 GB of disk, twice that meanwhile)", flush=True)
    if shutil.disk_usage(work).free < 3e9:
        raise ValueError(f"{work.parent} needs 3 GB of room while PyTorch is set up")
    words = ["--no-compile", "--target", str(result), *TORCH, *PYTHON]
    provision.pip("PyTorch", "install", words, work)
    for name in STAND_INS:
        compiler = [os.environ.get("CXX", "g++"), "-shared", "-nostdlib", "-x", "c++", "/dev/null"]
        subprocess.run([*compiler, "-o", str(result / "torch/lib" / name)], check=True)
    (result / "packages").write_text(packages())


provision.provide(ROOT / "target/pytorch", LOCK, is_ready, make)
