"""Planned rows: the requests that a document needs under a prompt, and their answers.

A planned row is the unit of the synthesis account. A prompt that joins segments plans one row for
each document and sample. A prompt about two documents plans one row for each pair and sample. Any
other prompt plans one row for each segment and sample. `planner` plans rows, and `finished_rows`
makes of each a synthetic document, or an exclusion with its reason.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from corpusmill.prompts.loader import Prompt
from corpusmill.stages.engines.contract import Completion, Request
from corpusmill.stages.synthesize.postfilters import Rejection
from corpusmill.stages.synthesize.postfilters.result import JOINT
from corpusmill.stages.synthesize.segments import Segment

_ROW_SIZE = 2000  # of a row without texts, in bytes, about


@dataclass
class PlannedRow:
    """requests: one for each segment, None if the segment is too short. rejection: a reason that
    is known before any request. linked: the segment of the linked document, of a prompt about two.
    is_first: among the rows of its document. answers: place among the requests that are asked ->
    answer.
    """

    document: Mapping[str, Any]
    prompt: Prompt
    sample: int
    seed: int
    segments: Sequence[Segment]
    requests: Sequence[Request | None] = ()
    rejection: Rejection | None = None
    linked: Segment | None = None
    is_first: bool = False
    answers: dict[int, Completion] = field(default_factory=dict)

    @cached_property
    def asked(self) -> list[Request]:
        return [request for request in self.requests if request is not None]

    @property
    def asked_starts(self) -> list[int]:
        """Where the segment of each request that is asked begins in the document."""
        return [
            piece.start
            for piece, request in zip(self.segments, self.requests, strict=False)
            if request is not None
        ]

    @property
    def is_complete(self) -> bool:
        return len(self.answers) == len(self.asked)

    @property
    def replies(self) -> list[Completion]:
        """The answers of a complete row, in the order of its requests."""
        return [self.answers[place] for place in range(len(self.answers))]

    @property
    def size(self) -> int:
        """Characters that the row holds in memory, about."""
        start, end = self.span
        linked = self.linked.end - self.linked.start if self.linked else 0
        answers = sum(len(answer.text) for answer in self.answers.values())
        return _ROW_SIZE + end - start + linked + answers

    @property
    def span(self) -> tuple[int, int]:
        if not self.segments:
            return 0, len(self.document["text"] or "")
        return self.segments[0].start, self.segments[-1].end

    def parts(self, start: int, end: int) -> list[str]:
        """The passages of a request about this span: one, or those of two documents."""
        parts = [self.document["text"][start:end]]
        if self.linked:
            parts.append(self.document["linked"]["text"][self.linked.start : self.linked.end])
        return parts

    @property
    def passage(self) -> str:
        """All that the row was asked about."""
        return JOINT.join(self.parts(*self.span))

    def n_tokens(self, piece: Segment) -> int:
        """Tokens of the passages of the request about this segment."""
        return piece.n_tokens + (self.linked.n_tokens if self.linked else 0)
