"""Sections of a text by their headings, and whether one is a list of references.

Headings are those of Markdown (`## References`), of LaTeX (`\\section{References}`), the
environment `thebibliography`, and plain lines that hold nothing but a wanted name or begin with
Appendix. A section ends where the next heading of its level or a higher one begins, or a plain
one, or an appendix. Any heading ends a section with a plain heading. So does a paragraph that is no
entry of a list and, if the section is not one of references, a blank line. Lines in code fences are
no headings.
"""

import itertools
import re
from collections.abc import Collection, Iterable, Iterator
from typing import Final, NamedTuple

LEVELS: Final = {"part": 0, "chapter": 0, "section": 1, "subsection": 2, "subsubsection": 3}
_HEADING = re.compile(
    r"^ {0,3}(?P<marks>#{1,6})[ \t]++(?P<markdown>[^\n]++)$"
    r"|^[ \t]*\\(?P<command>part|chapter|(?:sub){0,2}section)\*?\{(?P<latex>[^{}\n]{1,200})\}"
    r"|^[ \t]*\\begin\{(?P<environment>thebibliography)\}"
    r"|^(?P<plain>[^\n]{3,60})$"
    r"|^ {0,3}(?P<fence>`{3,}|~{3,})",
    re.M,
)
_END = re.compile(r"\\end\{thebibliography\}[^\n]*\n?")
_NUMBER = re.compile(r"^(?:\d{1,2}(?:\.\d{1,2})*|[ivxIVX]{1,5}|[A-H])[.)]?[ \t]+")
_APPENDIX = re.compile(r"(?:appendix|appendices|supplementary|supporting information)\b", re.I)
# What an entry has: a year, an address, a number in front, an item of LaTeX.
_CITED = re.compile(
    r"\b(?:1[89]|20)\d\d[a-z]?\b|https?://|\bdoi\b|\barXiv\b|^[ \t]*\[\d{1,4}\]|\\bibitem",
    re.M | re.I,
)
_GAP = re.compile(r"\n[ \t]*\n\s*")
_TEXT = re.compile(r"\S")
# Headings of lists, and of chapters about a subject: the test is stricter.
SUBJECTS: Final = frozenset(("literature", "literatur", "литература", "bibliography"))
LONG_PARAGRAPH: Final = 12  # words; shorter ones may be a part of an entry
LEAST_CITED: Final = 0.02  # of the words; an entry has 15 to 40 words and at least one of these
LONGEST_ENTRY: Final = 40  # words
LONGEST_HEADING: Final = 200  # characters


class Heading(NamedTuple):
    """level: 1 for `#` and a plain line, 0 for a chapter. name: without number and marks, in lower
    case. begin, body: where its line and what is below it begin.
    """

    level: int
    name: str
    begin: int
    body: int
    plain: bool


class Section(NamedTuple):
    """A section that is wanted: from `begin` to `end`, in characters."""

    name: str
    begin: int
    end: int


def wanted_sections(
    text: str, references: Collection[str], others: Collection[str]
) -> Iterator[Section]:
    """The sections with these names, in order; of those in `references`, such as look like it."""
    wanted = {*references, *others}
    headings = list(_headings(text, wanted))
    done = 0
    for number, heading in enumerate(headings):
        if heading.name not in wanted or heading.begin < done:
            continue
        later = itertools.islice(headings, number + 1, None)
        end = _end_of(text, heading, later, heading.name in others)
        body = text[heading.body : end]
        if heading.name in others or (
            is_references(body) and (heading.name not in SUBJECTS or _is_list(body))
        ):
            done = end
            yield Section(heading.name, heading.begin, end)


def is_references(text: str) -> bool:
    """Whether a text reads like a list of references: years and addresses come thick."""
    words = len(text.split())
    return words > 0 and len(_CITED.findall(text)) >= LEAST_CITED * words


def _is_list(text: str) -> bool:
    """Whether half of the paragraphs, or half of the lines, are entries, and at least two."""
    for parts in (_GAP.split(text), text.split("\n")):
        parts = [part for part in parts if part.strip()]
        entries = sum(
            len(part.split()) <= LONGEST_ENTRY and bool(_CITED.search(part)) for part in parts
        )
        if entries >= max(2, len(parts) / 2):
            return True
    return False


def _headings(text: str, wanted: Collection[str]) -> Iterator[Heading]:
    fence = ""
    for found in _HEADING.finditer(text):
        if found["fence"] or (found["plain"] or "").lstrip(" ").startswith(("```", "~~~")):
            marks = found["fence"] or found["plain"].strip()
            if not fence:
                fence = marks[:3]
            elif marks.startswith(fence):
                fence = ""
        elif fence:
            continue
        elif found["marks"]:
            title = found["markdown"].rstrip(" \t").rstrip("#")
            if len(title) <= LONGEST_HEADING:
                yield _heading(found, len(found["marks"]), title)
        elif found["command"]:
            yield _heading(found, LEVELS[found["command"]], found["latex"])
        elif found["environment"]:
            yield _heading(found, 1, "thebibliography")
        elif found["plain"]:
            heading = _heading(found, 1, found["plain"], plain=True)
            if heading.name in wanted or _APPENDIX.match(heading.name):
                yield heading


def _heading(found: re.Match[str], level: int, name: str, plain: bool = False) -> Heading:
    name = _NUMBER.sub("", name.strip().strip("*_").strip()).rstrip(":.").strip().lower()
    return Heading(level, name, found.start(), found.end(), plain)


def _end_of(text: str, heading: Heading, later: Iterable[Heading], whole: bool) -> int:
    """Where a section ends. later: the headings below. whole: it goes whatever it reads like."""
    if heading.name == "thebibliography":
        # One that is not closed ends before the next. So each part is searched only once.
        following = next((other.begin for other in later if other.name == heading.name), len(text))
        closed = _END.search(text, heading.body, following)
        return closed.end() if closed else following
    ends = (
        other.begin
        for other in later
        if heading.plain
        or other.plain
        or other.level <= heading.level
        or _APPENDIX.match(other.name)
    )
    end = next(ends, len(text))
    if not heading.plain:
        return end
    return (_end_of_paragraph if whole else _end_of_list)(text, heading.body, end)


def _end_of_paragraph(text: str, begin: int, end: int) -> int:
    """Where the first paragraph ends, with the blank lines below it."""
    text_begin = _TEXT.search(text, begin, end)
    gap = text_begin and _GAP.search(text, text_begin.start(), end)
    return gap.end() if gap else end


def _end_of_list(text: str, begin: int, end: int) -> int:
    """Where the first paragraph begins that is no entry of a list, or `end`."""
    for gap in _GAP.finditer(text, begin, end):
        following = _GAP.search(text, gap.end(), end)
        paragraph = text[gap.end() : following.start() if following else end]
        if len(paragraph.split()) >= LONG_PARAGRAPH and not _CITED.search(paragraph):
            return gap.end()
    return end
