"""Which tags close which: the tables of nesting, on cases of the HTML standard."""

import pytest
from corpusmill.stages.extract.page.names import TAG_NAMES, UNKNOWN_TAG, tag_number
from corpusmill.stages.extract.page.nesting import CLOSE, GO_ON, IMPLIED_ENDS, REACH, STOP


@pytest.mark.parametrize(
    ("start", "open_tag", "what"),
    [
        ("p", "p", CLOSE),
        ("p", "b", GO_ON),
        ("p", "td", STOP),
        ("li", "li", CLOSE),
        ("li", "ul", STOP),
        ("li", "p", GO_ON),
        ("dt", "dd", CLOSE),
        ("tr", "td", GO_ON),
        ("tr", "tr", CLOSE),
        ("td", "th", CLOSE),
        ("tbody", "thead", CLOSE),
        ("option", "option", CLOSE),
        ("a", "a", CLOSE),
        ("h2", "h5", CLOSE),
        ("div", "div", STOP),
    ],
)
def test_a_start_tag_closes_open_tags(start, open_tag, what):
    assert IMPLIED_ENDS[tag_number(start), tag_number(open_tag)] == what


@pytest.mark.parametrize(
    ("end", "open_tag", "what"),
    [
        ("b", "p", STOP),
        ("b", "i", GO_ON),
        ("div", "p", GO_ON),
        ("div", "td", STOP),
        ("td", "tr", STOP),
        ("td", "p", GO_ON),
        ("table", "td", GO_ON),
        ("table", "table", CLOSE),
        ("li", "ul", STOP),
        ("h1", "h3", CLOSE),
    ],
)
def test_an_end_tag_reaches_only_so_far(end, open_tag, what):
    assert REACH[tag_number(end), tag_number(open_tag)] == what


def test_every_end_tag_closes_its_own():
    for name in TAG_NAMES:
        assert REACH[tag_number(name), tag_number(name)] == CLOSE
    assert REACH.shape == IMPLIED_ENDS.shape == (UNKNOWN_TAG + 1, UNKNOWN_TAG + 1)
