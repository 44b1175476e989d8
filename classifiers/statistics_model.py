"""Twenty cheap numbers about a text's surface, and a linear model over them: a scorer that reads no words.

It looks at the bytes only (letters, digits, marks, lines, a few English function words), so that it fails in other ways than
the two that read words, and works on any table with a text column. Per document the numbers are shares and means, in the spirit of the
Gopher and C4 rules (arXiv 2112.11446, appendix A1; arXiv 1910.10683, section 2.2), but weighed together instead of one by one.
"""

from collections.abc import Sequence
from functools import lru_cache
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from classifiers import model_file
from classifiers.linear import LinearModel, Scores, load_linear
from manifests.config import config
from manifests.errors import ModelError

FEATURES = (
    "characters_log",
    "upper_share",  # of ASCII letters
    "digit_share",  # of characters, as are the next three
    "space_share",
    "symbol_share",
    "non_ascii_share",
    "bracket_rate",  # per word, as are the next two
    "comma_rate",
    "word_bytes",
    "words_per_sentence_log",
    "lines_log",
    "words_per_line_log",
    "ended_line_share",  # lines that end with a full stop, exclamation or question mark
    "marked_line_share",  # lines that begin with a mark or a digit: bullets, numbers, table rows
    "long_line_share",  # of the text in lines of at least LONG_LINE bytes
    "article_rate",  # "the", "a", "an" per word, upper or lower case
    "preposition_rate",  # "of", "in", "to", "for", "with", "by"
    "clause_rate",  # "that", "which", "is", "are", "was", "were", "and", "because"
    "address_rate",  # "you", "your", "our", "we"
    "menu_rate",  # "|", "»", "©" and "..." per word
)
LONG_LINE = 80
BLOCK_BYTES = 256 << 10  # of text at a time, so that the arrays below stay in the caches

_WORDS = {
    "article_rate": b"the a an",
    "preposition_rate": b"of in to for with by",
    "clause_rate": b"that which is are was were and because",
    "address_rate": b"you your our we",
}
_WORD_BYTES = 8  # a word of at most so many bytes is looked up as one whole number
_LOWER, _UPPER, _DIGIT, _SPACE, _END, _COMMA, _BRACKET, _SYMBOL, _LEAD, _CONTINUATION = range(1, 11)
_CLASSES = 11
Whole = npt.NDArray[np.int64]


def _class_table() -> npt.NDArray[np.uint8]:
    table = np.zeros(256, dtype=np.uint8)
    for kind, members in (
        (_LOWER, b"abcdefghijklmnopqrstuvwxyz"),
        (_UPPER, b"ABCDEFGHIJKLMNOPQRSTUVWXYZ"),
        (_DIGIT, b"0123456789"),
        (_SPACE, b" \t\r\n\f\v"),
        (_END, b".!?"),
        (_COMMA, b",;:"),
        (_BRACKET, b"()[]{}<>"),
        (_SYMBOL, b"\"#$%&'*+-/=@\\^_`|~"),
    ):
        table[np.frombuffer(members, dtype=np.uint8)] = kind
    table[0x80:0xC0] = _CONTINUATION
    table[0xC0:] = _LEAD
    return table


_CLASS_OF = _class_table()
_IN_WORD = np.isin(np.arange(_CLASSES), (_LOWER, _UPPER, _DIGIT, _LEAD, _CONTINUATION))
_MARK = np.isin(np.arange(_CLASSES), (_DIGIT, _SYMBOL, _BRACKET, _END, _COMMA))


@config
class StatisticsScorer:
    """model: a file that `classify-train` wrote."""

    kind: Literal["statistics"] = "statistics"
    model: str

    def depends_on(self) -> str:
        """Raises ModelError if the file is missing or holds another kind of model."""
        digest = model_file.digest(self.model)
        _load(self.model, model_file.mark(self.model))
        return digest

    def score(self, texts: Sequence[str]) -> Scores:
        """As trained: a probability (two labels) or a grade (more)."""
        return _load(self.model, model_file.mark(self.model)).score(measure(texts))


def measure(texts: Sequence[str]) -> npt.NDArray[np.float32]:
    """float32 [len(texts), len(FEATURES)]; every number is finite, also for an empty text."""
    blocks: list[npt.NDArray[np.float32]] = []
    waiting: list[bytes] = []
    size = 0
    for text in texts:
        waiting.append(text.encode("utf-8", "surrogatepass"))
        size += len(waiting[-1])
        if size >= BLOCK_BYTES:
            blocks.append(_measure_block(waiting))
            waiting, size = [], 0
    if waiting:
        blocks.append(_measure_block(waiting))
    return np.concatenate(blocks) if blocks else np.zeros((0, len(FEATURES)), dtype=np.float32)


def _measure_block(texts: list[bytes]) -> npt.NDArray[np.float32]:
    data = np.frombuffer(b"\n".join(texts) + b"\n", dtype=np.uint8)  # so that no line or word spans two documents
    starts = np.concatenate([[0], np.cumsum([len(text) + 1 for text in texts])])
    sizes, starts = np.diff(starts), starts[:-1]
    classes = _CLASS_OF[data]
    counted = {kind: _sums(classes == kind, starts) for kind in range(1, _CLASSES)}
    characters = sizes - 1 - counted[_CONTINUATION]
    lower, upper = counted[_LOWER], counted[_UPPER]
    in_word = _IN_WORD[classes]
    borders = np.flatnonzero(in_word[1:] != in_word[:-1]) + 1
    borders = np.concatenate([[0], borders]) if in_word[0] else borders
    word_starts, word_ends = borders[::2], borders[1::2]
    document = np.searchsorted(starts, word_starts, side="right") - 1
    words = np.bincount(document, minlength=len(texts))
    known = _known_words(data, word_starts, word_ends)
    lines, ended, marked, long_bytes, line_bytes = _lines(data, classes, starts)
    menu = _sums(data == ord("|"), starts)
    menu += _pairs(data, (data[1:] == 0xBB) | (data[1:] == 0xA9), 0xC2, starts)  # the UTF-8 of » and ©
    menu += _pairs(data, (data[1:] == ord(".")) & (np.append(data[2:], 0) == ord(".")), ord("."), starts)
    values = {
        "characters_log": np.log1p(characters),
        "upper_share": _share(upper, lower + upper),
        "digit_share": _share(counted[_DIGIT], characters),
        "space_share": _share(counted[_SPACE] - 1, characters),
        "symbol_share": _share(counted[_SYMBOL], characters),
        "non_ascii_share": _share(counted[_LEAD], characters),
        "bracket_rate": _share(counted[_BRACKET], words),
        "comma_rate": _share(counted[_COMMA], words),
        "word_bytes": _share(np.bincount(document, word_ends - word_starts, len(texts)), words),
        "words_per_sentence_log": np.log1p(words / (counted[_END] + 1)),
        "lines_log": np.log1p(lines),
        "words_per_line_log": np.log1p(_share(words, lines)),
        "ended_line_share": _share(ended, lines),
        "marked_line_share": _share(marked, lines),
        "long_line_share": _share(long_bytes, line_bytes),
        "menu_rate": _share(menu, words),
    }
    for place, name in enumerate(_WORDS, start=1):
        values[name] = _share(np.bincount(document[known == place], minlength=len(texts)), words)
    return np.stack([values[name] for name in FEATURES], axis=1).astype(np.float32)


def _known_words(data: npt.NDArray[np.uint8], starts: Whole, ends: Whole) -> npt.NDArray[np.int64]:
    """For each word the place (from 1) of the list in `_WORDS` that holds it, upper or lower case; 0 for all other words."""
    sizes = ends - starts
    found = np.zeros(len(starts), dtype=np.int64)
    short = np.flatnonzero(sizes <= _WORD_BYTES)
    padded = np.concatenate([data, np.zeros(_WORD_BYTES, dtype=np.uint8)])
    windows = np.lib.stride_tricks.sliding_window_view(padded, _WORD_BYTES)[starts[short]]
    kept = np.arange(_WORD_BYTES) < sizes[short, None]
    codes = np.where(kept, windows | 0x20, 0).astype(np.uint8).view("<u8")[:, 0]
    place = np.minimum(np.searchsorted(_KNOWN_CODES, codes), len(_KNOWN_CODES) - 1)
    found[short] = np.where(_KNOWN_CODES[place] == codes, _KNOWN_LISTS[place], 0)
    return found


def _code_table() -> tuple[npt.NDArray[np.uint64], npt.NDArray[np.int64]]:
    coded = sorted(
        (int.from_bytes(word, "little"), place)
        for place, words in enumerate(_WORDS.values(), start=1)
        for word in words.split()
    )
    return np.array([code for code, _ in coded], dtype=np.uint64), np.array(
        [place for _, place in coded], dtype=np.int64
    )


_KNOWN_CODES, _KNOWN_LISTS = _code_table()


def _lines(
    data: npt.NDArray[np.uint8], classes: npt.NDArray[np.uint8], starts: Whole
) -> tuple[Whole, Whole, Whole, Whole, Whole]:
    """Per document: lines that are not empty, those that end a sentence, those that begin with a mark, bytes in long lines, and in all."""
    line_ends = np.flatnonzero(data == ord("\n"))
    line_starts = np.concatenate([[0], line_ends[:-1] + 1])
    sizes = line_ends - line_starts
    filled = sizes > 0
    line_ends, line_starts, sizes = line_ends[filled], line_starts[filled], sizes[filled]
    document = np.searchsorted(starts, line_starts, side="right") - 1

    def per_document(weights: npt.NDArray[Any]) -> Whole:
        return np.bincount(document, weights, len(starts)).astype(np.int64)

    return (
        per_document(filled[filled]),
        per_document(classes[line_ends - 1] == _END),
        per_document(_MARK[classes[line_starts]]),
        per_document(np.where(sizes >= LONG_LINE, sizes, 0)),
        per_document(sizes),
    )


def _pairs(data: npt.NDArray[np.uint8], second: npt.NDArray[np.bool_], first: int, starts: Whole) -> Whole:
    """How often a byte equal to `first` stands before a byte for which `second` holds."""
    return _sums(np.append((data[:-1] == first) & second, False), starts)


def _sums(flags: npt.NDArray[np.bool_], starts: Whole) -> Whole:
    return np.add.reduceat(flags, starts, dtype=np.int64)


def _share(part: npt.NDArray[Any], whole: npt.NDArray[Any]) -> npt.NDArray[np.float64]:
    return part / np.maximum(whole, 1)


@lru_cache(maxsize=4)
def _load(path: str, _mark: str) -> LinearModel:
    model = load_linear(path)
    if tuple(model.about.get("features", ())) != FEATURES:
        raise ModelError(
            f"{path} was not trained on these text statistics", "train it again with `corpusmill classify-train`"
        )
    return model
