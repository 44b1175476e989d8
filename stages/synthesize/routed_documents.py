"""The documents that have a route: read, counted and drawn."""

import heapq
import itertools
import json
from collections import Counter
from collections.abc import Callable, Collection, Generator, Iterable, Iterator, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, NoReturn

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from corpusmill.manifests.errors import InputError, RecipeError
from corpusmill.manifests.parquet_files import read_parquet, schema_of
from corpusmill.manifests.receipt import Counts
from corpusmill.manifests.schema import DOCUMENT, LEVELS, LINKED, conform, extended, seed_for
from corpusmill.manifests.shard import Shard
from corpusmill.manifests.storage import Artifact
from corpusmill.prompts.loader import Prompt
from corpusmill.stages.contract import DOCUMENTS, Pass, PassResult

if TYPE_CHECKING:
    from corpusmill.stages.engines import EngineConfig

UNSCORED = "unscored"  # the route of documents that no classifier has given a level
Kind = tuple[str, bool]  # of a document: its level, and whether it is in a pair
EVERY_KIND: tuple[Kind, ...] = tuple(itertools.product((*LEVELS, UNSCORED), (False, True)))
COLUMNS = [*(name for name in DOCUMENT.names if name not in ("origin", "lineage")), LINKED.name]


def by_kind(prompts: Mapping[str, Sequence[Prompt]]) -> dict[Kind, list[Prompt]]:
    """The prompts that documents of each kind get. Kinds without a prompt are left out.

    prompts: level -> its prompts. A pair gets those about two, another document the others.
    """
    found: dict[Kind, list[Prompt]] = {}
    for level, routed in prompts.items():
        for prompt in routed:
            found.setdefault((level, prompt.about_two), []).append(prompt)
    return found


def shards_of(artifacts: tuple[Artifact, ...], stage: str) -> dict[str, tuple[Artifact, ...]]:
    """Files of one name make one shard, so each output is written once. A classified shard has one
    file for each level.

    Raises RecipeError if there is nothing to read.
    """
    if not artifacts:
        raise RecipeError(
            f"{stage} has nothing to read",
            "give it the folder of a finished stage, e.g. OUT/classify",
        )
    shards: dict[str, list[Artifact]] = {}
    for artifact in sorted(
        artifacts, key=lambda item: (item.path.rpartition(f"/{DOCUMENTS}/")[2], item.digest)
    ):
        shards.setdefault(artifact.stem or "shard", []).append(artifact)
    return {name: tuple(files) for name, files in sorted(shards.items())}


def share_out(available: Mapping[str, int], most: int) -> dict[str, int]:
    """Divide `most` documents over shards in proportion to what each has. The sum is exact."""
    total = sum(available.values())
    if total <= most:
        return dict(available)
    quotas = {name: most * count // total for name, count in available.items()}
    remainders = sorted(available, key=lambda name: (-(most * available[name] % total), name))
    for name in remainders[: most - sum(quotas.values())]:
        quotas[name] += 1
    return quotas


def asked(
    stage: str,
    work: Callable[[Shard], list[Counts]],
    documents: tuple[Artifact, ...],
    kinds: Collection[Kind],
    most: int | None,
    engine: "EngineConfig",
) -> Generator[Pass, PassResult, PassResult]:
    """The final pass of a stage that asks an engine about `most` documents of these kinds.

    most: None takes all. Raises RecipeError if there is nothing to read, and InputError if no
    document is of these kinds.
    """
    shards = shards_of(documents, stage)
    quotas = yield from draw(kinds, shards, most)
    made = yield Pass(
        name=stage,
        shards=shards,
        work=work,
        final=True,
        holds_engine=True,
        together=engine.streams,
        depends_on=json.dumps(most),
        shard_settings=quotas,
        cpus=engine.cpus,
        gpus=engine.gpus,
    )
    counts = [receipt.counts[0] for receipt in made.receipts.values()]
    rows = sum(each.rows_in for each in counts)
    if rows and rows == sum(each.unused.get(f"{stage}.not_routed", 0) for each in counts):
        refuse_unrouted(sum(map(kinds_in, documents), Counter()), kinds)
    return made


def refuse_unrouted(found: Mapping[Kind, int], kinds: Iterable[Kind]) -> NoReturn:
    """Raises InputError: there are such documents, and routes for these kinds, which are others."""
    there = ", ".join(f"{count:,} are {_named(kind)}" for kind, count in sorted(found.items()))
    raise InputError(
        f"no document has a route: {there or 'there is none'}; routes are "
        f"{', '.join(map(_named, kinds))}",
        "run classify first, or route another level in synthesize.routes, such as `unscored`; "
        "pairs get prompts about two documents, and others get the other prompts",
    )


def _named(kind: Kind) -> str:
    level, in_pair = kind
    return f"`{level}`{' pairs' if in_pair else ''}"


def draw(
    kinds: Collection[Kind], shards: Mapping[str, tuple[Artifact, ...]], most: int | None
) -> Generator[Pass, PassResult, dict[str, str]]:
    """The pass that counts the documents of these kinds, if only `most` are to be taken.

    Returns the setting of each shard: how many it gives. Empty: all.
    """
    if most is None:
        return {}
    counted = yield Pass(name="count", shards=shards, work=partial(count_routed, kinds))
    available = {name: receipt.counts[0].kept for name, receipt in counted.receipts.items()}
    quotas = share_out(available, most)
    return {name: str(quotas.get(name, 0)) for name in shards}


def count_routed(kinds: Collection[Kind], shard: Shard) -> list[Counts]:
    """Count the shard's documents of these kinds. This is the work of the counting pass."""
    routed = sum(1 for _ in _ids(kinds, shard))
    return [Counts("routed", rows_in=routed, kept=routed)]


def drawn(kinds: Collection[Kind], shard: Shard, seed: int) -> set[str] | None:
    """Names of the documents to take: as many as the shard's setting says. None: all."""
    if not shard.shard_settings:
        return None
    return set(
        heapq.nsmallest(
            int(shard.shard_settings),
            _ids(kinds, shard),
            key=lambda name: (seed_for(name, seed), name),
        )
    )


def documents_of(
    kinds: Collection[Kind],
    shard: Shard,
    taken: set[str] | None,
    stage: str,
    read: Counts,
    columns: Sequence[str] = COLUMNS,
) -> Iterator[dict[str, Any]]:
    """The documents of these kinds. If `taken` is given, only those among them.

    read: the account of the documents that are read. This function fills it, for `stage`.
    """
    for artifact in shard.inputs:
        found = kinds_in(artifact)
        if not any(kind in kinds for kind in found):
            shard.count_rows(artifact, found.total())
            read.leave_out(f"{stage}.not_routed", found.total())
            continue
        for group in shard.read(artifact):
            group = conform(group, extended(LINKED))
            routed = pa.chunked_array([np.array([kind in kinds for kind in _kinds(group)], bool)])
            read.leave_out(f"{stage}.not_routed", _count(pc.invert(routed)))
            group = group.filter(routed)
            if taken is not None:
                chosen = pc.is_in(_names(group), pa.array(sorted(taken), pa.string()))
                read.leave_out(f"{stage}.not_drawn", _count(pc.invert(chosen)))
                group = group.filter(chosen)
            group = group.select(list(columns))
            for batch in group.to_batches(max_chunksize=256):
                yield from batch.to_pylist()


def _count(mask: pa.ChunkedArray) -> int:
    return int(pc.sum(mask).as_py() or 0)


def kinds_in(artifact: Artifact) -> Counter[Kind]:
    """How many documents of each kind a file holds."""
    found: Counter[Kind] = Counter()
    for table in _keys(artifact):
        found.update(_kinds(table))
    return found


def _keys(artifact: Artifact) -> Iterator[pa.Table]:
    """The columns of a file that tell kinds and names."""
    there = schema_of(artifact).names
    return read_parquet(artifact, ["id", *(n for n in ("level", LINKED.name) if n in there)])


def _kinds(table: pa.Table) -> Iterator[Kind]:
    """The kind of each row."""
    levels = [UNSCORED] * table.num_rows
    if "level" in table.column_names:
        levels = pc.fill_null(table["level"], UNSCORED).to_pylist()
    if LINKED.name not in table.column_names:
        return zip(levels, itertools.repeat(False))
    return zip(levels, pc.is_valid(table[LINKED.name]).to_pylist(), strict=True)


def _ids(kinds: Collection[Kind], shard: Shard) -> Iterator[str]:
    for artifact in shard.inputs:
        for table in _keys(artifact):
            for name, kind in zip(_names(table).to_pylist(), _kinds(table), strict=True):
                if kind in kinds:
                    yield name


def _names(table: pa.Table) -> pa.ChunkedArray:
    """The ids of documents, and of pairs both ids: a document may be in several pairs."""
    if LINKED.name not in table.column_names:
        return table["id"]
    other = pc.struct_field(table[LINKED.name], "id")
    return pc.binary_join_element_wise(table["id"], other, " ", null_handling="skip")
