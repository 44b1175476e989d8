"""How long the fuzz tests run: a few seconds in the suite, with the same inputs every time; as long as one likes by `make fuzz`.

`CORPUSMILL_FUZZ=5000` is the number of inputs a target gets. Then the inputs are drawn anew in every run, and what broke a target is kept
in `.hypothesis/` and tried first the next time.
"""

import os

from hypothesis import HealthCheck, settings

LONG = int(os.environ.get("CORPUSMILL_FUZZ", "0"))


def fuzz(examples: int = 40) -> settings:
    """examples: how many inputs in the suite's short run."""
    return settings(
        max_examples=LONG or examples,
        derandomize=not LONG,
        deadline=20_000 if LONG else None,  # ms: no input may hang a target
        suppress_health_check=[
            HealthCheck.too_slow,
            HealthCheck.data_too_large,
            HealthCheck.function_scoped_fixture,
        ],
    )
