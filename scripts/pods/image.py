"""What stands for the image of a container: a root folder, the variables that the image sets, and further mounts."""

import dataclasses
import pathlib
import re
import subprocess

from failure import Failure, demand
from volumes import Mount

PROGRAMS = ("coordinator", "layer-node")
# Where the image has programs, libraries and data.
_HOME, _DATA = "/opt/neuropil", "/usr/share/neuropil/data"
_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


@dataclasses.dataclass(frozen=True)
class Image:
    """The folder that becomes a container's root, and what comes with it."""

    lower: str
    variables: dict
    mounts: tuple

    @classmethod
    def of_folder(cls, folder, data):
        """The image as deploy/image-root.sh makes it; the data set is mounted where the folder has none."""
        demand((folder / "usr").is_dir(), f"{folder} is no root of an image: make it with deploy/image-root.sh")
        has_data = (folder / _DATA.lstrip("/")).is_dir()
        return cls(str(folder), _variables(), () if has_data else (Mount(str(data), _DATA, True),))

    @classmethod
    def of_machine(cls, build, data):
        """This machine's system, read-only, and the programs of a build folder with the libraries that they link."""
        mounts = [Mount(str(build / name), f"{_HOME}/bin/{name}", True) for name in PROGRAMS]
        mounts += [Mount(str(_libraries(build)), f"{_HOME}/lib", True), Mount(str(data), _DATA, True)]
        return cls("/", _variables(), tuple(mounts))


def _variables():
    return {"PATH": f"{_HOME}/bin:{_PATH}", "NEUROPIL_DATA": _DATA}


def _libraries(build):
    """The folder of libtorch, as the layer node finds it."""
    done = subprocess.run(["ldd", build / "layer-node"], capture_output=True, text=True, check=False)
    found = re.search(r"libtorch_cpu\.so => (\S+)", done.stdout)
    if not found:
        raise Failure(f"{build}/layer-node does not find libtorch: build it with `cargo xtask test`")
    return pathlib.Path(found[1]).parent
