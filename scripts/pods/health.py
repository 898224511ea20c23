"""Clients of the two plaintext ports: `grpc.health.v1`, as the kubelet asks it, and metrics, as Prometheus does.

The gRPC client is as small as one call allows: its request is written in whole, and of the answer only the message is
read, whose place a frame of HTTP/2 names.
"""

import http.client
import socket

from namespace import inside

_DATA, _HEADERS, _SETTINGS = 0, 1, 4
_END_STREAM, _END_HEADERS = 1, 4
_SERVING = b"\x08\x01"


def is_serving(namespace, address, port, service="", timeout=1):
    """Whether the gRPC health service at this address says that it serves, asked from a network namespace."""
    try:
        with inside(namespace), socket.create_connection((address, port), timeout) as connection:
            connection.settimeout(timeout)
            connection.sendall(_call(f"{address}:{port}", service))
            with connection.makefile("rb") as stream:
                return answer(stream) == _SERVING
    except OSError:
        return False


def metrics(namespace, address, port, timeout=2):
    """The numbers that a scrape from this network namespace finds, by name, or `None` where it is refused."""
    try:
        with inside(namespace):
            connection = http.client.HTTPConnection(address, port, timeout=timeout)
            connection.request("GET", "/metrics")
            lines = connection.getresponse().read().decode().splitlines()
            connection.close()
    except OSError:
        return None
    return dict(line.rsplit(" ", 1) for line in lines if line and not line.startswith("#"))


def _call(authority, service):
    """Everything that a client sends for one call of Check."""
    headers = {":method": "POST", ":scheme": "http", ":path": "/grpc.health.v1.Health/Check", ":authority": authority,
               "content-type": "application/grpc", "te": "trailers"}
    # A header by its literal name and value, which enters no table.
    block = b"".join(b"\0" + _text(name) + _text(value) for name, value in headers.items())
    request = b"\x0a" + _text(service) if service else b""
    message = b"\0" + len(request).to_bytes(4) + request
    return (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + frame(_SETTINGS, 0, 0, b"") +
            frame(_HEADERS, _END_HEADERS, 1, block) + frame(_DATA, _END_STREAM, 1, message))


def _text(text):
    assert len(text) < 127, "a longer text has a longer length"
    return bytes([len(text)]) + text.encode()


def frame(kind, flags, stream, payload):
    """A frame of HTTP/2."""
    return len(payload).to_bytes(3) + bytes([kind, flags]) + stream.to_bytes(4) + payload


def answer(stream):
    """The message of the answer; empty where there is none."""
    message = b""
    while len(head := stream.read(9)) == 9:
        payload, kind, flags = stream.read(int.from_bytes(head[:3])), head[3], head[4]
        if kind == _DATA:
            message += payload
        if kind in (_DATA, _HEADERS) and flags & _END_STREAM:
            break
    return message[5:]
