"""Some texts and what the first kernels find in them, for the tests of these and later kernels."""

import numpy as np
from corpusmill.stages.filter.measure.characters import character_table
from corpusmill.stages.filter.measure.english import exception_sieve
from corpusmill.stages.filter.measure.marks import lay_out, mark_bytes
from corpusmill.stages.filter.measure.parts import NO_PART, hash_lines, hash_parts


class Marked:
    """The results of the kernels for some texts."""

    def __init__(self, texts):
        data = np.frombuffer("".join(texts).encode() or b" ", np.uint8)
        sizes = np.array([len(text.encode()) for text in texts], np.int64)
        offsets = np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64)
        self.begins = np.concatenate([[0], np.cumsum((sizes // 64 + 1) * 64)]).astype(np.int64)
        room = int(self.begins[-1]) + 256
        self.data, self.edges, self.hard = (
            np.zeros(room, np.uint8),
            np.zeros(room, np.int32),
            np.zeros(room, np.int32),
        )
        self.bits, self.lines = np.zeros((5, room), np.uint64), np.zeros((4, room), np.int32)
        self.hashes, sums, self.line_hashes = (np.zeros(room, np.uint64) for _ in range(3))
        self.text_lines, self.longest = (
            np.zeros(len(texts) + 1, np.int32),
            np.zeros(len(texts), np.int64),
        )
        self.counts = np.zeros((8, len(texts)), np.int64)
        lay_out(data, offsets, self.begins, self.data)
        mark_bytes(
            self.data,
            self.begins,
            sizes,
            character_table(),
            self.bits,
            self.edges,
            self.lines,
            self.text_lines,
            self.counts,
        )
        self.n_parts = int(self.lines[2, self.text_lines[-1]])
        n_hard = hash_parts(
            self.data,
            self.bits,
            self.edges,
            self.n_parts,
            exception_sieve(),
            self.hashes,
            sums,
            self.hard,
        )
        assert self.hard[n_hard] == NO_PART
        self.hard = self.hard[:n_hard]
        hash_lines(
            self.bits, self.edges, sums, self.text_lines, self.lines, self.line_hashes, self.longest
        )

    def part(self, index):
        return self.data[self.edges[2 * index] : self.edges[2 * index + 1]].tobytes().decode()

    def bit(self, row, place):
        return bool(int(self.bits[row, place // 64]) >> (place % 64) & 1)
