"""The planner: which segments a document gets under a prompt, and their requests."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from corpusmill.manifests.errors import RecipeError
from corpusmill.manifests.schema import LINKED, seed_for
from corpusmill.prompts.loader import Order, Prompt
from corpusmill.stages.engines.chat import ChatTokenizer
from corpusmill.stages.engines.contract import Request
from corpusmill.stages.synthesize.finished_rows import Finished, finish
from corpusmill.stages.synthesize.pair_segments import pair_segments
from corpusmill.stages.synthesize.planned_rows import PlannedRow
from corpusmill.stages.synthesize.postfilters import Rejection, excerpt
from corpusmill.stages.synthesize.segments import Segment, segment

_SEED_BITS = 0x7FFFFFFF  # every server accepts such a seed
_LEAST_ROOM = 32  # tokens that a prompt must leave for the segment


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
        """The planned row with its answers, as a finished row: see `finished_rows.finish`."""
        sampling = self._sampling(planned.prompt)
        return finish(planned, model, least_covered, self.tokenizer, sampling)

    def _sampling(self, prompt: Prompt) -> str:
        """How the engine draws, as the lineage names it."""
        return json.dumps(
            {
                "max_tokens": prompt.limits.max_output_tokens,
                "seed": self.seed,
                "temperature": prompt.sampling.temperature,
                "top_p": prompt.sampling.top_p,
                **({"order": self.order} if self.order != "instruction_first" else {}),
            }
        )


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
