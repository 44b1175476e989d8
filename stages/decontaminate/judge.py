"""From matching pieces to verdicts on items.

- **question_and_answer**: the question stands in the document, and the answer near it.
- **question**: the question alone.
- **answer**: the answer alone, if it is long. A short one, such as a name, says nothing.
- **passage**, **text**: a piece of it.

A match counts if enough of the item's bits match, in share and in number. Short items need a larger
share: from `share` at `sure_bits` it rises to all of them at `rare_bits`. With its answer, a short
question may reach bits that it has not alone. A question must also stand there with half of its
numbers.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from corpusmill.stages.decontaminate.index import Index
from corpusmill.stages.decontaminate.layouts import Role
from corpusmill.stages.decontaminate.scan import LEAST_SHARE, Document, Found, Matches
from corpusmill.stages.decontaminate.settings import DecontaminateSettings, Verdict

_CLOSE = 8  # words between a question and an answer that is too short to be sure of
_SURE_ANSWER = 12.0  # bits of an answer that may stand further away
_WHOLE = 0.999  # of float32 sums
_OTHERS: tuple[tuple[Verdict, Role], ...] = (
    ("question_and_answer", Role.WHOLE),
    ("answer", Role.ANSWER),
    ("text", Role.TEXT),
    ("passage", Role.PASSAGE),
)


@dataclass(frozen=True)
class Hit:
    """An item in a document. spans: begin and end, in bytes."""

    set: str
    item: str
    verdict: Verdict
    share: float
    bits: float
    spans: tuple[tuple[int, int], ...]

    def row(self) -> dict[str, Any]:
        """As a row of the column `contamination`."""
        spans = [{"start": begin, "length": end - begin} for begin, end in self.spans]
        return {**vars(self), "spans": spans}


def hits_of(
    settings: DecontaminateSettings, index: Index, matches: Matches, rows: range, text: bytes
) -> Iterator[Hit]:
    """The items in one document, by their numbers. rows: those of its matches."""
    by_item: dict[int, dict[int, list[Found]]] = {}
    for row in rows:
        piece = int(matches.piece[row])
        found = Found(
            int(matches.begin[row]),
            int(matches.end[row]),
            int(matches.first[row]),
            int(matches.last[row]),
            float(matches.bits[row]),
        )
        by_item.setdefault(int(index.piece_item[piece]), {}).setdefault(piece, []).append(found)
    document: Document | None = None
    for item, pieces in sorted(by_item.items()):
        name, identity = index.items[item]
        judged = _Judged(settings, index, item, pieces)
        asked = judged.part(judged.pieces(Role.QUESTION))
        hit = None
        if asked is not None and judged.may_be_enough(asked):
            document = document or Document(index, text)
            hit = judged.question(judged.completed(asked, document), document)
        for verdict, role in _OTHERS:
            hit = hit or judged.best(verdict, role)
        if hit is not None:
            yield Hit(name, identity, *hit)


_Verdict = tuple[Any, float, float, tuple[tuple[int, int], ...]]


@dataclass(frozen=True)
class _Part:
    """What of a part stands in the document: its bits, those that match, and where."""

    bits: float
    matched: float
    found: tuple[Found, ...]

    @property
    def spans(self) -> tuple[tuple[int, int], ...]:
        return tuple(sorted((piece.begin, piece.end) for piece in self.found))


@dataclass(frozen=True)
class _Judged:
    """One item and its pieces in one document."""

    settings: DecontaminateSettings
    index: Index
    item: int
    found: dict[int, list[Found]]

    def pieces(self, role: Role) -> list[int]:
        return [int(piece) for piece in self.index.pieces_of(self.item, role)]

    def part(self, pieces: list[int]) -> _Part | None:
        """These pieces together, each at its best; all their places are kept. None if the
        document has none of them.
        """
        there = [piece for piece in pieces if piece in self.found]
        if not there:
            return None
        bits = float(self.index.piece_bits[pieces].sum())
        matched = sum(max(place.bits for place in self.found[piece]) for piece in there)
        return _Part(bits, matched, tuple(p for piece in there for p in self.found[piece]))

    def _alone(self, verdict: Verdict, part: _Part) -> _Verdict | None:
        """The verdict on a part without any other."""
        if not self._enough(part.matched, part.bits):
            return None
        return verdict, part.matched / part.bits, part.matched, part.spans

    def completed(self, question: _Part, document: Document) -> _Part:
        """The question with those of its pieces that have no seeds and stand around the others."""
        missing = [piece for piece in self.pieces(Role.QUESTION) if piece not in self.found]
        if not missing:
            return question
        sizes = np.diff(self.index.piece_offsets)[self.pieces(Role.QUESTION)]
        around = int(sizes.sum()) + _CLOSE
        first = min(place.first for place in question.found) - around
        last = max(place.last for place in question.found) + around
        near = [document.find(piece, first, last) for piece in missing]
        found = [
            place
            for piece, place in zip(missing, near, strict=True)
            if place is not None and place.bits >= LEAST_SHARE * self.index.piece_bits[piece]
        ]
        matched = question.matched + sum(place.bits for place in found)
        return _Part(question.bits, matched, (*question.found, *found))

    def may_be_enough(self, question: _Part) -> bool:
        """Whether the question, with all that has no seeds and may yet be found, can count."""
        answers = [float(self.index.piece_bits[pieces].sum()) for pieces in self._answers()]
        unseen = [piece for piece in self.pieces(Role.QUESTION) if piece not in self.found]
        matched = question.matched + float(self.index.piece_bits[unseen].sum())
        return any(self._enough(matched + bits, question.bits + bits) for bits in (0.0, *answers))

    def question(self, question: _Part, document: Document) -> _Verdict | None:
        """The verdict on a question: with the first of its answers that is near it, or alone."""
        first = min(place.first for place in question.found)
        ends = {place.last for place in question.found}
        if not document.has_numbers(self.pieces(Role.QUESTION), first, max(ends)):
            return None
        for answer in self._answers():
            near = [found for end in sorted(ends) if (found := self._near(answer, end, document))]
            if not near:
                continue
            best = max(near, key=lambda part: part.matched)
            bits, matched = question.bits + best.bits, question.matched + best.matched
            if self._enough(matched, bits):
                answers = (span for part in near for span in part.spans)
                spans = tuple(sorted({*question.spans, *answers}))
                return "question_and_answer", matched / bits, matched, spans
        return self._alone("question", question)

    def best(self, verdict: Verdict, role: Role) -> _Verdict | None:
        """The verdict on an answer, or on any piece of a passage or a text."""
        if role == Role.ANSWER:
            groups = self._answers()
        else:
            groups = [[piece] for piece in self.pieces(role)]
        hits = [
            hit
            for group in groups
            if (part := self.part(group)) is not None
            and (role != Role.ANSWER or part.matched >= self.settings.sure_bits)
            and (hit := self._alone(verdict, part)) is not None
        ]
        if not hits:
            return None
        _, share, bits, _ = max(hits, key=lambda hit: hit[2])
        return verdict, share, bits, tuple(sorted({span for hit in hits for span in hit[3]}))

    def _answers(self) -> list[list[int]]:
        """The pieces of each right answer."""
        pieces = self.index.pieces_of(self.item, Role.ANSWER)
        parts = self.index.piece_part[pieces]
        return [pieces[parts == part].tolist() for part in np.unique(parts)]

    def _near(self, answer: list[int], last: int, document: Document) -> _Part | None:
        """The answer behind a question that ends with the word `last`. None if it is not there."""
        bits = float(self.index.piece_bits[answer].sum())
        words = int(np.diff(self.index.piece_offsets)[answer].sum())
        room = self.settings.answer_words if bits >= _SURE_ANSWER else _CLOSE
        at = last + 1
        near = [document.find(piece, at, at + room + words + words // 4) for piece in answer]
        places = tuple(place for place in near if place is not None)
        matched = sum(place.bits for place in places)
        if not places or matched < bits * self._share_of(bits):
            return None
        return _Part(bits, matched, places)

    def _enough(self, matched: float, bits: float) -> bool:
        return matched >= self.settings.rare_bits and matched >= bits * self._share_of(bits)

    def _share_of(self, bits: float) -> float:
        """The share that a part of so many bits needs."""
        low, high, share = self.settings.rare_bits, self.settings.sure_bits, self.settings.share
        if bits >= high:
            return share
        return min(_WHOLE, 1.0 - (1.0 - share) * (bits - low) / (high - low))
