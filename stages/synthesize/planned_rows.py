"""Planned rows: the requests that a document needs under a prompt, and what the answers become.

A planned row is the unit of the synthesis account. A prompt that joins segments plans one row for
each document and sample. A prompt about two documents plans one row for each pair and sample. Any
other prompt plans one row for each segment and sample. Every planned row ends as a synthetic
document, or as an exclusion with its reason. Both carry the full lineage: parent, span, prompt,
model, sampling, seed.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import pyarrow as pa
from corpusmill.manifests.errors import RecipeError
from corpusmill.manifests.schema import LINKED, LINKED_PARENT, extended, seed_for, synthetic_id
from corpusmill.prompts.loader import Order, Prompt
from corpusmill.stages.engines.chat import ChatTokenizer
from corpusmill.stages.engines.contract import Completion, Request
from corpusmill.stages.engines.reasoning import without_reasoning
from corpusmill.stages.synthesize.pair_segments import pair_segments
from corpusmill.stages.synthesize.postfilters import Context, Rejection, clean, excerpt
from corpusmill.stages.synthesize.postfilters.degenerate import shared_words
from corpusmill.stages.synthesize.postfilters.result import JOINT
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
        least = max(_LEAST_ROOM, prompt.limits.min_segment_tokens)
        if room < least * (2 if prompt.about_two else 1):
            raise RecipeError(
                f"prompt {prompt.name} leaves no room for text: it takes {overhead} of "
                f"{self.input_limit(prompt)} input tokens",
                "use an engine with a longer context, route another prompt, or raise the "
                "prompt's limits",
            )
        self._rooms[prompt.digest] = room
        return room

    def plan(self, document: Mapping[str, Any], prompts: Sequence[Prompt]) -> Iterator[PlannedRow]:
        """The rows that `document` gets under each of the prompts.

        A document in a pair gets the prompts about two, and another one gets the others.
        """
        linked = document.get(LINKED.name)
        prompts = [prompt for prompt in prompts if prompt.about_two == bool(linked)]
        if linked:
            pairs = [row for prompt in prompts for row in self._pair_rows(document, prompt)]
            yield from (replace(row, is_first=not place) for place, row in enumerate(pairs))
            return
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

    def _pair_rows(self, document: Mapping[str, Any], prompt: Prompt) -> Iterator[PlannedRow]:
        """The rows of a prompt about a document and one that it links to: one for each sample."""
        texts = [document["text"] or "", document[LINKED.name]["text"] or ""]
        cut = _Cut([], {}, set())
        pieces = pair_segments(
            texts,
            self.room(prompt),
            self.tokenizer,
            lambda first, second: self._excess(prompt, first, cut, second),
        )
        first, second = (
            text[piece.start : piece.end] for text, piece in zip(texts, pieces, strict=True)
        )
        rejection = _too_short_pair(texts, pieces, prompt)
        if rejection is None and (prompt.name, first) in cut.left_out:
            rejection = Rejection("not_in_prompt", excerpt(first))
        for sample in range(self.samples):
            name = f"{document['id']} {document[LINKED.name]['id']}"
            seed = seed_for(name, prompt.name, sample, self.seed) & _SEED_BITS
            requests = []
            if rejection is None:
                ids = cut.rendered[prompt.name, first]
                requests.append(self._request(prompt, ids, first, pieces[0], seed, second))
            row = (document, prompt, sample, seed, pieces[:1], requests, rejection, pieces[1])
            yield PlannedRow(*row)

    def _cut(self, text: str, starts: list[int], prompts: Sequence[Prompt]) -> "_Cut":
        """The segments of a text that fit all of these prompts, and their requests' token ids."""
        cut = _Cut([], {}, set())

        def excess(inner: str) -> int:
            return max(self._excess(prompt, inner, cut) for prompt in prompts)

        room = min(map(self.room, prompts))
        return replace(cut, segments=segment(text, room, self.tokenizer, excess, starts))

    def _excess(self, prompt: Prompt, inner: str, cut: "_Cut", linked: str = "") -> int:
        """How many tokens too many the prompt of this segment has. It is rendered into `cut`.

        linked: the segment of the linked document.
        """
        defused, other = self.tokenizer.defuse(inner), self.tokenizer.defuse(linked)
        whole = self.tokenizer.render(self._chat(prompt, defused, other))
        # A template may cut texts at marks of its own.
        if defused not in whole or other not in whole:
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

    def _chat(self, prompt: Prompt, inner: str, linked: str = "") -> list[dict[str, str]]:
        return prompt.messages(inner, self.order, linked)

    def _request(
        self,
        prompt: Prompt,
        ids: list[int],
        inner: str,
        piece: Segment,
        seed: int,
        linked: str = "",
    ) -> Request | None:
        if piece.n_tokens < prompt.limits.min_segment_tokens:
            return None
        room = prompt.limits.max_output_tokens if self.context is None else self.context - len(ids)
        defused = [self.tokenizer.defuse(part) for part in (inner, linked)]
        return Request(
            token_ids=tuple(ids),
            messages=tuple(self.tokenizer.messages(self._chat(prompt, *defused))),
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
        row["shared_words"] = shared_words(text, planned.passage)
        row["lineage"]["finish_reason"] = "stop"  # of the segments that are in the row
        return Finished(row, n_tokens)

    def _cleaned(self, planned: PlannedRow) -> tuple[list[str], list[Rejection], int]:
        """(usable answers, rejections of the others, source tokens that usable answers cover)."""
        answers = iter(planned.replies)
        kept: list[str] = []
        lost: list[Rejection] = []
        covered = 0
        for piece, request in zip(planned.segments, planned.requests, strict=True):
            if request is None:
                continue
            answer = next(answers)
            parts, n_tokens = planned.parts(piece.start, piece.end), planned.n_tokens(piece)
            result = usable(answer, planned.prompt, parts, n_tokens, request.seed)
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
        parents, linked = document["id"], None
        if planned.linked:
            piece, other = planned.linked, document[LINKED.name]["id"]
            linked = {"parent": other, "start": piece.start, "end": piece.end}
            parents = f"{document['id']} {other} {piece.start} {piece.end}"
        return {
            "id": synthetic_id(parents, start, end, prompt.digest, model, sampling, planned.sample),
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
            LINKED_PARENT.name: linked,
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
    answer: Completion, prompt: Prompt, parts: Sequence[str], n_tokens: int, seed: int
) -> str | Rejection:
    """The answer after the prompt's post-filters, or why there is none.

    parts: the passage that was asked about, or two of them; with so many tokens. seed: of the
    request.
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
    return clean(text, prompt, Context.of(prompt, parts, n_tokens, seed))


def _all_too_short(
    requests: Sequence[Request | None], segments: Sequence[Segment], prompt: Prompt
) -> Rejection | None:
    if any(requests):
        return None
    longest = max(piece.n_tokens for piece in segments)
    return Rejection(
        "segment_too_short", f"n_tokens={longest} < {prompt.limits.min_segment_tokens}"
    )


def _too_short_pair(
    texts: Sequence[str], pieces: Sequence[Segment], prompt: Prompt
) -> Rejection | None:
    """Why a pair is not asked about: a document, or what fits of it, is too short."""
    for text, piece in zip(texts, pieces, strict=True):
        whole = not text[piece.end :].strip()
        # A whole document is a segment too, and needs the tokens of both.
        least = max(_least(prompt) if whole else 1, prompt.limits.min_segment_tokens)
        if piece.n_tokens < least:
            what = "document" if whole else "segment"
            detail = f"n_tokens={piece.n_tokens} < {least}"
            return Rejection(f"{what}_too_short", detail)
    return None


def _worst(answers: Sequence[Completion]) -> str:
    reasons = {answer.finish_reason for answer in answers}
    return next(reason for reason in ("error", "length", "stop") if reason in reasons)
