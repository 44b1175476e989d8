"""Extraction against its peers, on real pages with reference texts: F1, precision, recall, speed.

    python benchmarks/extraction.py [--data FOLDER] [--pages N]

One core, CPU time, decoding included. All extractors run in the same process on the same pages. A
peer with several known settings runs with each. Its best F1 counts, with the speed of that setting.
The default extractor is trained on the tuning half of the sites. So every figure is of the held-out
half, except `f1_learned_from`. The last line is JSON: `f1.NAME`, `recall.NAME`, `pages_s.NAME`, and
similar figures.
"""

import argparse
import json
import logging
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from corpusmill.stages.extract import html, language  # noqa: E402
from corpusmill.stages.readers.charset import decoded  # noqa: E402
from corpusmill.tools.wcxb import (  # noqa: E402
    HELD_OUT,
    TUNING,
    ReferencePage,
    Score,
    mean,
    reference_pages,
    score,
)

from benchmarks.peers import WCXB, require_data  # noqa: E402 - the checkout is the package

Extract = Callable[[ReferencePage], str]


@dataclass(frozen=True)
class Measured:
    """One extractor with one setting. scores: one for each page."""

    setting: str
    scores: Sequence[Score]
    pages_per_second: float

    @property
    def f1(self) -> float:
        return mean(self.scores).f1


def measure_extraction(data: Path, pages: int | None) -> dict[str, float]:
    """The figures of the last line. pages: how many to measure; None for all."""
    return figures(compared(chosen := reference_pages(data, pages)), chosen)


def compared(pages: Sequence[ReferencePage]) -> dict[str, Measured]:
    """Each extractor with its best setting."""
    return {
        name: max(
            (measured(setting, extract, pages) for setting, extract in settings.items()),
            key=lambda one: one.f1,
        )
        for name, settings in extractors().items()
    }


def extractors() -> dict[str, dict[str, Extract]]:
    import justext
    import trafilatura
    from resiliparse.extract.html2text import extract_plain_text

    logging.getLogger("trafilatura").setLevel(logging.CRITICAL)
    english = justext.get_stoplist("English")

    def text_of(page: ReferencePage) -> str:
        return decoded(page.payload, page.charset)[0]

    def ours(page: ReferencePage) -> str:
        return html.main_text(
            text_of(page), "main_content", lambda text: language.identify([text])[0].code
        )

    def with_trafilatura(**options: Any) -> Extract:
        return lambda page: (
            trafilatura.extract(page.payload, include_comments=False, **options) or ""
        )

    def with_justext(**options: float) -> Extract:
        def extract(page: ReferencePage) -> str:
            found = justext.justext(page.payload, english, **options)
            return "\n\n".join(
                paragraph.text for paragraph in found if not paragraph.is_boilerplate
            )

        return extract

    def with_resiliparse(page: ReferencePage) -> str:
        return extract_plain_text(text_of(page), main_content=True, alt_texts=False)

    return {
        "corpusmill": {"main_content": ours},
        "trafilatura": {
            "defaults": with_trafilatura(),
            "favor_recall": with_trafilatura(favor_recall=True),
            "favor_precision": with_trafilatura(favor_precision=True),
        },
        "resiliparse": {"main_content": with_resiliparse},
        "justext": {
            "defaults": with_justext(),
            "nemotron_cc": with_justext(
                length_high=200, max_link_density=0.2, stopwords_low=0.3, stopwords_high=0.32
            ),
        },
    }


def measured(setting: str, extract: Extract, pages: Sequence[ReferencePage]) -> Measured:
    """Run over all pages. If an extractor fails on a page, its text is empty."""
    extract(pages[0])  # loads compiled code and models
    texts = []
    started = time.process_time()
    for page in pages:
        try:
            texts.append(extract(page))
        except Exception:  # noqa: BLE001  (whatever a peer raises is that peer's empty text)
            texts.append("")
    seconds = time.process_time() - started
    scores = [score(text, page.reference) for text, page in zip(texts, pages, strict=True)]
    return Measured(setting, scores, len(pages) / seconds)


def figures(found: Mapping[str, Measured], pages: Sequence[ReferencePage]) -> dict[str, float]:
    """f1, recall and precision are of pages that no model here was trained on.

    `f1_learned_from` is of the other pages.
    """
    result: dict[str, float] = {}
    for name, one in found.items():
        held_out, tuning = (mean(of_half(one, pages, half)) for half in (HELD_OUT, TUNING))
        result |= {
            f"f1.{name}": held_out.f1,
            f"recall.{name}": held_out.recall,
            f"precision.{name}": held_out.precision,
            f"f1_learned_from.{name}": tuning.f1,
            f"pages_s.{name}": one.pages_per_second,
        }
    return {name: round(value, 4) for name, value in result.items()}


def of_half(one: Measured, pages: Sequence[ReferencePage], half: int) -> list[Score]:
    return [item for item, page in zip(one.scores, pages, strict=True) if page.half == half]


def table(found: Mapping[str, Measured], pages: Sequence[ReferencePage]) -> str:
    kinds = sorted({page.kind for page in pages})
    lines = [
        f"{len(pages)} pages, "
        f"{sum(page.half == HELD_OUT for page in pages)} of them in the held-out half",
        "",
        "| extractor | setting | F1 held out | precision | recall "
        "| F1 on pages learned from | pages/s |",
        "|---|---|---|---|---|---|---|",
    ]
    for name, one in found.items():
        held_out, tuning = (mean(of_half(one, pages, half)) for half in (HELD_OUT, TUNING))
        lines.append(
            f"| {name} | {one.setting} | {held_out.f1:.3f} | {held_out.precision:.3f} "
            f"| {held_out.recall:.3f} | {tuning.f1:.3f} | {one.pages_per_second:.1f} |"
        )
    lines += [
        "",
        "F1 on the held-out half by kind of page",
        "",
        f"| kind | pages | {' | '.join(found)} |",
        "|---" * (len(found) + 2) + "|",
    ]
    for kind in kinds:
        places = [
            place for place, page in enumerate(pages) if page.kind == kind and page.half == HELD_OUT
        ]
        by_name = (
            f"{mean([one.scores[place] for place in places]).f1:.3f}" for one in found.values()
        )
        lines.append(f"| {kind} | {len(places)} | {' | '.join(by_name)} |")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument(
        "--data",
        type=Path,
        default=ROOT.parent / "shared" / "data",
        help="the folder that holds web/",
    )
    parser.add_argument("--pages", type=int, help="how many pages, spread evenly (default: all)")
    arguments = parser.parse_args()
    require_data(arguments.data, "web/ground_truth.jsonl.zst", WCXB)
    pages = reference_pages(arguments.data, arguments.pages)
    found = compared(pages)
    print(table(found, pages))
    print(json.dumps(figures(found, pages)))


if __name__ == "__main__":
    main()
