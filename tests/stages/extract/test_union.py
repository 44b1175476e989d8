"""The union of extractors: what another one adds goes in once, and in its place."""

from corpusmill.stages.extract.html import main_text
from corpusmill.stages.extract.union import merged

RIVER = "The river had risen during the night and the lower fields were under water."
BRIDGE = "People walked up to the bridge to look at it, and talked about other years."
SHEEP = "A farmer who has lived there for sixty years moved his sheep."


def test_a_paragraph_that_is_there_is_not_added_again():
    assert merged([RIVER, BRIDGE], [BRIDGE.upper(), f"- {RIVER}"]) == [RIVER, BRIDGE]


def test_a_paragraph_is_added_behind_the_one_that_precedes_it():
    assert merged([RIVER, SHEEP], [RIVER, BRIDGE, SHEEP]) == [RIVER, BRIDGE, SHEEP]
    assert merged([RIVER, SHEEP], [BRIDGE, RIVER]) == [BRIDGE, RIVER, SHEEP]


def test_a_part_of_a_paragraph_is_there_already():
    assert merged([f"{RIVER} {BRIDGE}"], [BRIDGE]) == [f"{RIVER} {BRIDGE}"]


def test_what_another_extractor_repeats_is_added_once():
    assert merged([RIVER], [SHEEP, SHEEP]) == [SHEEP, RIVER]


def test_nothing_and_something_is_something():
    assert merged([], ["", RIVER, " "]) == [RIVER]
    assert merged([""], []) == []


def test_the_union_of_a_page_holds_what_each_of_its_extractors_finds():
    comments = "".join(
        f"<li class=comment><p>{text}</p></li>"
        for text in (SHEEP, BRIDGE, "We saw it too, at ten.")
    )
    page = (
        f"<html><body><article><h1>Flood</h1><p>{RIVER * 3}</p></article><ul "
        f"class=comments>{comments}</ul></body></html>"
    )
    union = main_text(page, "union", lambda _text: "en")
    for extractor in ("main_content", "justext", "resiliparse"):
        for line in filter(None, main_text(page, extractor, lambda _text: "en").split("\n")):
            assert line.strip("# -•") in union
