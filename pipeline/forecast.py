"""`corpusmill blend --dry-run`: what a blend would give, as a table. It writes nothing."""

from typing import TYPE_CHECKING, Any

from corpusmill.manifests import storage
from corpusmill.manifests.listed import list_input
from corpusmill.manifests.stage_folder import StageFolder
from corpusmill.manifests.storage import Artifact
from corpusmill.pipeline.groups import folders_beside
from corpusmill.pipeline.inputs import data_of
from corpusmill.pipeline.recipe import Step, build_stage

if TYPE_CHECKING:
    from corpusmill.stages.blend.forecast import Forecast
    from corpusmill.stages.blend.settings import BlendSource


def forecast_blend(step: Step, output: str) -> "Forecast":
    """What the blend would give. `step:NAME` in its settings means the folder NAME beside `output`.

    Raises RecipeError and InputError as the blend itself does.
    """
    from corpusmill.stages.blend.forecast import forecast

    stage = build_stage(step, folders_beside(output))
    return forecast(stage, {name: _files(source) for name, source in stage.sources.items()})


def _files(source: "BlendSource") -> list[Artifact]:
    """The files of a source. They are not hashed."""
    files: list[Artifact] = []
    for pattern in source.patterns:
        listed = list_input(pattern)
        if isinstance(listed, StageFolder):
            files += listed.manifest.documents() or listed.manifest.outputs
            continue
        chosen = data_of(pattern, listed)[0] if source.reader.format == "auto" else listed
        files += [Artifact(path, "", storage.size_of(path)) for path in chosen]
    return files


def forecast_table(found: "Forecast") -> Any:
    """The forecast as a table: a row for each source in each phase."""
    from rich import box
    from rich.table import Table

    phased = any(line.phase for line in found.lines)
    table = Table(box=box.SIMPLE_HEAD)
    for name in (["phase"] if phased else []) + ["source", "category"]:
        table.add_column(name)
    for name in ("asked", "share", "tokens", "available", "epochs", "short of its share"):
        table.add_column(name, justify="right")
    before = found.lines[0].phase
    for line in found.lines:
        if line.phase != before:
            table.add_section()
            before = line.phase
        table.add_row(
            *([line.phase] if phased else []),
            line.source,
            line.category,
            f"{line.asked_share:.2%}",
            f"{line.share:.2%}",
            f"{line.tokens:,}",
            f"{line.available:,}",
            f"{line.epochs:.3f}",
            f"{line.short:,}" if line.short else "",
        )
    return table


def forecast_remarks(found: "Forecast") -> list[str]:
    """Lines below the table: the size, what is missing, and what was estimated."""
    lines = [f"{found.tokens:,} tokens in all"]
    missing = (found.asked or 0) - found.tokens
    if missing > len(found.lines):  # each line is rounded down
        lines.append(
            f"short of the {found.asked:,} tokens asked for by {missing:,}: raise max_epochs"
        )
    epochs: dict[str, float] = {}
    for line in found.lines:
        epochs[line.source] = epochs.get(line.source, 0.0) + line.epochs
    often = [f"{name} {count:.1f}" for name, count in epochs.items() if count > 4]
    if often:
        lines.append(f"more than 4 epochs (arXiv 2305.16264): {', '.join(often)}")
    unused = [name for name, count in epochs.items() if not count]
    if unused:
        lines.append(f"not used: {', '.join(unused)}")
    if found.estimated:
        lines.append(f"tokens estimated from a sample: {', '.join(found.estimated)}")
    return lines
