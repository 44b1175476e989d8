"""The report shows each column once, with thresholds of drops. It folds other columns away."""

import json
import re

import pytest
from corpusmill.manifests.looking.charts import line_chart
from corpusmill.manifests.looking.report import render
from corpusmill.pipeline.recipe import Recipe, Step
from corpusmill.pipeline.run import run_recipe
from corpusmill.pipeline.runner import InlineRunner


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    folder = tmp_path_factory.mktemp("report")
    texts = [
        f"{number} some words about the river and its towns " * number for number in range(1, 9)
    ]
    texts.insert(0, "A page about <script>alert('markup')</script> & more.")
    (folder / "in.jsonl").write_text("".join(json.dumps({"text": text}) + "\n" for text in texts))
    rule = {"name": "few_words", "statistic": "words", "comparison": "<", "threshold": 20}
    steps = (
        Step("extract", "extract"),
        Step("filter", "filter", (), {"families": [], "rules": [rule]}),
        Step("dedup", "dedup"),
    )
    run_recipe(
        Recipe("r", (str(folder / "in.jsonl"),), steps),
        str(folder / "out"),
        InlineRunner(),
        lambda *_: None,
    )
    return render(str(folder / "out"))


def captions(page):
    return re.findall(r"<figcaption>(\w+)", page)


def test_a_column_is_shown_once_at_the_stage_that_measured_it(page):
    assert len(captions(page)) == len(set(captions(page)))
    assert page.index("<h3>filter</h3>") < page.index("<figcaption>words")


def test_a_rules_threshold_stands_at_its_statistic_with_what_it_dropped(page):
    (figure,) = re.findall(
        r"(?s)<figure>((?:(?!<figure>).)*)<figcaption>words: dropped where &lt; 20</figcaption>",
        page,
    )
    assert "stroke-dasharray" in figure
    assert "var(--drop)" in figure


def test_what_is_seldom_asked_for_is_folded_away(page):
    shown, folded = page.split("<details>", 1)
    assert "words" in captions(shown)
    assert "tokens" in captions(folded.split("</details>")[0])


def test_what_a_page_says_is_text_and_no_markup(page):
    assert "&lt;script&gt;alert(&#39;markup&#39;)&lt;/script&gt; &amp; more." in page
    assert "<script" not in page


def test_the_funnel_has_a_row_and_a_bar_for_each_stage(page):
    assert re.findall(r"<tr><td>(\w+)</td><td>([\d,]+)</td><td>([\d,]+)</td>", page) == [
        ("extract", "9", "9"),
        ("filter", "9", "6"),
        ("dedup", "6", "6"),
    ]
    bars = page.split("<table>")[0]
    assert re.findall(r">(\w+)</text>\s*<rect", bars) == ["extract", "filter", "dedup"]


def test_a_line_chart_leaves_out_what_is_no_number():
    line = line_chart([(1, 4.0), (2, float("nan")), (3, 2.0)])
    assert line is not None
    assert (len(line.points), line.first, line.last, line.low, line.high) == (2, 1, 3, "2", "4")
    assert line_chart([]) is None
