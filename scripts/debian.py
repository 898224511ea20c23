"""A package of Debian, unpacked into a folder.

apt uses the system's sources, keys and proxy, but lists, cache and state of its own, all inside that folder: nothing
on the system changes, nothing is installed, and no root is needed.
"""

import hashlib
import subprocess

import provision

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


def unpack(label, package, megabytes, work):
    """Download a package of `megabytes`, and return the folder that has its files as a system would."""
    configuration = work / "apt.conf"
    configuration.write_text(APT_CONFIGURATION.format(work=work))
    for folder in ("state/lists/partial", "cache/archives/partial"):
        (work / folder).mkdir(parents=True)
    apt = ["apt-get", "-c", str(configuration), "--quiet"]
    print(f"{label}: fetching Debian's package lists", flush=True)
    try:
        provision.watch("package lists", [*apt, "update"], work / "state/lists")
    except ChildProcessError:
        pass  # one broken source of several need not matter: the next step tells
    print(f"{label}: downloading {package}, {megabytes} MB", flush=True)
    provision.watch(label, [*apt, "download", package], work / "package", megabytes, cwd=work / "package")
    file = next((work / "package").glob("*.deb"))
    subprocess.run(["dpkg", "--extract", str(file), str(work / "root")], check=True)
    return work / "root"


def checked(file, digest, checksums):
    """The path of a file of the package, if it is the one that a list of checksums names."""
    if hashlib.sha256(file.read_bytes()).hexdigest() != digest:
        raise ValueError(f"{file.name} is not the file that {checksums.name} names")
    return file
