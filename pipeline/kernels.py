"""The text kernels of this machine: are they compiled, and if not, compile them now and say so.

Workers that start at once would each compile for themselves, in silence. So the command line calls
`ensure_compiled` before the first run. The work itself is `pipeline.compile_kernels`.
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

CHAINS: Final = {  # name -> the sample and what runs over it; each has a process of its own
    "pages": ("package:samples/crawl", ("extract",)),
    "texts": ("package:samples/reference", ("extract", "filter", "redact", "dedup", "substring")),
}
VERBS: Final = frozenset(verb for _, verbs in CHAINS.values() for verb in verbs)  # have kernels
_COMPLETE: Final = "complete"  # this file in the cache folder says that all kernels are there
_POLL_SECONDS: Final = 0.5
_SAY_SECONDS: Final = 5.0


def ensure_compiled(say: Callable[[str], None]) -> None:
    """Compile all kernels, unless this machine has them. Returns when they are there.

    say: is told every few seconds how many kernels are done. If another process compiles, this one
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
    """How many kernels there are, without those that are compiled into others only."""
    sources = (path.read_text(encoding="utf-8") for path in kernel_files())
    lines = [line for source in sources for line in source.splitlines()]
    marks = ("@njit", "@uncounted")
    return sum(line.startswith(marks) and 'inline="always"' not in line for line in lines)


def kernels_compiled() -> int:
    """How many kernels the cache folder has."""
    return sum(1 for _ in cache_folder().rglob("*.nbi"))


def _compile_all(say: Callable[[str], None]) -> None:
    command = [sys.executable, "-m", "corpusmill.pipeline.compile_kernels"]
    total, told = kernels_to_compile(), float("-inf")
    with tempfile.TemporaryFile("w+") as errors:
        processes = [
            subprocess.Popen([*command, chain], stdout=errors, stderr=errors, cwd=ROOT.parent)
            for chain in CHAINS
        ]
        while any(process.poll() is None for process in processes):
            if time.monotonic() - told >= _SAY_SECONDS:
                told, done = time.monotonic(), min(kernels_compiled(), total)
                say(f"compiling text kernels for this machine, once: {done}/{total}")
            time.sleep(_POLL_SECONDS)
        if any(process.returncode for process in processes):
            errors.seek(0)
            last = (errors.read().strip() or "no message").splitlines()[-1]
            raise CorpusmillError(
                f"the text kernels could not be compiled: {last}",
                f"see `{' '.join(command)}`; CORPUSMILL_CACHE names another folder than "
                f"{cache_folder().parent}",
            )
