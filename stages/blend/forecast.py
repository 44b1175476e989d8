"""What a blend would give, before anything is written: `corpusmill blend --dry-run`.

Documents with `n_tokens` are counted exactly, and only narrow columns are read. Of other documents,
the first `SAMPLE` of each file are tokenised, and their tokens a byte hold for the file.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from corpusmill.manifests.errors import RecipeError
from corpusmill.manifests.parquet_files import read_parquet, schema_of
from corpusmill.manifests.receipt import Counts
from corpusmill.manifests.schema import DOCUMENT, conform, extended
from corpusmill.manifests.storage import Artifact
from corpusmill.stages.blend.copies import CLUSTER_SIZE, NAME
from corpusmill.stages.blend.measure import times_of, wanted_by
from corpusmill.stages.blend.plan import supplies_of
from corpusmill.stages.blend.presets import phases_of
from corpusmill.stages.blend.proposed import with_proposed_weights
from corpusmill.stages.blend.quotas import Quota, allot_phases
from corpusmill.stages.blend.settings import BlendSettings, BlendSource
from corpusmill.stages.readers.documents import is_document_shard, read_documents
from corpusmill.stages.tokenizer import loaded as tokens

SAMPLE = 256
_NARROW = ("n_tokens", "level", "kind", "prompt", CLUSTER_SIZE.name)


@dataclass(frozen=True)
class Line:
    """A source in a phase. asked_share, share: of the phase. available: tokens of the source.
    epochs: in this phase. short: tokens by which a cap keeps the source below its share.
    """

    phase: str
    source: str
    category: str
    asked_share: float
    share: float
    tokens: int
    available: int
    epochs: float
    short: int


@dataclass(frozen=True)
class Forecast:
    """asked: tokens that the settings ask for, if any. estimated: sources whose tokens were
    estimated from a sample.
    """

    asked: int | None
    tokens: int
    lines: tuple[Line, ...]
    estimated: tuple[str, ...]

    def as_json(self) -> dict[str, Any]:
        return asdict(self)


def forecast(config: BlendSettings, files: Mapping[str, Sequence[Artifact]]) -> Forecast:
    """The quotas of each source in each phase. files: of each source.

    Raises RecipeError as the blend itself does.
    """
    config = with_proposed_weights(config)
    supply = {name: Counts(f"source:{name}") for name in sorted(config.sources)}
    estimated: set[str] = set()
    for name, source in sorted(config.sources.items()):
        for artifact in files[name]:
            documents, found, is_exact = _tokens_of(config, source, artifact)
            supply[name].kept += documents
            supply[name].tokens += found
            estimated |= set() if is_exact else {name}
    phases = phases_of(config)
    quotas = allot_phases(phases, supplies_of(config, supply), config.tokens)
    total = config.tokens or sum(quota.tokens for one in quotas for quota in one.values())
    lines = []
    for number, (phase, one) in enumerate(zip(phases, quotas, strict=True)):
        given = sum(quota.tokens for quota in one.values())
        for name, quota in sorted(one.items()):
            lines.append(
                Line(
                    phase.name or (f"phase {number + 1}" if len(phases) > 1 else ""),
                    name,
                    config.sources[name].category,
                    float(quota.asked_share),
                    quota.tokens / max(1, given),
                    quota.tokens,
                    supply[name].tokens,
                    quota.tokens / max(1, supply[name].tokens),
                    _short(quota, float(phase.length) * total),
                )
            )
    return Forecast(
        config.tokens, sum(line.tokens for line in lines), tuple(lines), tuple(sorted(estimated))
    )


def _short(quota: Quota, phase_tokens: float) -> int:
    if not quota.capped:
        return 0
    return max(0, int(float(quota.asked_share) * phase_tokens) - quota.tokens)


def _tokens_of(
    config: BlendSettings, source: BlendSource, artifact: Artifact
) -> tuple[int, int, bool]:
    """(documents, tokens, whether they were counted and not estimated) of a source's file."""
    documents = counted = unsure = sampled = sampled_bytes = sampled_tokens = 0
    for table in _tables(config, source, artifact):
        times = times_of(source, table) * wanted_by(source, table)
        known = pc.is_valid(table["n_tokens"]).to_numpy() & (not config.recount)
        sizes = pc.fill_null(pc.binary_length(table["text"]), 0).to_numpy().astype(np.int64)
        times = np.where(known | (sizes > 0), times, 0)
        documents += int(times.sum())
        counted += int((pc.fill_null(table["n_tokens"], 0).to_numpy() * times)[known].sum())
        unsure += int((sizes * times)[~known].sum())
        rows = np.flatnonzero(~known & (times > 0))[: SAMPLE - sampled]
        if len(rows):
            sampled += len(rows)
            sampled_bytes += int(sizes[rows].sum())
            sampled_tokens += _count(config, table["text"].take(pa.array(rows)).to_pylist())
    if unsure:
        counted += round(unsure * sampled_tokens / max(1, sampled_bytes))
    return documents, counted, not unsure


def _tables(config: BlendSettings, source: BlendSource, artifact: Artifact) -> Iterator[pa.Table]:
    """The file's rows, without texts if every document has a count."""
    schema = extended(CLUSTER_SIZE, of=DOCUMENT)
    if is_document_shard(artifact) and not config.recount:
        names = [name for name in _NARROW if name in schema_of(artifact).names]
        narrow = [conform(table, schema) for table in read_parquet(artifact, names)]
        if not any(table["n_tokens"].null_count for table in narrow):
            yield from narrow
            return
    for table in read_documents(artifact, source.reader, NAME, (CLUSTER_SIZE,)):
        yield table.filter(pc.is_null(table["reason"]))


def _count(config: BlendSettings, texts: list[str]) -> int:
    if config.tokenizer is None:
        raise RecipeError(
            "some documents have no n_tokens",
            "set the blend's tokenizer: weights are shares of tokens",
        )
    return int(sum(tokens.load(config.tokenizer).count(texts)))
