"""The command as a user starts it: a process of its own. Its output and exit code are caught."""

import os
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent


def corpusmill(*arguments, cwd, prefix=(), **environment):
    """Run `corpusmill ARGUMENTS` in `cwd`, below the command `prefix` if there is one."""
    return subprocess.run(
        [*prefix, sys.executable, "-m", "corpusmill.cli", *map(str, arguments)],
        cwd=cwd,
        env={**os.environ, "HF_HUB_OFFLINE": "1", **environment},
        capture_output=True,
        text=True,
        timeout=400,
    )


def error_lines(errors):
    """The lines on standard error, without those about progress."""
    return [line for line in errors.splitlines() if not re.match(r"\d\d:\d\d:\d\d \S", line)]
