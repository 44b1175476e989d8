"""Compile the text kernels for this machine: `python -m corpusmill.pipeline.compile_kernels`, part of `make install`.

numba compiles a kernel when it is first called and keeps the result in its cache. Somebody waits for that, and where many workers start at
once each of them compiles for itself. So call every kernel once, by running the stages on the sample, with a process for the
page walk and one for all others.
"""

import tempfile
from multiprocessing import get_context

from corpusmill.manifests import storage
from corpusmill.pipeline.recipe import Step, resolve_data
from corpusmill.pipeline.run import run_step
from corpusmill.pipeline.runner import InlineRunner

CHAINS = (
    ("package:samples/crawl", ("extract",)),
    ("package:samples/reference", ("extract", "filter", "redact", "dedup", "substring")),
)


def run_chain(source: str, verbs: tuple[str, ...]) -> None:
    """Run the stages one after the other, with their defaults."""
    with tempfile.TemporaryDirectory() as folder:
        given = resolve_data(source)
        for verb in verbs:
            output = storage.join(folder, verb)
            run_step(Step(verb, verb), (given,), output, InlineRunner())
            given = output


def main() -> None:
    context = get_context("spawn")
    processes = [context.Process(target=run_chain, args=chain) for chain in CHAINS]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    if any(process.exitcode for process in processes):
        raise SystemExit("the kernels could not be compiled: see above")


if __name__ == "__main__":
    main()
