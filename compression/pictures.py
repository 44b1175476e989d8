"""Pictures as SVG files: the layers' scores, and children by loss, memory and speed."""

from collections.abc import Iterable, Sequence
from typing import Any

import jinja2
from corpusmill.compression.ranking import LayerScore
from corpusmill.manifests.looking.charts import Scatter, scatter
from corpusmill.manifests.package_data import package_file
from corpusmill.trainer.shape import KINDS

TINY = 1e-12  # a score of 0 has no logarithm
SCORE_NAMES: dict[LayerScore, str] = {
    "mse": "change of the last hidden state (MSE)",
    "kl": "KL of the next token, nats",
    "cosine": "1 - cosine of input and output",
}


def layers_picture(pattern: str, scores: Sequence[float], score: LayerScore) -> bytes:
    """Every layer's score over its number, one colour a kind: as figure 9 of arXiv 2504.03624."""
    groups = {
        str(kind): [
            (float(number), max(value, TINY), f"layer {number}: {value:.4g}")
            for number, value in enumerate(scores)
            if pattern[number] == symbol
        ]
        for symbol, kind in KINDS.items()
        if symbol in pattern
    }
    return _svg(scatter(groups, "layer", SCORE_NAMES[score], logarithmic=True))


def candidates_picture(rows: Iterable[dict[str, Any]], x_name: str, words: str) -> bytes:
    """Losses of children over a column: pruned, and distilled where they were."""
    groups: dict[str, list[tuple[float, float, str]]] = {}
    for row in rows:
        x = row[x_name]
        found = {"pruned": row["loss"], "distilled": row["distilled_loss"]}
        if row["name"] == "parent":
            found = {"parent": row["loss"]}
        elif row["name"] == "child":
            found = {"child": row["distilled_loss"]}
        for group, loss in found.items():
            if loss is not None:
                groups.setdefault(group, []).append((x, loss, f"{row['name']}: {loss:.3f}"))
    return _svg(scatter(groups, words, "held-out loss, nats"))


def _svg(chart: Scatter) -> bytes:
    templates = jinja2.Environment(
        loader=jinja2.FileSystemLoader(package_file("manifests", "looking", "templates")),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
    )
    macros: Any = templates.get_template("charts.html").module
    return (str(macros.scatter(chart)) + "\n").encode()
