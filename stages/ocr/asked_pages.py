"""Pages with their requests: a scan is looked at page by page, and each piece becomes a request.

The look is taken in a process of its own, because the files are strangers'. A few pages are looked
at together, when the engine has room for them. So the images of a long file never fill the memory.
"""

import itertools
import sys
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

from corpusmill.manifests.schema import seed_for
from corpusmill.prompts.loader import PLACEHOLDER, Prompt
from corpusmill.stages.engines.contract import Completion, Message, Request
from corpusmill.stages.engines.pictures import picture_part, picture_size
from corpusmill.stages.extract import sandbox
from corpusmill.stages.ocr.cutting import Box
from corpusmill.stages.ocr.page_images import Cutting, Looking, look
from corpusmill.stages.ocr.scans import Scan
from corpusmill.stages.synthesize.postfilters import Rejection

_PAGES_AHEAD = 8  # that are looked at together
_MOST_STOPPED = 3  # pages of a file; those behind them are not looked at
_SEED_BITS = 0x7FFFFFFF  # every server accepts such a seed
_PAGE_SIZE = 2000  # of a page without images, in bytes, about
# A picture of 8 x 8 pixels.
_WARM_UP = (b"P6 8 8 255\n" + bytes(range(192)), False, 0, Looking(Cutting(by="lines"), 0, 0, 1))
_one_caller = threading.Lock()  # the sandbox serves one at a time


@dataclass(frozen=True)
class Limits:
    """seconds: of processor time for one page; 0: none. memory_mb: of the process that looks."""

    seconds: float
    memory_mb: int


@dataclass
class AskedPage:
    """A page of a scan. number: from 1; 0 for a scan that cannot be opened. of: pages of the scan.
    seen: what `page_images.look` found, without images. pieces: the box of each piece, and what
    stands before its text; each has a request. rejection: why the page, or the scan, cannot be
    read.
    """

    scan: Scan
    number: int
    of: int
    title: str | None = None
    seen: dict[str, Any] = field(default_factory=dict)
    pieces: Sequence[tuple[Box, str]] = ()
    asked: list[Request] = field(default_factory=list)
    rejection: Rejection | None = None
    answers: dict[int, Completion] = field(default_factory=dict)

    @property
    def is_last(self) -> bool:
        return self.number == self.of

    @property
    def asked_starts(self) -> list[int]:
        return list(range(len(self.asked)))

    @property
    def is_complete(self) -> bool:
        return len(self.answers) == len(self.asked)

    @cached_property
    def size(self) -> int:
        images = sum(picture_size(request) for request in self.asked)
        return _PAGE_SIZE + images + len(self.seen.get("text", ""))


def pages_of(
    scan: Scan,
    prompt: Prompt,
    looking: Looking,
    limits: Limits,
    seed: int,
    chosen: Callable[[int], Iterable[int]] = range,
) -> Iterator[AskedPage]:
    """The pages of a scan, in order; page 0 if it cannot be opened. chosen: number of pages -> the
    pages to look at, from 0.

    A page that breaks a limit is tried twice. After `_MOST_STOPPED` such pages, the rest of the
    file has the reason of the last.
    """
    if scan.rejection is not None:
        yield AskedPage(scan, 0, 0, rejection=scan.rejection)
        return
    (file,) = _looked([(scan.content, scan.is_pdf, None, looking)], limits, scan)
    if "reason" in file or not file["pages"]:
        reason = Rejection(file.get("reason", "ocr.no_text"), file.get("detail", "pages=0"))
        yield AskedPage(scan, 0, 0, rejection=reason)
        return
    count, numbers = file["pages"], iter(chosen(file["pages"]))
    bare = replace(scan, content=b"")  # pages wait for their answers without the file
    stopped: list[dict[str, Any]] = []
    together = _MOST_STOPPED
    while ahead := list(itertools.islice(numbers, together)):
        if len(stopped) < _MOST_STOPPED:
            calls = [(scan.content, scan.is_pdf, number, looking) for number in ahead]
            looked = _looked(calls, limits, scan)
            stopped += [seen for seen in looked if seen.pop("stopped", False)]
        else:
            detail = f"not looked at: {len(stopped)} pages were stopped"
            looked = [{"reason": stopped[-1]["reason"], "detail": detail} for _ in ahead]
        together = max(1, _MOST_STOPPED - len(stopped)) if stopped else _PAGES_AHEAD
        for number, seen in zip(ahead, looked, strict=True):
            first = seed_for(scan.row["id"], prompt.name, number, seed)
            found = seen.pop("pieces", ())
            yield AskedPage(
                scan=bare,
                number=number + 1,
                of=count,
                title=file["title"],
                seen=seen,
                pieces=[(box, before) for box, before, _ in found],
                asked=[
                    _request(prompt, png, (first + place) & _SEED_BITS)
                    for place, (_, _, png) in enumerate(found)
                ],
                rejection=Rejection(seen["reason"], seen["detail"]) if "reason" in seen else None,
            )


def _looked(calls: Sequence[tuple[Any, ...]], limits: Limits, scan: Scan) -> list[dict[str, Any]]:
    """What `look` returns for each call. If it fails, the reason; `stopped` if a limit broke it."""
    if limits.seconds and sys.platform == "linux":
        with _one_caller:
            found = sandbox.shared(limits.seconds, limits.memory_mb).run(look, calls, _WARM_UP)
    else:
        found = sandbox.called(look, calls)
    kind = "error_pdf" if scan.is_pdf else "error_image"
    for place, outcome in enumerate(found):
        if isinstance(outcome, sandbox.Stopped):
            reason = f"{kind}.{outcome.reason}"
            found[place] = {"reason": reason, "detail": outcome.detail, "stopped": True}
        elif isinstance(outcome, Exception):  # a file that breaks a library costs only itself
            what = " ".join(str(outcome).split())[:300]
            found[place] = {"reason": f"{kind}.{type(outcome).__name__}", "detail": what}
    return found


def _request(prompt: Prompt, png: bytes, seed: int) -> Request:
    """The chat of a prompt, with the image where its template has {document}."""
    before, after = (part.strip() for part in prompt.template.split(PLACEHOLDER))
    content = [
        *([{"type": "text", "text": before}] if before else []),
        picture_part(png),
        *([{"type": "text", "text": after}] if after else []),
    ]
    system: list[Message] = [{"role": "system", "content": prompt.system}] if prompt.system else []
    return Request(
        token_ids=(),
        messages=(*system, {"role": "user", "content": content}),
        max_tokens=prompt.limits.max_output_tokens,
        temperature=prompt.sampling.temperature,
        top_p=prompt.sampling.top_p,
        seed=seed,
        stop=prompt.stop,
    )
