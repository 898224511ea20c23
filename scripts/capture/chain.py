"""Hash chains over messages, by the layout of docs/locality.md: SHA-256 of the hash before and of the fields."""

import hashlib
import struct

import xxhash

SEED = b"neuropil-ledger-1"


class Chain:
    def __init__(self):
        self.hash = hashlib.sha256(SEED).digest()

    def link(self, carried, header, with_run):
        """Add a message of a link: 1 for activations, 2 for error signals, and the protobuf header."""
        fields = [bytes([carried]), text(header.run if with_run else "")]
        fields.append(struct.pack("<IQB", header.incarnation if with_run else 0, header.step, header.phase))
        numbers = (header.minibatch, header.microbatches, header.index, header.offset, header.size)
        fields.append(struct.pack("<5I", *numbers))
        fields.append(struct.pack("<I", len(header.tensors)))
        for tensor in header.tensors:
            shape = tensor.shape
            fields.append(text(tensor.name))
            fields.append(struct.pack(f"<BI{len(shape)}QQ", tensor.kind, len(shape), *shape, tensor.checksum))
        self.add(b"".join(fields))

    def control(self, message):
        """Add a message of the control plane, by its protobuf bytes."""
        self.add(struct.pack("<QQ", len(message), xxhash.xxh3_64_intdigest(message)))

    def add(self, fields):
        self.hash = hashlib.sha256(self.hash + fields).digest()

    def __str__(self):
        return self.hash.hex()


def text(words):
    return struct.pack("<I", len(words.encode())) + words.encode()
