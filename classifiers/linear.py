"""Linear models over a few hundred numbers: ridge and logistic regression, and their file.

Both are solved exactly (normal equations, Newton steps). So the same sample gives the same weights,
without learning rate, epochs or seed. Ridge picks its penalty by generalised cross-validation
(Golub, Heath and Wahba 1979).
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
from corpusmill.manifests import storage
from corpusmill.manifests.errors import InputError, ModelError

Scores = npt.NDArray[np.float32]  # [texts]
Embeddings = npt.NDArray[np.float32]  # [texts, width]
Matrix = npt.NDArray[np.float64]
Vector = npt.NDArray[np.float64]
Link = Literal["identity", "logistic"]

CLIP = 3.0  # standard deviations, so that no single outlier decides a score
_PENALTIES = tuple(10.0**power for power in range(-4, 5))  # per document
_KEY = "corpusmill"


@dataclass(frozen=True)
class LinearModel:
    """score = link(weights . clip((x - mean) / scale) + bias).

    about: what the inputs are (feature names, encoder), kept in the file.
    """

    weights: Vector  # [D]
    mean: Vector  # [D]
    scale: Vector  # [D]
    bias: float
    link: Link
    about: Mapping[str, Any]

    def score(self, inputs: npt.NDArray[Any]) -> Scores:
        """inputs [N, D] -> float32 [N]."""
        values = _standardised(inputs, self.mean, self.scale) @ self.weights + self.bias
        # A value beyond float32 becomes infinite. Callers treat that as no score.
        with np.errstate(over="ignore"):
            return (_sigmoid(values) if self.link == "logistic" else values).astype(np.float32)

    def to_bytes(self) -> bytes:
        """The model as a safetensors file. Equal models give equal bytes."""
        from safetensors.numpy import save

        tensors = {
            "weights": self.weights,
            "mean": self.mean,
            "scale": self.scale,
            "bias": np.array([self.bias]),
        }
        about = json.dumps({"link": self.link, "about": dict(self.about)}, sort_keys=True)
        return save(tensors, metadata={_KEY: about})


def load_linear(path: str) -> LinearModel:
    """The model in a file of `LinearModel.to_bytes`. Raises ModelError for any other file."""
    from safetensors import SafetensorError
    from safetensors.numpy import load

    try:
        data = storage.read_bytes(path)
        header_size = int.from_bytes(data[:8], "little")
        header = json.loads(data[8 : 8 + header_size])
        described = json.loads(header["__metadata__"][_KEY])
        tensors = load(data)
        return LinearModel(
            weights=tensors["weights"],
            mean=tensors["mean"],
            scale=tensors["scale"],
            bias=float(tensors["bias"][0]),
            link=described["link"],
            about=described["about"],
        )
    except InputError as error:
        raise ModelError(f"the model file {path} cannot be read", error.mend) from error
    except (ValueError, KeyError, TypeError, SafetensorError) as error:
        raise ModelError(
            f"{path} is not a linear model of corpusmill",
            "train one with `corpusmill classify-train` and name its file",
        ) from error


def fit_ridge(inputs: npt.NDArray[Any], labels: Vector, about: Mapping[str, Any]) -> LinearModel:
    """Least squares of labels [N] on inputs [N, D], with a squared penalty.

    Cross-validation chooses the penalty.
    """
    mean, scale = _moments(inputs)
    x = _standardised(inputs, mean, scale)
    centre = x.mean(axis=0)  # not zero, because of the clipping
    bias = float(labels.mean())
    x = x - centre
    documents = len(labels)
    eigenvalues, vectors = np.linalg.eigh(x.T @ x)
    eigenvalues = np.maximum(eigenvalues, 0.0)
    projected = vectors.T @ (x.T @ (labels - bias))
    total = float(((labels - bias) ** 2).sum())
    best: tuple[float, float] | None = None
    for penalty in _PENALTIES:
        shrunk = eigenvalues + penalty * documents
        explained = float((projected**2 * (2 / shrunk - eigenvalues / shrunk**2)).sum())
        freedom = 1.0 + float((eigenvalues / shrunk).sum())
        loss = documents * max(total - explained, 0.0) / max(documents - freedom, 1e-9) ** 2
        if freedom < documents and (best is None or loss < best[0]):
            best = (loss, penalty)
    penalty = best[1] if best else _PENALTIES[-1]
    weights = vectors @ (projected / (eigenvalues + penalty * documents))
    return LinearModel(
        weights,
        mean,
        scale,
        bias - float(centre @ weights),
        "identity",
        {**about, "penalty": penalty},
    )


def fit_logistic(
    inputs: npt.NDArray[Any], labels: Vector, about: Mapping[str, Any], penalty: float = 1e-3
) -> LinearModel:
    """Logistic regression of labels [N] in {0, 1} on inputs [N, D], by Newton's method.

    penalty: per document.
    """
    mean, scale = _moments(inputs)
    x = _standardised(inputs, mean, scale)
    documents, width = x.shape
    x = np.hstack([x, np.ones((documents, 1))])
    damping = np.diag([penalty * documents] * width + [0.0]) + 1e-9 * np.eye(width + 1)
    weights = np.zeros(width + 1)
    for _ in range(100):
        probability = _sigmoid(x @ weights)
        gradient = x.T @ (probability - labels) + damping @ weights
        curvature = (x * (probability * (1 - probability))[:, None]).T @ x + damping
        step = np.linalg.solve(curvature, gradient)
        longest = float(np.abs(step).max())
        # Far from the optimum, a full Newton step overshoots.
        weights = weights - step * min(1.0, 4.0 / max(longest, 1e-30))
        if longest < 1e-9:
            break
    return LinearModel(
        weights[:-1], mean, scale, float(weights[-1]), "logistic", {**about, "penalty": penalty}
    )


def _moments(inputs: npt.NDArray[Any]) -> tuple[Vector, Vector]:
    values = inputs.astype(np.float64)
    deviation = values.std(axis=0)
    return values.mean(axis=0), np.where(deviation > 1e-12, deviation, 1.0)


def _standardised(inputs: npt.NDArray[Any], mean: Vector, scale: Vector) -> Matrix:
    return np.clip((inputs.astype(np.float64) - mean) / scale, -CLIP, CLIP)


def _sigmoid(values: Vector) -> Vector:
    return 0.5 * (1.0 + np.tanh(0.5 * values))
