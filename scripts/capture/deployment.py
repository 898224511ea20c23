"""The hosts of a run: who may speak to whom, and where the captures lie."""

import dataclasses
import json
import pathlib


@dataclasses.dataclass
class Host:
    name: str
    address: str
    capture: pathlib.Path
    state: pathlib.Path = None  # of the node after its training
    drawn: pathlib.Path = None  # of a node that has the same weights and has not moved them


class Deployment:
    """The hosts in a file that `cargo xtask hosts` writes."""

    def __init__(self, path):
        described = json.loads(path.read_text())
        coordinator, stages, backward = (described[name] for name in ("coordinator", "stages", "backward"))
        self.coordinator = Host("coordinator", coordinator["address"], pathlib.Path(coordinator["capture"]))
        self.stages = [node(f"stage {number}", stage) for number, stage in enumerate(stages)]
        # Where stages are split, a host beside that of each stage has the B of its layers.
        self.backward = [node(f"stage {number}, backward", half) for number, half in enumerate(backward)]
        self.nodes = [*self.stages, *self.backward]
        self.hosts = [self.coordinator, *self.nodes]
        self.is_encrypted = described["encrypted"]
        self.ledger = pathlib.Path(described["ledger"])
        self.names = {host.address: host.name for host in self.hosts}
        self.allowed = dict(self.connections(stages, backward))

    def connections(self, stages, backward):
        """Every connection that may be opened, as (client's address, server's end), and the plane that it is of."""
        coordinator, last = self.coordinator.address, len(stages) - 1
        for number, stage in enumerate(stages):
            yield (coordinator, (stage["address"], stage["control"])), "Node"
            if number in (0, last):
                yield (coordinator, (stage["address"], stage["data"])), "Layer"
            if number > 0:
                yield (stages[number - 1]["address"], (stage["address"], stage["data"])), "Layer"
        for stage, half in zip(stages, backward):
            yield (coordinator, (half["address"], half["control"])), "Node"
            yield (stage["address"], (half["address"], half["data"])), "Layer"

    def plane(self, connection):
        """The service that a connection may carry; None for a connection that nobody may open."""
        return self.allowed.get((connection.client[0], connection.server))

    def name(self, end):
        return self.names.get(end[0], end[0])


def node(name, described):
    paths = (pathlib.Path(described[key]) for key in ("capture", "state", "drawn"))
    return Host(name, described["address"], *paths)
