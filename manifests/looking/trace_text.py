"""A trace as text for a terminal."""

from collections.abc import Iterator
from typing import Any

from corpusmill.manifests.looking.trace import PARENTS, Trace
from corpusmill.manifests.schema import LINKED_PARENT

STATISTIC = "stat_"  # prefix of filter's columns
_SHORT = 300
_PIECES = "pieces"  # a column of `ocr`
_MOST_PIECES = 12
_SKIPPED = {"id", "text", "tokens", "origin", "lineage", "stage", "reason", "detail", _PIECES} | {
    LINKED_PARENT.name
}


def trace_text(trace: Trace, indent: str = "") -> str:
    """One block a stage: outcome, origin, scores and the beginning of the text."""
    lines = [f"{indent}{trace.id}"]
    for sighting in trace.sightings:
        row = sighting.row
        lines.append(
            f"{indent}  {sighting.name}: {sighting.outcome}"
            + (f" ({row['detail']})" if row.get("detail") else "")
        )
        lines.append(f"{indent}    in {sighting.file}")
        if origin := row.get("origin"):
            lines.append(f"{indent}    from {_place(origin)}")
        if lineage := row.get("lineage"):
            lines.append(
                f"{indent}    made by "
                + ", ".join(f"{key} {value}" for key, value in lineage.items() if value is not None)
            )
        if second := row.get(LINKED_PARENT.name):
            span = ", ".join(f"{key} {value}" for key, value in second.items())
            lines.append(f"{indent}    and from {span}")
        statistics = [key for key in row if key.startswith(STATISTIC)]
        values = [
            f"{key}={_value(value)}"
            for key, value in row.items()
            if key not in {*_SKIPPED, *statistics}
        ]
        if statistics:
            values.append(f"and {len(statistics)} statistics (--json shows them)")
        if values:
            lines.append(f"{indent}    " + " ".join(values))
        lines += [f"{indent}    {line}" for line in _pieces(row.get(_PIECES) or [])]
        if text := row.get("text"):
            shown = " ".join(str(text)[:_SHORT].split())
            lines.append(f"{indent}    | {shown}{'...' if len(str(text)) > _SHORT else ''}")
    lines += [f"{indent}  not read: {problem}" for problem in trace.unread]
    if trace.parent:
        lines.append(f"{indent}  parent:")
        lines.append(trace_text(trace.parent, indent + "    "))
    if trace.linked_parent:
        lines.append(f"{indent}  linked parent:")
        lines.append(trace_text(trace.linked_parent, indent + "    "))
    return "\n".join(lines)


def sequence_text(sequence: dict[str, Any]) -> str:
    """A training sequence: for each document a line, and a line with its origin.

    For a synthetic document there is a line with its parent, and the parent's origin.
    """
    lines = [
        f"training sequence {sequence['sequence']} holds {sequence['tokens']:,} tokens, "
        "and one more that is only predicted",
    ]
    for part in sequence["documents"]:
        lines.append(
            f"  {part['id']}  tokens {part['start']}-{part['end']}  {part.get('source', '')}"
        )
        made_from = [part[kind] for kind in PARENTS if kind in part]
        for place in made_from or [part]:
            if made_from:
                lines.append(f"    made from {place['id']}")
            if origin := place.get("origin"):
                lines.append(
                    f"    from {_place(origin)}"
                    + (f" ({place['url']})" if place.get("url") else "")
                )
    return "\n".join(lines)


def _pieces(pieces: list[dict[str, Any]]) -> Iterator[str]:
    """Where the pieces of a scanned document stand: page, box in pixels, characters of the text."""
    for piece in pieces[:_MOST_PIECES]:
        box = "{x0},{y0}-{x1},{y1} of {width}x{height}".format(**piece)
        span = f"characters {piece['start']}-{piece['end']}"
        why = f" ({piece['reason']}: {piece['detail']})" if piece["reason"] else ""
        yield f"page {piece['page']}, box {box}: {piece['how']}, {span}{why}"
    if len(pieces) > _MOST_PIECES:
        yield f"and {len(pieces) - _MOST_PIECES} more pieces (--json shows them)"


def _place(origin: dict[str, Any]) -> str:
    return ", ".join(f"{key} {value}" for key, value in origin.items() if value is not None)


def _value(value: object) -> str:
    if isinstance(value, list):
        return f"[{len(value)}]"
    if isinstance(value, bytes):  # an image file
        return f"{len(value):,} bytes"
    if isinstance(value, dict) and "url" in value:  # a linked document
        return str(value["url"])
    return f"{value:.4g}" if isinstance(value, float) else str(value)
