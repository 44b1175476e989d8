"""What a run will take, from a sample: requests, tokens in and out, hours and cost.

Documents of every kind are counted: a kind is a level, and whether documents are in pairs. Of each
kind, some are planned as the run would plan them, so requests and prompt tokens are the engine's
own. How much a model writes is known only from a run before: its manifest has it by prompt
(`stages.synthesize.usage`). Without one, an answer is taken to be as long as its passage, or as the
first good example of a rubric.
"""

import heapq
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from corpusmill.manifests.parquet_files import read_parquet
from corpusmill.manifests.schema import LINKED, conform, extended, seed_for
from corpusmill.manifests.storage import Artifact
from corpusmill.prompts.loader import Prompt
from corpusmill.stages.engines.chat import ChatTokenizer
from corpusmill.stages.engines.contract import Request
from corpusmill.stages.synthesize.planned_rows import PlannedRow
from corpusmill.stages.synthesize.routed_documents import (
    COLUMNS,
    UNSCORED,
    Kind,
    kinds_in,
    refuse_unrouted,
)

_FILES = 16  # of each kind, from which documents are drawn
Plan = Callable[[Mapping[str, Any], Sequence[Prompt]], Iterable[PlannedRow]]


@dataclass(frozen=True)
class Line:
    """One prompt. most_output_tokens: if every answer hit its limit. from_run: whether the output
    tokens are known from a run before. pages: that are asked about; None of texts. guessed_by:
    what the output tokens follow from otherwise. remarks: what else is to be said.
    """

    prompt: str
    documents: int
    requests: int
    prompt_tokens: int
    output_tokens: int
    most_output_tokens: int
    from_run: bool
    pages: int | None = None
    guessed_by: str = "the length of the passage"
    remarks: tuple[str, ...] = ()


@dataclass(frozen=True)
class Estimate:
    """documents: that will be asked about. sampled: of these, how many were planned.

    hours, gpu_hours, cost: None if the speed, or the price, is not known.
    """

    lines: list[Line]
    documents: int
    sampled: int
    gpus: float
    output_tokens_per_second: float | None
    price_per_gpu_hour: float | None

    @property
    def output_tokens(self) -> int:
        return sum(line.output_tokens for line in self.lines)

    @property
    def gpu_hours(self) -> float | None:
        speed = self.output_tokens_per_second
        return self.output_tokens / speed / 3600 if speed else None

    @property
    def hours(self) -> float | None:
        return None if self.gpu_hours is None else self.gpu_hours / self.gpus

    @property
    def cost(self) -> float | None:
        if self.gpu_hours is None or self.price_per_gpu_hour is None:
            return None
        return self.gpu_hours * self.price_per_gpu_hour

    def as_json(self) -> dict[str, Any]:
        found = {name: getattr(self, name) for name in ("hours", "gpu_hours", "cost")}
        return {**asdict(self), **found}


def lines(
    files: Sequence[Artifact],
    prompts: Mapping[Kind, Sequence[Prompt]],
    plan: Plan,
    tokenizer: ChatTokenizer,
    most: int | None,
    sample: int,
    usage: Mapping[str, Mapping[str, int]],
    judge: Prompt | None = None,
) -> tuple[list[Line], int, int]:
    """(a line for each prompt, documents that will be asked about, documents that were planned).

    prompts: kind -> its prompts. most: documents at most. sample: documents of each kind to
    plan. usage: of a run before, prompt -> rows and tokens. judge: a prompt that grades every row.
    Raises InputError if no document is routed.
    """
    holding = {artifact.path: kinds_in(artifact) for artifact in files}
    available = {kind: sum(found[kind] for found in holding.values()) for kind in prompts}
    total = sum(available.values())
    if not total:
        refuse_unrouted(sum(holding.values(), Counter()), prompts)
    taken = min(1.0, most / total) if most is not None else 1.0
    sums: dict[str, dict[str, float]] = {}
    sampled = 0
    for kind, routed in prompts.items():
        holders = [artifact for artifact in files if holding[artifact.path][kind]]
        documents = list(_drawn(holders, kind, sample))
        sampled += len(documents)
        weight = available[kind] * taken / max(1, len(documents))
        for document in documents:
            rows = list(plan(document, routed))
            for name in dict.fromkeys(row.prompt.name for row in rows if row.asked):
                sums.setdefault(name, defaultdict(float))["documents"] += weight
            for row in rows:
                if row.asked:
                    used = usage.get(row.prompt.name, {})
                    written = _add(sums[row.prompt.name], row, tokenizer, used, weight)
                    if judge:
                        graded = sums.setdefault(judge.name, defaultdict(float))
                        known = usage.get(judge.name, {})
                        _add_grades(graded, judge, row, written, tokenizer, known, weight)
    by_example = {
        prompt.name for routed in prompts.values() for prompt in routed if prompt.properties
    }
    by_example |= {judge.name} if judge else set()
    found = [
        Line(
            prompt=name,
            documents=round(added["documents"]),
            requests=round(added["requests"]),
            prompt_tokens=round(added["prompt"]),
            output_tokens=round(added["output"]),
            most_output_tokens=round(added["most"]),
            from_run=bool(usage.get(name, {}).get("output_tokens")),
            guessed_by="a good example" if name in by_example else Line.guessed_by,
        )
        for name, added in sums.items()
    ]
    return found, round(total * taken), sampled


def _add(
    sums: dict[str, float],
    row: PlannedRow,
    tokenizer: ChatTokenizer,
    used: Mapping[str, int],
    weight: float,
) -> float:
    """Add a row's requests. Returns the output tokens of the row, about."""
    written = 0.0
    for request, size in zip(row.asked, _sizes(row), strict=True):
        written += _written(row.prompt, request, size, tokenizer, used)
        sums["requests"] += weight
        sums["prompt"] += len(request.token_ids) * weight
        sums["most"] += request.max_tokens * weight
    sums["output"] += written * weight
    return written


def _add_grades(
    sums: dict[str, float],
    judge: Prompt,
    row: PlannedRow,
    written: float,
    tokenizer: ChatTokenizer,
    used: Mapping[str, int],
    weight: float,
) -> None:
    """Add the request that grades a row, which holds its passage and its text."""
    asked = len(tokenizer.prompt_ids([judge.messages("")])[0])
    sums["requests"] += weight
    sums["prompt"] += (asked + sum(_sizes(row)) + written) * weight
    sums["most"] += judge.limits.max_output_tokens * weight
    each = used["output_tokens"] / used["rows"] if used.get("output_tokens") else None
    sums["output"] += (_usual(judge, tokenizer) if each is None else each) * weight


def _sizes(row: PlannedRow) -> list[int]:
    """Tokens of the passage of each request."""
    pairs = zip(row.segments, row.requests, strict=True)
    return [row.n_tokens(piece) for piece, request in pairs if request is not None]


def _written(
    prompt: Prompt, request: Request, size: int, tokenizer: ChatTokenizer, used: Mapping[str, int]
) -> float:
    """Output tokens of a request, about. size: tokens of its passage."""
    if used.get("output_tokens") and used.get("prompt_tokens"):
        expected = len(request.token_ids) * used["output_tokens"] / used["prompt_tokens"]
    else:
        expected = _usual(prompt, tokenizer) if prompt.properties else size
    return min(request.max_tokens, expected)


def _usual(prompt: Prompt, tokenizer: ChatTokenizer) -> int:
    """Tokens of the first good example of a prompt, or its limit if it has none."""
    good = next((each.answer for each in prompt.examples if each.kept), None)
    return prompt.limits.max_output_tokens if good is None else tokenizer.count([good])[0]


def _drawn(holders: Sequence[Artifact], kind: Kind, sample: int) -> Iterable[dict[str, Any]]:
    """Documents of a kind, from some files, about equally many from each."""
    chosen = sorted(holders, key=lambda item: seed_for("estimate", item.path))[:_FILES]
    for place, artifact in enumerate(chosen):
        share = (sample + place) // len(chosen)
        found: list[tuple[int, str, dict[str, Any]]] = []
        for group in read_parquet(artifact):
            rows = conform(group, extended(LINKED)).select(list(COLUMNS)).to_pylist()
            found += [
                (seed_for("estimate", row["id"]), row["id"], row)
                for row in rows
                if (row["level"] or UNSCORED, row[LINKED.name] is not None) == kind
            ]
            found = heapq.nsmallest(share, found, key=lambda item: item[:2])
        yield from (row for *_, row in found)
