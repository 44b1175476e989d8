"""How much of a page's structure comes out: code, tables, lists, headings, formulas.

A kind's score on a page is the share of its pieces that come out in place, in the order of the
page:

    code      a line of `pre`, as a whole line with its indentation
    tables    a cell, in its column, on one line with the other cells of its row
    lists     an item, behind a mark
    headings  a heading, behind `#`
    formulas  the TeX, character by character but for spaces

Any sensible form counts: fences or indented code, `|` or tabs between cells, marks or numbers of
items, any level of a heading, any signs around TeX. The score of a kind is the mean over the pages
that have it, and the score of a tool the mean over the kinds. Each tool runs with each of its
settings, and the best one counts for each kind.
"""

import re
from bisect import bisect_left
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from benchmarks.extraction_gold import KINDS, Gold
from benchmarks.extraction_pages import Marked
from benchmarks.extraction_peers import STRUCTURED, Tools, text_or_nothing
from benchmarks.extraction_views import key, tex_key

_ITEM = re.compile(r"^\s*(?:[-*+•◦▪‣·●○■–]|\(?(?:\d{1,4}|[A-Za-z]|[ivxlc]{1,6})[.)])\s+(?=\S)")
_HEADING = re.compile(r"^\s*#{1,6}\s+(?=\S)")
_CELLS = re.compile(r"(?<!\\)\||\t")
_SHORT, _LONG = 8, 40  # characters of an item; up to SHORT all must agree, behind LONG none
_OFTEN = 200  # places of one piece that are looked at


@dataclass(frozen=True, order=True)
class Best:
    """The score of a kind, with the setting that has it."""

    score: float
    setting: str = ""


def in_order(candidates: Iterable[Mapping[int, int]], places: int) -> list[int]:
    """For each piece its place in the heaviest chain of rising places, or -1.

    candidates: for each piece, in order: place, below `places`, -> weight of the piece there.
    """
    best: list[tuple[int, int]] = [(0, -1)] * (places + 1)  # Fenwick: weight of a chain, its node
    steps: list[tuple[int, int, int]] = []  # piece, place, the node before
    count = 0
    for piece, found in enumerate(candidates):
        count += 1
        for place in sorted(found, reverse=True):  # a piece goes to one place
            weight, node, at = 0, -1, place
            while at:  # the best chain that ends before this place
                weight, node = max((weight, node), best[at])
                at &= at - 1
            steps.append((piece, place, node))
            chain = (weight + found[place], len(steps) - 1)
            at = place + 1
            while at <= places:
                if best[at][0] < chain[0]:
                    best[at] = chain
                at += at & -at
    chosen = [-1] * count
    weight, node, at = 0, -1, places
    while at:
        weight, node = max((weight, node), best[at])
        at &= at - 1
    while node >= 0:
        piece, place, node = steps[node]
        chosen[piece] = place
    return chosen


def _index(keys: Iterable[str]) -> defaultdict[str, list[int]]:
    places: defaultdict[str, list[int]] = defaultdict(list)
    for place, name in enumerate(keys):
        places[name].append(place)
    return places


def code_score(blocks: Sequence[Sequence[str]], text: str) -> float:
    """A block may be moved to the right as a whole, and a tab may be any number of spaces."""
    lines = text.replace("\xa0", " ").replace("\u200b", "").split("\n")
    places = _index(_code_key(line) for line in lines)
    wanted = [line for block in blocks for line in block]
    found = in_order((_first(places[_code_key(line)]) for line in wanted), len(lines))
    good = start = 0
    for block in blocks:
        pairs = [
            (line, lines[at]) for line, at in zip(block, found[start:], strict=False) if at >= 0
        ]
        start += len(block)
        good += max(
            _in_line(pairs, width, out_width)
            for width in _widths(line for line, _ in pairs)
            for out_width in _widths(out for _, out in pairs)
        )
    return good / len(wanted)


def _widths(lines: Iterable[str]) -> tuple[int, ...]:
    """How wide a tab may be."""
    return (8, 4, 2) if any("\t" in line for line in lines) else (8,)


def _in_line(pairs: Sequence[tuple[str, str]], width: int, out_width: int) -> int:
    """How many lines are moved to the right by the same number of spaces."""
    moves = Counter(_indent(out, out_width) - _indent(line, width) for line, out in pairs)
    return max(moves.values(), default=0)


def _code_key(line: str) -> str:
    return line.strip().strip("`").strip() or line.strip()


def _indent(line: str, width: int) -> int:
    line = line.replace("`", "").expandtabs(width)
    return len(line) - len(line.lstrip())


def table_score(tables: Sequence[Sequence[Sequence[tuple[int, str]]]], text: str) -> float:
    """The bar before the first cell may be missing. Then a line that begins with a bar has an
    empty first cell: what makes more sense of a table counts.
    """
    lines = [[key(cell) for cell in _CELLS.split(line)] for line in text.split("\n")]
    with_bar = [
        [(number - 1, cell) for number, cell in enumerate(cells)]
        if line.lstrip().startswith("|")
        else list(enumerate(cells))
        for line, cells in zip(text.split("\n"), lines, strict=True)
    ]
    without = [list(enumerate(cells)) for cells in lines]
    good = sum(max(_table_cells(rows, found) for found in (with_bar, without)) for rows in tables)
    return good / max(sum(len(row) for rows in tables for row in rows), 1)


def _table_cells(
    rows: Sequence[Sequence[tuple[int, str]]], lines: Sequence[Sequence[tuple[int, str]]]
) -> int:
    """How many cells of the rows are in their columns, if each row goes to one line."""
    places = defaultdict(list)
    for place, line in enumerate(lines):
        for cell in line:
            places[cell].append(place)
    weights = [Counter(at for cell in row for at in places[cell][:_OFTEN]) for row in rows]
    found = in_order(weights, len(lines))
    return sum(row[at] for row, at in zip(weights, found, strict=True) if at >= 0)


def list_score(items: Sequence[str], text: str) -> float:
    lines = text.split("\n")
    marked = sorted(
        (key(line[found.end() :]), place)
        for place, line in enumerate(lines)
        if (found := _ITEM.match(line))
    )
    return _share((_begun_by(item, marked) for item in items), len(lines))


def _begun_by(item: str, marked: Sequence[tuple[str, int]]) -> list[int]:
    start = item[:_LONG]
    places = []
    for name, place in marked[bisect_left(marked, (start, -1)) :]:
        if not name.startswith(start) or (len(item) <= _SHORT and name != item):
            break
        places.append(place)
    return sorted(places)


def heading_score(headings: Sequence[str], text: str) -> float:
    lines = text.split("\n")
    places = _index(
        key(line[found.end() :]) if (found := _HEADING.match(line)) else "" for line in lines
    )
    return _share((places[name] for name in headings), len(lines))


def formula_score(formulas: Sequence[str], text: str) -> float:
    text = tex_key(text)
    return _share(
        ([found.start() for found in re.finditer(re.escape(tex), text)] for tex in formulas),
        len(text),
    )


def _share(candidates: Iterable[Sequence[int]], places: int) -> float:
    found = in_order(map(_first, candidates), places)
    return sum(place >= 0 for place in found) / max(len(found), 1)


def _first(places: Sequence[int]) -> dict[int, int]:
    return dict.fromkeys(places[:_OFTEN], 1)


SCORES: Final[Mapping[str, Callable[..., float]]] = {
    "code": code_score,
    "tables": table_score,
    "lists": list_score,
    "headings": heading_score,
    "formulas": formula_score,
}


def scored(gold: Gold, text: str) -> dict[str, float]:
    """Kind -> share of its pieces, for each kind that the page has."""
    return {kind: SCORES[kind](getattr(gold, kind), text) for kind in gold.kinds()}


def structure_scores(
    pages: Sequence[Marked], tools: Tools = STRUCTURED
) -> dict[str, dict[str, Best]]:
    """Tool -> kind -> score and setting of the best setting. The kind `all` is the mean."""
    result = {}
    for tool, settings in tools.items():
        best: dict[str, Best] = {}
        for setting, extract in settings.items():
            shares: defaultdict[str, list[float]] = defaultdict(list)
            for one in pages:
                for kind, share in scored(one.gold, text_or_nothing(extract, one.page)).items():
                    shares[kind].append(share)
            for kind, found in shares.items():
                score = Best(sum(found) / len(found), setting)
                best[kind] = max(best.get(kind, score), score)
        best["all"] = Best(sum(one.score for one in best.values()) / max(len(best), 1))
        result[tool] = best
    return result


def structure_table(pages: Sequence[Marked], found: Mapping[str, Mapping[str, Best]]) -> str:
    lines = [
        "Structure: share of the pieces that come out in place, mean over pages",
        "",
        f"| kind | pages | pieces | {' | '.join(found)} |",
        "|---" * (len(found) + 3) + "|",
    ]
    for kind in (*KINDS, "all"):
        counts = [count for one in pages if (count := _pieces(one.gold, kind))]
        row = [f"{best[kind].score:.3f}" if kind in best else "" for best in found.values()]
        lines.append(
            f"| {kind} | {len(pages) if kind == 'all' else len(counts)} | {sum(counts)} "
            f"| {' | '.join(row)} |"
        )
    return "\n".join(lines)


def _pieces(gold: Gold, kind: str) -> int:
    if kind == "all":
        return sum(_pieces(gold, one) for one in KINDS)
    if kind == "code":
        return sum(map(len, gold.code))
    if kind == "tables":
        return sum(len(row) for rows in gold.tables for row in rows)
    return len(getattr(gold, kind))
