"""`corpusmill synthesize --estimate`, also of `annotate` and `ocr`: what a run will take. It writes
nothing.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from corpusmill.manifests import storage
from corpusmill.manifests.errors import RecipeError
from corpusmill.manifests.listed import list_input
from corpusmill.manifests.manifest import read_manifest
from corpusmill.manifests.stage_folder import StageFolder
from corpusmill.manifests.storage import Artifact
from corpusmill.pipeline.groups import folders_beside
from corpusmill.pipeline.inputs import data_of, refuse_raw
from corpusmill.pipeline.recipe import Step, build_stage, resolve_references
from corpusmill.stages.contract import Reads
from corpusmill.stages.synthesize.estimate import Estimate

SAMPLE = 200  # documents of each level, or pages


def estimate_step(
    step: Step,
    inputs: Sequence[str],
    output: str,
    gpus: float | None,
    speed: float | None,
    price: float | None,
    like: str | None,
) -> Estimate:
    """What the step would take. `step:NAME` in its settings means the folder NAME beside `output`.

    gpus: that work side by side. None: those of the engine's servers, or one. speed: output tokens
    a second of each. price: of an hour of one. like: the folder of a finished run of the same
    stage, whose speed and lengths of answers are taken.
    Raises RecipeError and InputError as the run itself does.
    """
    folder_of = folders_beside(output)
    stage = build_stage(step, folder_of)
    patterns = [resolve_references(each, folder_of) for each in inputs or step.inputs]
    if not patterns:
        raise RecipeError(f"{step.name} has no input", "give --input, or `input:` in the recipe")
    files = [artifact for pattern in patterns for artifact in _files(pattern, stage.reads)]
    usage = _usage(like) if like else {}
    lines, documents, sampled = stage.estimated(files, SAMPLE, usage.get("prompts", {}))
    return Estimate(
        lines,
        documents,
        sampled,
        gpus or stage.engine.gpus_behind or 1.0,
        speed or usage.get("output_tokens_per_second"),
        price,
    )


def _files(pattern: str, reads: Reads) -> list[Artifact]:
    """The files of an input. They are not hashed. Raises InputError as the run does."""
    listed = list_input(pattern)
    if isinstance(listed, StageFolder):
        return listed.manifest.documents() or listed.manifest.outputs
    if reads is Reads.RECORDS:
        paths = listed
    else:
        paths, _ = data_of(pattern, listed)
        refuse_raw(paths, reads.value)
    return [Artifact(path, "", storage.size_of(path)) for path in paths]


def _usage(folder: str) -> Mapping[str, Any]:
    found = read_manifest(folder).measures.get("usage")
    if not found:
        raise RecipeError(
            f"the manifest of {folder} does not tell what its run took",
            "name the folder of a finished synthesize, annotate or ocr, or give "
            "--tokens-per-second",
        )
    return dict(found)


def estimate_table(found: Estimate) -> Any:
    """The estimate as a table: a row for each prompt."""
    from rich import box
    from rich.table import Table

    table = Table(box=box.SIMPLE_HEAD)
    table.add_column("prompt")
    with_pages = any(line.pages is not None for line in found.lines)
    pages = ["pages"] if with_pages else []
    for name in ("documents", *pages, "requests", "tokens in", "tokens out", "at most"):
        table.add_column(name, justify="right")
    for line in found.lines:
        counts = [line.documents, *([line.pages or 0] if with_pages else []), line.requests]
        counts += [line.prompt_tokens, line.output_tokens, line.most_output_tokens]
        table.add_row(line.prompt, *(f"{count:,}" for count in counts))
    return table


def estimate_remarks(found: Estimate, like: str | None = None) -> list[str]:
    """Lines below the table: hours and cost, and what they rest on. like: as in `estimate_step`."""
    lines = [f"{found.documents:,} documents; {found.sampled:,} of them were looked at"]
    lines += [remark for line in found.lines for remark in line.remarks]
    if not any(line.requests for line in found.lines):
        return [*lines, "the model has nothing to answer"]
    if found.hours is None or found.gpu_hours is None:
        also = "" if like else ", or --like with a finished run"
        lines.append(f"for hours, give --tokens-per-second{also}")
    else:
        speed = f"{_number(found.output_tokens_per_second or 0)} output tokens/s each"
        lines.append(
            f"{_hours(found.hours)} on {_gpus(found.gpus)}, "
            f"{_small(found.gpu_hours, _number(found.gpu_hours))} GPU hours ({speed})"
        )
    if found.cost is not None:
        lines.append(f"cost: {_small(found.cost, f'{found.cost:,.2f}')}")
    guesses: dict[str, list[str]] = {}
    for line in found.lines:
        if not line.from_run:
            guesses.setdefault(line.guessed_by, []).append(line.prompt)
    known = f"{like} has no answers of it" if like else "--like with a finished run knows better"
    for by, prompts in guesses.items():
        lines.append(f"tokens out are a guess for {', '.join(prompts)}, by {by}; {known}")
    return lines


def _hours(hours: float) -> str:
    return "under a minute" if hours < 1 / 60 else f"{_number(hours)} hours"


def _number(value: float) -> str:
    """Three digits, or more before the point: 12,346, 0.12."""
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def _small(value: float, written: str) -> str:
    return "under 0.01" if 0 < value < 0.01 else written


def _gpus(number: float) -> str:
    return "1 GPU" if number == 1 else f"{_number(number)} GPUs"
