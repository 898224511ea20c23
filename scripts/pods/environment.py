"""The command line and the environment of a container, as its manifest says them."""

import re

from failure import Failure


def environment(pod, image, objects, status):
    """The variables of a pod's container: the image's, then the manifest's. `status` is what the downward API knows
    of the pod that the manifest does not."""
    variables = dict(image)
    for source in pod.container.get("envFrom", []):
        raise Failure(f"pod {pod.name} has envFrom ({', '.join(source)}), which these pods cannot try")
    for entry in pod.container.get("env", []):
        value = _value(pod, entry["valueFrom"], objects, status) if "valueFrom" in entry else entry.get("value", "")
        if value is not None:
            variables[entry["name"]] = _expanded(value, variables)
    return variables


def command(pod, variables):
    """The words of the command line."""
    container = pod.container
    if "command" not in container:
        raise Failure(f"pod {pod.name} leaves its command to the image: its manifest should name the program")
    return [_expanded(word, variables) for word in container["command"] + container.get("args", [])]


def _value(pod, source, objects, status):
    (kind, at), = source.items()
    if kind == "fieldRef":
        return _field(pod, at["fieldPath"], status)
    if kind in ("configMapKeyRef", "secretKeyRef"):
        document = objects.get("ConfigMap" if kind == "configMapKeyRef" else "Secret", at["name"], f"pod {pod.name}")
        return document.get("data", {}).get(at["key"])
    raise Failure(f"pod {pod.name} has a variable of {kind}, which these pods cannot try")


def _field(pod, path, status):
    known = {"metadata.name": pod.name, **status}
    if path in known:
        return known[path]
    found = re.fullmatch(r"metadata\.(labels|annotations)\['(.+)'\]", path)
    if not found:
        raise Failure(f"pod {pod.name} has a variable of the field {path}, which these pods cannot try")
    # A label or an annotation that is not there is an empty variable.
    return getattr(pod, found[1]).get(found[2], "")


def _expanded(text, variables):
    """The text with `$(NAME)` replaced by variables that came before; others stay, and `$$` is a `$`."""
    def replaced(found):
        if found[0].startswith("$$"):
            return found[0][1:]
        return variables.get(found[1], found[0])
    return re.sub(r"\$\$\([^)]*\)|\$\(([^)]+)\)", replaced, text)
