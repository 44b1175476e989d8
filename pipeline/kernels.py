"""Compile this machine's text kernels before the first run, with progress.

Without this, each worker would compile for itself, and show nothing. So the command line calls
`ensure_compiled` before the first run. `pipeline.compile_kernels` does the work.
"""

import fcntl
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from typing import Final

from corpusmill.manifests.errors import CorpusmillError
from corpusmill.stages.columns.kernel_cache import ROOT, cache_folder, kernel_files

CHAINS: Final = {  # name -> sample, and the stages that read it; each chain is one process
    "pages": ("package:samples/crawl", ("extract",)),
    "texts": (
        "package:samples/reference",
        ("extract", "filter", "redact", "dedup", "templates", "substring"),
    ),
}
VERBS: Final = frozenset(  # use kernels
    ("decontaminate", *(verb for _, verbs in CHAINS.values() for verb in verbs))
)
_COMPLETE: Final = "complete"  # if this file is in the cache folder, all kernels are there
_POLL_SECONDS: Final = 0.5
_SAY_SECONDS: Final = 5.0


def ensure_compiled(say: Callable[[str], None]) -> None:
    """Compile all kernels, unless this machine has them. Returns when they are there.

    say: called every few seconds with a line of progress. If another process compiles, this one
    waits for it. Raises CorpusmillError if the work fails.
    """
    folder = cache_folder()
    if (folder / _COMPLETE).exists():
        return
    with open(folder / "compiling", "a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (folder / _COMPLETE).exists():
            _compile_all(say)
            (folder / _COMPLETE).touch()


def kernels_to_compile() -> int:
    """The number of kernels, without those that are only compiled into others."""
    sources = (path.read_text(encoding="utf-8") for path in kernel_files())
    lines = [line for source in sources for line in source.splitlines()]
    marks = ("@njit", "@uncounted")
    return sum(line.startswith(marks) and 'inline="always"' not in line for line in lines)


def kernels_compiled() -> int:
    """The number of kernels in the cache folder."""
    return sum(1 for _ in cache_folder().rglob("*.nbi"))


def _compile_all(say: Callable[[str], None]) -> None:
    command = [sys.executable, "-m", "corpusmill.pipeline.compile_kernels"]
    total, said, began = kernels_to_compile(), float("-inf"), time.monotonic()
    with tempfile.TemporaryFile("w+") as errors:
        processes = [
            subprocess.Popen([*command, chain], stdout=errors, stderr=errors, cwd=ROOT.parent)
            for chain in CHAINS
        ]
        while any(process.poll() is None for process in processes):
            if time.monotonic() - said >= _SAY_SECONDS:
                said, done = time.monotonic(), min(kernels_compiled(), total)
                # Some kernels are compiled for several types, so the count ends before the work.
                rest = ", the last ones for further types" if done == total else ""
                say(
                    f"compiling text kernels for this machine, once, some minutes on two cores: "
                    f"{done}/{total}{rest}, {said - began:.0f} s so far"
                )
            time.sleep(_POLL_SECONDS)
        codes = [process.returncode for process in processes]
        if any(codes):
            errors.seek(0)
            last = (errors.read().strip() or "no message").splitlines()[-1]
            if min(codes) < 0:  # it had no time to say why
                last = f"signal {-min(codes)} ended the compiler (is there enough memory?)"
            raise CorpusmillError(
                f"the text kernels could not be compiled: {last}",
                f"run `{' '.join(command)}` to see the whole error, or set CORPUSMILL_CACHE to "
                f"use another folder than {cache_folder().parent}",
            )
