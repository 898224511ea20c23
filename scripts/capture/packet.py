"""One frame as a segment of TCP. Nothing else may cross a link: no other protocol, no fragments, no spare bytes."""

import dataclasses
import ipaddress
import struct

from violation import demand

IPV4 = 0x0800
# The headers of Ethernet, IPv4 and TCP.
SHORTEST = 14 + 20 + 20
TCP = 6
FIN, SYN, RST, PUSH, ACK, URGENT, ECE, CWR = (1 << bit for bit in range(8))
# The kinds of a TCP option and their lengths: maximum segment, window scale, SACK permitted, SACK blocks, time stamps.
OPTION_LENGTHS = {2: {4}, 3: {3}, 4: {2}, 5: {10, 18, 26, 34}, 8: {10}}


@dataclasses.dataclass(frozen=True)
class Segment:
    """A segment of TCP. An end is an address and a port."""

    source: tuple
    target: tuple
    sequence: int
    flags: int
    payload: memoryview


def segment(frame):
    """The segment in a frame. Raises a violation for a frame that holds anything else."""
    demand(len(frame) >= SHORTEST, f"a frame of {len(frame)} bytes is no packet of TCP")
    (kind,) = struct.unpack("!H", frame[12:14])
    demand(kind == IPV4, lambda: f"a frame of Ethernet type 0x{kind:04x}, {len(frame)} bytes, is no IPv4")
    head, _, length, _, fragment, _, protocol, _, source, target = struct.unpack("!BBHHHBBH4s4s", frame[14:34])
    source, target = (str(ipaddress.IPv4Address(address)) for address in (source, target))
    where = f"from {source} to {target}"
    demand(protocol == TCP, lambda: f"a packet of IP protocol {protocol}, {length} bytes, {where}, is no TCP")
    demand(head == 0x45, f"a packet {where} has IP options")
    demand(fragment & 0xBFFF == 0, f"a packet {where} is a fragment")
    demand(len(frame) == 14 + length, f"a frame {where} has bytes after its packet")
    return tcp(frame[34:], source, target)


def tcp(data, source, target):
    here, there, sequence, _, offset, flags, _, _, urgent = struct.unpack("!HHIIBBHHH", data[:20])
    where = f"from {source}:{here} to {target}:{there}"
    length = (offset >> 4) * 4
    demand(20 <= length <= len(data) and offset & 0x0F == 0, f"a segment {where} has a header that is none of TCP's")
    demand(not flags & URGENT and urgent == 0, f"a segment {where} has urgent data")
    options(data[20:length], where)
    payload = data[length:]
    demand(not (payload and flags & (SYN | RST)), f"a segment {where} that opens or resets a connection has a payload")
    return Segment((source, here), (target, there), sequence, flags, payload)


def options(data, where):
    at = 0
    while at < len(data):
        if data[at] in (0, 1):  # the end, and padding
            at += 1
            continue
        known = at + 1 < len(data) and data[at + 1] in OPTION_LENGTHS.get(data[at], ())
        demand(known, lambda: f"a segment {where} has the TCP option {data[at]}, which is none that Linux sends")
        at += data[at + 1]
