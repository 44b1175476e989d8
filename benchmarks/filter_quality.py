"""Which documents the filter drops, against 428 documents that a reader labelled.

    python benchmarks/filter_quality.py [--data FOLDER] [--extracted FOLDER]

FOLDER holds `web/crawl-*.warc.gz` and `web2/crawl2-*.warc.gz`. The labels are in
`filter_labels.jsonl` beside this file, without texts. They join with the extracted documents by
crawl file and URL. `--extracted` names the output of `extract` on the same crawls, to save its
minute.

**How the documents were chosen.** `extract` and the default chain of 0.1 ran over the crawls:
8,997 English documents. Strata are the first rule that dropped a document, whether it was the only
one, and for kept documents whether they have code, tables or formulas. Drops are over-sampled.
Within a stratum a document counts by one over the root of its site's size, so that many sites are
in it. `weight` says how many documents of the crawl a row stands for. The crawls hold much
documentation and little spam. So read weighted figures as those of these crawls. 18 more
documents (`sought`, weight 0) were looked for by words of spam, errors and policies.

**How they were labelled.** One reader, a language model and no person, saw beginning, middle and
end of each text (up to 1,500 characters whole), without the filter's verdict. Nobody labelled them
a second time. The question: is this text worth training a general language model on?

- keep: connected prose, instructions, dialogue, questions with answers, recipes; code or tables
  with an explanation; reference pages that describe what they list; products and companies
  described in whole sentences; front pages and tag pages that give whole paragraphs of each item.
- drop: menus, lists of links or prices, cut-off teasers, forms and logins, error and redirect
  pages, licences and footers alone, template and filler text, hashes and signatures without
  explanation, feeds of metadata, spam, text that a machine made up.
- A good document with some lines of menu around it is kept. If most of the text is menu, it is
  dropped.
- One or two sentences on their own are dropped. Taste, opinion and advertising as such are no
  reason to drop.
- `doubtful` marks what another reader might well label otherwise. Of the longer ones, more of the
  text was read before the label stood; 2 labels changed.

Sites are divided by a hash. Thresholds were chosen by the half `tune` only.

**What is measured.** Precision and recall are those of drops: of the dropped documents, how many
are bad; of the bad ones, how many are dropped. `lost` is the share of good documents that are
dropped. Brackets hold 95 % of 1,000 bootstrap samples of sites. datatrove's filters judge the same
texts, in FineWeb's order, each with the edits of those before. Last come the documents of the
crawls with code, tables, formulas or verse: how many pass, and how many of these come out whole.
The last line is JSON.
"""

import argparse
import importlib
import importlib.util
import json
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

import numpy as np  # noqa: E402
import pyarrow as pa  # noqa: E402
from corpusmill.stages.filter.families import DEFAULT  # noqa: E402
from corpusmill.stages.filter.stage import Filter  # noqa: E402
from numpy.typing import NDArray  # noqa: E402

from benchmarks.filter_labels import (  # noqa: E402 - the checkout is the package
    CRAWLS,
    Labelled,
    extract,
    join,
    read,
)
from benchmarks.filter_structure import structure_table  # noqa: E402
from benchmarks.peers import require_data  # noqa: E402

HALVES = ("tune", "test")
BOOTSTRAPS, SEED = 1000, 1

FAMILY_CHAINS = {  # for a version of the filter that has no presets
    "gopher": ("gopher_repetition", "gopher_quality"),
    "c4": ("c4",),
    "fineweb": DEFAULT,
    "nemotron_cc": ("nemotron",),
    "dclm": ("gopher_repetition", "gopher_quality", "refinedweb"),
}


@dataclass(frozen=True)
class Drops:
    """Precision and recall of drops, and the share of good documents lost, each with bounds."""

    precision: tuple[float, float, float]
    recall: tuple[float, float, float]
    lost: tuple[float, float, float]


def measure_quality(data: Path, extracted: Path | None) -> dict[str, float]:
    """All figures of this file."""
    with tempfile.TemporaryDirectory() as folder:
        documents = read(extracted or extract(data, Path(folder)))
    labelled = join(documents)
    figures: dict[str, float] = {"labelled": len(labelled.rows)}
    verdicts = {name: dropped(stage, labelled.table) for name, stage in chains().items()}
    verdicts |= datatrove_verdicts(labelled.table["text"].to_pylist())
    print(chain_table(labelled, verdicts, figures))
    print(rule_table(labelled))
    print(structure_table(documents, labelled, figures))
    return figures


def chains() -> dict[str, Filter]:
    """The default chain, and every published one: presets, or families if there are none."""
    if importlib.util.find_spec("corpusmill.stages.filter.presets") is None:
        published = {name: Filter(families=families) for name, families in FAMILY_CHAINS.items()}
    else:
        presets = importlib.import_module("corpusmill.stages.filter.presets")
        published = {
            name: Filter.model_validate({"preset": name})
            for name in presets.NAMED
            if name != "default"
        }
    return {"default": Filter()} | published


def dropped(stage: Filter, table: pa.Table) -> NDArray[np.bool_]:
    """The verdict of a chain on each document."""
    out = set(stage.apply(table).excluded["id"].to_pylist())
    return np.array([name in out for name in table["id"].to_pylist()])


def failed_rules(stage: Filter, table: pa.Table) -> list[set[str]]:
    """The rules that each document fails."""
    outcome = stage.apply(table)
    failed = {
        name: set(rules or ())
        for part in outcome
        for name, rules in zip(
            part["id"].to_pylist(), part["failed_rules"].to_pylist(), strict=True
        )
    }
    return [failed[name] for name in table["id"].to_pylist()]


def datatrove_verdicts(texts: Sequence[str]) -> dict[str, NDArray[np.bool_]]:
    """Drops of datatrove's filters: by families, and FineWeb's whole chain."""
    from datatrove.data import Document
    from datatrove.pipeline import filters

    gopher = [filters.GopherRepetitionFilter(), filters.GopherQualityFilter()]
    edits = filters.C4QualityFilter(filter_no_terminal_punct=False)
    groups = {
        "datatrove gopher": gopher,
        "datatrove c4": [edits],
        "datatrove c4, all lines punctuated": [filters.C4QualityFilter()],
        "datatrove fineweb": [*gopher, edits, filters.FineWebQualityFilter()],
    }

    def drops(blocks: Sequence[Any], text: str) -> bool:
        document = Document(text=text, id="")
        return any(block.filter(document) is not True for block in blocks)

    return {
        name: np.array([drops(blocks, text) for text in texts]) for name, blocks in groups.items()
    }


def quality(
    drop: NDArray[np.bool_],
    bad: NDArray[np.bool_],
    weights: NDArray[np.float64],
    sites: NDArray[np.str_],
) -> Drops:
    """Figures of one chain, with a bootstrap over sites."""
    _, site = np.unique(sites, return_inverse=True)
    sums = np.stack(
        [
            np.bincount(site, weights * part)
            for part in (drop & bad, drop & ~bad, ~drop & bad, ~drop & ~bad)
        ]
    )
    count = sums.shape[1]
    draws = np.random.default_rng(SEED).multinomial(count, np.full(count, 1 / count), BOOTSTRAPS)
    hits, wrong, missed, right = sums @ np.concatenate([np.ones((1, count)), draws]).T

    def bounded(part: NDArray[np.float64], whole: NDArray[np.float64]) -> Any:
        share = part / np.maximum(whole, 1e-9)
        low, high = np.percentile(share[1:], (2.5, 97.5))
        return float(share[0]), float(low), float(high)

    return Drops(
        bounded(hits, hits + wrong), bounded(hits, hits + missed), bounded(wrong, wrong + right)
    )


def chain_table(
    labelled: Labelled, verdicts: Mapping[str, NDArray[np.bool_]], figures: dict[str, float]
) -> str:
    """Precision, recall and loss of each chain, on both halves, plain and weighted."""
    lines = []
    certain = labelled.array(lambda row: not row["doubtful"])
    for half in HALVES:
        for kind, weights in (
            ("documents", np.ones(len(labelled.rows))),
            ("weighted", labelled.weights),
            ("certain labels, weighted", labelled.weights * certain),
        ):
            chosen = labelled.half(half)
            bad = int((labelled.bad & chosen & (weights > 0)).sum())
            good = int((~labelled.bad & chosen & (weights > 0)).sum())
            title = f"{half} half, {kind}: {good} good, {bad} bad"
            lines.append(f"\n{title:55} {'precision of drops':22} {'recall of drops':22} good lost")
            for name, drop in verdicts.items():
                found = quality(
                    drop[chosen], labelled.bad[chosen], weights[chosen], labelled.sites[chosen]
                )
                lines.append(
                    f"{name:55} "
                    + "  ".join(
                        f"{value:.3f} [{low:.3f} {high:.3f}]"
                        for value, low, high in (found.precision, found.recall, found.lost)
                    )
                )
                if kind != "certain labels, weighted":
                    key = f"{half}.{'' if kind == 'documents' else 'weighted.'}{name}"
                    key = key.replace(", ", "_").replace(" ", "_")
                    figures[f"precision.{key}"] = round(found.precision[0], 4)
                    figures[f"recall.{key}"] = round(found.recall[0], 4)
                    figures[f"lost.{key}"] = round(found.lost[0], 4)
    return "\n".join(lines)


def rule_table(labelled: Labelled) -> str:
    """What each rule drops of the tune half: good and bad documents, and those that no other rule
    of its chain drops.
    """
    head = f"{'good':>5} {'bad':>6} {'weighted good':>14} {'bad':>6}"
    lines = [f"\n{'rules, tune half':55} {head}   none else: {head}"]
    for name, stage in chains().items():
        found = rule_lines(labelled, stage)
        if not set(found) <= set(lines):  # a chain that is part of one before says nothing new
            lines += [name, *found]
    return "\n".join(lines)


def rule_lines(labelled: Labelled, stage: Filter) -> list[str]:
    failed = failed_rules(stage, labelled.table)
    chosen, bad, weights = labelled.half("tune"), labelled.bad, labelled.weights
    lines = []
    for rule in stage.in_force():
        drop = np.array([rule.code in rules for rules in failed]) & chosen
        alone = np.array([rules == {rule.code} for rules in failed]) & chosen
        cells = [
            f"{(part & ~bad).sum():5} {(part & bad).sum():6} "
            f"{weights[part & ~bad].sum():14.0f} {weights[part & bad].sum():6.0f}"
            for part in (drop, alone)
        ]
        if drop.any():
            label = f"  {rule.code} {rule.comparison} {rule.threshold:g}"
            lines.append(f"{label:55} {cells[0]}              {cells[1]}")
    return lines


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, default=ROOT.parent / "shared" / "data")
    parser.add_argument("--extracted", type=Path, help="output of `extract` on the crawls")
    arguments = parser.parse_args()
    if arguments.extracted is None:
        for pattern in CRAWLS:
            require_data(arguments.data, pattern, "docs/benchmarks.md says what the labels are of")
    print(json.dumps(measure_quality(arguments.data, arguments.extracted)))


if __name__ == "__main__":
    main()
