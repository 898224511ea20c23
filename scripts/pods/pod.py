"""A pod that runs: its place in the network, its volumes, its container, and whether its probes find it well."""

import itertools
import signal
import time

import names
import volumes
from container import Container, Place
from probes import Probes, asker
from reach import end
from volumes import Mount

# The kubelet waits 10 s before a second restart, and longer before others.
_RESTART_AFTER = 1
_numbers = itertools.count()


class Running:
    """A pod of the cluster. It has its name, address and volumes until it is removed, and a container at a time."""

    def __init__(self, pod, node):
        self.plan, self._node = pod, node
        self._folder = node.folder / f"pods/{next(_numbers)}-{pod.name}"
        self._folder.mkdir(parents=True)
        self.attachment = node.network.attach(end(pod, node.objects.namespace))
        self._mounts = [*volumes.mounts(pod, node.objects, node.claims, self._folder / "volumes"), *self._files()]
        self.restarts = 0
        self.container = self._start()

    @property
    def name(self):
        """The pod's name."""
        return self.plan.name

    @property
    def address(self):
        """The pod's address, which no pod has after it."""
        return self.attachment.address

    @property
    def is_ready(self):
        """Whether the readiness probe has succeeded."""
        return self.container.code() is None and self._probes.is_ready

    @property
    def has_ended(self):
        """Whether the program has ended, and is not to be started again."""
        policy, code = self.plan.spec.get("restartPolicy", "Always"), self.container.code()
        return code is not None and (policy == "Never" or policy == "OnFailure" and code == 0)

    def tick(self):
        """Restart what has ended, where the pod's restart policy says so, and ask the probes."""
        now, code = time.monotonic(), self.container.code()
        if code is None:
            if not self._probes.tick(now):
                self.kill()
        elif not self.has_ended:
            self._ended = self._ended or now
            if self.restarts == 0 or now - self._ended > _RESTART_AFTER:
                self.restarts += 1
                self.container = self._start()

    def kill(self):
        """Kill the program, as the kernel does when memory is short."""
        self.container.signal(signal.SIGKILL)

    def remove(self, grace=None):
        """End the program as a deletion does, by SIGTERM and the pod's grace period, or with 0 as when its node is
        lost: other pods hear nothing more of it. Returns its exit code."""
        if grace is None:
            grace = self.plan.spec.get("terminationGracePeriodSeconds", 30)
        if grace == 0:
            self._node.network.cut(self.attachment)
        code = self.container.end(grace) if grace else self.container.kill()
        self._node.network.detach(self.attachment)
        return code

    def _start(self):
        self._ended = None
        self._probes = Probes(self.plan, asker(self._node.network.router, self.address), time.monotonic())
        log = self._node.logs / f"{self._folder.name}.log"
        return Container(self.plan, self._place(), self._folder / f"container-{self.restarts}", log)

    def _place(self):
        node = self._node
        status = {"status.podIP": self.address, "metadata.namespace": node.objects.namespace}
        return Place(self.attachment.namespace, node.image, self._mounts, node.objects, status)

    def _files(self):
        """What the kubelet writes for every pod."""
        contents = {"hosts": f"127.0.0.1 localhost\n{self.address} {self.plan.hostname}\n",
                    "hostname": self.plan.hostname + "\n",
                    "resolv.conf": names.resolver(self._node.objects.namespace, self._node.dns.address)}
        for name, text in contents.items():
            (self._folder / name).write_text(text)
            yield Mount(str(self._folder / name), f"/etc/{name}", False)
