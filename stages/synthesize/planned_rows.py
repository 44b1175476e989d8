"""Planned rows: the requests that a document needs under a prompt, and what the answers become.

A planned row is the unit of the synthesis account. A prompt that joins segments plans one row for
each document and sample. Any other prompt plans one row for each segment and sample. Every planned
row ends as a synthetic document, or as an exclusion with its reason. Both carry the full lineage:
parent, span, prompt, model, sampling, seed.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import pyarrow as pa
from corpusmill.manifests.errors import RecipeError
from corpusmill.manifests.schema import extended, seed_for, synthetic_id
from corpusmill.prompts.loader import Order, Prompt
from corpusmill.stages.engines.chat import ChatTokenizer
from corpusmill.stages.engines.contract import Completion, Request
from corpusmill.stages.engines.reasoning import without_reasoning
from corpusmill.stages.synthesize.postfilters import Context, Rejection, clean, excerpt
from corpusmill.stages.synthesize.postfilters.degenerate import shared_words
from corpusmill.stages.synthesize.segments import Segment, segment

SCHEMA = extended(
    pa.field("prompt_tokens", pa.int32()),  # of all requests of the row, as the engine counts
    pa.field("output_tokens", pa.int32()),  # generated for the row, before the post-filters
    pa.field("segments", pa.int32()),  # of which the row is made
    # Segments without a usable answer, for prompts that join segments.
    pa.field("segments_lost", pa.int32()),
    # Share of the row's long words that its passage has (`postfilters.degenerate.shared_words`).
    pa.field("shared_words", pa.float32()),
)
INHERITED = ("url", "source", "date", "language", "language_score", "quality", "level")
_SEED_BITS = 0x7FFFFFFF  # every server accepts such a seed
_ROW_SIZE = 2000  # of a row without texts, in bytes, about
_LEAST_ROOM = 32  # tokens that a prompt must leave for the segment


@dataclass
class PlannedRow:
    """requests: one for each segment, None if the segment is too short. rejection: a reason that
    is known before any request. is_first: among the rows of its document. answers: place among the
    requests that are asked -> answer.
    """

    document: Mapping[str, Any]
    prompt: Prompt
    sample: int
    seed: int
    segments: Sequence[Segment]
    requests: Sequence[Request | None] = ()
    rejection: Rejection | None = None
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
        return _ROW_SIZE + end - start + sum(len(answer.text) for answer in self.answers.values())

    @property
    def span(self) -> tuple[int, int]:
        if not self.segments:
            return 0, len(self.document["text"] or "")
        return self.segments[0].start, self.segments[-1].end


@dataclass(frozen=True)
class Finished:
    """row: the columns of `SCHEMA`. text_tokens: engine tokens of its text. rejection: why the row
    is excluded, or None.
    """

    row: dict[str, Any]
    text_tokens: int = 0
    rejection: Rejection | None = None


@dataclass(frozen=True)
class Planner:
    """Plans the rows of documents, and finishes them with their answers.

    context: tokens of prompt and answer together that the engine allows. samples: rows for each
    segment (or document). order: of document and instruction. If the document comes first, all
    prompts of a document get the same segments, so that their requests begin alike. forces_schema:
    whether a request about a rubric names the JSON Schema of its answer.
    """

    tokenizer: ChatTokenizer
    context: int | None
    samples: int
    seed: int
    order: Order = "instruction_first"
    forces_schema: bool = True
    _rooms: dict[str, int] = field(default_factory=dict, repr=False, compare=False)

    def input_limit(self, prompt: Prompt) -> int:
        """Tokens that prompt and segment may have.

        If input and output limit exceed the context, both shrink in proportion.
        """
        asked, answered = prompt.limits.max_input_tokens, prompt.limits.max_output_tokens
        if self.context is None or asked + answered <= self.context:
            return asked
        return self.context * asked // (asked + answered)

    def room(self, prompt: Prompt) -> int:
        """Tokens left for a segment. Raises RecipeError if the prompt alone fills the context."""
        if prompt.digest in self._rooms:
            return self._rooms[prompt.digest]
        overhead = len(self.tokenizer.prompt_ids([self._chat(prompt, "")])[0])
        room = self.input_limit(prompt) - overhead
        if room < max(_LEAST_ROOM, prompt.limits.min_segment_tokens):
            raise RecipeError(
                f"prompt {prompt.name} leaves no room for text: it takes {overhead} of "
                f"{self.input_limit(prompt)} input tokens",
                "use an engine with a longer context, route another prompt, or raise the "
                "prompt's limits",
            )
        self._rooms[prompt.digest] = room
        return room

    def plan(self, document: Mapping[str, Any], prompts: Sequence[Prompt]) -> Iterator[PlannedRow]:
        """The rows that `document` gets under each of the prompts."""
        text = document["text"] or ""
        starts = self.tokenizer.starts(text)  # once for all prompts
        together = [prompts] if self.order == "document_first" else [[each] for each in prompts]
        is_first = True
        for group in together:
            asked = [each for each in group if text.strip() and len(starts) >= _least(each)]
            cut = self._cut(text, starts, asked) if asked else None
            for prompt in group:
                for row in self._rows(document, prompt, cut if prompt in asked else None, starts):
                    row.is_first, is_first = is_first, False
                    yield row

    def _cut(self, text: str, starts: list[int], prompts: Sequence[Prompt]) -> "_Cut":
        """The segments of a text that fit all of these prompts, and their requests' token ids."""
        cut = _Cut([], {}, set())

        def excess(inner: str) -> int:
            return max(self._excess(prompt, inner, cut) for prompt in prompts)

        room = min(map(self.room, prompts))
        return replace(cut, segments=segment(text, room, self.tokenizer, excess, starts))

    def _excess(self, prompt: Prompt, inner: str, cut: "_Cut") -> int:
        """How many tokens too many the prompt of this segment has. It is rendered into `cut`."""
        defused = self.tokenizer.defuse(inner)
        whole = self.tokenizer.render(self._chat(prompt, defused))
        # A template may cut texts at marks of its own.
        if defused not in whole:
            cut.left_out.add((prompt.name, inner))
        ids = self.tokenizer.rendered_ids([whole])[0]
        cut.rendered[prompt.name, inner] = ids
        return len(ids) - self.input_limit(prompt)

    def _rows(
        self,
        document: Mapping[str, Any],
        prompt: Prompt,
        cut: "_Cut | None",
        starts: Sequence[int],
    ) -> Iterator[PlannedRow]:
        """The rows of one prompt. cut: None if the document is too short for it."""
        for sample in range(self.samples):
            seed = seed_for(document["id"], prompt.name, sample, self.seed) & _SEED_BITS
            if cut is None:
                detail = f"n_tokens={len(starts)} < {_least(prompt)}"
                too_short = Rejection("document_too_short", detail)
                yield PlannedRow(document, prompt, sample, seed, (), rejection=too_short)
                continue
            # A joined row has all segments, another row has one.
            shares = [cut.segments] if prompt.join_segments else [[piece] for piece in cut.segments]
            for number, pieces in enumerate(shares):
                first = (seed + number) & _SEED_BITS
                inner = [document["text"][piece.start : piece.end] for piece in pieces]
                requests = [
                    self._request(
                        prompt,
                        cut.rendered[prompt.name, part],
                        part,
                        piece,
                        (first + place) & _SEED_BITS,
                    )
                    for place, (part, piece) in enumerate(zip(inner, pieces, strict=True))
                ]
                rejection = _all_too_short(requests, pieces, prompt)
                if any((prompt.name, part) in cut.left_out for part in inner):
                    requests = []
                    rejection = Rejection("not_in_prompt", excerpt(inner[0]))
                yield PlannedRow(document, prompt, sample, first, pieces, requests, rejection)

    def _chat(self, prompt: Prompt, inner: str) -> list[dict[str, str]]:
        return prompt.messages(inner, self.order)

    def _request(
        self, prompt: Prompt, ids: list[int], inner: str, piece: Segment, seed: int
    ) -> Request | None:
        if piece.n_tokens < prompt.limits.min_segment_tokens:
            return None
        room = prompt.limits.max_output_tokens if self.context is None else self.context - len(ids)
        return Request(
            token_ids=tuple(ids),
            messages=tuple(
                self.tokenizer.messages(self._chat(prompt, self.tokenizer.defuse(inner)))
            ),
            max_tokens=min(prompt.limits.max_output_tokens, room),
            temperature=prompt.sampling.temperature,
            top_p=prompt.sampling.top_p,
            seed=seed,
            stop=prompt.stop,
            schema=prompt.answer_schema if self.forces_schema else "",
        )

    def finish(self, planned: PlannedRow, model: str, least_covered: float) -> Finished:
        """The planned row with its answers, as a finished row.

        model: the engine's identity. least_covered: share of a joined document's tokens that
        usable answers must cover.
        """
        row = self._row(planned, model)
        if planned.rejection:
            return Finished(row, rejection=planned.rejection)
        row["prompt_tokens"] = sum(
            answer.n_prompt_tokens or len(request.token_ids)
            for answer, request in zip(planned.replies, planned.asked, strict=True)
        )
        row["output_tokens"] = sum(answer.n_output_tokens for answer in planned.replies)
        row["lineage"]["finish_reason"] = _worst(planned.replies)
        row["text"] = "\n\n".join(answer.text for answer in planned.replies)
        kept, lost, covered = self._cleaned(planned)
        row["segments_lost"] = len(planned.segments) - len(kept)
        if lost and (
            not kept or covered < least_covered * sum(piece.n_tokens for piece in planned.segments)
        ):
            return Finished(row, rejection=lost[0])
        text = "\n\n".join(kept)
        n_tokens = self.tokenizer.count([text])[0]
        least = planned.prompt.limits.min_output_tokens
        if n_tokens < least:
            detail = f"n_tokens={n_tokens} < {least}: {excerpt(text)}"
            return Finished(row, rejection=Rejection("output_too_short", detail))
        row["text"] = text
        start, end = planned.span
        row["shared_words"] = shared_words(text, planned.document["text"][start:end])
        row["lineage"]["finish_reason"] = "stop"  # of the segments that are in the row
        return Finished(row, n_tokens)

    def _cleaned(self, planned: PlannedRow) -> tuple[list[str], list[Rejection], int]:
        """(usable answers, rejections of the others, source tokens that usable answers cover)."""
        text, answers = planned.document["text"], iter(planned.replies)
        kept: list[str] = []
        lost: list[Rejection] = []
        covered = 0
        for piece, request in zip(planned.segments, planned.requests, strict=True):
            if request is None:
                continue
            answer = next(answers)
            passage = text[piece.start : piece.end]
            result = usable(answer, planned.prompt, passage, piece.n_tokens, request.seed)
            if isinstance(result, Rejection):
                lost.append(result)
            else:
                kept.append(result)
                covered += piece.n_tokens
        return kept, lost, covered

    def _row(self, planned: PlannedRow, model: str) -> dict[str, Any]:
        prompt, document = planned.prompt, planned.document
        start, end = planned.span
        sampling = json.dumps(
            {
                "max_tokens": prompt.limits.max_output_tokens,
                "seed": self.seed,
                "temperature": prompt.sampling.temperature,
                "top_p": prompt.sampling.top_p,
                **({"order": self.order} if self.order != "instruction_first" else {}),
            }
        )
        return {
            "id": synthetic_id(
                document["id"], start, end, prompt.digest, model, sampling, planned.sample
            ),
            **{name: document[name] for name in INHERITED},
            "kind": "synthetic",
            "prompt": prompt.name,
            "lineage": {
                "parent": document["id"],
                "start": start,
                "end": end,
                "prompt_hash": prompt.digest,
                "model": model,
                "sampling": sampling,
                "seed": planned.seed,
                "sample": planned.sample,
                "finish_reason": None,
            },
            "segments": len(planned.segments),
        }


@dataclass(frozen=True)
class _Cut:
    """Segments of a document for some prompts. rendered: (prompt, segment) -> token ids of the
    request. left_out: of these the chat template drops the segment.
    """

    segments: list[Segment]
    rendered: dict[tuple[str, str], list[int]]
    left_out: set[tuple[str, str]]


def _least(prompt: Prompt) -> int:
    """Tokens that a document must have."""
    return max(1, prompt.limits.min_document_tokens)


def usable(
    answer: Completion, prompt: Prompt, passage: str, n_tokens: int, seed: int
) -> str | Rejection:
    """The answer after the prompt's post-filters, or why there is none.

    passage: what was asked about, with so many tokens. seed: of the request.
    """
    if answer.finish_reason == "error":
        return Rejection("request", answer.error, failed=True)
    if answer.finish_reason == "length":
        return Rejection(
            "cut_off", f"output_tokens={answer.n_output_tokens}: {excerpt(answer.text)}"
        )
    text = without_reasoning(answer.text)
    if text is None:
        return Rejection("reasoning", excerpt(answer.text))
    return clean(text, prompt, Context.of(prompt, passage, n_tokens, seed))


def _all_too_short(
    requests: Sequence[Request | None], segments: Sequence[Segment], prompt: Prompt
) -> Rejection | None:
    if any(requests):
        return None
    longest = max(piece.n_tokens for piece in segments)
    return Rejection(
        "segment_too_short", f"n_tokens={longest} < {prompt.limits.min_segment_tokens}"
    )


def _worst(answers: Sequence[Completion]) -> str:
    reasons = {answer.finish_reason for answer in answers}
    return next(reason for reason in ("error", "length", "stop") if reason in reasons)
