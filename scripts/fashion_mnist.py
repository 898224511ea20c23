#!/usr/bin/env python3
"""Put Fashion-MNIST (MIT) into data/fashion-mnist/, out of Debian's package dataset-fashion-mnist.

apt uses the system's sources, keys and proxy, but lists, cache and state of its own, all inside data/: nothing
on the system changes, nothing is installed, and no root is needed. The files are checked against
fashion-mnist.sha256.
"""

import hashlib
import pathlib
import subprocess
import sys

sys.dont_write_bytecode = True
import provision

ROOT = pathlib.Path(__file__).resolve().parent.parent
CHECKSUMS = ROOT / "scripts/fashion-mnist.sha256"
FILES = {name: digest for digest, name in map(str.split, CHECKSUMS.read_text().splitlines())}
PACKAGE = "dataset-fashion-mnist"
MEGABYTES = 31  # of the package

# The cleared hooks run after a system's update: they would work on its own lists and caches. Without the error mode,
# apt does not report a source that it could not reach. Without the setting of the sandbox user, root's downloads
# would run as the user _apt, which may not enter the repository.
APT_CONFIGURATION = """
#clear APT::Update;
APT::Update::Error-Mode "any";
Dir::State "{work}/state";
Dir::State::status "/dev/null";
Dir::Cache "{work}/cache";
Acquire::Languages "none";
Acquire::Retries "2";
APT::Sandbox::User "root";
"""


def is_ready(folder):
    return all((folder / name).exists() for name in FILES)


def make(work, result):
    configuration = work / "apt.conf"
    configuration.write_text(APT_CONFIGURATION.format(work=work))
    for folder in ("state/lists/partial", "cache/archives/partial"):
        (work / folder).mkdir(parents=True)
    apt = ["apt-get", "-c", str(configuration), "--quiet"]
    print("Fashion-MNIST: fetching Debian's package lists", flush=True)
    try:
        provision.watch("package lists", [*apt, "update"], work / "state/lists")
    except ChildProcessError:
        pass  # one broken source of several need not matter: the next step tells
    print(f"Fashion-MNIST: downloading {PACKAGE}, {MEGABYTES} MB", flush=True)
    provision.watch("Fashion-MNIST", [*apt, "download", PACKAGE], work / "package", MEGABYTES, cwd=work / "package")
    package = next((work / "package").glob("*.deb"))
    subprocess.run(["dpkg", "--extract", str(package), str(work / "root")], check=True)
    result.mkdir()
    for name, digest in FILES.items():
        file = work / "root/usr/share/datasets/fashion-mnist" / name
        if hashlib.sha256(file.read_bytes()).hexdigest() != digest:
            raise ValueError(f"{name} is not the file that {CHECKSUMS.name} names")
        file.rename(result / name)
    (work / "root/usr/share/doc" / PACKAGE / "copyright").rename(result / "copyright")


provision.provide(ROOT / "data/fashion-mnist", CHECKSUMS, is_ready, make)
