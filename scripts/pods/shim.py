"""Becomes the first process of a container: `python3 shim.py CONTAINER.json`, as root, in an interpreter of its own.

It joins the pod's network namespace, makes namespaces of mounts, processes, host name and shared memory, builds the
container's root out of read-only mounts, gives up every right that the restricted profile takes, and starts the program
as process 1. It ends as the program does, or with 128 and the number of the signal, and takes the program with it.
"""

import ctypes
import json
import os
import pathlib
import signal
import sys

sys.dont_write_bytecode = True
import namespace

_LIBC = ctypes.CDLL(None, use_errno=True)
_NEW_MOUNTS, _NEW_NAMES, _NEW_SHARED_MEMORY, _NEW_PROCESSES = 0x00020000, 0x04000000, 0x08000000, 0x20000000
_READ_ONLY, _NO_SET_UID, _NO_DEVICES, _REMOUNT, _BIND, _RECURSIVE, _PRIVATE = 1, 2, 4, 32, 4096, 16384, 1 << 18
_END_WITH_PARENT, _DROP_CAPABILITY, _NO_NEW_PRIVILEGES = 1, 24, 38
_DEVICES = ("null", "zero", "full", "random", "urandom", "tty")
# What a root folder that is this machine's lends to a container.
_LENT = {"usr", "bin", "sbin", "lib", "lib32", "lib64", "libx32", "etc"}


def main():
    container = json.loads(pathlib.Path(sys.argv[1]).read_text())
    _end_with_parent()
    namespace.move(container["network"])
    _call("unshare", _NEW_MOUNTS | _NEW_NAMES | _NEW_SHARED_MEMORY | _NEW_PROCESSES)
    _call("sethostname", container["hostname"].encode(), len(container["hostname"]))
    root = pathlib.Path(container["root"])
    _build(root, container)
    child = os.fork()
    if child == 0:
        _start(root, container)
    # The file is there once it is whole.
    pid = pathlib.Path(container["pid"])
    pid.with_suffix(".new").write_text(str(child))
    pid.with_suffix(".new").rename(pid)
    _, status = os.waitpid(child, 0)
    code = os.waitstatus_to_exitcode(status)
    sys.exit(code if code >= 0 else 128 - code)


def _build(root, container):
    """Make the root: a folder in memory, into which everything is mounted, and which is read-only at the end."""
    _mount(None, "/", None, _RECURSIVE | _PRIVATE)
    _mount("tmpfs", root, "tmpfs", _NO_SET_UID | _NO_DEVICES, "mode=755")
    points = [mount["target"] for mount in container["mounts"]]
    _graft(pathlib.Path(container["lower"]), root, "", [*points, "/proc", "/sys", "/dev", "/tmp", "/run"])
    for name in ("proc", "sys", "dev", "tmp", "run"):
        (root / name).mkdir(exist_ok=True)
    _bind("/sys", root / "sys", _RECURSIVE)
    _mount("tmpfs", root / "dev", "tmpfs", _NO_SET_UID, "mode=755")
    for name in filter(lambda name: pathlib.Path("/dev", name).exists(), _DEVICES):
        (root / "dev" / name).touch()
        _mount(f"/dev/{name}", root / "dev" / name, None, _BIND)
    (root / "dev/shm").mkdir(mode=0o1777)
    _mount("tmpfs", root / "dev/shm", "tmpfs", _NO_SET_UID | _NO_DEVICES, "mode=1777")
    # A mount below another comes after it.
    for mount in sorted(container["mounts"], key=lambda mount: mount["target"]):
        _place(root, mount)
    _mount(None, root, None, _REMOUNT | _BIND | _READ_ONLY | _NO_SET_UID)


def _graft(lower, upper, path, points):
    """Show the folder `lower` at `upper`, read-only, with room for the mounts at `points`, which it may not have."""
    is_machine = lower == pathlib.Path("/")
    for entry in os.scandir(lower):
        at, target = f"{path}/{entry.name}", upper / entry.name
        if at in points or (is_machine and entry.name not in _LENT):
            continue
        if entry.is_symlink():
            target.symlink_to(os.readlink(entry.path))
        elif entry.is_dir():
            target.mkdir()
            if any(point.startswith(at + "/") for point in points):
                _graft(pathlib.Path(entry.path), target, at, points)
            else:
                _bind(entry.path, target)
        elif entry.is_file():
            target.touch()
            _bind(entry.path, target)


def _place(root, mount):
    source, target = pathlib.Path(mount["source"]), root / mount["target"].lstrip("/")
    if not target.exists():
        target.parent.mkdir(parents=True, exist_ok=True)
        target.mkdir() if source.is_dir() else target.touch()
    if mount["is_read_only"]:
        _bind(source, target)
    else:
        _mount(source, target, None, _BIND)


def _start(root, container):
    """In the new process: the last steps that root may do, then the program."""
    try:
        _mount("proc", root / "proc", "proc", _NO_SET_UID | _NO_DEVICES)
        os.chroot(root)
        os.chdir(container["folder"])
        _give_up(container)
        _end_with_parent()
        os.umask(0o022)
        os.execvpe(container["command"][0], container["command"], container["environment"])
    except OSError as error:
        print(f"error: the container cannot start `{container['command'][0]}`: {error}", file=sys.stderr, flush=True)
    # As a container engine ends where a program cannot be started.
    os._exit(128)


def _give_up(container):
    """Keep no capability, no group but the pod's, and no way to get one back."""
    _call("prctl", _NO_NEW_PRIVILEGES, 1, 0, 0, 0)
    last = int(pathlib.Path("/proc/sys/kernel/cap_last_cap").read_text())
    for number in range(last + 1):
        _call("prctl", _DROP_CAPABILITY, number, 0, 0, 0)
    os.setgroups(container["groups"])
    os.setgid(container["group"])
    os.setuid(container["user"])


def _end_with_parent():
    _call("prctl", _END_WITH_PARENT, signal.SIGKILL, 0, 0, 0)


def _bind(source, target, more=0):
    """A read-only view of a folder or a file."""
    _mount(source, target, None, _BIND | more)
    _mount(None, target, None, _REMOUNT | _BIND | _READ_ONLY | _NO_SET_UID)


def _mount(source, target, kind, flags, options=None):
    encoded = [None if each is None else str(each).encode() for each in (source, target, kind, options)]
    if _LIBC.mount(*encoded[:3], ctypes.c_ulong(flags), encoded[3]) != 0:
        error = ctypes.get_errno()
        raise OSError(error, f"cannot mount {source} at {target}: {os.strerror(error)}")


def _call(name, *arguments):
    if getattr(_LIBC, name)(*arguments) != 0:
        error = ctypes.get_errno()
        raise OSError(error, f"{name} failed: {os.strerror(error)}")


main()
