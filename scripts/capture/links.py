"""The messages of links: headers with the chunks of their tensors, counted and hashed."""

import dataclasses
import math

import xxhash
from chain import Chain
from violation import demand

PHASES = {1: "train", 2: "evaluate"}
FORMATS = {1: ("f32", 4), 2: ("bf16", 2), 3: ("f16", 2), 4: ("u8", 1)}
# In 8 bits the numbers of a sample share scales of 4 bytes, one for each block of this size.
BLOCKS = {5: 32, 6: 64, 7: 128, 8: 256, 9: 512, 10: 1024}
FORMATS |= {kind: (f"int8_{block}", 1) for kind, block in BLOCKS.items()}
CARRIED = {"Activation": (1, "activation"), "ErrorSignal": (2, "error_signal"), "LayerValues": (3, "layer_values")}
# The most bytes of a chunk; every chunk but a tensor's last has as many.
CHUNK = 1 << 20


@dataclasses.dataclass
class LinkRecord:
    """The messages of one phase and form in one direction of a link."""

    tensors: list
    messages: int = 0
    samples: int = 0
    bytes: int = 0
    payload: int = 0
    chain: Chain = dataclasses.field(default_factory=Chain)
    # As the messages would be hashed by training, which does not know the run.
    consumed: Chain = dataclasses.field(default_factory=Chain)
    steps: set = dataclasses.field(default_factory=set)


def read(records, ends, name, parts, where):
    """Add the messages that these parts are to the records, by (from, to, kind, phase, form)."""
    parts = iter(parts)
    for header, length in parts:
        there = f"{where}, {name} {header.header.step}.{header.header.index}"
        demand(header.WhichOneof("part") == "header", f"{there}: a chunk without a header")
        header = header.header
        demand(header.phase in PHASES, f"{there}: the message has no phase")
        demand(all(tensor.kind in FORMATS for tensor in header.tensors), f"{there}: a tensor has no number format")
        payload = 0
        for number, tensor in enumerate(header.tensors):
            size, bytes_of_chunks = chunks(parts, number, tensor, there)
            payload, length = payload + size, length + bytes_of_chunks
        carried, kind = CARRIED[name]
        key = (*ends, kind, PHASES[header.phase], header.form)
        record = records.setdefault(key, LinkRecord(signature(header, there)))
        demand(record.tensors == signature(header, there), f"{there}: its tensors are not those of the messages before")
        record.messages += 1
        record.samples += header.size
        record.bytes += length
        record.payload += payload
        record.steps.add(header.step)
        record.chain.link(carried, header, with_run=True)
        record.consumed.link(carried, header, with_run=False)


def signature(header, where):
    """The tensors of a message, without what differs from one message to the next."""
    for tensor in header.tensors:
        demand(tensor.shape[:1] == [header.size], f"{where}: '{tensor.name}' has {list(tensor.shape)[:1]} samples")
    return [{"name": tensor.name, "format": FORMATS[tensor.kind][0], "shape": list(tensor.shape[1:])}
            for tensor in header.tensors]


def chunks(parts, number, tensor, where):
    """The size of a tensor whose chunks come next, and the protobuf bytes of its parts."""
    size = math.prod(tensor.shape) * FORMATS[tensor.kind][1]
    if block := BLOCKS.get(tensor.kind):
        size += 4 * tensor.shape[0] * -(-math.prod(tensor.shape[1:]) // block)
    found, length, checksum = 0, 0, xxhash.xxh3_64()
    while found < size:
        part, bytes_of_part = next(parts, (None, 0))
        is_chunk = part is not None and part.WhichOneof("part") == "chunk"
        demand(is_chunk, f"{where}: the rest of '{tensor.name}' is missing")
        chunk = part.chunk
        due = min(CHUNK, size - found)
        expected = chunk.tensor == number and chunk.offset == found and len(chunk.data) == due
        demand(expected, f"{where}: a chunk of {len(chunk.data)} bytes is not the next one of '{tensor.name}'")
        checksum.update(chunk.data)
        found, length = found + due, length + bytes_of_part
    demand(checksum.intdigest() == tensor.checksum, f"{where}: the checksum of '{tensor.name}' is another one")
    return size, length
