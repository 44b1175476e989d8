"""How long the fuzz tests run: a few seconds in the suite, or as long as wanted with `make fuzz`.

In the suite, the inputs are the same every time. `CORPUSMILL_FUZZ=5000` sets the number of inputs
of a target. Then every run draws new inputs. An input that breaks a target is kept in
`.hypothesis/`, and tried first the next time.
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
