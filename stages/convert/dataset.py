"""Documents as a folder that Hugging Face's `datasets` loads, with a card.

The layout is the Hub's: `data/train-00000-of-00008.parquet`, and `README.md` with the card's front
matter (https://huggingface.co/docs/hub/datasets-cards). `load_dataset(FOLDER)` reads it, and its
`push_to_hub` uploads it.
"""

import json
from collections.abc import Iterable, Mapping
from typing import Any

import pyarrow as pa
import yaml
from corpusmill.manifests.errors import RecipeError
from corpusmill.manifests.manifest import Manifest
from corpusmill.manifests.parquet_files import schema_of
from corpusmill.manifests.receipt import Counts
from corpusmill.manifests.shard import Shard
from corpusmill.manifests.stage_folder import StageFolder
from corpusmill.manifests.storage import Artifact

DATA = "data"
_SIZES = ("K", "M", "B", "T")


def folders_of(artifacts: Iterable[Artifact]) -> list[str]:
    """The stage folders that the files lie in."""
    return sorted({artifact.path.rsplit("/documents/", 1)[0] for artifact in artifacts})


def write_part(shard: Shard, columns: tuple[str, ...], number: int, total: int) -> list[Counts]:
    """One file of the data set: the documents of one shard."""
    (artifact,) = shard.inputs
    schema = schema_of(artifact)
    chosen = list(columns or schema.names)
    missing = [name for name in chosen if name not in schema.names]
    if missing:
        raise RecipeError(
            f"{artifact.path} has no column {missing[0]!r}", f"it has {', '.join(schema.names)}"
        )
    name = f"train-{number:05d}-of-{total:05d}"
    with shard.parquet(DATA, pa.schema([schema.field(one) for one in chosen]), name=name) as output:
        for table in shard.read(artifact, chosen):
            output.write(table)
            shard.report(output.rows)
    return [
        Counts(
            "convert",
            rows_in=shard.rows_read,
            kept=output.rows,
            text_bytes=output.text_bytes,
            tokens=output.tokens,
        )
    ]


def card(
    folders: Iterable[str],
    artifacts: tuple[Artifact, ...],
    columns: tuple[str, ...],
    given: Mapping[str, Any],
) -> bytes:
    """The card of the data set. given: front matter from the settings; it wins."""
    rows, text_bytes, tokens = (
        sum(getattr(one, name) for one in artifacts) for name in ("rows", "text_bytes", "tokens")
    )
    schema = schema_of(artifacts[0])
    chosen = [schema.field(name) for name in columns or schema.names]
    front = {
        "configs": [{"config_name": "default", "data_files": f"{DATA}/*.parquet"}],
        "size_categories": [size_category(rows)],
        "task_categories": ["text-generation"],
        "tags": ["corpusmill"],
        **given,
    }
    manifests = [
        StageFolder(folder).manifest for folder in folders if StageFolder(folder).has_manifest
    ]
    lines = [
        "---",
        yaml.safe_dump(front, sort_keys=False, allow_unicode=True).rstrip(),
        "---",
        "",
        f"# {front.get('pretty_name', 'Documents')}",
        "",
        f"{rows:,} documents, {text_bytes:,} bytes of text"
        + (f", {tokens:,} tokens." if tokens else "."),
        "",
        "## Columns",
        "",
        "| column | type |",
        "|---|---|",
        *(f"| `{field.name}` | {str(field.type).replace('|', ' ')} |" for field in chosen),
    ]
    for manifest in manifests:
        lines += ["", *_made(manifest)]
    return ("\n".join(lines) + "\n").encode()


def _made(manifest: Manifest) -> list[str]:
    """How a stage made the documents: its account, settings, software and parents."""
    lines = [f"## How {', '.join(manifest.stages)} made them", ""]
    lines += ["| step | in | kept | excluded | why |", "|---|---|---|---|---|"]
    for counts in manifest.totals:
        why = ", ".join(
            f"{reason} {number:,}" for reason, number in sorted(counts.excluded.items())
        )
        gone = sum(counts.excluded.values())
        lines.append(
            f"| {counts.stage} | {counts.rows_in:,} | {counts.kept:,} | {gone:,} | {why} |"
        )
    software = ", ".join(f"{name} {version}" for name, version in sorted(manifest.software.items()))
    lines += ["", f"Software: {software}. Plan {manifest.plan_hash[:16]}.", "", "Settings:", ""]
    lines += ["```json", json.dumps(_published(manifest.config), indent=1, sort_keys=True), "```"]
    lines += ["", "Made from:", ""]
    lines += [
        f"- `{parent.path.rsplit('/', 1)[-1]}` {parent.digest[:16]}" for parent in manifest.parents
    ]
    return lines


def _published(settings: Any) -> Any:
    """The settings, with local paths cut down to their last name: folders are nobody's business."""
    if isinstance(settings, Mapping):
        return {str(key): _published(value) for key, value in settings.items()}
    if isinstance(settings, list | tuple):
        return [_published(value) for value in settings]
    if isinstance(settings, str) and settings.startswith(("/", "~", "file:")):
        return settings.rstrip("/").rsplit("/", 1)[-1]
    return settings


def size_category(rows: int) -> str:
    """The Hub's name for a number of rows, such as `10K<n<100K`."""
    if rows < 1000:
        return "n<1K"
    power = min(len(str(rows)) - 1, 12)
    if power >= 12:
        return "n>1T"
    return f"{_short(power)}<n<{_short(power + 1)}"


def _short(power: int) -> str:
    return f"{10 ** (power % 3)}{_SIZES[power // 3 - 1]}"


def text_columns(artifact: Artifact) -> None:
    """Raises RecipeError if the file holds no documents."""
    if "text" not in schema_of(artifact).names:
        raise RecipeError(
            f"{artifact.path} holds no text", "set convert.format to megatron or flat for tokens"
        )
