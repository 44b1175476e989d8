"""Lines of a page: what is wrapped, what keeps its form, and where it stands in the text."""

from corpusmill.stages.render.blocks import blocks
from corpusmill.stages.render.lines import page_text, wrapped
from hypothesis import given
from hypothesis import strategies as st


def measure(string, kind):
    """Ten pixels a letter, in every font."""
    return 10.0 * len(string)


def lines(text, width=200, start=0):
    return list(wrapped(text, start, width, measure))


def kinds(text):
    return [(block.kind, text[block.start : block.end].strip()) for block in blocks(text)]


def test_blocks_of_a_page():
    text = "# Title\n\nOne\ntwo.\n\n```py\nx = 1\n\n  y\n```\n| a | b |\n|---|---|\n| c | d |\n"
    assert kinds(text) == [
        ("heading", "# Title"),
        ("prose", "One\ntwo."),
        ("code", "x = 1"),
        ("code", "y"),
        ("table", "| a | b |"),
        ("table", "| c | d |"),
    ]


def test_source_code_without_a_fence_keeps_its_lines():
    text = "int main() {\n  return 0;\n}\n"
    assert [line.text for line in lines(text)] == ["int main() {", "  return 0;", "}"]
    assert page_text(lines(text)) == "int main() {\n  return 0;\n}"


def test_hard_wrapped_prose_is_no_code():
    text = "A paragraph of a text file (with brackets)\nthat goes on, and\nends here.\n"
    assert [block.kind for block in blocks(text)] == ["prose"]


def test_paragraphs_are_wrapped_and_read_as_one_line():
    text = "one two three four five six\n\nnext\n"
    assert [line.text for line in lines(text, 100)] == [
        "one two",
        "three four",
        "five six",
        "next",
    ]
    assert page_text(lines(text, 100)) == "one two three four five six\nnext"


def test_a_word_that_is_too_wide_is_cut_and_read_whole():
    assert [line.text for line in lines("abcdefghij kl", 40)] == ["abcd", "efgh", "ij", "kl"]
    assert page_text(lines("abcdefghij kl", 40)) == "abcdefghij kl"


def test_headings_lose_their_marks():
    assert [line.text for line in lines("## A heading\n")] == ["A heading"]


def test_a_page_goes_on_where_the_last_one_ended():
    text = "one two three four\n\nfive six\n"
    first = lines(text, 90)[0]
    assert first.text == "one two"
    rest = lines(text, 90, first.end)
    assert [line.text for line in rest] == ["three", "four", "five six"]
    assert not rest[0].first
    assert rest[2].first


TEXTS = st.text(st.sampled_from("ab# |-`~{};()\n\t é字"), max_size=200)


@given(TEXTS, st.integers(10, 300))
def test_lines_fit_stand_in_order_and_lose_no_letter(text, width):
    found = lines(text, width)
    at = 0
    for line in found:
        assert measure(line.text, line.kind) <= max(width, 10)
        assert line.start >= at
        assert line.end > line.start
        at = line.end
    shown = [letter for line in found for letter in line.text if letter.isalpha()]
    fences = [block for block in text.splitlines() if block.strip().startswith(("```", "~~~"))]
    if not fences:
        assert shown == [letter for letter in text if letter.isalpha()]


@given(TEXTS, st.integers(30, 300), st.integers(0, 200))
def test_any_line_can_begin_the_next_page(text, width, number):
    found = lines(text, width)
    if found:
        line = found[number % len(found)]
        rest = lines(text, width, line.end)
        letters = [letter for item in rest for letter in item.text if letter.isalpha()]
        later = [
            letter
            for item in found[number % len(found) + 1 :]
            for letter in item.text
            if letter.isalpha()
        ]
        assert letters == later
