"""Delays every packet of a TUN device, in user space: for a kernel without netem.

A router sends the packets of its hosts to the device; this program holds each packet for the delay, and writes it back
unchanged, so that the router forwards it to its host. Addresses, order and TCP stay as they are, and TCP sees the delay
as one of the wire. Segments that the kernel has not cut yet (TSO) pass uncut, so that one read carries up to 64 KiB: the
program then passes some Gbit/s.

    wire_delay.py DEVICE MILLISECONDS     prints `ready` when the device is there, and runs until it is killed
"""

import collections
import fcntl
import os
import select
import struct
import sys
import time

TUNSETIFF, TUNSETOFFLOAD, TUNSETVNETHDRSZ = 0x400454CA, 0x400454D0, 0x400454D8
IFF_TUN, IFF_NO_PI, IFF_VNET_HDR = 0x0001, 0x1000, 0x4000
# Packets may come with an unfinished checksum and as an uncut TCP segment of IPv4 or IPv6.
OFFLOADS = 0x01 | 0x02 | 0x04
LARGEST = 10 + 65536
# What is held at most: 2 Gbit/s over 100 ms. A packet more is dropped, as a full queue drops it.
BYTES_HELD = 25_000_000
# Reads between two looks at the clock.
BURST = 16


def opened(name):
    device = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
    fcntl.ioctl(device, TUNSETIFF, struct.pack("16sH22x", name.encode(), IFF_TUN | IFF_NO_PI | IFF_VNET_HDR))
    fcntl.ioctl(device, TUNSETVNETHDRSZ, struct.pack("i", 10))
    fcntl.ioctl(device, TUNSETOFFLOAD, OFFLOADS)
    return device


def forward(device, delay):
    held, size = collections.deque(), 0
    while True:
        wait = None if not held else max(0.0, held[0][0] - time.monotonic())
        readable, _, _ = select.select([device], [], [], wait)
        if readable:
            due = time.monotonic() + delay
            for _ in range(BURST):
                try:
                    packet = os.read(device, LARGEST)
                except BlockingIOError:
                    break
                if size + len(packet) <= BYTES_HELD:
                    held.append((due, packet))
                    size += len(packet)
        now = time.monotonic()
        while held and held[0][0] <= now:
            packet = held.popleft()[1]
            size -= len(packet)
            try:
                os.write(device, packet)
            except OSError:
                pass  # a full queue, or a packet that the kernel does not take: lost, as on a wire


def main():
    name, milliseconds = sys.argv[1], float(sys.argv[2])
    device = opened(name)
    try:
        # A late wake-up would be a longer delay.
        os.sched_setscheduler(0, os.SCHED_RR, os.sched_param(10))
    except OSError:
        pass
    print("ready", flush=True)
    forward(device, milliseconds / 1000)


if __name__ == "__main__":
    main()
