"""The default extractor: what it keeps, what it writes, and that no page can hurt it."""

import time

import numpy as np
import pytest
from corpusmill.stages.extract import main_content
from corpusmill.stages.extract.main_content import (
    TooManyBlocks,
    best_set,
    blocks_of,
    chosen,
    features_of,
    forest,
)
from corpusmill.stages.extract.page import page as html_page
from corpusmill.stages.extract.page.block_text import MEASURES
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.stages.readers.warc_bytes import PROSE

MENU = "".join(
    f"<li><a href=/{word}>{word}</a></li>"
    for word in ("Home", "News", "Shop", "Contact", "Careers", "Sitemap")
)
TEASERS = "".join(
    f"<div class=card><a href=/{n}><h3>Ten odd things</h3><p>Read more</p></a></div>"
    for n in range(9)
)


def page(body):
    return (
        f"<html><head><title>The "
        f"flood</title></head><body><nav><ul>{MENU}</ul></nav><main><article><h1>The "
        f"flood</h1>{body}"
        f"<p>{PROSE}</p></article></main><aside class=related>{TEASERS}</aside><footer><p>© 2024 "
        f"Example Media. All rights reserved.</p>"
        f"<ul>{MENU}</ul></footer></body></html>"
    )


def extracted(body, language="en"):
    return main_content.main_content(page(body), lambda _text: language)


def test_the_article_stays_and_the_furniture_goes():
    text = extracted(f"<p>{PROSE}</p><p>{PROSE}</p>")
    assert text.count("The river had risen") == 3
    for furniture in ("Sitemap", "Read more", "All rights reserved"):
        assert furniture not in text


@pytest.mark.parametrize(
    ("between", "kept"),
    [
        ('<pre id="path">echo $PATH</pre>', ["echo $PATH"]),
        ('<dl><dt id="os.path.join">os.path.join(a, b)<dd>Join.</dl>', ["os.path.join(a, b)"]),
        (
            '<table id="path-parameters"><tr><th>name<th>type<tr><td>city<td>string</table>',
            ["name", "type", "city", "string"],
        ),
        (
            '<div class="has-breadcrumb"><p>For example:</p><pre>make install</pre></div>',
            ["For example:", "make install"],
        ),
    ],
)
def test_a_name_like_those_of_breadcrumbs_takes_no_content(between, kept):
    text = extracted(f"<p>{PROSE}</p>{between}<p>{PROSE}</p>")
    for words in kept:
        assert words in text


def test_lists_tables_and_code_come_out_as_markdown():
    text = extracted(
        f"<p>{PROSE}</p><h2>What to do</h2><p>{PROSE}</p><ul><li>Move the sheep to the upper "
        f"field before noon.</li>"
        "<li>Close the gates of the lower meadow, and mark them.</li></ul>"
        f"<p>{PROSE}</p><table><tr><th>Year</th><th>Level</th></tr><tr><td>1954</td><td>8.1 "
        f"metres above the mark</td></tr></table>"
        f"<p>{PROSE}</p><pre>def level(year):\n    if year:\n\n\n        return 8\n"
        f"</pre><p>{PROSE}</p>"
    )
    assert "\n\n## What to do\n\n" in text
    assert "- Move the sheep to the upper field before noon.\n- Close the gates" in text
    assert "Year | Level\n1954 | 8.1 metres above the mark" in text
    assert "```\ndef level(year):\n    if year:\n\n\n        return 8\n```" in text


def test_a_page_in_a_language_without_spaces_or_stop_words_is_extracted():
    japanese = (
        "夜のあいだに川が増水し、朝には下の畑が水につかっていた。"
        "人々は橋まで歩いて行って川を眺め、昔の洪水の話をした。"
    )
    html = (
        f"<html><body><nav><ul>{MENU}</ul></nav><article><h1>洪水</h1>"
        f"<p>{japanese}</p><p>{japanese * 2}</p></article></body></html>"
    )
    text = main_content.main_content(html, lambda _text: "ja")
    assert text.count("夜のあいだに") == 3
    assert "Sitemap" not in text


def asked_about(prose):
    """The texts for which the language was asked."""
    asked = []

    def language_of(text):
        asked.append(text)
        return "de"

    main_content.main_content(page(f"<p>{prose}</p>" * 3).replace(PROSE, prose), language_of)
    return asked


def test_the_language_is_asked_once_and_from_running_text():
    (sample,) = asked_about(
        "Der Fluss war in der Nacht gestiegen, und am Morgen standen die unteren Felder unter "
        "Wasser. " * 3
    )
    assert sample.startswith("Der Fluss war in der Nacht")
    assert len(sample.encode()) <= 2 * main_content.LANGUAGE_SAMPLE


def test_a_page_that_is_surely_english_is_not_asked_about():
    assert asked_about(PROSE) == []


def test_the_title_of_the_page_is_no_text_of_it():
    blocks = blocks_of("<title>A page about a flood</title><p>Words.</p>")
    assert chosen(blocks, features_of(blocks, "en"), forest()).tolist() == [False, True]


def test_every_feature_has_a_name():
    blocks = blocks_of(page("<p>x</p>"))
    assert features_of(blocks, "en").shape == (len(blocks.blocks), len(main_content.FEATURES))
    assert len(set(main_content.FEATURES) - set(MEASURES)) > 100


def test_the_chosen_set_has_the_best_expected_f1_of_all_sets():
    scores, words = np.array([0.9, 0.1, 0.6, 0.4, 0.05]), np.array([10.0, 50.0, 5.0, 20.0, 1.0])
    total = (scores * words).sum()

    def expected_f1(subset):
        return 2 * (scores * words)[subset].sum() / (words[subset].sum() + total)

    subsets = [
        np.array([number >> place & 1 for place in range(5)], bool) for number in range(1, 32)
    ]
    best = max(subsets, key=expected_f1)
    assert best_set(scores.astype(np.float32), words).tolist() == best.tolist()


def test_nothing_is_chosen_where_there_are_no_words():
    assert not best_set(np.array([0.5, 0.9], np.float32), np.zeros(2)).any()


HOSTILE = {
    "deep": "<div>" * 100_000 + "deep down",
    "deep and closed": "<div>" * 100_000 + "deep down" + "</div>" * 100_000 + "<p>after",
    "tables in tables": "<table><tr><td>" * 1_000 + "cell",
    "attributes": "<p " + " ".join(f"a{n}=b" for n in range(200_000)) + ">text",
    "one attribute": "<p class='" + "post " * 200_000 + "'>text",
    "unclosed quote": "<p class='" + "x" * 1_000_000,
    "unclosed tag": "<p " * 300_000,
    "unclosed comments": "<!--" * 250_000,
    "unclosed scripts": "<script>" * 100_000 + "</scrip" * 100_000,
    "pre": "<pre>" * 50_000 + "\n" * 100_000 + "<br>" * 50_000,
    "links": "<a href=x>" * 100_000 + "x</a>" * 100_000,
    "ends": "</div></p></a></td></li>" * 50_000,
    "lists": "<ul><li>" * 100_000 + "item",
    "misnested": "<b><p><i><table><tr></b><td></p>" * 30_000 + "x",
    "references": "&" * 300_000
    + "&amp" * 100_000
    + "&#99999999999999999999;" * 10_000
    + "&notanentity" * 50_000,
    "nul": "\0<p>\0" * 200_000,
    "math": "<math alttext='x'>" * 30_000 + "<annotation encoding=tex>" * 30_000,
    "maths": "<math><mi>x</mi><annotation encoding=tex>y</math>" * 20_000,
    "formulas": "<img class=latex alt='" + "$" * 1_000 + "'>" * 20_000,
    "titles": "<title>" * 100_000,
    "svg": "<svg><title>" * 50_000 + "</svg>" * 50_000,
    "brackets": "<" * 1_000_000,
    "long name": "<" + "a" * 1_000_000 + ">",
}


@pytest.mark.parametrize("kind", HOSTILE)
def test_a_hostile_page_is_extracted_in_two_seconds(kind):
    main_content.main_content("<p>warm", lambda _text: "en")
    started = time.process_time()
    main_content.main_content(HOSTILE[kind], lambda _text: "en")
    assert time.process_time() - started < 2


def test_time_grows_with_the_length_of_one_line_and_not_faster():
    def seconds(length):
        html = "<p>" + PROSE * (length // len(PROSE))
        started = time.process_time()
        main_content.main_content(html, lambda _text: "en")
        return time.process_time() - started

    seconds(1000)
    short, long = (min(seconds(length) for _ in range(3)) for length in (1_000_000, 8_000_000))
    assert long < 12 * max(short, 0.01)


def test_a_page_of_more_blocks_than_there_is_room_for_is_refused(monkeypatch):
    monkeypatch.setattr(html_page, "MAX_BLOCKS", 50)
    with pytest.raises(TooManyBlocks, match="50 blocks"):
        blocks_of("<p>x" * 60)
    assert len(blocks_of("<p>x" * 40).blocks) == 40


PIECES = st.sampled_from(
    [
        *(
            "<",
            ">",
            "</",
            "<!--",
            "-->",
            "<![CDATA[",
            "&amp;",
            "&#x",
            "&lt",
            "\0",
            "\n",
            " ",
            "'",
            '"',
            "=",
            "/",
            "é",
            "東京",
            "\u2028",
        ),
        *(
            "<p>",
            "</p>",
            "<div class='a post'>",
            "</div>",
            "<li>",
            "<ul>",
            "<ol>",
            "</ol>",
            "<table>",
            "<tr>",
            "<td>",
            "</table>",
        ),
        *(
            "<pre>",
            "</pre>",
            "<br>",
            "<script>",
            "</script>",
            "<script type=math/tex>",
            "<title>",
            "</title>",
            "<a href=x>",
            "</a>",
        ),
        *(
            "<math>",
            "<annotation encoding='application/x-tex'>",
            "</annotation>",
            "</math>",
            "<svg>",
            "<path/>",
            "</svg>",
        ),
        *(
            "<h1>",
            "</h2>",
            "<select>",
            "<option>",
            "words of a sentence",
            "x",
            "<b>",
            "</b>",
            "<img class=latex alt='x^2'>",
            "<span hidden>",
        ),
    ]
)


@settings(max_examples=150, deadline=None)
@given(st.lists(PIECES, max_size=60).map("".join))
def test_any_sequence_of_pieces_gives_text_that_utf8_can_hold(html):
    text = main_content.main_content(html, lambda _text: "en")
    assert text.encode().decode() == text
    assert "\0" not in text
    assert text == main_content.main_content(html, lambda _text: "en")


def test_a_paragraph_of_invisible_characters_is_no_paragraph():
    text = main_content.main_content(
        page(f"<p>{PROSE}</p><p>\u200d</p><p>&zwnj; &shy;</p><p>{PROSE}</p>"), lambda _text: "en"
    )
    assert "\u200d" not in text
    assert "\n\n\n" not in text
