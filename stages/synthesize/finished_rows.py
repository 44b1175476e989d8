"""Finished rows: what the answers of a planned row become.

Every planned row ends as a synthetic document, or as an exclusion with its reason. Both carry the
full lineage: parent, span, prompt, model, sampling, seed.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
from corpusmill.manifests.schema import LINKED, LINKED_PARENT, extended, synthetic_id
from corpusmill.prompts.loader import Prompt
from corpusmill.stages.engines.chat import ChatTokenizer
from corpusmill.stages.engines.contract import Completion
from corpusmill.stages.engines.reasoning import without_reasoning
from corpusmill.stages.synthesize.planned_rows import PlannedRow
from corpusmill.stages.synthesize.postfilters import Context, Rejection, clean, excerpt
from corpusmill.stages.synthesize.postfilters.degenerate import shared_words
from corpusmill.stages.synthesize.postfilters.result import JOINT

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


@dataclass(frozen=True)
class Finished:
    """row: the columns of `SCHEMA`. text_tokens: engine tokens of its text. rejection: why the row
    is excluded, or None.
    """

    row: dict[str, Any]
    text_tokens: int = 0
    rejection: Rejection | None = None


def finish(
    planned: PlannedRow, model: str, least_covered: float, tokenizer: ChatTokenizer, sampling: str
) -> Finished:
    """The planned row with its answers, as a finished row.

    model: the engine's identity. least_covered: share of a joined document's tokens that usable
    answers must cover. sampling: how the engine draws, as the lineage names it.
    """
    row = _row(planned, model, sampling)
    if planned.rejection:
        return Finished(row, rejection=planned.rejection)
    row["prompt_tokens"] = sum(
        answer.n_prompt_tokens or len(request.token_ids)
        for answer, request in zip(planned.replies, planned.asked, strict=True)
    )
    row["output_tokens"] = sum(answer.n_output_tokens for answer in planned.replies)
    row["lineage"]["finish_reason"] = _worst(planned.replies)
    row["text"] = "\n\n".join(answer.text for answer in planned.replies)
    kept, lost, covered = _cleaned(planned)
    row["segments_lost"] = len(planned.segments) - len(kept)
    if lost and (
        not kept or covered < least_covered * sum(piece.n_tokens for piece in planned.segments)
    ):
        return Finished(row, rejection=lost[0])
    text = "\n\n".join(kept)
    n_tokens = tokenizer.count([text])[0]
    least = planned.prompt.limits.min_output_tokens
    if n_tokens < least:
        detail = f"n_tokens={n_tokens} < {least}: {excerpt(text)}"
        return Finished(row, rejection=Rejection("output_too_short", detail))
    row["text"] = text
    row["shared_words"] = shared_words(text, planned.passage)
    row["lineage"]["finish_reason"] = "stop"  # of the segments that are in the row
    return Finished(row, n_tokens)


def _cleaned(planned: PlannedRow) -> tuple[list[str], list[Rejection], int]:
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


def _row(planned: PlannedRow, model: str, sampling: str) -> dict[str, Any]:
    prompt, document = planned.prompt, planned.document
    start, end = planned.span
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
    text = without_reasoning(answer.text, JOINT.join(parts))
    if text is None:
        return Rejection("reasoning", excerpt(answer.text))
    return clean(text, prompt, Context.of(prompt, parts, n_tokens, seed))


def _worst(answers: Sequence[Completion]) -> str:
    reasons = {answer.finish_reason for answer in answers}
    return next(reason for reason in ("error", "length", "stop") if reason in reasons)
