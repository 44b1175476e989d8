"""The page says what the run's files say, as text, and nothing on it comes from elsewhere."""

import base64
import hashlib
import re

import pytest
from corpusmill.manifests.errors import InputError
from corpusmill.report.page import render, write_report

from tests.report.small_run import make_run


@pytest.fixture(scope="module")
def output(tmp_path_factory):
    return make_run(tmp_path_factory.mktemp("report"))


@pytest.fixture(scope="module")
def page(output):
    return render(output)


def section(page, name):
    return page.split(f'<section id="{name}">')[1].split("</section>")[0]


def cards(page):
    return dict(re.findall(r"<dt>([^<]+)</dt><dd><strong>([^<]+)</strong>", page))


def test_the_top_says_what_came_in_and_what_is_left(page):
    assert "Of 10 documents, 6 (60 %) passed extract, filter and dedup." in page
    assert cards(page)["documents in"] == "10"
    assert cards(page)["documents out"] == "6"
    assert "cost" not in cards(page)


def test_a_price_gives_a_cost(output):
    seconds = cards(render(output, price_per_hour=3.6e6))
    assert float(seconds["cost"].replace(",", "")) > 0


def test_the_funnel_names_each_step_and_each_reason(page):
    words = re.findall(r"<text[^>]*>([^<]+)</text>", section(page, "funnel"))
    assert words[: words.index("kept")].count("extract") == 1
    for expected in ("extract", "filter", "dedup", "recipe.few_words 3", "dedup.exact 1"):
        assert expected in words


def test_the_table_has_a_row_for_each_stage(page):
    rows = re.findall(
        r'<th scope="row" class="name">(\w+).*?data-value="(\d+)".*?data-value="(\d+)"',
        section(page, "stages"),
        re.DOTALL,
    )
    assert rows == [("extract", "10", "10"), ("filter", "10", "7"), ("dedup", "7", "6")]


def test_sites_have_their_keep_rates(page):
    found = re.findall(
        r'class="name">(site\d\.example).*?<td data-label="keep rate" data-value="([\d.]+)"',
        section(page, "sites"),
        re.DOTALL,
    )
    assert {name: float(rate) for name, rate in found} == {
        "site0.example": 2 / 3,
        "site1.example": 2 / 3,
        "site2.example": 2 / 4,
    }


def test_a_rules_threshold_stands_at_its_statistic(page):
    (figure,) = re.findall(
        r"<figure>((?:(?!<figure>).)*)<figcaption>words: dropped where &lt; 20</figcaption>",
        section(page, "measured"),
        re.DOTALL,
    )
    assert "threshold 20" in figure
    assert "bar drop" in figure


def test_a_column_is_shown_once_and_seldom_asked_ones_are_folded_away(page):
    captions = re.findall(r"<figcaption>(\w+)", section(page, "measured"))
    assert len(captions) == len(set(captions))
    shown, folded = section(page, "measured").split("<details>", 1)
    assert "<figcaption>words" in shown
    assert "<figcaption>characters" not in folded


def test_what_documents_say_is_text_and_no_markup(page):
    assert "&lt;script&gt;alert(&#39;markup&#39;)&lt;/script&gt; &amp; more." in page
    assert page.count("<script") == 1


def test_only_the_pages_own_script_may_run_and_nothing_is_loaded(page):
    script = page.split("<script>")[1].split("</script>")[0]
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    assert f"default-src 'none'; style-src 'unsafe-inline'; script-src 'sha256-{digest}'" in page
    assert not re.findall(r'(?:src|href)="(?!#)', page)
    assert "url(" not in page


def test_the_settings_and_the_lineage_are_there(page):
    found = section(page, "provenance")
    assert "extract.min_text_chars: 0" in found
    assert re.findall(r'class="strong">(\w+)</text>', found.split("narrow")[0]) != []


def test_a_folder_without_a_stage_is_refused(tmp_path):
    with pytest.raises(InputError, match="holds no finished stage"):
        write_report(str(tmp_path))
    assert not list(tmp_path.iterdir())
