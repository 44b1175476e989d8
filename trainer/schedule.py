"""Learning-rate schedules: warm-up, then a cosine to 1% of the peak, or warm-up, stable, decay.

Sources: arXiv 2504.03624, section 2.4 (Nemotron-H: cosine, floor 1% of the peak); arXiv 2508.14444
(WSD, Nemotron Nano 2).
"""

import math

from corpusmill.trainer.config import Schedule


def learning_rate_at(
    step: int,
    steps: int,
    peak: float,
    warmup_steps: int,
    schedule: Schedule = "cosine",
    floor: float = 0.01,
    decay_fraction: float = 0.2,
) -> float:
    """The learning rate of step `step` (from 0) of `steps`.

    Warm-up rises by peak / warmup_steps a step, and reaches the peak in step warmup_steps - 1.
    `cosine` then falls to floor * peak in the last step. `wsd` stays at the peak, and falls
    linearly to floor * peak over the last decay_fraction of all steps; if that is less than half a
    step, it stays at the peak to the end. floor: a share of the peak.
    """
    if step < warmup_steps:
        return peak * (step + 1) / warmup_steps
    if schedule == "cosine":
        done = (step + 1 - warmup_steps) / max(1, steps - warmup_steps)
        return peak * (floor + (1 - floor) * 0.5 * (1 + math.cos(math.pi * min(1.0, done))))
    decay_steps = min(round(steps * decay_fraction), steps - warmup_steps)
    if decay_steps == 0:
        return peak
    left = (steps - 1 - step) / decay_steps
    return peak * (floor + (1 - floor) * min(1.0, max(0.0, left)))
