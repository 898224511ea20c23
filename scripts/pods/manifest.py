"""The documents of a rendered overlay, and the pods that Kubernetes makes of its StatefulSets, Jobs and JobSets."""

import dataclasses
import hashlib
import itertools

from failure import Failure, demand

JOBSET = "jobset.sigs.k8s.io/"


class Objects:
    """The documents by kind and name."""

    def __init__(self, documents):
        self._all = {(document["kind"], document["metadata"]["name"]): document for document in documents}
        names = {document["metadata"].get("namespace") for document in documents} - {None}
        demand(len(names) <= 1, f"an overlay of one run should have one namespace, and has {sorted(names)}")
        self.namespace = min(names, default="default")

    def all(self, kind):
        """All documents of a kind."""
        return [document for (own, _), document in self._all.items() if own == kind]

    def get(self, kind, name, wanted_by):
        """The document of this kind and name; it is an error if `wanted_by` names one that is not there."""
        found = self._all.get((kind, name))
        if found is None:
            raise Failure(f"{wanted_by} names the {kind} {name}, which the overlay does not have")
        return found


@dataclasses.dataclass(frozen=True)
class Pod:
    """A pod as its controller makes it."""

    name: str
    labels: dict
    annotations: dict
    spec: dict
    hostname: str
    # The claim of each volumeClaimTemplate of a StatefulSet.
    claims: dict

    @property
    def container(self):
        """The one container."""
        containers = self.spec["containers"] + self.spec.get("initContainers", [])
        demand(len(containers) == 1, f"pod {self.name} has {len(containers)} containers; these pods have one each")
        return containers[0]

    @property
    def component(self):
        """What the pod is in its run: `stage-0`, `coordinator`."""
        return self.labels.get("app.kubernetes.io/component", self.name)

    def ports(self):
        """The ports of the container, name to number."""
        return {port["name"]: port["containerPort"] for port in self.container.get("ports", [])}


def _pod(template, name, labels=None, hostname=None, claims=None):
    metadata = template.get("metadata", {})
    labels = {**metadata.get("labels", {}), **(labels or {})}
    return Pod(name, labels, metadata.get("annotations", {}), template["spec"], hostname or name, claims or {})


def of_stateful_set(document):
    """The pods of a StatefulSet."""
    name, spec = document["metadata"]["name"], document["spec"]
    for index in range(spec.get("replicas", 1)):
        pod = f"{name}-{index}"
        claims = {claim["metadata"]["name"]: f"{claim['metadata']['name']}-{pod}"
                  for claim in spec.get("volumeClaimTemplates", [])}
        labels = {"apps.kubernetes.io/pod-index": str(index), "statefulset.kubernetes.io/pod-name": pod}
        yield _pod(spec["template"], pod, labels, claims=claims)


def of_job(name, spec, attempt, labels=None):
    """The pod of one attempt of a Job that has one pod at a time; its name ends in letters that differ."""
    demand(spec.get("completions", 1) == spec.get("parallelism", 1) == 1, f"the Job {name} has more than one pod")
    letters = hashlib.sha256(f"{name} {attempt}".encode()).hexdigest()[:5]
    own = {"job-name": name, "batch.kubernetes.io/job-name": name}
    indexed = spec.get("completionMode") == "Indexed"
    name = f"{name}-0" if indexed else name
    return _pod(spec["template"], f"{name}-{letters}", {**own, **(labels or {})}, hostname=name if indexed else None)


def jobs_of_job_set(document):
    """The Jobs of a JobSet: the replicated Job's name, and the name, spec and further labels of each."""
    name = document["metadata"]["name"]
    for replicated in document["spec"]["replicatedJobs"]:
        for index in range(replicated.get("replicas", 1)):
            labels = {JOBSET + "jobset-name": name, JOBSET + "replicatedjob-name": replicated["name"],
                      JOBSET + "job-index": str(index)}
            # JobSet makes every Job an indexed one.
            spec = {**replicated["template"]["spec"], "completionMode": "Indexed"}
            yield replicated["name"], f"{name}-{replicated['name']}-{index}", spec, labels


def pods(objects):
    """The first pods of all workloads, as they are when nothing has happened yet."""
    sets = itertools.chain.from_iterable(of_stateful_set(each) for each in objects.all("StatefulSet"))
    jobs = (of_job(each["metadata"]["name"], each["spec"], 0) for each in objects.all("Job"))
    job_sets = (of_job(name, spec, 0, labels) for each in objects.all("JobSet")
                for _, name, spec, labels in jobs_of_job_set(each))
    return [*sets, *jobs, *job_sets]


def argument(pod, flag):
    """The value of a flag of the container's program, or `None`."""
    words = pod.container.get("args", [])
    if flag in words:
        return words[words.index(flag) + 1]
    return next((word.partition("=")[2] for word in words if word.startswith(f"{flag}=")), None)
