"""What a training sequence holds, and where its documents come from."""

import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
from corpusmill.manifests import storage
from corpusmill.manifests.errors import InputError
from corpusmill.manifests.looking.find import finished_stages
from corpusmill.manifests.looking.trace import PARENTS, sources
from corpusmill.manifests.manifest import read_manifest
from corpusmill.manifests.parquet_files import read_parquet
from corpusmill.manifests.settings import build_settings
from corpusmill.stages.train.stage import Train


def trace_sequence(root: str, number: str) -> dict[str, Any]:
    """The documents (id, token span, source, origin) of training sequence `number`.

    Raises InputError if `root` holds no trained model, or if its training had fewer sequences.
    """
    from corpusmill.trainer.data import PackedStream
    from corpusmill.trainer.token_shards import catalogue

    if not number.isdecimal():
        raise InputError(
            f"{number!r} is not the number of a sequence", "write sequence:0, sequence:1, ..."
        )
    trained = [manifest for manifest in finished_stages(root) if manifest.verbs[-1] == "train"]
    if not trained:
        raise InputError(
            f"{root} holds no trained model", "give the output folder of a run that trains"
        )
    manifest = trained[0]
    settings = build_settings(Train, next(iter(manifest.config.values())), "train")
    packed = [
        artifact
        for parent in manifest.parents
        for artifact in read_manifest(parent.path).documents()
    ]
    with tempfile.TemporaryDirectory() as temporary:
        shards = [
            storage.local_copy(artifact.path, Path(temporary) / f"{number:06d}")
            for number, artifact in enumerate(packed)
        ]
        fitted = settings.pack == "best_fit"
        corpus = catalogue(shards, settings.sequence_length, settings.eval_fraction, fitted)
        stream = PackedStream(corpus, settings.seed, settings.pack, settings.shuffle_window)
        trained_on = settings.step_count(stream.epoch_rows) * settings.batch_size
        if int(number) >= trained_on:
            raise InputError(
                f"there is no sequence:{number}: the model was trained on {trained_on:,} sequences",
                f"give sequence:0 to sequence:{trained_on - 1}",
            )
        spans = stream.documents_of(int(number))
    ids = {span.id for span in spans}
    found = sources(root, ids)
    names = _packed_sources(packed, ids)
    parents = sources(
        root,
        {source[kind] for source in found.values() for kind in PARENTS if kind in source},
    )
    documents = []
    for span in spans:
        source = found.get(span.id, {})
        document = {
            "id": span.id,
            "start": span.span[0],
            "end": span.span[1],
            **source,
            "source": names.get(span.id),
        }
        for kind in PARENTS:
            if kind in source:
                document[kind] = {"id": source[kind], **parents.get(source[kind], {})}
        documents.append(document)
    return {"sequence": int(number), "tokens": settings.sequence_length, "documents": documents}


def _packed_sources(packed: Iterable[storage.Artifact], ids: set[str]) -> dict[str, str]:
    """id -> the packed document's source: the blend's source, or else the document's own."""
    wanted = pa.array(sorted(ids), pa.string())
    found: dict[str, str] = {}
    for artifact in packed:
        for table in read_parquet(artifact, ["id", "source"]):
            rows = table.filter(pc.is_in(table["id"], value_set=wanted))
            found.update(zip(rows["id"].to_pylist(), rows["source"].to_pylist(), strict=True))
    return found
