"""Extraction against its peers, on pages with reference texts: F1, precision, recall, structure,
speed.

    python benchmarks/extraction.py [--data FOLDER] [--pages N] [--rounds N]

All figures are of sites in the held-out half, from which no model learned. Every tool runs in the
same process on the same pages. F1, precision and recall compare words, and are means over the pages
of a set; `tools/gold_pages.py` describes the sets and the measure. A tool with several settings
runs with each of them, and the best F1 counts for each set. `extraction_structure.py` describes the
structure score.

Speed is CPU time with decoding. The tools take turns on the same pages, the median of the rounds
counts, and of a tool with several settings the fastest one. The last line is JSON:
`f1.SET.TOOL`, `precision.SET.TOOL`, `recall.SET.TOOL`, `structure.KIND.TOOL`, `structure.TOOL` and
`pages_s.TOOL`.
"""

import argparse
import json
import statistics
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from corpusmill.tools.gold_pages import (  # noqa: E402
    HELD_OUT,
    MIXED,
    ReferencePage,
    Score,
    mean,
    reference_pages,
    score,
)

from benchmarks.extraction_pages import marked_pages, spread  # noqa: E402
from benchmarks.extraction_peers import (  # noqa: E402 - the checkout is the package
    TEXTS,
    Page,
    Tools,
    language_of,
    text_or_nothing,
)
from benchmarks.extraction_structure import (  # noqa: E402
    Best,
    structure_scores,
    structure_table,
)
from benchmarks.peers import WCXB, require_data  # noqa: E402

OURS = "corpusmill"
TIMED_PAGES = 200
Scores = Mapping[str, Mapping[str, Sequence[Score]]]  # tool -> setting -> one for each page


@dataclass(frozen=True)
class SetScore:
    """A tool's means over a set, with its best setting there."""

    score: Score
    setting: str


def sets_of(page: ReferencePage) -> list[str]:
    """The sets that a page counts in: its source, and the kind of a page of mixed kinds."""
    if page.source != MIXED:
        return [page.source]
    return ["mixed", f"mixed_{KINDS.get(page.kind, page.kind)}"]


KINDS: Final = {
    "article": "articles",
    "forum": "forums",
    "listing": "listings",
    "collection": "collections",
    "product": "products",
    "service": "services",
}


def members(pages: Sequence[ReferencePage]) -> dict[str, list[int]]:
    """Set -> the places of its pages."""
    found: dict[str, list[int]] = {}
    for place, page in enumerate(pages):
        for name in sets_of(page):
            found.setdefault(name, []).append(place)
    order = sorted(found, key=lambda name: (not name.startswith("mixed"), name))
    return {name: found[name] for name in order}


def measure_extraction(data: Path, pages: int | None) -> dict[str, float]:
    """The figures of the mixed pages alone, without structure. pages: at most so many."""
    chosen = chosen_pages(data, pages, (MIXED,))
    inputs = [input_of(page) for page in chosen]
    best = best_of_sets(text_scores(chosen, inputs), members(chosen))
    return figures(best, {}, speeds(spread(inputs, TIMED_PAGES), rounds=3))


def input_of(page: ReferencePage) -> Page:
    return Page(page.payload, page.charset, language_of(page.reference))


def chosen_pages(data: Path, limit: int | None, sources: Sequence[str] = ()) -> list[ReferencePage]:
    """The held-out pages; at most `limit` of each source, spread evenly."""
    pages = [page for page in reference_pages(data, sources=sources) if page.half == HELD_OUT]
    return [
        page
        for source in dict.fromkeys(page.source for page in pages)
        for page in spread([one for one in pages if one.source == source], limit)
    ]


def text_scores(
    pages: Sequence[ReferencePage], inputs: Sequence[Page], tools: Tools = TEXTS
) -> Scores:
    return {
        tool: {
            setting: [
                score(text_or_nothing(extract, one), page.reference, page.title)
                for one, page in zip(inputs, pages, strict=True)
            ]
            for setting, extract in settings.items()
        }
        for tool, settings in tools.items()
    }


def best_of_sets(
    scores: Scores, places: Mapping[str, Sequence[int]]
) -> dict[str, dict[str, SetScore]]:
    """Set -> tool -> its means with the setting that has the best F1 on that set."""
    return {
        name: {
            tool: max(
                (
                    SetScore(mean([found[place] for place in of_set]), setting)
                    for setting, found in settings.items()
                ),
                key=lambda one: one.score.f1,
            )
            for tool, settings in scores.items()
        }
        for name, of_set in places.items()
    }


def speeds(
    inputs: Sequence[Page], rounds: int, tools: Tools = TEXTS
) -> dict[str, dict[str, float]]:
    """Tool -> setting -> pages a second of CPU time. Each round begins with another tool."""
    runs = [
        (tool, setting, extract)
        for tool, settings in tools.items()
        for setting, extract in settings.items()
    ]
    seconds: list[list[float]] = [[] for _ in runs]
    for number in range(rounds):
        for turn in range(len(runs)):
            which = (turn + number) % len(runs)
            started = time.process_time()
            for page in inputs:
                text_or_nothing(runs[which][2], page)
            seconds[which].append(time.process_time() - started)
    found: dict[str, dict[str, float]] = {tool: {} for tool in tools}
    for (tool, setting, _), taken in zip(runs, seconds, strict=True):
        found[tool][setting] = len(inputs) / max(statistics.median(taken), 1e-9)
    return found


def set_tables(
    best: Mapping[str, Mapping[str, SetScore]], places: Mapping[str, Sequence[int]]
) -> str:
    """F1, precision and recall, a table for each, with the lead over the best peer."""
    lines = []
    for measure in ("f1", "precision", "recall"):
        tools = list(next(iter(best.values())))
        lines += [
            f"{measure.upper() if measure == 'f1' else measure.capitalize()}, held-out half",
            "",
            f"| set | pages | {' | '.join(tools)} | lead over the best peer |",
            "|---" * (len(tools) + 3) + "|",
        ]
        for name, of_set in best.items():
            values = {tool: getattr(one.score, measure) for tool, one in of_set.items()}
            peers = [value for tool, value in values.items() if tool != OURS]
            lead = f"{values[OURS] - max(peers):+.3f}" if OURS in values and peers else ""
            lines.append(
                f"| {name} | {len(places[name])} "
                f"| {' | '.join(f'{value:.3f}' for value in values.values())} | {lead} |"
            )
        lines.append("")
    lines += ["Best settings", ""]
    for name, of_set in best.items():
        named = (f"{tool} {one.setting}" for tool, one in of_set.items() if tool != OURS)
        lines.append(f"    {name}: {', '.join(named)}")
    return "\n".join(lines)


def speed_table(found: Mapping[str, Mapping[str, float]]) -> str:
    ours = max(found[OURS].values())
    lines = ["| tool | setting | pages/s | corpusmill is faster by |", "|---|---|---|---|"]
    for tool, settings in found.items():
        for setting, speed in settings.items():
            ratio = f"{ours / speed:.1f}" if tool != OURS else ""
            lines.append(f"| {tool} | {setting} | {speed:.1f} | {ratio} |")
    return "\n".join(lines)


def figures(
    best: Mapping[str, Mapping[str, SetScore]],
    structure: Mapping[str, Mapping[str, Best]],
    pages_s: Mapping[str, Mapping[str, float]],
) -> dict[str, float]:
    """The last line."""
    result: dict[str, float] = {}
    for name, of_set in best.items():
        for tool, one in of_set.items():
            for measure in ("f1", "precision", "recall"):
                result[f"{measure}.{name}.{tool}"] = getattr(one.score, measure)
    for tool, kinds in structure.items():
        for kind, found in kinds.items():
            result[f"structure.{tool}" if kind == "all" else f"structure.{kind}.{tool}"] = (
                found.score
            )
    result |= {f"pages_s.{tool}": max(settings.values()) for tool, settings in pages_s.items()}
    return {name: round(value, 4) for name, value in result.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n\n", 1)[0])
    parser.add_argument(
        "--data",
        type=Path,
        default=ROOT.parent / "shared" / "data",
        help="the folder that holds web/, web_articles/ and web2/",
    )
    parser.add_argument("--pages", type=int, help="how many pages of a source (default: all)")
    parser.add_argument("--rounds", type=int, default=5, help="rounds of the speed (default: 5)")
    arguments = parser.parse_args()
    require_data(arguments.data, "web/ground_truth.jsonl.zst", WCXB)

    pages = chosen_pages(arguments.data, arguments.pages)
    inputs = [input_of(page) for page in pages]
    places = members(pages)
    best = best_of_sets(text_scores(pages, inputs), places)
    print(set_tables(best, places), flush=True)

    marked = marked_pages(arguments.data, pages, arguments.pages)
    structure = structure_scores(marked)
    print(f"\n{structure_table(marked, structure)}", flush=True)

    timed = spread(inputs, min(TIMED_PAGES, arguments.pages or TIMED_PAGES))
    pages_s = speeds(timed, arguments.rounds)
    print(f"\nSpeed on {len(timed)} pages, {arguments.rounds} rounds\n\n{speed_table(pages_s)}\n")
    print(json.dumps(figures(best, structure, pages_s)))


if __name__ == "__main__":
    main()
