"""From answered pages to documents: texts in page order, and the page and box of every piece."""

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import pyarrow as pa
from corpusmill.manifests.schema import LICENCE, extended, synthetic_id
from corpusmill.prompts.loader import Prompt
from corpusmill.stages.engines.contract import Completion, Request
from corpusmill.stages.extract.html import clean
from corpusmill.stages.extract.language import identify
from corpusmill.stages.extract.stage import TITLE
from corpusmill.stages.ocr.asked_pages import AskedPage
from corpusmill.stages.ocr.scans import Scan
from corpusmill.stages.synthesize.finished_rows import Finished, usable
from corpusmill.stages.synthesize.postfilters import Rejection, excerpt

# page: from 1. how: `layer` (the text layer), `read`, `blank` (not asked), `empty` (the answer has
# no letter), `lost` (see `reason`).
# start, end: of its text within the document's. x0 to y1: the box in pixels of the page, which is
# `width` x `height`.
PIECE = pa.struct(
    [
        ("page", pa.int32()),
        ("how", pa.string()),
        ("start", pa.int32()),
        ("end", pa.int32()),
        *((name, pa.int32()) for name in ("x0", "y0", "x1", "y1", "width", "height")),
        ("reason", pa.string()),
        ("detail", pa.string()),
    ]
)
SCHEMA = extended(
    TITLE,
    LICENCE,
    pa.field("pages", pa.int32()),
    pa.field("pieces", pa.list_(PIECE)),
    pa.field("requests", pa.int32()),
    pa.field("prompt_tokens", pa.int32()),  # of all requests, as the engine counts
    pa.field("output_tokens", pa.int32()),
)
LAYER, READ, BLANK, EMPTY, LOST = "layer", "read", "blank", "empty", "lost"
_FENCE = re.compile(r"\A```[\w-]*\n(.*?)\n?```\s*\Z", re.DOTALL)
_FENCE_LINE = re.compile(r"^```", re.MULTILINE)
_LONGEST_REMARK = 300  # characters of an answer about the image
_NO_TEXT = re.compile(
    r"\W*no (?:readable |legible |visible )?text\W*"
    r"|(?:the|this) (?:image|page|picture|scan)\b[^.\n]{0,40}\b(?:is (?:completely |entirely )?"
    r"(?:blank|empty)|(?:contains|shows|has) no\b[^.\n]{0,20}\btext|(?:does not|doesn['’]t) "
    r"(?:contain|show|have) any\b[^.\n]{0,20}\btext)\b.*"
    r"|(?:there is|i see) no\b[^.\n]{0,20}\btext\b[^.\n]{0,20}\b(?:image|page|picture|scan)\b.*",
    re.IGNORECASE | re.DOTALL,
)
_UNABLE = re.compile(
    r"(?:i['’]?m |i am )?(?:sorry|unable|i can(?:not|['’]?t))\b[^.\n]{0,60}\b"
    r"(?:read|transcribe|view|see|make out)\b[^.\n]{0,40}\b(?:image|page|picture|scan|text)\b",
    re.IGNORECASE,
)


@dataclass
class Document:
    """A document while its pages come in."""

    scan: Scan
    prompt: Prompt
    title: str | None = None
    text: str = ""
    pages: int = 0
    pieces: list[dict[str, Any]] = field(default_factory=list)
    requests: int = 0
    prompt_tokens: int = 0
    output_tokens: int = 0
    rejection: Rejection | None = None  # of the whole scan

    def add(self, page: AskedPage) -> None:
        """Add the next page with its answers."""
        if not page.number:
            self.rejection = page.rejection
            return
        self.pages, self.title = self.pages + 1, page.title
        seen = page.seen
        width, height = seen.get("width"), seen.get("height")
        whole = (0, 0, width, height) if width and height else (None,) * 4
        place = {"page": page.number, "width": width, "height": height}
        if page.rejection is not None:
            self._unread({**place, **_named(whole)}, page.rejection)
        elif "text" in seen:
            self._piece({**place, **_named(whole)}, LAYER, seen["text"], "\n\n")
        elif "blank" in seen:
            self._piece({**place, **_named(whole)}, BLANK, "", "")
        asked = zip(page.pieces, page.asked, strict=True)
        for number, ((box, before), request) in enumerate(asked):
            answer = page.answers[number]
            self.requests += 1
            self.prompt_tokens += answer.n_prompt_tokens
            self.output_tokens += answer.n_output_tokens
            found = usable(answer, self.prompt, ("",), 0, request.seed)
            if isinstance(found, Rejection):
                found = replace(found, detail=_room_left(request, answer) + found.detail)
            else:
                found = text_of(found)
            if isinstance(found, Rejection):
                how = EMPTY if found.reason == "empty" else LOST
                self._unread({**place, **_named(box)}, found, how)
            else:
                self._piece({**place, **_named(box)}, READ, found, before if number else "\n\n")

    def _piece(self, place: dict[str, Any], how: str, text: str, before: str) -> None:
        if self.text and text:
            self.text += before
        start = len(self.text)
        self.text += text
        self.pieces.append({**place, "how": how, "start": start, "end": len(self.text)})

    def _unread(self, place: dict[str, Any], why: Rejection, how: str = LOST) -> None:
        end = len(self.text)
        told = {"reason": why.code("ocr"), "detail": why.detail}
        self.pieces.append({**place, "how": how, "start": end, "end": end, **told})

    def finished(self, model: str, sampling: str, least_read: float) -> Finished:
        """The row of the document. least_read: share of the pieces that must be read, or have a
        text layer, or be answered with nothing. Blank pages do not count.
        """
        row = self._row(model, sampling)
        lost = [piece for piece in self.pieces if piece["how"] == LOST]
        counted = sum(piece["how"] != BLANK for piece in self.pieces)
        rejection = self.rejection
        too_few = counted - len(lost) < least_read * counted or not self.text
        if rejection is None and lost and too_few:
            first = lost[0]
            told = f"page {first['page']}: {first['detail']}"
            if counted > 1:
                told = f"{len(lost)} of {counted} pieces; {told}"
            rejection = Rejection(first["reason"], told)
        if rejection is None and not self.text:
            rejection = Rejection(*self._without_text())
        if rejection is None:
            (found,) = identify([self.text])
            row["language"], row["language_score"] = found.code, found.score
        return Finished(row, rejection=rejection)

    def _without_text(self) -> tuple[str, str]:
        if all(piece["how"] == BLANK for piece in self.pieces):
            return "ocr.blank", f"pages={self.pages}, all blank"
        for piece in self.pieces:
            if piece["how"] == EMPTY:
                return piece["reason"], f"page {piece['page']}: {piece['detail']}"
        return "ocr.no_text", f"pages={self.pages}, none with text"

    def _row(self, model: str, sampling: str) -> dict[str, Any]:
        row, parent = dict(self.scan.row), self.scan.parent
        prompt = self.prompt
        if parent is not None:
            row["id"] = synthetic_id(parent, 0, 0, prompt.digest, model, sampling, 0)
        lineage = None
        if self.requests:
            lineage = {"parent": parent, "prompt_hash": prompt.digest, "model": model}
            lineage["sampling"] = sampling
        return {
            **row,
            "text": self.text,
            "title": self.title,
            "kind": "actual",
            "prompt": prompt.name if self.requests else None,
            "lineage": lineage or ({"parent": parent} if parent else None),
            "pages": self.pages or None,
            "pieces": self.pieces or None,
            "requests": self.requests,
            "prompt_tokens": self.prompt_tokens,
            "output_tokens": self.output_tokens,
        }


def _room_left(request: Request, answer: Completion) -> str:
    """What to say first of an answer that the model's positions end, and not its prompt's limit."""
    if answer.finish_reason != "length" or answer.n_output_tokens >= request.max_tokens:
        return ""
    return (
        f"the image takes {answer.n_prompt_tokens} tokens, which leaves {answer.n_output_tokens} "
        f"of the model's positions for the answer (max_output_tokens {request.max_tokens}): "
    )


def text_of(answer: str) -> str | Rejection:
    """The text that an answer gives; empty if it says that there is none. A fence around the whole
    goes. An answer without a letter or digit is none.
    """
    fenced = _FENCE.match(answer)
    if fenced and not _FENCE_LINE.search(fenced[1]):  # else it begins and ends with code
        answer = fenced[1]
    text = clean(answer).strip()
    if not any(map(str.isalnum, text)):
        return Rejection("empty", excerpt(answer))
    if len(text) <= _LONGEST_REMARK:
        if _NO_TEXT.fullmatch(text):
            return ""
        if _UNABLE.match(text):
            return Rejection("refusal", excerpt(text))
    return text


def _named(box: Sequence[int | None]) -> dict[str, int | None]:
    return dict(zip(("x0", "y0", "x1", "y1"), box, strict=True))


def sampling_of(prompt: Prompt, cut: dict[str, Any], seed: int) -> str:
    """How the answers were drawn and what the model saw, as the lineage has it."""
    return json.dumps(
        {
            "cut": cut,
            "max_tokens": prompt.limits.max_output_tokens,
            "seed": seed,
            "temperature": prompt.sampling.temperature,
            "top_p": prompt.sampling.top_p,
        },
        sort_keys=True,
    )
