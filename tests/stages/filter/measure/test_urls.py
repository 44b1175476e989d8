"""Sifting URLs: a URL that a list blocks is never cleared, and an ordinary URL is."""

import re

import numpy as np
import pyarrow as pa
import pytest
from corpusmill.stages.filter.measure.url_hashes import fill_map, hash_lines, hash_of
from corpusmill.stages.filter.url_rules import UrlRules, compiled, judge, judge_all
from hypothesis import given, settings
from hypothesis import strategies as st

DOMAINS, URLS = ("bad.example", "*.worse.example."), ("ok.example/blocked",)
WORDS, SOFT_WORDS, SUBWORDS = ("casino",), ("free", "win"), ("xxx",)


@pytest.fixture(scope="module")
def lists(tmp_path_factory):
    folder, named = tmp_path_factory.mktemp("lists"), {}
    for name, entries in (
        ("domains", DOMAINS), ("urls", URLS), ("words", WORDS), ("soft_words", SOFT_WORDS),
        ("subwords", SUBWORDS),
    ):  # fmt: skip
        (folder / name).write_text("# a comment\n\n" + "\n".join(entries) + "\n")
        named[name] = (str(folder / name),)
    return compiled(UrlRules(**named))  # type: ignore[arg-type]


HOSTS = st.sampled_from(
    [
        "bad.example",
        "a.BAD.example.",
        "notbad.example",
        "worse.example",
        "ok.example",
        "www.ok.example",
    ]
)
PATHS = st.lists(
    st.sampled_from(
        ["/", "blocked", "a", "casino", "free", "win", "x", "xx", "-", "?", "#", "%20"]
    ),
    max_size=6,
).map("".join)


@settings(max_examples=300, deadline=None)
@given(st.lists(st.tuples(st.sampled_from(["http://", "", "//"]), HOSTS, PATHS), max_size=5))
def test_sifting_first_changes_no_verdict(lists, addresses):
    urls = [
        scheme + host + ("/" if path and path[0] not in "/?#" else "") + path
        for scheme, host, path in addresses
    ]
    verdicts = judge_all(pa.chunked_array([pa.array(urls, pa.string())]), lists)
    assert verdicts == {
        row: verdict for row, url in enumerate(urls) if (verdict := judge(url, lists))
    }


LISTED = st.text(alphabet="abC.-", min_size=1, max_size=10)


@settings(deadline=None)
@given(st.lists(LISTED, max_size=8), st.booleans())
def test_lines_are_hashed_in_lower_case_without_comments(entries, backwards):
    """backwards: domains, without `*.` before and full stops behind."""
    lines = [f"  {entry}\t\n# {entry}\n\n" for entry in entries]
    data = np.frombuffer("".join(lines).encode() + b" ", np.uint8)
    hashes = np.zeros(4 * len(entries) + 4, np.uint64)
    count = hash_lines(data, backwards, hashes)
    bare = [re.sub(r"\.+$", "", entry) if backwards else entry for entry in entries]
    expected = [
        hash_of(np.frombuffer(entry.lower().encode(), np.uint8), backwards)
        for entry in bare
        if entry
    ]
    assert hashes[:count].tolist() == [int(value) for value in expected]


@settings(deadline=None)
@given(st.lists(st.integers(0, 2**64 - 1), max_size=20))
def test_a_map_has_the_bit_of_every_hash_and_no_other(values):
    bits = np.zeros(64, np.uint64)
    fill_map(np.array(values, np.uint64), bits)
    places = {(value >> 32) % (64 * 64) for value in values}
    found = {64 * row + bit for row in range(64) for bit in range(64) if int(bits[row]) >> bit & 1}
    assert found == places
