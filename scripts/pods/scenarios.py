"""What happens to a run in a cluster, one function each: it does the harm, and says in one line what it saw."""

import time

import health
import reach
import training
from cluster import Cluster
from failure import demand
from training import Training, same, short

# A step in the middle of the run, after the second snapshot.
_MIDDLE = 13
# Steps between one harm and the next.
_SOME = 5
# What the coordinator says when it takes up the run again.
_ROLLED_BACK = "rolling back"
# The exit code of a coordinator that saved and ended because it was told to, and of a program that was killed.
_INTERRUPTED, _KILLED = 75, 137
# Within these seconds, a node whose coordinator is gone is idle.
_IDLE = 15
# Seconds that a node may take to answer: it may compute on all cores meanwhile.
_ANSWER = 20
COORDINATOR = "coordinator"


class Scene:
    """What all scenarios have: the image, the network, and the digests of the first training."""

    def __init__(self, image, network, folder):
        self._image, self._network, self._folder = image, network, folder
        self._digests = None

    def play(self, name, objects, scenario):
        """Play a scenario on a cluster of its own, and say what it saw and how long it took."""
        start = time.monotonic()
        cluster = Cluster(objects, self._image, self._network, self._folder / name.replace(" ", "-"))
        found = scenario(self, cluster)
        cluster.stop()
        print(f"{name}: {found} ({time.monotonic() - start:.0f} s)", flush=True)

    def compare(self, cluster, digests):
        """Compare with the first training's digests, or keep them as such."""
        if self._digests is None:
            self._digests = digests
        same(self._digests, digests, cluster.logs)
        return f"digest {short(digests)}"


def every_connection(_scene, cluster):
    """Try every connection while a run without an end trains."""
    cluster.begin(*cluster.workloads())
    Training(cluster).wait_for_step(1)
    return _reach(cluster)


def to_the_end(scene, cluster):
    """Train to the end."""
    cluster.begin(*cluster.workloads())
    found = scene.compare(cluster, Training(cluster).finish(COORDINATOR))
    return f"{training.STEPS} steps, Job complete, {found}"


def in_reverse(scene, cluster):
    """Start the coordinator first, the first stage last, each a second after the other."""
    for name in [COORDINATOR, *reversed([name for name in cluster.workloads() if name != COORDINATOR])]:
        cluster.begin(name)
        _pass(cluster, 1)
    found = scene.compare(cluster, Training(cluster).finish(COORDINATOR))
    demand(cluster.workload(COORDINATOR).attempts == 1,
           f"the coordinator's first pod did not wait for the pods that came later ({cluster.logs})")
    return f"coordinator first and stage 0 last: the same {found}"


def stages_lost(scene, cluster):
    """Kill a stage's program in its pod, lose another stage's pod with its node, and delete the pod of a third."""
    cluster.begin(*cluster.workloads())
    run = Training(cluster)
    run.wait_for_step(_MIDDLE)
    killed = cluster.pod("stage-1")
    killed.kill()
    cluster.wait("stage-1 did not start again", lambda: killed.restarts == 1 and killed.is_ready, 60)
    run.wait_for_step(run.step() + _SOME)
    lost = cluster.pod("stage-2")
    cluster.remove(lost, grace=0, absence=3)
    cluster.wait("stage-2 did not come back", lambda: cluster.has("stage-2") and cluster.pod("stage-2").is_ready, 60)
    back = cluster.pod("stage-2")
    demand(back.address != lost.address, f"pod {back.name} came back with the address of the pod before it")
    run.wait_for_step(run.step() + _SOME)
    code = cluster.remove(cluster.pod("stage-3"))
    found = scene.compare(cluster, run.finish(COORDINATOR))
    codes = [code for code, _ in cluster.workload(COORDINATOR).ends]
    demand(codes == [0], f"the coordinator's pods ended with {codes}, not once with 0 ({cluster.logs})")
    demand(run.said().count(_ROLLED_BACK) == 3, f"the coordinator did not roll back three times ({cluster.logs})")
    return (f"stage-1 killed and restarted in its pod, stage-2 lost with its node at {lost.address} and back at "
            f"{back.address}, stage-3 deleted (exit code {code}); the coordinator's pod rolled back three times, and "
            f"ended in the same {found}")


def coordinator_killed(scene, cluster):
    """Kill the coordinator's program, and then lose its next pod with its node; both times, the nodes become idle, and
    the Job starts another pod."""
    cluster.begin(*cluster.workloads())
    run, job = Training(cluster), cluster.workload(COORDINATOR)
    prometheus = cluster.network.attach(reach.outside(cluster.objects)[1])
    harms = [lambda: cluster.pod(COORDINATOR).kill(), lambda: cluster.remove(cluster.pod(COORDINATOR), grace=0)]
    seconds = []
    for step, harm in zip((_MIDDLE, 2 * _MIDDLE), harms):
        run.wait_for_step(step)
        demand(any(_busy(cluster, prometheus)), f"no node says that it is busy while the run trains ({cluster.logs})")
        job.is_held = True
        start = time.monotonic()
        harm()
        cluster.wait("the nodes were not idle after the coordinator's end",
                     lambda: not any(_busy(cluster, prometheus)), _IDLE)
        seconds.append(time.monotonic() - start)
        job.is_held = False
    cluster.network.detach(prometheus)
    found = scene.compare(cluster, run.finish(COORDINATOR))
    codes = [code for code, _ in job.ends]
    demand(codes == [_KILLED, _KILLED, 0], f"the Job's pods ended with {codes} ({cluster.logs})")
    killed, lost = seconds
    return (f"all nodes idle {killed:.1f} s after it was killed, and {lost:.1f} s after its next pod was lost with its "
            f"node; the Job's third pod ended in the same {found}")


def coordinator_drained(scene, cluster):
    """Drain the coordinator's node: SIGTERM, and the Job's next pod at once."""
    cluster.begin(*cluster.workloads())
    run, job = Training(cluster), cluster.workload(COORDINATOR)
    run.wait_for_step(_MIDDLE)
    pod = cluster.pod(COORDINATOR)
    code = cluster.remove(pod)
    demand(code == _INTERRUPTED, f"pod {pod.name} ended with {code} when it was drained, not with {_INTERRUPTED} "
                                 f"({pod.container.log})")
    demand(job.failures == 0, f"the Job {COORDINATOR} counts the drained pod {pod.name} as failed")
    step = run.step()
    found = scene.compare(cluster, run.finish(COORDINATOR))
    return f"exit code {code} at step {step}, not counted as a failure; the Job's second pod ended in the same {found}"


def job_set(scene, cluster):
    """Train as one JobSet, and kill a stage's program, so that its Job makes another pod."""
    name, = cluster.workloads()
    cluster.begin(name)
    run = Training(cluster)
    run.wait_for_step(_MIDDLE)
    killed = cluster.pod("stage-1")
    killed.kill()
    cluster.wait("stage-1 did not come back",
                 lambda: cluster.has("stage-1") and cluster.pod("stage-1") is not killed, 60)
    back = cluster.pod("stage-1")
    found = scene.compare(cluster, run.finish(name))
    demand(run.said().count(_ROLLED_BACK) == 1, f"the coordinator did not roll back ({cluster.logs})")
    demand(not cluster.pods(), f"pods of the JobSet {name} go on after its end ({cluster.logs})")
    return (f"pod {killed.name} killed and {back.name} in its place, the JobSet {name} complete and its stages ended: "
            f"the same {found}")


def _reach(cluster):
    """Try every connection, and read health and metrics from where they may be read."""
    cluster.wait("not all pods were ready", lambda: all(pod.is_ready for pod in cluster.pods()), 60)
    others = reach.outside(cluster.objects)
    stranger, prometheus = (cluster.network.attach(end) for end in others[:2])
    ends = [pod.attachment.end for pod in cluster.pods()]
    attachments = {pod.name: pod.attachment for pod in cluster.pods()}
    attachments.update({"stranger": stranger, "prometheus": prometheus, "kube-dns": cluster.dns})
    attempts = list(reach.tries(ends, others))
    reached = reach.by_sockets(attempts, attachments)
    reach.compare(reach.Expected(cluster.objects), attempts, reached)
    _speak(cluster, stranger, prometheus)
    for attachment in (stranger, prometheus):
        cluster.network.detach(attachment)
    return (f"of {len(attempts)} connections between pods, a stranger, Prometheus and DNS, the {len(reached)} of a run "
            "came through and no other")


def _speak(cluster, stranger, prometheus):
    """Health answers a stranger, and metrics answer Prometheus."""
    for pod in cluster.pods():
        ports = pod.plan.ports()
        if "health" in ports:
            demand(health.is_serving(stranger.namespace, pod.address, ports["health"], timeout=_ANSWER),
                   f"the health of pod {pod.name} does not answer a stranger ({pod.container.log})")
        found = health.metrics(prometheus.namespace, pod.address, ports["metrics"], _ANSWER)
        demand(found, f"the metrics of pod {pod.name} do not answer Prometheus ({pod.container.log})")


def _busy(cluster, prometheus):
    """Whether each node is busy, as its metrics say."""
    for pod in cluster.pods():
        if pod.plan.component.startswith("stage-"):
            found = health.metrics(prometheus.namespace, pod.address, pod.plan.ports()["metrics"]) or {}
            yield float(found.get("neuropil_node_busy", 1)) > 0


def _pass(cluster, seconds):
    """Let some time pass."""
    end = time.monotonic() + seconds
    cluster.wait("time did not pass", lambda: time.monotonic() >= end, seconds + 60)
