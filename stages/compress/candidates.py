"""Children as rows: what was measured of each, their order, and the choice among them."""

import io
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from corpusmill.compression.memory import GIB, Serving, memory_of, parameters_of
from corpusmill.compression.ranking import LayerScore, going_order
from corpusmill.compression.search import Harm
from corpusmill.compression.space import AXES, LAYERS, WIDTHS, Sizes
from corpusmill.compression.step_times import StepTimes, step_seconds
from corpusmill.trainer.shape import HybridConfig

if TYPE_CHECKING:
    from corpusmill.compression.ranking import Importance

TIE = 3  # decimals of a loss: children that agree in them tie, and the faster one wins
PARENT, CHILD = "parent", "child"
MEASURES = ("loss", "accuracy", "agreement", "mse", "kl", "cosine")
SCHEMA = pa.schema(
    [
        ("name", pa.string()),
        ("chosen", pa.bool_()),
        ("pattern", pa.string()),
        *((axis, pa.int32()) for axis in AXES),
        ("parameters", pa.int64()),
        ("memory_gib", pa.float64()),
        ("relative_speed", pa.float64()),
        ("step_ms", pa.float64()),
        ("predicted_harm", pa.float64()),
        *((name, pa.float64()) for name in MEASURES),
        *((f"distilled_{name}", pa.float64()) for name in MEASURES),
    ]
)


@dataclass(frozen=True)
class Candidate:
    """A child and its measures (`compression.compare`), pruned, and after distillation.

    shape: its HybridConfig as plain data. distilled: None if it was not trained. The row of the
    child that was written has its final measures there.
    """

    name: str
    sizes: Sizes
    shape: dict[str, Any]
    pruned: dict[str, float]
    distilled: dict[str, float] | None = None

    def as_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, record: Mapping[str, Any]) -> "Candidate":
        return cls(**{**record, "sizes": Sizes(**record["sizes"])})

    @property
    def rating(self) -> float:
        """Without training, higher is better: next-token accuracy + agreement with the parent.

        The paper does not say how it joins its two scores.
        """
        return self.pruned["accuracy"] + self.pruned["agreement"]

    def step_bytes(self, serving: Serving) -> float:
        return memory_of(HybridConfig(**self.shape), serving).step_bytes


def harm_of(
    importance: "Importance", parent: HybridConfig, score: LayerScore, alone: Iterable[Candidate]
) -> Harm:
    """What each size costs. alone: children of which one width differs from the parent's."""
    whole = Sizes.of(parent)
    ranks = importance.layer_ranks.tolist()
    widths: dict[str, dict[int, float]] = {axis: {} for axis in WIDTHS}
    for item in alone:
        for axis, size in item.sizes.changes(whole).items():
            widths[axis][size] = item.pruned[score]
    return Harm(
        {
            axis: [
                float(importance.layer_scores[layer])
                for layer in going_order(parent.pattern, symbol, ranks)
            ]
            for axis, symbol in LAYERS.items()
        },
        widths,
    )


def rated(candidates: Iterable[Candidate]) -> list[Candidate]:
    """The best rated first."""
    return sorted(candidates, key=lambda item: (-item.rating, item.name))


def winner(
    candidates: Sequence[Candidate], serving: Serving, times: StepTimes | None = None
) -> Candidate:
    """The distilled child of least loss; of those that tie, the fastest. candidates: as `rated`.

    The best rated one, if none was distilled. times: decide what is fastest. None: bytes do.
    """
    distilled = [item for item in candidates if item.distilled]
    if not distilled:
        return candidates[0]

    def key(item: Candidate) -> tuple[float, float, str]:
        assert item.distilled is not None
        shape = HybridConfig(**item.shape)
        cost = step_seconds(shape, times) if times else item.step_bytes(serving)
        return round(item.distilled["loss"], TIE), cost, item.name

    return min(distilled, key=key)


def rows_of(
    candidates: Iterable[Candidate],
    chosen: str,
    harm: Mapping[str, float],
    serving: Serving,
    times: StepTimes | None = None,
) -> list[dict[str, Any]]:
    """The rows of `candidates.parquet`. The first candidate is the parent. times: if measured."""
    found = list(candidates)
    parent_bytes = found[0].step_bytes(serving)
    rows = []
    for item in found:
        shape = HybridConfig(**item.shape)
        distilled = item.distilled or {}
        rows.append(
            {
                "name": item.name,
                "chosen": item.name in (chosen, CHILD),
                "pattern": shape.pattern,
                **asdict(item.sizes),
                "parameters": parameters_of(shape),
                "memory_gib": memory_of(shape, serving).total / GIB,
                "relative_speed": parent_bytes / item.step_bytes(serving),
                "step_ms": step_seconds(shape, times) * 1e3 if times else None,
                "predicted_harm": harm.get(item.name),
                **{name: item.pruned[name] for name in MEASURES},
                **{f"distilled_{name}": distilled.get(name) for name in MEASURES},
            }
        )
    return rows


def rank_correlation(rows: Iterable[Mapping[str, Any]], one: str, other: str) -> float | None:
    """Spearman's, of two columns over the children. None for fewer than 3 that have both."""
    pairs = [
        (row[one], row[other])
        for row in rows
        if row["name"] not in (PARENT, CHILD) and None not in (row[one], row[other])
    ]
    if len(pairs) < 3:
        return None
    ranks = np.array(pairs).argsort(0).argsort(0)
    return float(np.corrcoef(ranks[:, 0], ranks[:, 1])[0, 1])


def summary_text(rows: Sequence[Mapping[str, Any]], record: Mapping[str, Any]) -> str:
    """The table that the command prints. It has the column `step ms` where that was measured."""
    clocked = rows[0]["step_ms"] is not None
    lines = [
        f"{record['tried']:,} sizes tried, {record['fitting']:,} fit the budget, "
        f"{record['largest']:,} of them cannot grow, {record['measured']:,} measured",
        f"{'':1} {'parameters':>14} {'GiB':>8} {'speed':>6} "
        f"{'step ms ' if clocked else ''}{'loss':>7} {'agree':>6} {'distilled':>9}  sizes",
    ]
    for row in rows:
        trained = row["distilled_loss"]
        step = f"{row['step_ms']:>7.3g} " if clocked else ""
        lines.append(
            f"{'*' if row['chosen'] else '':1} {row['parameters']:>14,} {row['memory_gib']:>8.3g} "
            f"{row['relative_speed']:>6.2f} {step}{row['loss']:>7.3f} {row['agreement']:>6.1%} "
            f"{'' if trained is None else format(trained, '.3f'):>9}  {row['name']}"
        )
    lines.append("GiB: weights and caches. speed: of decoding, by bytes, to the parent. *: chosen")
    for one, other, words in (
        ("predicted_harm", "loss", "predicted harm and loss without training"),
        ("loss", "distilled_loss", "loss before and after distillation"),
    ):
        correlation = rank_correlation(rows, one, other)
        if correlation is not None:
            lines.append(f"rank correlation of {words}: {correlation:.2f}")
    return "\n".join(lines) + "\n"


def read_importance(data: bytes, shape: HybridConfig) -> "Importance":
    """The importance of `importance.parquet`."""
    from corpusmill.compression.importance import from_table, importance_of

    return importance_of(from_table(pq.read_table(io.BytesIO(data))), shape)
