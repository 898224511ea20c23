"""What the NetworkPolicies of an overlay let through: a pure answer for two pods, without a firewall.

A connection is let through where egress of its source and ingress of its target both let it. A direction that no policy
of a pod's namespace selects the pod for is open.
"""

import dataclasses

from failure import demand

NAMESPACE_NAME = "kubernetes.io/metadata.name"


@dataclasses.dataclass(frozen=True, eq=False)
class End:
    """A pod as policies see it."""

    name: str
    namespace: str
    labels: dict
    # Name to number.
    ports: dict

    @property
    def namespace_labels(self):
        """The labels of the namespace: Kubernetes gives every namespace its name."""
        return {NAMESPACE_NAME: self.namespace}


@dataclasses.dataclass(frozen=True)
class Opening:
    """A protocol and a port; `None` stands for all."""

    protocol: str | None
    port: int | None

    def meet(self, other):
        """What both let through, or `None`."""
        protocols = {each.protocol for each in (self, other)} - {None}
        ports = {each.port for each in (self, other)} - {None}
        if len(protocols) > 1 or len(ports) > 1:
            return None
        return Opening(min(protocols, default=None), min(ports, default=None))


EVERYTHING = Opening(None, None)


def openings(policies, namespace, source, target):
    """The protocols and ports at which `target` may be reached by `source`. The policies are those of `namespace`."""
    out = _direction(policies, namespace, "Egress", source, target)
    into = _direction(policies, namespace, "Ingress", target, source)
    met = {one.meet(other) for one in out for other in into} - {None}
    return sorted(met, key=lambda opening: (opening.protocol or "", opening.port or 0))


def permits(policies, namespace, source, target, port, protocol="TCP"):
    """Whether `source` may reach this port of `target`."""
    asked = Opening(protocol, port)
    return any(opening.meet(asked) for opening in openings(policies, namespace, source, target))


def _direction(policies, namespace, kind, subject, other):
    """What the policies of `subject` let through in one direction, from or to `other`."""
    own = [policy["spec"] for policy in policies if subject.namespace == namespace and _selects(policy, kind, subject)]
    if not own:
        return {EVERYTHING}
    rules, peers = ("egress", "to") if kind == "Egress" else ("ingress", "from")
    target = other if kind == "Egress" else subject
    found = set()
    for rule in (rule for spec in own for rule in spec.get(rules) or []):
        if not rule.get(peers) or any(_is_peer(peer, namespace, other) for peer in rule[peers]):
            found |= _ports(rule.get("ports"), target)
    return found


def _selects(policy, kind, subject):
    spec = policy["spec"]
    kinds = spec.get("policyTypes") or ["Ingress", *(["Egress"] if "egress" in spec else [])]
    return kind in kinds and matches(spec["podSelector"], subject.labels)


def _is_peer(peer, namespace, other):
    unknown = set(peer) - {"podSelector", "namespaceSelector"}
    demand(not unknown, f"a policy has a peer by {', '.join(sorted(unknown))}, which these pods cannot try")
    selector = peer.get("namespaceSelector")
    in_namespace = other.namespace == namespace if selector is None else matches(selector, other.namespace_labels)
    return in_namespace and matches(peer.get("podSelector") or {}, other.labels)


def _ports(ports, target):
    """The openings of a rule; a port by a name that the target does not have opens nothing."""
    if not ports:
        return {EVERYTHING}
    demand(not any("endPort" in port for port in ports), "a policy has a range of ports, which these pods cannot try")
    named = ((port.get("protocol", "TCP"), port.get("port")) for port in ports)
    numbered = ((protocol, target.ports.get(port) if isinstance(port, str) else port, port) for protocol, port in named)
    return {Opening(protocol, number) for protocol, number, port in numbered if number is not None or port is None}


def matches(selector, labels):
    """Whether a label selector, which may be empty, selects these labels."""
    equal = all(labels.get(key) == value for key, value in (selector.get("matchLabels") or {}).items())
    return equal and all(_holds(expression, labels) for expression in selector.get("matchExpressions") or [])


def _holds(expression, labels):
    key, operator, values = expression["key"], expression["operator"], expression.get("values", [])
    answers = {"In": labels.get(key) in values, "NotIn": labels.get(key) not in values, "Exists": key in labels,
               "DoesNotExist": key not in labels}
    return answers[operator]
