"""Deduplication against its peers, on one core: speed, recall, precision, and growth of the cost.

    python benchmarks/dedup.py [--docs 100000] [--scale 1000000] [--data FOLDER] [--work FOLDER]

The corpus is real text with planted near-duplicates (`benchmarks/dedup_corpus.py`). Speeds are MB
of text a second of CPU time, after a warm-up that compiles the kernels. Definitions:

- words: `str.lower`, without characters of Unicode's categories P and S, then `str.split`. This is
  the rule `words`; the default rule `meaning` is measured by it too.
- shingles: the set of all five words in a row. Plain Python makes words and shingles; it shares no
  code with the kernels. True similarity: the Jaccard similarity of two such sets.
- recall: counts the planted pairs whose true similarity is at least 0.8. It is the share of them of
  which one document was removed for the other, or both for a third.
- precision: the share of removed documents whose true similarity with the document that stays is at
  least 0.8. Equal texts too short for a shingle count as similar. Up to `CHECKED` removed documents
  are checked.
- scaling_ratio: CPU seconds a document at --scale documents over those at --docs, both with
documents
  that are put together.
- peak_mb: resident memory of the process that dedups --docs documents, with reader and writer.

The benchmark prints a table, then one line of JSON.
"""

import argparse
import json
import random
import statistics
import subprocess
import sys
import tempfile
import time
import unicodedata
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT))

from benchmarks import dedup_corpus  # noqa: E402 - the checkout is the package
from benchmarks.memory import peak_mb  # noqa: E402
from benchmarks.peers import require  # noqa: E402

THRESHOLD = 0.8
CHECKED = 20_000
PEER_TEXTS = {"datatrove": 1500, "datasketch": 4000, "rensa": 10_000}
SIGN_REPEATS = 5


def true_shingles(text: str) -> set[tuple[str, ...]]:
    """The shingles of a text, by the definition above."""
    bare = "".join(c for c in text.lower() if unicodedata.category(c)[0] not in "PS")
    words = bare.split()
    return {tuple(words[i : i + 5]) for i in range(max(1, len(words) - 4))} if words else set()


def true_similarity(left: str, right: str) -> float:
    one, other = true_shingles(left), true_shingles(right)
    return (
        len(one & other) / len(one | other) if one | other else float(left.split() == right.split())
    )


def sign_speed(texts: list[str], normalization: str) -> float:
    """From text in Arrow to band keys and exact hashes, with default settings: MB/s, a median."""
    from corpusmill.stages.columns.strings import joined
    from corpusmill.stages.dedup.settings import DedupSettings
    from corpusmill.stages.dedup.signatures.minhash import band_keys

    settings = DedupSettings.model_validate({"normalization": normalization})
    column = pa.chunked_array([pa.array(texts)])
    ngram, scheme, rule = settings.ngram, settings.make_scheme(), settings.normalization
    band_keys(*joined(column.slice(0, 100)), ngram, scheme, rule)
    seconds = []
    for _ in range(SIGN_REPEATS):
        started = time.process_time()
        band_keys(*joined(column), ngram, scheme, rule)
        seconds.append(time.process_time() - started)
    return sum(len(text.encode()) for text in texts) / 1e6 / statistics.median(seconds)


def dedup(paths: list[Path], output: Path, rule: str) -> dict[str, float]:
    """Run the dedup stage in a process of its own. Returns its CPU seconds and peak memory."""
    command = [sys.executable, __file__, "--only-dedup", rule, str(output), *map(str, paths)]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    return dict(json.loads(done.stdout.splitlines()[-1]))


def only_dedup(normalization: str, output: str, paths: list[str]) -> None:
    """In the subprocess: warm up on a few rows, then run the stage and print its cost."""
    from corpusmill.pipeline.recipe import Step
    from corpusmill.pipeline.run import run_step
    from corpusmill.pipeline.runner import InlineRunner

    few = Path(output) / "few.parquet"
    few.parent.mkdir(parents=True)
    rows = pq.read_table(paths[0]).slice(0, 200)
    # Near copies, so that all kernels have work.
    near = pc.binary_join_element_wise(rows["text"], "and some more words", " ")
    copies = rows.set_column(
        0, rows.schema.field(0), pc.binary_join_element_wise(rows["id"], "copy", "-")
    )
    pq.write_table(pa.concat_tables([rows, copies.set_column(1, rows.schema.field(1), near)]), few)
    step = Step("dedup", "dedup", (), {"normalization": normalization})
    run_step(step, (str(few),), f"{output}/warm", InlineRunner())
    cpu, wall = time.process_time(), time.perf_counter()
    run_step(step, tuple(paths), f"{output}/dedup", InlineRunner())
    cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
    print(json.dumps({"cpu": cpu, "wall": wall, "peak_mb": peak_mb()}))


def quality(
    output: Path, pairs: list[dedup_corpus.Pair], paired: dict[str, str]
) -> tuple[float, float, list[str]]:
    """(recall, precision, lines of the table)."""
    columns = ["id", "text", "cluster_id"]
    kept = pa.concat_tables(
        pq.read_table(path, columns=columns) for path in sorted(output.glob("documents/*"))
    )
    gone = pa.concat_tables(
        pq.read_table(path, columns=columns) for path in sorted(output.glob("excluded/*"))
    )
    cluster = {
        name: stands
        for table in (kept, gone)
        for name, stands in zip(
            table["id"].to_pylist(), table["cluster_id"].to_pylist(), strict=True
        )
    }
    found: dict[str, list[bool]] = {}
    for pair in pairs:
        if true_similarity(paired[pair.original], paired[pair.copy]) >= THRESHOLD:
            found.setdefault(f"{pair.kind} {pair.rate}", []).append(
                cluster[pair.original] == cluster[pair.copy]
            )
    lines = [
        f"  {edit:18} {len(hits):6} pairs  {sum(hits) / len(hits):.4f}"
        for edit, hits in sorted(found.items())
    ]
    every = [hit for hits in found.values() for hit in hits]
    texts = dict(zip(kept["id"].to_pylist(), kept["text"].to_pylist(), strict=True))
    removed = gone.to_pylist()
    random.Random(1).shuffle(removed)
    right = [
        true_similarity(row["text"], texts[row["cluster_id"]]) >= THRESHOLD
        for row in removed[:CHECKED]
    ]
    return sum(every) / len(every), sum(right) / len(right), lines


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--docs", type=int, default=100_000)
    parser.add_argument(
        "--scale", type=int, default=1_000_000, help="documents of the larger scaling run; 0: none"
    )
    parser.add_argument("--data", type=Path, default=ROOT.parent / "shared" / "data")
    parser.add_argument("--work", type=Path, help="where to write; by default a temporary folder")
    parser.add_argument("--normalization", default="meaning", help="of the dedup stage")
    parser.add_argument("--no-peers", action="store_true")
    parser.add_argument("--only-dedup", nargs="+", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if not options.no_peers and not options.only_dedup:
        require("datasketch", "rensa", "xxhash")
    if options.only_dedup:
        normalization, output, *paths = options.only_dedup
        only_dedup(normalization, output, paths)
        return
    with tempfile.TemporaryDirectory(dir=options.work) as folder:
        print(json.dumps(measure(options, Path(folder))))


def measure(options: argparse.Namespace, work: Path) -> dict[str, float | None]:
    """Measure everything and print the table. Returns the last line."""
    real = dedup_corpus.real_documents(options.data, work)
    paths, pairs, paired = dedup_corpus.write_corpus(real, options.docs, work / "corpus")
    sample = pq.read_table(paths[0], columns=["text"])["text"].to_pylist()
    size = sum(pq.read_metadata(path).num_rows for path in paths)
    megabytes = (
        sum(
            len(t.encode())
            for path in paths
            for t in pq.read_table(path, columns=["text"])["text"].to_pylist()
        )
        / 1e6
    )
    print(f"corpus: {size} documents, {megabytes:.0f} MB of text, {len(pairs)} planted pairs")

    result: dict[str, float | None] = {
        "sign_mb_s.corpusmill": sign_speed(sample, options.normalization)
    }
    few = work / "few.parquet"
    pq.write_table(pq.read_table(paths[0]).slice(0, 200), few)
    # numba compiles into its cache. Compiling takes more memory than the work.
    rule = options.normalization
    dedup([few], work / "compiled", rule)
    cost = dedup(paths, work / "out", rule)
    result["dedup_mb_s.corpusmill"] = megabytes / cost["cpu"]
    recall, precision, lines = quality(work / "out" / "dedup", pairs, paired)
    print("recall by edit (pairs of true similarity 0.8 and more)", *lines, sep="\n")
    if not options.no_peers:
        from benchmarks import dedup_peers

        signing, whole = dedup_peers.datatrove(
            sample[: PEER_TEXTS["datatrove"]], work / "datatrove"
        )
        sketches = dedup_peers.datasketch(sample[: PEER_TEXTS["datasketch"]])
        result["sign_mb_s.datatrove"], result["dedup_mb_s.datatrove"] = signing, whole
        result["sign_mb_s.datasketch"] = max(sketches.values())
        result["sign_mb_s.rensa"] = dedup_peers.rensa(sample[: PEER_TEXTS["rensa"]])
        print(
            "datasketch:", ", ".join(f"{name} {speed:.2f} MB/s" for name, speed in sketches.items())
        )
    result |= {
        "recall": recall,
        "precision": precision,
        "scaling_ratio": None,
        "peak_mb": cost["peak_mb"],
    }
    if options.scale:
        each = {}
        for documents in (options.docs, options.scale):
            shards = dedup_corpus.write_scaling_corpus(real, documents, work / f"scale-{documents}")
            each[documents] = dedup(shards, work / f"scaled-{documents}", rule)
            print(
                f"{documents} documents: "
                f"{each[documents]['cpu'] / documents * 1e6:.1f} CPU seconds a million, "
                f"peak {each[documents]['peak_mb']:.0f} MB"
            )
        ratio = (each[options.scale]["cpu"] / options.scale) / (
            each[options.docs]["cpu"] / options.docs
        )
        result["scaling_ratio"] = ratio
    return table(result)


def table(result: dict[str, float | None]) -> dict[str, float | None]:
    """Print the figures and the ratios to each peer. Return the figures, rounded."""
    for key, value in result.items():
        name, _, peer = key.partition(".")
        own = result.get(f"{name}.corpusmill")
        ratio = f"{own / value:8.0f} x" if peer not in ("", "corpusmill") and own and value else ""
        print(f"{key:24} {'-' if value is None else f'{value:10.4g}'} {ratio}")
    return {key: None if value is None else round(value, 4) for key, value in result.items()}


if __name__ == "__main__":
    main()
