"""A folder of fetched files: complete or not there, and something to look at while it comes."""

import contextlib
import fcntl
import os
import shutil
import signal
import subprocess
import sys
import time


def provide(folder, lock, is_ready, make):
    """Make `folder` by calling make(work, result) with an empty work folder beside it and the path to fill.

    What `result` holds takes the folder's place at the very end. The work folder goes away whatever happens,
    also on an interrupt; one that a killed process left behind is replaced. `lock` is any file of the
    repository: holding it keeps a second set-up waiting, which then finds the folder ready.
    """
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda number, _: sys.exit(128 + number))
    try:
        with locked(lock):
            if not is_ready(folder):
                replace(folder, make)
    except KeyboardInterrupt:
        sys.exit(130)
    except (OSError, subprocess.CalledProcessError, ValueError) as error:
        sys.exit(f"{os.path.basename(sys.argv[0])}: {error}")


def packages(folder, label, names):
    """Put packages of Python, each pinned as NAME==VERSION, with all that they need among them, into `folder`."""
    # Packages are compiled for one version of Python.
    held = f"Python {sys.version_info.major}.{sys.version_info.minor} {' '.join(names)}\n"

    def is_ready(folder):
        version = folder / "packages"
        return version.exists() and version.read_text() == held

    def make(work, result):
        pip(label, "install", ["--no-compile", "--target", str(result), *names], work)
        (result / "packages").write_text(held)

    # The lock is the caller's own file: any file of the repository serves.
    provide(folder, sys.argv[0], is_ready, make)


def replace(folder, make):
    work = folder.with_name("." + folder.name.lstrip(".") + ".tmp")
    start = time.monotonic()
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir(parents=True)
    try:
        make(work, work / "result")
        if folder.exists():
            folder.rename(work / "old")
        (work / "result").rename(folder)
    finally:
        shutil.rmtree(work, ignore_errors=True)
    size = size_of(folder) / 1e6
    print(f"{folder} is ready: {size:.0f} MB, in {time.monotonic() - start:.0f} s", flush=True)


@contextlib.contextmanager
def locked(path):
    # "r+" writes nothing; some network file systems lock only files that are open for writing
    with open(path, "r+") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            print("waiting for another set-up to finish", flush=True)
            fcntl.flock(file, fcntl.LOCK_EX)
        yield


def pip(label, command, words, work, megabytes=None):
    """Run a command of pip without dependencies, cache or questions; `megabytes` is what it downloads."""
    downloading = work / "pip"  # pip downloads into TMPDIR, then copies
    line = [sys.executable, "-m", "pip", command, "--quiet", "--no-input", "--no-deps", "--no-cache-dir",
            "--disable-pip-version-check", "--only-binary=:all:", *words]
    environment = {**os.environ, "TMPDIR": str(downloading), "PIP_REQUIRE_VIRTUALENV": "0"}
    watch(label, line, downloading, megabytes, env=environment)


def watch(label, command, growing, megabytes=None, **options):
    """Run `command` while showing how much of `megabytes` the folder `growing` holds.

    The command's own output is shown only if it fails.
    """
    growing.mkdir(parents=True, exist_ok=True)
    terminal = sys.stdout.isatty()
    with open(growing.with_suffix(".log"), "w+") as log:
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, **options)
        try:
            while True:
                try:
                    process.wait(timeout=0.5 if terminal else 10)
                    break
                except subprocess.TimeoutExpired:
                    line = f"{label}: {size_of(growing) / 1e6:.0f}{f' of {megabytes}' if megabytes else ''} MB"
                    print(f"\r{line}" if terminal else line, end="" if terminal else "\n", flush=True)
        finally:
            process.kill()
            process.wait()
            if terminal:
                print("\r\x1b[K", end="", flush=True)
        if process.returncode != 0:
            log.seek(0)
            sys.stderr.write(log.read())
            program = os.path.basename(command[0])
            raise ChildProcessError(f"{label}: {program} ended with exit code {process.returncode}")


def size_of(folder):
    size = 0
    for path, _, names in os.walk(folder):
        for name in names:
            with contextlib.suppress(FileNotFoundError):  # moved on while we looked
                size += os.lstat(os.path.join(path, name)).st_size
    return size
