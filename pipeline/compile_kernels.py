"""Compile the text kernels for this machine: `python -m corpusmill.pipeline.compile_kernels`, part of `make install`.

numba compiles a kernel when it is first called and keeps the result (`stages.columns.kernel_cache`). Somebody waits for
that, and where many workers start at once each of them compiles for itself. So this module calls every kernel once: it
runs the stages on the sample and calls by name the few kernels that the sample does not reach. `ensure_compiled` does
so before workers start, says so on stderr and shows how far it is.
"""

import fcntl
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from typing import Final, TextIO

from corpusmill.manifests import storage
from corpusmill.manifests.errors import CorpusmillError
from corpusmill.stages.columns.kernel_cache import ROOT, cache_folder, kernel_files

CHAINS: Final = {  # name -> the sample and what runs over it; each has a process of its own
    "pages": ("package:samples/crawl", ("extract",)),
    "texts": ("package:samples/reference", ("extract", "filter", "redact", "dedup", "substring")),
}
VERBS: Final = frozenset(verb for _, verbs in CHAINS.values() for verb in verbs)  # have kernels
_COMPLETE: Final = "complete"  # this file in the cache folder says that all kernels are there
_POLL_SECONDS: Final = 0.5


def ensure_compiled(stream: TextIO | None = sys.stderr) -> None:
    """Compile all kernels, unless this machine has them; returns when they are there.

    stream: where to say so, None for nowhere. On a terminal one line shows how many are done; elsewhere a line says
    that the work has begun and another that it is done. Another process that compiles is waited for. Raises
    CorpusmillError if the work fails.
    """
    folder = cache_folder()
    if (folder / _COMPLETE).exists():
        return
    with open(folder / "compiling", "a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (folder / _COMPLETE).exists():
            _compile_all(stream)
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


def _compile_all(stream: TextIO | None) -> None:
    command = [sys.executable, "-m", "corpusmill.pipeline.compile_kernels"]
    started = time.monotonic()
    with tempfile.TemporaryFile("w+") as errors:
        processes = [
            subprocess.Popen([*command, chain], stdout=errors, stderr=errors, cwd=ROOT.parent)
            for chain in CHAINS
        ]
        report = _progress(stream)
        while any(process.poll() is None for process in processes):
            report(kernels_compiled())
            time.sleep(_POLL_SECONDS)
        if any(process.returncode for process in processes):
            errors.seek(0)
            last = (errors.read().strip() or "no message").splitlines()[-1]
            raise CorpusmillError(
                f"the text kernels could not be compiled: {last}",
                f"see `{' '.join(command)}`; CORPUSMILL_CACHE names another folder than "
                f"{cache_folder().parent}",
            )
    if stream:
        end = "\n" if not stream.isatty() else "\r\x1b[K"
        stream.write(f"compiled text kernels in {time.monotonic() - started:.0f} s{end}")
        stream.flush()


def _progress(stream: TextIO | None) -> Callable[[int], None]:
    """A function that shows how many kernels are done."""
    title = "compiling text kernels for this machine, once"
    if stream is None:
        return lambda done: None
    if not stream.isatty():
        stream.write(f"{title}\n")
        stream.flush()
        return lambda done: None
    total = kernels_to_compile()

    def show(done: int) -> None:
        stream.write(f"\r{title}: {min(done, total)}/{total}\x1b[K")
        stream.flush()

    return show


def compile_chain(name: str) -> None:
    """Run the stages of a chain one after the other with their defaults, and call the kernels that they do not reach."""
    from corpusmill.pipeline.recipe import Step, resolve_data
    from corpusmill.pipeline.run import run_step
    from corpusmill.pipeline.runner import InlineRunner

    source, verbs = CHAINS[name]
    with tempfile.TemporaryDirectory() as folder:
        given = resolve_data(source)
        for verb in verbs:
            output = storage.join(folder, verb)
            run_step(Step(verb, verb), (given,), output, InlineRunner())
            given = output
    if name == "texts":
        _call_the_rest()


def _call_the_rest() -> None:
    """The kernels of URL lists, of near duplicates and of comparisons with earlier runs."""
    import numpy as np
    import pyarrow as pa
    from corpusmill.stages.columns.strings import joined
    from corpusmill.stages.dedup.clusters import choose_survivors
    from corpusmill.stages.dedup.signatures.minhash import make_scheme
    from corpusmill.stages.dedup.signatures.shingles import exact_hashes, shingle_sets
    from corpusmill.stages.dedup.signatures.sketches import match_sketches
    from corpusmill.stages.filter.url_rules import UrlRules, compiled, judge_all

    with tempfile.NamedTemporaryFile("w", suffix=".txt") as file:
        file.write("example.org\n")
        file.flush()
        lists = (file.name,)
        rules = UrlRules(domains=lists, urls=lists, words=lists, soft_words=lists, subwords=lists)
        judge_all(pa.chunked_array([["https://example.com/a"]]), compiled(rules))
    texts = joined(pa.chunked_array([["the same words in each of two texts"] * 2]))
    exact_hashes(*texts)
    sets = shingle_sets(*texts, 5)
    choose_survivors(np.array([0, 2]), sets, make_scheme(14, 8, 1), 0.8, 10)
    sketches = (sets.hashes >> np.uint64(32)).astype(np.uint32)
    match_sketches(
        np.array([0]), np.array([1]), sets.offsets, sets.hashes, sets.offsets, sketches,
        np.diff(sets.offsets), 0.8, 10, np.full(2, -1), np.ones(2),
    )  # fmt: skip


def main() -> None:
    if len(sys.argv) > 1:
        compile_chain(sys.argv[1])
        return
    ensure_compiled()


if __name__ == "__main__":
    main()
