"""The tensors of a node: as drawn, and in its snapshots at the start, in the middle and at the end of a training."""

import dataclasses
import json

import numpy as np
from violation import demand


# The part of a name by which a tensor is B, or its optimizer's.
B = ".weight_backward"


@dataclasses.dataclass
class Tensor:
    """A tensor of a snapshot, named for sentences, as f32."""

    name: str
    values: np.ndarray


def tensors(host):
    """The tensors of a host's node as they were drawn, and of its first, middle and last snapshot."""
    (drawn,) = host.drawn.glob("step-*/stage.safetensors")
    for name, values in read(drawn):
        yield from orders(f"'{name}' of {host.name} as it was drawn", values)
    snapshots = sorted(host.state.glob("step-*/stage.safetensors"))
    demand(len(snapshots) >= 3, f"{host.name} keeps {len(snapshots)} snapshots, where start, middle and end are needed")
    for snapshot in (snapshots[0], snapshots[len(snapshots) // 2], snapshots[-1]):
        for name, values in read(snapshot):
            yield from orders(f"'{name}' of {host.name} in {snapshot.parent.name}", values)


def orders(name, values):
    """A tensor in row-major order, as snapshots have it, and a filter also in the order of a node's memory: out, height,
    width, in."""
    yield Tensor(name, values.ravel())
    if values.ndim == 4:
        yield Tensor(f"{name}, channels last,", values.transpose(0, 2, 3, 1).ravel())


def misplaced(deployment):
    """A sentence for each tensor that is on the wrong host, where all layers are split: B beside W, or anything else
    beside B."""
    for stage, backward in zip(deployment.stages, deployment.backward):
        for host, may in ((stage, lambda name: B not in name), (backward, lambda name: B in name)):
            names = {name for path in host.state.glob("step-*/stage.safetensors") for name, _ in read(path)}
            demand(names, f"{host.name} keeps no tensor")
            yield from (f"{host.name} keeps '{name}'" for name in sorted(names) if not may(name))


def read(path):
    """The f32 tensors of a file of safetensors, in their shapes: a length, a JSON header, and bytes."""
    data = path.read_bytes()
    length = int.from_bytes(data[:8], "little")
    header = json.loads(data[8:8 + length])
    header.pop("__metadata__", None)
    for name, tensor in header.items():
        demand(tensor["dtype"] == "F32", f"{path}: '{name}' is {tensor['dtype']}, where nodes keep F32")
        first, end = (8 + length + offset for offset in tensor["data_offsets"])
        yield name, np.frombuffer(data[first:end], "<f4").reshape(tensor["shape"])
