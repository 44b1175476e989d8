"""From WARC to filtered Parquet on one core, against datatrove; and the memory for a large file.

    python benchmarks/whole_stage.py [--data FOLDER] [--pages N] [--quick]

Ours: `extract` and `filter` fused, inline. Theirs: a pipeline of the same blocks, in one task:
WarcReader, Trafilatura, LanguageFilter, GopherRepetitionFilter, GopherQualityFilter,
C4QualityFilter, FineWebQualityFilter, ParquetWriter. Both read the same WARC of real pages. Speed
is MB of HTML a second of CPU time, with that of processes that they start. datatrove downloads its
language model when it starts. Here it gets the lid.176 that ships with corpusmill
(`local_language_filter`), the model that ours uses too.

Memory: the peak of a process that runs ours over a generated WARC of 2 GB (--quick: 256 MB), plus
the peak of the process that extracts pages. The WARC holds real pages, repeated with other URLs.
The last line is JSON: `stage_mb_s.NAME`, `peak_mb`.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from benchmarks.memory import peak_mb_with_children  # noqa: E402 - the checkout is the package

FULL, QUICK = 2 << 30, 256 << 20  # bytes of the generated WARC
PAGES = 150


def measure_whole_stage(
    data: Path, pages: int = PAGES, generated_bytes: int = FULL
) -> dict[str, float]:
    """All figures of this file. pages: how many the WARC of both has."""
    with tempfile.TemporaryDirectory() as folder:
        warc, megabytes = Path(folder) / "pages.warc", 0.0
        with warc.open("wb") as output:
            for url, page in some_pages(data, pages):
                output.write(warc_record(url, page))
                megabytes += len(page) / 1e6
        run_ours(warc, Path(folder) / "compiled")  # compiles what numba has not cached yet
        results = {
            "stage_mb_s.corpusmill": round(
                megabytes / cpu_seconds(lambda: run_ours(warc, Path(folder) / "ours")), 2
            ),
            "stage_mb_s.datatrove": round(
                megabytes / cpu_seconds(lambda: run_datatrove(warc, Path(folder) / "theirs")), 3
            ),
        }
        warc.unlink()
        return {**results, "peak_mb": peak_of_generated(data, Path(folder), generated_bytes)}


def some_pages(data: Path, count: int) -> Iterator[tuple[str, bytes]]:
    """(URL, HTML) of pages from all crawl files, spread evenly."""
    files = sorted((data / "web").glob("crawl-*.warc.gz"))
    for path in files:
        found = list(pages_of(path))
        yield from found[:: max(1, len(found) * len(files) // count)][: count // len(files) + 1]


def pages_of(path: Path) -> Iterator[tuple[str, bytes]]:
    from fastwarc.warc import ArchiveIterator, WarcRecordType

    with path.open("rb") as stream:
        for record in ArchiveIterator(stream, record_types=WarcRecordType.response):
            yield record.headers["WARC-Target-URI"], record.reader.read()


def warc_record(url: str, page: bytes) -> bytes:
    """A response record."""
    http = b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: %d\r\n\r\n" % len(page)
    head = (
        "WARC/1.0\r\nWARC-Type: response\r\nWARC-Date: 2024-01-01T00:00:00Z\r\n"
        f"WARC-Record-ID: <urn:x:{url}>\r\nWARC-Target-URI: {url}\r\n"
        "Content-Type: application/http; msgtype=response\r\n"
        f"Content-Length: {len(http) + len(page)}\r\n\r\n"
    )
    return head.encode() + http + page + b"\r\n\r\n"


def run_ours(warc: Path, folder: Path) -> None:
    """`extract` and `filter` with their defaults, fused, in this process."""
    from corpusmill.pipeline.execute import Job, execute
    from corpusmill.pipeline.fused import Fused
    from corpusmill.pipeline.inputs import expand_inputs
    from corpusmill.pipeline.runner import InlineRunner
    from corpusmill.stages.contract import Inputs
    from corpusmill.stages.extract.stage import Extract
    from corpusmill.stages.filter.stage import Filter

    runner = InlineRunner()
    documents, parents, _ = expand_inputs([str(warc)], str(folder), runner)
    stages: Any = Fused(stages=(Extract(), Filter()))
    manifest = execute(
        Job(stages, ("extract", "filter"), {}, Inputs(str(folder), documents), parents), runner
    )
    assert manifest.conserved


def run_datatrove(warc: Path, folder: Path) -> None:
    from datatrove.executor import LocalPipelineExecutor
    from datatrove.pipeline import filters
    from datatrove.pipeline.extractors import Trafilatura
    from datatrove.pipeline.readers import WarcReader
    from datatrove.pipeline.writers import ParquetWriter

    LocalPipelineExecutor(
        pipeline=[
            WarcReader(str(warc.parent), glob_pattern=warc.name),
            Trafilatura(favour_precision=True),
            local_language_filter(),
            filters.GopherRepetitionFilter(),
            filters.GopherQualityFilter(),
            filters.C4QualityFilter(filter_no_terminal_punct=False),
            filters.FineWebQualityFilter(),
            ParquetWriter(str(folder / "output")),
        ],
        tasks=1,
        workers=1,
        logging_dir=str(folder / "logs"),
    ).run()


def local_language_filter() -> Any:
    """datatrove's LanguageFilter, with the language model that ships with corpusmill.

    The model is loaded with the first page, like theirs.
    """
    from corpusmill.stages.extract.language import shipped_model
    from datatrove.pipeline.filters import LanguageFilter
    from datatrove.utils.lid import FT176LID
    from fasttext.FastText import _FastText

    class ShippedModel(FT176LID):
        @property
        def model(self) -> Any:
            if self._model is None:  # type: ignore[has-type]
                self._model = _FastText(shipped_model())
            return self._model

    block = LanguageFilter(languages=["en"], language_threshold=0.65)
    block.model = ShippedModel(["en"])
    return block


def cpu_seconds(work: Callable[[], None]) -> float:
    """CPU time of this process, and of those that it started and waited for."""

    def used() -> float:
        return sum(os.times()[:4])

    started = used()
    work()
    return used() - started


def peak_of_generated(data: Path, folder: Path, size: int) -> float:
    """The peak memory of a process that runs ours over a generated WARC, in MB.

    The WARC is deleted again.
    """
    warc, written, round_number = folder / "generated.warc", 0, 0
    pages = [
        page for path in sorted((data / "web").glob("crawl-*.warc.gz")) for page in pages_of(path)
    ]
    with warc.open("wb") as output:
        while written < size:
            for url, page in pages:
                written += output.write(
                    warc_record(f"{url}{'&' if '?' in url else '?'}copy={round_number}", page)
                )
                if written >= size:
                    break
            round_number += 1
    code = (
        "import sys; from pathlib import Path; from benchmarks import whole_stage; "
        "whole_stage.main_of_child(*map(Path, sys.argv[1:]))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(warc), str(folder / "generated")],
        cwd=ROOT,
        check=True,
        capture_output=True,
        text=True,
    )
    warc.unlink()
    return float(done.stdout.strip().splitlines()[-1])


def main_of_child(warc: Path, folder: Path) -> None:
    run_ours(warc, folder)
    print(round(peak_mb_with_children()))


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, default=ROOT.parent / "shared" / "data")
    parser.add_argument("--pages", type=int, default=PAGES)
    parser.add_argument("--quick", action="store_true", help="measure the memory on a smaller file")
    arguments = parser.parse_args()
    print(
        json.dumps(
            measure_whole_stage(arguments.data, arguments.pages, QUICK if arguments.quick else FULL)
        )
    )


if __name__ == "__main__":
    main()
