"""Connections under TLS: nothing can be read, and the sizes agree with the ledger."""

import struct

from violation import demand

# Types of a record: change of cipher, alert, handshake, data.
RECORDS = {20, 21, 22, 23}
VERSIONS = {0x0301, 0x0303}
# A record's bytes at most, with those of its encryption.
LONGEST = (1 << 14) + 256
# What TLS, HTTP/2 and gRPC may add to the ledger's bytes: a part of them, and some for each message.
SHARE = 0.05
EACH = 1 << 10


def check(data, where):
    """Refuse a stream that is not records of TLS from its first byte to its last."""
    at = 0
    while at < len(data):
        demand(at + 5 <= len(data), f"{where}: {len(data) - at} bytes at the end are no record of TLS")
        kind, version, length = struct.unpack_from("!BHH", data, at)
        known = kind in RECORDS and version in VERSIONS and 0 < length <= LONGEST
        demand(known and at + 5 + length <= len(data), f"{where}: no record of TLS begins at byte {at}")
        at += 5 + length


def sizes(deployment, connections):
    """The bytes of TCP from one host to another on each plane."""
    total = {}
    for connection in connections:
        plane = deployment.plane(connection)
        client, server = deployment.name(connection.client), deployment.name(connection.server)
        for ends, data in zip(((client, server), (server, client)), connection.whole()):
            check(data, f"{connection}, from {ends[0]}")
            total[(*ends, plane)] = total.get((*ends, plane), 0) + len(data)
    return total


def differences(total, ledger):
    """A sentence for each direction of a link or control plane whose size does not agree with the ledger."""
    expected = {}
    for plane, records in (("Layer", ledger["links"]), ("Node", ledger["control"])):
        for record in records:
            ends = (record["from"], record["to"], plane)
            size, messages = expected.get(ends, (0, 0))
            expected[ends] = (size + record["bytes"], messages + record["messages"])
    for ends in sorted(expected.keys() | total.keys()):
        size, messages = expected.get(ends, (0, 0))
        room, found = SHARE * size + EACH * messages, total.get(ends, 0)
        if abs(found - size) > room:
            what = {"Layer": "the link", "Node": "the control plane"}[ends[2]]
            yield (f"{what} from {ends[0]} to {ends[1]}: {found} bytes of TCP, where the ledger has {size} bytes in "
                   f"{messages} messages, and {room:.0f} may differ")
