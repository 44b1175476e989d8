"""The cost of substring: of the suffix array alone (pydivsufsort), and of a whole part.

    python benchmarks/substring.py --data FOLDER --mb 96

A tool that builds a suffix array cannot be faster than that. FOLDER holds Zstandard JSONL files
with a `text` field, at any depth. Their documents are taken in turn until there are enough. Without
it, the repository's small samples are read. Times are CPU seconds of one process. Memory is the
peak of a fresh process that does only one part, less what it held before it had the texts. The last
line is JSON.
"""

import argparse
import io
import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT))

from benchmarks.memory import peak_mb  # noqa: E402 - the checkout is the package

PATHOLOGIES = ("one letter", "one line", "one page")


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("--data", type=Path, default=ROOT / "samples")
    arguments.add_argument("--mb", type=int, default=96, help="text in the part, in MiB")
    arguments.add_argument("--part-only", default="", help=argparse.SUPPRESS)
    given = arguments.parse_args()
    if given.part_only:
        print(json.dumps(part_cost(given.part_only, given.data, given.mb << 20)))
        return
    print(
        f"{'':22}{'MB':>8}{'sort MB/s':>11}{'substring MB/s':>16}{'peak MB':>9}"
        f"{'bytes/byte':>12}{'cut':>8}"
    )
    costs = {}
    for name in ("real text", *PATHOLOGIES):
        command = [
            sys.executable,
            __file__,
            "--data",
            str(given.data),
            "--mb",
            str(given.mb),
            "--part-only",
            name,
        ]
        costs[name] = cost = json.loads(
            subprocess.run(command, check=True, capture_output=True, text=True).stdout
        )
        print(
            f"{name:22}{cost['mb']:8.1f}{cost['sort_mb_s']:11.2f}"
            f"{cost['substring_mb_s']:16.2f}{cost['peak_mb']:9.0f}"
            f"{cost['bytes_per_byte']:12.1f}{cost['cut']:8.3f}",
            flush=True,
        )
    real = costs["real text"]
    figures = {
        key: real[key] for key in ("substring_mb_s", "sort_mb_s", "peak_mb", "bytes_per_byte")
    }
    figures |= {"ratio": real["substring_mb_s"] / real["sort_mb_s"]}
    figures |= {
        f"{name.replace(' ', '_')}_mb_s": costs[name]["substring_mb_s"] for name in PATHOLOGIES
    }
    print(json.dumps({key: round(value, 3) for key, value in figures.items()}))


def part_cost(name: str, data: Path, size: int) -> dict[str, float]:
    """Run one part in this process. Returns its cost."""
    import pyarrow as pa
    from corpusmill.manifests.schema import DOCUMENT
    from corpusmill.stages.columns.strings import copied
    from corpusmill.stages.substring.cut import cut_documents
    from corpusmill.stages.substring.settings import SubstringSettings
    from corpusmill.stages.substring.suffixes.repeats import suffix_array

    settings = SubstringSettings(max_removed_share=1.0, min_text_chars=0)

    def cut(rows: pa.Table) -> int:
        return sum(
            sum(outcome.kept["substring_removed_bytes"].to_pylist())
            for outcome in cut_documents(settings, rows)
        )

    # Load or compile the kernels.
    cut(pa.Table.from_pylist([{"id": "a", "text": "warm"}], schema=DOCUMENT))
    before = peak_mb()
    texts = list(
        real_texts(data, size) if name == "real text" else pathological_texts(name, data, size)
    )
    ids = [f"{number:08d}" for number in range(len(texts))]
    rows = pa.table(
        {"id": ids, "text": texts}, schema=pa.schema([DOCUMENT.field("id"), DOCUMENT.field("text")])
    )
    for field in list(DOCUMENT)[2:]:
        rows = rows.append_column(field, pa.nulls(len(ids), field.type))
    del texts, ids
    total = int(rows["text"].nbytes)
    removed, seconds = timed(cut, rows)
    peak = peak_mb()
    _, sort_seconds = timed(suffix_array, copied(rows["text"]).data)
    return {
        "mb": total / 1e6,
        "sort_mb_s": total / 1e6 / sort_seconds,
        "substring_mb_s": total / 1e6 / seconds,
        "peak_mb": peak,
        "bytes_per_byte": (peak - before) * 1e6 / total,
        "cut": removed / total,
    }


def timed(work: Callable[[Any], Any], argument: Any) -> tuple[Any, float]:
    started = time.process_time()
    result = work(argument)
    return result, time.process_time() - started


def real_texts(folder: Path, size: int) -> Iterator[str]:
    """Documents of every file in turn, so that each genre is there at any size."""
    import zstandard

    def read(path: Path) -> Iterator[str]:
        with path.open("rb") as file:
            lines = io.TextIOWrapper(
                zstandard.ZstdDecompressor().stream_reader(file), encoding="utf-8"
            )
            yield from (
                text for line in lines if isinstance(text := json.loads(line).get("text"), str)
            )

    waiting = [read(path) for path in sorted(folder.rglob("*.jsonl.zst"))]
    while waiting:
        for source in list(waiting):
            text = next(source, None)
            if text is None:
                waiting.remove(source)
                continue
            size -= len(text.encode())
            if size < 0:
                return
            yield text


def pathological_texts(name: str, data: Path, size: int) -> Iterator[str]:
    """Repetitive texts: one letter or one line, as one document, or one page, as many documents."""
    if name == "one letter":
        yield "a" * size
    elif name == "one line":
        line = "The same line is said again, and again, and again.\n"
        yield line * (size // len(line))
    else:
        page = next(real_texts(ROOT / "samples", 1 << 20))
        yield from [page] * (size // len(page.encode()))


if __name__ == "__main__":
    main()
