"""Labels: a document with what the model said of it, as columns, and how often each value came."""

import json
from collections import Counter
from collections.abc import Mapping
from typing import Any

import pyarrow as pa
from corpusmill.manifests import storage
from corpusmill.manifests.parquet_files import read_parquet
from corpusmill.manifests.receipt import Counts
from corpusmill.manifests.schema import extended
from corpusmill.manifests.shard import Shard
from corpusmill.prompts.loader import Prompt
from corpusmill.prompts.properties import Property
from corpusmill.stages.contract import DOCUMENTS
from corpusmill.stages.synthesize.finished_rows import Finished, usable
from corpusmill.stages.synthesize.planned_rows import PlannedRow
from corpusmill.stages.synthesize.postfilters import Rejection

# Where the labels of a document come from. start, end: the characters that the model has read.
ANNOTATION = pa.struct(
    [
        ("prompt", pa.string()),
        ("prompt_hash", pa.string()),
        ("model", pa.string()),
        ("seed", pa.int64()),
        ("start", pa.int32()),
        ("end", pa.int32()),
        ("finish_reason", pa.string()),
        ("prompt_tokens", pa.int32()),
        ("output_tokens", pa.int32()),
    ]
)


def schema_of(prompt: Prompt) -> pa.Schema:
    """Documents with a column for each property of the rubric, and `annotation`."""
    columns = [
        pa.field(column(name), pa.int32() if each.is_grade else pa.string())
        for name, each in prompt.properties.items()
    ]
    return extended(*columns, pa.field("annotation", ANNOTATION))


def column(name: str) -> str:
    """The column of a property."""
    return f"label_{name}"


def labelled(planned: PlannedRow, model: str) -> Finished:
    """The document of a planned row with its labels, or with the reason why it has none."""
    document, prompt, (start, end) = planned.document, planned.prompt, planned.span
    annotation: dict[str, Any] = {
        "prompt": prompt.name,
        "prompt_hash": prompt.digest,
        "model": model,
        "seed": planned.seed,
        "start": start,
        "end": end,
    }
    row = {**document, "annotation": annotation}
    if planned.rejection:
        return Finished(row, rejection=planned.rejection)
    (request,), (answer,) = planned.asked, planned.replies
    annotation["finish_reason"] = answer.finish_reason
    annotation["prompt_tokens"] = answer.n_prompt_tokens or len(request.token_ids)
    annotation["output_tokens"] = answer.n_output_tokens
    read = planned.segments[0].n_tokens
    result = usable(answer, prompt, [document["text"][start:end]], read, request.seed)
    if isinstance(result, Rejection):
        return Finished(row, rejection=result)
    found = {column(name): value for name, value in json.loads(result).items()}
    return Finished({**row, **found}, document["n_tokens"] or 0)


def count(properties: Mapping[str, Property], shard: Shard) -> list[Counts]:
    """Write `work/labels/labels.json`: property -> value -> documents. Free texts are left out."""
    found: dict[str, Counter[Any]] = {
        name: Counter(dict.fromkeys(each.values, 0))
        for name, each in properties.items()
        if each.values
    }
    columns = {column(name): counter for name, counter in found.items()}
    documents = storage.join(shard.folder, DOCUMENTS) + "/"
    for artifact in shard.inputs:
        if not artifact.path.startswith(documents):
            continue
        for table in read_parquet(artifact, list(columns)):
            for name, counter in columns.items():
                counter.update(table[name].to_pylist())
    shard.file("work/labels", "labels.json", json.dumps(found).encode())
    return []
