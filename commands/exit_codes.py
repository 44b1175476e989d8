"""The exit codes of the command line. `corpusmill --help` and docs/operations.md list them."""

from typing import Any

import typer
from corpusmill.manifests.errors import CorpusmillError, Interrupted, TimeUp

USER_ERROR, QUARANTINED, NOT_VERIFIED, TIME_UP, INTERRUPTED = 2, 3, 4, 5, 130
EXIT_CODES = {
    0: "done",
    1: "an error in corpusmill itself; please report it",
    USER_ERROR: "a wrong input, a full disk, a store that is down; the message says what to do",
    QUARANTINED: "done, but some shards failed (quarantined); also what verify says of such a run",
    NOT_VERIFIED: "verify found problems",
    TIME_UP: "the time of --max-hours is up; the same command goes on",
    INTERRUPTED: "stopped by Ctrl-C or SIGTERM; the same command goes on",
}

# The parser's exception for a wrong command line. typer does not export it by name.
UsageError: Any = typer.BadParameter.__bases__[0]


def exit_code(error: CorpusmillError) -> int:
    if isinstance(error, TimeUp):
        return TIME_UP
    return INTERRUPTED if isinstance(error, Interrupted) else USER_ERROR
