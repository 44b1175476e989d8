"""Which structures a text has, to see whether a filter's line edits leave them whole.

A text keeps a structure whole if the same pieces come out in the same order, character by
character. `filter_quality.py` counts them.
"""

import re
from collections.abc import Callable, Mapping
from typing import Final

import pyarrow as pa
from corpusmill.stages.filter.stage import Filter

from benchmarks.filter_labels import Labelled

_FENCE = re.compile(r"^ *```[^\n]*\n.*?^ *```$", re.S | re.M)
_FORMULA = re.compile(
    r"\$\$(?:(?!\n\s*\n).)+?\$\$|\\\(.+?\\\)|\\\[.+?\\\]|\$[^$\n]*\\[A-Za-z]+[^$\n]*\$", re.S
)
_ITEM = re.compile(r"^ *(?:[-*+•]|\d{1,3}[.)]) +\S")
_LIKE_ITEM = re.compile(r"^ *(?:[-*+•>|]|\d+[.)])")
_HEADING = re.compile(r"^#{1,6} ")
_ROW = re.compile(r"\S \| |^\| | \|$")
SHORT_LINE, SHORTEST_VERSE = 60, 4  # characters; lines


def code(text: str) -> list[str]:
    """Fenced blocks."""
    return _FENCE.findall(text)


def tables(text: str) -> list[str]:
    """Runs of two or more rows. A lone line with a bar is mostly a menu."""
    runs: list[list[str]] = [[]]
    for line in _outside_code(text):
        if _ROW.search(line):
            runs[-1].append(line)
        elif runs[-1]:
            runs.append([])
    return ["\n".join(run) for run in runs if len(run) > 1]


def formulas(text: str) -> list[str]:
    """TeX between dollar signs, `\\(` and `\\[`."""
    return _FORMULA.findall("\n".join(_outside_code(text)))


def verse(text: str) -> list[str]:
    """Paragraphs of four or more short lines: verse, and what is set like it (addresses,
    ingredients).
    """
    found = []
    for block in re.split(r"\n\s*\n", "\n".join(_outside_code(text))):
        lines = block.strip("\n").split("\n")
        if (
            len(lines) >= SHORTEST_VERSE
            and all(0 < len(line) <= SHORT_LINE and _is_plain(line) for line in lines)
            and sum(len(line.split()) > 2 for line in lines) * 4 >= len(lines) * 3
        ):
            found.append("\n".join(lines))
    return found


def lists(text: str) -> list[str]:
    """List items."""
    return [line for line in _outside_code(text) if _ITEM.match(line)]


def headings(text: str) -> list[str]:
    return [line for line in _outside_code(text) if _HEADING.match(line)]


KINDS: Final[Mapping[str, Callable[[str], list[str]]]] = {
    "code": code,
    "tables": tables,
    "formulas": formulas,
    "verse": verse,
    "lists": lists,
    "headings": headings,
}


def structure_table(documents: pa.Table, labelled: Labelled, figures: dict[str, float]) -> str:
    """Of all documents with each structure: how many pass the default chain, how many are whole."""
    kept = Filter().apply(documents).kept
    after = dict(zip(kept["id"].to_pylist(), kept["text"].to_pylist(), strict=True))
    good = {
        name
        for name, label in zip(labelled.table["id"].to_pylist(), labelled.rows, strict=True)
        if label["label"] == "keep"
    }
    lines = [
        f"\n{'structure, all documents of the crawls':42} {'documents':>9} {'pass':>6} "
        f"{'share':>6} {'whole':>6} {'share':>6}   good ones: {'documents':>9} {'pass':>6}"
    ]
    for kind, counts in structures(documents, after, good).items():
        total, passed, whole, good_total, good_passed = counts
        figures |= {
            f"structure.{kind}.documents": total,
            f"structure.{kind}.pass": round(passed / max(total, 1), 4),
            f"structure.{kind}.whole": round(whole / max(passed, 1), 4),
            f"structure.{kind}.good_pass": round(good_passed / max(good_total, 1), 4),
        }
        lines.append(
            f"{kind:42} {total:9} {passed:6} {passed / max(total, 1):6.3f} {whole:6} "
            f"{whole / max(passed, 1):6.3f}              {good_total:9} {good_passed:6}"
        )
    return "\n".join(lines)


def structures(
    documents: pa.Table, after: Mapping[str, str], good: set[str]
) -> dict[str, list[int]]:
    """Kind -> documents that have it, that pass, that pass with it whole; good ones, passing."""
    counts = {kind: [0] * 5 for kind in KINDS}
    for name, text in zip(documents["id"].to_pylist(), documents["text"].to_pylist(), strict=True):
        for kind, pieces_of in KINDS.items():
            if not (pieces := pieces_of(text)):
                continue
            passes = name in after
            whole = passes and pieces_of(after[name]) == pieces
            for place, counted in enumerate(
                (True, passes, whole, name in good, passes and name in good)
            ):
                counts[kind][place] += counted
    return counts


def _outside_code(text: str) -> list[str]:
    return [line.rstrip() for line in _FENCE.sub("", text).split("\n")]


def _is_plain(line: str) -> bool:
    return not (_LIKE_ITEM.match(line) or _HEADING.match(line) or _ROW.search(line))
