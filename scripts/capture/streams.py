"""TCP connections put together from segments: retransmitted, reordered, and without a gap."""

import packet
from violation import demand


class Stream:
    """The bytes of one direction of a connection."""

    def __init__(self):
        self.start = None  # the sequence number of the first byte
        self.data = bytearray()
        self.early = {}  # what came before its turn: position in the stream → bytes
        self.end = None  # the position of the FIN

    def add(self, segment, where):
        if segment.flags & packet.SYN:
            self.start = (segment.sequence + 1) % 2**32
            return
        if self.start is None:
            demand(not segment.payload, f"a connection {where} was open before the capture began")
            return
        at = self.position(segment.sequence)
        if segment.payload:
            self.put(at, segment.payload, where)
        if segment.flags & packet.FIN:
            self.end = at + len(segment.payload)

    def position(self, sequence):
        """The place in the stream of a sequence number: the nearest one to what is there already."""
        distance = (sequence - self.start - len(self.data)) % 2**32
        return len(self.data) + (distance if distance < 2**31 else distance - 2**32)

    def put(self, at, payload, where):
        # A keepalive of TCP repeats the byte before the first one.
        if at < 0:
            payload, at = payload[-at:], 0
        if at > len(self.data):
            held = self.early.get(at, b"")
            if len(payload) > len(held):
                self.early[at] = bytes(payload)
            return
        again = min(len(self.data) - at, len(payload))
        demand(self.data[at:at + again] == payload[:again], f"bytes {where} were sent again as others, at byte {at}")
        self.data += payload[again:]
        for place in sorted(self.early):
            if place > len(self.data):
                break
            self.put(place, self.early.pop(place), where)

    def whole(self, where):
        demand(not self.early, lambda: f"the capture lacks bytes {where}, from byte {len(self.data)} on")
        demand(self.end in (None, len(self.data)), lambda: f"the capture lacks the last bytes {where}")
        return bytes(self.data)


class Connection:
    """A connection; the client opened it."""

    def __init__(self, client, server):
        self.client, self.server = client, server
        self.sent, self.received = Stream(), Stream()  # by the client

    def __str__(self):
        return f"{end(self.client)} to {end(self.server)}"

    def whole(self):
        """Both directions' bytes, from the client and from the server."""
        client, server = end(self.client), end(self.server)
        return (self.sent.whole(f"from {client} to {server}"), self.received.whole(f"from {server} to {client}"))


def end(at):
    return f"{at[0]}:{at[1]}"


def connections(segments):
    """The connections of segments that were captured on one link, in the order in which they were opened."""
    all_of_them, open_now = [], {}
    for segment in segments:
        ends = (segment.source, segment.target)
        if segment.flags & packet.SYN and not segment.flags & packet.ACK:
            opened = open_now.get(ends)
            # A SYN that is sent again opens nothing new.
            if opened is None or opened.sent.start != (segment.sequence + 1) % 2**32:
                opened = open_now[ends] = Connection(*ends)
                all_of_them.append(opened)
            opened.sent.add(segment, f"from {end(ends[0])} to {end(ends[1])}")
            continue
        connection = open_now.get(ends) or open_now.get(ends[::-1])
        where = f"from {end(ends[0])} to {end(ends[1])}"
        demand(connection is not None, f"a segment {where} belongs to no connection")
        (connection.sent if connection.client == ends[0] else connection.received).add(segment, where)
    return all_of_them
