"""Tests of the decoder by itself: python3 scripts/capture/tests.py, with PYTHONPATH as for the decoder."""

import json
import pathlib
import random
import sys
import tempfile
import types
import unittest

sys.dont_write_bytecode = True
import compare
import deployment
import links
import numpy as np
import packet
import streams
import windows
import xxhash
from chain import Chain
from http2 import Direction, messages
from hyperframe.frame import DataFrame, HeadersFrame, PingFrame, WindowUpdateFrame
from schema import Schema
from state import Tensor
from violation import Violation

SCHEMA = Schema(pathlib.Path(__file__).resolve().parents[2] / "proto/schema")
CLIENT, SERVER = ("10.0.0.1", 4000), ("10.0.0.2", 7100)


def tensor(size=4096, seed=1):
    return Tensor("w", np.random.default_rng(seed).standard_normal(size, "f4"))


class Windows(unittest.TestCase):
    def test_a_window_is_found_at_every_offset_and_in_every_format(self):
        sought = windows.Windows([tensor()])
        noise = np.random.default_rng(2).bytes(100_000)
        for name, data, size in sought.texts:
            for at in [*range(1000, 1009), 0, len(noise) - 64]:
                first = size * random.Random(at).randrange(len(data) // size - 64)
                planted = noise[:at] + data[first:first + 64] + noise[at + 64:]
                self.assertEqual(sought.search(planted), {name: at}, (name, at))

    def test_a_window_is_found_across_pieces(self):
        sought = windows.Windows([tensor()])
        data = bytearray(windows.PIECE + 100)
        data[windows.PIECE - 3:windows.PIECE + 61] = sought.texts[0][1][400:464]
        self.assertEqual(sought.search(bytes(data)), {"w as f32": windows.PIECE - 3})

    def test_sixty_bytes_and_few_values_are_no_window(self):
        sought = windows.Windows([tensor()])
        noise = np.random.default_rng(2).bytes(5000)
        data = sought.texts[0][1]
        self.assertEqual(sought.search(noise[:777] + data[400:460] + noise[777:]), {})
        few = np.tile(np.arange(11, dtype="f4"), 100)
        self.assertEqual(windows.Windows([Tensor("few", few)]).search(few.tobytes()), {})

    def test_twelve_values_among_zeros_are_a_window(self):
        for size, kind in ((16, "f32"), (32, "bf16"), (32, "f16")):
            for shift in range(0, 5):
                values = np.zeros(200, "f4")
                values[100:100 + size] = [value // (size // 12) % 12 for value in range(size)]
                sought = windows.Windows([Tensor("w", np.roll(values, shift))])
                texts = {name: data for name, data, _ in sought.texts}
                self.assertIn(f"w as {kind}", sought.search(b"x" * 13 + texts[f"w as {kind}"]))


class Streams(unittest.TestCase):
    def segments(self, data, cuts, start):
        yield packet.Segment(CLIENT, SERVER, start, packet.SYN, memoryview(b""))
        for first, end in cuts:
            sequence = (start + 1 + first) % 2**32
            yield packet.Segment(CLIENT, SERVER, sequence, packet.ACK, memoryview(data[first:end]))

    def test_segments_that_overlap_repeat_and_come_late_are_one_stream(self):
        data = bytes(range(200))
        cuts = [(0, 50), (100, 150), (50, 120), (0, 10), (150, 200), (140, 180)]
        for start in (7, 2**32 - 60):
            (found,) = streams.connections(self.segments(data, cuts, start))
            self.assertEqual(found.whole(), (data, b""))

    def test_a_gap_and_a_change_are_refused(self):
        (gap,) = streams.connections(self.segments(bytes(200), [(0, 50), (60, 90)], 7))
        self.assertRaises(Violation, gap.whole)
        first, *_, again = [*self.segments(bytes(200), [(0, 50)], 7), *self.segments(b"x" * 200, [(10, 20)], 7)]
        changed = [first, *list(self.segments(bytes(200), [(0, 50)], 7))[1:], again]
        self.assertRaises(Violation, streams.connections, changed)


class Frames(unittest.TestCase):
    def read(self, data):
        calls = {1: types.SimpleNamespace(sent=bytearray())}
        Direction(calls, True, "here").read(data)
        return bytes(calls[1].sent)

    def test_data_is_taken_and_every_other_byte_is_refused(self):
        frame = DataFrame(1)
        frame.data = b"abc"
        whole = frame.serialize()
        self.assertEqual(self.read(whole + whole), b"abcabc")
        padded = DataFrame(1, flags=["PADDED"])
        padded.data, padded.pad_length = b"abc", 5
        ping = PingFrame(0)
        ping.opaque_data = b"12345678"
        priority = HeadersFrame(3, data=b"", flags=["END_HEADERS", "PRIORITY"])
        flagged = whole[:4] + b"\x40" + whole[5:]
        for strange in (padded.serialize(), ping.serialize(), priority.serialize(), flagged, whole[:-1], whole + b"x",
                        b"\0\0\1\x77\0\0\0\0\1x"):
            self.assertRaises(Violation, self.read, strange)

    def test_no_more_is_granted_than_was_sent(self):
        calls = {1: types.SimpleNamespace(sent=bytearray())}
        sender, granter = Direction(calls, True, "here"), Direction(calls, False, "there")
        data = DataFrame(1)
        data.data = bytes(100)
        sender.read(data.serialize())
        grants = ((0, 1 << 25), (0, 90), (1, 100))
        frames = [WindowUpdateFrame(stream, window_increment=size) for stream, size in grants]
        granter.read(b"".join(frame.serialize() for frame in frames))
        granter.check_grants(sender)
        granter.read(WindowUpdateFrame(0, window_increment=11).serialize())
        self.assertRaises(Violation, granter.check_grants, sender)

    def test_messages_are_cut_at_their_prefixes(self):
        self.assertEqual([bytes(each) for each in messages(b"\0\0\0\0\1a\0\0\0\0\0", "")], [b"a", b""])
        for strange in (b"\1\0\0\0\1a", b"\0\0\0\0\2a", b"\0\0"):
            self.assertRaises(Violation, list, messages(strange, ""))


class Messages(unittest.TestCase):
    def test_a_message_has_one_encoding(self):
        snapshot = b"\x0a\x02\x05\x07"  # keep = [5, 7]
        self.assertEqual(list(SCHEMA.decode("Snapshot", snapshot, "").keep), [5, 7])
        unpacked, long, unknown = b"\x08\x05\x08\x07", b"\x0a\x03\x85\x00\x07", snapshot + b"\x78\x01"
        for strange in (unpacked, long, unknown, snapshot + b"\x0a"):
            self.assertRaises(Violation, SCHEMA.decode, "Snapshot", strange, "")

    def test_the_chain_is_that_of_the_programs(self):
        # The same numbers as in the test of proto/src/ledger/chain.rs.
        header = SCHEMA.decode("Header", b"", "")
        header.run, header.incarnation, header.step, header.phase = "run", 7, 3, 1
        header.minibatch, header.microbatches, header.index, header.offset, header.size = 8, 2, 1, 4, 4
        chain = Chain()
        self.assertEqual(str(chain), "01be9d85b3b1e3f7063f73117ad55282b55a2afdafecea9fbc5a975a14b519e1")
        done = SCHEMA.decode("Header", header.SerializeToString(), "")
        header.tensors.add(name="conv1", kind=2, shape=[4, 2], checksum=0x0123456789ABCDEF)
        chain.link(1, header, with_run=True)
        self.assertEqual(str(chain), "058b67eb3f82b0828327496ca6c319fb812ace42cdcdd8c07ad2207842e0597a")
        chain.link(2, done, with_run=False)
        self.assertEqual(str(chain), "b7d06c9299f89b51e63b4bd566fea47d5fd35ea9009ba54bf84e1d01b11b6eb6")
        chain.control(b"abc")
        self.assertEqual(str(chain), "f7e34841776f72e8e772fb13555896a10d5b11e425dd2869324d8a9cd437e154")


class Halves(unittest.TestCase):
    def test_only_the_stage_of_a_backward_node_opens_its_data_port(self):
        def host(number, **paths):
            return {"address": f"10.0.{number}.2", "capture": "c", **paths}

        def node(number):
            return host(number, data=7100, control=7101, state="s", drawn="d")

        described = {"coordinator": host(0), "stages": [node(1), node(2)], "backward": [node(3), node(4)],
                     "ledger": "l", "encrypted": False}
        with tempfile.TemporaryDirectory() as folder:
            path = pathlib.Path(folder) / "hosts.json"
            path.write_text(json.dumps(described))
            known = deployment.Deployment(path)
        found = {(known.names[client], known.names[server[0]]) for (client, server), plane in known.allowed.items()
                 if plane == "Layer" and "backward" in known.names[server[0]]}
        self.assertEqual(found, {("stage 0", "stage 0, backward"), ("stage 1", "stage 1, backward")})
        self.assertEqual(sum(plane == "Node" for plane in known.allowed.values()), 4)

    def test_messages_of_two_forms_are_counted_apart_and_named_in_differences(self):
        records = {}
        for form in (0, 1, 0):
            part = SCHEMA.decode("LayerValues", b"", "")
            header = part.header
            header.run, header.step, header.phase, header.size, header.form = "run", 1, 1, 2, form
            header.tensors.add(name=f"a.{form}", kind=1, shape=[2, 0], checksum=xxhash.xxh3_64_intdigest(b""))
            links.read(records, ("stage 0", "stage 0, backward"), "LayerValues", [(part, 7)], "here")
        wire = types.SimpleNamespace(links=records)
        self.assertEqual([record["messages"] for record in compare.crossed(wire)], [2, 1])
        second = {"from": "stage 0", "to": "stage 0, backward", "kind": "layer_values", "phase": "train", "form": 1}
        self.assertEqual(compare.link_name(second), compare.link_name(compare.crossed(wire)[1]))
        first = {name: value for name, value in second.items() if name != "form"}
        self.assertEqual(compare.link_name(first), compare.link_name(compare.crossed(wire)[0]))


unittest.main()
