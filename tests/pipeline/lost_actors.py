"""Actors whose process ends at the start. They have a module of their own, which Ray's workers can
import: a test's module has the name of the checkout's folder.
"""

import os
import uuid
from pathlib import Path

from corpusmill.pipeline import ray_runner

STARTS = "CORPUSMILL_TEST_STARTS"  # the folder where actors note that they start


class LostAtFirst(ray_runner._EngineWorker):
    """Its process ends at the start, as often as the file `lost` says."""

    def start(self) -> None:
        starts = Path(os.environ[STARTS])
        before = len(list(starts.glob("start-*")))
        (starts / f"start-{uuid.uuid4()}").touch()
        if before < int((starts / "lost").read_text()):
            os._exit(9)
