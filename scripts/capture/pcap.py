"""Files of tcpdump: the frames of one link, whole."""

import struct

from violation import Violation, demand

ETHERNET = 1
# The two resolutions of time stamps, by the file's first word.
MAGICS = {0xA1B2C3D4, 0xA1B23C4D}


def frames(path):
    """Yield the bytes of every frame in a file, and refuse a file with a frame that was cut."""
    data = memoryview(path.read_bytes())
    demand(len(data) >= 24, f"{path} is no capture: it ends within its header")
    magic, _, _, _, _, _, link = struct.unpack("<IHHiIII", data[:24])
    demand(magic in MAGICS, f"{path} is no capture of this machine's byte order")
    demand(link == ETHERNET, f"{path} holds frames of link type {link}, where Ethernet's are read")
    at = 24
    while at < len(data):
        if at + 16 > len(data):
            raise Violation(f"{path} ends within the header of a frame")
        _, _, held, length = struct.unpack("<IIII", data[at:at + 16])
        demand(held == length and at + 16 + held <= len(data), f"{path} holds only a part of a frame, at byte {at}")
        yield data[at + 16:at + 16 + held]
        at += 16 + held
