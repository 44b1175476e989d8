"""Cutting parts into tokens: exact examples, and what holds for every cut."""

import numpy as np
import pytest
from corpusmill.stages.filter.measure.affixes import unit_keys
from corpusmill.stages.filter.measure.characters import character_table
from corpusmill.stages.filter.measure.cut import cut_parts
from corpusmill.stages.filter.measure.english import (
    exception_shapes,
    exception_table,
)
from corpusmill.stages.filter.measure.known_parts import nothing_known
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.stages.filter.measure.marked import Marked
from tests.stages.filter.measure.plain_statistics import cut, cut_by_character

KNOWN = nothing_known()


def tokens_of(texts, by_character=False):
    """part -> its tokens, of the parts that the kernel cuts."""
    marked = Marked(texts)
    room = 2 * marked.data.size + 64
    cuts, kinds = np.zeros(room, np.int32), np.zeros(room, np.int32)
    cut_parts(
        marked.data, marked.bits, character_table(), marked.edges, marked.hashes, marked.hard,
        marked.lines, marked.text_lines, np.full(len(texts), by_character), *exception_table(),
        exception_shapes(), unit_keys(), KNOWN, cuts, kinds, np.zeros((2, len(texts)), np.int64),
    )  # fmt: skip
    found, place = [], 0
    for part in marked.hard:
        at, end = marked.edges[2 * part : 2 * part + 2]
        tokens = []
        while at < end:
            tokens.append(marked.data[at : cuts[place]].tobytes().decode())
            assert kinds[place] >> 4 == len(tokens[-1])
            at = cuts[place]
            place += 1
        found.append((marked.part(part), tokens))
    return found


PARTS = st.text(alphabet="aBz1.,-'’()[]/:@$€%…é漢カ\u0301+*=", min_size=1, max_size=10)


@settings(max_examples=300, deadline=None)
@given(st.lists(PARTS, min_size=1, max_size=8), st.booleans())
def test_parts_are_cut_as_plain_python_cuts_them(parts, by_character):
    plain = cut_by_character if by_character else cut
    for part, tokens in tokens_of([" ".join(parts), parts[0]], by_character):
        assert tokens == plain(part)
        assert "".join(tokens) == part


@pytest.mark.parametrize(
    ("part", "tokens"),
    [
        ("don't", "do n't"),
        ("(yes!)", "( yes ! )"),
        ("U.S.", "U.S."),
        ("well-known", "well - known"),
        ("10km", "10 km"),
        ("http://a.org/b-c", "http://a.org/b-c"),
        ("3.5", "3.5"),
        ("end.Begin", "end . Begin"),
        ("$5,000.", "$ 5,000 ."),
        (":-)", ":-)"),
        ("日本語です。", "日本語です 。"),
    ],
)
def test_a_part_is_cut_the_same_when_it_is_known(part, tokens):
    for _ in range(2):  # the second time from `known_parts`
        assert tokens_of([f"{part} {part}"]) == [(part, tokens.split())] * 2
