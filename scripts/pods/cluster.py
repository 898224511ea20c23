"""A small cluster: what it takes to run the pods of one overlay, on one machine and one network."""

import dataclasses
import pathlib
import time

import names
import policies
from controllers import Job, JobSet, StatefulSet
from failure import Failure, demand
from pod import Running
from volumes import Claims

_LOOKS = 0.05
# No scenario restarts a program in its pod as often.
_RESTARTS = 3
# Seconds that a program may take that only looks.
_PROGRAM = 60
_DNS = policies.End("kube-dns", "kube-system", {"k8s-app": "kube-dns"}, {})


class Cluster:
    """The workloads of an overlay, and the folders of their claims, which begin empty.

    It acts only in `tick`, which `wait` calls until what it waits for has come: one thread does everything but DNS.
    """

    def __init__(self, objects, image, network, folder):
        self.objects, self.image, self.network, self.folder = objects, image, network, pathlib.Path(folder)
        self.logs = self.folder / "logs"
        self.logs.mkdir(parents=True)
        self.claims = Claims(self.folder / "claims")
        network.apply(objects.all("NetworkPolicy"), objects.namespace)
        self.dns = network.attach(_DNS)
        self._names = names.Names(self.dns)
        self._controllers = {document["metadata"]["name"]: StatefulSet(document)
                             for document in objects.all("StatefulSet")}
        for document in objects.all("Job"):
            name = document["metadata"]["name"]
            self._controllers[name] = Job(name, document["spec"])
        for document in objects.all("JobSet"):
            self._controllers[document["metadata"]["name"]] = JobSet(document)
        # Those whose pods are to be there.
        self._begun = []

    def workloads(self):
        """The names of all workloads, in the order of the documents."""
        return list(self._controllers)

    def begin(self, *workloads):
        """Have the pods of these workloads from now on."""
        self._begun += workloads

    def workload(self, name):
        """The controller of a workload."""
        return self._controllers[name]

    def pods(self):
        """The pods that are there."""
        return [pod for controller in self._controllers.values() for pod in controller.pods()]

    def pod(self, component):
        """The pod of this component of the run."""
        for pod in self.pods():
            if pod.plan.component == component:
                return pod
        raise Failure(f"there is no pod of {component}: see {self.logs}")

    def has(self, component):
        """Whether there is a pod of this component."""
        return any(pod.plan.component == component for pod in self.pods())

    def remove(self, pod, grace=None, absence=0):
        """Delete a pod, or lose it with its node (`grace` 0); it stays away for `absence` seconds. Returns its exit
        code."""
        controller = next(each for each in self._controllers.values() if pod in each.pods())
        code = controller.remove(pod, grace, absence)
        self._publish()
        return code

    def tick(self):
        """Have every controller, and every pod, do what is due."""
        for name in self._begun:
            self._controllers[name].tick(self._start)
        for pod in self.pods():
            pod.tick()
            demand(pod.restarts <= _RESTARTS, f"pod {pod.name} ends again and again: {pod.container.said()} "
                                              f"({pod.container.log})")
        self._publish()

    def wait(self, what, condition, limit):
        """Tick until the condition holds; `what` completes the sentence that it did not."""
        end = time.monotonic() + limit
        while True:
            self.tick()
            if condition():
                return
            if time.monotonic() > end:
                raise Failure(f"{what} within {limit} s: {self._state() or 'there are no pods'}")
            time.sleep(_LOOKS)

    def run_beside(self, plans, words):
        """Run another program with the volumes, user and image of each of these pods, all at once. `words` makes its
        command line for a pod. Returns what each printed."""
        pods = [self._start(_with_program(plan, words(plan))) for plan in plans]
        self.wait("programs that only look did not end", lambda: all(pod.has_ended for pod in pods), _PROGRAM)
        for pod in pods:
            code = pod.remove()
            demand(code == 0, f"pod {pod.name} ended with {code}: {pod.container.said()} ({pod.container.log})")
        return [pod.container.log.read_text() for pod in pods]

    def stop(self):
        """End everything, without grace."""
        for pod in self.pods():
            pod.remove(0)
        self._names.stop()
        self.network.detach(self.dns)

    def _start(self, plan):
        return Running(plan, self)

    def _publish(self):
        pods = [(pod.plan.labels, pod.plan.hostname, pod.address, pod.is_ready) for pod in self.pods()]
        self._names.publish(names.zone(self.objects.all("Service"), self.objects.namespace, pods))

    def _state(self):
        """The last lines of the pods that are not ready, and of the last pod, which is a Job's where there is one."""
        pods = self.pods()
        told = [pod for pod in pods if not pod.is_ready or pod is pods[-1]]
        return "; ".join(f"pod {pod.name} said last: {pod.container.said()} ({pod.container.log})" for pod in told)


def _with_program(plan, words):
    """The pod with another program, which is started once and has no probes."""
    container = {name: value for name, value in plan.container.items() if not name.endswith("Probe")}
    containers = [{**container, "command": words, "args": []}]
    spec = {**plan.spec, "restartPolicy": "Never", "containers": containers}
    return dataclasses.replace(plan, name=f"{plan.name}-{words[1]}", spec=spec)
