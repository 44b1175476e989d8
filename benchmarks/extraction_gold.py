"""Which structures a page has in its main content, by its own markup.

lxml parses the page, so that the parse owes nothing to corpusmill's. Pieces are lines of `pre`,
cells of data tables, items of lists, headings, and formulas in TeX. Hidden elements, line-number
gutters and layout tables are not among them.

Which of them belong to the main content, `Views` say: the reference text; or, without one, what at
least two of three peers keep. A piece whose words are not there counts too if the paragraphs before
and behind it are kept, because a tool may lose just this piece.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final

import lxml.html
from corpusmill.tools.gold_pages import words
from lxml.html import HtmlElement, defs
from resiliparse.parse.encoding import bytes_to_str, detect_encoding

from benchmarks.extraction_views import Views, key, tex_key

KINDS: Final = ("code", "tables", "lists", "headings", "formulas")
MOST_LINES, MOST_ROWS, LONGEST_CELL, LONGEST_ITEM = 300, 100, 200, 100  # the last in words
PARAGRAPH = 8  # words of a block that tells where the main content is

BLOCKS: Final = defs.block_tags.union(
    ("li", "dd", "dt", "tr", "td", "th", "thead", "tbody", "tfoot", "caption", "figcaption"),
    ("main", "body", "details", "summary"),
)
_HEADINGS: Final = frozenset(("h1", "h2", "h3", "h4", "h5", "h6"))
_SILENT = frozenset(
    ("style", "template", "noscript", "head", "title", "textarea", "select", "button", "iframe")
)
_INVISIBLE = re.compile(r"display\s*:\s*none|visibility\s*:\s*hidden", re.I)
_GUTTER = re.compile(
    r"(?:^|[\s_-])(?:gutter|line-?(?:num|no)\w*|linenos?\w*|lnt?|blob-num|mw-editsection)(?:$|[\s_-])",
    re.I,
)
_TEX_IMAGE = re.compile(r"(?:^|\s)(?:latex|tex)(?:$|\s)", re.I)
_RAW_TEX = re.compile(r"\\\((.+?)\\\)|\\\[(.+?)\\\]|\$\$(.+?)\$\$", re.S)
_TEX_ONLY = re.compile(r"[\\^_{]")
_CONTROLS = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]")
_LINE_END = "\x1e"


@dataclass
class Gold:
    """code: blocks of lines. tables: tables of rows, a row as (column, key) of its cells that are
    not empty. lists, headings, formulas: keys.
    """

    code: list[list[str]] = field(default_factory=list)
    tables: list[list[list[tuple[int, str]]]] = field(default_factory=list)
    lists: list[str] = field(default_factory=list)
    headings: list[str] = field(default_factory=list)
    formulas: list[str] = field(default_factory=list)

    def kinds(self) -> list[str]:
        return [kind for kind in KINDS if getattr(self, kind)]


def parsed(payload: bytes) -> HtmlElement | None:
    """The page without what nobody sees; None if there is no element in it."""
    text = bytes_to_str(payload, detect_encoding(payload, from_html_meta=True) or "utf-8")
    text = re.sub(r"^\s*<\?xml[^>]*\?>", "", _CONTROLS.sub("", text), count=1)
    try:
        root = lxml.html.document_fromstring(text)
    except (lxml.etree.ParserError, ValueError):
        return None
    for element in list(root.iter()):
        if not isinstance(element.tag, str) or _unseen(element):
            _remove(element)
    return root


def _unseen(element: HtmlElement) -> bool:
    if element.tag == "script":
        return not (element.get("type") or "").lower().startswith("math/tex")
    return (
        element.tag in _SILENT
        or element.get("hidden") is not None
        or bool(_INVISIBLE.search(element.get("style") or ""))
        or bool(_GUTTER.search(element.get("class") or ""))
    )


def _remove(element: HtmlElement) -> None:
    """The text behind the element stays."""
    if (parent := element.getparent()) is not None:
        before = element.getprevious()
        tail = element.tail or ""
        if before is not None:
            before.tail = _CONTROLS.sub("", (before.tail or "") + tail)
        else:
            parent.text = _CONTROLS.sub("", (parent.text or "") + tail)
        parent.remove(element)


def gold_of(root: HtmlElement, views: Views) -> Gold:
    """The pieces in the main content, in the order of the page."""
    gold, place = Gold(), _Places(root, views)
    formulas(root, gold, place)
    inside: set[HtmlElement] = set()  # lists in the main content
    for element in root.iter():
        if element.tag == "pre" and (lines := code_lines(element)):
            if place.holds(element, "\n".join(lines)):
                gold.code.append(lines[:MOST_LINES])
        elif element.tag == "table" and (rows := data_rows(element)):
            if place.holds(element, " ".join(element.itertext())):
                gold.tables.append(rows[:MOST_ROWS])
        elif element.tag in ("ul", "ol") and not _within(element, ("nav", "table")):
            if inside.intersection(element.iterancestors("ul", "ol")) or place.holds(
                element, " ".join(element.itertext())
            ):
                inside.add(element)
        elif element.tag == "li" and element.getparent() in inside:
            if name := key(item_text(element)):
                gold.lists.append(name)
        elif element.tag in _HEADINGS and _is_heading(element, views):
            gold.headings.append(key(element.text_content()))
    return gold


def _is_heading(element: HtmlElement, views: Views) -> bool:
    """Of a section: not of a card or a cell."""
    text = element.text_content()
    return bool(key(text)) and not _within(element, ("table", "li")) and views.have_line(text)


class _Places:
    """Where an element lies: between which paragraphs, and whether the views hold those."""

    def __init__(self, root: HtmlElement, views: Views) -> None:
        self.views = views
        self.order = {element: number for number, element in enumerate(root.iter())}
        self.paragraphs = [
            (number, text)
            for element, number in self.order.items()
            if element.tag in BLOCKS and len(words(text := "".join(own_text(element)))) >= PARAGRAPH
        ]
        self._held: dict[int, bool] = {}

    def holds(self, element: HtmlElement, text: str) -> bool:
        if self.views.hold(text):
            return True
        return self.views.needed > 1 and self.between(element)

    def between(self, element: HtmlElement) -> bool:
        """Whether the paragraphs before and behind are held."""
        first = self.order[element]
        last = first + sum(1 for _ in element.iter()) - 1
        before = [one for one in self.paragraphs if one[0] < first][-1:]
        behind = [one for one in self.paragraphs if one[0] > last][:1]
        return bool(before and behind) and all(map(self._hold, before + behind))

    def _hold(self, paragraph: tuple[int, str]) -> bool:
        number, text = paragraph
        if number not in self._held:
            self._held[number] = self.views.hold(text)
        return self._held[number]


def own_text(element: HtmlElement) -> Iterator[str]:
    """The text of an element but for blocks in it."""
    yield element.text or ""
    for child in element:
        if child.tag == "br":
            yield "\n"
        elif child.tag not in BLOCKS:
            yield from own_text(child)
        if child.tail:
            yield child.tail


def _within(element: HtmlElement, tags: Sequence[str]) -> bool:
    return next(element.iterancestors(*tags), None) is not None


def code_lines(pre: HtmlElement) -> list[str]:
    """The lines of a `pre` that are not empty."""
    text = "".join(_broken(pre, "\n")).replace("\xa0", " ").replace("\u200b", "")
    lines = [line.rstrip() for line in text.splitlines() if line.strip()]
    return [] if all(line.strip().isdigit() for line in lines) else lines  # digits: a gutter


def _broken(element: HtmlElement, line_end: str) -> Iterator[str]:
    """The text with line ends where `br` and blocks make them. Without lists in an item."""
    yield element.text or ""
    for child in element:
        breaks = child.tag == "br" or child.tag in BLOCKS
        if breaks:
            yield line_end
        if element.tag != "li" or child.tag not in ("ul", "ol"):
            yield from _broken(child, line_end)
        if breaks and child.tag != "br":
            yield line_end
        yield child.tail or ""


def data_rows(table: HtmlElement) -> list[list[tuple[int, str]]]:
    """The rows of a table of data; nothing for a table that makes a layout.

    Data: no role says otherwise, cells hold short text and no blocks of other kinds, and at least
    two rows have two cells or more that are not empty.
    """
    if (table.get("role") or "") in ("presentation", "none") or _within(table, ("pre",)):
        return []
    if any(True for _ in table.iter("pre", "ul", "ol", "form", "input", *_HEADINGS)):
        return []
    if sum(1 for _ in table.iter("table")) > 1:
        return []
    rows: list[list[tuple[int, str]]] = []
    covered: dict[int, int] = {}  # column -> rows that a cell from above still takes
    for row in table.iter("tr"):
        cells: list[tuple[int, str]] = []
        column = 0
        taken = {at for at, left in covered.items() if left > 0}
        spans: dict[int, int] = {}
        for cell in row.iterchildren("td", "th"):
            while column in taken:
                column += 1
            text = " ".join(cell.itertext())
            if len(text) > LONGEST_CELL or "|" in text:
                return []
            if (name := key(text)) and not any(True for _ in cell.iter("math", "script")):
                cells.append((column, name))
            width, height = _span(cell, "colspan", 1000), _span(cell, "rowspan", 65534)
            spans |= dict.fromkeys(range(column, column + width), height)
            column += width
        covered = {at: left - 1 for at, left in covered.items() if left > 1}
        covered |= {at: height - 1 for at, height in spans.items() if height > 1}
        rows.append(cells)
    return rows if sum(len(cells) > 1 for cells in rows) > 1 else []


def _span(cell: HtmlElement, name: str, most: int) -> int:
    value = (cell.get(name) or "").strip()
    return min(max(int(value), 1), most) if value.isdecimal() else 1


def item_text(item: HtmlElement) -> str:
    """The first line of an item of a list. Nothing of items with headings, tables or formulas in
    them, and of long ones: they are cards and comments.
    """
    if any(True for _ in item.iter("table", "pre", "math", "script", *_HEADINGS)):
        return ""
    if len(words(item.text_content())) > LONGEST_ITEM:
        return ""
    lines = "".join(_broken(item, _LINE_END)).split(_LINE_END)
    return next(filter(key, lines), "")


def formulas(root: HtmlElement, gold: Gold, place: _Places) -> None:
    """TeX beside MathML, in scripts and images, and raw in the text. Plain letters do not count,
    because every text of a page holds them.
    """
    for element, tex in _tex_in(root):
        name = tex_key(tex)
        if len(name) > 2 and _TEX_ONLY.search(name) and _in_content(element, place):
            gold.formulas.append(name)


def _tex_in(element: HtmlElement) -> Iterator[tuple[HtmlElement, str]]:
    """In the order of the page; each with the element that it is in."""
    if tex := _tex_of(element):
        yield element, tex
    elif element.tag not in ("pre", "math"):
        yield from _raw_tex(element, element.text)
        for child in element:
            yield from _tex_in(child)
            yield from _raw_tex(element, child.tail)


def _raw_tex(element: HtmlElement, text: str | None) -> Iterator[tuple[HtmlElement, str]]:
    for found in _RAW_TEX.finditer(text or ""):
        yield element, next(filter(None, found.groups()))


def _tex_of(element: HtmlElement) -> str:
    if element.tag == "math":
        notes = [
            note.text_content()
            for note in element.iter("annotation")
            if "tex" in (note.get("encoding") or "").lower()
        ]
        return (notes or [element.get("alttext") or ""])[0]
    if element.tag == "script":
        return element.text_content()
    if element.tag == "img" and _TEX_IMAGE.search(element.get("class") or ""):
        return element.get("alt") or ""
    return ""


def _in_content(element: HtmlElement, place: _Places) -> bool:
    block = element
    while block.tag not in BLOCKS and block.getparent() is not None:
        block = block.getparent()
    text = _RAW_TEX.sub(" ", "".join(own_text(block)))
    return (len(words(text)) >= PARAGRAPH and place.views.hold(text)) or place.between(element)
