"""Planned rows through the engine and back, in document order.

All rows of a shard are one stream. The engine answers in any order, so a row that is complete waits
until those before it are. What waits is bounded: if too much does, behind a request that takes very
long, no more rows are planned until it is answered. So the output does not depend on timing.
"""

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from typing import Generic, Protocol, TypeVar

from corpusmill.stages.engines.contract import Completion, Request
from corpusmill.stages.synthesize.ledger import Ledger

Answers = Callable[[Iterator[Request]], Iterator[tuple[int, Completion]]]
_MOST_HELD = 64 << 20  # characters of complete rows that wait for rows before them


class Planned(Protocol):
    """What has requests: a row of `planned_rows`, or a page of `stages.ocr`.

    answers: place among `asked` -> answer. asked_starts: where the text of each request begins.
    size: characters that it holds in memory, about.
    """

    answers: dict[int, Completion]

    @property
    def asked(self) -> list[Request]: ...

    @property
    def asked_starts(self) -> list[int]: ...

    @property
    def is_complete(self) -> bool: ...

    @property
    def size(self) -> int: ...


RowT = TypeVar("RowT", bound=Planned)


def answered(
    planned: Iterator[Sequence[RowT]],
    answers: Answers,
    ledger: Ledger,
    most_held: int = _MOST_HELD,
) -> Iterator[RowT]:
    """The rows of `planned`, each with its answers, in the same order.

    planned: for each document its rows. Their requests go out by segment, so that those about the
    same text meet in the engine's prefix cache.
    answers: of an engine. It is not asked what the ledger knows, and the ledger learns the rest.
    """
    rows = _Rows(planned, ledger, most_held)
    while not rows.exhausted:
        for index, completion in answers(rows.requests()):
            rows.answer(index, completion)
            yield from rows.complete()
        yield from rows.complete()


class _Rows(Generic[RowT]):
    """Rows that are planned and not yet given out."""

    def __init__(self, planned: Iterator[Sequence[RowT]], ledger: Ledger, most_held: int) -> None:
        self._planned = planned
        self._ledger = ledger
        self._most_held = most_held
        self._held = 0  # characters of complete rows
        self._open: deque[RowT] = deque()
        self._asked: dict[int, tuple[RowT, int]] = {}  # request -> its row and place there
        self.exhausted = False

    def requests(self) -> Iterator[Request]:
        """The requests of the rows to come. It ends if too much waits. Then call it again."""
        index = 0
        while self._held < self._most_held:
            rows = next(self._planned, None)
            if rows is None:
                self.exhausted = True
                return
            self._open.extend(rows)
            self._held += sum(row.size for row in rows if row.is_complete)
            for row, place in _by_segment(rows):
                request = row.asked[place]
                known = self._ledger.get(request)
                if known is not None:
                    self._put(row, place, known)
                    continue
                self._asked[index] = (row, place)
                index += 1
                yield request

    def answer(self, index: int, completion: Completion) -> None:
        row, place = self._asked.pop(index)
        self._ledger.add(row.asked[place], completion)
        self._put(row, place, completion)

    def _put(self, row: RowT, place: int, completion: Completion) -> None:
        row.answers[place] = completion
        if row.is_complete:
            self._held += row.size

    def complete(self) -> Iterator[RowT]:
        """Give out the complete rows before the first one that is not."""
        while self._open and self._open[0].is_complete:
            row = self._open.popleft()
            self._held -= row.size
            yield row


def _by_segment(rows: Sequence[RowT]) -> list[tuple[RowT, int]]:
    """(row, place of a request in it), in the order of the segments' begin in the document."""
    asked = [(start, row, place) for row in rows for place, start in enumerate(row.asked_starts)]
    return [(row, place) for _, row, place in sorted(asked, key=lambda item: item[0])]
