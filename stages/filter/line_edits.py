"""The line edits of C4: whole lines that are page furniture leave the text, the others stay as they are.

Source: Raffel et al. 2020 (JMLR 21/140), 2.2, and the data set's published code, which adds the longest word, the policy phrases and the
citation marks. C4 also drops every line that does not end in terminal punctuation; FineWeb (arXiv:2406.17557) measured that this
rule alone removes about 30 % of the tokens and turned it off, so it is off here. Blank lines stay, so that paragraphs
survive; where lines were taken out, no run of blank lines is left behind.
"""

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from manifests.config import config
from stages.filter.statistics import string_buffers

JAVASCRIPT = ("javascript",)
POLICY = ("terms of use", "privacy policy", "cookie policy", "uses cookies", "use of cookies", "use cookies")


@config
class LineEdits:
    """Which lines go: shorter than `minimum_words` words (between white space), with a word of more than `longest_word` characters,
    not ending in terminal punctuation, speaking of JavaScript or of a site's policies. 0 switches a number off. `citations`
    takes out marks such as `[12]` and `[edit]` instead."""

    minimum_words: int = 3
    longest_word: int = 1000
    terminal_punctuation: bool = False
    javascript: bool = True
    policy: bool = True
    citations: bool = True


def edit(texts: pa.ChunkedArray, edits: LineEdits) -> tuple[pa.ChunkedArray, NDArray[np.int32]]:
    """The edited texts (null ones empty), and how many lines each lost."""
    from stages.kernels.characters import character_table
    from stages.kernels.lines import edit_lines

    phrases = [
        phrase.encode() for phrase in (JAVASCRIPT if edits.javascript else ()) + (POLICY if edits.policy else ())
    ]
    phrase_data = np.frombuffer(b"".join(phrases), np.uint8)
    phrase_offsets = np.cumsum([0, *map(len, phrases)], dtype=np.int64)
    chunks, removed = [], [np.zeros(0, np.int32)]
    for data, offsets in string_buffers(texts):
        edited = np.empty(offsets[-1] - offsets[0], np.uint8)
        edited_offsets = np.zeros(offsets.size, np.int64)
        removed.append(np.zeros(offsets.size - 1, np.int32))
        edit_lines(
            data,
            offsets,
            character_table(),
            phrase_data,
            phrase_offsets,
            edits.minimum_words,
            edits.longest_word,
            edits.terminal_punctuation,
            edits.citations,
            edited,
            edited_offsets,
            removed[-1],
        )
        chunks.append(
            pa.StringArray.from_buffers(
                offsets.size - 1,
                pa.py_buffer(edited_offsets.astype(np.int32)),
                pa.py_buffer(edited[: edited_offsets[-1]]),
            )
        )
    return pa.chunked_array(chunks, type=pa.string()), np.concatenate(removed)
