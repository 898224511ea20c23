#!/usr/bin/env python3
"""A client of TLS that is none of Neuropil's programs: tls_client.py HOST:PORT CA [CERTIFICATE KEY].

It shows the certificate that it is given, or none, to a port that may refuse it, and says how the port ends the
connection. The programs themselves refuse to start with a certificate that is not theirs.
"""

import socket
import ssl
import sys

SECONDS = 10


def main():
    address, authority, *own = sys.argv[1:]
    host, port = address.rsplit(":", 1)
    context = ssl.create_default_context(cafile=authority)
    context.check_hostname = False  # identities are URIs
    context.set_alpn_protocols(["h2"])
    if own:
        context.load_cert_chain(*own)
    try:
        with socket.create_connection((host, int(port)), SECONDS) as plain, context.wrap_socket(plain) as secured:
            # In TLS 1.3, a server refuses a client's certificate after the client's handshake has ended.
            secured.recv(1)
            secured.sendall(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes([0, 0, 0, 4, 0, 0, 0, 0, 0]))
            secured.recv(1)
    except OSError as error:
        sys.exit(f"refused: {error}")


main()
