"""The statistics of a document: what is measured, once, before any rule looks at it.

Every statistic is a narrow typed column `stat_<name>`; the rules of `stages.filter.rules` and a recipe's own name them without the prefix.

A **word** is a run of letters, numbers and marks, held together by a single apostrophe, full stop or underscore with a letter or
number on both sides (`don't`, `3.14`, `example.com`, `snake_case`) or by a comma between numbers; a Han or Hiragana character is a
word of its own. A **symbol** is a run of the same other character (`...`, `--`, `}`). A **part** is what stands between white
space. A **line** ends at a line feed, is stripped of white space, and does not count when nothing is left; a **paragraph** is a
run of lines without an empty one between them. Lengths are in characters (Unicode code points). A ratio over nothing is 0.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from manifests.errors import RecipeError

PREFIX = "stat_"
STOP_WORDS = ("the", "be", "to", "of", "and", "that", "have", "with")  # Gopher (arXiv:2112.11446), appendix A.1.1
STOP_WORD_BYTES = 8  # the kernel compares a word of at most this many UTF-8 bytes as one integer
MOST_STOP_WORDS = 64  # and remembers those seen in one integer


@dataclass(frozen=True)
class Statistic:
    """name: as rules write it. type: of its column. meaning: one line for people."""

    name: str
    type: pa.DataType
    meaning: str

    @property
    def field(self) -> pa.Field:
        return pa.field(PREFIX + self.name, self.type)


_INT, _FLOAT = pa.int32(), pa.float32()
STATISTICS: tuple[Statistic, ...] = (
    Statistic("characters", _INT, "characters of the text"),
    Statistic("words", _INT, "words"),
    Statistic("symbols", _INT, "symbols"),
    Statistic("mean_word_length", _FLOAT, "characters in words / words"),
    Statistic("longest_word", _INT, "characters of the longest word"),
    Statistic("alphabetic_word_ratio", _FLOAT, "parts between white space with a letter / parts between white space"),
    Statistic("alphabetic_token_ratio", _FLOAT, "words with a letter / words and symbols"),
    Statistic("hash_ratio", _FLOAT, "hash signs (a run of them is one) / words"),
    Statistic("ellipsis_ratio", _FLOAT, "ellipses (the character, or three full stops and more) / words"),
    Statistic("stop_words", pa.int16(), "how many of the stop words occur, in any case"),
    Statistic("sentences", _INT, "parts of lines with a word in them, cut after terminal punctuation and white space"),
    Statistic("lines", _INT, "lines"),
    Statistic("bullet_line_ratio", _FLOAT, "lines that begin with a bullet / lines"),
    Statistic("ellipsis_line_ratio", _FLOAT, "lines that end in an ellipsis / lines"),
    Statistic("punctuation_line_ratio", _FLOAT, "lines that end in terminal punctuation / lines"),
    Statistic("short_line_ratio", _FLOAT, "lines of at most 30 characters / lines"),
    Statistic("newline_ratio", _FLOAT, "line breaks between lines / words and symbols"),
    Statistic("duplicate_line_ratio", _FLOAT, "lines that occurred before / lines"),
    Statistic(
        "duplicate_line_character_ratio", _FLOAT, "characters of lines that occurred before / characters of lines"
    ),
    Statistic("duplicate_paragraph_ratio", _FLOAT, "paragraphs that occurred before / paragraphs"),
    Statistic(
        "duplicate_paragraph_character_ratio",
        _FLOAT,
        "characters of paragraphs that occurred before / characters of lines",
    ),
    *(
        Statistic(f"top_{n}_gram_ratio", _FLOAT, f"characters in the most frequent run of {n} words / characters")
        for n in (2, 3, 4)
    ),
    *(
        Statistic(
            f"duplicate_{n}_gram_ratio", _FLOAT, f"characters in runs of {n} words that occurred before / characters"
        )
        for n in (5, 6, 7, 8, 9, 10)
    ),
    Statistic("lorem_ipsum", _INT, "occurrences of 'lorem ipsum', in any case"),
    Statistic("curly_brackets", _INT, "opening curly brackets"),
    Statistic("whitespace_ratio", _FLOAT, "white space / characters"),
    Statistic("digit_ratio", _FLOAT, "numbers / characters"),
    Statistic("uppercase_ratio", _FLOAT, "upper-case letters / letters"),
    Statistic(
        "symbol_character_ratio", _FLOAT, "characters that are no letter, number, mark or white space / characters"
    ),
)
NAMES: tuple[str, ...] = tuple(statistic.name for statistic in STATISTICS)
REMOVED_LINES = Statistic(
    "removed_lines", _INT, "lines that the C4 line edits took out of the text (stages.filter.line_edits)"
)

Measured = Mapping[str, NDArray]


def fields() -> tuple[pa.Field, ...]:
    """The columns of all statistics."""
    return tuple(statistic.field for statistic in (*STATISTICS, REMOVED_LINES))


def measure(texts: pa.ChunkedArray, stop_words: Sequence[str] = STOP_WORDS) -> Measured:
    """Every statistic of every text: name -> array of its column's type, one value a text. A null text is an empty one.

    Raises RecipeError if there are too many stop words, or one is too long (MOST_STOP_WORDS, STOP_WORD_BYTES).
    """
    from stages.kernels.characters import character_table
    from stages.kernels.statistics import ORDER, measure_texts

    stops = pack_stop_words(stop_words)
    parts = []
    for data, offsets in string_buffers(texts):
        part = np.zeros((len(ORDER), offsets.size - 1))
        measure_texts(data, offsets, character_table(), stops, part)
        parts.append(part)
    values = np.concatenate(parts, axis=1) if parts else np.zeros((len(ORDER), 0))
    return {s.name: values[ORDER.index(s.name)].astype(s.type.to_pandas_dtype()) for s in STATISTICS}


def pack_stop_words(words: Sequence[str]) -> NDArray[np.uint64]:
    """Each word's lower-case UTF-8 bytes as one big-endian integer."""
    if len(words) > MOST_STOP_WORDS:
        raise RecipeError(f"there are {len(words)} stop words", f"give at most {MOST_STOP_WORDS}")
    for word in words:
        if not 0 < len(word.lower().encode()) <= STOP_WORD_BYTES:
            raise RecipeError(
                f"stop word {word!r} has {len(word.lower().encode())} bytes in UTF-8",
                f"stop words have 1 to {STOP_WORD_BYTES}; take a shorter one",
            )
    return np.array(sorted({int.from_bytes(word.lower().encode(), "big") for word in words}), dtype=np.uint64)


def string_buffers(texts: pa.ChunkedArray) -> Iterator[tuple[NDArray[np.uint8], NDArray[np.int64]]]:
    """The bytes and offsets of each chunk of a string column, read-only and without copying the text; nulls are empty strings."""
    for chunk in texts.chunks:
        array = pc.fill_null(chunk, "") if chunk.null_count else chunk
        _, offset_buffer, data_buffer = array.buffers()
        width = np.int64 if pa.types.is_large_string(array.type) else np.int32
        if len(array) == 0:
            offsets = np.zeros(1, np.int64)
        else:
            offsets = np.frombuffer(offset_buffer, width)[array.offset : array.offset + len(array) + 1].astype(
                np.int64
            )
        data = np.frombuffer(data_buffer or b"", np.uint8)
        # One type for the compiler, whether or not Arrow happens to own the buffer: read-only.
        data.flags.writeable = False
        offsets.flags.writeable = False
        yield data, offsets
