"""What a Job's controller does when its pod has ended: pure, so that every exit code can be asked about."""

import dataclasses

DISRUPTED = "DisruptionTarget"


@dataclasses.dataclass(frozen=True)
class Verdict:
    """What follows: `Complete`, `Failed`, or `Again`; and whether the pod counts towards the backoff limit."""

    outcome: str
    counts: bool
    reason: str


def verdict(name, spec, container, code, is_disrupted, failures):
    """Decide what the end of a pod of the Job means: the exit code of its one container, whether the pod was evicted,
    and how many pods failed before."""
    if code == 0:
        return Verdict("Complete", False, "it ended with 0")
    for number, rule in enumerate(spec.get("podFailurePolicy", {}).get("rules", [])):
        why = f"rule {number + 1} of its podFailurePolicy"
        if not _applies(rule, container, code, is_disrupted):
            continue
        if rule["action"] == "FailJob":
            return Verdict("Failed", True, f"{why} ends the Job {name} on exit code {code}")
        if rule["action"] == "Ignore":
            return Verdict("Again", False, f"{why} ignores it")
        break
    if failures >= spec.get("backoffLimit", 6):
        return Verdict("Failed", True, f"the Job {name} is past its backoff limit")
    return Verdict("Again", True, "it counts towards the backoff limit")


def _applies(rule, container, code, is_disrupted):
    if "onPodConditions" in rule:
        patterns = rule["onPodConditions"]
        return is_disrupted and any(pattern["type"] == DISRUPTED and pattern.get("status", "True") == "True"
                                    for pattern in patterns)
    codes = rule["onExitCodes"]
    if codes.get("containerName", container) != container:
        return False
    return (code in codes["values"]) == (codes["operator"] == "In")
