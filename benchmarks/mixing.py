"""How well the regression of `mix` orders mixtures, on the runs that RegMix published.

RegMix (arXiv 2407.01492) trained models of 1 M parameters on 512 mixtures of 17 sources, and on 256
others to test with; and models of 1 B parameters on 64 mixtures. This fits to some of the 512 and
orders the others. The peers are linear regression, the exponential of a linear function
(arXiv 2403.16952), and boosted trees (scikit-learn's, for RegMix's LightGBM).

    git clone https://github.com/sail-sg/regmix
    python benchmarks/mixing.py regmix/data
"""

import argparse
import csv
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
from corpusmill.stages.mix.law import fit
from corpusmill.stages.mix.proposal import predicted_without_itself, rank_correlation
from numpy.typing import NDArray
from sklearn.ensemble import GradientBoostingRegressor
from sklearn.linear_model import Ridge

Floats = NDArray[np.float64]
Predict = Callable[[Floats, Floats, Floats], Floats]  # shares, losses, other shares -> losses

RUNS = (24, 32, 64, 128, 512)
DRAWS = 5  # of so many runs


def read(folder: Path, name: str) -> tuple[Floats, Floats]:
    """Shares and losses."""
    found = []
    for kind in ("mixture", "pile_loss"):
        side, size = name.split("_")
        with (folder / f"{side}_{kind}_{size}.csv").open(encoding="utf-8") as file:
            rows = list(csv.reader(file))[1:]
        found.append(np.array([[float(value) for value in row[1:]] for row in rows]))
    shares, losses = found
    return shares / shares.sum(axis=1, keepdims=True), losses


def law(shares: Floats, losses: Floats, others: Floats) -> Floats:
    return fit(shares, losses)(others)


def linear(shares: Floats, losses: Floats, others: Floats) -> Floats:
    found: Floats = Ridge(alpha=0.01).fit(shares, losses).predict(others)
    return found


def exponential(shares: Floats, losses: Floats, others: Floats) -> Floats:
    """The law of arXiv 2403.16952: as `law`, but linear in the shares."""
    return fit(shares**2, losses)(others**2)


def trees(shares: Floats, losses: Floats, others: Floats) -> Floats:
    settings = {"n_estimators": 300, "learning_rate": 0.05, "subsample": 0.7, "random_state": 0}
    return np.stack(
        [
            GradientBoostingRegressor(**settings).fit(shares, domain).predict(others)
            for domain in losses.T
        ],
        axis=1,
    )


REGRESSIONS: dict[str, Predict] = {
    "law": law,
    "linear": linear,
    "exponential": exponential,
    "boosted trees": trees,
}


def quality(predicted: Floats, measured: Floats) -> tuple[float, float]:
    """Rank correlation: mean over the domains, and of the mean over the domains."""
    each = [rank_correlation(*pair) for pair in zip(predicted.T, measured.T, strict=True)]
    mean = rank_correlation(predicted.mean(axis=1), measured.mean(axis=1))
    return float(np.mean(each)), mean


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path, help="data/ of a clone of sail-sg/regmix")
    folder = parser.parse_args().folder
    shares, losses = read(folder, "train_1m")
    small, large = read(folder, "test_1m"), read(folder, "test_1B")
    rng = np.random.default_rng(0)
    chosen = {
        runs: [rng.permutation(len(shares))[:runs] for _ in range(DRAWS if runs < 512 else 1)]
        for runs in RUNS
    }
    print("rank correlation: mean of 13 domains / of their mean; last, with models of 1 B")
    print(f"{'':14}" + "".join(f"{f'{runs} runs':>24}" for runs in RUNS))
    found: dict[str, dict[int, list[float]]] = {}
    for name, predict in REGRESSIONS.items():
        line = f"{name:14}"
        for runs, draws in chosen.items():
            tests = []
            for rows in draws:
                one = (shares[rows], losses[rows])
                tests.append(
                    (
                        *quality(predict(*one, small[0]), small[1]),
                        quality(predict(*one, large[0]), large[1])[1],
                    )
                )
            means = np.mean(tests, axis=0).tolist()
            found.setdefault(name, {})[runs] = means
            line += f"{means[0]:>12.3f} {means[1]:.3f} {means[2]:.3f}"
        print(line)
    alone = [
        rank_correlation(
            predicted_without_itself(shares[rows], losses[rows]).mean(axis=1),
            losses[rows].mean(axis=1),
        )
        for rows in chosen[64]
    ]
    print(f"leave-one-out of the law with 64 runs says {np.mean(alone):.3f}")
    figures = {f"rank_{name.replace(' ', '_')}_64": found[name][64][1] for name in found}
    print(json.dumps({**figures, "leave_one_out_64": float(np.mean(alone))}))


if __name__ == "__main__":
    main()
