"""Text repair: what is repaired, what is left, and that the filter before ftfy does not change the
result.
"""

import ftfy
import pytest
from corpusmill.stages.extract.left_over_entities import are_left_over
from corpusmill.stages.extract.repair import (
    Repair,
    by_ftfy,
    character_classes,
    repaired,
    repaired_page,
)
from corpusmill.stages.extract.stage import Extract
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tests.stages.extract.test_extract import outcome_of
from tests.stages.readers.warc_bytes import PROSE, answer, page

DEFAULTS = Repair()


@pytest.mark.parametrize(
    ("damaged", "mended"),
    [
        ("EspaÃ±ol", "Español"),
        ("itâ€™s the riverâ€\x9d", "it’s the river”"),
        ("voilÃ le travail", "voilà le travail"),
        ("РџСЂРёРІРµС‚", "Привет"),
        ("a 400&percnt; rise, it&#39;s", "a 400% rise, it's"),
        ("ﬂubberiﬁc", "flubberific"),
        ("gepru\u0308ft", "geprüft"),
        ("\ufffcword", "word"),
        ("ＬＯＵＤ，（音）", "ＬＯＵＤ，（音）"),
        ("“Curly” — it’s…", "“Curly” — it’s…"),
        ("10³ m²", "10³ m²"),
        ("if a < b: print('&amp;')", "if a < b: print('&amp;')"),
        ("AT&T; R&D", "AT&T; R&D"),
        ("L’œuvre, Ærø, Škoda, Łódź, Ünïcödé", "L’œuvre, Ærø, Škoda, Łódź, Ünïcödé"),
        ("Ελληνικά. Русский язык. 中文。日本語。", "Ελληνικά. Русский язык. 中文。日本語。"),
    ],
)
def test_damage_is_mended_and_good_typography_stays(damaged, mended):
    text = f"A first line.\n{damaged}\nA last line."
    assert repaired(text, DEFAULTS) == f"A first line.\n{mended}\nA last line."


@pytest.mark.parametrize(
    ("choice", "text", "result"),
    [
        (Repair(on=False), "EspaÃ±ol", "EspaÃ±ol"),
        (Repair(entities=False), "&amp; EspaÃ±ol", "&amp; Español"),
        (Repair(ligatures=False), "ﬁne", "ﬁne"),
        (Repair(straight_quotes=True), "“it’s”", '"it\'s"'),
        (Repair(narrow=True), "ＬＯＵＤ", "LOUD"),
        (Repair(normalization="NFKC"), "10³", "103"),
        (Repair(normalization=None), "u\u0308", "u\u0308"),
    ],
)
def test_each_choice_is_a_setting(choice, text, result):
    assert repaired(text, choice) == result


SUSPECTS = [
    chr(point)
    for point in range(0x20000)
    if character_classes(DEFAULTS)[point] and not 0xD800 <= point < 0xE000
]
ALPHABET = (
    st.sampled_from(SUSPECTS)
    | st.sampled_from(list("aA z.\n1&;"))
    | st.characters(exclude_categories=["Cs"])
)
CHOICES = st.builds(
    Repair,
    entities=st.booleans(),
    ligatures=st.booleans(),
    straight_quotes=st.booleans(),
    narrow=st.booleans(),
    normalization=st.sampled_from(["NFC", "NFKC", None]),
)
MOJIBAKE = st.text(max_size=8).flatmap(
    lambda text: st.sampled_from(
        [
            text.encode("utf-8", "replace").decode(codec, "replace")
            for codec in (
                "latin-1",
                "sloppy-windows-1252",
                "sloppy-windows-1251",
                "macroman",
                "cp437",
            )
        ]
    )
)


@settings(max_examples=400, deadline=None)
@given(
    st.lists(
        st.text(ALPHABET, max_size=10)
        | MOJIBAKE
        | st.sampled_from(["Ã ", "œ", "ГўВЂВ™s", "&lt;", "<"]),
        max_size=6,
    ).map("".join),
    CHOICES,
)
@example("ØªØ", DEFAULTS)
@example("В°Р", DEFAULTS)
def test_the_gate_gives_what_ftfy_alone_gives(text, choice):
    assert repaired(text, choice) == by_ftfy(text, choice, choice.entities and are_left_over(text))


@settings(deadline=None)
@given(st.text(ALPHABET, max_size=30))
def test_repairing_again_changes_nothing(text):
    once = repaired(text, DEFAULTS)
    assert repaired(once, DEFAULTS) == once


def test_a_text_of_more_damaged_lines_than_the_kernel_reports_is_mended_to_its_end():
    text = "EspaÃ±ol\n\n" * 5000
    assert repaired(text, DEFAULTS) == "Español\n\n" * 5000


def test_a_page_that_was_encoded_twice_is_mended_before_extraction_drops_its_control_characters(
    tmp_path,
):
    body = page(f"{PROSE} it’s “quoted”, naïve").decode().encode().decode("latin-1").encode()
    assert b"\xc2\x80" in body
    (row,) = outcome_of(tmp_path, answer(body)).kept.to_pylist()
    assert row["text"].endswith("it’s “quoted”, naïve")
    (raw,) = outcome_of(
        tmp_path, answer(body), settings=Extract(repair=Repair(on=False))
    ).kept.to_pylist()
    assert "it’s" not in raw["text"]


def test_a_page_without_control_characters_is_left_to_the_repair_of_its_text():
    assert repaired_page("<p>EspaÃ±ol</p>", DEFAULTS) == "<p>EspaÃ±ol</p>"


def test_texts_that_no_page_held_are_mended_too():
    from tests.stages.extract.test_extract import of_rows

    assert of_rows({"text": PROSE + "EspaÃ±ol"}).kept["text"].to_pylist() == [PROSE + "Español"]


def test_the_version_of_the_repairer_decides_the_output():
    assert f"ftfy {ftfy.__version__}" in Extract().depends_on()
    assert "ftfy" not in Extract(repair=Repair(on=False)).depends_on()
