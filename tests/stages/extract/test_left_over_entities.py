"""Entities that a page left over, and entities that a text writes about."""

import pytest
from corpusmill.stages.extract.left_over_entities import are_left_over
from corpusmill.stages.extract.repair import Repair, repaired


@pytest.mark.parametrize(
    "text",
    [
        "it&#39;s",
        "caf&eacute; and &Eacute;cole",
        "She said: &quot;Come in.&quot;",
        "AT&amp;T and R&amp;D",
        "Tom &amp; Jerry went home.",
        "one&nbsp;two",
        "Home &raquo; News",
        "10&ndash;20 &deg;C, 5&deg;",
        "&copy; 2020 Acme",
        "a 400&percnt; rise",
        "see http://example.org/?a=1&amp;b=2",
        "The prisoner escaped. It&#39;s late &amp; cold.",
        "A legal entity of its own, and it&#39;s late.",
        "It was late; he escaped, and it&#39;s cold.",
        "He couldn&#39;t escape his own character.",
        "It&#39;s HTML, isn&#39;t it? I don&#39;t know.",
        "I don&#39;t, you don&#39;t, it&#39;s, they&#39;re, we&#39;ve. &nbsp; Next",
    ],
)
def test_a_damaged_text_is_repaired(text):
    assert are_left_over(text)


@pytest.mark.parametrize(
    "text",
    [
        "To print a space that does not break, write &nbsp; in the page.",
        "For the copyright sign write &copy; or &#169; there (HTML).",
        "The ampersand itself is written &amp; and a quotation mark is &quot; in an attribute.",
        "The sequence &amp;lt; shows as &lt; on the page.",
        "In a query string write a=1&amp;b=2, since &amp;copy; is a sign.",
        "Use `&amp;` here, or “&lt;” there.",
        "Write caf&eacute; with the entity &eacute; there.",
        "The character entity is caf&eacute; here.",
        "So caf&eacute; is escaped here.",
        "The entity &eacute;, the letter &ouml;.",
        "In HTML caf&eacute; shows as it should.",
        "if a < b: print('it&#39;s')",
        "AT&T; R&D &notanentity; &;",
        "",
    ],
)
def test_a_text_about_markup_stays_as_it_is(text):
    assert not are_left_over(text)
    assert repaired(text, Repair()) == text
