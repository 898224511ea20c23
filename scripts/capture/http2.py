"""HTTP/2 connections as calls: every frame is one of a known type, with every byte of it explained."""

import collections
import dataclasses

import headers
import hpack
from hyperframe.exceptions import HyperframeError
from hyperframe.frame import (DataFrame, Frame, GoAwayFrame, HeadersFrame, PingFrame, RstStreamFrame, SettingsFrame,
                              WindowUpdateFrame)
from violation import Violation, demand

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
# The payloads of the keepalive's and the shutdown's pings: HTTP/2 lets a sender choose these eight bytes.
PINGS = {bytes.fromhex("3b7cdb7a0b8716b4"), bytes.fromhex("0b7ba2f08b9bfe54")}
# The settings that HTTP/2 defines.
SETTINGS = range(1, 7)
END_STREAM = 0x01
# The most bytes of a header block.
BLOCK = 16 << 10


@dataclasses.dataclass
class Call:
    """A call: what was asked, and the messages of both directions."""

    path: str = ""
    request: dict = dataclasses.field(default_factory=dict)
    response: dict = dataclasses.field(default_factory=dict)
    trailers: dict = dataclasses.field(default_factory=dict)
    sent: bytearray = dataclasses.field(default_factory=bytearray)
    received: bytearray = dataclasses.field(default_factory=bytearray)


class Direction:
    """One direction of a connection; `calls` holds what both directions say of a call."""

    def __init__(self, calls, from_client, where):
        self.calls, self.from_client, self.where = calls, from_client, where
        self.fields = hpack.Decoder(max_header_list_size=BLOCK)
        self.settings = 0
        # The bytes of data that were sent, and those that the other direction may send again, by stream; the whole
        # connection is stream 0. The first grant to the connection makes its window as large as its streams'.
        self.carried, self.granted, self.is_raised = collections.Counter(), collections.Counter(), False

    def read(self, data):
        """Explain all bytes of this direction."""
        at, data = 0, memoryview(data)
        while at < len(data):
            demand(at + 9 <= len(data), f"{self.where}: {len(data) - at} bytes are no frame of HTTP/2")
            at += self.frame(data[at:], at)

    def frame(self, data, at):
        """Explain the frame that the bytes begin with, and return its length."""
        where = f"{self.where}, byte {at}"
        try:
            frame, length = Frame.parse_frame_header(data[:9], strict=True)
            demand(9 + length <= len(data), f"{where}: the rest of a frame of {length} bytes is missing")
            frame.parse_body(data[9:9 + length])
        except HyperframeError as error:
            raise Violation(f"{where}: a frame that HTTP/2 does not have: {error!r}") from error
        raw = data[:9 + length]
        if isinstance(frame, DataFrame):
            demand(raw[4] & ~END_STREAM == 0, f"{where}: a frame of data is padded, or has an unknown flag")
            self.body(frame, raw[9:], where)
        else:
            # Bits that the type of a frame does not have, and padding, would be lost on the way to and fro.
            demand(frame.serialize() == raw, f"{where}: a {type(frame).__name__} has bits or bytes that mean nothing")
            self.control(frame, length, where)
        return 9 + length

    def control(self, frame, length, where):
        if isinstance(frame, HeadersFrame):
            demand(frame.flags <= {"END_HEADERS", "END_STREAM"}, f"{where}: headers are padded or have a priority")
            demand("END_HEADERS" in frame.flags, f"{where}: headers go on in another frame")
            self.headers(frame, where)
        elif isinstance(frame, WindowUpdateFrame):
            if frame.stream_id == 0 and not self.is_raised:
                self.is_raised = True
            else:
                self.granted[frame.stream_id] += frame.window_increment
        elif isinstance(frame, SettingsFrame):
            if "ACK" not in frame.flags:
                self.settings += 1
                demand(self.settings == 1, f"{where}: settings are sent a second time")
                demand(all(name in SETTINGS for name in frame.settings), f"{where}: a setting is none of HTTP/2's")
        elif isinstance(frame, PingFrame):
            demand(frame.opaque_data in PINGS, lambda: f"{where}: a ping carries {frame.opaque_data.hex()}")
        elif isinstance(frame, GoAwayFrame):
            demand(length == 8, f"{where}: the end of the connection carries {length - 8} bytes more than its reason")
        else:
            name = type(frame).__name__
            demand(isinstance(frame, RstStreamFrame), f"{where}: a {name}, which no program of this protocol sends")

    def headers(self, frame, where):
        try:
            fields = self.fields.decode(frame.data)
        except hpack.HPACKError as error:
            raise Violation(f"{where}: headers cannot be decoded: {error}") from error
        if self.from_client:
            demand(frame.stream_id not in self.calls, f"{where}: the headers of a call come twice")
            request = headers.check(fields, headers.REQUEST, where)
            self.calls[frame.stream_id] = Call(request.get(":path", ""), request)
            return
        call = self.call(frame, where)
        first, last = not call.response, "END_STREAM" in frame.flags
        demand(first or last, f"{where}: an answer begins twice")
        known = {**(headers.RESPONSE if first else {}), **(headers.TRAILERS if last else {})}
        found = headers.check(fields, known, where)
        call.response = call.response or found
        call.trailers = found if last else {}

    def body(self, frame, data, where):
        call = self.call(frame, where)
        self.carried[frame.stream_id] += len(data)
        self.carried[0] += len(data)
        (call.sent if self.from_client else call.received).extend(data)

    def check_grants(self, other):
        """Refuse grants of more than the other direction has sent: a grant is a number that its sender chooses."""
        for stream, granted in self.granted.items():
            sent = other.carried[stream]
            where = f"{self.where}, stream {stream}"
            demand(granted <= sent, f"{where}: {granted} bytes are granted to a stream that has sent {sent}")

    def call(self, frame, where):
        demand(frame.stream_id in self.calls, f"{where}: a frame of stream {frame.stream_id}, which nobody opened")
        return self.calls[frame.stream_id]


def calls(connection):
    """The calls of a connection, in the order of their streams."""
    sent, received = connection.whole()
    demand(sent[:len(PREFACE)] == PREFACE, f"{connection}: the connection does not begin as HTTP/2 does")
    found = {}
    client = Direction(found, True, f"{connection}, from the client")
    server = Direction(found, False, f"{connection}, from the server")
    client.read(sent[len(PREFACE):])
    server.read(received)
    client.check_grants(server)
    server.check_grants(client)
    return list(found.values())


def messages(body, where):
    """The messages of gRPC in a body, each after a prefix of five bytes."""
    at, body = 0, memoryview(body)
    while at < len(body):
        demand(at + 5 <= len(body), f"{where}: {len(body) - at} bytes at the end are no message")
        demand(body[at] == 0, f"{where}: a message is compressed, or its first byte is {body[at]}")
        length = int.from_bytes(body[at + 1:at + 5], "big")
        demand(at + 5 + length <= len(body), f"{where}: the rest of a message of {length} bytes is missing")
        yield body[at + 5:at + 5 + length]
        at += 5 + length
