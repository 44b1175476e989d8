"""How good a scorer is on held-out documents: accuracy, F1, area under the ROC curve."""

from typing import Any

import numpy as np
import numpy.typing as npt

Values = npt.NDArray[Any]


def area_under_curve(scores: Values, positive: Values) -> float | None:
    """The chance that a positive document scores above a negative one. A tie counts half.

    None if one kind is absent.
    """
    positive = positive.astype(bool)
    hits, misses = int(positive.sum()), int((~positive).sum())
    if not hits or not misses:
        return None
    _, group, sizes = np.unique(scores, return_inverse=True, return_counts=True)
    middle_rank = np.cumsum(sizes) - (sizes - 1) / 2
    return float((middle_rank[group][positive].sum() - hits * (hits + 1) / 2) / (hits * misses))


def evaluate(scores: Values, positive: Values, threshold: float) -> dict[str, float | int | None]:
    """Figures for `scores` [N] against the truth [N].

    A score at or above `threshold` is positive. NaN is negative.
    """
    positive = positive.astype(bool)
    called = np.nan_to_num(scores, nan=-np.inf) >= threshold
    hits = int((called & positive).sum())
    precision = hits / int(called.sum()) if called.any() else None
    recall = hits / int(positive.sum()) if positive.any() else None
    return {
        "documents": len(scores),
        "positive": int(positive.sum()),
        "threshold": threshold,
        "accuracy": _rounded(float((called == positive).mean()) if len(scores) else None),
        "precision": _rounded(precision),
        "recall": _rounded(recall),
        "f1": _rounded(
            2 * hits / (int(called.sum()) + int(positive.sum()))
            if called.any() or positive.any()
            else None
        ),
        "auc": _rounded(area_under_curve(np.nan_to_num(scores, nan=-np.inf), positive)),
    }


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 6)
