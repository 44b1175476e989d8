"""The labels of `benchmarks/filter_quality.py`, and its measures on small cases."""

import json
from collections import defaultdict

import numpy as np
import pytest

from benchmarks.filter_labels import LABELS
from benchmarks.filter_quality import quality
from benchmarks.filter_structure import code, formulas, headings, lists, tables, verse

ROWS = [json.loads(line) for line in LABELS.read_text(encoding="utf-8").splitlines()]


def test_every_label_is_one_document_without_its_text():
    keys = [(row["warc"], row["url"]) for row in ROWS]
    assert len(set(keys)) == len(keys) == 428
    assert {row["label"] for row in ROWS} == {"keep", "drop"}
    assert not any("text" in row for row in ROWS)
    assert all(row["weight"] > 0 or row["stratum"] == "sought" for row in ROWS)


def test_no_site_is_in_both_halves():
    halves = defaultdict(set)
    for row in ROWS:
        halves[row["site"]].add(row["half"])
    assert all(len(found) == 1 for found in halves.values())
    assert {half for found in halves.values() for half in found} == {"tune", "test"}


def test_the_weights_count_the_documents_of_the_crawls():
    assert sum(row["weight"] for row in ROWS) == pytest.approx(8997, abs=1)


def test_precision_recall_and_loss_of_drops_are_weighted():
    drop = np.array([True, True, False, False])
    bad = np.array([True, False, True, False])
    found = quality(drop, bad, np.array([3.0, 1.0, 1.0, 4.0]), np.array(list("abcd")))
    assert found.precision[0] == pytest.approx(3 / 4)
    assert found.recall[0] == pytest.approx(3 / 4)
    assert found.lost[0] == pytest.approx(1 / 5)
    for value, low, high in (found.precision, found.recall, found.lost):
        assert 0 <= low <= value <= high <= 1


TEXT = """# Sorting

Call it with a key, as in \\(k(a) < k(b)\\):

```
if a | b:
    # swap
    - a
```

name | cost
sort | n log n

- stable
- fast

Tyger Tyger, burning bright,
In the forests of the night;
What immortal hand or eye,
Could frame thy fearful symmetry?

Terms of use | Privacy
"""


def test_structures_are_found_and_code_is_nothing_else():
    assert code(TEXT) == ["```\nif a | b:\n    # swap\n    - a\n```"]
    assert tables(TEXT) == ["name | cost\nsort | n log n"]
    assert formulas(TEXT) == [r"\(k(a) < k(b)\)"]
    assert lists(TEXT) == ["- stable", "- fast"]
    assert headings(TEXT) == ["# Sorting"]
    assert [block.count("\n") for block in verse(TEXT)] == [3]
