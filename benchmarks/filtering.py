"""The filter stage against datatrove's four blocks: speed, and agreement for each rule.

    python benchmarks/filtering.py [--data FOLDER] [--documents N]

It also measures the speed of the URL lists. One core, CPU time, medians, peers in the same run. The
documents are reference and academic texts, and the text (Resiliparse's main content) of every
second crawled page. Agreement compares each rule alone with the same rule of datatrove alone, on
the same text. datatrove reads it without the marks of light Markdown. The last line is JSON:
`filter_mb_s.NAME`, `agreement.RULE`, `agreement_min`, `urls_s`.
"""

import argparse
import functools
import io
import json
import statistics
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

import numpy as np  # noqa: E402
import pyarrow as pa  # noqa: E402
import zstandard  # noqa: E402
from corpusmill.manifests.schema import DOCUMENT, conform  # noqa: E402
from corpusmill.stages.filter.families import DEFAULT, FAMILIES  # noqa: E402
from corpusmill.stages.filter.line_edits import LineEdits  # noqa: E402
from corpusmill.stages.filter.measuring import measure  # noqa: E402
from corpusmill.stages.filter.rules import failing  # noqa: E402
from corpusmill.stages.filter.stage import Filter  # noqa: E402
from corpusmill.stages.filter.url_rules import UrlRules, compiled, judge_all  # noqa: E402

from tests.stages.filter.measure.plain_structure import without_marks  # noqa: E402

# Characters. Longer documents are left out of the agreement: datatrove reads 15 kB a second there.
LONGEST = 40_000
REFERENCE = {  # file -> step: every how many-th record is read
    "reference/reference": 5,
    "reference/kubernetes_keps": 10,
    "reference/openstax_psychology": 5,
    "reference/openstax_university_physics": 10,
    "reference/openstax_economics": 10,
    "academic/plos_articles": 4,
    "academic/acl_abstracts": 75,
}


def measure_filtering(data: Path, documents: int | None) -> dict[str, float]:
    """All figures of this file.

    documents: how many the agreement is measured on. None for all (over 1,500).
    """
    web, reference = web_texts(data), reference_texts(data)
    texts = [text for text in [*web, *reference] if len(text) <= LONGEST]
    if documents is not None:
        texts = texts[:: max(1, len(texts) // documents)][:documents]
    results = speeds(web)
    agreed = agreement(texts)
    print(table(agreed, len(texts)))
    results |= {f"agreement.{code}": round(share, 4) for code, (share, *_) in agreed.items()}
    results["agreement_min"] = round(min(share for share, *_ in agreed.values()), 4)
    results["urls_s"] = url_speed(data)
    return results


def web_texts(data: Path) -> list[str]:
    """The main text of every second crawled page."""
    from corpusmill.stages.readers.charset import decoded
    from fastwarc.warc import ArchiveIterator, WarcRecordType
    from resiliparse.extract.html2text import extract_plain_text

    texts = []
    for path in sorted((data / "web").glob("crawl-*.warc.gz")):
        with path.open("rb") as stream:
            for number, record in enumerate(
                ArchiveIterator(stream, record_types=WarcRecordType.response)
            ):
                if number % 2 == 0:
                    text = extract_plain_text(
                        decoded(record.reader.read(), None)[0], main_content=True, alt_texts=False
                    )
                    texts += [text] if text.strip() else []
    return texts


def reference_texts(data: Path) -> list[str]:
    return [
        record["text"]
        for name, step in REFERENCE.items()
        for number, record in enumerate(records(data / f"{name}.jsonl.zst"))
        if number % step == 0
    ]


def records(path: Path) -> Iterator[dict[str, Any]]:
    with path.open("rb") as stream:
        yield from map(
            json.loads,
            io.TextIOWrapper(zstandard.ZstdDecompressor().stream_reader(stream), encoding="utf-8"),
        )


def speeds(texts: Sequence[str]) -> dict[str, float]:
    """MB of text a second, of the whole stage over a table and of datatrove's blocks.

    datatrove's blocks run in its order, and stop at the first drop.
    """
    from datatrove.data import Document

    rows = {"id": [str(number) for number in range(len(texts))], "text": list(texts)}
    documents, stage = conform(pa.table(rows), DOCUMENT), Filter(preset="fineweb")
    stage.apply(documents)  # compiles what is not cached
    ours = median_seconds(lambda: stage.apply(documents), 7)
    sample = list(texts[:: max(1, len(texts) // 60)])
    chain = datatrove_chain()

    def run_chain() -> None:
        for text in sample:
            document = Document(text=text, id="")
            for block in chain:
                if block.filter(document) is not True:
                    break

    run_chain()
    theirs = median_seconds(run_chain, 3)
    return {
        "filter_mb_s.corpusmill": round(size_of(texts) / ours, 1),
        "filter_mb_s.datatrove": round(size_of(sample) / theirs, 3),
    }


def datatrove_chain() -> list[Any]:
    from datatrove.pipeline import filters

    return [
        filters.GopherRepetitionFilter(),
        filters.GopherQualityFilter(),
        filters.C4QualityFilter(filter_no_terminal_punct=False),
        filters.FineWebQualityFilter(),
    ]


def agreement(texts: Sequence[str]) -> dict[str, tuple[float, int, int, int]]:
    """Reason code -> (share of documents with equal verdicts, drops of ours, theirs, both)."""
    column = pa.chunked_array([pa.array(texts)])
    as_they_came, edited = measure(column).measured, measure(column, LineEdits()).measured
    theirs = datatrove_verdicts(list(map(without_marks, texts)))
    result = {}
    for family in DEFAULT:
        rules = FAMILIES[family]
        thresholds = np.array([[rule.threshold] for rule in rules])
        ours = failing(edited if family == "c4" else as_they_came, thresholds, rules)
        for rule, verdict in zip(rules, ours, strict=True):
            other = theirs[rule.code]
            counts = int(verdict.sum()), int(other.sum()), int((verdict & other).sum())
            result[rule.code] = (float((verdict == other).mean()), *counts)
    return result


def datatrove_verdicts(texts: Sequence[str]) -> dict[str, np.ndarray]:
    """The verdicts of each rule of datatrove alone.

    Its words are kept from rule to rule. That saves two thirds of the time and changes nothing.
    """
    import datatrove.pipeline.filters.fineweb_quality_filter as fineweb
    import datatrove.pipeline.filters.gopher_quality_filter as quality
    import datatrove.pipeline.filters.gopher_repetition_filter as repetition
    from datatrove.data import Document

    kept = functools.lru_cache(maxsize=2)(repetition.split_into_words)
    modules: tuple[Any, ...] = (repetition, quality, fineweb)
    for module in modules:
        module.split_into_words = kept
    rules = datatrove_rules()
    verdicts: dict[str, list[bool]] = {code: [] for code in rules}
    for text in texts:
        for code, (block, reasons) in rules.items():
            found = block.filter(Document(text=text, id=""))
            verdicts[code].append(
                found is False
                or (isinstance(found, tuple) and (not reasons or found[1] in reasons))
            )
    for module in modules:
        module.split_into_words = kept.__wrapped__
    return {code: np.array(values) for code, values in verdicts.items()}


def datatrove_rules() -> Mapping[str, tuple[Any, tuple[str, ...]]]:
    """Reason code -> (datatrove's block with that rule only, reasons that count).

    The reasons are given if the block runs two rules at once.
    """
    from datatrove.pipeline import filters

    def repetition(**rule: Any) -> tuple[Any, tuple[str, ...]]:
        off: dict[str, Any] = dict.fromkeys(
            ("dup_line_frac", "dup_para_frac", "dup_line_char_frac", "dup_para_char_frac")
        )
        return filters.GopherRepetitionFilter(
            **{**off, "top_n_grams": (), "dup_n_grams": (), **rule}
        ), ()

    def quality(*reasons: str, **rule: Any) -> tuple[Any, tuple[str, ...]]:
        names = (
            "min_doc_words max_doc_words min_avg_word_length max_avg_word_length "
            "max_symbol_word_ratio max_bullet_lines_ratio"
        )
        off = dict.fromkeys(
            (
                *names.split(),
                "max_ellipsis_lines_ratio",
                "max_non_alpha_words_ratio",
                "min_stop_words",
            )
        )
        return filters.GopherQualityFilter(**{**off, **rule}), reasons

    def c4(**rule: Any) -> tuple[Any, tuple[str, ...]]:
        off = {"min_num_sentences": -1, "filter_lorem_ipsum": False, "filter_curly_bracket": False}
        return filters.C4QualityFilter(**{**off, "filter_no_terminal_punct": False, **rule}), ()

    def fineweb(**rule: Any) -> tuple[Any, tuple[str, ...]]:
        off = {
            "line_punct_thr": -1,
            "short_line_thr": 9,
            "char_duplicates_ratio": 9,
            "new_line_ratio": 1e9,
        }
        return filters.FineWebQualityFilter(**{**off, **rule}), ()

    return {
        "gopher_repetition.duplicate_paragraphs": repetition(dup_para_frac=0.3),
        "gopher_repetition.duplicate_paragraph_characters": repetition(dup_para_char_frac=0.2),
        "gopher_repetition.duplicate_lines": repetition(dup_line_frac=0.3),
        "gopher_repetition.duplicate_line_characters": repetition(dup_line_char_frac=0.2),
        **{
            f"gopher_repetition.top_{n}_gram": repetition(top_n_grams=((n, limit),))
            for n, limit in ((2, 0.2), (3, 0.18), (4, 0.16))
        },
        **{
            f"gopher_repetition.duplicate_{n}_grams": repetition(dup_n_grams=((n, limit),))
            for n, limit in ((5, 0.15), (6, 0.14), (7, 0.13), (8, 0.12), (9, 0.11), (10, 0.1))
        },
        "gopher_quality.few_words": quality(min_doc_words=50),
        "gopher_quality.many_words": quality(max_doc_words=100_000),
        "gopher_quality.short_words": quality(min_avg_word_length=3),
        "gopher_quality.long_words": quality(max_avg_word_length=10),
        "gopher_quality.hash_signs": quality("gopher_too_many_hashes", max_symbol_word_ratio=0.1),
        "gopher_quality.ellipses": quality("gopher_too_many_ellipsis", max_symbol_word_ratio=0.1),
        "gopher_quality.bullet_lines": quality(max_bullet_lines_ratio=0.9),
        "gopher_quality.ellipsis_lines": quality(max_ellipsis_lines_ratio=0.3),
        "gopher_quality.few_alphabetic_words": quality(max_non_alpha_words_ratio=0.8),
        "gopher_quality.few_stop_words": quality(min_stop_words=2),
        "c4.lorem_ipsum": c4(filter_lorem_ipsum=True),
        "c4.curly_bracket": c4(filter_curly_bracket=True),
        "c4.few_sentences": c4(min_num_sentences=5),
        "fineweb.few_punctuated_lines": fineweb(line_punct_thr=0.12),
        "fineweb.short_lines": fineweb(short_line_thr=0.67),
        "fineweb.duplicate_line_characters": fineweb(char_duplicates_ratio=0.01),
        "fineweb.newlines": fineweb(new_line_ratio=0.3),
    }


def url_speed(data: Path) -> float:
    """URLs a second that the UT1 list of domains (4.6 million) judges. Real URLs, repeated."""
    urls = [record["url"] for record in records(data / "web" / "index.jsonl.zst")] * 100
    column, lists = (
        pa.chunked_array([pa.array(urls)]),
        compiled(UrlRules(domains=("datatrove:domains",))),
    )
    judge_all(column.slice(0, 1000), lists)
    return round(len(urls) / median_seconds(lambda: judge_all(column, lists), 3))


def median_seconds(work: Callable[[], object], times: int) -> float:
    """The median CPU time of a call."""
    seconds = []
    for _ in range(times):
        started = time.process_time()
        work()
        seconds.append(time.process_time() - started)
    return statistics.median(seconds)


def size_of(texts: Sequence[str]) -> float:
    return sum(len(text.encode()) for text in texts) / 1e6


def table(agreed: Mapping[str, tuple[float, int, int, int]], documents: int) -> str:
    lines = [
        f"{'agreement with datatrove, ' + str(documents) + ' documents':50} "
        "share   ours  theirs   both"
    ]
    for code, (share, ours, theirs, both) in agreed.items():
        lines.append(f"{code:50} {share:.4f} {ours:6} {theirs:7} {both:6}")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, default=ROOT.parent / "shared" / "data")
    parser.add_argument(
        "--documents", type=int, help="measure the agreement on so many; default: all"
    )
    arguments = parser.parse_args()
    print(json.dumps(measure_filtering(arguments.data, arguments.documents)))


if __name__ == "__main__":
    main()
