"""The cluster's DNS: a pod of kube-system that answers for Services, so that the policies on DNS are tried as well.

A Service without an address of its own (`clusterIP: None`) has those of its pods, which come and go; a pod that is not
ready counts where the Service says `publishNotReadyAddresses`.
"""

import socketserver
import struct
import threading

from namespace import inside

DOMAIN = "cluster.local"
PORT = 53
_A, _INTERNET = 1, 1
_NO_SUCH_NAME = 3
_SECONDS = 5


class Names:
    """The servers, by UDP and TCP, in the namespace of their pod."""

    def __init__(self, attachment):
        self.zone = {}
        with inside(attachment.namespace):
            self._servers = [_Datagrams((attachment.address, PORT), _Datagram),
                             _Streams((attachment.address, PORT), _Stream)]
        for server in self._servers:
            server.names = self
            threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()

    def publish(self, zone):
        """Answer by this table from now on: addresses by full name."""
        self.zone = zone

    def stop(self):
        """Close both ports."""
        for server in self._servers:
            server.shutdown()
            server.server_close()


def answer(table, query):
    """The answer to a query of one question."""
    number, flags = struct.unpack_from("!HH", query)
    name, end = _name(query)
    kind, = struct.unpack_from("!H", query, end)
    addresses = table.get(name, [])
    found = addresses if kind == _A else []
    # An answer, of authority, to a client that may ask for recursion.
    flags = 0x8400 | (flags & 0x0100) | (0 if addresses else _NO_SUCH_NAME)
    header = struct.pack("!6H", number, flags, 1, len(found), 0, 0)
    # 0xc00c points at the question's name.
    record = struct.pack("!HHHIH", 0xC00C, _A, _INTERNET, _SECONDS, 4)
    return header + query[12:end + 4] + b"".join(record + bytes(map(int, each.split("."))) for each in found)


def zone(services, namespace, pods):
    """The table of a namespace's headless Services. `pods`: labels, hostname, address and readiness of each."""
    table = {}
    for service in services:
        spec, name = service["spec"], service["metadata"]["name"]
        full = f"{name}.{namespace}.svc.{DOMAIN}"
        for labels, hostname, address, is_ready in pods:
            selected = all(labels.get(key) == value for key, value in spec.get("selector", {}).items())
            if selected and (is_ready or spec.get("publishNotReadyAddresses")):
                table.setdefault(full, []).append(address)
                table.setdefault(f"{hostname}.{full}", []).append(address)
    return table


def resolver(namespace, address):
    """The resolv.conf of a pod."""
    return (f"search {namespace}.svc.{DOMAIN} svc.{DOMAIN} {DOMAIN}\nnameserver {address}\n"
            "options ndots:5 timeout:1 attempts:2\n")


def _name(query):
    """The name of the first question, and where it ends."""
    labels, at = [], 12
    while query[at]:
        labels.append(query[at + 1:at + 1 + query[at]].decode("ascii").lower())
        at += 1 + query[at]
    return ".".join(labels), at + 1


class _Datagrams(socketserver.ThreadingUDPServer):
    daemon_threads = True


class _Streams(socketserver.ThreadingTCPServer):
    daemon_threads = True


class _Datagram(socketserver.BaseRequestHandler):
    def handle(self):
        query, socket = self.request
        socket.sendto(answer(self.server.names.zone, query), self.client_address)


class _Stream(socketserver.StreamRequestHandler):
    def handle(self):
        while len(size := self.rfile.read(2)) == 2:
            found = answer(self.server.names.zone, self.rfile.read(int.from_bytes(size)))
            self.wfile.write(len(found).to_bytes(2) + found)
