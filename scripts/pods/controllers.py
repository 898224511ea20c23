"""The controllers of StatefulSets, Jobs and JobSets: they see to it that the pods of their documents are there."""

import time

import job as rules
import manifest
from failure import Failure

# Kubernetes waits 10 s before a Job's second pod, and longer before others.
_RETRY_AFTER = 1


class StatefulSet:
    """Keeps the pod of each index there, under the same name and with the same claims."""

    def __init__(self, document):
        self._plans = list(manifest.of_stateful_set(document))
        self._pods = {}
        self._not_before = 0

    def pods(self):
        """The pods that are there."""
        return list(self._pods.values())

    def tick(self, start):
        """Make the pods that are missing."""
        for plan in self._plans:
            if plan.name not in self._pods and time.monotonic() >= self._not_before:
                self._pods[plan.name] = start(plan)

    def remove(self, pod, grace, absence):
        """Delete a pod, or lose it with its node (`grace` 0); it is made again after `absence` seconds."""
        code = pod.remove(grace)
        del self._pods[pod.name]
        self._not_before = time.monotonic() + absence
        return code


class Job:
    """Has one pod at a time, until the Job is complete or has failed."""

    def __init__(self, name, spec, labels=None):
        self.name, self._spec, self._labels = name, spec, labels or {}
        self._pod, self._not_before = None, 0
        self.attempts, self.failures, self.outcome = 0, 0, None
        # What is held starts no new pod.
        self.is_held = False
        self.ends = []

    def pods(self):
        """The pod that is there, if any."""
        return [self._pod] if self._pod else []

    def tick(self, start):
        """Make the pod, or decide what its end means."""
        if self.outcome is None and self._pod is None and not self.is_held and time.monotonic() >= self._not_before:
            self._pod = start(manifest.of_job(self.name, self._spec, self.attempts, self._labels))
            self.attempts += 1
        elif self._pod and self._pod.has_ended:
            pod = self._pod
            self._follow(pod, pod.remove(), False)

    def stop(self):
        """End the pod, for the JobSet does not need it any more."""
        for pod in self.pods():
            pod.remove()
        self._pod = None

    def remove(self, pod, grace, absence):
        """Evict the pod, as the drain of its node does."""
        code = pod.remove(grace)
        self._follow(pod, code, True)
        self._not_before = time.monotonic() + absence
        return code

    def _follow(self, pod, code, is_disrupted):
        """Act as the Job's policy says of a pod that is gone."""
        container = pod.plan.container["name"]
        found = rules.verdict(self.name, self._spec, container, code, is_disrupted, self.failures)
        self._pod, self._not_before = None, time.monotonic() + _RETRY_AFTER
        self.failures += found.counts
        self.ends.append((code, found))
        if found.outcome == "Failed":
            raise Failure(f"pod {pod.name} ended with {code}, and {found.reason}: {pod.container.said()} "
                          f"({pod.container.log})")
        if found.outcome == "Complete":
            self.outcome = "Complete"


class JobSet:
    """Has the Jobs of all replicated Jobs, until those that its success policy names are complete.

    A Job that fails ends the scenario, so the JobSet's failure policy is not tried.
    """

    def __init__(self, document):
        self._jobs = [(replicated, Job(name, spec, labels))
                      for replicated, name, spec, labels in manifest.jobs_of_job_set(document)]
        policy = document["spec"].get("successPolicy", {})
        self._targets = policy.get("targetReplicatedJobs") or [replicated for replicated, _ in self._jobs]
        self._enough = any if policy.get("operator") == "Any" else all
        self.outcome = None

    def pods(self):
        """The pods that are there."""
        return [pod for _, job in self._jobs for pod in job.pods()]

    def jobs(self):
        """All Jobs."""
        return [job for _, job in self._jobs]

    def tick(self, start):
        """Have every Job act, and end what is left when the JobSet is complete."""
        if self.outcome is not None:
            return
        for job in self.jobs():
            job.tick(start)
        if self._enough(job.outcome == "Complete" for name, job in self._jobs if name in self._targets):
            self.outcome = "Complete"
            for job in self.jobs():
                job.stop()

    def remove(self, pod, grace, absence):
        """Evict a pod, as the drain of its node does."""
        job = next(job for job in self.jobs() if pod in job.pods())
        return job.remove(pod, grace, absence)
