"""One training sequence: its tokens, which of its targets count, and which documents it holds.

A target counts in the loss unless it is padding, the first token of a piece of a document, or among
the document's `n_prompt` first tokens. Padding counts as a document of its own. Letters in tensor
names: B rows, T time.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray


class DocumentSpan(NamedTuple):
    """A piece of a document inside a row: its tokens span[0] up to, but not including, span[1]."""

    id: str
    span: tuple[int, int]


@dataclass(frozen=True)
class PageImage:
    """The image of a document: a file, and where the letters stand in it, if that was asked for."""

    content: bytes
    letters: str = ""
    x: tuple[int, ...] = ()
    y: tuple[int, ...] = ()


@dataclass(frozen=True)
class Row:
    """One training sequence: T + 1 tokens, so T inputs and T targets."""

    tokens: "NDArray[np.int32]"  # (T + 1,)
    loss_mask: "NDArray[np.bool_]"  # (T,): whether each target tokens[1:] counts
    document_ids: "NDArray[np.int32]"  # (T,): document of each input tokens[:-1], 0, 1, 2...
    documents: tuple[DocumentSpan, ...]
    images: tuple[PageImage | None, ...] = ()  # of each of the documents


class Piece(NamedTuple):
    """The next piece of a row. first: its first token, counted from the start of its document.
    prompt: first tokens of the document that carry no loss. image: the document's, if it has one
    and it is read; the piece is then the whole document.
    """

    id: str
    first: int
    prompt: int
    tokens: "NDArray[np.int32]"
    image: PageImage | None = None


def join(pieces: Sequence[Piece], length: int) -> Row:
    """The row of `length` + 1 tokens that begins with these pieces. The rest is padding."""
    tokens = np.zeros(length + 1, dtype=np.int32)
    counted = np.zeros(length + 1, dtype=np.bool_)
    owners = np.full(length + 1, len(pieces), dtype=np.int32)
    begin = 0
    for number, piece in enumerate(pieces):
        end = begin + len(piece.tokens)
        tokens[begin:end] = piece.tokens
        # What stands before a piece's first token is of another document, or the row before.
        counted[begin + max(1, piece.prompt - piece.first) : end] = True
        owners[begin:end] = number
        begin = end
    spans = tuple(
        DocumentSpan(piece.id, (piece.first, piece.first + len(piece.tokens))) for piece in pieces
    )
    images = tuple(piece.image for piece in pieces)
    return Row(tokens, counted[1:], owners[:-1], spans, images)
