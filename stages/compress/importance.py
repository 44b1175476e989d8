"""Measure what matters in a trained model, as a stage.

The pass `sample` draws calibration sequences, `measure` runs them through the parent, `importance`
joins what its pieces found:

    importance.parquet   the score of every layer, neuron, channel and head
    importance.json      on what they were measured
    layers.svg           the layers' scores as a picture
    summary.txt          the same as a table, which the command prints
"""

import json
from collections.abc import Iterator
from functools import partial
from typing import ClassVar

import pyarrow as pa
from corpusmill.compression.ranking import LayerScore, going_order
from corpusmill.manifests.parquet_files import read_parquet
from corpusmill.manifests.receipt import Counts
from corpusmill.manifests.shard import Shard
from corpusmill.stages.compress.sample import (
    OnParent,
    account_of,
    draw,
    enough_memory,
    read_batches,
)
from corpusmill.stages.contract import Inputs, Pass, Passes
from corpusmill.trainer.shape import KINDS
from pydantic import PositiveInt

MEASURED = "importance.parquet"
RECORD = "importance.json"


class Importance(OnParent):
    """Measure which parts of a trained hybrid matter."""

    name: ClassVar[str] = "importance"
    version: ClassVar[int] = 2

    layer_score: LayerScore = "mse"
    """What a layer's score is. mse: change of the last hidden state without it, as MiniPuzzle. kl:
    divergence of the logits without it, as Minitron-SSM. cosine: of its input and output."""
    sequences: PositiveInt = 1024
    """Calibration sequences."""
    layer_sequences: PositiveInt = 128
    """So many of them also score the layers, which takes half as many passes as there are
    layers."""
    pieces: PositiveInt = 1
    """Parts of the calibration sequences. Each is measured on a GPU of its own if there are some.
    """

    def passes(self, inputs: Inputs) -> Passes:
        drawn = yield Pass("sample", {"rows": inputs.documents}, partial(_sample, self))
        rows = drawn.outputs()
        pieces = [f"piece-{number:03d}" for number in range(self.pieces)]
        measured = yield Pass(
            "measure",
            dict.fromkeys(pieces, rows),
            partial(_measure, self),
            holds_engine=True,
            cpus=self.threads or 1,
            gpus=self.gpus,
            shard_settings={name: str(number) for number, name in enumerate(pieces)},
        )
        yield Pass(
            "importance",
            {"importance": (*rows, *measured.outputs())},
            partial(_join, self),
            final=True,
        )


def _sample(settings: Importance, shard: Shard) -> list[Counts]:
    corpus, count = draw(settings, shard, settings.sequences, held_out=False)
    return [account_of(settings, shard, corpus, 0, count, count * settings.sequence_length)]


def _measure(settings: Importance, shard: Shard) -> list[Counts]:
    from corpusmill.compression.importance import (
        SCHEMA,
        measure_layers,
        measure_widths,
        to_table,
    )
    from torch import Tensor

    (rows,) = shard.inputs
    with enough_memory(settings):
        model = settings.load_parent()
    device = model.lm_head.weight.device
    layer_rows = min(settings.layer_sequences, rows.rows)

    def inputs(until: int, what: str) -> Iterator[Tensor]:
        mine = slice(int(shard.shard_settings), until, settings.pieces)
        for number, batch in enumerate(read_batches(rows, settings.batch_size, device, mine)):
            shard.report(number * settings.batch_size, until // settings.pieces, what)
            yield batch.tokens[:, :-1]

    with enough_memory(settings):
        parts = {
            **measure_widths(model, inputs(rows.rows, "sequences")),
            **measure_layers(
                model, inputs(layer_rows, "sequences, for layers"), settings.layer_score
            ),
        }
    with shard.parquet("work/measure", SCHEMA) as output:
        output.write(to_table(parts))
    return []


def _join(settings: Importance, shard: Shard) -> list[Counts]:
    from corpusmill.compression.importance import (
        SCHEMA,
        from_table,
        importance_of,
        merge,
        to_table,
    )
    from corpusmill.compression.pictures import layers_picture

    rows, *pieces = shard.inputs
    layer_sequences = min(settings.layer_sequences, rows.rows)
    parts = merge(
        [from_table(pa.concat_tables(read_parquet(piece))) for piece in pieces], layer_sequences
    )
    shape = settings.parent_shape()
    found = importance_of(parts, shape)
    with shard.parquet("", SCHEMA) as output:
        output.write(to_table(parts))
    record = {
        "parent": settings.depends_on(),
        "shape": shape.model_dump(mode="json"),
        "layer_score": settings.layer_score,
        "sequences": rows.rows,
        "layer_sequences": layer_sequences,
        "sequence_length": settings.sequence_length,
    }
    shard.file("", RECORD, (json.dumps(record, indent=1, sort_keys=True) + "\n").encode())
    scores, ranks = found.layer_scores.tolist(), found.layer_ranks.tolist()
    picture = layers_picture(shape.pattern, scores, settings.layer_score)
    shard.file("", "layers.svg", picture)
    table = ranking_text(shape.pattern, ranks, scores, settings.layer_score)
    shard.file("", "summary.txt", table.encode())
    return []


def ranking_text(pattern: str, ranks: list[float], scores: list[float], score: LayerScore) -> str:
    """The layers of each kind, the least important first, as lines of a table."""
    lines = [f"{'goes':>4}  {'kind':<9} {'layer':>5} {'mean rank':>9}  {score}"]
    for symbol, kind in KINDS.items():
        for place, layer in enumerate(going_order(pattern, symbol, ranks), start=1):
            lines.append(
                f"{place:>4}  {kind:<9} {layer:>5} {ranks[layer]:>9.1f}  {scores[layer]:.4g}"
            )
    return "\n".join(lines) + "\n"
