"""How unlike each other the rows of one prompt are. If all are alike, the prompt has collapsed.

Small models fall into one template: every answer begins alike, or says the same sentences around
other names. Deduplication then removes most of it, and training on the rest narrows the model. So
each prompt's rows are measured, on a sample: the rows with the smallest ids of some of its files.

- Entropy of first words: of the distribution of the first three words, in bits. The most is
  log2(rows).
- Distinct n-grams (Li et al. 2016, arXiv 1510.03055): different runs of n words by all runs. It
  falls with more text, so a fixed number of words of each row counts.
- Template share: runs of six words that at least a twentieth of the rows have, by all runs.
- Self-similarity: mean Jaccard similarity of the sets of two-word runs of two rows.

The limits are our own: rows of varied pages stay far below. Pages that are alike themselves, such
as release notes, come near them.
"""

import heapq
import json
import math
import random
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from corpusmill.manifests.parquet_files import read_parquet
from corpusmill.manifests.receipt import Counts
from corpusmill.manifests.shard import Shard
from corpusmill.manifests.storage import Artifact

FILE = "diversity.json"
_MOST_FILES = 32  # of a prompt
_WORDS = 100  # of a row
_FIRST = 3
_TEMPLATE_RUN, _TEMPLATE_ROWS = 6, 0.05
_PAIRS = 2_000
_LEAST_ROWS = 20  # fewer rows tell nothing
_MOST_OPENING, _MOST_TEMPLATE, _MOST_ALIKE, _LEAST_DISTINCT = 0.5, 0.4, 0.35, 0.25
_WORD = re.compile(r"\w+")
# Words that the form of the prompt asks for.
_LABEL = re.compile(r"\A\W*(?:(?:question|problem|step|q)\W*\d*\W+)?", re.IGNORECASE)


def files(outputs: Sequence[Artifact]) -> tuple[Artifact, ...]:
    """The files of each prompt that are looked at: some that hold rows, spread over all."""
    found: list[Artifact] = []
    by_prompt: dict[str, list[Artifact]] = {}
    for artifact in outputs:
        name = _prompt(artifact)
        if name and artifact.rows:
            by_prompt.setdefault(name, []).append(artifact)
    for held in by_prompt.values():
        step = -(-len(held) // _MOST_FILES)
        found += held[::step]
    return tuple(found)


def measure(rows: int, quoting: Mapping[str, bool], shard: Shard) -> list[Counts]:
    """Write the measures of each prompt as `FILE`.

    rows: of each prompt that are looked at. quoting: prompt -> whether its rows begin with the
    passage. Then the words behind it count.
    """
    samples: dict[str, list[tuple[str, str]]] = {}
    written: Counter[str] = Counter()
    for artifact in shard.inputs:
        name = _prompt(artifact)
        written[name] += artifact.rows
        held = samples.get(name, [])
        samples[name] = heapq.nsmallest(rows, [*held, *_rows(artifact)])
    found = {
        name: {
            "rows": written[name],
            **measures([_own(text, quoting[name]) for _, text in samples[name]]),
        }
        for name in sorted(samples)
    }
    shard.file("work/diversity", FILE, json.dumps(found, sort_keys=True, indent=1).encode())
    return []


def measures(texts: Sequence[str]) -> dict[str, Any]:
    """The measures of rows of one prompt, and warnings if they show a collapse."""
    words = [_WORD.findall(text.casefold())[:_WORDS] for text in texts]
    openings = Counter(
        " ".join(_WORD.findall(_LABEL.sub("", text).casefold())[:_FIRST]) for text in texts
    )
    opening, often = min(openings.items(), key=lambda item: (-item[1], item[0]))
    entropy = -sum(n / len(texts) * math.log2(n / len(texts)) for n in openings.values())
    found = {
        "sampled": len(texts),
        "first_words_entropy": round(entropy, 4),
        "first_words_entropy_most": round(math.log2(len(texts)), 4),
        "commonest_opening": opening,
        "commonest_opening_share": round(often / len(texts), 4),
        "distinct_2": round(_distinct(words, 2), 4),
        "distinct_4": round(_distinct(words, 4), 4),
        "template_share": round(_template_share(words), 4),
        "self_similarity": round(_self_similarity(words), 4),
    }
    return {**found, "warnings": list(_warnings(found))}


def _warnings(found: Mapping[str, Any]) -> Iterator[str]:
    if found["sampled"] < _LEAST_ROWS:
        return
    if found["commonest_opening_share"] > _MOST_OPENING:
        share = found["commonest_opening_share"]
        yield f"{share:.0%} of its rows begin with {found['commonest_opening']!r}"
    if found["template_share"] > _MOST_TEMPLATE:
        yield f"{found['template_share']:.0%} of its words are a template that many rows share"
    if found["self_similarity"] > _MOST_ALIKE:
        yield f"two of its rows share {found['self_similarity']:.0%} of their word pairs"
    if found["distinct_4"] < _LEAST_DISTINCT:
        yield f"only {found['distinct_4']:.0%} of its runs of four words are different"


def _distinct(rows: Sequence[Sequence[str]], n: int) -> float:
    runs = Counter(run for words in rows for run in _runs(words, n))
    return len(runs) / max(1, runs.total())


def _template_share(rows: Sequence[Sequence[str]]) -> float:
    held = Counter(run for words in rows for run in set(_runs(words, _TEMPLATE_RUN)))
    least = max(3, math.ceil(_TEMPLATE_ROWS * len(rows)))
    runs = [run for words in rows for run in _runs(words, _TEMPLATE_RUN)]
    return sum(held[run] >= least for run in runs) / max(1, len(runs))


def _self_similarity(rows: Sequence[Sequence[str]]) -> float:
    """The mean over all pairs of rows, or over some that are drawn."""
    sets = [set(_runs(words, 2)) for words in rows]
    count = len(sets)
    pairs = [(one, two) for one in range(count) for two in range(one)] if count < 60 else []
    chance = random.Random(0)
    while count >= 60 and len(pairs) < _PAIRS:
        one, two = chance.randrange(count), chance.randrange(count)
        if one != two:
            pairs.append((one, two))
    alike = [len(sets[one] & sets[two]) / max(1, len(sets[one] | sets[two])) for one, two in pairs]
    return sum(alike) / max(1, len(alike))


def _runs(words: Sequence[str], n: int) -> list[tuple[str, ...]]:
    return [tuple(words[place : place + n]) for place in range(len(words) - n + 1)]


def _rows(artifact: Artifact) -> Iterator[tuple[str, str]]:
    """(id, text) of every row."""
    for table in read_parquet(artifact, ["id", "text"]):
        yield from zip(table["id"].to_pylist(), table["text"].to_pylist(), strict=True)


def _own(text: str, quotes: bool) -> str:
    """What the model wrote of a row."""
    passage, found, pairs = text.partition("\n\nQuestion: ") if quotes else (text, "", "")
    return f"Question: {pairs}" if found else passage


def _prompt(artifact: Artifact) -> str:
    found = re.search(r"/prompt=([^/]+)/", artifact.path)
    return found[1] if found else ""
