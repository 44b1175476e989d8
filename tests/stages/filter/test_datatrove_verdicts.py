"""Which of 200 shipped texts the published families drop, against datatrove's filters rule by rule.

`make_datatrove_verdicts.py` recorded what datatrove's filters drop when they read the texts without
the marks of light Markdown. Ours read the texts with the marks. Every difference is listed here
with its cause.
"""

import json

import numpy as np
import pyarrow as pa
import pytest
from corpusmill.stages.filter.families import DEFAULT, FAMILIES
from corpusmill.stages.filter.line_edits import LineEdits
from corpusmill.stages.filter.measuring import measure
from corpusmill.stages.filter.rules import failing

from tests.stages.filter import make_datatrove_verdicts
from tests.stages.filter.measure.plain_structure import without_marks

# spaCy joins `)` and `:` behind a bracket, since together they are a smiley. Here they stay two
# tokens (docs/filters.md).
SMILEY = "`):` is one token there and two here"
DIFFERENCES = {  # text and rule -> why the verdicts differ
    ("code/permissive:85", "gopher_repetition.duplicate_9_grams"): SMILEY,
    ("code/permissive:85", "gopher_repetition.duplicate_10_grams"): SMILEY,
}


@pytest.fixture(scope="module")
def record():
    return json.loads(make_datatrove_verdicts.PATH.read_text(encoding="utf-8"))["drops"]


@pytest.fixture(scope="module")
def ours():
    """Sample and row -> the codes of our rules that drop the text. C4's rules see the edited text,
    as in datatrove.
    """
    texts = make_datatrove_verdicts.texts()
    column = pa.chunked_array([list(texts.values())])
    whole, edited = measure(column).measured, measure(column, LineEdits()).measured
    drops: dict[str, list[str]] = {name: [] for name in texts}
    for family in DEFAULT:
        rules = FAMILIES[family]
        limits = np.array([[rule.threshold] for rule in rules])
        verdicts = failing(edited if family == "c4" else whole, limits, rules)
        for rule, row in zip(rules, verdicts, strict=True):
            for name, dropped in zip(drops, row, strict=True):
                drops[name] += [rule.code] * bool(dropped)
    return drops


def test_every_verdict_is_datatroves_but_for_the_differences_listed(record, ours):
    assert len(record) == len(ours) == 200
    found = {(name, code) for name in record for code in set(record[name]) ^ set(ours[name])}
    assert found == set(DIFFERENCES)


def test_many_of_the_texts_have_marks():
    texts = make_datatrove_verdicts.texts().values()
    assert sum(without_marks(text) != text for text in texts) >= 50


def test_the_differences_come_from_smileys():
    texts = make_datatrove_verdicts.texts()
    assert all("):" in texts[name] for name, _ in DIFFERENCES)


def test_the_texts_try_most_rules(record):
    """Two rules that drop nothing, or drop everything, would agree by chance."""
    dropping = {code for codes in record.values() for code in codes}
    rules = {rule.code for family in DEFAULT for rule in FAMILIES[family]}
    assert dropping <= rules
    assert len(dropping) >= 0.6 * len(rules)
    assert 20 <= sum(map(bool, record.values())) <= 180
