"""From candidates to spans: what is personal data, where it is, and which of two overlapping spans
counts.
"""

from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence
from typing import Literal, NamedTuple

import numpy as np
import pyarrow as pa
from corpusmill.stages.columns.strings import chunks_of
from corpusmill.stages.redact import addresses, numbers, phone
from corpusmill.stages.redact.folding import folded
from corpusmill.stages.redact.national_ids import national_id_spans
from corpusmill.stages.redact.national_kinds import NATIONAL_IDS, NationalIdName
from numpy.typing import NDArray

Kind = Literal["email", "ip", "phone", "card", "iban", "national_id"]
# In the order of the kernel's numbers for kinds.
KINDS: tuple[Kind, ...] = ("email", "ip", "phone", "card", "iban", "national_id")
# If two overlap, the kind with less risk of error wins. It has the lower rank.
_RANK: dict[Kind, int] = {
    "email": 0, "iban": 1, "national_id": 2, "card": 3, "ip": 4, "phone": 5
}  # fmt: skip
_LINE = 256  # at most so many bytes around a candidate are read; no rule needs more


class Span(NamedTuple):
    """Bytes `begin` to `end` of a text's UTF-8 are personal data of a kind."""

    kind: Kind
    begin: int
    end: int


class Chunk(NamedTuple):
    """A chunk of a string column: its bytes, where each text begins, and the spans by text, as
    places in `data`. Texts without spans are left out.
    """

    data: NDArray[np.uint8]
    offsets: NDArray[np.int64]
    spans: dict[int, list[Span]]


def find_in_column(
    texts: pa.ChunkedArray,
    kinds: Collection[Kind] = KINDS,
    languages: Sequence[str | None] | None = None,
    national_ids: Collection[NationalIdName] = tuple(NATIONAL_IDS),
) -> Iterable[Chunk]:
    """The spans of every text, chunk by chunk. languages: of each text, null if unknown; telephone
    and national numbers use them. national_ids: those to look for.
    """
    from corpusmill.stages.redact.candidates import find_candidates, room_for

    first = 0
    for strings in chunks_of(texts):
        text = folded(strings)
        data, offsets = text.strings
        # The system does not provide memory that no candidate reaches.
        size = room_for(int(offsets[-1] - offsets[0]))
        found = (
            np.empty(size, np.uint8),
            np.empty(size, np.int64),
            np.empty(size, np.int64),
            np.empty(size, np.int64),
        )
        count = find_candidates(data, offsets, *found)
        spans: dict[int, list[Span]] = defaultdict(list)
        phone_before = -1  # the end of the telephone number found last
        whole = data.data
        for number, row, begin, end in zip(
            *(column[:count].tolist() for column in found), strict=True
        ):
            kind = KINDS[number]
            if kind in kinds:
                language = languages[first + row] if languages is not None else None
                where = whole, int(offsets[row]), int(offsets[row + 1])
                if kind == "national_id":
                    spans[row] += _national(*where, begin, end, language, national_ids)
                    continue
                if kind == "iban":
                    spans[row] += _ibans(*where, begin, end)
                    continue
                span = _verified(*where, kind, begin, end, language, phone_before)
                if span:
                    spans[row].append(span)
                    phone_before = span.end if kind == "phone" else phone_before
        found_in = {row: without_overlaps(items) for row, items in spans.items() if items}
        if text.ends.size:
            found_in = {
                row: [Span(kind, text.place(begin), text.place(end)) for kind, begin, end in items]
                for row, items in found_in.items()
            }
        yield Chunk(*strings, found_in)
        first += offsets.size - 1


def find(
    text: str,
    kinds: Collection[Kind] = KINDS,
    language: str | None = None,
    national_ids: Collection[NationalIdName] = tuple(NATIONAL_IDS),
) -> list[Span]:
    """The spans of one text, as places in its UTF-8 bytes."""
    column = pa.chunked_array([pa.array([text], pa.string())])
    (chunk,) = find_in_column(column, kinds, [language], national_ids)
    return chunk.spans.get(0, [])


def without_overlaps(spans: Sequence[Span]) -> list[Span]:
    """The spans in their order, without overlaps. Of two that overlap, the kind of lower rank
    stays, then the longer.
    """
    kept: list[Span] = []
    for span in sorted(
        spans, key=lambda span: (_RANK[span.kind], span.begin - span.end, span.begin)
    ):
        if all(span.end <= other.begin or other.end <= span.begin for other in kept):
            kept.append(span)
    return sorted(kept, key=lambda span: span.begin)


def _national(
    whole: memoryview,
    first: int,
    last: int,
    begin: int,
    end: int,
    language: str | None,
    names: Collection[NationalIdName],
) -> list[Span]:
    """The national numbers at bytes `begin` to `end` of the text `first` to `last`."""
    reach = max(first, begin - _LINE)
    window = bytes(whole[reach : min(last, end + _LINE)])
    places = national_id_spans(window, begin - reach, end - reach, language, names)
    return [Span("national_id", reach + start, reach + stop) for start, stop in places]


def _ibans(whole: memoryview, first: int, last: int, begin: int, end: int) -> list[Span]:
    """The IBANs that begin at bytes `begin` to `end` of the text `first` to `last`."""
    window = bytes(whole[begin : min(last, end + _LINE)])
    places = numbers.iban_spans(window, end - begin)
    return [Span("iban", begin + start, begin + stop) for start, stop in places]


def _verified(
    whole: memoryview,
    first: int,
    last: int,
    kind: Kind,
    begin: int,
    end: int,
    language: str | None,
    phone_before: int,
) -> Span | None:
    """The span of a candidate at bytes `begin` to `end` of the text `first` to `last`; None if it
    is no personal data.
    """
    reach = max(first, begin - _LINE)
    window = bytes(whole[reach : min(last, end + _LINE)])
    at, after = begin - reach, end - reach
    line = window.rfind(b"\n", 0, at) + 1
    line_end = window.find(b"\n", after)
    line_end = len(window) if line_end < 0 else line_end
    span: tuple[int, int] | None = (at, after)
    if kind == "email":
        span = addresses.email_span(window, line, line_end, at, after)
    elif kind == "ip":
        span = span if addresses.is_public_ip(window, line, at, after) else None
    elif kind == "phone":
        follows_phone = (
            phone_before > reach
            and phone.JOINED.fullmatch(window, phone_before - reach, at) is not None
        )
        span = phone.phone_span(window, line, at, after, language, follows_phone)
    elif not numbers.is_card(window, line, at, after, line_end):
        span = None
    return Span(kind, reach + span[0], reach + span[1]) if span else None
