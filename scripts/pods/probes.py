"""The probes of a container as the kubelet runs them: startup until it succeeds, then readiness and liveness."""

import health
from failure import demand

# The kubelet asks a program that is not ready as often as its probe says. Here it is asked more often, to lose no time.
_ASKED_EVERY = 0.2


class Probes:
    """What the probes have found so far."""

    def __init__(self, pod, ask, now):
        self._probes = {kind: pod.container[f"{kind}Probe"] for kind in ("startup", "readiness", "liveness")
                        if f"{kind}Probe" in pod.container}
        for kind, probe in self._probes.items():
            demand("grpc" in probe, f"the {kind} probe of pod {pod.name} is not by gRPC")
        self._ask, self._began = ask, now
        self._next = dict.fromkeys(("startup", "readiness", "liveness"), now)
        self._failures = 0
        self._has_started = "startup" not in self._probes
        self.is_ready = False

    def tick(self, now):
        """Ask what is due. Returns whether the program is alive, as far as the probes can tell."""
        if not self._has_started:
            self._has_started = self._is_due("startup", now, False) and self._ask(self._probes["startup"])
            return self._has_started or now - self._began < _deadline(self._probes["startup"])
        if "readiness" not in self._probes:
            self.is_ready = True
        elif self._is_due("readiness", now, self.is_ready):
            self.is_ready = self._ask(self._probes["readiness"])
        if "liveness" in self._probes and self._is_due("liveness", now, True):
            self._failures = 0 if self._ask(self._probes["liveness"]) else self._failures + 1
        return self._failures < self._probes.get("liveness", {}).get("failureThreshold", 3)

    def _is_due(self, kind, now, is_calm):
        if now < self._next[kind]:
            return False
        self._next[kind] = now + (self._probes[kind].get("periodSeconds", 10) if is_calm else _ASKED_EVERY)
        return True


def asker(namespace, address):
    """A function that asks a probe from the namespace of the router, as the kubelet does."""
    def ask(probe):
        asked = probe["grpc"]
        return health.is_serving(namespace, address, asked["port"], asked.get("service") or "",
                                 probe.get("timeoutSeconds", 1))
    return ask


def _deadline(probe):
    return probe.get("failureThreshold", 3) * probe.get("periodSeconds", 10)
