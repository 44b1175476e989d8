"""What a run will ask, from a sample, for `corpusmill ocr --estimate`.

Some files are drawn. Some pages of their scans are looked at as the run looks at them, so requests
are counted. No model is asked. The files that were drawn stand for the others: for documents by
their number, and for pages by their size, because long scans are large. Tokens come from a run
before (`stages.synthesize.usage`). Without one they are a guess by the size of the images and the
letters on them.
"""

import io
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
from corpusmill.manifests.parquet_files import footer_of, read_parquet, schema_of
from corpusmill.manifests.receipt import Counts
from corpusmill.manifests.schema import IMAGE, seed_for
from corpusmill.manifests.shard import Shard
from corpusmill.manifests.storage import Artifact
from corpusmill.prompts.loader import Prompt
from corpusmill.stages.engines.contract import Request
from corpusmill.stages.engines.pictures import picture_of, words_of
from corpusmill.stages.extract import pdf
from corpusmill.stages.ocr.asked_pages import AskedPage, pages_of
from corpusmill.stages.ocr.cutting import Profile
from corpusmill.stages.ocr.scans import Scan, scans_of
from corpusmill.stages.synthesize.estimate import Line
from PIL import Image

if TYPE_CHECKING:
    from corpusmill.stages.engines.page_reader import PageEngine
    from corpusmill.stages.ocr.stage import Ocr

_FILES = 32  # that are drawn
_PAGES = 8  # of a scan that are looked at
# Of English. On drawn pages of four corpora, a letter by `Profile` was 0.9 to 1.4 characters.
_LETTERS_A_TOKEN, _CHARACTERS_A_TOKEN = 3.3, 4
_PIXELS_A_TOKEN = 28 * 28  # as Qwen2-VL (Wang et al. 2024, arXiv 2409.12191, section 2.1)


class _Sums:
    """What the sample stands for, added up."""

    def __init__(self, used: Mapping[str, int], engine: "PageEngine") -> None:
        self.used, self._engine = used, engine
        self.scans = self.documents = self.pages = self.requests = 0.0
        self.prompt = self.output = self.most = 0.0
        self.without: defaultdict[str, float] = defaultdict(float)  # reason -> files or pages
        # Of the request with least room: the most tokens of its answer, and those of its image.
        self.tight: tuple[int, int] | None = None

    def add(self, pages: Sequence[AskedPage], scans: float, each: float) -> None:
        """Add a scan by some of its pages. scans: that it stands for. each: pages that each of its
        own stands for.
        """
        self.scans += scans
        self.documents += scans * any(page.asked for page in pages)
        for page in pages:
            stands_for = each * page.of / len(pages) if page.number else scans
            if page.rejection is not None:
                self.without[page.rejection.code("ocr")] += stands_for
            elif not page.asked:
                self.without["blank" if "blank" in page.seen else "with a text layer"] += stands_for
            self.pages += stands_for * bool(page.asked)
            for request in page.asked:
                room = self._engine.room(request)
                most = request.max_tokens if room is None else room[1]
                if room and most < (self.tight[0] if self.tight else request.max_tokens):
                    self.tight = (most, room[0])
                self.requests += stands_for
                prompt, output = self._tokens(request, room)
                self.prompt += stands_for * prompt
                self.output += stands_for * min(most, output)
                self.most += stands_for * most

    def _tokens(self, request: Request, room: tuple[int, int] | None) -> tuple[float, float]:
        """Tokens in and out, of a run before or guessed."""
        if requests := self.used.get("requests"):
            return self.used["prompt_tokens"] / requests, self.used["output_tokens"] / requests
        image = Image.open(io.BytesIO(picture_of(request))).convert("L")
        words = len(words_of(request)) / _CHARACTERS_A_TOKEN
        guess = words + image.width * image.height / _PIXELS_A_TOKEN
        output = Profile(np.asarray(image)).letters / _LETTERS_A_TOKEN
        return guess if room is None else room[0], output


def lines(
    settings: "Ocr", files: Sequence[Artifact], sample: int, used: Mapping[str, int]
) -> tuple[list[Line], int, int]:
    """(a line for the prompt, scans, scans that were looked at).

    sample: pages to look at, about. used: rows, requests and tokens of a run before; may be empty.
    """
    chosen = sorted(files, key=lambda file: seed_for("estimate", file.path))[:_FILES]
    by_number = len(files) / max(1, len(chosen))
    by_size = sum(file.size for file in files) / max(1, sum(file.size for file in chosen))
    prompt, sums, sampled = settings.loaded_prompt(), _Sums(used, settings.engine), 0
    for file in chosen:
        scans, share = _sampled(settings, prompt, file, max(_PAGES, sample // len(chosen)))
        sampled += len(scans)
        for pages in scans:
            sums.add(pages, by_number / share, by_size / share)
    line = Line(
        prompt=prompt.name,
        documents=round(sums.documents),
        requests=round(sums.requests),
        prompt_tokens=round(sums.prompt),
        output_tokens=round(sums.output),
        most_output_tokens=round(sums.most),
        from_run=bool(used.get("requests")),
        pages=round(sums.pages),
        guessed_by="the letters on the pages",
        remarks=tuple(_remarks(sums)),
    )
    return [line], round(sums.scans), sampled


def _remarks(sums: _Sums) -> Iterator[str]:
    if sums.tight:
        most, image = sums.tight
        yield (
            f"an image takes {image} tokens, which leaves {most} of the model's positions for the "
            "answer: longer answers are cut (ocr.cut_off)"
        )
    unread = [f"{max(1, round(count)):,} {why}" for why, count in sorted(sums.without.items())]
    if unread:
        yield f"not read by the model, files or pages: {', '.join(unread)}"


def _sampled(
    settings: "Ocr", prompt: Prompt, file: Artifact, most: int
) -> tuple[list[list[AskedPage]], float]:
    """(some pages of each scan, the share of the file that they were in). It ends after `most`
    pages.
    """
    looking, limits = settings.looking(), settings.limits()
    shard, left_out = Shard("estimate", (file,), ""), Counts(settings.name)
    found: list[list[AskedPage]] = []
    seen = 0
    for scan in scans_of(shard, settings.reader, left_out):
        found.append(list(pages_of(scan, prompt, looking, limits, settings.seed, spread)))
        seen += len(found[-1])
        if seen >= most and (share := _share_before(scan, file, len(found))) is not None:
            return found, share
    return found, 1.0


def spread(count: int) -> Iterable[int]:
    """Up to `_PAGES` numbers below `count`, as far apart as can be."""
    return sorted({(2 * place + 1) * count // (2 * _PAGES) for place in range(_PAGES)})


def _share_before(scan: Scan, file: Artifact, scans: int) -> float | None:
    """The share of a file up to and with this scan, which is number `scans`. None: it is unknown
    where the scan ends, as in a damaged crawl.
    """
    if file.name.endswith(".parquet"):
        return scans / _scans_in(file)
    origin = scan.row["origin"]
    if origin.get("offset") is None:  # the file itself is the scan
        return 1.0
    if origin["length"] is None:
        return None
    return float(min(1.0, (origin["offset"] + origin["length"]) / file.size))


def _scans_in(file: Artifact) -> int:
    """Of a Parquet file: its rows, or those that `extract` left out as scans."""
    if IMAGE.name in schema_of(file).names:
        return footer_of(file).num_rows
    tables = read_parquet(file, ["reason"])
    return sum(reason in pdf.SCANS for table in tables for reason in table["reason"].to_pylist())
