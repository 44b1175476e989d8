"""The line edits of C4 and RefinedWeb: which lines go, and that the rest of a text stays as
it was.
"""

import numpy as np
import pyarrow as pa
import pytest
from corpusmill.stages.columns.cuts import restore
from corpusmill.stages.filter.line_edits import LineEdits
from corpusmill.stages.filter.measuring import measure
from hypothesis import given, settings
from hypothesis import strategies as st

STAY = "This line stays."


def edit(texts, edits=None, refinedweb=False):
    found = measure(texts, edits, refinedweb)
    return found.texts, found.measured["removed_lines"]


def edited(text, **settings_):
    texts, removed = edit(pa.chunked_array([[text]]), LineEdits(**settings_))
    return texts.to_pylist()[0], int(removed[0])


@pytest.mark.parametrize(
    "line",
    [
        "two words",
        "Please enable JavaScript to go on.",
        "Read our Privacy Policy before you go.",
        "By going on you accept our Terms of Use here.",
        "This site uses cookies to serve you.",
        "See the cookie policy of this site.",
        "We speak of the use of cookies here.",
        "We use cookies on this site.",
        "a long " + "x" * 1001 + " word",
        "[1] [2] [edit]",
    ],
)
def test_page_furniture_goes(line):
    assert edited(f"{STAY}\n{line}\n{STAY}") == (f"{STAY}\n{STAY}", 1)


@pytest.mark.parametrize(
    "line",
    [
        "three words only",
        "Java script is two words.",
        "The policy on privacy changed.",
        "a long " + "x" * 1000 + " word",
        "日本語 の 文",
        "   an indented line stays indented",
    ],
)
def test_other_lines_stay_as_they_are(line):
    assert edited(f"{STAY}\n{line}\n{STAY}") == (f"{STAY}\n{line}\n{STAY}", 0)


@pytest.mark.parametrize(
    ("setting", "line"),
    [
        ({"minimum_words": 0}, "short"),
        ({"javascript": False}, "Turn on JavaScript please."),
        ({"policy": False}, "We use cookies on this site."),
        ({"longest_word": 0}, "a long " + "x" * 1001 + " word"),
        ({"javascript": False, "policy": False}, "JavaScript here uses cookies."),
    ],
)
def test_each_edit_can_be_switched_off(setting, line):
    assert edited(line) == ("", 1)
    assert edited(line, **setting) == (line, 0)


@pytest.mark.parametrize(
    ("line", "stays"),
    [
        ("It ends with a stop.", True),
        ("Does it end well?", True),
        ('He said it "well"', True),
        ("It ends with a stop.[12]", True),
        ("これ は 文 です。", False),
        ("It trails off here...", False),
        ("A heading without a stop", False),
    ],
)
def test_terminal_punctuation_is_asked_for_only_when_switched_on(line, stays):
    assert edited(line) == (line.replace("[12]", ""), 0)
    assert edited(line, terminal_punctuation=True)[1] == (0 if stays else 1)


def test_citation_marks_leave_the_line():
    assert edited("A fact[12] and another[] one[citation needed] stand[edit] here.") == (
        "A fact and another one stand here.",
        0,
    )
    assert (
        edited("An array a[i] and a list [1, 2] stay.")[0]
        == "An array a[i] and a list [1, 2] stay."
    )
    assert edited("A fact[12] stays so.", citations=False)[0] == "A fact[12] stays so."


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (f"{STAY}\n\n{STAY}", f"{STAY}\n\n{STAY}"),
        (f"{STAY}\n\nmenu\n\n{STAY}", f"{STAY}\n\n{STAY}"),
        (f"menu\n\n{STAY}", STAY),
        (f"{STAY}\n\nmenu\n", STAY),
        (f"{STAY}\nmenu", STAY),
        (f"{STAY}\n\n\n{STAY}\n", f"{STAY}\n\n\n{STAY}\n"),
        ("menu\nhome", ""),
    ],
)
def test_paragraphs_survive_and_no_hole_is_left_where_lines_went(before, after):
    assert edited(before)[0] == after


def test_null_and_empty_texts_stay_empty():
    texts, removed = edit(pa.chunked_array([[None, "", STAY]]), LineEdits())
    assert (texts.to_pylist(), removed.tolist()) == (["", "", STAY], [0, 0, 0])


def test_texts_of_a_batch_do_not_touch_each_other():
    batch = [f"{STAY}\nmenu", STAY, "menu", f"menu\n{STAY}"]
    texts, removed = edit(pa.chunked_array([["left out", *batch], batch]).slice(1), LineEdits())
    assert texts.to_pylist() == [STAY, STAY, "", STAY] * 2
    assert removed.tolist() == [1, 0, 1, 1] * 2


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("HOME PRODUCTS About US NOW", "uppercase"),
        ("2024", "numeric"),
        ("3 likes", "counter"),
        ("> 1,2K comments!", "counter"),
        ("Menu", "single_word"),
        ("Items in cart", "emptied"),
        ("read more...", "emptied"),
        ("Sign-in now", ""),
        ("The USA and the UK", ""),
        ("3 likes each", ""),
        ("in 2024", ""),
    ],
)
def test_refinedweb_takes_furniture_out_and_says_why(line, reason):
    found = measure(pa.chunked_array([[f"{STAY}\n{line}\n{STAY}"]]), refinedweb=True)
    removed = {
        name.removeprefix("removed_")
        for name, values in found.measured.items()
        if name.startswith("removed_") and values[0]
    }
    assert removed - {"lines", "part_ratio"} == ({reason} if reason else set())


@pytest.mark.parametrize(
    ("line", "left"),
    [
        ("You have 3 items in cart today", "You have 3 today"),
        ("The river rises. Read more...", "The river rises."),
        ("sign-in to your account", "to your account"),
        ("We sign-in here", "We sign-in here"),
        ("Read more... of it here", "Read more... of it here"),
        (
            "a line of more than ten words keeps its items in cart",
            "a line of more than ten words keeps its items in cart",
        ),
    ],
)
def test_refinedweb_takes_calls_to_act_out_of_short_lines(line, left):
    texts, _ = edit(pa.chunked_array([[line]]), refinedweb=True)
    assert texts.to_pylist() == [left]


def test_the_share_of_removed_words_is_measured():
    found = measure(pa.chunked_array([["Menu\n3 likes\nfive words of a line"]]), refinedweb=True)
    assert found.measured["removed_part_ratio"][0] == np.float32(3 / 8)


def test_texts_that_are_spared_stay_as_they_are():
    found = measure(
        pa.chunked_array([["menu", "menu"]]), LineEdits(), unedited=np.array([True, False])
    )
    assert found.texts.to_pylist() == ["menu", ""]


# Lines that stay are longer than verse.
LONG = "This line stays, since it has more words than three, and it is longer than a verse."
LINES = [
    "menu",
    LONG,
    LONG.replace("This line stays", "These three words"),
    "",
    "  ",
    LONG.replace("words", "cookies, since we use cookies,"),
    LONG.replace("line", "naïve 日本 e\u0301 😀"),
    "[1]",
    LONG.replace("words", "words[2]"),
]


@settings(max_examples=200, deadline=None)
@given(st.lists(st.sampled_from(LINES), max_size=12))
def test_what_stays_are_lines_of_the_text_in_order_and_editing_again_changes_nothing(lines):
    text, removed = edited("\n".join(lines), citations=False)
    kept = [line for line in text.split("\n") if line.strip()]
    expected = [line for line in lines if len(line.split()) >= 3 and "cookies" not in line]
    assert kept == expected
    assert removed == sum(bool(line.strip()) for line in lines) - len(expected)
    assert edited(text, citations=False) == (text, 0)


@pytest.mark.parametrize(
    ("line", "stays"),
    [
        ("He stood.", True),
        ("For example:", True),
        ("“Why?”", True),
        ("Dear all,", True),
        ("Menu", False),
        ("Tags: art", False),
    ],
)
def test_short_sentences_can_be_spared(line, stays):
    assert edited(f"{STAY}\n{line}") == (STAY, 1)
    kept = edited(f"{STAY}\n{line}", short_sentences=False)
    assert kept == ((f"{STAY}\n{line}", 0) if stays else (STAY, 1))


def test_long_lines_that_speak_of_javascript_can_be_spared():
    essay = "We wrote it in JavaScript, since everyone who came here knew it, and we use cookies."
    assert edited(f"{STAY}\n{essay}") == (STAY, 1)
    assert edited(f"{STAY}\n{essay}", longest_notice=10) == (f"{STAY}\n{essay}", 0)
    assert edited(f"{STAY}\nPlease enable JavaScript.", longest_notice=10) == (STAY, 1)


@pytest.mark.parametrize(
    ("line", "stays"),
    [
        ("JavaScript is a programming language that Brendan Eich made in 1995.", True),
        ("Please enable JavaScript to go on.", False),
        ("Your browser has JavaScript switched off.", False),
        ("This page requires JavaScript.", False),
        ("JavaScript is disabled here.", False),
        ("It does not work without JavaScript.", False),
        ("In 2009 it turned into JavaScript everywhere.", True),
        ("We use cookies and JavaScript.", True),
        ("We use cookies on this site.", False),
    ],
)
def test_short_lines_about_javascript_can_be_spared_unless_they_are_notices(line, stays):
    assert edited(f"{STAY}\n{line}") == (STAY, 1)
    kept = edited(f"{STAY}\n{line}", longest_notice=30)
    assert kept == ((f"{STAY}\n{line}", 0) if stays else (STAY, 1))


@pytest.mark.parametrize(
    ("line", "after"),
    [
        ("A fact[12] and one[1]; then[3], so[citation needed].", "A fact and one; then, so."),
        ("He was born here.[1][23] And he[edit] died.", "He was born here. And he died."),
        ("x[0] = y[1]", "x[0] = y[1]"),
        ("An empty list [] and the year[1998] stay.", "An empty list [] and the year[1998] stay."),
        ("Element a[0] is the first, b[01] is none.", "Element a[0] is the first, b[01] is none."),
        ("run f[1](x) then g([2]) here", "run f[1](x) then g([2]) here"),
        ("return the item a[1];", "return the item a[1];"),
        ("take the rows[1].name of it", "take the rows[1].name of it"),
    ],
)
def test_brackets_of_code_can_be_spared(line, after):
    assert edited(line, brackets_in_code=False)[0] == after
    assert "[1]" not in edited(line)[0]


CODE = "```python\ndef f(x):\n    return {x}\n\n}\n# we use cookies\n```"
TABLE = "Town | Mills\n--- | ---\nMill | | 41\nJavaScript | 2 | uses cookies"
FORMULA = "$$\nx^2\n$$"
LIST = "- one\n  goes on\n- two [3]\n1. x\n2) y z"
HEADING = "## Cookie policy"
VERSE = "O Captain! My Captain!\nour fearful trip is done,\nThe ship has weather'd\nevery rack"
STANZAS = "so much depends\nupon\n\na red wheel\nbarrow\n\nglazed with rain\nwater"
PROGRAM = "for each in names:\n    print(each)\n\n    done()\n}"
SHEET = "Onions\t1\t3\nCelery\t80g\t160g\nSalt"


@pytest.mark.parametrize(
    "structure", [CODE, TABLE, FORMULA, LIST, HEADING, VERSE, STANZAS, PROGRAM, SHEET]
)
@pytest.mark.parametrize("apart", [False, True])
@pytest.mark.parametrize("refinedweb", [False, True])
def test_no_edit_touches_a_structure(structure, apart, refinedweb):
    before = f"menu\n\n{STAY}\n\n{structure}\n\nmenu\n\n{STAY}[12]\n\n{structure}\n\nmenu"
    found = measure(
        pa.chunked_array([[before]]), LineEdits(terminal_punctuation=True), refinedweb, apart=apart
    )
    after = f"{STAY}\n\n{structure}\n\n{STAY}\n\n{structure}"
    assert found.texts.to_pylist() == [after]
    assert restore(after, found.cuts[0].as_py()) == before


@pytest.mark.parametrize(
    ("lines", "left"),
    [
        ("Home\nAbout us\nPress room\nContact", ""),  # a menu
        ("# \n-\n1.\n```", "\n\n```"),  # nothing behind the marks, and no closing fence
        ("|", ""),
        ("a |", ""),  # one row is no table
        ("$5 $6", ""),
    ],
)
def test_what_only_looks_like_a_structure_is_no_structure(lines, left):
    removed = len(lines.split("\n")) - bool(left)
    assert edited(f"{STAY}\n\n{lines}") == (STAY + left, removed)


@pytest.mark.parametrize(
    "lines",
    [
        "• one\n◦ two\n▪ three\n● four",
        "– x\n– y",
        "a) one\nb) two",
        "(iv) x",
        "(1) x\n(2) y",
        "i. one\nii. two",
        "A. x",
        "1000. item",
        "\\begin{equation}\na\n= b\n\\end{equation}",
        "\\begin{align*}\nx\n\ny\n\\end{align*}",
        "\\begin{quote}\nAy\n\nNo\n\\end{quote}",
        "\\begin{table}\nnot closed\ny",
        "so that\n\\begin{equation}\na\n\\end{equation}\nwhere",
        "so that\n$$\na\n$$\nwhere",
        "so that\n\\[\na\n\\]\nwhere",
        "Heading\n=======",
        "Heading\n---",
        "```\nnot closed\n\nx = 1\n\ny",
    ],
)
@pytest.mark.parametrize("apart", [False, True])
def test_no_edit_touches_marks_of_other_kinds(lines, apart):
    before = f"menu\n\n{STAY}\n\n{lines}"
    found = measure(pa.chunked_array([[before]]), LineEdits(), apart=apart)
    assert found.texts.to_pylist() == [f"{STAY}\n\n{lines}"]


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("\\begin{table}\nnot closed\n\nmenu", "\\begin{table}\nnot closed"),
        ("---\n\nmenu", ""),
        ("Home\n==", ""),
        ("•one", ""),
        ("(see) x", ""),
    ],
)
def test_a_structure_ends_and_a_mark_alone_is_none(before, after):
    assert edited(f"{STAY}\n\n{before}")[0] == f"{STAY}\n\n{after}".strip()


def test_prose_behind_an_open_fence_and_in_an_environment_is_judged():
    prose = "```\nOne two.\n\n\\begin{quote}\nThree four.\n\\end{quote}\n"
    text = prose + "\\begin{align}\nx\n\\end{align}"
    measured = measure(pa.chunked_array([[text]]), apart=True).measured
    assert (measured["apart_lines"][0], measured["parts"][0]) == (3, 9)
