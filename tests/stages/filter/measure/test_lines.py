"""The fate of single lines: exact examples of every edit, through the kernel."""

import pyarrow as pa
import pytest
from corpusmill.stages.filter.line_edits import LineEdits
from corpusmill.stages.filter.measure import line_counts
from corpusmill.stages.filter.measuring import measure

REST = "These words stay as they are."


def outcome(line: str, edits: LineEdits, refinedweb: bool) -> tuple[str, set[str]]:
    """The text that is left of a line between two lines that stay, and the counts of removed lines
    that are not 0.
    """
    found = measure(pa.chunked_array([[f"{REST}\n{line}\n{REST}"]]), edits, refinedweb)
    removed = {
        name
        for name in line_counts.ROWS
        if name.startswith("removed_") and name in found.measured and found.measured[name][0]
    }
    (text,) = found.texts.to_pylist()
    assert text.startswith(REST)
    assert text.endswith(REST)
    return text[len(REST) + 1 : -len(REST)], removed


@pytest.mark.parametrize(
    ("line", "edits", "refinedweb", "left", "reason"),
    [
        ("two words", LineEdits(), False, "", "removed_few_words"),
        ("now three words", LineEdits(), False, "now three words\n", None),
        ("[1] [edit]", LineEdits(minimum_words=0), False, "", "removed_few_words"),
        ("a fact or two.[12]", LineEdits(), False, "a fact or two.\n", None),
        ("a fact or two.[12]", LineEdits(citations=False), False, "a fact or two.[12]\n", None),
        ("x" * 11 + " b c", LineEdits(longest_word=10), False, "", "removed_long_word"),
        ("x" * 10 + " b c", LineEdits(longest_word=10), False, "x" * 10 + " b c\n", None),
        ("no full stop", LineEdits(terminal_punctuation=True), False, "", "removed_unpunctuated"),
        ("a full stop.", LineEdits(terminal_punctuation=True), False, "a full stop.\n", None),
        (
            "three dots are...",
            LineEdits(terminal_punctuation=True),
            False,
            "",
            "removed_unpunctuated",
        ),
        ("turn on JavaScript now", LineEdits(), False, "", "removed_javascript"),
        ("see our Privacy Policy now", LineEdits(), False, "", "removed_policy"),
        (
            "see our Privacy Policy now",
            LineEdits(policy=False),
            False,
            "see our Privacy Policy now\n",
            None,
        ),
        ("MOSTLY CAPITALS here", LineEdits(), True, "", "removed_uppercase"),
        ("12345", LineEdits(minimum_words=0), True, "", "removed_numeric"),
        ("3.4k likes", LineEdits(minimum_words=0), True, "", "removed_counter"),
        ("word", LineEdits(minimum_words=0), True, "", "removed_single_word"),
        ("and so on read more...", LineEdits(), True, "and so on\n", None),
        ("sign-in to see this page", LineEdits(), True, "to see this page\n", None),
        ("items in cart", LineEdits(), True, "", "removed_emptied"),
    ],
)
def test_a_line_and_what_is_left_of_it(line, edits, refinedweb, left, reason):
    expected = {reason, "removed_lines"} - {None} if reason else set()
    text, removed = outcome(line, edits, refinedweb)
    assert text == left
    assert removed - {"removed_lines"} == expected - {"removed_lines"}


def test_the_rows_of_counts_are_named_once_and_numbered_in_order():
    names = list(line_counts.ROWS)
    assert len(set(names)) == len(names) == line_counts.COUNTS
    for name in names:
        constant = (
            name.upper() if name == "removed_parts" else name.removeprefix("removed_").upper()
        )
        assert getattr(line_counts, constant) == names.index(name)
