"""The search for weights: no 64 bytes of a tensor's values may occur anywhere, at any offset.

A window is 64 consecutive bytes of a tensor, beginning at an element, with at least 12 distinct values: fewer occur by
chance, as zeros do. Every window holds, at a multiple of 8 bytes of its tensor, a word of 8 bytes that is not one value
again and again: seven words of one value each, and the 8 bytes at the window's ends, would be 11 values at most, in
every number format. So all such words are looked up at every byte offset, and around each word that is found, the bytes
are compared.
"""

import numpy as np

WINDOW = 64
DISTINCT = 12
WORD = 8
# Words are sought by a hash first, in a table of so many places for each word, or a few more.
PLACES = 16
MIX = np.uint64(0x9E3779B97F4A7C15)
# Bytes that are looked at in one go.
PIECE = 8 << 20
# The most tensors that a search names.
NAMED = 16


def formats(values):
    """A tensor's values as the bytes of every number format, each with the size of an element."""
    bits = values.view("<u4")
    rounded = (bits + np.uint32(0x7FFF) + ((bits >> np.uint32(16)) & np.uint32(1))) >> np.uint32(16)
    with np.errstate(over="ignore"):
        half = values.astype("<f2")
    return {"f32": values.tobytes(), "bf16": rounded.astype("<u2").tobytes(), "f16": half.tobytes()}


class Windows:
    """The windows of tensors, to be sought in bytes."""

    def __init__(self, tensors):
        self.texts = [(f"{tensor.name} as {kind}", data, 4 if kind == "f32" else 2)
                      for tensor in tensors for kind, data in formats(tensor.values).items() if len(data) >= WINDOW]
        found = [anchors(data, size) for _, data, size in self.texts]
        words = np.concatenate([words for words, _ in found])
        texts = np.repeat(np.arange(len(found)), [len(words) for words, _ in found])
        places = np.concatenate([places for _, places in found])
        order = np.argsort(words, kind="stable")
        self.words, self.of, self.places = words[order], texts[order], places[order]
        self.bits = (PLACES * len(words)).bit_length()
        self.table = np.zeros(1 << self.bits, bool)
        self.table[self.slot(self.words)] = True

    def slot(self, words):
        return (words * MIX) >> np.uint64(64 - self.bits)

    def bytes(self):
        """The size of all tensors in all formats."""
        return sum(len(data) for _, data, _ in self.texts)

    def search(self, data):
        """The tensors of which a window occurs in the data, by name, each with the offset of one."""
        found = {}
        for start in range(0, len(data), PIECE):
            # A word may go on into the next piece.
            for at in self.candidates(data[start:start + PIECE + WORD - 1]):
                for name, place in self.around(data, start + at):
                    found.setdefault(name, place)
                if len(found) >= NAMED:
                    return found
        return found

    def candidates(self, piece):
        """The offsets at which the piece holds one of the words."""
        for shift in range(min(WORD, len(piece) - WORD + 1)):
            words = np.frombuffer(piece, "<u8", (len(piece) - shift) // WORD, shift)
            likely = np.flatnonzero(self.table[self.slot(words)])
            place = np.searchsorted(self.words, words[likely])
            place[place == len(self.words)] = 0
            yield from likely[self.words[place] == words[likely]] * WORD + shift

    def around(self, data, at):
        """The windows that surround a word of the data: (name of the tensor, offset of the window)."""
        word = np.frombuffer(data, "<u8", 1, at)[0]
        first, last = np.searchsorted(self.words, word), np.searchsorted(self.words, word, "right")
        for each in range(first, last):
            name, text, size = self.texts[self.of[each]]
            offset = window(data, at, text, int(self.places[each]), size)
            if offset is not None:
                yield name, offset


def anchors(data, size):
    """The words at multiples of 8 bytes that are not one value again and again, and their places."""
    words = np.frombuffer(data, "<u8", len(data) // WORD)
    elements = np.frombuffer(data, f"<u{size}", len(words) * WORD // size).reshape(len(words), WORD // size)
    places = np.flatnonzero((elements != elements[:, :1]).any(axis=1))
    return words[places], places * WORD


def window(data, at, text, place, size):
    """The offset of a window of the text in the data, where the word at `at` is the one at `place` of the text."""
    reach = WINDOW - WORD
    before = min(reach, at, place) // size * size
    after = min(reach, len(data) - at - WORD, len(text) - place - WORD) // size * size
    held = np.frombuffer(data, f"<u{size}", (before + WORD + after) // size, at - before)
    equal = held == np.frombuffer(text, f"<u{size}", len(held), place - before)
    length = WINDOW // size
    for first in range(len(held) - length + 1):
        if equal[first:first + length].all() and len(np.unique(held[first:first + length])) >= DISTINCT:
            return at - before + first * size
    return None
