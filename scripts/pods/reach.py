"""Who reaches whom: every connection that pods, strangers and Prometheus may try, compared with what a run needs, which
is written here and not read from the policies."""

import dataclasses
import errno
import resource
import select
import socket
import time

import manifest
from failure import Failure, demand
from namespace import inside
from policies import NAMESPACE_NAME, End, permits

# How long a connection may take; what the firewall drops is never answered.
_DEADLINE = 1.5
# Ports of no program of ours, by names of this file.
_OTHERS = {"ssh": 22, "https": 443}
DNS_PORT = 53


@dataclasses.dataclass(frozen=True)
class Try:
    """A connection to try. A port without a listener answers as well, where no firewall keeps the question from it."""

    source: End
    target: End
    port_name: str
    port: int

    def __str__(self):
        return f"from {self.source.name} in namespace {self.source.namespace} to {self.target.name}:{self.port}"


class Expected:
    """What a run needs, and nothing else: the neighbours that the coordinator's command line names."""

    def __init__(self, objects):
        coordinator = next(pod for pod in manifest.pods(objects) if pod.component == "coordinator")
        self._stages = _hosts(coordinator, "--nodes")
        self._backward = set(_hosts(coordinator, "--backward-nodes"))
        self.namespace = objects.namespace
        self.monitoring = monitoring(objects)

    def reaches(self, attempt):
        """Whether this connection is one of a run."""
        source, target, port = attempt.source, attempt.target, attempt.port_name
        own = _component(source) if source.namespace == self.namespace else None
        if target.namespace != self.namespace:
            return own is None or attempt.target.name == "kube-dns" and port == "dns"
        if own is None:
            return port == "health" or port == "metrics" and source.namespace == self.monitoring
        if port == "control":
            return own == "coordinator"
        return port == "data" and own in self._neighbours(_component(target))

    def _neighbours(self, target):
        """The components from which a node takes data."""
        if target in self._backward:
            return {target.removesuffix("-backward")}
        at = self._stages.index(target)
        below = {self._stages[at - 1]} if at else {"coordinator"}
        return below | ({"coordinator"} if at == len(self._stages) - 1 else set())


def end(pod, namespace):
    """A pod of the run as policies see it."""
    return End(pod.name, namespace, pod.labels, pod.ports())


def tries(ends, outside):
    """Every connection between different pods, of which those `outside` the run are targets only of the others."""
    for source in [*ends, *outside]:
        for target in [*ends, *outside]:
            if source is target or (source in outside and target in outside):
                continue
            ports = {**target.ports, **_OTHERS}
            for name, port in ports.items():
                yield Try(source, target, name, port)


def by_policies(objects, attempts):
    """The connections that the policies let through, by themselves, without a firewall."""
    policies = objects.all("NetworkPolicy")
    return {attempt for attempt in attempts
            if permits(policies, objects.namespace, attempt.source, attempt.target, attempt.port)}


def by_sockets(attempts, attachments):
    """The connections that come through: tried all at once. `attachments` has the place of each pod by its name."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    waiting, answered, poll = {}, set(), select.poll()
    for attempt in attempts:
        with inside(attachments[attempt.source.name].namespace):
            connection = socket.socket()
        connection.setblocking(False)
        connection.connect_ex((attachments[attempt.target.name].address, attempt.port))
        waiting[connection.fileno()] = connection, attempt
        poll.register(connection, select.POLLOUT)
    end = time.monotonic() + _DEADLINE
    while waiting and (left := end - time.monotonic()) > 0:
        for number, _ in poll.poll(left * 1000):
            connection, attempt = waiting.pop(number)
            poll.unregister(number)
            if connection.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) in (0, errno.ECONNREFUSED):
                answered.add(attempt)
            connection.close()
    for connection, _ in waiting.values():
        connection.close()
    return answered


def compare(expected, attempts, reached):
    """Complain of a connection that came through and should not, or the other way round."""
    for attempt in attempts:
        wanted = expected.reaches(attempt)
        if (attempt in reached) != wanted:
            how = "should come through and does not" if wanted else "should be refused and is not"
            raise Failure(f"a connection {how}: {attempt} ({attempt.port_name})")


def monitoring(objects):
    """The namespace whose pods may read metrics: the one policy `metrics` names it."""
    policy = objects.get("NetworkPolicy", "metrics", "the issue")
    peers = [peer for rule in policy["spec"]["ingress"] for peer in rule["from"]]
    names = {peer["namespaceSelector"]["matchLabels"][NAMESPACE_NAME] for peer in peers}
    demand(len(names) == 1, f"the policy metrics names the namespaces {sorted(names)}; it should name one")
    return names.pop()


def outside(objects):
    """Pods that are not of the run: a stranger, Prometheus, and the cluster's DNS."""
    return [End("stranger", "elsewhere", {}, {}), End("prometheus", monitoring(objects), {}, {}),
            End("kube-dns", "kube-system", {"k8s-app": "kube-dns"}, {"dns": DNS_PORT})]


def _component(end):
    return end.labels["app.kubernetes.io/component"]


def _hosts(pod, flag):
    addresses = manifest.argument(pod, flag)
    return [address.split(":")[0] for address in addresses.split(",")] if addresses else []
