"""Network namespaces: entering them for a moment, and their removal at the end, however this process ends."""

import contextlib
import ctypes
import os
import subprocess

from failure import Failure

FOLDER = "/run/netns"
_LIBC = ctypes.CDLL(None, use_errno=True)
_NEWNET = 0x40000000
# Waits for the end of its standard input, then ends the processes of each namespace and removes it.
_JANITOR = """
trap '' INT TERM HUP
cat > /dev/null
for namespace in $(ip netns list | grep -o "^$1-[^ ]*"); do
    for process in $(ip netns pids "$namespace" 2> /dev/null); do kill -KILL "$process" 2> /dev/null; done
    ip netns delete "$namespace"
done
"""


class Janitor:
    """A shell that holds a pipe from this process. The kernel closes it when this process ends, also by a signal."""

    def __init__(self, prefix):
        # An interrupt from the terminal goes to the group of processes in front.
        self._shell = subprocess.Popen(["sh", "-c", _JANITOR, "janitor", prefix], stdin=subprocess.PIPE,
                                       process_group=0)

    def finish(self):
        """Remove the namespaces now."""
        self._shell.stdin.close()
        if self._shell.wait() != 0:
            raise Failure("a network namespace could not be removed: `ip netns list` names it")


def move(namespace):
    """Move this thread into a network namespace, for good."""
    with open(f"{FOLDER}/{namespace}", "rb") as file:
        _enter(file.fileno())


@contextlib.contextmanager
def inside(namespace):
    """Have this thread in a network namespace. Sockets stay in the namespace in which they were made."""
    with open("/proc/thread-self/ns/net", "rb") as own:
        move(namespace)
        try:
            yield
        finally:
            _enter(own.fileno())


def _enter(descriptor):
    if _LIBC.setns(descriptor, _NEWNET) != 0:
        raise OSError(ctypes.get_errno(), "setns " + os.strerror(ctypes.get_errno()))


def run(command, text=None):
    """Run a small tool to its end; the failure holds what it complained of."""
    try:
        done = subprocess.run(command, input=text or "", capture_output=True, text=True, check=False)
    except FileNotFoundError as error:
        raise Failure(f"`{' '.join(command)}` could not be started: {error}") from error
    if done.returncode != 0:
        lines = done.stderr.strip().splitlines() or ["it said nothing"]
        raise Failure(f"`{' '.join(command)}` failed: {lines[-1]}")
    return done.stdout
