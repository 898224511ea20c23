"""The training of a run, as a scenario needs it: short, watched on its way, and compared by its nodes' digests."""

import copy
import hashlib
import json

import manifest
from failure import Failure, demand
from manifest import Objects

_FILE = "config.toml"
# So many that the run is still under way when a harm comes, also on a machine that has nothing else to do.
STEPS = 240
# Steps of a run that a scenario ends before its time.
ENDLESS = 1_000_000
# Seconds that a part of the training may take, on a machine that is busy with other work as well.
_LIMIT = 600
# The network, the rule and the cut stay as they are. Snapshots change no bit of a run.
_SHORT = {"train.batch": 8, "data.test_limit": 64, "snapshot.every_steps": 5}


def shortened(documents, steps):
    """The documents with a training of so many small steps in the ConfigMap, and nothing else changed."""
    documents, count, keys = copy.deepcopy(documents), 0, {"train.max_steps": steps, **_SHORT}
    for document in documents:
        if document["kind"] == "ConfigMap" and _FILE in document.get("data", {}):
            for key, value in keys.items():
                document["data"][_FILE] = with_key(document["data"][_FILE], key, value)
            count += 1
    demand(count == 1, f"the overlay has {count} ConfigMaps with {_FILE}; it should have one")
    return Objects(documents)


def with_key(text, key, value):
    """A configuration in TOML with this key of a table at its top."""
    table, name = key.split(".")
    head, found, rest = text.partition(f"\n[{table}]\n")
    demand(found, f"the configuration has no [{table}]")
    own, comma, others = rest.partition("\n[")
    lines = [line for line in own.splitlines() if line.split("=")[0].strip() != name]
    return head + found + "\n".join([f"{name} = {value}", *lines]) + comma + others


class Training:
    """The training on a cluster."""

    def __init__(self, cluster):
        self._cluster = cluster
        self._plans = sorted((pod for pod in manifest.pods(cluster.objects) if pod.component.startswith("stage-")),
                             key=lambda pod: pod.component)
        self._coordinator = next(pod for pod in manifest.pods(cluster.objects) if pod.component == "coordinator")

    def step(self):
        """The newest step that the run has recorded, 0 before the first."""
        lines = self._file("metrics.jsonl").splitlines()
        # The last line may be half written.
        return json.loads(lines[-2])["step"] if len(lines) > 1 else 0

    def wait_for_step(self, step):
        """Wait until the run has recorded this step."""
        self._cluster.wait(f"step {step} was not trained", lambda: self.step() >= step, _LIMIT)

    def finish(self, workload):
        """Wait until the Job or the JobSet is complete, and return the digests of all nodes."""
        self._cluster.wait(f"{workload} was not complete", lambda: self._cluster.workload(workload).outcome, _LIMIT)
        status = json.loads(self._file("summary.json"))
        demand(status["steps"] == STEPS, f"the run has {status['steps']} steps in its summary, not {STEPS}")
        return self.digests()

    def digests(self):
        """Every tensor of every node, as a line."""
        printed = self._cluster.run_beside(self._plans, _digest)
        lines = [f"{plan.component} {line}" for plan, text in zip(self._plans, printed) for line in text.splitlines()]
        demand(all(printed), "a node keeps no tensors")
        return lines

    def said(self):
        """Everything that the coordinator's pods have logged."""
        return "".join(log.read_text(errors="replace") for log in self._cluster.logs.glob("*-coordinator*.log"))

    def _file(self, name):
        """The text of a file of the run's folder, in the claim of the coordinator; empty where there is none."""
        run = manifest.argument(self._coordinator, "--name")
        found = list(self._cluster.claims.folder.glob(f"*/runs/{run}/{name}"))
        return found[0].read_text() if found else ""


def _digest(plan):
    return ["layer-node", "digest", "--state-dir", manifest.argument(plan, "--state-dir")]


def short(digests):
    """A few letters that stand for the digests of a run."""
    return hashlib.sha256("\n".join(digests).encode()).hexdigest()[:12]


def same(expected, found, logs):
    """Complain where a run ended in other tensors than the first."""
    for one, other in zip(expected, found):
        if one != other:
            raise Failure(f"a tensor differs from that of the first training: {other}, where {one} ({logs})")
    demand(len(expected) == len(found), f"nodes keep other tensors than after the first training ({logs})")
