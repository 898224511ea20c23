"""Explain every packet of a run's captures, and compare what crossed with what the run's ledger says.

    PYTHONPATH=target/capture-packages python3 scripts/capture HOSTS.json

`cargo xtask hosts` writes HOSTS.json. Nothing of the programs is used here: packets, TCP, HTTP/2, HPACK and protobuf
are read by other people's code or by this folder's. The exit code is 5 where anything is not explained.
"""

import argparse
import itertools
import json
import pathlib
import sys
import time

sys.dont_write_bytecode = True
import compare
import decode
import state
import table
import tls
import windows
from deployment import Deployment
from schema import Schema
from violation import Violation, demand

SCHEMA = pathlib.Path(__file__).resolve().parents[2] / "proto/schema"
VIOLATION = 5
# The most violations that are printed.
SHOWN = 40


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("hosts", type=pathlib.Path, help="the hosts of the run, in JSON")
    deployment = Deployment(parser.parse_args().hosts)
    violations = []
    try:
        demand(deployment.ledger.exists(), "the run has no ledger to compare with")
        ledger = json.loads(deployment.ledger.read_text())
        found = decode.connections(deployment, violations)
        violations += state.misplaced(deployment)
        held = encrypted if deployment.is_encrypted else readable
        bodies = held(deployment, found, ledger, violations)
        search(deployment, found, bodies, violations)
    except Violation as violation:
        violations.append(str(violation))
    for violation in violations[:SHOWN]:
        print(f"violation: {violation}")
    if len(violations) > SHOWN:
        print(f"and {len(violations) - SHOWN} violations more")
    sys.exit(VIOLATION if violations else 0)


def readable(deployment, connections, ledger, violations):
    """Explain every message, and return the bytes of all calls."""
    wire = decode.Wire(violations=violations)
    decode.read(deployment, connections, Schema(SCHEMA), wire)
    print(table.of(wire))
    differences = list(compare.differences(wire, ledger))
    violations += differences
    if not differences:
        print(f"{len(wire.links)} records of links and {len(wire.control)} of control planes are the ledger's: "
              "every count, size and hash")
    return wire.bodies


def encrypted(deployment, connections, ledger, violations):
    """Compare the sizes, which is all that can be seen."""
    total = tls.sizes(deployment, connections)
    differences = list(tls.differences(total, ledger))
    violations += differences
    if not differences:
        print(f"{len(total)} directions of {len(connections)} connections are TLS from their first byte to their last, "
              f"and as large as the ledger says: {sum(total.values()):,} bytes")
    return []


def search(deployment, connections, bodies, violations):
    """Look for the nodes' weights in everything that was captured: packets, streams and messages."""
    start, size = time.monotonic(), 0
    sought = windows.Windows([tensor for host in deployment.nodes for tensor in state.tensors(host)])
    for where, data in itertools.chain(captured(deployment, connections), bodies):
        size += len(data)
        for name, at in sought.search(data).items():
            violations.append(f"{where}: 64 bytes at {at} are those of {name}")
    seconds = time.monotonic() - start
    print(f"the windows of {sought.bytes() / 1e6:.0f} MB of tensors (W, B and momentum, as drawn, at start, middle and "
          f"end, as f32, bf16 and f16) were sought in {size / 1e6:.0f} MB, in {seconds:.0f} s")


def captured(deployment, connections):
    """The bytes of every capture, and those of every stream, each with where they were."""
    for host in deployment.hosts:
        yield f"the capture of {host.name}'s link", host.capture.read_bytes()
    for connection in connections:
        yield from zip((f"{connection}, from the client", f"{connection}, from the server"), connection.whole())


main()
