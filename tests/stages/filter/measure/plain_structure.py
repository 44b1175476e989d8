"""The structure of a text, found with Python strings, as the kernels `line_kinds`, `structure` and
`verse` shall find it. And a text without the marks of light Markdown, for tools that do not know
them.
"""

import re

BLANKS = "".join(map(chr, range(33)))
ALONE = (  # kind, and what the line without the white space around it is like
    ("blank", r""),
    ("heading", r"#{1,6} .+"),
    ("item", r"- .+"),
    ("starred", r"[*+] .+"),
    ("numbered", r"[0-9]{1,3}[.)] .+"),
    ("fence", r"(`{3,}|~{3,})[^`]*"),
    ("display", r"\$\$[.,;:]*"),
    ("formula", r"(\$\$[^$]+\$\$|\$(?!\$)[^$]+\$)[.,;:]*"),
    ("bracket", r"\\\[.*"),
    ("environment", r"\\begin\{.*"),
    ("tex", r"\\[\]A-Za-z].*"),
)
CELL = rf"(?:^|(?<=[{re.escape(BLANKS)}]))\|(?=[{re.escape(BLANKS)}]|$)"
ROWS = ("cells", "rule")
ENDS_PARAGRAPH = ("blank", "fence", "display", "bracket", "environment")
OTHER_MARK = r"[•‣◦▪▫■□●○–—⁃] .+|(?:N\.|\(?N\)) .+".replace(
    "N", "(?:[0-9]{1,4}|[ivxIVX]{1,5}|[a-zA-Z])"
)
DISPLAYED = set(
    re.findall(
        "[a-zA-Z]+",
        """equation align aligned alignat gather gathered multline eqnarray flalign split math
        displaymath dmath cases array matrix pmatrix bmatrix vmatrix Vmatrix Bmatrix smallmatrix
        subequations tabular tabularx longtable verbatim Verbatim lstlisting minted tikzpicture
        algorithmic""",
    )
)


def kind_alone(line):
    """The kind of a line, as far as it tells alone."""
    core = line.strip(BLANKS)
    kind = next((kind for kind, like in ALONE if re.fullmatch(like, core, re.DOTALL)), "plain")
    if kind == "formula" and not set(core) & set("\\=^_{"):
        kind = "plain"
    if kind in ("plain", "item") and "|" in core and not set(core) - set("|-: "):
        return "rule"
    if kind == "plain" and re.search(CELL, core):
        return "cells"
    if kind == "plain" and re.fullmatch(OTHER_MARK, core, re.DOTALL):
        return "starred"
    return "underline" if kind == "plain" and re.fullmatch("={3,}|-{3,}", core) else kind


def fence_of(line):
    core = line.strip(BLANKS)
    found = re.match("`+|~+", core)
    assert found
    sign = found[0]
    return sign[0], min(len(sign), 8), len(sign) == len(core)


def kinds_of(lines):
    """The kind of every line."""
    kinds = [kind_alone(line) for line in lines]
    at, spared = 0, set()
    while at < len(lines):
        kind, end = kinds[at], None
        if kind == "fence":
            sign, size, _ = fence_of(lines[at])
            for other in range(at + 1, len(lines)):
                if kinds[other] == "fence":
                    of, length, bare = fence_of(lines[other])
                    if of == sign and length >= size and bare:
                        end = other
                        break
            kinds[at] = "mark"
            if end is not None:
                kinds[at + 1 : end + 1] = ["code"] * (end - at - 1) + ["mark"]
            else:
                spared |= set(range(at, len(lines)))
        elif kind == "display":
            end = next((i for i in range(at + 1, len(lines)) if kinds[i] == "display"), None)
        elif kind == "bracket":
            closes = (i for i in range(at, len(lines)) if without_end(lines[i]).endswith("\\]"))
            end = next(closes, None)
        elif kind == "environment":
            name = re.split(r"[}\x00-\x20]", lines[at].lstrip(BLANKS)[7:], maxsplit=1)[0]
            closing = "\\end{" + name + "}"
            reach = range(at, min(len(lines), at + 200))
            close = next((i for i in reach if closing in lines[i]), None)
            if close is None:
                blank = next((i for i in reach if kinds[i] == "blank"), reach.stop)
                spared |= set(range(at, blank))
            else:
                spared |= set(range(at, close + 1))
                end = close if name.removesuffix("*") in DISPLAYED else None
        if kind in ("display", "bracket", "environment") and end is not None:
            kinds[at : end + 1] = ["formula"] * (end + 1 - at)
            spared |= {at - 1, end + 1}
        if end is not None or kind in ("blank", "fence"):
            at = (at if end is None else end) + 1
            continue
        stop = at + 1
        while stop < len(lines) and kinds[stop] not in ENDS_PARAGRAPH:
            stop += 1
        kinds[at:stop] = in_paragraph(lines[at:stop], kinds[at:stop], lines[stop:], kinds[stop:])
        at = stop
    return [
        "continued" if i in spared and kind == "plain" else kind for i, kind in enumerate(kinds)
    ]


def without_end(line):
    """The line without the white space and the marks behind its last sign."""
    return line.rstrip(BLANKS + ",;.")


def in_paragraph(lines, kinds, lines_after, kinds_after):
    rows = sum(kind in ROWS for kind in kinds)
    if rows >= 2 and 2 * rows >= len(lines):
        return ["mark" if kind == "rule" else "table" for kind in kinds]
    settled: list[str] = []
    in_item = False
    for place, (line, kind) in enumerate(zip(lines, kinds, strict=True)):
        after = kinds[place + 1] if place + 1 < len(kinds) else (kinds_after or [""])[0]
        if kind in ("item", "numbered", "starred"):
            in_item = True
        elif kind == "heading":
            in_item = False
            if line.strip(BLANKS).startswith("# ") and (place > 0 or after == "heading"):
                kind = "continued"
        elif kind == "environment":
            kind = "tex"
        elif kind == "underline" and place > 0:
            kind = "continued"
            settled[-1] = "continued" if settled[-1] == "plain" else settled[-1]
        elif kind not in ("formula", "tex"):
            goes_on = rows >= 2 or (in_item and re.match("\t|  ", line))
            kind = "continued" if goes_on else "plain"
        settled.append(kind)
    return settled


def without_mark(line, kind):
    if kind in ("heading", "item", "numbered"):
        return line.lstrip(BLANKS).split(" ", 1)[1]
    if kind != "table":
        return line
    out, at = "", 0
    while at < len(line):
        before, after = line[at - 1 : at] or " ", line[at + 1 : at + 2] or " "
        if line[at] == "|" and before <= " " and after <= " ":
            if out:
                out = out[:-1] if out[-1] <= " " else out
            else:
                at += 1
        else:
            out += line[at]
        at += 1
    return out


class View:
    """The lines that the statistics see.

    lines, spared: of the view. places: by line of the text, its place in the view; None for those
    that do not stand in it. kinds: by line of the text. apart: lines that were set apart.
    """

    def __init__(self, text, apart=False):
        lines = text.split("\n")
        self.kinds = kinds_of(lines)
        self.lines: list[str] = []
        self.spared: list[bool] = []
        self.bullets: list[bool] = []
        self.titles: list[bool] = []
        self.listed: list[bool] = []
        self.verse: set[int] = set()
        self.apart: list[str] = []
        self.code: list[str] = []
        self.places: list[int | None] = []
        left_out, blank = False, True
        gone = ("code", "table", "formula", "mark")
        prose = [line for line, kind in zip(lines, self.kinds, strict=True) if kind not in gone]
        tables = sum(map(words_in, prose)) >= 50
        for line, kind in zip(lines, self.kinds, strict=True):
            is_apart = apart and (kind in ("code", "formula") or (kind == "table" and tables))
            self.places.append(None)
            if kind == "mark" or is_apart:
                self.apart += [line] * is_apart
                self.code += [line] * (is_apart and kind == "code")
                left_out = True
            elif not (kind == "blank" and left_out and blank):
                self.places[-1] = len(self.lines)
                self.lines.append(without_mark(line, kind))
                self.spared.append(kind not in ("plain", "blank"))
                self.bullets.append(kind == "item")
                self.titles.append(kind == "heading")
                self.listed.append(kind in ("item", "numbered", "starred"))
                left_out, blank = False, kind == "blank"
        if left_out:
            while self.lines and self.kinds[self.places.index(len(self.lines) - 1)] == "blank":
                self.places[self.places.index(len(self.lines) - 1)] = None
                self.lines.pop()
        if not self.lines:
            self.lines = [""]
        for flags in (self.spared, self.bullets, self.titles, self.listed):
            flags += [False]
            del flags[len(self.lines) :]
        self.tabs = [False] * len(self.lines)
        for line, kind, place in zip(lines, self.kinds, self.places, strict=True):
            if place is not None and kind not in ("code", "table", "formula"):
                self.tabs[place] = "\t" in line.strip(BLANKS)
        self.text = "\n".join(self.lines)

    def spare_verse(self, parts_by_line):
        """Spare verse, unfenced code and tables with tabs."""
        lines, last, at = self.lines, len(self.lines), 0
        region: list[int] = []
        if last < 2:
            return
        paragraphs = []  # empty ones stand for lines without a part
        while at < last:
            stop = at
            while stop < last and parts_by_line[stop] and not self.spared[stop]:
                stop += 1
            stop += stop == at and bool(parts_by_line[stop])
            paragraphs.append(range(at, stop))
            at = max(stop, at + 1)
        spared = set()
        for paragraph in [*paragraphs, range(1)]:  # the last ends a region
            size = len(paragraph)
            lone = size < 2
            if not lone and (
                4 * sum(bool(re.match("\t|  ", lines[i])) for i in paragraph) >= size
                or 2 * sum(self.tabs[i] for i in paragraph) >= size
            ):
                spared |= set(paragraph)
            if not lone and 4 * sum(len(lines[i]) <= 60 for i in paragraph) >= 3 * size:
                region += paragraph
            elif size > 0:
                worded = [i for i in region if len(lines[i]) <= 60 and len(parts_by_line[i]) >= 3]
                if len(region) >= 4 and 2 * len(worded) >= len(region):
                    spared |= set(region)
                    self.verse |= set(region)
                region = []
        self.spared = [spare or i in spared for i, spare in enumerate(self.spared)]

    def spare_formulas(self):
        """Spare lines with TeX in them."""
        for i, line in enumerate(self.lines):
            self.spared[i] |= bool(re.search(r"\\[A-Za-z()\[\]]|\$\$", line))


def words_in(line):
    """How many parts have a letter or a digit. Other characters than ASCII count as letters."""
    parts = re.split(f"[{re.escape(BLANKS)}]", line)
    return sum(any(c.isalnum() if c.isascii() else True for c in part) for part in parts)


def without_marks(text):
    """A text without the marks of light Markdown."""
    return View(text).text
