"""A container: the program of a pod with the arguments, environment, user and mounts of its manifest."""

import dataclasses
import json
import os
import pathlib
import signal
import subprocess
import sys

import environment
from failure import demand

_SHIM = pathlib.Path(__file__).with_name("shim.py")


@dataclasses.dataclass(frozen=True)
class Place:
    """What a pod gives its containers."""

    network: str
    image: object
    mounts: list
    objects: object
    # What the downward API knows of the pod that is not in its manifest.
    status: dict


class Container:
    """A container that runs, or has ended."""

    def __init__(self, pod, place, folder, log):
        """Start the program of the pod. `folder` is a new one, of this container alone."""
        folder.mkdir(parents=True)
        (folder / "root").mkdir()
        self.log, self._pid = log, folder / "pid"
        told = folder / "container.json"
        told.write_text(json.dumps(_told(pod, place, folder)))
        with open(log, "ab") as file:
            self._shim = subprocess.Popen([sys.executable, _SHIM, told], stdin=subprocess.DEVNULL, stdout=file,
                                          stderr=file, process_group=0)

    def code(self):
        """The exit code, as Kubernetes counts it, or `None` while the program runs."""
        return self._shim.poll()

    def signal(self, number):
        """Send the program a signal."""
        if self.code() is None and self._pid.exists():
            os.kill(int(self._pid.read_text()), number)

    def end(self, grace):
        """SIGTERM, and SIGKILL after `grace` seconds; returns the exit code."""
        self.signal(signal.SIGTERM)
        try:
            return self._shim.wait(grace)
        except subprocess.TimeoutExpired:
            return self.kill()

    def kill(self):
        """SIGKILL; returns the exit code."""
        self.signal(signal.SIGKILL)
        try:
            return self._shim.wait(5)
        except subprocess.TimeoutExpired:
            # The program was not there yet; its first process ends with the shim.
            self._shim.kill()
            return self._shim.wait()

    def said(self):
        """The last line of its log."""
        lines = self.log.read_text(errors="replace").strip().splitlines()
        return lines[-1] if lines else "it said nothing"


def _told(pod, place, folder):
    """What the shim is told."""
    context = _restricted(pod)
    variables = environment.environment(pod, place.image.variables, place.objects, place.status)
    mounts = [dataclasses.asdict(mount) for mount in (*place.image.mounts, *place.mounts)]
    groups = [*pod.spec["securityContext"].get("supplementalGroups", []), *_optional(context.get("fsGroup"))]
    return {"network": place.network, "hostname": pod.hostname, "lower": place.image.lower,
            "root": str(folder / "root"), "pid": str(folder / "pid"), "mounts": mounts,
            "folder": pod.container.get("workingDir", "/"), "user": context["runAsUser"],
            "group": context.get("runAsGroup", 0), "groups": groups, "environment": variables,
            "command": environment.command(pod, variables)}


def _restricted(pod):
    """The security context, where it asks for what the shim does: everything of the restricted profile, and a
    read-only root."""
    own = pod.container.get("securityContext", {})
    context = {**pod.spec.get("securityContext", {}), **own}
    asked = {"readOnlyRootFilesystem": own.get("readOnlyRootFilesystem"), "runAsNonRoot": context.get("runAsNonRoot"),
             "allowPrivilegeEscalation: false": own.get("allowPrivilegeEscalation") is False,
             "capabilities.drop: ALL": own.get("capabilities", {}) == {"drop": ["ALL"]},
             "seccompProfile: RuntimeDefault": context.get("seccompProfile", {}).get("type") == "RuntimeDefault",
             "runAsUser": context.get("runAsUser", 0) > 0}
    missing = [name for name, is_there in asked.items() if not is_there]
    demand(not missing, f"pod {pod.name} does not ask for {', '.join(missing)}")
    return context


def _optional(value):
    return [] if value is None else [value]
