"""The work of compress: what its passes do with one child, or with the winner."""

import dataclasses
import json
from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from corpusmill.compression.ranking import Kept, kept_of
from corpusmill.compression.space import Sizes
from corpusmill.manifests import storage
from corpusmill.manifests.receipt import Counts
from corpusmill.manifests.shard import Shard
from corpusmill.manifests.storage import Artifact
from corpusmill.stages.compress import distil
from corpusmill.stages.compress.candidates import (
    CHILD,
    SCHEMA,
    Candidate,
    read_importance,
    rows_of,
    summary_text,
)
from corpusmill.stages.compress.sample import account_of, draw, enough_memory, read_batches
from corpusmill.stages.compress.teacher import TARGETS
from corpusmill.stages.engines.model_folder import local_folder

if TYPE_CHECKING:
    from corpusmill.stages.compress.stage import Compress
    from corpusmill.trainer.model import HybridModel
    from corpusmill.trainer.shape import HybridConfig

RECORD = "candidate.json"


def sample(settings: "Compress", shard: Shard) -> list[Counts]:
    """Draw the held-out sequences, and account for what the whole stage reads."""

    corpus, count = draw(settings, shard, settings.validation_sequences, held_out=True)
    rows = tokens = 0
    if settings.distillation:  # all runs read the same rows, the longest one the most
        rows = settings.distillation.rows(settings.sequence_length)
        tokens = settings.distillation.tokens + settings.distillation.final_tokens
    return [account_of(settings, shard, corpus, count, rows, tokens)]


def compare_child(settings: "Compress", where: str, shard: Shard) -> list[Counts]:
    """Cut a child out of the parent, and compare the two."""
    importance, rows = shard.inputs[:2]
    sizes = Sizes(**json.loads(shard.shard_settings))
    with enough_memory(settings):
        parent = settings.load_parent()
        child, kept = cut(parent, importance, sizes)
        found = _compared(settings, parent, child, kept, rows)
    shape = child.config.model_dump(mode="json")
    _record(shard, f"{where}/{shard.name}", Candidate(shard.name, sizes, shape, found))
    return []


def clock(settings: "Compress", shard: Shard) -> list[Counts]:
    """Measure how long layers of every width take in a decoding step."""
    import torch
    from corpusmill.compression.clock import measure_steps
    from corpusmill.trainer.ranks import compute_dtype, find_device

    if settings.threads is not None:
        torch.set_num_threads(settings.threads)
    shape, device = settings.parent_shape(), find_device(settings.device)
    with enough_memory(settings):
        times = measure_steps(
            shape,
            settings.space.choices(shape),
            settings.budget.serving,
            device,
            compute_dtype(settings.dtype, device),
            lambda done, of: shard.report(done, of, "kinds of layers"),
        )
    text = json.dumps(times, indent=1, sort_keys=True) + "\n"
    shard.file("work/clock", "step_times.json", text.encode())
    return []


def distil_finalist(settings: "Compress", shard: Shard) -> list[Counts]:
    """Cut a child out, distil it for a short time, and compare it with the parent again."""
    assert settings.distillation is not None
    importance, rows, *others = shard.inputs
    targets, packed = _split(others, TARGETS)
    before = Candidate.from_json(json.loads(shard.shard_settings))
    start = Path(shard.scratch) / "start"
    _write(settings, _exact_child(settings, importance, before.sizes), start, "float32")
    model = distil.distil(
        settings,
        settings.distillation,
        shard,
        packed,
        targets,
        start,
        settings.distillation.tokens,
    )
    trained = _write(settings, model, Path(shard.scratch) / "trained", "float32")
    measured = _compared_folder(settings, trained, importance, before.sizes, rows)
    where = f"work/distil/{shard.name}"
    for path in sorted(trained.iterdir()):
        shard.keep(path, where)
    _record(shard, where, dataclasses.replace(before, distilled=measured))
    return []


def finish(settings: "Compress", shard: Shard) -> list[Counts]:
    """Train the winner on, and write it with the table of all candidates."""
    importance, rows, *others = shard.inputs
    plan = json.loads(shard.shard_settings)
    parent, *candidates = [
        Candidate.from_json(record) for record in (plan["parent"], *plan["candidates"])
    ]
    chosen = next(item for item in candidates if item.name == plan["winner"])
    trained, learnt_from = _split(others, f"work/distil/{chosen.name}")
    targets, packed = _split(learnt_from, TARGETS)
    scratch = Path(shard.scratch)
    distillation = settings.distillation
    if distillation is None:
        model = _exact_child(settings, importance, chosen.sizes)
    else:
        for artifact in trained:
            storage.local_copy(artifact.path, scratch / "start")
        if distillation.final_tokens:
            tokens = distillation.final_tokens
            model = distil.distil(
                settings, distillation, shard, packed, targets, scratch / "start", tokens
            )
        else:
            model = _loaded(scratch / "start")
    written = _write(settings, model, scratch / "model", settings.export_dtype)
    measured = _compared_folder(settings, written, importance, chosen.sizes, rows)
    child = dataclasses.replace(chosen, name=CHILD, distilled=measured)
    for path in sorted(written.iterdir()):
        shard.keep(path, "")
    serving = settings.budget.serving
    table = rows_of((parent, *candidates, child), chosen.name, plan["harm"], serving, plan["times"])
    _write_table(shard, table, {**plan, "measured": len(candidates)})
    return []


def cut(parent: "HybridModel", importance: Artifact, sizes: Sizes) -> "tuple[HybridModel, Kept]":
    """A child of these sizes, and what it keeps of its parent."""
    from corpusmill.compression.prune import prune

    kept, shape = _plan(parent.config, importance, sizes)
    return prune(parent, kept, shape), kept


def _split(
    artifacts: Iterable[Artifact], folder: str
) -> tuple[tuple[Artifact, ...], tuple[Artifact, ...]]:
    """(what lies in a folder of the stage's output, the others)."""
    artifacts = tuple(artifacts)
    inside = tuple(item for item in artifacts if f"/{folder}/" in item.path)
    return inside, tuple(item for item in artifacts if item not in inside)


def _plan(
    parent: "HybridConfig", importance: Artifact, sizes: Sizes
) -> "tuple[Kept, HybridConfig]":
    scores = read_importance(storage.read_bytes(importance.path), parent)
    kept = kept_of(parent, scores, sizes)
    pattern = "".join(parent.pattern[number] for number in kept.layers)
    return kept, sizes.shape(parent, pattern)


def _exact_child(settings: "Compress", importance: Artifact, sizes: Sizes) -> "HybridModel":
    """The child with the parent's weights as they are stored, in fp32 on the CPU."""
    child, _ = cut(_loaded(Path(local_folder(settings.parent))), importance, sizes)
    return child


def _loaded(folder: Path) -> "HybridModel":
    import torch
    from corpusmill.compression.parent import load_model

    return load_model(folder, torch.device("cpu"), torch.float32)


def _write(settings: "Compress", model: "HybridModel", folder: Path, dtype: Any) -> Path:
    """Write a model as a NemotronHForCausalLM folder."""
    from corpusmill.trainer.export import write_model

    path = storage.join(local_folder(settings.parent), "config.json")
    declared = json.loads(storage.read_bytes(path)).get("max_position_embeddings")
    context = int(declared or settings.sequence_length)
    return write_model(model, settings.tokenizer_folder, folder, dtype, context)


def _compared_folder(
    settings: "Compress", folder: Path, importance: Artifact, sizes: Sizes, rows: Artifact
) -> dict[str, float]:
    """The comparison of a written child with the parent."""
    from corpusmill.compression.parent import load_model

    parent = settings.load_parent()
    kept, _ = _plan(parent.config, importance, sizes)
    child = load_model(folder, parent.lm_head.weight.device, parent.compute_dtype)
    return _compared(settings, parent, child, kept, rows)


def _compared(
    settings: "Compress", parent: "HybridModel", child: "HybridModel", kept: Kept, rows: Artifact
) -> dict[str, float]:
    from corpusmill.compression.compare import compare

    device = parent.lm_head.weight.device
    return asdict(compare(parent, child, kept, read_batches(rows, settings.batch_size, device)))


def _record(shard: Shard, where: str, candidate: Candidate) -> None:
    text = json.dumps(candidate.as_json(), indent=1, sort_keys=True) + "\n"
    shard.file(where, RECORD, text.encode())


def _write_table(shard: Shard, table: list[dict[str, Any]], plan: dict[str, Any]) -> None:
    import pyarrow as pa
    from corpusmill.compression.pictures import candidates_picture

    with shard.parquet("", SCHEMA, name="candidates") as output:
        output.write(pa.Table.from_pylist(table, SCHEMA))
    for name, column, words in (
        ("memory.svg", "memory_gib", "GiB of weights and caches"),
        ("speed.svg", "relative_speed", "speed of decoding over the parent's, by bytes"),
    ):
        shard.file("", name, candidates_picture(table, column, words))
    shard.file("", "summary.txt", summary_text(table, plan).encode())
