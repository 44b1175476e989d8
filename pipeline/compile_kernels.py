"""Compile the text kernels for this machine: `python -m corpusmill.pipeline.compile_kernels`.

numba compiles a kernel at its first call and keeps the result (`stages.columns.kernel_cache`). So
this module calls every kernel once. It runs the stages on the sample. Then it calls the few kernels
that the sample does not reach. `make install` runs it, and so does the command line before the
first run (`pipeline.kernels`).
"""

import json
import sys
import tempfile

from corpusmill.manifests import storage
from corpusmill.pipeline.kernels import CHAINS, ensure_compiled


def compile_chain(name: str) -> None:
    """Run a chain's stages with their defaults, then call the kernels that they do not reach."""
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
    """Call the kernels of URL lists, of near duplicates, of comparisons with earlier runs, and of
    evaluation sets.
    """
    import numpy as np
    import pyarrow as pa
    from corpusmill.stages.columns.strings import joined
    from corpusmill.stages.decontaminate.settings import EvaluationSet
    from corpusmill.stages.decontaminate.stage import Decontaminate
    from corpusmill.stages.dedup.clusters import choose_survivors, fell_for_shared_part
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
    sets = shingle_sets(*texts, 5, normalization="meaning", with_words=True)
    choice = choose_survivors(np.array([0, 2]), sets, make_scheme(14, 8, 1), 0.8, 10)
    fell_for_shared_part(choice, sets, 5)
    figures = np.zeros((2, 2), np.uint64)
    sketches = (sets.hashes >> np.uint64(32)).astype(np.uint32)
    match_sketches(
        np.array([0]), np.array([1]), sets.offsets, sets.hashes, figures, sets.offsets, sketches,
        np.diff(sets.offsets), figures, 0.8, 10, np.full(2, -1), np.ones(2),
    )  # fmt: skip
    with tempfile.NamedTemporaryFile("w", suffix=".jsonl") as file:
        asked = "Which harbour did the surveyors measure before winter?"
        file.write(json.dumps({"question": asked, "answer": "Kvalsund"}))
        file.flush()
        document = pa.table({"id": ["0"], "text": [f"{asked} Kvalsund"]})
        Decontaminate(sets={"one": EvaluationSet(input=file.name)}).apply(document)


def main() -> None:
    if len(sys.argv) > 1:
        compile_chain(sys.argv[1])
        return
    ensure_compiled(lambda text: print(text, file=sys.stderr, flush=True))


if __name__ == "__main__":
    main()
