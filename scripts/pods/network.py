"""The network of the pods: a namespace each, with one link to a router, where the policies stand as firewall rules.

    coordinator 10.12.5.2 ─┐              ┌─ stage-1-0 10.12.2.2
                           ├─── router ───┤
      stage-0-0 10.12.1.2 ─┘              └─ stranger  10.12.9.2

Nothing of this touches the machine's own network. A pod that starts again is attached again, and has another address.
The router is also where the kubelet asks about a pod's health: what it opens itself, policies don't see.
"""

import dataclasses
import itertools
import os

import policies as rules
from namespace import Janitor, run

# The second and third number of addresses count what was ever attached.
_FIRST, _PER_NUMBER = 12, 250


@dataclasses.dataclass(frozen=True)
class Attachment:
    """A pod's place in the network."""

    end: rules.End
    namespace: str
    address: str
    interface: str


class Network:
    """The router and what is attached to it."""

    def __init__(self):
        self._prefix = f"neuropil-{os.getpid()}"
        self.router = f"{self._prefix}-router"
        self._numbers = itertools.count()
        self._attached = []
        self._policies, self._namespace = [], ""
        self._janitor = Janitor(self._prefix)
        try:
            _make(self.router)
            run(["ip", "netns", "exec", self.router, "sh", "-c", "echo 1 > /proc/sys/net/ipv4/ip_forward"])
            # What is missing here is found out before there are pods.
            self.detach(self.attach(rules.End("probe", "", {}, {})))
        except BaseException:
            self.remove()
            raise

    def remove(self):
        """End everything that runs in the namespaces, and remove them."""
        self._janitor.finish()

    def attach(self, end):
        """Give a pod a namespace and an address."""
        number = next(self._numbers)
        network = f"10.{_FIRST + number // _PER_NUMBER}.{number % _PER_NUMBER}"
        attachment = Attachment(end, f"{self._prefix}-{number}", f"{network}.2", f"pod{number}")
        _make(attachment.namespace)
        self._ip(self.router, f"link add {attachment.interface} type veth peer name eth0 netns {attachment.namespace}",
                 f"address add {network}.1/24 dev {attachment.interface}", f"link set {attachment.interface} up")
        self._ip(attachment.namespace, f"address add {attachment.address}/24 dev eth0", "link set eth0 up",
                 f"route add default via {network}.1")
        self._attached.append(attachment)
        self._close()
        return attachment

    def cut(self, attachment):
        """Cut a pod's link: what its programs still send, a farewell among them, reaches no other pod."""
        run(["ip", "-n", self.router, "link", "set", attachment.interface, "down"])

    def detach(self, attachment):
        """Remove a pod's namespace. Its processes should have ended."""
        self._attached.remove(attachment)
        self._close()
        run(["ip", "-n", self.router, "link", "delete", attachment.interface])
        run(["ip", "netns", "delete", attachment.namespace])

    def apply(self, policies, namespace):
        """Have these NetworkPolicies of a Kubernetes namespace."""
        self._policies, self._namespace = policies, namespace
        self._close()

    def _close(self):
        """Write the firewall anew: what no rule lets through is dropped, as network plugins do."""
        lines = ["*filter", ":INPUT DROP", ":OUTPUT ACCEPT", ":FORWARD DROP", "-A INPUT -p tcp ! --syn -j ACCEPT"]
        for source, target in itertools.permutations(self._attached, 2):
            found = rules.openings(self._policies, self._namespace, source.end, target.end)
            lines += [line for opening in found for line in _rules(source.address, target.address, opening)]
        run(["ip", "netns", "exec", self.router, "iptables-restore", "--wait"], "\n".join([*lines, "COMMIT", ""]))

    def _ip(self, namespace, *lines):
        run(["ip", "-n", namespace, "-batch", "-"], "\n".join(lines) + "\n")


def _rules(source, target, opening):
    """The way there, and the way back for answers alone."""
    protocols = [opening.protocol.lower()] if opening.protocol else ["tcp", "udp"]
    for protocol in protocols:
        there, back = (f" --{end}port {opening.port}" if opening.port else "" for end in "ds")
        answers = " ! --syn" if protocol == "tcp" else ""
        yield f"-A FORWARD -s {source} -d {target} -p {protocol}{there} -j ACCEPT"
        yield f"-A FORWARD -s {target} -d {source} -p {protocol}{back}{answers} -j ACCEPT"


def _make(namespace):
    """A namespace in which IPv6 is off and loopback works."""
    run(["ip", "netns", "add", namespace])
    off = "for each in all default; do echo 1 > /proc/sys/net/ipv6/conf/$each/disable_ipv6; done"
    # Where the kernel has no IPv6, there is nothing to turn off.
    run(["ip", "netns", "exec", namespace, "sh", "-c", f"test ! -d /proc/sys/net/ipv6 || {off}"])
    run(["ip", "-n", namespace, "link", "set", "lo", "up"])
