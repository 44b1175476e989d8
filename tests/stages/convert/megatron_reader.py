"""Megatron-LM's published reader of `.idx` and `.bin`, as far as a test needs it.

Written from the format that `megatron/core/datasets/indexed_dataset.py` reads: nine bytes of magic,
the version, a code for the type of the ids, the numbers of sequences and of document boundaries,
then lengths, pointers and boundaries.
"""

import itertools
import struct
from pathlib import Path

import numpy as np

TYPES = {1: np.uint8, 2: np.int8, 3: np.int16, 4: np.int32, 5: np.int64, 8: np.uint16}


class IndexedDataset:
    """prefix: the path without `.bin` and `.idx`."""

    def __init__(self, prefix: Path) -> None:
        raw = prefix.with_suffix(".idx").read_bytes()
        assert raw[:9] == b"MMIDIDX\x00\x00"
        (version,) = struct.unpack("<Q", raw[9:17])
        assert version == 1
        self.dtype = TYPES[raw[17]]
        sequences, boundaries = struct.unpack("<QQ", raw[18:34])
        at = 34
        self.lengths = np.frombuffer(raw, np.int32, sequences, at)
        at += self.lengths.nbytes
        self.pointers = np.frombuffer(raw, np.int64, sequences, at)
        at += self.pointers.nbytes
        self.document_indices = np.frombuffer(raw, np.int64, boundaries, at)
        assert at + self.document_indices.nbytes == len(raw)
        assert self.document_indices[-1] == sequences
        self.ids = np.memmap(prefix.with_suffix(".bin"), mode="r", dtype=self.dtype)

    def __getitem__(self, sequence: int) -> list[int]:
        begin = int(self.pointers[sequence]) // np.dtype(self.dtype).itemsize
        return [int(one) for one in self.ids[begin : begin + int(self.lengths[sequence])]]

    def documents(self) -> list[list[int]]:
        """Each document's ids, its sequences end to end."""
        bounds = self.document_indices.tolist()
        return [
            [token for sequence in range(begin, end) for token in self[sequence]]
            for begin, end in itertools.pairwise(bounds)
        ]
