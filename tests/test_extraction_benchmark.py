"""The structure score of `benchmarks/extraction.py`, on small pages whose right score is known."""

import pytest
from corpusmill.tools.gold_pages import Score

from benchmarks.extraction import SetScore, best_of_sets, figures, speeds
from benchmarks.extraction_gold import Gold, data_rows, gold_of, parsed
from benchmarks.extraction_pages import Marked
from benchmarks.extraction_peers import Page, marks_of_html
from benchmarks.extraction_structure import Best, in_order, scored, structure_scores
from benchmarks.extraction_views import Views

PAGE = r"""
<nav><ul><li>Home page of it<li>All of the news<li>How to reach us</ul></nav>
<main><h1>Sorting</h1>
<p>The river sorts its stones by weight, and a program sorts its numbers by size.</p>
<h2>Code</h2>
<table><tr><td class="gutter"><pre>1
2
3</pre></td><td class="code"><pre>def sort(x):
    if x:<br>        return min(x)
</pre></td></tr></table>
<table><tr><th></th><th>Time</th><th>Space</th></tr><tr><td rowspan="2">quick</td><td></td>
<td>n</td></tr><tr><td>5</td><td>6</td></tr></table>
<ul><li>It is a stable sort<ul><li>Most are</li></ul></li><li><p>It is fast too<br>Often</p></ul>
<p>Its cost is <math alttext="{\displaystyle n \log_2 n}"><mi>n</mi></math> or \(c_1 + n^2\) for the
lists that are sorted the other way round.</p>
</main>
<div style="display: none"><h2>Code</h2><pre>hidden</pre></div>
<p>Read what other people have to say about the stones that lie in the river.</p>
<h2>Comments</h2><ul><li>This is great stuff<li>Thanks for sharing it</ul>
"""
REFERENCE = """The river sorts its stones by weight, and a program sorts its numbers by size.
Code
def sort(x): if x: return min(x)
Time Space quick n 5 6
It is a stable sort
Most are
It is fast too
Often
Its cost is n or for the lists that are sorted the other way round."""
TEXT = r"""The river sorts its stones by weight, and a program sorts its numbers by size.

## Code

```
def sort(x):
    if x:
        return min(x)
```

 | Time | Space
quick | | n
 | 5 | 6

- It is a **stable** sort
  - Most are
- It is fast too
  Often

Its cost is $n \log_2 n$ or \(c_1 + n^2\) for the lists that are sorted the other way round."""


def gold(page=PAGE, views=(REFERENCE,), needed=1):
    return gold_of(parsed(page.encode()), Views(views, needed))


def test_the_structures_of_the_main_content_are_found():
    assert gold() == Gold(
        code=[["def sort(x):", "    if x:", "        return min(x)"]],
        tables=[[[(1, "time"), (2, "space")], [(0, "quick"), (2, "n")], [(1, "5"), (2, "6")]]],
        lists=["itisastablesort", "mostare", "itisfasttoo"],
        headings=["code"],
        formulas=[r"n\log_2n", "c_1+n^2"],
    )


def test_without_reference_two_views_must_agree_and_may_lose_what_lies_between_paragraphs():
    without_code = REFERENCE.replace("def sort(x): if x: return min(x)\n", "")
    assert gold(views=(without_code, without_code, ""), needed=2).code == gold().code
    assert gold(views=(without_code,)).code == []
    assert gold(views=(REFERENCE, "", ""), needed=2) == Gold()


def test_a_table_that_makes_a_layout_is_no_table_of_data():
    for table in (
        "<table role=presentation><tr><td>a<td>b<tr><td>c<td>d</table>",
        "<table><tr><td>a<td>b<tr><td>c<td><ul><li>d</ul></table>",
        f"<table><tr><td>a<td>b<tr><td>c<td>{'long ' * 50}</table>",
        "<table><tr><td>a<tr><td>b</table>",
    ):
        page = parsed(table.encode())
        assert page is not None
        assert data_rows(page.find(".//table")) == []


def test_a_faithful_text_has_every_piece():
    assert scored(gold(), TEXT) == dict.fromkeys(
        ("code", "tables", "lists", "headings", "formulas"), 1
    )


@pytest.mark.parametrize(
    ("kind", "before", "after"),
    [
        ("code", "```\n", "\n"),
        (
            "code",
            "def sort(x):\n    if x:\n        ",
            "    def sort(x):\n        if x:\n            ",
        ),
        ("code", "    if x:\n        return", "\tif x:\n\t\treturn"),
        (
            "tables",
            " | Time | Space\nquick | | n\n | 5",
            "|  | Time | Space |\n|---|---|---|\n| quick | | n\n| | 5",
        ),
        ("tables", " | ", "\t"),
        ("lists", "- It is fast", "2. It is fast"),
        ("lists", "- It is fast too\n  Often", "• It is fast too Often"),
        ("headings", "## Code", "#### **Code**"),
        ("formulas", r"$n \log_2 n$", r"\(n\log_2 n\)"),
    ],
)
def test_any_sensible_form_counts(kind, before, after):
    assert before in TEXT
    text = TEXT.replace(before, after)
    if after == "\t":
        text = text.replace("| | n", "\t\tn").replace("quick \t", "quick\t")
    assert scored(gold(), text)[kind] == 1


@pytest.mark.parametrize(
    ("kind", "before", "after", "share"),
    [
        ("code", "        return min(x)", "return min(x)", 2 / 3),
        ("code", "if x:\n        return", "if x: return", 1 / 3),
        ("code", "def sort(x):\n    if x:", "    if x:\ndef sort(x):", 2 / 3),
        ("tables", " | Time | Space", "Time | Space", 4 / 6),
        ("tables", "quick | | n", "quick\n\nn", 5 / 6),
        ("tables", "quick | | n", "quick | n", 5 / 6),
        ("lists", "- It is fast too", "It is fast too", 2 / 3),
        ("lists", "- Most are", "- Most aren't", 2 / 3),
        ("headings", "## Code", "Code", 0),
        ("formulas", r"\log_2 n", "log n", 1 / 2),
    ],
)
def test_a_piece_out_of_place_is_lost(kind, before, after, share):
    assert before in TEXT
    assert scored(gold(), TEXT.replace(before, after))[kind] == pytest.approx(share)


def test_the_heaviest_chain_in_order():
    assert in_order([{0: 1, 3: 1}, {1: 1}, {0: 1, 2: 1}], 4) == [0, 1, 2]
    assert in_order([{2: 3}, {0: 1}, {1: 1}], 3) == [2, -1, -1]
    assert in_order([{1: 1}, {1: 1}], 2).count(1) == 1
    assert in_order([{}], 0) == [-1]


def test_reduced_html_becomes_marks():
    text = "<h2>A &lt; b</h2>\n<ol>\n  <li>\n  <p>one</p></li></ol>\n<pre>x<br>  y</pre>"
    assert marks_of_html(text).split("\n")[:3] == ["## A < b", "", "  - one"]
    assert marks_of_html(text).endswith("x\n  y")


def test_the_best_setting_counts_for_each_kind_and_a_failure_is_an_empty_text():
    def failing(page):
        raise ValueError

    tools = {
        "one": {"a": lambda page: TEXT.replace("## Code", ""), "b": lambda page: "## Code"},
        "other": {"c": failing},
    }
    found = structure_scores([Marked("p", Page(PAGE.encode()), gold())], tools)
    assert found["one"]["headings"] == Best(1, "b")
    assert found["one"]["lists"] == Best(1, "a")
    assert found["one"]["all"].score == 1
    assert found["other"]["all"].score == 0


def test_the_best_setting_counts_for_each_set():
    good, bad = Score(0.9, 0.9, 0.9), Score(0.1, 0.2, 0.1)
    best = best_of_sets({"t": {"a": [good, bad], "b": [bad, good]}}, {"x": [0], "y": [1]})
    assert best == {"x": {"t": SetScore(good, "a")}, "y": {"t": SetScore(good, "b")}}
    found = figures(
        best, {"t": {"code": Best(0.5), "all": Best(0.25)}}, {"t": {"a": 2.0, "b": 1.0}}
    )
    assert found["f1.x.t"] == 0.9
    assert (found["structure.code.t"], found["structure.t"], found["pages_s.t"]) == (0.5, 0.25, 2)


def test_each_setting_has_a_speed():
    def slow(page):
        return str(sum(range(300_000)))

    found = speeds([Page(b"")] * 3, 3, {"t": {"slow": slow, "fast": str}, "other": {"fast": str}})
    assert found["t"]["fast"] > found["t"]["slow"] > 0
    assert set(found["other"]) == {"fast"}
