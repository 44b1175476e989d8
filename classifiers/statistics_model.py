"""Sixteen numbers about a text's surface, and a linear model over them.

The numbers come from the bytes: letters, digits, marks, word lengths, variety, a few function
words. So this scorer makes other mistakes than the two that read words. The numbers are rates and
means like those of the Gopher and C4 rules (arXiv 2112.11446, appendix A1; arXiv 1910.10683,
section 2.2). The model weighs them together.

Layout is left out on purpose: line lengths, list and formula marks, indentation, length. Layout
tells how a page was turned into text, and so whether it is reference or crawl. It tells that better
than it tells quality. A model that sees layout learns just that.
"""

from collections.abc import Sequence
from functools import lru_cache
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
from corpusmill.classifiers.linear import LinearModel, Scores, load_linear
from corpusmill.manifests import model_files
from corpusmill.manifests.errors import ModelError
from corpusmill.manifests.settings import Settings

FEATURES = (
    "upper_share",  # of ASCII letters
    "digit_share",  # of characters, like the next
    "non_ascii_share",
    "parenthesis_rate",  # per word, like the next two
    "comma_rate",
    "emphasis_rate",  # exclamation and question marks
    "capital_word_share",
    "word_bytes",
    "words_per_sentence_log",
    "variety",  # log distinct words / log words: Herdan's C, nearly free of length
    "article_rate",  # per word in any case, like the next three; _WORDS has the words
    "preposition_rate",
    "clause_rate",
    "address_rate",
    "menu_rate",  # the sign ">>", the copyright sign and "..." per word
    "web_rate",  # words that web pages use about themselves
)
BLOCK_BYTES = 256 << 10  # of text at a time, so that the arrays below fit into the caches

_WORDS = {
    "article_rate": b"the a an",
    "preposition_rate": b"of in to for with by",
    "clause_rate": b"that which is are was were and because",
    "address_rate": b"you your our we",
    "web_rate": b"click login email share cookies comments posted subscribe newsletter "
    b"advertisement",
}
_WORD_BYTES = 8  # a word is looked up by its first bytes, as one integer
_LOWER, _UPPER, _DIGIT, _STOP, _EMPHASIS, _COMMA, _PARENTHESIS, _LEAD, _CONTINUATION = range(1, 10)
_CLASSES = 10
Whole = npt.NDArray[np.int64]


def _class_table() -> npt.NDArray[np.uint8]:
    table = np.zeros(256, dtype=np.uint8)
    for kind, members in (
        (_LOWER, b"abcdefghijklmnopqrstuvwxyz"),
        (_UPPER, b"ABCDEFGHIJKLMNOPQRSTUVWXYZ"),
        (_DIGIT, b"0123456789"),
        (_STOP, b"."),
        (_EMPHASIS, b"!?"),
        (_COMMA, b",;:"),
        (_PARENTHESIS, b"()"),
    ):
        table[np.frombuffer(members, dtype=np.uint8)] = kind
    table[0x80:0xC0] = _CONTINUATION
    table[0xC0:] = _LEAD
    return table


_CLASS_OF = _class_table()
_IN_WORD = np.isin(np.arange(_CLASSES), (_LOWER, _UPPER, _DIGIT, _LEAD, _CONTINUATION))


class StatisticsScorer(Settings):
    """A linear model over text statistics."""

    kind: Literal["statistics"] = "statistics"
    model: str
    """A file that `classify-train` wrote."""

    def depends_on(self) -> str:
        """The file's digest. Raises ModelError if it is missing or holds another kind of model."""
        digest = model_files.digest(self.model)
        _load(self.model, model_files.mark(self.model))
        return digest

    def score(self, texts: Sequence[str]) -> Scores:
        """As trained: a probability (two labels) or a grade (more)."""
        return _load(self.model, model_files.mark(self.model)).score(measure(texts))


def measure(texts: Sequence[str]) -> npt.NDArray[np.float32]:
    """float32 [len(texts), len(FEATURES)]. Every number is finite, even for an empty text."""
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
    # The line ends keep lines and words from spanning two documents.
    data = np.frombuffer(b"\n".join(texts) + b"\n", dtype=np.uint8)
    starts = np.concatenate([[0], np.cumsum([len(text) + 1 for text in texts])])
    sizes, starts = np.diff(starts), starts[:-1]
    classes = _CLASS_OF[data]
    counted = {kind: _sums(classes == kind, starts) for kind in range(1, _CLASSES)}
    characters = sizes - 1 - counted[_CONTINUATION]
    in_word = _IN_WORD[classes] & ~_marks(data)
    borders = np.flatnonzero(in_word[1:] != in_word[:-1]) + 1
    borders = np.concatenate([[0], borders]) if in_word[0] else borders
    word_starts, word_ends = borders[::2], borders[1::2]
    document = np.searchsorted(starts, word_starts, side="right") - 1

    def per_document(chosen: npt.NDArray[Any]) -> Whole:
        return np.bincount(document[chosen], minlength=len(texts))

    codes = _word_codes(data, word_starts, word_ends)
    place = np.minimum(np.searchsorted(_KNOWN_CODES, codes), len(_KNOWN_CODES) - 1)
    known = np.where(_KNOWN_CODES[place] == codes, _KNOWN_LISTS[place], 0)
    order = np.lexsort((codes, document))
    new = np.append(True, (np.diff(codes[order]) != 0) | (np.diff(document[order]) != 0))[
        : len(order)
    ]
    words, distinct = np.bincount(document, minlength=len(texts)), per_document(order[new])
    letters = counted[_LOWER] + counted[_UPPER]
    # The UTF-8 of the sign ">>" and of the copyright sign.
    menu = _pairs(data, (data[1:] == 0xBB) | (data[1:] == 0xA9), 0xC2, starts)
    menu += _pairs(
        data, (data[1:] == ord(".")) & (np.append(data[2:], 0) == ord(".")), ord("."), starts
    )
    values = {
        "upper_share": _share(counted[_UPPER], letters),
        "digit_share": _share(counted[_DIGIT], characters),
        "non_ascii_share": _share(counted[_LEAD], characters),
        "parenthesis_rate": _share(counted[_PARENTHESIS], words),
        "comma_rate": _share(counted[_COMMA], words),
        "emphasis_rate": _share(counted[_EMPHASIS], words),
        "capital_word_share": _share(per_document(classes[word_starts] == _UPPER), words),
        "word_bytes": _share(np.bincount(document, word_ends - word_starts, len(texts)), words),
        "words_per_sentence_log": np.log1p(words / (counted[_STOP] + counted[_EMPHASIS] + 1)),
        "variety": np.log1p(distinct) / np.maximum(np.log1p(words), 1.0),
        "menu_rate": _share(menu, words),
    }
    for number, name in enumerate(_WORDS, start=1):
        values[name] = _share(per_document(known == number), words)
    return np.stack([values[name] for name in FEATURES], axis=1).astype(np.float32)


def _word_codes(data: npt.NDArray[np.uint8], starts: Whole, ends: Whole) -> npt.NDArray[np.uint64]:
    """The first bytes of each word, in lower case, as an integer: uint64 [words].

    Two long words may share one.
    """
    padded = np.concatenate([data, np.zeros(_WORD_BYTES, dtype=np.uint8)])
    windows = np.lib.stride_tricks.sliding_window_view(padded, _WORD_BYTES)[starts]
    kept = np.arange(_WORD_BYTES) < (ends - starts)[:, None]
    return np.where(kept, windows | 0x20, 0).astype(np.uint8).view("<u8")[:, 0]


def _code_table() -> tuple[npt.NDArray[np.uint64], npt.NDArray[np.int64]]:
    coded = sorted(
        (int.from_bytes(word[:_WORD_BYTES], "little"), place)
        for place, words in enumerate(_WORDS.values(), start=1)
        for word in words.split()
    )
    return np.array([code for code, _ in coded], dtype=np.uint64), np.array(
        [place for _, place in coded], dtype=np.int64
    )


_KNOWN_CODES, _KNOWN_LISTS = _code_table()


def _marks(data: npt.NDArray[np.uint8]) -> npt.NDArray[np.bool_]:
    """Whether each byte is part of a character in U+0080-U+00BF or U+2000-U+2FFF.

    These are quotes, dashes, bullets and symbols. None is a letter.
    """
    two, three = data == 0xC2, data == 0xE2
    found = two | three
    found[1:] |= two[:-1] | three[:-1]
    found[2:] |= three[:-2]
    return found


def _pairs(
    data: npt.NDArray[np.uint8], second: npt.NDArray[np.bool_], first: int, starts: Whole
) -> Whole:
    """Per document: how often `first` stands right before a byte that `second` marks."""
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
            f"{path} was not trained on these text statistics",
            "train it again with `corpusmill classify-train`",
        )
    return model
