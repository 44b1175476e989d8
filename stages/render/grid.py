"""Formulas with rows and columns: equations that are aligned, cases, matrices and arrays.

mathtext sets one row. Each cell of an environment is such a row, and they are placed here. An
environment may stand anywhere in a formula but within braces.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import cycle, zip_longest
from math import inf

from corpusmill.stages.render.fonts import sized
from corpusmill.stages.render.mathtext import EM, Formula, joined, parsed, row
from corpusmill.stages.render.tex import TOKEN, UnknownError

# Name: how columns are placed, again and again, and the signs before and behind.
ALIGNED = ("rl", "", "")
GRIDS = {
    "align": ALIGNED, "aligned": ALIGNED, "split": ALIGNED, "alignedat": ALIGNED,
    "eqnarray": ("rcl", "", ""), "gather": ("c", "", ""), "gathered": ("c", "", ""),
    "multline": ("c", "", ""), "array": ("c", "", ""), "cases": ("ll", "{", ""),
    "matrix": ("c", "", ""), "pmatrix": ("c", "(", ")"), "bmatrix": ("c", "[", "]"),
    "Bmatrix": ("c", "{", "}"), "vmatrix": ("c", "|", "|"), "Vmatrix": ("c", "‖", "‖"),
}  # fmt: skip
DISPLAYED = {"align", "aligned", "split", "eqnarray", "gather", "gathered", "multline"}
FENCES = {"{": r"\{", "}": r"\}"}
LINES = {"|": 1, "‖": 2}
AXIS = 0.25  # ems above the baseline, in whose height a grid has its middle
STRUT = (0.75, 0.25)  # least ascent and descent of a row, ems
ROW_GAP = 0.25
COLUMN_GAP = 1.0
PAIR_GAP = 2.0  # between two equations in a row
SIDE = 0.1  # beside a fence
LINE = 0.05  # the width of |
EMPTY = Formula(0.0, 0.0, 0.0, (), ())


@lru_cache(maxsize=1 << 14)
def typeset(source: str, style: str, display: bool) -> Formula | None:
    """The formula in one of mathtext's `STYLES`. None if not all of it can be drawn, or if it has
    no ink or no area.
    """
    try:
        formula = _set(TOKEN.findall(source), style, display)
    except UnknownError:
        return None
    ink = formula.bars or any(not glyph.letter.isspace() for glyph in formula.glyphs)
    height = formula.ascent + formula.descent
    return formula if ink and 0 < formula.width < inf and 0 < height < inf else None


@dataclass(frozen=True)
class Environment:
    """columns: a letter for each. fences: signs before and behind."""

    name: str
    columns: str
    fences: tuple[str, str]
    rows: list[list[list[str]]]


def _set(tokens: Sequence[str], style: str, display: bool) -> Formula:
    """What stands before the first environment, the environment, and what comes then."""
    place = _first_environment(tokens)
    if place is None:
        return row("".join(tokens), style, display)
    before, (environment, end) = list(tokens[:place]), _environment(tokens, place)
    after = list(tokens[end:])
    before, after, environment = _fenced(before, after, environment)
    grid = _grid(environment, style)
    parts = [(row("".join(before), style, display), 0.0)] if _filled(before) else []
    parts.append((grid, 0.0))
    while after and after[0] in ("^", "_"):
        end = _argument_end(after, 1)
        script = row("".join(after[:end]), style, False)
        lift = grid.ascent - script.ascent if after[0] == "^" else script.descent - grid.descent
        parts.append((script, lift))
        after = after[end:]
    if _filled(after):
        parts.append((_set(after, style, display), 0.0))
    at, placed = 0.0, []
    for part, lift in parts:
        placed.append((part, at, lift))
        at += part.width + SIDE
    return joined(placed, at - SIDE)


def _argument_end(tokens: Sequence[str], at: int) -> int:
    """Where a token or a group ends."""
    depth = 0
    for place in range(at, len(tokens)):
        depth += (tokens[place] == "{") - (tokens[place] == "}")
        if depth == 0 and not tokens[place].isspace():
            return place + 1
    raise UnknownError("a script is missing")


def _filled(tokens: Sequence[str]) -> bool:
    return any(not token.isspace() for token in tokens)


def _first_environment(tokens: Sequence[str]) -> int | None:
    """Outside of braces."""
    depth = 0
    for place, token in enumerate(tokens):
        depth += (token == "{") - (token == "}")
        if token == r"\begin" and depth == 0:
            return place
    return None


def _name(tokens: Sequence[str], at: int) -> tuple[str, int]:
    """The name in braces behind `\\begin` or `\\end`, and where it ends."""
    try:
        begin = tokens.index("{", at)
        end = tokens.index("}", begin)
    except ValueError:
        raise UnknownError("an environment without a name") from None
    return "".join(tokens[begin + 1 : end]), end + 1


def _environment(tokens: Sequence[str], place: int) -> tuple[Environment, int]:
    """The environment that begins at `place`, and where it ends."""
    name, at = _name(tokens, place)
    columns, before, behind = GRIDS.get(name.rstrip("*"), ("", "", ""))
    if not columns:
        raise UnknownError(name)
    if name in ("array", "alignedat"):
        letters, at = _name(tokens, at)
        columns = letters if name == "array" else columns
        if not columns or set(columns) - set("lcr"):
            raise UnknownError(f"columns {columns}")
    rows: list[list[list[str]]] = [[[]]]
    depth = inside = 0
    while at < len(tokens):
        token = tokens[at]
        depth += (token == "{") - (token == "}")
        inside += (token == r"\begin") - (token == r"\end")
        if inside < 0:
            return Environment(name, columns, (before, behind), rows), _name(tokens, at)[1]
        if token == r"\\" and depth == inside == 0:
            rows.append([[]])
            at = _behind_length(tokens, at)
        elif token == "&" and depth == inside == 0:
            rows[-1].append([])
        else:
            rows[-1][-1].append(token)
        at += 1
    raise UnknownError(f"{name} does not end")


def _behind_length(tokens: Sequence[str], at: int) -> int:
    """The place of the last token of a row's end, which may be `\\\\[2pt]`."""
    if "[" in tokens[at + 1 : at + 2] and "]" in tokens[at : at + 12]:
        return tokens.index("]", at)
    return at


def _fenced(
    before: list[str], after: list[str], environment: Environment
) -> tuple[list[str], list[str], Environment]:
    """`\\left(` and `\\right)` around an environment belong to it."""
    left = [place for place, token in enumerate(before) if not token.isspace()][-2:]
    right = [place for place, token in enumerate(after) if not token.isspace()][:2]
    if len(left) < 2 or len(right) < 2:
        return before, after, environment
    if before[left[0]] != r"\left" or after[right[0]] != r"\right":
        return before, after, environment
    signs = {r"\{": "{", r"\}": "}", r"\lbrace": "{", r"\rbrace": "}", r"\|": "‖", ".": ""}
    first, last = before[left[1]], after[right[1]]
    fences = signs.get(first, first), signs.get(last, last)
    return before[: left[0]], after[right[1] + 1 :], replace(environment, fences=fences)


def _grid(environment: Environment, style: str) -> Formula:
    display = environment.name.rstrip("*") in DISPLAYED
    cells = [
        [_set(cell, style, display) if _filled(cell) else EMPTY for cell in line]
        for line in environment.rows
    ]
    if len(cells) > 1 and cells[-1] == [EMPTY]:
        cells.pop()
    if all(cell == EMPTY for line in cells for cell in line):
        raise UnknownError(f"an empty {environment.name}")
    widths = [max(cell.width for cell in column) for column in zip_longest(*cells, fillvalue=EMPTY)]
    lefts = [0.0]
    for number, width in enumerate(widths, start=1):
        lefts.append(lefts[-1] + width + _gap(environment, number))
    width = lefts[len(widths) - 1] + widths[-1]
    letters = cycle(environment.columns)
    shares = [{"l": 0.0, "c": 0.5, "r": 1.0}[next(letters)] for _ in widths]
    placed, y, descent = [], 0.0, 0.0
    for number, line in enumerate(cells):
        if number:
            y -= descent + ROW_GAP + max(STRUT[0], *(cell.ascent for cell in line))
        descent = max(STRUT[1], *(cell.descent for cell in line))
        for cell, left, room, share in zip(line, lefts, widths, shares, strict=False):
            placed.append((cell, left + (room - cell.width) * share, y))
    inner = joined(placed, width)
    before, behind = (
        _fence(sign, inner.ascent + inner.descent, style) for sign in environment.fences
    )
    lift = AXIS + (inner.descent - inner.ascent) / 2
    parts = [(before, 0.0, 0.0), (inner, before.width, lift), (behind, before.width + width, 0.0)]
    return joined(parts, before.width + width + behind.width)


def _gap(environment: Environment, number: int) -> float:
    """Ems behind the column, counted from 1."""
    if environment.columns not in ("rl", "rcl"):
        return COLUMN_GAP
    return 0.0 if number % len(environment.columns) else PAIR_GAP


def _fence(sign: str, height: float, style: str) -> Formula:
    """A sign that is `height` ems high and has its middle on the axis."""
    if not sign:
        return EMPTY
    half = height / 2
    if sign in LINES:
        bars = tuple(
            (SIDE * (1 + 1.5 * number), AXIS - half, LINE, height) for number in range(LINES[sign])
        )
        return Formula(SIDE * (1 + 1.5 * len(bars)), half + AXIS, half - AXIS, (), bars)
    rows = r"\\".join("x" * max(1, round(height / 1.2)))
    tall = parsed(rf"\left{FENCES.get(sign, sign)}\phantom{{\substack{{{rows}}}}}\right.", style)
    glyph = tall.glyphs[0]
    box = sized(glyph.path, EM * glyph.size).getbbox(glyph.letter, anchor="ls")
    left, top, right, bottom = (side / EM for side in box)
    scale = height / (bottom - top)
    middle = -scale * (top + bottom) / 2
    moved = replace(glyph, size=glyph.size * scale, x=SIDE / 2 - scale * left, y=AXIS - middle)
    return Formula(scale * (right - left) + SIDE, half + AXIS, half - AXIS, (moved,), ())
