"""Everything that crossed the links of a deployment: connections, calls, messages, and records of them."""

import dataclasses

import control
import headers
import http2
import links
import packet
import pcap
import streams
from violation import Violation, demand


@dataclasses.dataclass
class Wire:
    """What was found."""

    links: dict = dataclasses.field(default_factory=dict)
    control: dict = dataclasses.field(default_factory=dict)
    violations: list = dataclasses.field(default_factory=list)
    # The bytes of each direction of a call, without what HTTP/2 puts between them, each with where it was.
    bodies: list = dataclasses.field(default_factory=list)


def connections(deployment, violations):
    """The connections of all captures. Every connection crossed two links, and both captures hold the same bytes."""
    seen = {}
    for host in deployment.hosts:
        for connection in streams.connections(segments(host, violations)):
            if deployment.plane(connection) is None:
                ends = f"{deployment.name(connection.client)} opens a connection to {streams.end(connection.server)}"
                violations.append(f"{ends}, which nobody may")
                continue
            key = (connection.client, connection.server, connection.sent.start)
            seen.setdefault(key, []).append(connection)
    for found in seen.values():
        if len(found) != 2 or found[0].whole() != found[1].whole():
            violations.append(f"the captures of both ends of {found[0]} do not hold the same bytes")
    return [found[0] for found in seen.values()]


def segments(host, violations):
    """The segments on a host's link; whatever else is there is a violation."""
    for frame in pcap.frames(host.capture):
        try:
            yield packet.segment(frame)
        except Violation as violation:
            violations.append(f"the link of {host.name}: {violation}")


def read(deployment, found, schema, wire):
    """Add the messages of these connections to what was found."""
    for connection in found:
        try:
            plane = deployment.plane(connection)
            for call in http2.calls(connection):
                one(deployment, connection, call, plane, schema, wire)
        except Violation as violation:
            client, server = deployment.name(connection.client), deployment.name(connection.server)
            wire.violations.append(f"{client} and {server}: {violation}")


def one(deployment, connection, call, plane, schema, wire):
    """Add the messages of one call."""
    client, server = deployment.name(connection.client), deployment.name(connection.server)
    where = f"{connection}, {call.path}"
    demand(call.path.startswith(f"/neuropil.v1.{plane}/"), f"{where}: the port is for {plane} alone")
    failure = headers.failure(call.trailers, schema, where)
    types = schema.call(call.path)
    for (ends, name, body) in (((client, server), types[0], call.sent), ((server, client), types[1], call.received)):
        there = f"{where}, from {ends[0]}"
        wire.bodies.append((there, bytes(body)))
        found = ((schema.decode(name, data, there), data) for data in http2.messages(body, there))
        if plane == "Layer":
            links.read(wire.links, ends, name, ((part, len(data)) for part, data in found), there)
            continue
        for message, data in found:
            control.read(wire.control, ends, name, message, data, there)
    if plane == "Node" and failure is not None:
        control.read(wire.control, (server, client), "Failure", None, failure, where)
